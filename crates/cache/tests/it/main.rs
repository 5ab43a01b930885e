//! The cache keeps every promise of what is behind it, asks it for nothing
//! twice, and survives damage, death and company.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

mod answers;
mod blobs;
mod conformance;
mod processes;
mod requests;
mod world;
