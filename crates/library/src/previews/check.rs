//! Whether a file is what it should be: audio, all of it.

use std::path::Path;

use songrec_audio::{Decoder, Opening};

use crate::work::on_cpu;

/// Decodes the file to its end, and gives the ending that a file of its format has.
///
/// # Errors
///
/// When it holds no audio, or not all that it promises, in words.
pub(super) async fn ending_of_audio(path: &Path, limit: u64) -> Result<&'static str, String> {
    let path = path.to_owned();
    on_cpu(None, move || decode(&path, limit)).await?
}

fn decode(path: &Path, limit: u64) -> Result<&'static str, String> {
    // Where it lies for a moment is nobody's business.
    let unheard = |error: songrec_audio::Error| error.reason().to_string();
    let opening = Opening { max_bytes: limit, ..Opening::default() };
    let mut decoder = Decoder::open_with(path, &opening).map_err(unheard)?;
    while decoder.next_block().map_err(unheard)?.is_some() {}
    let damage = decoder.damage();
    if damage.missing_frames > 0 || damage.stopped.is_some() {
        return Err("the audio is cut off or damaged".to_owned());
    }
    Ok(match decoder.properties().container.as_str() {
        "wav" => "wav",
        "aiff" => "aiff",
        "caf" => "caf",
        "mp3" => "mp3",
        "mp1" | "mp2" => "mp2",
        "adts" => "aac",
        "ogg" => "ogg",
        "flac" => "flac",
        "mkv" => "mka",
        _ => "m4a",
    })
}
