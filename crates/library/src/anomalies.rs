//! Songs that are like no others, and in what.

use std::{collections::HashMap, str::FromStr};

use serde::{Deserialize, Serialize};
use songrec_analysis as analysis;
use songrec_core::{Filter, Hint, Job, ModelName, Remedy, Song, SongId, SongSummary};
use songrec_storage::{NearestQuery, StorageBackendExt};

use crate::{
    Error, ErrorKind, Library, Result, fresh,
    points::points,
    sample::{Sample, analysis_failed},
    work::on_cpu,
};

/// Neighbors whose mean distance [`AnomalyMethod::Neighbors`] scores by.
const NEIGHBORS: usize = 10;
/// Rows whose neighbors are all looked for, at the most.
const MOST_FOR_NEIGHBORS: usize = 200_000;
/// Songs that the values of a song are compared with, at the most.
const COMPARED: usize = 2_000;
/// Songs that are read at once.
const READ: usize = 100;
/// A value is unusual if so many of the songs have a lower one, or a higher one.
const UNUSUAL: f64 = 0.95;
/// Reasons that are given, at the most.
const REASONS: usize = 3;
/// The part of the songs that are anomalies if nobody says another one.
pub const CONTAMINATION: f64 = 0.1;

/// How songs are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnomalyMethod {
    /// By how few random cuts set them apart: an isolation forest (Liu, Ting and Zhou
    /// 2008).
    #[default]
    Forest,
    /// By how far their ten nearest neighbors are.
    #[serde(rename = "knn")]
    Neighbors,
}

impl FromStr for AnomalyMethod {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "forest" => Ok(Self::Forest),
            "knn" => Ok(Self::Neighbors),
            _ => Err("expected `forest` or `knn`".to_owned()),
        }
    }
}

/// Which songs are scored, and how.
#[derive(Clone, Debug)]
pub struct AnomalyOptions {
    /// How.
    pub method: AnomalyMethod,
    /// The part of the songs that are anomalies, above 0 and up to 0.5.
    pub contamination: f64,
    /// The model; the one that searches use if it is not said.
    pub model: Option<ModelName>,
    /// Which songs.
    pub filter: Filter,
    /// What chance is drawn from.
    pub seed: u64,
    /// How many anomalies are given, at the most.
    pub limit: usize,
}

/// The least typical songs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomalies {
    /// The model whose vectors were scored.
    pub model: ModelName,
    /// How.
    pub method: AnomalyMethod,
    /// The part of the songs that are anomalies.
    pub contamination: f64,
    /// What was taken from the raw scores, so that anomalies have scores below 0:
    /// scikit-learn's `offset_`.
    pub offset: f64,
    /// How many songs were scored.
    pub songs: u64,
    /// How many of them have a score below 0.
    pub anomalies: u64,
    /// The least typical of these, the least typical first.
    pub results: Vec<Anomaly>,
}

/// A song that is like no others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// Below 0; the lower, the less typical, as scikit-learn's `decision_function`.
    pub score: f64,
    /// In what it differs, in words.
    pub reasons: Vec<String>,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
}

/// Scores as they are kept.
#[derive(Debug, Serialize, Deserialize)]
struct Scores {
    model: ModelName,
    offset: f64,
    /// Those below 0, the lowest first.
    lowest: Vec<(SongId, f64)>,
    songs: u64,
}

/// Songs that are like no others, from their vectors, and what is unusual about each.
///
/// Costs what [`points`](crate::points()) costs and the time of the method; scores are kept on this
/// machine until songs change. The reasons cost a search for each song that is given,
/// and reading up to 2,000 songs to compare with. Nothing if it was interrupted.
///
/// # Errors
///
/// When the library has too few songs, or options mean nothing; those of the library.
pub async fn anomalies(
    library: &Library,
    options: &AnomalyOptions,
    job: &Job,
) -> Result<Option<Anomalies>> {
    let contamination = options.contamination;
    if !(contamination > 0.0 && contamination <= 0.5) {
        return Err(Error::usage(format_args!("`{contamination}` is no part of the songs"))
            .with_hint("0.1 is every tenth song; the most is 0.5"));
    }
    let state = fresh::state(library, job).await?;
    // A filter may name a cluster, whose songs may be others by now.
    let is_kept = !options.filter.names_groups();
    let model = match &options.model {
        Some(model) => model.clone(),
        None => library.search_model().await?,
    };
    let asked = asked(options, &model);
    let kept = fresh::answer(library, "anomalies", &state, &asked).filter(|_| is_kept);
    let kept = kept.and_then(|bytes| serde_json::from_slice::<Scores>(&bytes).ok());
    let scores = match kept {
        Some(kept) => kept,
        None => {
            let Some(scores) = score(library, &model, options, job).await? else { return Ok(None) };
            let answer = serde_json::to_vec(&scores).unwrap_or_default();
            fresh::keep_answer(library, "anomalies", &state, &asked, &answer);
            scores
        }
    };
    let shown: Vec<(SongId, f64)> = scores.lowest.iter().take(options.limit).copied().collect();
    let Some(results) = explained(library, &scores.model, &shown, &options.filter, job).await?
    else {
        return Ok(None);
    };
    Ok(Some(Anomalies {
        model: scores.model,
        method: options.method,
        contamination,
        offset: scores.offset,
        songs: scores.songs,
        anomalies: scores.lowest.len() as u64,
        results,
    }))
}

/// Whether the scores of these options are kept and are those of the library as it is, so
/// that [`anomalies()`] need not work them out.
///
/// # Errors
///
/// Those of the library.
pub async fn are_anomalies_kept(
    library: &Library,
    options: &AnomalyOptions,
    job: &Job,
) -> Result<bool> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => library.search_model().await?,
    };
    let state = fresh::state(library, job).await?;
    let is_stable = !options.filter.names_groups();
    Ok(is_stable && fresh::is_fresh(library, "anomalies", &state, &asked(options, &model)))
}

// By what scores are known again.
fn asked<'a>(
    options: &AnomalyOptions,
    model: &'a ModelName,
) -> (AnomalyMethod, f64, &'a ModelName, Vec<String>, u64) {
    let terms = options.filter.terms.iter().map(ToString::to_string).collect();
    (options.method, options.contamination, model, terms, options.seed)
}

/// The score of every song, below 0 for a tenth of them, the anomalies. Nothing if it was
/// interrupted.
pub(crate) async fn decision_scores(
    library: &Library,
    model: &ModelName,
    method: AnomalyMethod,
    filter: &Filter,
    seed: u64,
    job: &Job,
) -> Result<Option<HashMap<SongId, f64>>> {
    let options = AnomalyOptions {
        method,
        contamination: CONTAMINATION,
        model: Some(model.clone()),
        filter: filter.clone(),
        seed,
        limit: 0,
    };
    let scored = all_scores(library, model, &options, job).await?;
    Ok(scored.map(|(ids, scores, offset)| {
        ids.into_iter().zip(scores).map(|(id, score)| (id, score - offset)).collect()
    }))
}

async fn score(
    library: &Library,
    model: &ModelName,
    options: &AnomalyOptions,
    job: &Job,
) -> Result<Option<Scores>> {
    let Some((ids, scores, offset)) = all_scores(library, model, options, job).await? else {
        return Ok(None);
    };
    let songs = ids.len() as u64;
    let mut lowest: Vec<(SongId, f64)> = ids
        .into_iter()
        .zip(scores)
        .map(|(song, score)| (song, score - offset))
        .filter(|(_, score)| *score < 0.0)
        .collect();
    lowest.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    Ok(Some(Scores { model: model.clone(), offset, lowest, songs }))
}

// Songs, a score for each, and the score that a part of them is below.
type Scored = (Vec<SongId>, Vec<f64>, f64);

async fn all_scores(
    library: &Library,
    model: &ModelName,
    options: &AnomalyOptions,
    job: &Job,
) -> Result<Option<Scored>> {
    let Some(points) = points(library, Some(model), &options.filter, job).await? else {
        return Ok(None);
    };
    let most = match options.method {
        AnomalyMethod::Forest => usize::MAX,
        AnomalyMethod::Neighbors => MOST_FOR_NEIGHBORS,
    };
    let Some(sample) = Sample::read(&points, most, job).await? else { return Ok(None) };
    if sample.len() < 2 {
        let of = if options.filter.is_all() { "" } else { " that pass the filter" };
        return Err(Error::not_found(format_args!(
            "no song is unusual among {} songs{of} with a vector by `{model}`",
            sample.len()
        ))
        .with_hint(Hint::of("{} embeds songs", [Remedy::Scan(songrec_core::Scan::Files)])));
    }
    if sample.is_part() {
        let text = format!("{} of {} songs are scored, evenly spread", sample.len(), sample.of);
        job.on(songrec_core::Event::Note { text: &text });
    }
    let (options, there) = (options.clone(), job.clone());
    let scored = on_cpu(None, move || {
        let scored = raw_scores(&sample, &options, &there);
        (sample, scored)
    });
    let (sample, scored) = scored.await.map_err(|why| Error::new(ErrorKind::Failed, why))?;
    let (scores, offset) = match scored {
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
        scored => scored?,
    };
    Ok(Some((sample.ids, scores, offset)))
}

// A score for each row, higher for what is typical, and the score that a part of the
// rows is below.
fn raw_scores(sample: &Sample, options: &AnomalyOptions, job: &Job) -> Result<(Vec<f64>, f64)> {
    let rows = sample.rows()?;
    let scores = match options.method {
        AnomalyMethod::Forest => {
            let asked = analysis::ForestOptions { seed: options.seed, ..Default::default() };
            let forest = analysis::IsolationForest::fit(rows, &asked, job);
            forest.and_then(|forest| forest.scores(rows, job)).map_err(analysis_failed)?
        }
        AnomalyMethod::Neighbors => {
            let k = NEIGHBORS.min(rows.len() - 1);
            let asked = analysis::GraphOptions { k, seed: options.seed, ..Default::default() };
            let graph = analysis::Graph::new(rows, &asked, job).map_err(analysis_failed)?;
            let mean = |row| {
                let sum: f64 = graph.row(row).map(|(_, distance)| f64::from(distance)).sum();
                sum / k as f64
            };
            (0..rows.len()).map(|row| -mean(row)).collect()
        }
    };
    let offset = quantile(&scores, options.contamination);
    Ok((scores, offset))
}

// The value that this part of the values is below, between two of them as near to each as
// it is to their places: as NumPy has it.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// A value of songs that people can hear.
struct Aspect {
    of: fn(&Song) -> Option<f64>,
    more: &'static str,
    less: &'static str,
}

const ASPECTS: [Aspect; 9] = [
    Aspect { of: |song| Some(song.audio.duration), more: "longer", less: "shorter" },
    Aspect {
        of: |song| song.features.as_ref()?.spectral_centroid_hz.map(f64::from),
        more: "brighter",
        less: "darker",
    },
    Aspect {
        of: |song| song.features.as_ref()?.loudness_lufs.map(f64::from),
        more: "louder",
        less: "softer",
    },
    Aspect {
        of: |song| song.features.as_ref()?.spectral_flatness.map(f64::from),
        more: "noisier",
        less: "more tonal",
    },
    Aspect {
        of: |song| song.features.as_ref()?.dynamic_range_db.map(f64::from),
        more: "more dynamic",
        less: "more even",
    },
    Aspect {
        of: |song| song.features.as_ref()?.onset_rate.map(f64::from),
        more: "busier",
        less: "calmer",
    },
    Aspect {
        of: |song| song.features.as_ref()?.spectral_bandwidth_hz.map(f64::from),
        more: "wider in frequency",
        less: "narrower in frequency",
    },
    Aspect {
        of: |song| song.features.as_ref()?.bpm.map(f64::from),
        more: "faster",
        less: "slower",
    },
    Aspect {
        of: |song| song.features.as_ref()?.silence_end_s.map(f64::from),
        more: "with a longer silence at its end",
        less: "",
    },
];

// The songs with what is unusual about them; nothing if it was interrupted.
async fn explained(
    library: &Library,
    model: &ModelName,
    songs: &[(SongId, f64)],
    filter: &Filter,
    job: &Job,
) -> Result<Option<Vec<Anomaly>>> {
    let Some(usual) = Usual::read(library, model, filter, job).await? else { return Ok(None) };
    let ids: Vec<SongId> = songs.iter().map(|(song, _)| *song).collect();
    let mut documents: HashMap<SongId, Song> = HashMap::new();
    for ids in ids.chunks(READ) {
        let found = library.backend().songs().get(ids).await?;
        documents.extend(found.into_iter().flatten().map(|song| (song.id, song)));
    }
    let mut results = Vec::with_capacity(songs.len());
    for (id, score) in songs {
        if job.is_interrupted() {
            return Ok(None);
        }
        // Deleted since.
        let Some(song) = documents.get(id) else { continue };
        let mut reasons = usual.reasons(song);
        if song.is_silent() {
            reasons.insert(0, "silent".to_owned());
        }
        reasons.extend(nearest(library, model, *id).await?);
        results.push(Anomaly { score: *score, reasons, summary: SongSummary::of(song) });
    }
    Ok(Some(results))
}

async fn nearest(library: &Library, model: &ModelName, id: SongId) -> Result<Option<String>> {
    let stored = library.backend().embeddings().get(model, &[id]).await?;
    let Some(stored) = stored.into_iter().flatten().next() else { return Ok(None) };
    let mut query = NearestQuery::new(model.clone(), stored.embedding.vector, 1);
    query.exclude.push(id);
    let found = library.backend().nearest_songs(&query).await?;
    Ok(found.first().map(|(near, _)| format!("its nearest neighbor is {:.2} away", near.distance)))
}

/// The values of many songs, each list in order.
struct Usual {
    values: Vec<Vec<f64>>,
}

impl Usual {
    async fn read(
        library: &Library,
        model: &ModelName,
        filter: &Filter,
        job: &Job,
    ) -> Result<Option<Self>> {
        let Some(points) = points_ids(library, model, filter, job).await? else { return Ok(None) };
        let count = points.len().min(COMPARED);
        let some: Vec<SongId> = (0..count).map(|i| points[i * points.len() / count]).collect();
        let mut values = vec![Vec::new(); ASPECTS.len()];
        for ids in some.chunks(READ) {
            if job.is_interrupted() {
                return Ok(None);
            }
            for song in library.backend().songs().get(ids).await?.iter().flatten() {
                for (aspect, values) in ASPECTS.iter().zip(&mut values) {
                    values.extend((aspect.of)(song).filter(|value| value.is_finite()));
                }
            }
        }
        values.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
        Ok(Some(Self { values }))
    }

    fn reasons(&self, song: &Song) -> Vec<String> {
        let mut found: Vec<(f64, String)> = Vec::new();
        for (aspect, values) in ASPECTS.iter().zip(&self.values) {
            let Some(value) = (aspect.of)(song) else { continue };
            if values.len() < 10 {
                continue;
            }
            let part = |count: usize| count as f64 / values.len() as f64;
            let below = part(values.partition_point(|one| *one < value));
            let above = part(values.len() - values.partition_point(|one| *one <= value));
            let (word, part) = match below >= above {
                true => (aspect.more, below),
                false => (aspect.less, above),
            };
            if part >= UNUSUAL && !word.is_empty() {
                let mut text = format!("{word} than {} of the songs", percent(part));
                if aspect.more == "longer" {
                    text = format!("{} s long, {text}", short(value));
                }
                found.push((part, text));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(REASONS).map(|(_, text)| text).collect()
    }
}

async fn points_ids(
    library: &Library,
    model: &ModelName,
    filter: &Filter,
    job: &Job,
) -> Result<Option<Vec<SongId>>> {
    if library.local.is_some() {
        let Some(points) = points(library, Some(model), filter, job).await? else {
            return Ok(None);
        };
        return Ok(Some(points.ids().await?));
    }
    let query = songrec_storage::SongQuery {
        filter: filter.clone(),
        limit: COMPARED.min(1_000),
        ..Default::default()
    };
    let page = library.backend().songs().find_summaries(&query).await?;
    Ok(Some(page.items.into_iter().map(|summary| summary.id).collect()))
}

// Never 100 %, which would be all songs.
fn percent(part: f64) -> String {
    match part {
        part if part >= 0.999 => "99.9 %".to_owned(),
        part => format!("{} %", (part * 100.0).floor()),
    }
}

fn short(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{seconds:.2}"),
        seconds if seconds < 10.0 => format!("{seconds:.1}"),
        seconds => format!("{seconds:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Digest, Features, Timestamp};

    use super::*;

    fn song(number: u8, duration: f64, centroid: f32) -> Song {
        let audio = AudioProperties { duration, ..AudioProperties::default() };
        let mut song = Song::new(Digest::of(&[number]), audio, Timestamp::UNIX_EPOCH);
        song.features =
            Some(Features { spectral_centroid_hz: Some(centroid), ..Features::default() });
        song
    }

    #[test]
    fn reasons_say_what_is_unusual_and_how() {
        let mut values = vec![Vec::new(); ASPECTS.len()];
        for number in 0..100 {
            let song = song(number, 1.0 + f64::from(number) / 100.0, 1_000.0 + f32::from(number));
            for (aspect, values) in ASPECTS.iter().zip(&mut values) {
                values.extend((aspect.of)(&song));
            }
        }
        let usual = Usual { values };

        let odd = usual.reasons(&song(200, 0.081, 1_097.5));

        assert_eq!(
            odd,
            ["0.08 s long, shorter than 99.9 % of the songs", "brighter than 98 % of the songs"]
        );
        assert_eq!(usual.reasons(&song(201, 1.5, 1_050.0)), Vec::<String>::new());
    }
}
