//! A gradual way from one song to another.

mod chain;

use serde::Serialize;
use songrec_core::{Filter, Metric, ModelName, Song, SongId, SongSummary, Vector};

use self::chain::{Step, chain, mixes};
use crate::{
    Error, ErrorKind, Example, Library, Result, SimilarOptions, SimilarSong, similar_to, vector_of,
};

/// Songs of a way, at the most, with both ends.
const MOST: usize = 100;
/// Songs that are asked for at each place.
const NEAR: usize = 30;
/// The same where songs have to be mixed, of which few can.
const NEAR_TO_MIX: usize = 200;

/// What a way is like.
#[derive(Clone, Debug)]
pub struct BetweenOptions {
    /// How many songs, with both ends: 2 to 100.
    pub length: usize,
    /// Whether each song can be mixed with the next: by keys that are neighbors on the
    /// Camelot wheel, and tempos within 6 %.
    pub mix: bool,
    /// Which songs count between the ends.
    pub filter: Filter,
    /// The model in whose space it goes; the one that searches use if none is given.
    pub model: Option<String>,
}

impl Default for BetweenOptions {
    fn default() -> Self {
        Self { length: 10, mix: false, filter: Filter::all(), model: None }
    }
}

/// A way from one song to another.
#[derive(Clone, Debug, Serialize)]
pub struct Between {
    /// The model in whose space it goes.
    pub model: ModelName,
    /// The songs, both ends included.
    pub songs: Vec<BetweenSong>,
    /// How long they play together, in seconds.
    pub duration: f64,
    /// Why there are fewer than were asked for, and what else has to be said.
    pub notes: Vec<String>,
}

/// A song of a way.
#[derive(Clone, Debug, Serialize)]
pub struct BetweenSong {
    /// Its place, from 1.
    pub position: usize,
    /// How far along it stands: 0 at the first song, 1 at the last.
    pub along: f64,
    /// Whether it can be mixed with the one before, by key and tempo.
    pub mixes: bool,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
}

/// Songs that lead from `a` to `b` in even steps through the space of a model, without
/// a song twice. Costs a search for each song between them.
///
/// # Errors
///
/// `Usage` for a length that means nothing, or twice the same song; `NotFound` if the
/// model did not embed one of them; those of the library.
pub async fn between(
    library: &Library,
    a: &Song,
    b: &Song,
    options: &BetweenOptions,
) -> Result<Between> {
    if !(2..=MOST).contains(&options.length) {
        return Err(Error::usage(format_args!("a way cannot have {} songs", options.length))
            .with_hint(format!("it has 2 to {MOST}, both ends included")));
    }
    if a.id == b.id {
        return Err(Error::usage("a way begins and ends with different songs")
            .with_hint("name another song for its end"));
    }
    let (spec, from) = vector_of(library, a, options.model.as_deref()).await?;
    let (_, to) = vector_of(library, b, Some(spec.name.as_str())).await?;
    let mut layers: Vec<Vec<SimilarSong>> = Vec::new();
    let inner = options.length - 2;
    for place in 1..=inner {
        let along = place as f64 / (inner + 1) as f64;
        let target = [Example::vector(point(&from, &to, along, spec.metric)?)];
        let asked = SimilarOptions {
            k: if options.mix { NEAR_TO_MIX } else { NEAR },
            filter: options.filter.clone(),
            exclude: vec![a.id, b.id],
            model: Some(spec.name.to_string()),
            ..SimilarOptions::default()
        };
        layers.push(similar_to(library, &target, &asked).await?.results);
    }
    let ends = [SongSummary::of(a), SongSummary::of(b)];
    Ok(whole(spec.name, ends, &layers, options))
}

fn whole(
    model: ModelName,
    [first, last]: [SongSummary; 2],
    layers: &[Vec<SimilarSong>],
    options: &BetweenOptions,
) -> Between {
    let of_layer = |layer: &Vec<SimilarSong>| -> Vec<Step> {
        layer.iter().map(|one| step(&one.summary, one.distance)).collect()
    };
    let steps: Vec<Vec<Step>> = layers.iter().map(of_layer).collect();
    let (begin, end) = (step(&first, 0.0), step(&last, 0.0));
    let found = chain(&begin, &steps, &end, options.mix);
    let parts = (layers.len() + 1) as f64;
    let mut songs = vec![(0.0, first)];
    let inner = found
        .steps
        .iter()
        .map(|(layer, at)| ((layer + 1) as f64 / parts, layers[*layer][*at].summary.clone()));
    songs.extend(inner);
    songs.push((1.0, last));
    let mut notes = Vec::new();
    if found.skipped > 0 {
        let why = match options.mix {
            true => "of the songs that lie there, none can be mixed with its neighbors",
            false => "no other song lies there",
        };
        notes.push(format!("{} of {} places are left out: {why}", found.skipped, layers.len()));
    }
    let mut before: Option<Step> = None;
    let mut shown = Vec::with_capacity(songs.len());
    for (position, (along, summary)) in (1..).zip(songs) {
        let here = step(&summary, 0.0);
        let can_be_mixed = before.as_ref().is_none_or(|before| mixes(before, &here));
        if options.mix && !can_be_mixed {
            notes.push(format!("`{}` cannot be mixed with the song before it", summary.title));
        }
        before = Some(here);
        shown.push(BetweenSong { position, along, mixes: can_be_mixed, summary });
    }
    let duration = shown.iter().fold(0.0, |sum, song| sum + song.summary.duration);
    Between { model, songs: shown, duration: (duration * 1000.0).round() / 1000.0, notes }
}

fn step(song: &SongSummary, distance: f64) -> Step {
    let id: SongId = song.id;
    Step { song: id, distance, key: song.key, bpm: song.bpm }
}

// The point between two vectors; where only their angle counts, between their directions.
fn point(from: &Vector, to: &Vector, along: f64, metric: Metric) -> Result<Vector> {
    let scaled = |vector: &Vector| match metric {
        Metric::Cosine => vector.norm().max(f64::MIN_POSITIVE),
        Metric::DotProduct | Metric::Euclidean => 1.0,
    };
    let (a, b) = (scaled(from), scaled(to));
    let values = from
        .values()
        .iter()
        .zip(to.values())
        .map(|(x, y)| ((1.0 - along) * f64::from(*x) / a + along * f64::from(*y) / b) as f32);
    Vector::new(values.collect()).map_err(|error| {
        Error::new(ErrorKind::Failed, "there is no way between these songs").because(error)
    })
}
