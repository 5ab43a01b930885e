//! What is in a library, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{Filter, Metric, ModelName, SongId, SongSummary};
use songrec_storage::{Order, OrderBy, SongQuery};

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
    /// Songs that no model embedded; without audio none can.
    pub without_embedding: u64,
    /// Songs per range of lengths.
    pub lengths: BTreeMap<&'static str, u64>,
    /// What up to 2,000 songs sound like, evenly spread over all.
    pub sound: SoundStats,
}

/// What some songs sound like, in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SoundStats {
    /// How many songs were looked at.
    pub songs: u64,
    /// Those that begin with half a second of silence or more.
    pub silent_start: u64,
    /// Those that end with half a second of silence or more.
    pub silent_end: u64,
    /// Songs per range of loudness, in LUFS.
    pub loudness: BTreeMap<&'static str, u64>,
    /// Of these, how many were compared with all songs of the library: up to 500, or 50
    /// where each costs a request.
    pub compared: u64,
    /// Songs of those that sound almost the same as another one, by the model that searches
    /// use.
    pub near_duplicates: u64,
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
/// In a second.
const MICROSECONDS: f64 = 1e6;
/// Songs that are looked at more closely, at the most.
const LOOKED_AT: usize = 2_000;
/// The same where they come over a network.
const LOOKED_AT_AFAR: usize = 500;
/// Of these, songs of which near duplicates are looked for.
const COMPARED: usize = 500;
const COMPARED_AFAR: usize = 50;
/// Songs that are read at once.
const READ: usize = 100;
/// Silence that is worth cutting off, in seconds.
const SILENCE: f32 = 0.5;

/// Numbers of the songs that pass `filter`. Looks at every one of them, a
/// page at a time, and reads up to 2,000 of them, or 500 where they come over a network.
/// Costs a search for each of up to 500 songs of a local library, and of 50 of another.
///
/// # Errors
///
/// The backend's own.
pub async fn stats(library: &Library, filter: &Filter) -> Result<Stats> {
    let mut stats = Stats::default();
    let mut artists = std::collections::HashSet::new();
    let mut albums = std::collections::HashSet::new();
    let mut embedded: BTreeMap<ModelName, u64> = BTreeMap::new();
    let mut ids = Vec::new();
    // Of whole numbers the sum is the same in any order.
    let mut microseconds = 0;
    let order = Order { by: OrderBy::Any, descending: false };
    let mut query =
        SongQuery { filter: filter.clone(), order, limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend().songs().find_summaries(&query).await?;
        for summary in page.items {
            stats.count(&summary);
            microseconds += (summary.duration * MICROSECONDS).round() as u64;
            ids.push(summary.id);
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
    stats.total_duration = microseconds as f64 / MICROSECONDS;
    stats.artists = artists.len();
    stats.albums = albums.len();
    // So that the same songs are looked at wherever the library is.
    ids.sort_unstable();
    stats.sound = sound(library, &ids).await?;
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

// What some of these songs sound like.
async fn sound(library: &Library, ids: &[SongId]) -> Result<SoundStats> {
    let mut sound = SoundStats::default();
    let (looked_at, compared) = match library.is_remote() {
        true => (LOOKED_AT_AFAR, COMPARED_AFAR),
        false => (LOOKED_AT, COMPARED),
    };
    let spread = |most: usize| {
        let count = ids.len().min(most);
        (0..count).map(|i| ids[i * ids.len() / count]).collect::<Vec<SongId>>()
    };
    let some = spread(looked_at);
    for ids in some.chunks(READ) {
        for song in library.each_song(ids).await?.into_iter().flatten().flatten() {
            sound.songs += 1;
            let Some(features) = &song.features else { continue };
            let is_long = |silence: Option<f32>| silence.is_some_and(|silence| silence >= SILENCE);
            sound.silent_start += u64::from(is_long(features.silence_start_s));
            sound.silent_end += u64::from(is_long(features.silence_end_s));
            if let Some(loudness) = features.loudness_lufs {
                *sound.loudness.entry(loudness_range(loudness)).or_default() += 1;
            }
        }
    }
    let compared = spread(compared);
    sound.compared = compared.len() as u64;
    sound.near_duplicates = crate::near::with_near_duplicates(library, &compared).await?;
    Ok(sound)
}

// LUFS, 6 LU each; streaming services play at about -14.
fn loudness_range(lufs: f32) -> &'static str {
    match lufs {
        lufs if lufs < -36.0 => "<-36",
        lufs if lufs < -30.0 => "-36 to -30",
        lufs if lufs < -24.0 => "-30 to -24",
        lufs if lufs < -18.0 => "-24 to -18",
        lufs if lufs < -12.0 => "-18 to -12",
        lufs if lufs < -6.0 => "-12 to -6",
        _ => ">-6",
    }
}

fn length_range(seconds: f64) -> &'static str {
    match seconds {
        seconds if seconds < 0.5 => "<0.5 s",
        seconds if seconds < 5.0 => "0.5 to 5 s",
        seconds if seconds < 30.0 => "5 to 30 s",
        seconds if seconds < 120.0 => "30 s to 2 min",
        seconds if seconds < 600.0 => "2 to 10 min",
        _ => ">10 min",
    }
}

impl Stats {
    fn count(&mut self, summary: &SongSummary) {
        self.total_songs += 1;
        self.total_size += summary.size;
        *self.lengths.entry(length_range(summary.duration)).or_default() += 1;
        self.without_embedding += u64::from(summary.models.is_empty());
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
