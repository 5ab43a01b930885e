//! How files are opened, and by whom.

use std::sync::{Arc, atomic::AtomicBool};

use crate::{error::Reason, ffmpeg::Ffmpeg};

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The largest file to be read, in bytes.
    pub max_bytes: u64,
    /// The program that reads what nothing here does.
    pub ffmpeg: Option<Arc<Ffmpeg>>,
    /// Set by another thread to end the work of that program early, with
    /// [`Reason::Cancelled`]. Work here ends when nobody asks for more.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Opening {
    /// Files of any size, and what is built in alone.
    fn default() -> Self {
        Self { max_bytes: u64::MAX, ffmpeg: None, cancel: None }
    }
}

impl Opening {
    /// Files of any size, by `ffmpeg` where there is one and nothing here reads them.
    pub fn with(ffmpeg: Option<Arc<Ffmpeg>>) -> Self {
        Self { ffmpeg, ..Self::default() }
    }
}

/// Whether another program may read a file that nothing here reads.
pub(crate) fn is_for_others(reason: &Reason) -> bool {
    matches!(reason, Reason::NotAudio | Reason::UnsupportedCodec(_) | Reason::Corrupt)
}
