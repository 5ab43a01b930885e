//! Who reads audio files here: songrec, and an installed ffmpeg where the settings
//! say so.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use songrec_audio::{Ffmpeg, Opening, Reason};
use songrec_core::{Hint, Remedy};

use crate::{Config, Error, Result, keys};

/// The program, as the system finds it.
const PROGRAM: &str = "ffmpeg";

/// Endings of audio files that nothing here decodes, and that ffmpeg does.
pub(crate) const UNREAD: [&str; 24] = [
    "wma", "asf", "wv", "ape", "mpc", "mpp", "mp+", "tta", "tak", "ofr", "shn", "dsf", "dff",
    "ac3", "eac3", "dts", "amr", "ra", "rm", "au", "snd", "spx", "voc", "3gp",
];

/// Endings of films whose sound ffmpeg decodes.
const FILMS: [&str; 19] = [
    "avi", "mov", "m4v", "mpg", "mpeg", "vob", "m2ts", "mts", "wmv", "flv", "f4v", "ogv", "ogm",
    "3g2", "mxf", "divx", "rmvb", "nsv", "wtv",
];

/// Why a file was left out, and what can be done about it.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(crate) reason: Hint,
    pub(crate) hint: Option<Hint>,
}

impl From<Hint> for Why {
    fn from(reason: Hint) -> Self {
        Self { reason, hint: None }
    }
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Hint::from(reason).into()
    }
}

impl Why {
    /// Both as one, where there is something that programs offer: what helps everybody
    /// alike, such as getting the file again, is for lists.
    pub(crate) fn in_short(&self) -> Hint {
        match &self.hint {
            Some(hint) if hint.remedies().next().is_some() => self.reason.clone().and(hint.clone()),
            _ => self.reason.clone(),
        }
    }
}

/// Who reads audio files, by the settings.
#[derive(Debug)]
pub(crate) struct Decoding {
    config: Arc<Config>,
    /// The program, once it was looked for and found.
    found: Mutex<Option<Arc<Ffmpeg>>>,
}

impl Decoding {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { config, found: Mutex::default() }
    }

    /// The ffmpeg that reads what songrec does not; none where no setting asks for it.
    ///
    /// # Errors
    ///
    /// When it is asked for and not there, or a folder's file alone asks for it.
    pub(crate) fn ffmpeg(&self) -> Result<Option<Arc<Ffmpeg>>> {
        if !self.config.get(keys::DECODE_FFMPEG) {
            return Ok(None);
        }
        if let Some(file) = self.config.project_file(keys::DECODE_FFMPEG) {
            return Err(Error::usage("`decode.ffmpeg` may not come from the working folder")
                .because(format!(
                    "`{}` would have another program read files of who wrote it",
                    file.display()
                ))
                .with_hint("set it in your own configuration or in the environment"));
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() {
            *found = Some(Arc::new(installed()?));
        }
        Ok(found.clone())
    }

    /// How files are opened: of any size.
    ///
    /// # Errors
    ///
    /// As [`ffmpeg`](Self::ffmpeg).
    pub(crate) fn opening(&self) -> Result<Opening> {
        Ok(Opening::with(self.ffmpeg()?))
    }
}

/// The ffmpeg of this machine.
///
/// # Errors
///
/// When there is none, or it does not run.
pub(crate) fn installed() -> Result<Ffmpeg> {
    Ffmpeg::find(Path::new(PROGRAM)).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no `ffmpeg` on this machine".to_owned(),
            _ => "`ffmpeg` does not run on this machine".to_owned(),
        };
        let error = match error.kind() {
            std::io::ErrorKind::NotFound => "none of the folders in `PATH` has it".to_owned(),
            _ => error.to_string(),
        };
        Error::usage(message).because(error).with_hint(
            "install it with the packages of your system, or set `decode.ffmpeg` to `false`: \
             then files that songrec does not read by itself are left out",
        )
    })
}

/// Why a file cannot be read, and what else could read it or can be done.
pub(crate) fn why(path: &Path, error: &songrec_audio::Error, opening: &Opening) -> Why {
    let mut reason = error.reason().to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = format!("{reason}: {source}");
    }
    let hint = others(path, error, opening).unwrap_or_else(|| error.hint().into());
    Why { reason: reason.into(), hint: Some(hint) }
}

/// Why audio of a format that is not read here is left out.
pub(crate) fn unread(ending: &str) -> Why {
    let reason = format!("songrec does not read `{ending}` files by itself").into();
    Why { reason, hint: Some(use_ffmpeg()) }
}

fn use_ffmpeg() -> Hint {
    Hint::of("{} lets an installed ffmpeg try", [Remedy::UseFfmpeg])
}

/// What else could read a file that songrec does not read by itself, if something may.
pub(crate) fn others(path: &Path, error: &songrec_audio::Error, opening: &Opening) -> Option<Hint> {
    let may_be_read = match error.reason() {
        Reason::UnsupportedCodec(_) => true,
        Reason::NotAudio => is_for_ffmpeg(path),
        _ => false,
    };
    (may_be_read && opening.ffmpeg.is_none()).then(use_ffmpeg)
}

/// Whether ffmpeg reads a file and nothing here does, by the end of its name.
pub(crate) fn is_for_ffmpeg(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        UNREAD.iter().chain(&FILMS).any(|known| ending.eq_ignore_ascii_case(known))
    })
}
