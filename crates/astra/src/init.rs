//! Making a library, and saying what is wrong with one.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use songrec_storage::{Error, ErrorKind, Result, StorageBackend};

use crate::{
    backend::AstraBackend,
    client::{CollectionSettings, Problem},
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
        let mut report = InitReport::default();
        if self.init_keyspace(check, &mut report).await? {
            self.init_collections(check, &mut report).await?;
        } else {
            for settings in schema::collections() {
                report.add(format!("collection `{}`", settings.name), InitState::Missing);
            }
        }
        if let Some(blobs) = &self.blobs {
            let label = text(&json!({"format": SCHEMA_VERSION, "layout": "audio"}));
            let found = blobs.label(&label, !check).await?;
            let state = match (found, check) {
                (true, _) => InitState::Present,
                (false, true) => InitState::Missing,
                (false, false) => InitState::Made,
            };
            report.add(format!("audio in `{}`", blobs.place()), state);
        }
        if !check && report.is_complete() {
            self.refresh("open").await?;
        }
        Ok(report)
    }

    async fn init_keyspace(&self, check: bool, report: &mut InitReport) -> Result<bool> {
        let name = self.keyspace.name();
        let subject = format!("keyspace `{name}`");
        let failed = |error| self.failed("make", &subject, error);
        let known = self.client.keyspaces().await.map_err(failed)?;
        if known.iter().any(|known| known == name) {
            report.add(subject, InitState::Present);
            return Ok(true);
        }
        if check {
            report.add(subject, InitState::Missing);
            return Ok(false);
        }
        self.client.create_keyspace(name).await.map_err(|error| {
            let may_not = matches!(error.problem(), Problem::Denied | Problem::Forbidden);
            let error = failed(error);
            if may_not {
                error.with_hint(format!(
                    "this token may not make keyspaces: make `{name}` in the Astra portal, or set \
                     `ASTRA_DB_KEYSPACE` to one of {known:?}"
                ))
            } else {
                error
            }
        })?;
        report.add(subject, InitState::Made);
        Ok(true)
    }

    async fn init_collections(&self, check: bool, report: &mut InitReport) -> Result<()> {
        let existing = self
            .keyspace
            .collections()
            .await
            .map_err(|error| self.failed("list", "the collections", error))?;
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
                let made = self.keyspace.create_collection(settings).await;
                made.map_err(|error| self.failed("make", &name, error))?;
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
            .library
            .find(find)
            .try_collect()
            .await
            .map_err(|error| self.failed("read", "the library", error))?;
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
                Err(self.damaged("open", "the library", wrong))
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
            match self.library.insert_one(&document).await {
                Ok(()) => {}
                // Somebody else makes it at the same moment.
                Err(error) if error.problem() == Problem::DocumentExists => {}
                Err(error) => return Err(self.failed("make", "the library", error)),
            }
        }
        // Whoever was first said which library it is. Where this is not
        // reached, the first look at the changes does it.
        self.refresh("make").await?;
        self.place_marker(&self.library_id()).await
    }

    /// Looks at everything that has to work, one thing after the other, and
    /// says of each how it is and what to do. Writes nothing but a probe into
    /// the bucket, which it removes.
    pub async fn doctor(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        let endpoint = self.client.endpoint();
        let safe = match endpoint.is_exposed() {
            false => Ok(format!("`{endpoint}`")),
            true => Err((
                format!(
                    "`{endpoint}` is reached without TLS: everybody on the way can read the token"
                ),
                Some("use `https://`".to_owned()),
            )),
        };
        probes.push(Probe::new("endpoint", safe));
        let started = std::time::Instant::now();
        let keyspaces = self.client.keyspaces().await;
        let reached = keyspaces.is_ok();
        probes.push(Probe::new(
            "connection and token",
            match &keyspaces {
                Ok(_) => Ok(format!("answered in {} ms", started.elapsed().as_millis())),
                Err(error) => Err((error.to_string(), Some(error.hint().to_owned()))),
            },
        ));
        if let Some(ahead) = self.client.server_ahead_s() {
            probes.push(clock(ahead));
        }
        if reached {
            let report = self.init(true).await;
            match report {
                Ok(report) => {
                    for part in report.parts {
                        let text = part.to_string();
                        let outcome = match part.state {
                            InitState::Present | InitState::Made => Ok(text),
                            InitState::Missing => {
                                Err((text, Some("run `songrec init-astra`".to_owned())))
                            }
                            InitState::Different(_) => Err((text, Some(SETTLED.to_owned()))),
                        };
                        probes.push(Probe::new(part.name, outcome));
                    }
                }
                Err(error) => probes.push(Probe::failed("library", &error)),
            }
            match self.count_songs(&songrec_core::Filter::all()).await {
                Ok(count) => probes.push(Probe::new("songs", Ok(format!("{count} songs")))),
                Err(error) => probes.push(Probe::failed("songs", &error)),
            }
        }
        if let Some(blobs) = &self.blobs {
            probes.push(match blobs.try_out().await {
                Ok(()) => {
                    let may = "can be written, listed, read and deleted";
                    Probe::new("audio", Ok(format!("what is in `{}` {may}", blobs.place())))
                }
                Err(error) => Probe::failed("audio", &error),
            });
        }
        probes
    }
}

/// More than this between two clocks is worth a word: changes of two machines
/// are shown in the order of their clocks, and S3 refuses fifteen minutes.
const CLOCKS_DIFFER_S: i64 = 120;

const SETTLED: &str = "settings cannot be changed: set `ASTRA_DB_KEYSPACE` to another keyspace, or \
                       delete the collection in the Astra portal if nothing in it is needed, and \
                       run `songrec init-astra`";

fn clock(ahead: i64) -> Probe {
    let seconds = ahead.unsigned_abs();
    if seconds <= CLOCKS_DIFFER_S.unsigned_abs() {
        return Probe::new("clock", Ok("agrees with the server's".to_owned()));
    }
    let direction = if ahead > 0 { "behind" } else { "ahead of" };
    let outcome = format!("{seconds} s {direction} the server's");
    Probe {
        check: "clock".to_owned(),
        ok: false,
        only_a_warning: true,
        outcome,
        hint: Some("set the clock of this machine, best by a time service".to_owned()),
    }
}

/// One thing that [`AstraBackend::doctor`] looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was looked at.
    pub check: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether everything works although it is not.
    pub only_a_warning: bool,
    /// What was found.
    pub outcome: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Probe {
    fn new(
        check: impl Into<String>,
        found: std::result::Result<String, (String, Option<String>)>,
    ) -> Self {
        let check = check.into();
        match found {
            Ok(outcome) => Self { check, ok: true, only_a_warning: false, outcome, hint: None },
            Err((outcome, hint)) => Self { check, ok: false, only_a_warning: false, outcome, hint },
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
        Self::new(check, Err((outcome, error.hint().map(str::to_owned))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_a_warning() {
        assert!(clock(-120).ok && clock(120).ok);
        let behind = clock(121);
        assert!(!behind.ok && behind.only_a_warning);
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
