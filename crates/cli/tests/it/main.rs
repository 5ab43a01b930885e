//! songrec as a person runs it: the binary, on real audio.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod answers;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod cloud;
mod crash;
mod errors;
mod keeping;
mod near;
mod scanning;
mod searching;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod two_machines;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod soak;
mod world;
