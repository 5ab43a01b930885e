//! The server as a client meets it, over HTTP.
#![expect(clippy::unwrap_used, reason = "helpers outside of test functions are tests too")]

mod client;
mod collections;
mod concurrency;
mod documents;
mod envelope;
mod faults;
mod finds;
mod persistence;
mod updates;
mod vectors;
