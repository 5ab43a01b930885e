//! The server as a client meets it, over HTTP.

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
