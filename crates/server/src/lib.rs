//! The library over HTTP, for programs and for a browser.
//!
//! [`app`] is everything as one [`axum::Router`]; [`serve`] listens with it until it is
//! asked to end. What can be done is what `songrec-library` can do; this crate gives it
//! addresses, says how a client is let in, and runs long work as jobs.

mod app;
mod connections;
mod dashboard;
mod doors;
mod figures;
mod input;
mod jobs;
mod maps;
mod openapi;
mod options;
mod problem;
mod routes;
mod serve;
mod server;
mod strict;
mod upload;
mod versions;
mod words;

pub use app::{app, document};
pub use options::{InvalidToken, Options, Token};
pub use serve::{ServeError, serve};
