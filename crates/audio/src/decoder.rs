//! From a file to samples, by whoever can decode it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use songrec_core::AudioProperties;

use crate::{
    decode::{Block, Damage, Native, Shape},
    demux::Identity,
    error::{Error, Result},
    ffmpeg::Foreign,
    identity::identify_with,
    opening::{Opening, is_for_others},
};

/// Decodes the audio of one file, block by block, in bounded memory.
///
/// What is damaged is left out and counted; only a file in which nothing can
/// be decoded is an error. What nothing here decodes an [`Ffmpeg`](crate::Ffmpeg) does, if one is
/// given; what a file is does not depend on that (see
/// [`identify`](crate::identify)).
pub struct Decoder {
    path: PathBuf,
    opening: Opening,
    by: By,
    has_begun: bool,
}

enum By {
    Native(Box<Native>),
    Foreign(Box<Foreign>),
}

impl Decoder {
    /// Opens `path` with what is built in.
    ///
    /// # Errors
    ///
    /// When there is no audio in it that could be decoded.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Opening::default())
    }

    /// Opens `path` as `opening` says.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`Reason::TooLarge`](crate::Reason), and
    /// [`Reason::Cancelled`](crate::Reason).
    pub fn open_with(path: &Path, opening: &Opening) -> Result<Self> {
        let by = match Native::open_up_to(path, opening.max_bytes) {
            Ok(native) => By::Native(Box::new(native)),
            Err(error) => By::Foreign(Box::new(foreign(path, opening, 0, error)?)),
        };
        Ok(Self { path: path.to_owned(), opening: opening.clone(), by, has_begun: false })
    }

    /// The shape of all blocks, known after the first of them.
    pub fn shape(&self) -> Option<Shape> {
        match &self.by {
            By::Native(native) => native.shape(),
            By::Foreign(foreign) => Some(foreign.shape()),
        }
    }

    /// The next samples; None at the end. Blocks are never empty, at most a
    /// few seconds long, and all of one [shape](Self::shape).
    ///
    /// # Errors
    ///
    /// When the file cannot be read any further, and at the end when nothing
    /// was decoded.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        let advanced = match self.by.advance() {
            Err(error) if !self.has_begun => {
                let By::Native(native) = &self.by else { return Err(error) };
                let foreign = foreign(&self.path, &self.opening, native.track(), error)?;
                self.by = By::Foreign(Box::new(foreign));
                self.by.advance()
            }
            advanced => advanced,
        };
        let is_block = advanced?;
        self.has_begun = true;
        Ok(is_block.then(|| self.by.block()))
    }

    /// What the file holds, after the last block; its bit rate, where another
    /// program decodes it, after [`identity`](Self::identity).
    pub fn properties(&self) -> AudioProperties {
        match &self.by {
            By::Native(native) => native.properties(),
            By::Foreign(foreign) => foreign.properties(),
        }
    }

    /// What was wrong, after the last block.
    pub fn damage(&self) -> &Damage {
        match &self.by {
            By::Native(native) => native.damage(),
            By::Foreign(foreign) => foreign.damage(),
        }
    }

    /// What the file is, after the last block.
    ///
    /// # Errors
    ///
    /// When the file cannot be read to its end.
    pub fn identity(&mut self) -> Result<Identity> {
        match &mut self.by {
            By::Native(native) => native.identity(),
            By::Foreign(foreign) => {
                let identified = identify_with(&self.path, &self.opening)?;
                foreign.learn_size(identified.audio_bytes);
                Ok(identified.identity)
            }
        }
    }
}

impl By {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Native(native) => native.advance(),
            Self::Foreign(foreign) => foreign.advance(),
        }
    }

    fn block(&self) -> Block<'_> {
        match self {
            Self::Native(native) => native.block(),
            Self::Foreign(foreign) => foreign.block(),
        }
    }
}

/// Has the program read what failed here, if there is one and it may be able to;
/// what failed here stays the reason where it fails there, too.
fn foreign(path: &Path, opening: &Opening, track: usize, failed: Error) -> Result<Foreign> {
    match &opening.ffmpeg {
        Some(ffmpeg) if is_for_others(failed.reason()) => {
            Foreign::open(ffmpeg, path, track, &opening.cancel)
                .map_err(|error| failed.or_else(error))
        }
        _ => Err(failed),
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Native(native) => native.fmt(f),
            By::Foreign(foreign) => foreign.fmt(f),
        }
    }
}
