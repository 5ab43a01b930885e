//! Queues of songs that go on from some songs.

mod draw;

use serde::Serialize;
use songrec_core::{Filter, SongId, SongSummary, words};

use self::draw::{Candidate, Rules, draw, pool};
use crate::{Error, Example, Library, Result, SimilarOptions, similar_to};

/// Songs of one queue, at the most.
const MOST: usize = 1_000;
/// How many songs if neither a number nor a time is said.
const USUAL: usize = 25;
/// Songs that are asked for beyond those that take part, for where these do not fit.
const MORE: usize = 100;
/// So many of the nearest come with one search of a library that is far away; for more it
/// reads every vector.
const ONE_SEARCH: usize = 900;
/// Seconds of a song, where nothing says how many songs fill a time.
const SHORTEST: f64 = 60.0;
/// How many times as many songs are looked for where those that were guessed are too short.
const GROWTH: usize = 4;
/// Songs that a queue can leave out, at the most.
const MOST_PLAYED: usize = 20_000;

/// What a queue is like.
#[derive(Clone, Debug)]
pub struct RadioOptions {
    /// How many songs; 25 if neither this nor a time is given, 1,000 at the most.
    pub length: Option<usize>,
    /// How long they play together, in minutes, the last song included.
    pub minutes: Option<f64>,
    /// From 0, the most similar songs in their order, to 1, any of eight times as many.
    pub variety: f64,
    /// What chance is drawn from: the same number makes the same queue.
    pub seed: u64,
    /// Songs between two of one artist, at the least.
    pub artist_spacing: usize,
    /// Songs between two of one album, at the least.
    pub album_spacing: usize,
    /// Which songs count.
    pub filter: Filter,
    /// Songs that do not count, such as those that were played.
    pub played: Vec<SongId>,
    /// The model to compare by; the one that searches use if none is given.
    pub model: Option<String>,
}

impl Default for RadioOptions {
    fn default() -> Self {
        Self {
            length: None,
            minutes: None,
            variety: 0.0,
            seed: 0,
            artist_spacing: 0,
            album_spacing: 0,
            filter: Filter::all(),
            played: Vec::new(),
            model: None,
        }
    }
}

/// A queue.
#[derive(Clone, Debug, Serialize)]
pub struct Radio {
    /// Its songs, in their order. Those that it goes on from are not among them.
    pub songs: Vec<RadioSong>,
    /// How long they play together, in seconds.
    pub duration: f64,
    /// Why there are fewer than were asked for, and what else has to be said.
    pub notes: Vec<String>,
}

/// A song of a queue.
#[derive(Clone, Debug, Serialize)]
pub struct RadioSong {
    /// Its place, from 1.
    pub position: usize,
    /// How similar it is to the songs that the queue goes on from; higher is closer.
    pub similarity: f64,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
}

/// A queue of songs that sound like `songs`, in an order by [`RadioOptions`]. Costs one
/// search, for more songs the more variety there is, and a few more for a time that
/// songs of less than a minute fill; of a library that is far away it draws
/// from fewer, so that one request is enough. There a queue of more than 800 songs, or one
/// without some hundred songs that were played, may read every vector.
///
/// # Errors
///
/// `Usage` for options that mean nothing; those of [`similar_to`].
pub async fn radio(library: &Library, songs: &[Example], options: &RadioOptions) -> Result<Radio> {
    let mut rules = rules(options)?;
    if options.played.len() > MOST_PLAYED {
        return Err(Error::usage(format_args!("{} songs were played", options.played.len()))
            .with_hint(format!(
                "a queue leaves out {MOST_PLAYED} at the most: name the last ones"
            )));
    }
    let folded = |text: &Option<String>| {
        text.as_deref().map(|text| words(text).join(" ")).filter(|text| !text.is_empty())
    };
    let candidate = |summary: &SongSummary| Candidate {
        song: summary.id,
        artist: folded(&summary.artist),
        // Albums of two artists may have one name.
        album: folded(&summary.album)
            .map(|album| format!("{album} by {}", folded(&summary.artist).unwrap_or_default())),
        duration: summary.duration,
    };
    let (found, drawn, k, most) = loop {
        let most = pool(rules.songs, rules.variety) + MORE;
        let k = match library.is_remote() {
            // Less variety is worth less than a look at every vector.
            true => most.min(ONE_SEARCH.max(rules.songs + MORE)),
            false => most,
        };
        let wanted = SimilarOptions {
            k,
            filter: options.filter.clone(),
            exclude: options.played.clone(),
            model: options.model.clone(),
            ..SimilarOptions::default()
        };
        let found = similar_to(library, songs, &wanted).await?;
        let candidates: Vec<Candidate> =
            found.results.iter().map(|one| candidate(&one.summary)).collect();
        let drawn = draw(&candidates, &rules);
        let seconds: f64 = drawn.chosen.iter().map(|number| candidates[*number].duration).sum();
        let is_short = rules.seconds.is_some_and(|wanted| seconds < wanted);
        let is_full = drawn.chosen.len() == rules.songs && rules.songs < MOST;
        // Of samples, more fill a time than were guessed.
        if is_short && is_full && options.length.is_none() {
            rules.songs = (rules.songs * GROWTH).min(MOST);
            continue;
        }
        break (found, drawn, k, most);
    };
    let mut notes: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
    if k < most {
        notes.push(format!(
            "drawn from the {k} nearest songs, which one search of this library finds"
        ));
    }
    let chosen: Vec<RadioSong> = (1..)
        .zip(&drawn.chosen)
        .map(|(position, number)| RadioSong {
            position,
            similarity: found.results[*number].similarity,
            summary: found.results[*number].summary.clone(),
        })
        .collect();
    let duration = chosen.iter().fold(0.0, |sum, song| sum + song.summary.duration);
    let is_short = match rules.seconds {
        Some(seconds) => duration < seconds,
        None => chosen.len() < rules.songs,
    };
    if is_short && drawn.too_near > 0 {
        notes.push(format!(
            "{} more sound alike, and would come too near to a song of the same artist or album",
            drawn.too_near
        ));
    }
    if is_short && chosen.len() < MOST {
        notes.extend(found.shortfall.iter().map(ToString::to_string));
    }
    if is_short && !options.played.is_empty() {
        notes.push(format!("{} songs that were played are left out", options.played.len()));
    }
    if is_short && chosen.len() == MOST {
        notes.push(format!("a queue has {MOST} songs at the most"));
    }
    Ok(Radio { songs: chosen, duration: (duration * 1000.0).round() / 1000.0, notes })
}

fn rules(options: &RadioOptions) -> Result<Rules> {
    let RadioOptions { length, minutes, variety, .. } = options;
    if !(0.0..=1.0).contains(variety) {
        return Err(Error::usage(format_args!("`{variety}` is no variety"))
            .with_hint("0 is always the most similar songs, 1 any of eight times as many"));
    }
    if let Some(minutes) = minutes.filter(|minutes| !(*minutes > 0.0 && *minutes <= 10_000.0)) {
        return Err(Error::usage(format_args!("`{minutes}` is no time"))
            .with_hint("a time is 1 to 10,000 minutes"));
    }
    let seconds = minutes.map(|minutes| minutes * 60.0);
    let songs = match (length, seconds) {
        (Some(length), _) => *length,
        (None, Some(seconds)) => ((seconds / SHORTEST).ceil() as usize).min(MOST),
        (None, None) => USUAL,
    };
    if !(1..=MOST).contains(&songs) {
        return Err(Error::usage(format_args!("a queue cannot have {songs} songs"))
            .with_hint(format!("ask for 1 to {MOST}")));
    }
    Ok(Rules {
        songs,
        seconds,
        variety: *variety,
        seed: options.seed,
        artist: options.artist_spacing,
        album: options.album_spacing,
    })
}
