//! What may be sent again.

/// Whether a request may be sent again by itself when its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Doing it twice is the same as doing it once, or the caller can tell.
    Always,
    /// Only if it was surely not done.
    Unsent,
}
