//! Songs as files, with a SQLite catalog.
//!
//! [`LocalBackend`] keeps a library in a folder: each song a JSON document,
//! each embedding a `.npy` file, audio where it lies or as copies. The catalog
//! and the vector indexes are derived from these files; delete them, and every
//! answer is the same.
#![warn(missing_docs)]

mod backend;
mod options;

mod blobs;
mod documents;
mod embeddings;
mod garbage;
mod points;
mod segments;
mod songs;
mod verify;

mod database;

mod index_rows;
mod index_state;
mod publish;
mod rebuild;
mod recovery;
mod transaction;

mod catalog;
mod files;
mod library_file;
mod store;
mod vectors;

mod access;
mod blocking;
mod error;
mod known_files;
mod progress;
mod wal;

#[cfg(test)]
mod crash_tests;

pub use backend::LocalBackend;
pub use database::SPARE_NOTE;
pub use index_state::{IndexState, ListsState};
pub use known_files::{
    FileStatus, KnownFile, KnownFiles, KnownFilesError, KnownOutcome, KnownStatus,
};
pub use options::{IndexKind, LocalOptions};
pub use points::{MappedPoints, NearOptions, OnNeighbors, Points};
