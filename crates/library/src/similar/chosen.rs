//! Which candidates stay: copies, and limits on artists and albums.

use std::collections::HashMap;

use songrec_core::{Song, SongSummary, fold};

use super::SimilarOptions;

/// The candidates that stay, in order, under the limits that were asked for.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    options: &'a SimilarOptions,
    pub(super) songs: Vec<Choice>,
    // Of each of these, where its tags say.
    recordings: Vec<Option<Recording>>,
    /// How many were left out as copies or under the limits.
    pub(super) limited: usize,
    /// How many were left out because they are silent.
    pub(super) silent: usize,
    artists: HashMap<String, usize>,
    albums: HashMap<(String, String), usize>,
    queries: Vec<Recording>,
}

/// A candidate that stays.
#[derive(Debug)]
pub(super) struct Choice {
    /// Its place among the candidates.
    pub(super) at: usize,
    /// How many other copies of the recording were left out.
    pub(super) copies: usize,
}

// What shows that two songs are encodings of one recording: the same title
// and artist in the tags, and the same length. Names guessed from files are
// no evidence.
#[derive(Debug)]
struct Recording {
    title: String,
    artist: String,
    duration: f64,
}

impl Recording {
    fn of(song: &Song) -> Option<Self> {
        let tags = song.effective_tags();
        if tags.from_file_name {
            return None;
        }
        Some(Self {
            title: fold(&tags.title?),
            artist: fold(&tags.artist?),
            duration: song.audio.duration,
        })
    }

    // Encoders pad by up to a tenth of a second; a radio edit is seconds
    // shorter.
    fn is_copy_of(&self, other: &Self) -> bool {
        self.title == other.title
            && self.artist == other.artist
            && (self.duration - other.duration).abs() <= 1.0
    }
}

impl<'a> Chosen<'a> {
    pub(super) fn new<'s>(
        queries: impl IntoIterator<Item = &'s Song>,
        options: &'a SimilarOptions,
    ) -> Self {
        // Other copies of the songs that are asked about are no news either.
        let queries = queries.into_iter().filter_map(Recording::of);
        Self {
            options,
            songs: Vec::new(),
            recordings: Vec::new(),
            limited: 0,
            silent: 0,
            artists: HashMap::new(),
            albums: HashMap::new(),
            queries: if options.include_self { Vec::new() } else { queries.collect() },
        }
    }

    /// Takes the next candidate, which is `at` this place, or leaves it out.
    pub(super) fn consider(&mut self, at: usize, song: &Song) {
        // Older versions let models embed silence.
        if song.is_silent() {
            self.silent += 1;
            return;
        }
        let recording = Recording::of(song);
        if let Some(recording) = recording.as_ref().filter(|_| !self.options.all_copies) {
            if self.queries.iter().any(|query| recording.is_copy_of(query)) {
                self.limited += 1;
                return;
            }
            let same = self.recordings.iter().position(|chosen| {
                chosen.as_ref().is_some_and(|other| recording.is_copy_of(other))
            });
            if let Some(same) = same {
                self.songs[same].copies += 1;
                self.limited += 1;
                return;
            }
        }
        let summary = SongSummary::of(song);
        let artist = summary.artist.as_deref().map(fold);
        let album =
            summary.album.as_deref().map(|album| (artist.clone().unwrap_or_default(), fold(album)));
        let full = |count: Option<&usize>, limit: Option<usize>| {
            limit.is_some_and(|limit| count.copied().unwrap_or(0) >= limit)
        };
        let too_many = artist
            .as_ref()
            .is_some_and(|artist| full(self.artists.get(artist), self.options.max_per_artist))
            || album
                .as_ref()
                .is_some_and(|album| full(self.albums.get(album), self.options.max_per_album));
        if too_many {
            self.limited += 1;
            return;
        }
        if let Some(artist) = artist {
            *self.artists.entry(artist).or_default() += 1;
        }
        if let Some(album) = album {
            *self.albums.entry(album).or_default() += 1;
        }
        self.songs.push(Choice { at, copies: 0 });
        self.recordings.push(recording);
    }
}
