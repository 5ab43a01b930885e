//! What is to be done about a song, a playlist or a synth, given what is known
//! of it on both sides. Nothing here reads or writes a library.

mod documents;
mod known;
mod resolve;
mod values;

pub(crate) use documents::{Joined, Key, join_all};
pub(crate) use known::{Had, Known, SongState};
pub(crate) use resolve::{Case, Decision, How, Step, Write, operation_of, resolve};
pub(crate) use values::{Refs, Values};
