//! songrec as a person runs it: the binary, on real audio.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod answers;
mod crash;
mod errors;
mod keeping;
mod scanning;
mod searching;
mod world;
