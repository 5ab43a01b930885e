//! What sounds alike.

use std::collections::HashMap;

use serde::Serialize;
use songrec_core::{Card, Filter, Metric, ModelName, Song, SongId, Vector, fold};
use songrec_storage::{FoundNeighbor, NearestQuery, StorageBackendExt};

use crate::{Error, Explanation, Library, Named, Result, explain, hearing};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct SimilarOptions {
    /// The model to compare by; the configured one if it is not said.
    pub model: Option<ModelName>,
    /// How many songs.
    pub k: usize,
    /// How many of the nearest to leave out.
    pub offset: usize,
    /// The lowest similarity that counts.
    pub threshold: Option<f64>,
    /// How to compare; the model's own metric if it is not said.
    pub metric: Option<Metric>,
    /// Which songs count.
    pub filter: Filter,
    /// Songs that do not count.
    pub exclude: Vec<SongId>,
    /// At most so many of one artist.
    pub max_per_artist: Option<usize>,
    /// At most so many of one album.
    pub max_per_album: Option<usize>,
    /// Whether the song itself counts.
    pub include_self: bool,
    /// Whether another copy of a recording that is listed already is listed
    /// too.
    pub all_copies: bool,
    /// Whether to say why each one is similar.
    pub explain: bool,
}

impl Default for SimilarOptions {
    fn default() -> Self {
        Self {
            model: None,
            k: 10,
            offset: 0,
            threshold: None,
            metric: None,
            filter: Filter::all(),
            exclude: Vec::new(),
            max_per_artist: None,
            max_per_album: None,
            include_self: false,
            all_copies: false,
            explain: false,
        }
    }
}

/// Similar songs, nearest first.
#[derive(Clone, Debug, Serialize)]
pub struct Similar {
    /// What they are similar to.
    pub query: Query,
    /// The model that was compared by.
    pub model: ModelName,
    /// How.
    pub metric: Metric,
    /// The songs.
    pub results: Vec<SimilarSong>,
    /// Why there are fewer than were asked for, if there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
}

/// What was asked about.
#[derive(Clone, Debug, Serialize)]
pub struct Query {
    /// Its id, if it is in the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<SongId>,
    /// Its title, or the file's name.
    pub title: String,
    /// Its artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// In seconds.
    pub duration: f64,
}

/// One similar song.
#[derive(Clone, Debug, Serialize)]
pub struct SimilarSong {
    /// Counted from 1, the nearest.
    pub rank: usize,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
    /// The song.
    #[serde(flatten)]
    pub card: Card,
    /// How many other copies of the recording were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub copies_left_out: usize,
    /// Why it is similar, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// How many hits are looked at in one go when some may be left out.
const MARGIN: usize = 50;

impl Library {
    /// The songs that sound like `name`: a song of the library, or any audio
    /// file, which is heard on the spot and not kept.
    ///
    /// # Errors
    ///
    /// When there is no such song, or it has no embedding by the model.
    pub async fn similar(&self, name: &str, options: &SimilarOptions) -> Result<Similar> {
        let model_name = match &options.model {
            Some(name) => name.clone(),
            None => self.search_model()?,
        };
        let (song, vector) = match self.resolve(name).await? {
            Named::Song(song) => {
                let vector = self.stored_vector(&model_name, &song).await?;
                (*song, vector)
            }
            Named::File(path) => hearing::hear_outside(&path, &model_name).await?,
        };
        self.similar_to(&song, vector, model_name, options).await
    }

    async fn stored_vector(&self, model: &ModelName, song: &Song) -> Result<Vector> {
        match self.backend.get_embedding(model, song.id).await? {
            Some(stored) => Ok(stored.embedding.vector),
            None => Err(Error::not_found(format_args!(
                "`{}` was not heard by `{model}`",
                Card::of(song).title
            ))
            .with_hint(match song.embeddings.keys().next() {
                Some(other) => {
                    format!("it was heard by `{other}`: try `--model {other}`, or scan it again")
                }
                None => "scan its file again".to_owned(),
            })),
        }
    }

    /// The songs near to a vector that stands for `song`.
    ///
    /// # Errors
    ///
    /// When the library does not know the model, or its vectors differ in
    /// dimension.
    pub async fn similar_to(
        &self,
        song: &Song,
        vector: Vector,
        model: ModelName,
        options: &SimilarOptions,
    ) -> Result<Similar> {
        let spec = self.backend.models().await?.into_iter().find(|spec| spec.name == model);
        let Some(spec) = spec else {
            return Err(Error::not_found(format_args!("no song here was heard by `{model}`"))
                .with_hint("`songrec stats` lists the models; `songrec scan PATH` adds songs"));
        };
        let mut exclude = options.exclude.clone();
        if !options.include_self {
            exclude.push(song.id);
        }
        let may_leave_out = !options.all_copies
            || options.max_per_artist.is_some()
            || options.max_per_album.is_some();
        let mut chosen = Chosen::new(song, options);
        let wanted = options.offset.saturating_add(options.k);
        let mut ask = if may_leave_out { wanted.saturating_add(MARGIN) } else { wanted };
        let mut seen = 0;
        loop {
            let query = NearestQuery {
                model: model.clone(),
                vector: vector.clone(),
                k: ask,
                offset: seen,
                threshold: options.threshold,
                metric: options.metric,
                filter: options.filter.clone(),
                exclude: exclude.clone(),
            };
            let found = self.backend.nearest_songs(&query).await?;
            let exhausted = found.len() < ask;
            seen += found.len();
            for hit in found {
                chosen.consider(hit);
            }
            if chosen.songs.len() >= wanted || exhausted {
                break;
            }
            ask = ask.saturating_mul(2);
        }
        let results: Vec<SimilarSong> = chosen
            .songs
            .into_iter()
            .skip(options.offset)
            .take(options.k)
            .enumerate()
            .map(|(place, chosen)| SimilarSong {
                rank: options.offset + place + 1,
                similarity: chosen.hit.similarity,
                distance: chosen.hit.distance,
                explanation: options.explain.then(|| explain(song, &chosen.hit.song)),
                copies_left_out: chosen.copies,
                card: Card::of(&chosen.hit.song),
            })
            .collect();
        let shortfall = match results.len() < options.k {
            true => Some(self.shortfall(&model, results.len(), chosen.limited, options).await?),
            false => None,
        };
        let card = Card::of(song);
        let in_library = self.backend.get_song(song.id).await?.is_some();
        Ok(Similar {
            query: Query {
                id: in_library.then_some(song.id),
                title: card.title,
                artist: card.artist,
                duration: card.duration,
            },
            metric: options.metric.unwrap_or(spec.metric),
            model,
            results,
            shortfall,
        })
    }

    // Why there are only `found` results, in words.
    async fn shortfall(
        &self,
        model: &ModelName,
        found: usize,
        limited: usize,
        options: &SimilarOptions,
    ) -> Result<String> {
        let all = self.backend.count_songs(&Filter::all()).await?;
        let mut reasons = Vec::new();
        if all == 0 {
            return Ok("the library is empty: `songrec scan PATH` adds songs".to_owned());
        }
        if !options.filter.is_all() {
            let passing = self.backend.count_songs(&options.filter).await?;
            reasons.push(format!("{passing} of {all} songs pass the filter"));
        }
        if let Some(threshold) = options.threshold {
            reasons.push(format!("only a similarity of {threshold} or more counts"));
        }
        if limited > 0 {
            reasons.push(format!(
                "{limited} were left out as copies or as too many of one artist or album"
            ));
        }
        if options.offset > 0 {
            reasons.push(format!("the first {} were passed over", options.offset));
        }
        if reasons.is_empty() {
            reasons.push(format!("these are all that `{model}` heard in a library of {all}"));
        }
        let found =
            if found == 0 { "nothing found".to_owned() } else { format!("only {found} found") };
        Ok(format!("{found}: {}", reasons.join("; ")))
    }
}

// The hits that stay, in order, under the limits that were asked for.
struct Chosen<'a> {
    options: &'a SimilarOptions,
    songs: Vec<ChosenSong>,
    artists: HashMap<String, usize>,
    albums: HashMap<(String, String), usize>,
    limited: usize,
    query: Option<Recording>,
}

struct ChosenSong {
    hit: FoundNeighbor,
    recording: Option<Recording>,
    copies: usize,
}

// What tells that two songs are encodings of one recording: the same title
// and artist in the tags, and the same length. Names guessed from files are
// no evidence.
struct Recording {
    title: String,
    artist: String,
    duration: f64,
}

impl Recording {
    fn of(song: &Song) -> Option<Self> {
        let tags = song.edits.apply(&song.tags);
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
    fn new(song: &Song, options: &'a SimilarOptions) -> Self {
        Self {
            options,
            songs: Vec::new(),
            artists: HashMap::new(),
            albums: HashMap::new(),
            limited: 0,
            // Other copies of the song itself are not news either.
            query: (!options.include_self).then(|| Recording::of(song)).flatten(),
        }
    }

    fn consider(&mut self, hit: FoundNeighbor) {
        let recording = Recording::of(&hit.song);
        if let Some(recording) = recording.as_ref().filter(|_| !self.options.all_copies) {
            if self.query.as_ref().is_some_and(|query| recording.is_copy_of(query)) {
                self.limited += 1;
                return;
            }
            let same = self.songs.iter_mut().find(|chosen| {
                chosen.recording.as_ref().is_some_and(|other| recording.is_copy_of(other))
            });
            if let Some(same) = same {
                same.copies += 1;
                self.limited += 1;
                return;
            }
        }
        let card = Card::of(&hit.song);
        let artist = card.artist.as_deref().map(fold);
        let album =
            card.album.as_deref().map(|album| (artist.clone().unwrap_or_default(), fold(album)));
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
        self.songs.push(ChosenSong { hit, recording, copies: 0 });
    }
}
