//! Makes two libraries agree: migrate, sync, check.

mod error;
mod options;
mod report;
mod side;

pub use error::{Error, ErrorKind, Result};
pub use options::{AudioPolicy, Direction, InvalidOption, MaxDelete, Options, Verify};
pub use report::{
    Action, Counts, DocumentWork, Failure, MergedField, Note, Plan, Report, SongWork,
};
pub use side::{Pair, Place, Side};
