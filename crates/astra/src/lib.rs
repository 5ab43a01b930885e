//! Songs as documents in DataStax Astra DB and objects in S3.
//!
//! [`client`] is a client of the Data API by itself. [`AstraBackend`] keeps a
//! library in it, behind the contract of `songrec-storage`.

pub mod client;
mod config;
mod secret;

mod audio;
mod backend;
mod blobs;
mod changes;
mod clock;
mod documents;
mod embeddings;
mod facets;
mod find;
mod garbage;
mod hint;
mod init;
mod row;
mod schema;
mod search;
mod segments;
mod shared;
mod songs;

pub use backend::AstraBackend;
pub use config::{AstraConfig, BlobConfig, DEFAULT_KEYSPACE};
pub use init::{InitPart, InitReport, InitState, Probe};
pub use secret::Secret;
