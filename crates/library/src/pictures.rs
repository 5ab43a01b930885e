//! Pictures of what a song sounds like.

use serde::Serialize;
use songrec_audio::Spectrogram;
use songrec_core::{Job, Song};

use crate::{
    Error, ErrorKind, Library, Part, Result, embedders::unreadable, playing::on_disk, work::on_cpu,
};

/// Points of an outline, at the most.
pub const MOST_POINTS: usize = 20_000;
/// Points of a spectrogram in either direction, at the most.
pub const LARGEST_PICTURE: usize = 4_096;

/// The outline of a song's sound, as [`songrec_audio::Waveform`] says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaveformOfSong {
    /// How long the whole song is, in seconds.
    pub duration: f64,
    /// How many points there are: as many as were asked for, or fewer if there are not
    /// as many samples.
    pub points: usize,
    /// The lowest sample of each point, −1 to 1.
    pub min: Vec<f32>,
    /// The highest.
    pub max: Vec<f32>,
    /// The root of the mean square.
    pub rms: Vec<f32>,
}

/// The outline of a song, or a part of it, in at most `points` points. Decodes its audio,
/// which is brought here if another library keeps it. Nothing if it was interrupted.
///
/// # Errors
///
/// When the audio cannot be had or decoded; `Usage` for too many points.
pub async fn waveform(
    library: &Library,
    song: &Song,
    part: Option<Part>,
    points: usize,
    job: &Job,
) -> Result<Option<WaveformOfSong>> {
    within(points, MOST_POINTS, "points")?;
    let file = on_disk(library, song, job).await?;
    let opening = library.models.decoding().opening()?;
    let (ffmpeg, interrupt) = (opening.ffmpeg.clone(), job.interrupt.clone());
    let found = on_cpu(None, move || {
        songrec_audio::waveform(&file.path, part.map(Part::range), points, ffmpeg, &interrupt)
    });
    let found = found.await.map_err(|why| Error::new(ErrorKind::Failed, why))?;
    let waveform = found.map_err(|error| unreadable(&error, &opening))?;
    Ok(waveform.map(|waveform| WaveformOfSong {
        duration: waveform.duration,
        points: waveform.min.len(),
        min: waveform.min,
        max: waveform.max,
        rms: waveform.rms,
    }))
}

/// The spectrogram of a song as a PNG of `width` by `height` points: time from left to
/// right, the mel scale from below, over 80 dB. Costs what [`waveform`] costs. Nothing if
/// it was interrupted.
///
/// # Errors
///
/// As there.
pub async fn spectrogram(
    library: &Library,
    song: &Song,
    width: usize,
    height: usize,
    job: &Job,
) -> Result<Option<Vec<u8>>> {
    within(width, LARGEST_PICTURE, "points of width")?;
    within(height, LARGEST_PICTURE, "points of height")?;
    let file = on_disk(library, song, job).await?;
    let opening = library.models.decoding().opening()?;
    let (ffmpeg, interrupt) = (opening.ffmpeg.clone(), job.interrupt.clone());
    let found = on_cpu(None, move || {
        songrec_audio::spectrogram(&file.path, width, height, ffmpeg, &interrupt)
            .map(|spectrogram| spectrogram.map(|spectrogram| png(&spectrogram)))
    });
    let found = found.await.map_err(|why| Error::new(ErrorKind::Failed, why))?;
    found.map_err(|error| unreadable(&error, &opening))?.transpose()
}

fn within(number: usize, most: usize, what: &str) -> Result<()> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(Error::usage(format_args!("a picture cannot have {number} {what}"))
        .with_hint(format!("ask for 1 to {most}")))
}

/// Levels from silence to the loudest, dark to light, as colors.
const COLORS: [[u8; 3]; 6] =
    [[4, 4, 16], [50, 17, 92], [132, 30, 109], [214, 69, 73], [250, 157, 48], [252, 246, 189]];

fn color(level: f32) -> [u8; 3] {
    let place = level.clamp(0.0, 1.0) * (COLORS.len() - 1) as f32;
    let (below, part) = (place.floor() as usize, place.fract());
    let (from, to) = (COLORS[below], COLORS[(below + 1).min(COLORS.len() - 1)]);
    std::array::from_fn(|i| (f32::from(from[i]) * (1.0 - part) + f32::from(to[i]) * part) as u8)
}

fn png(spectrogram: &Spectrogram) -> Result<Vec<u8>> {
    let failed = |error: png::EncodingError| {
        Error::new(ErrorKind::Failed, "could not make the picture").because(error)
    };
    let (width, height) = (spectrogram.width, spectrogram.height);
    let mut pixels = Vec::with_capacity(width * height);
    for band in (0..height).rev() {
        let levels = (0..width).map(|column| spectrogram.levels[column * height + band]);
        pixels.extend(levels.map(|level| (level * 255.0).round() as u8));
    }
    let palette: Vec<u8> = (0..=255u8).flat_map(|level| color(f32::from(level) / 255.0)).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
