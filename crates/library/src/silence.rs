//! Which library far away did not answer a moment ago, so that the next command
//! that reads does not wait for it again.
//!
//! One small file in the state folder for each such library, which holds nothing:
//! when it was written says when nobody answered. An answer removes it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use songrec_core::Digest;

use crate::Config;

/// So long nobody who only reads asks again.
const MINUTE: Duration = Duration::from_secs(60);

/// What is remembered of one place.
pub(crate) struct Silence(PathBuf);

impl Silence {
    /// Of the place with this name.
    pub(crate) fn of(config: &Config, place: &str) -> Self {
        let name = Digest::of(place.as_bytes()).to_string();
        let folder = config.directories().state.join("astra");
        Self(folder.join(format!("{}.silent", &name[..16])))
    }

    /// How long ago it did not answer, if that was within the last minute. A
    /// clock that was set back says nothing.
    pub(crate) fn since(&self) -> Option<Duration> {
        let noted = fs::metadata(&self.0).and_then(|file| file.modified()).ok()?;
        SystemTime::now().duration_since(noted).ok().filter(|ago| *ago < MINUTE)
    }

    /// It did not answer just now. Where that cannot be written, the next
    /// command waits as this one did.
    pub(crate) fn note(&self) {
        let _ = self
            .0
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&self.0, b""));
    }

    /// It answered.
    pub(crate) fn end(&self) {
        if self.0.exists() {
            let _ = fs::remove_file(&self.0);
        }
    }
}
