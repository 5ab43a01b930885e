//! Tests of the backend over the emulator of the Data API.

mod conformance;
mod support;
