//! Where songs are kept: the contract every backend fulfils, and a backend in
//! memory that defines what fulfilling it means.
#![warn(missing_docs)]

mod blob;
mod change;
mod contract;
mod error;
mod ext;
mod memory;
mod nearest;
mod query;
mod stored;

pub use blob::{BlobSource, BlobStream, read_blob};
pub use change::{
    Change, ChangeHead, ChangePage, ChangeState, Cursor, Origin, SongHead, Tombstone,
};
pub use contract::{
    BlobStore, Capabilities, Collected, DeleteSong, DocumentStore, EmbeddingStore, Finding, Lost,
    Maintenance, NewBlob, NewEmbedding, Outcome, PurgeSong, PutDocument, PutMode, PutSong,
    SegmentStore, SongStore, StorageBackend, StoredEmbedding, VerifyOptions,
};
pub use error::{Error, ErrorKind, Result, Unreadable, UnreadableSong};
pub use ext::{NearestSongs, StorageBackendExt};
pub use memory::MemoryBackend;
pub use nearest::{OverFetch, Reached, Shortfall, Taken, take_passing};
pub use query::{
    Lookup, NearestQuery, NearestSegments, Neighbor, Order, OrderBy, Page, PageToken,
    SegmentNeighbor, SegmentOrder, SegmentQuery, SongQuery, WhichSegments,
};
pub use stored::{SongDocument, document_text, read_checked_document, read_document};
