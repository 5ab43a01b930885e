//! What is in a library, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{Filter, Metric, ModelName, SongSummary};
use songrec_storage::SongQuery;

use crate::{Library, Result};

/// A library in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// The number of songs.
    pub total_songs: u64,
    /// All durations together, in seconds.
    pub total_duration: f64,
    /// All audio together, in bytes.
    pub total_size: u64,
    /// Songs per genre; a song with two genres counts in both.
    pub genres: BTreeMap<String, u64>,
    /// Songs per instrument.
    pub instruments: BTreeMap<String, u64>,
    /// Songs per key.
    pub keys: BTreeMap<String, u64>,
    /// Songs per range of tempo, in BPM.
    pub tempos: BTreeMap<&'static str, u64>,
    /// Songs per codec.
    pub codecs: BTreeMap<String, u64>,
    /// Songs that were imported without their audio.
    pub without_audio: u64,
    /// Songs per kind of what is wrong with their audio.
    pub warnings: BTreeMap<String, u64>,
    /// The number of artists.
    pub artists: usize,
    /// The number of albums.
    pub albums: usize,
    /// Loops and one-shots, where that is known.
    pub loops: u64,
    /// Songs that are one-shots.
    pub one_shots: u64,
    /// The models, with the number of songs they embedded.
    pub models: Vec<ModelStats>,
}

/// One model in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct ModelStats {
    /// Its name.
    pub name: ModelName,
    /// The elements of its vectors.
    pub dimension: usize,
    /// How they are compared.
    pub metric: Metric,
    /// How many songs it embedded.
    pub songs: u64,
}

const PAGE: usize = 1_000;

/// Numbers of the songs that pass `filter`. Looks at every one of them, a
/// page at a time.
///
/// # Errors
///
/// The backend's own.
pub async fn stats(library: &Library, filter: &Filter) -> Result<Stats> {
    let mut stats = Stats::default();
    let mut artists = std::collections::HashSet::new();
    let mut albums = std::collections::HashSet::new();
    let mut embedded: BTreeMap<ModelName, u64> = BTreeMap::new();
    let mut query = SongQuery { filter: filter.clone(), limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend().songs().find_summaries(&query).await?;
        for summary in page.items {
            stats.count(&summary);
            for model in summary.models {
                *embedded.entry(model).or_default() += 1;
            }
            artists.extend(summary.artist);
            albums.extend(summary.album);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    stats.artists = artists.len();
    stats.albums = albums.len();
    stats.models = library
        .backend()
        .embeddings()
        .models()
        .await?
        .into_iter()
        .map(|spec| ModelStats {
            songs: embedded.get(&spec.name).copied().unwrap_or(0),
            name: spec.name,
            dimension: spec.dimension,
            metric: spec.metric,
        })
        .collect();
    Ok(stats)
}

impl Stats {
    fn count(&mut self, summary: &SongSummary) {
        self.total_songs += 1;
        self.total_duration += summary.duration;
        self.total_size += summary.size;
        for genre in &summary.genres {
            *self.genres.entry(genre.clone()).or_default() += 1;
        }
        if let Some(instrument) = &summary.instrument {
            *self.instruments.entry(instrument.clone()).or_default() += 1;
        }
        if let Some(key) = summary.key {
            *self.keys.entry(key.to_string()).or_default() += 1;
        }
        if let Some(bpm) = summary.bpm {
            *self.tempos.entry(tempo_range(bpm)).or_default() += 1;
        }
        for warning in &summary.warnings {
            *self.warnings.entry(warning.clone()).or_default() += 1;
        }
        // Those that were imported without audio have none.
        match summary.codec.as_str() {
            "" => self.without_audio += 1,
            codec => *self.codecs.entry(codec.to_owned()).or_default() += 1,
        }
        match summary.is_loop {
            Some(true) => self.loops += 1,
            Some(false) => self.one_shots += 1,
            None => {}
        }
    }
}

// The ranges of audiomancer's statistics.
fn tempo_range(bpm: f64) -> &'static str {
    match bpm {
        bpm if bpm < 100.0 => "<100",
        bpm if bpm < 120.0 => "100-120",
        bpm if bpm < 140.0 => "120-140",
        bpm if bpm < 160.0 => "140-160",
        _ => "160+",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tempo_is_in_one_range() {
        assert_eq!(tempo_range(99.9), "<100");
        assert_eq!(tempo_range(100.0), "100-120");
        assert_eq!(tempo_range(160.0), "160+");
    }
}
