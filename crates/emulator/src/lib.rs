//! The Data API on one machine.
//!
//! A server that speaks the Data API of DataStax Astra DB for collections, for
//! tests and for trying a program without an account: every document command
//! and operator, the limits and error codes, exact vector search, and faults
//! on request. The data is in memory, or in a folder.
//!
//! ```
//! use songrec_emulator::{Emulator, Fault, Rule};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::builder().start().await?;
//!
//! // Give these to the program under test.
//! let (endpoint, token) = (emulator.url(), emulator.token());
//!
//! // The next update is done, and its answer is lost.
//! emulator.faults().add(Rule::fault(Fault::DropAfter).on("updateOne").next(1));
//!
//! // Afterwards: how many requests did it take?
//! assert_eq!(emulator.requests().count("updateOne"), 0);
//! # let _ = (endpoint, token);
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod emulator;
mod faults;
mod limits;
mod requests;
mod rules;

mod admin;
mod auth;
mod connection;
mod devops;
mod http;
mod shared;

mod answer;
mod command;
mod error;
mod fields;

mod filter;
mod paging;
mod path;
mod projection;
mod sort;
mod update;

mod collection;
mod database;
mod document;
mod id;
mod index;
mod indexing;
mod json;
mod lexical;
mod number;
mod settings;
mod store;
mod vector;

pub use emulator::{Builder, DEFAULT_KEYSPACE, Emulator, Options, StartError, app, serve};
pub use error::Names;
pub use faults::{Fault, Faults, Rule, RuleId, RuleState, When};
pub use limits::{Limits, UnknownLimit};
pub use requests::{Entry, Requests};
pub use store::OpenError;
