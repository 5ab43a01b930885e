//! An S3 server in the test's own process, which fails on demand.
//!
//! The server is `s3s-fs`, which keeps objects as files. What is laid around
//! it is what a test of ours needs: conditional writes that are atomic,
//! buckets that have to be there, faults, and a count of the requests.
//! Credentials and signatures are checked as Amazon checks them.

mod fault;
mod server;

pub use fault::{Fault, Operation, Rule, RuleId};
pub use server::S3Server;
