//! songrec as a person runs it: the binary, on real audio.

mod answers;
mod crash;
mod errors;
mod keeping;
mod scanning;
mod searching;
mod world;
