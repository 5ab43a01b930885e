//! Asking a service.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use songrec_core::Job;

use super::{
    PreviewTrack, freesound, itunes,
    service::{Make, PreviewService, Question},
    web::Web,
};
use crate::{Config, Error, ErrorKind, Result, keys, work::until_interrupted};

/// Every service, the usual one first.
const SERVICES: [(&str, Make); 2] =
    [(itunes::NAME, itunes::make), (freesound::NAME, freesound::make)];
/// What the services are called.
pub const PREVIEW_SERVICES: [&str; 2] = [itunes::NAME, freesound::NAME];
/// Characters of words to search for, at the most.
const LONGEST: usize = 500;
/// Tracks of one request by their ids, at the most.
const MOST_IDS: usize = 1_000;

/// Which tracks are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviewWords {
    /// Those that the service finds by words, so many at the most.
    Words(String, usize),
    /// Those with these ids.
    Ids(Vec<String>),
}

impl PreviewWords {
    /// What a person means who types `texts`: ids if all of them are digits, otherwise words.
    pub fn of(texts: &[String], limit: usize) -> Self {
        let is_id = |text: &String| {
            (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        match texts.is_empty() || !texts.iter().all(is_id) {
            true => Self::Words(texts.join(" "), limit),
            false => {
                let mut ids: Vec<String> = Vec::new();
                for id in texts {
                    // The service gives a number.
                    let id = match id.trim_start_matches('0') {
                        "" => "0",
                        id => id,
                    };
                    if !ids.iter().any(|known| known == id) {
                        ids.push(id.to_owned());
                    }
                }
                Self::Ids(ids)
            }
        }
    }
}

/// A service that is asked, no faster than it allows: one for all that ask it.
#[derive(Debug)]
pub struct Previews {
    service: Box<dyn PreviewService>,
    pub(super) web: Web,
}

impl Previews {
    /// The service with this name, or that of the settings. Asks it nothing yet.
    ///
    /// # Errors
    ///
    /// When there is none of that name, its settings are wrong, or it needs a key that is not
    /// there.
    pub fn open(config: &Config, service: Option<&str>) -> Result<Self> {
        let name = service.unwrap_or_else(|| config.get(keys::PREVIEWS_SERVICE));
        let Some((_, make)) = SERVICES.iter().find(|(known, _)| *known == name) else {
            return Err(Error::usage(format_args!("`{name}` is no service with previews"))
                .with_hint(format_args!("name one of {}", PREVIEW_SERVICES.join(", "))));
        };
        let service = make(config)?;
        let web = Web::new(&*service, config)?;
        Ok(Self { service, web })
    }

    /// What it is called.
    pub fn service(&self) -> &'static str {
        self.service.name()
    }

    /// The tracks that are meant, each once; by ids in the order of these, and without those
    /// that the service does not have.
    ///
    /// # Errors
    ///
    /// `Usage` if too much or nothing is asked for; `Interrupted`; those of asking.
    pub async fn find(&self, wanted: &PreviewWords, job: &Job) -> Result<Vec<PreviewTrack>> {
        self.check(wanted)?;
        let mut found = match wanted {
            PreviewWords::Words(words, limit) => {
                let words = in_one_line(words);
                let mut found = self.ask(self.service.search(&words, *limit), job).await?;
                found.truncate(*limit);
                found
            }
            PreviewWords::Ids(ids) => {
                let mut found = Vec::new();
                for ids in ids.chunks(self.service.most()) {
                    found.extend(self.ask(self.service.look_up(ids), job).await?);
                }
                let place = |track: &PreviewTrack| ids.iter().position(|id| *id == track.id);
                found.retain(|track| place(track).is_some());
                found.sort_by_key(place);
                found
            }
        };
        let mut seen = BTreeSet::new();
        found.retain(|track| seen.insert(track.id.clone()));
        Ok(found)
    }

    /// Whether this can be asked for. Asks nothing.
    ///
    /// # Errors
    ///
    /// `Usage` if too much or nothing is asked for.
    pub fn check(&self, wanted: &PreviewWords) -> Result<()> {
        let (words, limit) = match wanted {
            PreviewWords::Words(words, limit) => (in_one_line(words), *limit),
            PreviewWords::Ids(ids) if ids.len() > MOST_IDS => {
                return Err(Error::usage(format_args!("{} tracks are too many", ids.len()))
                    .with_hint(format_args!("name {MOST_IDS} at a time")));
            }
            PreviewWords::Ids(_) => return Ok(()),
        };
        let most = self.service.most();
        if words.is_empty() {
            return Err(Error::usage("there is no word to search for")
                .with_hint("name words of a title or an artist"));
        }
        if words.chars().count() > LONGEST {
            return Err(Error::usage("these are too many words")
                .with_hint(format_args!("use {LONGEST} characters at the most")));
        }
        if !(1..=most).contains(&limit) {
            let name = self.service.name();
            return Err(Error::usage(format_args!("{limit} tracks cannot be asked for"))
                .with_hint(format_args!("`{name}` gives 1 to {most}")));
        }
        Ok(())
    }

    async fn ask(&self, question: Question, job: &Job) -> Result<Vec<PreviewTrack>> {
        tokio::select! {
            answer = self.web.ask(&question, |answer| self.service.tracks(answer)) => answer,
            () = until_interrupted(&job.interrupt) => {
                Err(Error::new(ErrorKind::Interrupted, "interrupted; nothing was changed"))
            }
        }
    }
}

fn in_one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The services that were asked, so that all requests together are not too many.
#[derive(Debug, Default)]
pub struct PreviewServices(Mutex<BTreeMap<String, Arc<Previews>>>);

impl PreviewServices {
    /// As [`Previews::open`]; the same one whenever it is asked for.
    ///
    /// # Errors
    ///
    /// As [`Previews::open`].
    pub fn open(&self, config: &Config, service: Option<&str>) -> Result<Arc<Previews>> {
        let name = service.unwrap_or_else(|| config.get(keys::PREVIEWS_SERVICE));
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(previews) = opened.get(name) {
            return Ok(previews.clone());
        }
        let previews = Arc::new(Previews::open(config, Some(name))?);
        opened.insert(name.to_owned(), previews.clone());
        Ok(previews)
    }
}
