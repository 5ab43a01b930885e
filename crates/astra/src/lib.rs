//! Songs as documents in DataStax Astra DB and objects in S3.
//!
//! [`client`] is a client of the Data API by itself. `AstraBackend` keeps a
//! library in it, behind the contract of `songrec-storage`.

pub mod client;
mod secret;

pub use secret::Secret;
