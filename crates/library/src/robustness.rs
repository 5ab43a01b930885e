//! Whether changed copies of songs find the originals.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_audio::{Decoder, Opening, Resampler};
use songrec_core::{Event, Filter, Hint, Job, ModelName, Remedy, Song, SongId, SongSummary, Work};
use songrec_storage::{NearestQuery, StorageBackendExt};

use crate::{Error, Library, Result, embedders::embed_outside, points::points, work::blocking};

/// Longer songs are left out: all samples of a song are in memory at once.
const LONGEST: f64 = 900.0;
/// Neighbors that are looked at.
const NEIGHBORS: usize = 10;
/// Songs that are read at once.
const READ: usize = 100;
/// What is cut off at the beginning, in seconds.
const SHIFT: f64 = 0.05;
/// 6 dB.
const QUIETER: f32 = 0.501_187;
/// In Hz.
const RESAMPLED: u32 = 22_050;

/// Which songs are changed, and what they have to find.
#[derive(Clone, Debug)]
pub struct RobustnessOptions {
    /// The models, with or without revisions; the one that searches use if there are
    /// none.
    pub models: Vec<String>,
    /// Which songs are changed.
    pub filter: Filter,
    /// How many, at the most: evenly spread over their ids, which are hashes.
    pub songs: usize,
    /// Where the choice begins.
    pub seed: u64,
}

/// How well changed copies find the originals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Robustness {
    /// How many songs were changed.
    pub songs: u64,
    /// Among how many they had to be found.
    pub among: u64,
    /// How many songs were left out, because their audio is not on this machine, cannot
    /// be decoded, or is longer than 15 minutes.
    pub skipped: u64,
    /// Each model.
    pub models: Vec<ModelRobustness>,
}

/// How well copies find the originals by one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRobustness {
    /// The model.
    pub model: ModelName,
    /// Each kind of copies.
    pub distortions: Vec<DistortionResult>,
}

/// How well copies of one kind find the originals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DistortionResult {
    /// What was done to them.
    pub distortion: &'static str,
    /// Copies that a model could embed.
    pub copies: u64,
    /// The part of the copies whose nearest song is the original, 0 to 1.
    pub first: f64,
    /// The part that have it among the ten nearest.
    pub in_ten: f64,
    /// The middle one of the distances between copies and originals, of those that
    /// have it among the ten nearest.
    pub median_distance: f64,
}

/// What is done to a song.
struct Distortion {
    name: &'static str,
    make: fn(&Audio) -> Wave,
}

const DISTORTIONS: [Distortion; 4] = [
    Distortion { name: "50 ms cut off", make: shifted },
    Distortion { name: "6 dB quieter", make: quieter },
    Distortion { name: "resampled to 22.05 kHz", make: resampled },
    Distortion { name: "encoded as 8-bit mu-law", make: encoded },
];

/// The samples of a song, interleaved.
struct Audio {
    samples: Vec<f32>,
    channels: usize,
    rate: u32,
}

/// A WAV file to be.
struct Wave {
    bytes: Vec<u8>,
    /// 3 for float32, 7 for mu-law, as the format names them.
    format: u16,
    channels: usize,
    rate: u32,
}

/// Changes copies of songs, embeds them, and looks for the originals.
///
/// Costs decoding each song once and its copies once for each model, and a search for
/// each copy and model. Nothing if it was interrupted.
///
/// # Errors
///
/// When no audio of the songs is on this machine, or a model is not; those of the
/// library.
pub async fn robustness(
    library: &Library,
    options: &RobustnessOptions,
    job: &Job,
) -> Result<Option<Robustness>> {
    let mut models = Vec::new();
    for name in &options.models {
        models.push(crate::find_model(library, name).await?.name);
    }
    if models.is_empty() {
        models.push(library.search_model().await?);
    }
    let mut ids: Option<Vec<SongId>> = None;
    let mut among = 0;
    for model in &models {
        let Some(points) = points(library, Some(model), &options.filter, job).await? else {
            return Ok(None);
        };
        let own = points.ids().await?;
        ids = Some(match ids {
            None => own,
            Some(ids) => ids.into_iter().filter(|id| own.binary_search(id).is_ok()).collect(),
        });
        among = library.backend().songs().count(&Filter::all()).await?;
    }
    let ids = ids.unwrap_or_default();
    let mut chosen = Chosen { songs: Vec::new(), skipped: 0 };
    chosen.choose(library, &ids, options).await?;
    if chosen.songs.is_empty() {
        return Err(Error::not_found("the audio of none of these songs is on this machine")
            .with_hint(Hint::of("{} brings it here", [Remedy::GetAudio])));
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Error::io("make a folder in", &std::env::temp_dir(), error))?;
    let opening = library.models().decoding().opening()?;
    let total = chosen.songs.len() as u64;
    job.on(Event::started(Work::ChangingAndFinding, Some(total)));
    // By model and kind of copy.
    let mut found: Vec<Vec<Vec<Place>>> = vec![vec![Vec::new(); DISTORTIONS.len()]; models.len()];
    let mut changed = 0;
    for (song, path) in &chosen.songs {
        if job.is_interrupted() {
            return Ok(None);
        }
        job.on(Event::Advanced { item: &song.title, bytes: 0 });
        let (source, opening) = (path.clone(), opening.clone());
        let Ok(audio) = blocking(move || decoded(&source, &opening)).await? else {
            chosen.skipped += 1;
            job.on(Event::Failed { item: &song.title, reason: &"it cannot be decoded".into() });
            continue;
        };
        let audio = std::sync::Arc::new(audio);
        changed += 1;
        for (number, distortion) in DISTORTIONS.iter().enumerate() {
            let copy = folder.path().join("copy.wav");
            let (audio, make, to) = (audio.clone(), distortion.make, copy.clone());
            blocking(move || write(&make(&audio), &to))
                .await?
                .map_err(|error| Error::io("write", &copy, error))?;
            let Ok(embedded) = embed_outside(library, &copy, &models, None, false).await else {
                continue;
            };
            for (model, found) in models.iter().zip(&mut found) {
                let Some(vector) = embedded.vectors.get(model) else { continue };
                let query = NearestQuery::new(model.clone(), vector.clone(), NEIGHBORS);
                let neighbors = library.backend().nearest_songs(&query).await?;
                let place = neighbors.iter().position(|(near, _)| near.song == song.id);
                found[number].push(place.map(|place| (place, neighbors[place].0.distance)));
            }
        }
    }
    job.on(Event::Finished);
    let models = models.into_iter().zip(found).map(|(model, found)| ModelRobustness {
        model,
        distortions: DISTORTIONS
            .iter()
            .zip(found)
            .map(|(one, found)| result(one.name, &found))
            .collect(),
    });
    Ok(Some(Robustness {
        songs: changed,
        among,
        skipped: chosen.skipped,
        models: models.collect(),
    }))
}

/// Which of the neighbors of a copy the original is, and how far; nothing if it is none.
type Place = Option<(usize, f64)>;

fn result(distortion: &'static str, found: &[Place]) -> DistortionResult {
    let part = |count: usize| count as f64 / found.len().max(1) as f64;
    let mut distances: Vec<f64> = found.iter().flatten().map(|(_, distance)| *distance).collect();
    distances.sort_by(f64::total_cmp);
    DistortionResult {
        distortion,
        copies: found.len() as u64,
        first: part(found.iter().flatten().filter(|(place, _)| *place == 0).count()),
        in_ten: part(distances.len()),
        median_distance: distances.get(distances.len() / 2).copied().unwrap_or(0.0),
    }
}

/// The songs whose audio is here.
struct Chosen {
    songs: Vec<(SongSummary, PathBuf)>,
    skipped: u64,
}

impl Chosen {
    async fn choose(
        &mut self,
        library: &Library,
        ids: &[SongId],
        options: &RobustnessOptions,
    ) -> Result<()> {
        let count = options.songs.min(ids.len());
        let first = options.seed as usize % ids.len().max(1);
        let some: Vec<SongId> =
            (0..count).map(|i| ids[(first + i * ids.len() / count) % ids.len()]).collect();
        for ids in some.chunks(READ) {
            for song in library.backend().songs().get(ids).await?.into_iter().flatten() {
                match audio_of(library, &song) {
                    Some(path) => self.songs.push((SongSummary::of(&song), path)),
                    None => self.skipped += 1,
                }
            }
        }
        Ok(())
    }
}

fn audio_of(library: &Library, song: &Song) -> Option<PathBuf> {
    if song.audio.duration > LONGEST || song.is_silent() {
        return None;
    }
    let paths = song.files.iter().map(|file| library.file_path(&file.path));
    paths.into_iter().find(|path| path.is_file())
}

fn decoded(path: &Path, opening: &Opening) -> std::result::Result<Audio, songrec_audio::Error> {
    let mut decoder = Decoder::open_with(path, opening)?;
    let mut audio = Audio { samples: Vec::new(), channels: 1, rate: 44_100 };
    while let Some(block) = decoder.next_block()? {
        (audio.channels, audio.rate) = (block.channels(), block.sample_rate());
        audio.samples.extend_from_slice(block.samples());
        if audio.samples.len() as f64 > LONGEST * f64::from(audio.rate) * audio.channels as f64 {
            break;
        }
    }
    Ok(audio)
}

fn floats(samples: &[f32], channels: usize, rate: u32) -> Wave {
    let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Wave { bytes, format: 3, channels, rate }
}

fn shifted(audio: &Audio) -> Wave {
    let frames = (f64::from(audio.rate) * SHIFT) as usize;
    // Of a very short sound there would be nothing left.
    let frames = frames.min(audio.samples.len() / audio.channels / 4);
    floats(&audio.samples[frames * audio.channels..], audio.channels, audio.rate)
}

fn quieter(audio: &Audio) -> Wave {
    let samples: Vec<f32> = audio.samples.iter().map(|sample| sample * QUIETER).collect();
    floats(&samples, audio.channels, audio.rate)
}

// Each channel for itself.
fn resampled(audio: &Audio) -> Wave {
    let channels: Vec<Vec<f32>> = (0..audio.channels)
        .map(|channel| {
            let own: Vec<f32> =
                audio.samples.iter().skip(channel).step_by(audio.channels).copied().collect();
            let mut resampler = Resampler::new(audio.rate, RESAMPLED);
            let mut out = Vec::new();
            resampler.push(&own, &mut out);
            resampler.finish(&mut out);
            out
        })
        .collect();
    let frames = channels.iter().map(Vec::len).min().unwrap_or(0);
    let samples: Vec<f32> =
        (0..frames).flat_map(|frame| channels.iter().map(move |channel| channel[frame])).collect();
    floats(&samples, audio.channels, RESAMPLED)
}

fn encoded(audio: &Audio) -> Wave {
    let bytes = audio.samples.iter().map(|sample| mu_law(*sample)).collect();
    Wave { bytes, format: 7, channels: audio.channels, rate: audio.rate }
}

/// One sample as eight bits of mu-law (ITU-T G.711): a sign, the position of the highest
/// bit of the magnitude, and the four bits below it.
fn mu_law(sample: f32) -> u8 {
    // In units of the standard's 14 bits, with its bias of 33.
    let magnitude = ((sample.abs().min(1.0) * 8_159.0) as u16 + 33).min(8_191);
    let segment = (magnitude.ilog2() - 5) as u8;
    let step = (magnitude >> (segment + 1)) as u8 & 15;
    let sign = if sample.is_sign_negative() { 0x80 } else { 0 };
    !(sign | segment << 4 | step)
}

fn write(wave: &Wave, to: &Path) -> std::io::Result<()> {
    let width = if wave.format == 3 { 4u32 } else { 1 };
    let size = u32::try_from(wave.bytes.len()).unwrap_or(u32::MAX - 64);
    let frame = width * wave.channels as u32;
    let mut out = BufWriter::new(std::fs::File::create(to)?);
    out.write_all(b"RIFF")?;
    out.write_all(&(38 + size).to_le_bytes())?;
    out.write_all(b"WAVEfmt ")?;
    out.write_all(&18u32.to_le_bytes())?;
    out.write_all(&wave.format.to_le_bytes())?;
    out.write_all(&(wave.channels as u16).to_le_bytes())?;
    out.write_all(&wave.rate.to_le_bytes())?;
    out.write_all(&(wave.rate * frame).to_le_bytes())?;
    out.write_all(&(frame as u16).to_le_bytes())?;
    out.write_all(&(8 * width as u16).to_le_bytes())?;
    // Nothing more is said of the format.
    out.write_all(&0u16.to_le_bytes())?;
    out.write_all(b"data")?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&wave.bytes)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Audio {
        let sample = |i: usize| (i as f32 * 0.05).sin() * 0.5;
        Audio {
            samples: (0..44_100).flat_map(|i| [sample(i), -sample(i)]).collect(),
            channels: 2,
            rate: 44_100,
        }
    }

    fn read_back(wave: &Wave) -> Audio {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(wave, &path).unwrap();
        decoded(&path, &Opening::default()).unwrap()
    }

    #[test]
    fn copies_are_files_that_decode_to_what_was_done() {
        let audio = tone();

        let cut = read_back(&shifted(&audio));
        assert_eq!(cut.samples[..], audio.samples[2 * 2_205..]);

        let quiet = read_back(&quieter(&audio));
        assert!((quiet.samples[100] - audio.samples[100] / 2.0).abs() < 0.002);

        let low = read_back(&resampled(&audio));
        assert_eq!((low.rate, low.channels, low.samples.len()), (22_050, 2, 44_100));

        let coded = read_back(&encoded(&audio));
        assert_eq!(coded.samples.len(), audio.samples.len());
        let error = coded.samples.iter().zip(&audio.samples).map(|(a, b)| (a - b).abs());
        let largest = error.fold(0.0f32, f32::max);
        assert!(largest > 0.0 && largest < 0.02, "{largest}");
    }
}
