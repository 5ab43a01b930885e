//! songrec as a person runs it: the binary, on real audio.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod again;
mod alike;
mod analysis;
mod answers;
#[cfg(all(unix, feature = "astra", feature = "emulator", feature = "bridge", feature = "rten"))]
mod backups;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod before;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod bucket;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod cloud;
mod crash;
mod decay;
mod documents;
#[cfg(all(feature = "bridge", feature = "rten"))]
mod downloading;
#[cfg(all(feature = "bridge", feature = "rten"))]
mod ear;
mod errors;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod faults;
#[cfg(unix)]
mod ffmpeg;
#[cfg(all(feature = "astra", feature = "emulator", feature = "bridge"))]
mod hostile;
mod importing;
mod keeping;
#[cfg(all(feature = "astra", feature = "emulator", feature = "bridge", feature = "rten"))]
mod learned;
#[cfg(unix)]
mod listen;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod machines;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod migrating;
#[cfg(all(feature = "bridge", feature = "rten"))]
mod models;
mod near;
mod patterns;
mod peers;
#[cfg(unix)]
mod people;
mod places;
mod playlists;
#[cfg(feature = "bridge")]
mod previews;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod remote;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod repeated;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod rescanning;
mod rows;
mod scanning;
#[cfg(all(unix, feature = "astra", feature = "emulator", feature = "bridge", feature = "rten"))]
mod schema;
mod searching;
#[cfg(all(unix, feature = "serve"))]
mod serving;
#[cfg(all(unix, feature = "astra", feature = "emulator", feature = "bridge", feature = "rten"))]
mod shapes;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod soak;
#[cfg(all(unix, feature = "serve"))]
mod soak_serve;
mod sources;
mod sudden_end;
mod suspect;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod syncing;
mod synths;
mod terminal;
#[cfg(feature = "rten")]
mod timbre;
mod trash;
#[cfg(all(feature = "astra", feature = "emulator"))]
mod two_machines;
#[cfg(unix)]
mod watching;
mod world;
