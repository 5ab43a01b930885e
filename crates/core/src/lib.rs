//! What a song is: the domain types every other crate of songrec speaks in.
//!
//! Plain data and pure functions; no I/O, no async, no backend.
#![warn(missing_docs)]

mod breaker;
mod document;
mod edit;
mod features;
mod field;
mod filter;
mod hint;
mod id;
mod job;
mod key;
mod model;
mod path;
mod progress;
mod redact;
mod retry;
mod scan_item;
mod segment;
mod song;
mod sort_key;
mod stamp;
mod tags;
mod text;
mod vector;
mod version;
mod work;

pub use breaker::{Breaker, BreakerOptions, BreakerState, Clock, Permit, Rest};
pub use document::{Document, DocumentKind};
pub use edit::Edits;
pub use features::{FeatureGroups, Features};
pub use field::{Field, InvalidEdit};
pub use filter::{
    FIELDS, Filter, Group, GroupKind, InvalidFilter, NumberField, NumberRange, SongSet, Term, Test,
    ValueField, WordField,
};
pub use hint::{Hint, Piece, Remedy, Scan};
pub use id::{Digest, InvalidId, OperationId, SongId};
pub use job::{Interrupt, Job};
pub use key::{InvalidKey, Key, Mode};
pub use model::{InvalidModelName, Metric, ModelName, ModelSpec};
pub use path::{decode_path, encode_path};
pub use progress::{Event, OwnedEvent, Progress, Silent};
pub use redact::{has_password, without_password};
pub use retry::{FailedAttempt, Retries, RetryPolicy};
pub use scan_item::ScanItem;
pub use segment::{Pattern, Segment, SegmentId};
pub use song::{
    AudioProperties, AudioWarning, BlobRef, Conflict, Embedding, EmbeddingRef, FromFile, History,
    InvalidVersion, Revision, Song, SongFile, SongSummary, Source, SourcedValue, Sources,
    WarningKind,
};
pub use sort_key::sort_key;
pub use stamp::Stamp;
pub use tags::{Art, Tags};
pub use text::{fold, words};
pub use vector::{InvalidVector, Vector};
pub use version::{LIFE, Op, Shown, Version, Write};
pub use work::Work;

/// A moment in UTC; written as RFC 3339 text in documents.
pub use jiff::Timestamp;
