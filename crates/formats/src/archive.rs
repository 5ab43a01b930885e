//! Archives of many small pieces, of which each is whole or known not to be.
//!
//! An archive is a tar file, compressed by Zstandard, so that `tar --zstd -xf` opens
//! it anywhere. Each piece is a file of its own in it, named by what it holds, by its
//! number, and by the SHA-256 of its bytes. Each piece is a Zstandard frame of its own:
//! where bytes are damaged, what follows is found again at the next frame. The last
//! piece says how many there are, and without it an archive is known to be cut off.
//!
//! Nothing that an archive says is believed: names are held against the few that there
//! are and never become paths, sizes have limits, links are refused, and what unpacks to
//! far more than it is long is given up. Memory is bounded by [`Limits`].

mod frames;
mod reader;
mod tar;
mod writer;

pub use self::{
    reader::{ArchiveReader, Found},
    tar::{PieceKind, PieceName},
    writer::ArchiveWriter,
};

/// What an archive may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a piece that is held in memory.
    pub piece: u64,
    /// What may be unpacked in any case, in bytes.
    pub free: u64,
    /// How many times its length it may unpack to beyond that.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { piece: 64 << 20, free: 1 << 30, ratio: 1000 }
    }
}

/// What is wrong with an archive, and goes on being wrong.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It unpacks to far more than it is long, as nothing real does.
    #[error("it unpacks to more than {ratio} times its length: nothing real does")]
    Bomb {
        /// The most that is believed.
        ratio: u64,
    },
}

#[cfg(test)]
mod tests;
