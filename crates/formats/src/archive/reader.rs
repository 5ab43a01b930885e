//! Reading an archive, whatever became of it.

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;

use super::{
    ArchiveError, Limits,
    frames::{Frames, Trouble},
    tar::{BLOCK, Header, PieceKind, PieceName, padding, read_header},
};

/// What comes next in an archive.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A piece, whole: its bytes have the hash of its name.
    Piece(PieceName, Vec<u8>),
    /// A piece that may be large; [`ArchiveReader::copy_large`] gives its bytes.
    Large(PieceName, u64),
    /// Something is damaged, or no piece of such an archive; what comes after it may
    /// be whole.
    Damage {
        /// About where, in bytes from the beginning of the archive.
        at: u64,
        /// The piece, where its name could be read.
        piece: Option<PieceName>,
        /// What is wrong, in words.
        what: String,
    },
    /// It ends, and not by its last piece.
    Cut {
        /// Where, in bytes from the beginning of the archive.
        at: u64,
    },
    /// It ended as it should: all pieces that were written have come.
    End,
}

/// Reads an archive.
pub struct ArchiveReader<R> {
    frames: Frames<R>,
    limits: Limits,
    state: ReaderState,
    /// Bytes of a large piece that were not asked for yet.
    large: Option<(PieceName, u64)>,
    last: Option<PieceName>,
}

#[derive(Clone, Copy, PartialEq)]
enum ReaderState {
    /// A header comes next.
    Header,
    /// The next frame is to be looked for.
    Lost,
    Over,
}

impl<R> std::fmt::Debug for ArchiveReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveReader").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<R: Read> ArchiveReader<R> {
    /// The archive that is read from `input`.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn new(input: R, limits: Limits) -> Result<Self, ArchiveError> {
        let frames = Frames::new(input, limits)?;
        Ok(Self { frames, limits, state: ReaderState::Header, large: None, last: None })
    }

    /// How many bytes of the archive were read.
    pub const fn position(&self) -> u64 {
        self.frames.position()
    }

    #[cfg(test)]
    pub(super) const fn read_again(&self) -> u64 {
        self.frames.again
    }

    /// What comes next. After [`Found::Cut`] and [`Found::End`] nothing does.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read any further.
    pub fn find_next(&mut self) -> Result<Found, ArchiveError> {
        if let Some((name, size)) = self.large.take() {
            // It was not wanted.
            if let Err(trouble) = self.pass(size + padding(size) as u64) {
                return self.trouble(trouble, Some(name));
            }
        }
        match self.state {
            ReaderState::Over => return Ok(self.over()),
            ReaderState::Lost if !self.frames.find_next()? => {
                self.state = ReaderState::Over;
                return Ok(self.over());
            }
            ReaderState::Lost => self.state = ReaderState::Header,
            ReaderState::Header => {}
        }
        let mut block = [0; BLOCK];
        match self.frames.read(&mut block) {
            Ok(BLOCK) => {}
            Ok(_) => {
                self.state = ReaderState::Over;
                return Ok(self.over());
            }
            Err(trouble) => return self.trouble(trouble, None),
        }
        let (name, size) = match read_header(&block) {
            Ok(Header::Piece(name, size)) => (name, size),
            Ok(Header::Zeros) => {
                // The rest of the tar file says nothing.
                return self.find_next_after_zeros();
            }
            Ok(Header::Foreign(what)) => return Ok(self.damage(None, what)),
            Err(what) => return Ok(self.damage(None, what.to_owned())),
        };
        if name.kind == PieceKind::Audio {
            self.large = Some((name, size));
            return Ok(Found::Large(name, size));
        }
        if size > self.limits.piece {
            let what = format!("`{name}` says that it has {size} bytes, which is too much");
            return Ok(self.damage(Some(name), what));
        }
        let mut bytes = Vec::new();
        let copied = self.copy(size, &mut |some| {
            bytes.extend_from_slice(some);
            Ok(())
        });
        match copied {
            Ok(found) if found == name.sha256 => {
                self.last = Some(name);
                Ok(Found::Piece(name, bytes))
            }
            Ok(_) => Ok(Found::Damage {
                at: self.position(),
                piece: Some(name),
                what: format!("`{name}` does not have the bytes that were written"),
            }),
            Err(trouble) => self.trouble(trouble, Some(name)),
        }
    }

    // Zeros end a tar file; what is written behind them is none.
    fn find_next_after_zeros(&mut self) -> Result<Found, ArchiveError> {
        let is_end = self.last.is_some_and(|last| last.kind == PieceKind::End);
        if is_end {
            self.state = ReaderState::Over;
            return Ok(self.over());
        }
        Ok(self.damage(None, "there are zeros in place of a piece".to_owned()))
    }

    /// Copies the large piece that came last to `out`. `None` if all is well, else what
    /// is wrong with it: then what was copied is to be thrown away.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read any further, or `out` takes no more.
    pub fn copy_large(&mut self, out: &mut dyn Write) -> Result<Option<Found>, ArchiveError> {
        let Some((name, size)) = self.large.take() else { return Ok(None) };
        let copied = self.copy(size, &mut |some| out.write_all(some).map_err(ArchiveError::Io));
        match copied {
            Ok(found) if found == name.sha256 => {
                self.last = Some(name);
                Ok(None)
            }
            Ok(_) => Ok(Some(Found::Damage {
                at: self.position(),
                piece: Some(name),
                what: format!("`{name}` does not have the bytes that were written"),
            })),
            Err(trouble) => self.trouble(trouble, Some(name)).map(Some),
        }
    }

    // Passes on the bytes of a file and what fills it up; gives the hash of the bytes.
    fn copy(
        &mut self,
        size: u64,
        to: &mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<Digest, Trouble> {
        let mut buffer = vec![0; 64 << 10];
        let (mut hash, mut left) = (Sha256::new(), size);
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = self.frames.read(&mut buffer[..wanted])?;
            if count < wanted {
                return Err(Trouble::Cut);
            }
            hash.update(&buffer[..count]);
            to(&buffer[..count]).map_err(Trouble::Fatal)?;
            left -= count as u64;
        }
        self.pass(padding(size) as u64)?;
        Ok(Digest(hash.finalize().into()))
    }

    fn pass(&mut self, mut bytes: u64) -> Result<(), Trouble> {
        let mut buffer = vec![0; 64 << 10];
        while bytes > 0 {
            let wanted = buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let count = self.frames.read(&mut buffer[..wanted])?;
            if count < wanted {
                return Err(Trouble::Cut);
            }
            bytes -= count as u64;
        }
        Ok(())
    }

    fn damage(&mut self, piece: Option<PieceName>, what: String) -> Found {
        self.state = ReaderState::Lost;
        Found::Damage { at: self.position(), piece, what }
    }

    fn trouble(
        &mut self,
        trouble: Trouble,
        piece: Option<PieceName>,
    ) -> Result<Found, ArchiveError> {
        match trouble {
            // A damaged frame may want more than there is.
            Trouble::Cut if self.frames.find_next()? => {
                self.state = ReaderState::Header;
                let what = "it does not end where it should".to_owned();
                Ok(Found::Damage { at: self.position(), piece, what })
            }
            Trouble::Cut => {
                self.state = ReaderState::Over;
                self.last = None;
                Ok(Found::Cut { at: self.position() })
            }
            Trouble::Damaged(what) => Ok(self.damage(piece, what)),
            Trouble::Fatal(error) => Err(error),
        }
    }

    fn over(&self) -> Found {
        match self.last {
            Some(last) if last.kind == PieceKind::End => Found::End,
            _ => Found::Cut { at: self.position() },
        }
    }
}
