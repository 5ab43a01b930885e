//! What every service has to say of itself.

use std::fmt;

use super::PreviewTrack;
use crate::{Config, Error, Result};

/// A music service that offers previews: what it is asked, and what it answers. It asks
/// nobody by itself.
pub(super) trait PreviewService: fmt::Debug + Send + Sync {
    /// What it is called, in settings and in file names.
    fn name(&self) -> &'static str;
    /// The address that all questions are added to.
    fn base(&self) -> &str;
    /// How often it may be asked in a minute.
    fn per_minute(&self) -> usize;
    /// What it has to see before it answers: the scheme of the header `Authorization`, and
    /// the key.
    fn key(&self) -> Option<(&'static str, &str)>;
    /// Tracks of one answer, at the most.
    fn most(&self) -> usize;
    /// Which tracks these words find, the best first.
    fn search(&self, words: &str, limit: usize) -> Question;
    /// What it says of the tracks with these ids, [`most`](Self::most) at the most.
    fn look_up(&self, ids: &[String]) -> Question;
    /// The tracks of an answer to either. What in it is no track is passed over.
    ///
    /// # Errors
    ///
    /// When it is no answer of this service, in words.
    fn tracks(&self, answer: &[u8]) -> Result<Vec<PreviewTrack>, String>;
}

/// What a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Below the service's address, without a slash at its begin.
    pub(super) path: &'static str,
    /// As they are, before anything is escaped.
    pub(super) parameters: Vec<(&'static str, String)>,
}

/// Makes a service of the settings.
pub(super) type Make = fn(&Config) -> Result<Box<dyn PreviewService>, Error>;
