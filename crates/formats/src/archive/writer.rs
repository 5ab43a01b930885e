//! Writing an archive, piece by piece.

use std::{
    fmt,
    io::{self, Write},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;
use zstd::stream::{raw::CParameter, write::Encoder};

use super::tar::{BLOCK, PieceKind, PieceName, header, padding};

/// How much effort is made: what Zstandard does if it is not told.
const LEVEL: i32 = 3;

/// Writes an archive.
///
/// After an error it is no use any more: every call fails.
pub struct ArchiveWriter<W: Write> {
    state: WriterState<W>,
    next: u64,
    /// Of the names of all pieces so far.
    names: Sha256,
    bytes: u64,
}

#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is not moved about")]
enum WriterState<W: Write> {
    Between(W),
    /// Within a piece: what comes, and how much of it is to come.
    Within {
        frame: Encoder<'static, W>,
        name: PieceName,
        size: u64,
        left: u64,
        hash: Sha256,
    },
    Failed,
}

impl<W: Write> fmt::Debug for ArchiveWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveWriter").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<W: Write> ArchiveWriter<W> {
    /// An archive that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { state: WriterState::Between(out), next: 0, names: Sha256::new(), bytes: 0 }
    }

    /// How many pieces were written, and the SHA-256 of their names, each with a
    /// line end.
    pub fn so_far(&self) -> (u64, Digest) {
        (self.next, Digest(self.names.clone().finalize().into()))
    }

    /// How many bytes all pieces together have.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a piece.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn piece(&mut self, kind: PieceKind, bytes: &[u8]) -> io::Result<()> {
        self.begin(kind, Digest::of(bytes), bytes.len() as u64)?;
        self.add(bytes)?;
        self.end()
    }

    /// Begins a piece whose hash and size are known.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another piece has not ended.
    pub fn begin(&mut self, kind: PieceKind, sha256: Digest, size: u64) -> io::Result<()> {
        let WriterState::Between(out) = std::mem::replace(&mut self.state, WriterState::Failed)
        else {
            return Err(out_of_turn());
        };
        let name = PieceName { kind, number: self.next, sha256 };
        let mut frame = Encoder::new(out, LEVEL)?;
        frame.set_parameter(CParameter::ChecksumFlag(true))?;
        frame.write_all(&header(&name, size))?;
        self.state = WriterState::Within { frame, name, size, left: size, hash: Sha256::new() };
        Ok(())
    }

    /// Writes more bytes of the piece that was begun.
    ///
    /// # Errors
    ///
    /// When they cannot be written, or are more than were announced.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let WriterState::Within { frame, left, hash, .. } = &mut self.state else {
            return Err(out_of_turn());
        };
        *left = left.checked_sub(bytes.len() as u64).ok_or_else(others)?;
        hash.update(bytes);
        frame.write_all(bytes)
    }

    /// Ends the piece that was begun.
    ///
    /// # Errors
    ///
    /// When it cannot be written, and `InvalidData` when its bytes are not those that
    /// were announced.
    pub fn end(&mut self) -> io::Result<()> {
        let state = std::mem::replace(&mut self.state, WriterState::Failed);
        let WriterState::Within { mut frame, name, size, left, hash } = state else {
            return Err(out_of_turn());
        };
        if left > 0 || Digest(hash.finalize().into()) != name.sha256 {
            return Err(others());
        }
        frame.write_all(&[0; BLOCK][..padding(size)])?;
        if name.kind == PieceKind::End {
            // What ends a tar file.
            frame.write_all(&[0; 2 * BLOCK])?;
        }
        self.state = WriterState::Between(frame.finish()?);
        self.names.update(format!("{name}\n"));
        (self.next, self.bytes) = (self.next + 1, self.bytes + size);
        Ok(())
    }

    /// What the archive went to, after the last piece.
    ///
    /// # Errors
    ///
    /// When the last bytes cannot be written.
    pub fn finish(self) -> io::Result<W> {
        let WriterState::Between(mut out) = self.state else { return Err(out_of_turn()) };
        out.flush()?;
        Ok(out)
    }
}

fn others() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the bytes are not those that were announced")
}

fn out_of_turn() -> io::Error {
    io::Error::other("an earlier piece was not written to its end")
}
