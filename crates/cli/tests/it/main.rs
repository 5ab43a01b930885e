//! songrec as a person runs it: the binary, on real audio.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod answers;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod bucket;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod cloud;
mod crash;
mod errors;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod faults;
mod keeping;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod machines;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod migrating;
#[cfg(feature = "bridge")]
mod models;
mod near;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod remote;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod rescanning;
mod scanning;
mod searching;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod soak;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod syncing;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod two_machines;
mod world;
