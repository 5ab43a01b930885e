//! Makes the audio files of `examples/audio`: fifty short sounds of ten kinds,
//! each kind in five formats.
//!
//! ```text
//! cargo run --release -p songrec-audio --example make_examples -- examples/audio
//! ```
//!
//! The sounds are synthesised here; ffmpeg (with libmp3lame and libvorbis)
//! compresses and tags them. The files are committed, so nobody needs to run
//! this to use songrec.

mod kinds;
mod synth;

use std::{
    env,
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use synth::Stereo;

/// One format: extension and what ffmpeg is told.
const FORMATS: [(&str, &[&str]); 5] = [
    ("wav", &["-ac", "1", "-ar", "32000", "-c:a", "pcm_s16le"]),
    ("flac", &["-ac", "1", "-ar", "32000", "-sample_fmt", "s16", "-c:a", "flac"]),
    ("mp3", &["-c:a", "libmp3lame", "-q:a", "5"]),
    ("ogg", &["-c:a", "libvorbis", "-q:a", "3"]),
    ("m4a", &["-c:a", "aac", "-b:a", "80k", "-movflags", "+faststart"]),
];

/// Who is said to have made the sounds.
const ARTISTS: [&str; 5] = ["Cellar Tapes", "Glass Ferry", "Low Tide", "North Pier", "Paper Lamp"];

fn main() -> Result<(), Box<dyn Error>> {
    let root: PathBuf = env::args_os().nth(1).ok_or("name the folder to write to")?.into();
    for (k, kind) in kinds::all().into_iter().enumerate() {
        let folder = root.join(kind.folder);
        fs::create_dir_all(&folder)?;
        for (m, (title, sound)) in kind.members.into_iter().enumerate() {
            let (extension, options) = FORMATS[(k + m) % FORMATS.len()];
            let name = title.to_lowercase().replace(' ', "-");
            let path = folder.join(name).with_extension(extension);
            let tags = [
                ("title", title.to_owned()),
                ("artist", ARTISTS[(k * 2 + m) % ARTISTS.len()].to_owned()),
                ("album", kind.album.to_owned()),
                ("genre", kind.genre.to_owned()),
                ("date", (2019 + (k + 2 * m) % 8).to_string()),
                ("comment", "CC0, made by songrec's example generator".to_owned()),
            ];
            // Members differ in level as recordings do.
            let peak = 0.95 - 0.15 * m as f64;
            encode(&levelled(sound, peak), &path, options, &tags)?;
        }
    }
    Ok(())
}

/// Brings the highest sample of both channels to `peak`.
fn levelled(mut sound: Stereo, peak: f64) -> Stereo {
    let highest = sound.iter().flatten().fold(0.0f64, |highest, s| highest.max(s.abs()));
    sound.iter_mut().flatten().for_each(|sample| *sample *= peak / highest);
    sound
}

fn encode(
    sound: &Stereo,
    path: &Path,
    options: &[&str],
    tags: &[(&str, String)],
) -> Result<(), Box<dyn Error>> {
    let [left, right] = sound;
    let channels = if left == right { 1 } else { 2 };
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "f32le", "-ar", "44100", "-ac"]);
    command.args([channels.to_string().as_str(), "-i", "-"]);
    // Nothing of the machine or the moment goes into the files.
    command.args(["-fflags", "+bitexact", "-flags:a", "+bitexact"]);
    command.args(options);
    for (name, text) in tags {
        command.args(["-metadata", &format!("{name}={text}")]);
    }
    let mut ffmpeg = command.arg(path).stdin(Stdio::piped()).spawn()?;
    let bytes: Vec<u8> = left
        .iter()
        .zip(right)
        .flat_map(|(&l, &r)| [l, r].into_iter().take(channels))
        .flat_map(|sample| (sample as f32).to_le_bytes())
        .collect();
    ffmpeg.stdin.take().ok_or("ffmpeg has no input")?.write_all(&bytes)?;
    if !ffmpeg.wait()?.success() {
        return Err(format!("ffmpeg could not write {}", path.display()).into());
    }
    Ok(())
}
