//! How a library is made and used.

pub use songrec_index::Kind as IndexKind;

/// How a library is made and used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalOptions {
    /// Whether it keeps copies of the audio, instead of knowing where the
    /// files are. Decided when it is made.
    pub keeps_copies: bool,
    /// Which lists this process builds of its vectors.
    pub index: IndexKind,
}
