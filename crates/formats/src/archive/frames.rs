//! Zstandard frames, one after the other, and the next one after damage.

use std::io::{self, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{ArchiveError, Limits};

/// What a Zstandard frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The most memory that a frame may want, as a power of two: 8 MiB, which is what
/// level 19 wants.
const WINDOW: u32 = 23;
/// How much is held of what came, 1 MiB.
const BUFFER: usize = 1 << 20;
/// How much of it stays when more is read. A damaged frame takes what comes after it
/// for its own, in blocks of at most 128 KiB (RFC 8878, 3.1.1.2.4), so that the next
/// frame begins within what stays.
const KEPT: usize = 512 << 10;
/// How many bytes may be read twice, beside as many as were read once.
const AGAIN: u64 = 8 << 20;

/// Why there is nothing to read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It ends within a frame.
    Cut,
    /// The bytes are no frame, or not those that were written.
    Damaged(String),
    Fatal(ArchiveError),
}

/// What frames hold.
pub(super) struct Frames<R> {
    input: R,
    decoder: Decoder<'static>,
    buffer: Vec<u8>,
    next: usize,
    filled: usize,
    limits: Limits,
    /// Whether a frame was begun and did not end.
    is_within: bool,
    /// Where the frame begins that was begun last, in bytes of the archive.
    frame: u64,
    /// How many bytes were gone back.
    pub(super) again: u64,
    read: u64,
    given: u64,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R, limits: Limits) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
        let buffer = vec![0; BUFFER];
        Ok(Self {
            input,
            decoder,
            buffer,
            next: 0,
            filled: 0,
            limits,
            is_within: false,
            frame: 0,
            again: 0,
            read: 0,
            given: 0,
        })
    }

    /// How many bytes of the archive were taken.
    pub(super) const fn position(&self) -> u64 {
        self.read - (self.filled - self.next) as u64
    }

    // Whether there are bytes to take.
    fn fill(&mut self) -> io::Result<bool> {
        while self.next == self.filled {
            if self.filled == self.buffer.len() {
                self.buffer.copy_within(self.filled - KEPT.., 0);
                (self.next, self.filled) = (KEPT, KEPT);
            }
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    (self.filled, self.read) = (self.filled + count, self.read + count as u64)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Fills `out` as far as there is something; nothing at the end of all frames.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Trouble> {
        let mut done = 0;
        while done < out.len() {
            let more = self.fill().map_err(|error| Trouble::Fatal(error.into()))?;
            if !more && !self.is_within {
                break;
            }
            if !self.is_within {
                self.frame = self.position();
            }
            let mut from = InBuffer::around(&self.buffer[self.next..self.filled]);
            let mut to = OutBuffer::around(&mut out[done..]);
            let hint = self.decoder.run(&mut from, &mut to);
            let (taken, gave) = (from.pos(), to.pos());
            match hint {
                Ok(hint) => {
                    self.next += taken;
                    done += gave;
                    self.given += gave as u64;
                    self.is_within = hint != 0;
                    if !more && gave == 0 && self.is_within {
                        return Err(Trouble::Cut);
                    }
                }
                Err(error) => {
                    self.next += taken.max(1).min(self.filled - self.next);
                    return Err(Trouble::Damaged(error.to_string()));
                }
            }
            let Limits { ratio, free, .. } = self.limits;
            let taken = self.position() + self.again;
            if self.given > free.saturating_add(taken.saturating_mul(ratio)) {
                return Err(Trouble::Fatal(ArchiveError::Bomb { ratio }));
            }
        }
        Ok(done)
    }

    // Back to behind the beginning of the damaged frame, as far as its bytes are held:
    // it may have taken the next one for its own. Whoever makes an archive of frames
    // that fail late cannot have it read more than about twice.
    fn go_back(&mut self) {
        let behind = self.position().saturating_sub(self.frame + 1);
        let held = behind.min(self.next as u64);
        if self.again + held <= self.position() + AGAIN {
            self.again += held;
            self.next -= held as usize;
        }
    }

    /// Goes to where the next frame may begin; false if there is none. What was read
    /// of a damaged frame is looked through, too.
    pub(super) fn find_next(&mut self) -> Result<bool, ArchiveError> {
        self.go_back();
        self.is_within = false;
        self.decoder.reinit()?;
        let mut seen = 0;
        loop {
            if !self.fill()? {
                return Ok(false);
            }
            let byte = self.buffer[self.next];
            if byte == MAGIC[seen] {
                seen += 1;
                if seen == MAGIC.len() {
                    break;
                }
            } else {
                seen = usize::from(byte == MAGIC[0]);
            }
            self.next += 1;
        }
        self.next += 1;
        self.frame = self.position() - MAGIC.len() as u64;
        // The decoder gets what was taken from it; it writes nothing yet.
        let mut from = InBuffer::around(&MAGIC[..]);
        let mut nothing: [u8; 0] = [];
        self.decoder.run(&mut from, &mut OutBuffer::around(&mut nothing[..]))?;
        self.is_within = true;
        Ok(true)
    }
}
