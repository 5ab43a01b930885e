//! The storage contract as tests, and what tests need: songs out of nothing,
//! vectors from a seed, backends that fail on purpose.
//!
//! A backend's whole conformance test is one line:
//!
//! ```no_run
//! use songrec_storage::MemoryBackend;
//!
//! songrec_testkit::conformance!(async { MemoryBackend::new() });
//! # fn main() {}
//! ```
//!
//! The same line over [`Alternating`] handles of one library checks that
//! several processes may use it, and over a wrapper around [`Faulty`] that the
//! wrapper makes up for what fails. Cases are also plain functions, such as
//! [`conformance::of_racing_creates_one_wins`], for a backend that has to be
//! prepared for one of them.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]
#![expect(clippy::cloned_ref_to_slice_refs, reason = "lists are shown as lists, in small tests")]

mod alternating;
pub mod conformance;
mod faulty;
mod filter;
mod fixture;
mod forward;
mod memory;
mod model;
#[cfg(feature = "s3")]
pub mod s3;
mod song;
mod wire;

pub use alternating::Alternating;
pub use faulty::{Fault, Faulty};
pub use filter::random_filter;
pub use fixture::{Fixture, Opened, in_parallel, library_of, run_case, temp_dir};
pub use memory::peak_memory;
pub use model::{dot_model, euclidean_model, random_vector, tiny_model, vector};
pub use song::{
    audio, delete, new_blob, new_embedding, odd_texts, operation, purge, put, random_song,
    retagged, retitled, song, song_with_hash, time,
};
pub use wire::{Wire, WireRequest};
