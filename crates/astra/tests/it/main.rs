//! Tests of the backend over the emulator of the Data API.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod blobs;
mod conformance;
mod costs;
mod cql;
mod damage;
mod errors;
mod garbage;
mod histories;
mod hostile;
mod live;
mod lost_answers;
mod making;
mod storms;
mod support;
mod timeouts;
