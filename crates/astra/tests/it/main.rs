//! Tests of the backend over the emulator of the Data API.

mod conformance;
mod costs;
mod cql;
mod errors;
mod lost_answers;
mod making;
mod support;
