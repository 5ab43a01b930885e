//! Small documents beside the songs: playlists, synths, who takes part.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    History, Revision, Stamp, Timestamp,
    song::keyed::Keyed,
    version::{LIFE, Op, Version},
};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A named list of songs.
    Playlist,
    /// A synthesizer definition with its lineage.
    Synth,
    /// Groups of songs that sound alike, and the rule by which songs belong to them.
    Clustering,
    /// The library itself: its identity and version.
    Library,
    /// A machine that takes part in syncing.
    Machine,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Playlist, Self::Synth, Self::Clustering, Self::Library, Self::Machine];

    /// The kinds that users make: they are synced, and kept as tombstones when they
    /// are deleted.
    pub const SYNCED: [Self; 3] = [Self::Playlist, Self::Synth, Self::Clustering];

    /// Whether it is one of [`SYNCED`](Self::SYNCED).
    pub fn is_synced(self) -> bool {
        Self::SYNCED.contains(&self)
    }

    /// The kind in small letters, as documents name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playlist => "playlist",
            Self::Synth => "synth",
            Self::Clustering => "clustering",
            Self::Library => "library",
            Self::Machine => "machine",
        }
    }
}

/// The key of what a document says.
const BODY: &str = "body";

/// A document of some kind, known by its id within the kind.
///
/// A playlist or synth that is deleted stays as a document that says so: by
/// that other libraries know, and lists leave it out. A document
/// that one machine alone writes is simply removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it is about.
    pub kind: DocumentKind,
    /// Its id: 1 to 64 characters of `a-z`, `0-9`, `_` and `-`.
    pub id: String,
    /// The version, for compare-and-set.
    pub revision: Revision,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What it says; its shape belongs to its kind.
    pub body: Value,
    /// Whether it was deleted; the body is then what it said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Which writes it has seen. A writer that does not know of it may leave it as it
    /// is: a new operation is a new write of all that the document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

impl Document {
    /// A new document.
    pub fn new(kind: DocumentKind, id: impl Into<String>, body: Value, now: Timestamp) -> Self {
        let revision = Revision::first();
        let history = Some(History::begun(revision.operation, now));
        Self { kind, id: id.into(), revision, updated_at: now, body, deleted: false, history }
    }

    /// The next version, which says something else.
    #[must_use]
    pub fn saying(&self, body: Value, now: Timestamp) -> Self {
        self.written(body, false, now)
    }

    /// The next version, which says that it is deleted.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        self.written(self.body.clone(), true, now)
    }

    fn written(&self, body: Value, deleted: bool, now: Timestamp) -> Self {
        // The clock may be behind.
        let updated_at = now.max(self.updated_at);
        let next =
            Self { revision: self.revision.next(), updated_at, body, deleted, ..self.clone() };
        let version = next.version();
        next.of_version(&version).unwrap_or(next)
    }

    fn keyed(&self) -> Keyed {
        let mut keyed = Keyed::default();
        keyed.values.insert(BODY.to_owned(), self.body.clone());
        if !self.deleted {
            keyed.values.insert(LIFE.to_owned(), Value::Null);
        }
        keyed
    }

    /// What this version has seen, and what is left of it.
    pub fn version(&self) -> Version {
        let at = Stamp::after(Stamp::default(), self.updated_at);
        let mut op = Op::from(self.revision.operation);
        let mut version = Version::new();
        if let Some(history) = &self.history {
            version = history.version(&self.keyed(), op, at);
            if version.seen().contains(&op) {
                return version;
            }
        } else {
            let (kind, id, body) = (self.kind.as_str(), &self.id, &self.body);
            let deleted = if self.deleted { "deleted " } else { "" };
            op = Op::made_of(&format!("songrec wrote {deleted}{kind} {id} = {body} at {at}"));
        }
        if self.deleted {
            version.bury(op);
        } else {
            let values = vec![(LIFE.to_owned(), Value::Null), (BODY.to_owned(), self.body.clone())];
            version.write(
                op,
                at.max(Stamp::after(version.last(), Timestamp::UNIX_EPOCH)),
                [],
                values,
            );
        }
        version
    }

    /// This document as `version` says it; nothing if it says nothing.
    pub fn of_version(&self, version: &Version) -> Option<Self> {
        let body = version.values(BODY).next().map(|(_, _, body)| body.clone());
        let body = body.or_else(|| self.deleted.then(|| self.body.clone()));
        let deleted = !version.is_alive();
        let body = if deleted { body.unwrap_or_default() } else { body? };
        let mut document = Self { body, deleted, ..self.clone() };
        document.history = Some(History::of(version, &document.keyed()));
        Some(document)
    }

    /// What was said in it without knowledge of what it says now, each as a
    /// document of its own: always the same for the same.
    pub fn beside(&self, version: &Version) -> Vec<Self> {
        let lost = version.values(BODY).filter(|(_, _, body)| **body != self.body);
        let beside = |(stamp, op, body): (Stamp, Op, &Value)| {
            let made = Op::made_of(&format!("songrec kept beside {} {}", self.id, op.0));
            let suffix = format!("-conflict-{:08x}", op.0 >> 32);
            let mut id = self.id.clone();
            id.truncate(64 - suffix.len());
            id.push_str(&suffix);
            let operation = made.operation("");
            let values = vec![(LIFE.to_owned(), Value::Null), (BODY.to_owned(), body.clone())];
            let mut version = Version::new();
            version.write(made, stamp, [], values);
            let revision = Revision { number: 1, operation };
            let one = Self { id, revision, body: body.clone(), ..self.clone() };
            one.of_version(&version)
        };
        if self.deleted { Vec::new() } else { lost.filter_map(beside).collect() }
    }

    /// Whether `id` may name a document.
    pub fn is_valid_id(id: &str) -> bool {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }
}
