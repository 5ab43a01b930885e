//! Songs as files, with a SQLite catalog.
//!
//! [`LocalBackend`] keeps a library in a folder: each song a JSON document,
//! each embedding a `.npy` file, audio where it lies or as copies. The catalog
//! and the vector indexes are derived from these files; delete them, and every
//! answer is the same.
#![warn(missing_docs)]

mod backend;

mod blobs;
mod documents;
mod embeddings;
mod garbage;
mod points;
mod rebuild;
mod segments;
mod songs;
mod verify;

mod access;
mod catalog;
mod index_builder;
mod known_files;
mod store;
mod vectors;
mod wal;

mod disk;
mod embedding_file;
mod error;
mod files;
mod heal;
mod layout;
mod library_file;
mod lock;
mod npy;
mod progress;
mod segment_file;
mod stored;

#[cfg(test)]
mod crash;

pub use backend::{IndexKind, LocalBackend, LocalOptions};
pub use known_files::{
    FileStatus, KnownFile, KnownFiles, KnownFilesError, KnownOutcome, KnownStatus,
};
pub use points::{NearOptions, OnNeighbors, Points};
pub use store::SPARE_NOTE;
