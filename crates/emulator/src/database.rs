//! Keyspaces and their collections.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::collection::Collection;
use crate::document;
use crate::error::{ApiError, Code, Result, refuse};
use crate::json::{self, Value};
use crate::limits::Limits;
use crate::settings::{Features, Settings};
use crate::store::{OpenError, Store};

type Keyspace = BTreeMap<String, Arc<Collection>>;

/// Everything that is stored.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) store: Store,
    keyspaces: RwLock<BTreeMap<String, Keyspace>>,
}

impl Database {
    /// Reads what the store has.
    pub(crate) fn open(
        store: Store,
        limits: &Limits,
        place: &str,
    ) -> std::result::Result<Self, OpenError> {
        let damaged = |problem: String| OpenError::Damaged(place.to_owned(), problem);
        let unreadable = |error: ApiError| damaged(error.message);
        let mut keyspaces: BTreeMap<String, Keyspace> = store
            .keyspaces()
            .map_err(unreadable)?
            .into_iter()
            .map(|name| (name, Keyspace::new()))
            .collect();
        // What was allowed when a collection was made stays allowed for it.
        let limits = Limits { dimension: usize::MAX, ..limits.clone() };
        let features = Features { lexical: true, rerank: true };
        for stored in store.collections().map_err(unreadable)? {
            let problem =
                |problem: &str| damaged(format!("collection `{}`: {problem}", stored.name));
            let options = json::parse(&stored.options, usize::MAX)
                .map_err(|error| problem(&error.to_string()))?;
            let settings = Settings::parse(&stored.name, Some(&options), &features, &limits)
                .map_err(|error| problem(&error.message))?;
            let mut collection = Collection::new(settings, stored.id);
            store
                .documents(stored.id, |text| {
                    let document = document::restore(&text, collection.next_version());
                    let document = document.ok_or_else(|| {
                        let start: String = text.chars().take(60).collect();
                        ApiError::new(
                            Code::Internal,
                            format!("document `{start}…` does not read back"),
                        )
                    })?;
                    collection.load(document);
                    Ok(())
                })
                .map_err(|error| problem(&error.message))?;
            let keyspace = keyspaces.entry(stored.keyspace).or_default();
            keyspace.insert(stored.name, Arc::new(collection));
        }
        Ok(Self { store, keyspaces: RwLock::new(keyspaces) })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Keyspace>> {
        self.keyspaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Keyspace>> {
        self.keyspaces.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keyspaces(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    pub(crate) fn has_keyspace(&self, name: &str) -> bool {
        self.read().contains_key(name)
    }

    pub(crate) fn create_keyspace(&self, name: &str) -> Result<()> {
        let name = checked_name("keyspace", name)?;
        let mut keyspaces = self.write();
        if !keyspaces.contains_key(name) {
            self.store.create_keyspace(name)?;
            keyspaces.insert(name.to_owned(), Keyspace::new());
        }
        Ok(())
    }

    pub(crate) fn drop_keyspace(&self, name: &str) -> Result<()> {
        let name = checked_name("keyspace", name)?;
        let mut keyspaces = self.write();
        if keyspaces.contains_key(name) {
            self.store.drop_keyspace(name)?;
            for collection in keyspaces.remove(name).unwrap_or_default().into_values() {
                collection.drop_rows();
            }
        }
        Ok(())
    }

    pub(crate) fn collections(&self, keyspace: &str) -> Result<Vec<Arc<Collection>>> {
        match self.read().get(keyspace) {
            Some(collections) => Ok(collections.values().cloned().collect()),
            None => unknown_keyspace(keyspace),
        }
    }

    pub(crate) fn collection(&self, keyspace: &str, name: &str) -> Result<Arc<Collection>> {
        match self.read().get(keyspace) {
            None => unknown_keyspace(keyspace),
            Some(collections) => match collections.get(name) {
                Some(collection) => Ok(Arc::clone(collection)),
                None => refuse(
                    Code::UnknownCollection,
                    format!("keyspace `{keyspace}` has no collection `{name}`"),
                ),
            },
        }
    }

    pub(crate) fn create_collection(
        &self,
        keyspace: &str,
        name: &str,
        options: Option<&Value>,
        features: &Features,
        limits: &Limits,
    ) -> Result<()> {
        let mut keyspaces = self.write();
        if !keyspaces.contains_key(keyspace) {
            return unknown_keyspace(keyspace);
        }
        let name = checked_name("collection", name)?;
        let mut settings = Settings::parse(name, options, features, limits)?;
        if let Some(existing) =
            keyspaces.get(keyspace).and_then(|collections| collections.get(name))
        {
            settings.inherit(options, &existing.settings);
            if settings == existing.settings {
                return Ok(());
            }
            return refuse(
                Code::DifferentSettings,
                format!(
                    "collection `{name}` exists with {}; {} was asked for",
                    Value::from(existing.settings.options()),
                    Value::from(settings.options())
                ),
            );
        }
        let all = || keyspaces.values().flat_map(BTreeMap::values);
        if all().count() >= limits.collections {
            return refuse(
                Code::TooManyCollections,
                format!(
                    "the database has {} collections, which is all it may have",
                    limits.collections
                ),
            );
        }
        // Ten for each collection, as the server's defaults have it.
        let (needed, supply) = (settings.indexes(), limits.collections * 10);
        if all().map(|collection| collection.settings.indexes()).sum::<usize>() + needed > supply {
            return refuse(
                Code::TooManyIndexes,
                format!(
                    "the collection needs {needed} indexes, and the database may have {supply} in all"
                ),
            );
        }
        let written = Value::from(settings.options()).to_string();
        let id = self.store.create_collection(keyspace, name, &written)?;
        if let Some(collections) = keyspaces.get_mut(keyspace) {
            collections.insert(name.to_owned(), Arc::new(Collection::new(settings, id)));
        }
        Ok(())
    }

    pub(crate) fn delete_collection(&self, keyspace: &str, name: &str) -> Result<()> {
        let mut keyspaces = self.write();
        let Some(collections) = keyspaces.get_mut(keyspace) else {
            return unknown_keyspace(keyspace);
        };
        let name = checked_name("collection", name)?;
        if let Some(collection) = collections.get(name) {
            self.store.drop_collection(collection.stored_as)?;
            collection.drop_rows();
            collections.remove(name);
        }
        Ok(())
    }
}

fn unknown_keyspace<T>(name: &str) -> Result<T> {
    refuse(Code::UnknownKeyspace, format!("there is no keyspace `{name}`"))
}

/// 1 to 48 letters, digits and underscores.
fn checked_name<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > 48 || !name.chars().all(allowed) {
        return refuse(
            Code::SchemaName,
            format!(
                "the name of a {what} has 1 to 48 letters, digits and underscores, not `{name}`"
            ),
        );
    }
    Ok(name)
}
