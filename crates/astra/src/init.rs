//! Making a library, and saying what is wrong with one.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use songrec_core::{Hint, Remedy};
use songrec_storage::{Error, ErrorKind, Result, StorageBackend};

use crate::{
    backend::AstraBackend,
    blobs::Blobs,
    changes::Changes,
    client::{CollectionSettings, Problem},
    hint::{hint_of, run_init},
    row::text,
    schema::{self, FEED_ID, Registry, SCHEMA_ID, SCHEMA_VERSION, SchemaDocument, WrongSchema},
};

/// What [`AstraBackend::init`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InitReport {
    /// Each part of a library, in the order in which they are made.
    pub parts: Vec<InitPart>,
}

/// One part of a library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InitPart {
    /// What it is, such as "collection `songs`".
    pub name: String,
    /// How it is.
    pub state: InitState,
}

/// How a part of a library is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum InitState {
    /// It was there, and as it should be.
    Present,
    /// It was not there, and was made.
    Made,
    /// It is not there.
    Missing,
    /// It is there, but not as it should be.
    Different(Vec<String>),
}

impl InitReport {
    /// Whether every part is there and as it should be.
    pub fn is_complete(&self) -> bool {
        let fine = |part: &InitPart| matches!(part.state, InitState::Present | InitState::Made);
        self.parts.iter().all(fine)
    }

    fn add(&mut self, name: impl Into<String>, state: InitState) {
        self.parts.push(InitPart { name: name.into(), state });
    }
}

impl fmt::Display for InitPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            InitState::Present => write!(f, "{} is there", self.name),
            InitState::Made => write!(f, "{} was made", self.name),
            InitState::Missing => write!(f, "{} is missing", self.name),
            InitState::Different(why) => {
                write!(f, "{} is different: {}", self.name, why.join(", "))
            }
        }
    }
}

impl AstraBackend {
    /// Makes what a library needs and is not there: the keyspace, if the token
    /// may, the collections, the library's own documents and the bucket's
    /// label. Making it again does nothing. With `check` nothing is changed.
    ///
    /// # Errors
    ///
    /// `Incompatible` for a library of a newer version, and for collections of
    /// these names that are something else; what any request may fail with.
    pub async fn init(&self, check: bool) -> Result<InitReport> {
        let mut report = self.init_database(check).await?;
        if let Some(blobs) = &self.shared.blobs {
            report.parts.push(label(blobs, check).await?);
        }
        if !check && report.is_complete() {
            self.shared.refresh("open").await?;
        }
        Ok(report)
    }

    async fn init_database(&self, check: bool) -> Result<InitReport> {
        let mut report = InitReport::default();
        if self.init_keyspace(check, &mut report).await? {
            self.init_collections(check, &mut report).await?;
        } else {
            for settings in schema::collections() {
                report.add(format!("collection `{}`", settings.name), InitState::Missing);
            }
        }
        Ok(report)
    }

    async fn init_keyspace(&self, check: bool, report: &mut InitReport) -> Result<bool> {
        let name = self.shared.keyspace.name();
        let subject = format!("keyspace `{name}`");
        let failed = |error| self.shared.failed("make", &subject, error);
        let known = self.shared.client.keyspaces().await.map_err(failed)?;
        if known.iter().any(|known| known == name) {
            report.add(subject, InitState::Present);
            return Ok(true);
        }
        if check {
            report.add(subject, InitState::Missing);
            return Ok(false);
        }
        self.shared.client.create_keyspace(name).await.map_err(|error| {
            let may_not = matches!(error.problem(), Problem::Denied | Problem::Forbidden);
            let error = failed(error);
            let (who, how) = match self.shared.client.endpoint().is_astra() {
                true => ("token", "in the Astra portal"),
                false => ("user", "as one who may"),
            };
            match may_not {
                true => error.with_hint(format!(
                    "this {who} may not make keyspaces: make `{name}` {how}, or set \
                     `ASTRA_DB_KEYSPACE` to one of {known:?}"
                )),
                false => error,
            }
        })?;
        report.add(subject, InitState::Made);
        Ok(true)
    }

    async fn init_collections(&self, check: bool, report: &mut InitReport) -> Result<()> {
        let existing = self
            .shared
            .keyspace
            .collections()
            .await
            .map_err(|error| self.shared.failed("list", "the collections", error))?;
        let registry = match existing.iter().any(|one| one.name == schema::LIBRARY) {
            true => self.own_documents().await?,
            false => None,
        };
        for settings in schema::collections() {
            self.init_collection(&settings, &existing, check, report).await?;
        }
        for known in registry.iter().flat_map(|registry| registry.models.values()) {
            let settings = schema::embeddings_of(&known.spec);
            self.init_collection(&settings, &existing, check, report).await?;
        }
        let state = match (&registry, check) {
            (Some(_), _) => InitState::Present,
            (None, true) => InitState::Missing,
            (None, false) if report.is_complete() => {
                self.make_own_documents().await?;
                InitState::Made
            }
            (None, false) => InitState::Missing,
        };
        report.add("the library's own documents", state);
        Ok(())
    }

    async fn init_collection(
        &self,
        settings: &CollectionSettings,
        existing: &[CollectionSettings],
        check: bool,
        report: &mut InitReport,
    ) -> Result<()> {
        let name = format!("collection `{}`", settings.name);
        let found = existing.iter().find(|one| one.name == settings.name);
        let state = match found.map(|found| settings.differences(found)) {
            Some(differences) if differences.is_empty() => InitState::Present,
            Some(differences) => InitState::Different(differences),
            None if check => InitState::Missing,
            None => {
                let made = self.shared.keyspace.create_collection(settings).await;
                made.map_err(|error| self.shared.failed("make", &name, error))?;
                InitState::Made
            }
        };
        report.add(name, state);
        Ok(())
    }

    // The library's own documents; nothing if they are not complete.
    async fn own_documents(&self) -> Result<Option<Registry>> {
        use futures::TryStreamExt;
        let find = crate::client::Find::new(json!({"kind": {"$in": ["schema", "model", "feed"]}}));
        let documents: Vec<Value> = self
            .shared
            .library
            .find(find)
            .try_collect()
            .await
            .map_err(|error| self.shared.failed("read", "the library", error))?;
        let (feed, others): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| document["_id"] == FEED_ID);
        match Registry::read(others) {
            Ok(_) | Err(WrongSchema::Missing) if feed.is_empty() => Ok(None),
            Ok(registry) => Ok(Some(registry)),
            Err(WrongSchema::Missing) => Ok(None),
            Err(wrong @ WrongSchema::Newer { .. }) => {
                Err(Error::new(ErrorKind::Incompatible, "open", "the library", self)
                    .because(wrong)
                    .with_hint("install a newer songrec"))
            }
            Err(wrong @ WrongSchema::Damaged { .. }) => {
                Err(self.shared.damaged("open", "the library", wrong))
            }
        }
    }

    async fn make_own_documents(&self) -> Result<()> {
        let library = format!("{:032x}", rand::random::<u128>());
        let schema = SchemaDocument {
            id: SCHEMA_ID.to_owned(),
            kind: "schema".to_owned(),
            version: SCHEMA_VERSION,
            library,
        };
        let feed = json!({"_id": FEED_ID, "kind": "feed", "next": 0, "open": {}});
        // The schema last: with it the library is complete.
        for document in [feed, json!(schema)] {
            match self.shared.library.insert_one(&document).await {
                Ok(()) => {}
                // Somebody else makes it at the same moment.
                Err(error) if error.problem() == Problem::DocumentExists => {}
                Err(error) => return Err(self.shared.failed("make", "the library", error)),
            }
        }
        // Whoever was first said which library it is. Where this is not
        // reached, the first look at the changes does it.
        self.shared.refresh("make").await?;
        Changes::of(&self.shared).place_marker(&self.shared.library_id()).await
    }

    /// Looks at everything that has to work, one thing after the other, and
    /// says of each how it is and what to do; what follows from something else
    /// that is wrong is not looked at. Writes nothing but a probe into the
    /// bucket, which it removes.
    pub async fn doctor(&self) -> Vec<Probe> {
        let endpoint = self.shared.client.endpoint();
        let mut probes = vec![match endpoint.is_exposed() {
            false => Probe::good("endpoint", format!("`{endpoint}`")),
            true => Probe {
                hint: Some("use `https://`".into()),
                kind: Some(ErrorKind::Invalid),
                ..Probe::good(
                    "endpoint",
                    format!(
                        "`{endpoint}` is reached without TLS: everybody on the way can read the \
                         token"
                    ),
                )
            },
        }];
        let started = std::time::Instant::now();
        match self.shared.client.keyspaces().await {
            Ok(_) => {
                let outcome = format!("answered in {} ms", started.elapsed().as_millis());
                probes.push(Probe::good("connection and token", outcome));
                probes.push(match self.shared.client.server_ahead_s() {
                    Some(ahead) => clock(ahead),
                    None => Probe::good("clock", "not compared: the server does not tell its time"),
                });
                probes.extend(self.look_at_database().await);
            }
            Err(error) => probes.push(Probe {
                hint: Some(hint_of(&error)),
                kind: Some(error.kind()),
                ..Probe::good("connection and token", error.to_string())
            }),
        }
        if let Some(blobs) = &self.shared.blobs {
            probes.push(look_at_audio(blobs).await);
        }
        probes
    }

    async fn look_at_database(&self) -> Vec<Probe> {
        let report = match self.init_database(true).await {
            Ok(report) => report,
            Err(error) => return vec![Probe::failed("library", &error)],
        };
        let is_complete = report.is_complete();
        let collections = report
            .parts
            .iter()
            .filter(|part| part.name.starts_with("collection") && part.state == InitState::Present);
        let room = self.room(collections.count());
        let mut probes: Vec<Probe> = report.parts.into_iter().map(Probe::of_part).collect();
        probes.extend(room);
        if is_complete {
            probes.push(match self.songs().count(&songrec_core::Filter::all()).await {
                Ok(count) => Probe::good("songs", format!("{count} songs")),
                Err(error) => Probe::failed("songs", &error),
            });
        }
        probes
    }

    // A server of one's own has room for few models until it is told otherwise,
    // and does not say for how many.
    fn room(&self, collections: usize) -> Option<Probe> {
        if self.shared.client.endpoint().is_astra() || collections < SHIPPED_ROOM {
            return None;
        }
        Some(Probe {
            hint: Some(Problem::TooManyCollections.hint_at_own_server().into()),
            only_a_warning: true,
            ..Probe::good(
                "room for models",
                format!(
                    "{collections} collections: a server as it is shipped has room for \
                     {SHIPPED_ROOM}, and each further model needs one"
                ),
            )
        })
    }
}

/// Collections that a self-hosted server allows if nobody said otherwise.
const SHIPPED_ROOM: usize = 5;

async fn label(blobs: &Blobs, check: bool) -> Result<InitPart> {
    let label = text(&json!({"format": SCHEMA_VERSION, "layout": "audio"}));
    let found = blobs.label(&label, !check).await?;
    let state = match (found, check) {
        (true, _) => InitState::Present,
        (false, true) => InitState::Missing,
        (false, false) => InitState::Made,
    };
    Ok(InitPart { name: format!("audio in `{}`", blobs.place()), state })
}

async fn look_at_audio(blobs: &Blobs) -> Probe {
    if let Err(error) = blobs.try_out().await {
        return Probe::failed("audio", &error);
    }
    match label(blobs, true).await {
        Ok(InitPart { state: InitState::Present, .. }) => {
            let may = "can be written, listed, read and deleted";
            Probe::good("audio", format!("what is in `{}` {may}", blobs.place()))
        }
        Ok(part) => Probe::of_part(part),
        Err(error) => Probe::failed("audio", &error),
    }
}

/// More than this between two clocks is worth a word: changes of two machines
/// are shown in the order of their clocks, and S3 refuses fifteen minutes.
const CLOCKS_DIFFER_S: i64 = 120;

fn settled() -> Hint {
    Hint::of(
        "settings cannot be changed: set `ASTRA_DB_KEYSPACE` to another keyspace, or delete the \
         collection if nothing in it is needed, and run {}",
        [Remedy::InitAstra { check: false }],
    )
}

fn clock(ahead: i64) -> Probe {
    let seconds = ahead.unsigned_abs();
    if seconds <= CLOCKS_DIFFER_S.unsigned_abs() {
        return Probe::good("clock", "agrees with the server's");
    }
    let direction = if ahead > 0 { "behind" } else { "ahead of" };
    let outcome = format!("{seconds} s {direction} the server's");
    Probe {
        only_a_warning: true,
        hint: Some("set the clock of this machine, best by a time service".into()),
        ..Probe::good("clock", outcome)
    }
}

/// One thing that [`AstraBackend::doctor`] looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was looked at.
    pub check: String,
    /// Whether everything works although something is to be said.
    pub only_a_warning: bool,
    /// What was found.
    pub outcome: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// What kind of trouble it is, if something does not work.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
}

impl Probe {
    fn good(check: impl Into<String>, outcome: impl Into<String>) -> Self {
        let (check, outcome) = (check.into(), outcome.into());
        Self { check, only_a_warning: false, outcome, hint: None, kind: None }
    }

    fn of_part(part: InitPart) -> Self {
        let good = Self::good(part.name.as_str(), part.to_string());
        match part.state {
            InitState::Present | InitState::Made => good,
            InitState::Missing => {
                Self { hint: Some(run_init()), kind: Some(ErrorKind::NotFound), ..good }
            }
            InitState::Different(_) => {
                Self { hint: Some(settled()), kind: Some(ErrorKind::Incompatible), ..good }
            }
        }
    }

    fn failed(check: &str, error: &Error) -> Self {
        let mut outcome = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            outcome.push_str(": ");
            outcome.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { hint: error.hint().cloned(), kind: Some(error.kind()), ..Self::good(check, outcome) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_a_warning() {
        assert!(!clock(-120).only_a_warning && !clock(120).only_a_warning);
        let behind = clock(121);
        assert!(behind.only_a_warning && behind.kind.is_none());
        assert_eq!(behind.outcome, "121 s behind the server's");
        assert_eq!(clock(-7_200).outcome, "7200 s ahead of the server's");
    }

    #[test]
    fn a_report_says_what_is_missing() {
        let mut report = InitReport::default();
        report.add("collection `songs`", InitState::Present);
        assert!(report.is_complete());
        report
            .add("collection `library`", InitState::Different(vec!["indexing is nothing".into()]));

        assert!(!report.is_complete());
        assert_eq!(
            report.parts[1].to_string(),
            "collection `library` is different: indexing is nothing"
        );
    }
}
