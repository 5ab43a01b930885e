//! Why a file's audio could not be had.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file whose audio could not be had: which file, why, and what to do.
///
/// The message names the file and the reason; the cause, if a lower layer gave
/// one, is the [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[error("could not read audio from `{}`: {reason}", path.display())]
pub struct Error {
    path: PathBuf,
    reason: Reason,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(path: &Path, reason: Reason) -> Self {
        Self { path: path.to_owned(), reason, source: None }
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error for a failed operation of the file system.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let reason = match source.kind() {
            io::ErrorKind::NotFound => Reason::NotFound,
            io::ErrorKind::PermissionDenied => Reason::Denied,
            io::ErrorKind::IsADirectory => Reason::NotAFile,
            _ => Reason::Io,
        };
        Self::new(path, reason).because(source)
    }

    /// This error, after another program could not read the file either; what ends all
    /// work takes its place.
    pub(crate) fn or_else(self, other: Self) -> Self {
        match other.reason {
            Reason::Cancelled | Reason::Ffmpeg => other,
            _ => {
                let said = other.source.map_or(other.reason.to_string(), |why| why.to_string());
                self.because(format!("ffmpeg: {said}"))
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match &self.reason {
            Reason::NotFound => "check the path; the file may have been moved".to_owned(),
            Reason::Denied => "check the permissions of the file and its folders".to_owned(),
            Reason::NotAFile => "name a file; folders are for `scan`".to_owned(),
            Reason::Empty => "the file may be an unfinished download or recording".to_owned(),
            Reason::NotAudio => format!("songrec reads {FORMATS}"),
            Reason::UnsupportedCodec(_) | Reason::UnsupportedRate(_) => {
                format!("convert it with another program; songrec reads {FORMATS}")
            }
            Reason::Corrupt => "get the file again, or try to repair it".to_owned(),
            Reason::TooLarge { .. } => "raise the limit on file sizes".to_owned(),
            Reason::Io => "check the disk; then try again".to_owned(),
            Reason::Ffmpeg => "check that `ffmpeg` runs on this machine".to_owned(),
            Reason::Cancelled => "run it again to go on".to_owned(),
        }
    }
}

/// What this crate can read, in words.
pub const FORMATS: &str = "MP3, FLAC, WAV, AIFF, Ogg Vorbis, Opus, M4A (AAC-LC, ALAC), CAF and the \
                       audio of MKV and WebM";

/// Why a file's audio could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such file.
    NotFound,
    /// The file may not be read by this user.
    Denied,
    /// A folder, device or pipe.
    NotAFile,
    /// A file without bytes, or an audio file without a single sample.
    Empty,
    /// No known audio format was found in it.
    NotAudio,
    /// The format is known, but nothing here decodes what is in it.
    UnsupportedCodec(String),
    /// A sample rate in Hz that no audio has.
    UnsupportedRate(u32),
    /// It begins like an audio file, but nothing in it could be decoded.
    Corrupt,
    /// The file has more bytes than the caller allows.
    TooLarge {
        /// The file's size in bytes.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The file system failed.
    Io,
    /// The program that was to read it did not run, or came to no end.
    Ffmpeg,
    /// Somebody asked to stop.
    Cancelled,
}

impl Reason {
    /// A word for machine-readable output, such as `not_audio`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::NotAFile => "not_a_file",
            Self::Empty => "empty",
            Self::NotAudio => "not_audio",
            Self::UnsupportedCodec(_) => "unsupported_codec",
            Self::UnsupportedRate(_) => "unsupported_rate",
            Self::Corrupt => "corrupt",
            Self::TooLarge { .. } => "too_large",
            Self::Io => "io",
            Self::Ffmpeg => "ffmpeg",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::Denied => f.write_str("permission denied"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Empty => f.write_str("it holds no audio"),
            Self::NotAudio => f.write_str("not an audio file of a known format"),
            Self::UnsupportedCodec(codec) => write!(f, "its codec `{codec}` is not supported"),
            Self::UnsupportedRate(rate) => write!(f, "its sample rate of {rate} Hz is not real"),
            Self::Corrupt => f.write_str("it is damaged, and nothing in it could be decoded"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "it has {bytes} bytes, more than the {limit} allowed")
            }
            Self::Io => f.write_str("the disk or file system failed"),
            Self::Ffmpeg => f.write_str("`ffmpeg` failed"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
