//! The documents of one collection, and conditional writes on them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::document::Document;
use crate::error::{ApiError, Code, Result};
use crate::filter::Filter;
use crate::id::Key;
use crate::index::Indexes;
use crate::settings::Settings;
use crate::store::{Change, Store};

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) settings: Settings,
    /// The number under which the store keeps it.
    pub(crate) stored_as: i64,
    rows: RwLock<Rows>,
    versions: AtomicU64,
    /// How many documents there were at the start.
    estimate: usize,
}

#[derive(Debug, Default)]
struct Rows {
    /// In the order of tokens, which is the order of scans.
    documents: BTreeMap<Key, Arc<Document>>,
    indexes: Indexes,
    /// Writes whose outcome nobody knows yet; see [`Condition`].
    unsettled: HashMap<Key, Vec<Unsettled>>,
    dropped: bool,
}

/// A write that a replica has accepted and no quorum has confirmed: no read
/// sees it, and the next conditional write on the row has to finish it first.
#[derive(Debug)]
struct Unsettled {
    condition: Condition,
    document: Option<Arc<Document>>,
}

/// What must be stored for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Absent,
    Version(u64),
}

impl Condition {
    fn holds(self, stored: Option<&Arc<Document>>) -> bool {
        match (self, stored) {
            (Self::Absent, None) => true,
            (Self::Version(version), Some(document)) => document.version == version,
            _ => false,
        }
    }
}

/// One page of a scan.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) documents: Vec<Arc<Document>>,
    /// The last row looked at, if there may be more.
    pub(crate) last: Option<Key>,
}

impl Collection {
    pub(crate) fn new(settings: Settings, stored_as: i64) -> Self {
        Self {
            settings,
            stored_as,
            rows: RwLock::default(),
            versions: AtomicU64::new(1),
            estimate: 0,
        }
    }

    /// A number that no document of this collection has had.
    pub(crate) fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }

    // Every change of the rows is one insertion or removal after the store has
    // agreed, so a panic elsewhere cannot leave them half changed.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> Result<RwLockWriteGuard<'_, Rows>> {
        let rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.dropped {
            return Err(ApiError::new(
                Code::UnknownCollection,
                format!("collection `{}` was deleted meanwhile", self.settings.name),
            ));
        }
        Ok(rows)
    }

    /// Puts back what the store had.
    pub(crate) fn load(&mut self, document: Arc<Document>) {
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        rows.documents.insert(document.key.clone(), document);
        self.estimate = rows.documents.len();
    }

    /// About how many documents there are: as many as at the start.
    pub(crate) fn estimate(&self) -> usize {
        self.estimate
    }

    pub(crate) fn len(&self) -> usize {
        self.read().documents.len()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Document>> {
        self.read().documents.get(key).cloned()
    }

    /// Every document that matches, in the order of scans; stops when `visit`
    /// says so.
    pub(crate) fn visit(
        &self,
        filter: &Filter,
        after: Option<&Key>,
        mut visit: impl FnMut(&Arc<Document>) -> bool,
    ) {
        if let Some(ids) = filter.ids() {
            let rows = self.read();
            let mut keys: Vec<&Key> = ids.iter().map(|(key, _)| key).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                if after.is_some_and(|after| key <= after) {
                    continue;
                }
                if let Some(document) = rows.documents.get(key)
                    && filter.matches(document)
                    && !visit(document)
                {
                    return;
                }
            }
            return;
        }
        self.prepare_indexes(filter);
        let rows = self.read();
        if let Some(keys) = rows.indexes.candidates(filter, rows.documents.len()) {
            for key in keys {
                if after.is_some_and(|after| key <= *after) {
                    continue;
                }
                if let Some(document) = rows.documents.get(&key)
                    && filter.matches(document)
                    && !visit(document)
                {
                    return;
                }
            }
            return;
        }
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for document in rows.documents.range::<Key, _>((start, Bound::Unbounded)).map(|(_, d)| d) {
            if filter.matches(document) && !visit(document) {
                return;
            }
        }
    }

    /// Builds the indexes that a filter could use, if they are worth it.
    fn prepare_indexes(&self, filter: &Filter) {
        let missing = {
            let rows = self.read();
            rows.indexes.missing(filter, rows.documents.len())
        };
        if missing.is_empty() {
            return;
        }
        if let Ok(mut rows) = self.lock() {
            let Rows { documents, indexes, .. } = &mut *rows;
            for path in missing {
                indexes.build(path, documents.values());
            }
        }
    }

    /// Up to `count` matches after a row, and where to go on.
    pub(crate) fn page(&self, filter: &Filter, after: Option<&Key>, count: usize) -> Page {
        let mut documents = Vec::new();
        let mut more = false;
        self.visit(filter, after, |document| {
            if documents.len() == count {
                more = true;
                return false;
            }
            documents.push(Arc::clone(document));
            true
        });
        let last = match (more, documents.last()) {
            (true, Some(document)) => Some(document.key.clone()),
            _ => None,
        };
        Page { documents, last }
    }

    /// Calls `visit` with all documents at one moment.
    pub(crate) fn with_all<T>(
        &self,
        work: impl FnOnce(&mut dyn Iterator<Item = &Arc<Document>>) -> T,
    ) -> T {
        let rows = self.read();
        work(&mut rows.documents.values())
    }

    /// Writes or removes a row if its condition holds; says whether it did.
    pub(crate) fn compare_and_set(
        &self,
        store: &Store,
        key: &Key,
        condition: Condition,
        document: Option<Arc<Document>>,
    ) -> Result<bool> {
        let mut rows = self.lock()?;
        self.settle(&mut rows, store, key)?;
        if !condition.holds(rows.documents.get(key)) {
            return Ok(false);
        }
        self.put(&mut rows, store, key, document)?;
        Ok(true)
    }

    /// Inserts the documents that are not there yet, in one step of the store;
    /// `stop` makes the first failure the last attempt. One answer for each
    /// attempt.
    pub(crate) fn insert(
        &self,
        store: &Store,
        documents: &[Arc<Document>],
        stop: bool,
    ) -> Result<Vec<bool>> {
        let mut rows = self.lock()?;
        let mut inserted = Vec::with_capacity(documents.len());
        let mut new: BTreeMap<&Key, &Arc<Document>> = BTreeMap::new();
        for document in documents {
            let key = &document.key;
            self.settle(&mut rows, store, key)?;
            let free = !rows.documents.contains_key(key) && !new.contains_key(key);
            if free {
                new.insert(key, document);
            }
            inserted.push(free);
            if stop && !free {
                break;
            }
        }
        let changes: Vec<_> = new.values().map(|document| Change::Put(document)).collect();
        store.write(self.stored_as, &changes)?;
        for (key, document) in new {
            rows.indexes.add(document);
            rows.documents.insert(key.clone(), Arc::clone(document));
        }
        Ok(inserted)
    }

    /// Leaves a write for the next conditional write on its row to finish.
    pub(crate) fn leave_unsettled(
        &self,
        key: &Key,
        condition: Condition,
        document: Option<Arc<Document>>,
    ) -> Result<()> {
        let mut rows = self.lock()?;
        rows.unsettled.entry(key.clone()).or_default().push(Unsettled { condition, document });
        Ok(())
    }

    fn settle(&self, rows: &mut Rows, store: &Store, key: &Key) -> Result<()> {
        if rows.unsettled.is_empty() {
            return Ok(());
        }
        for Unsettled { condition, document } in rows.unsettled.remove(key).unwrap_or_default() {
            if condition.holds(rows.documents.get(key)) {
                self.put(rows, store, key, document)?;
            }
        }
        Ok(())
    }

    fn put(
        &self,
        rows: &mut Rows,
        store: &Store,
        key: &Key,
        document: Option<Arc<Document>>,
    ) -> Result<()> {
        let change = match &document {
            Some(document) => Change::Put(document),
            None => Change::Remove(key),
        };
        store.write(self.stored_as, &[change])?;
        let old = match document {
            Some(document) => {
                rows.indexes.add(&document);
                rows.documents.insert(key.clone(), document)
            }
            None => rows.documents.remove(key),
        };
        if let Some(old) = old {
            rows.indexes.remove(&old, rows.documents.get(key));
        }
        Ok(())
    }

    pub(crate) fn truncate(&self, store: &Store) -> Result<()> {
        let mut rows = self.lock()?;
        store.truncate(self.stored_as)?;
        *rows = Rows::default();
        Ok(())
    }

    /// Ends the collection: writes that are on their way fail.
    pub(crate) fn drop_rows(&self) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        *rows = Rows { dropped: true, ..Rows::default() };
    }
}
