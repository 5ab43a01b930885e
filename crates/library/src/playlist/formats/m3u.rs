//! Playlists as lines of paths.

use songrec_core::decode_path;

use super::{Listed, ListedSong, line};
use crate::playlist::location::{Location, of_bytes};

/// A playlist as M3U, with titles and lengths.
pub(super) fn write(listed: &Listed) -> Vec<u8> {
    let mut out = b"#EXTM3U\n".to_vec();
    if let Some(name) = listed.name.as_deref().and_then(line) {
        out.extend(format!("#PLAYLIST:{name}\n").bytes());
    }
    for song in &listed.songs {
        let Some(location) = &song.location else { continue };
        let title = song.title.as_deref().and_then(line).unwrap_or_default();
        let called = match song.artist.as_deref().and_then(line) {
            Some(artist) => format!("{artist} - {title}"),
            None => title,
        };
        // -1 is a length that is not known.
        let seconds = song.duration.map_or(-1.0, |seconds| seconds.round().max(0.0));
        out.extend(format!("#EXTINF:{seconds},{called}\n").bytes());
        let path = location.text();
        // A line that begins so would be a comment.
        if path.starts_with('#') {
            out.extend(b"./");
        }
        out.extend(decode_path(path).into_os_string().into_encoded_bytes());
        out.push(b'\n');
    }
    out
}

/// M3U as a playlist. Lines that say something else are passed over.
pub(super) fn read(bytes: &[u8]) -> Result<Listed, String> {
    if bytes.contains(&0) {
        return Err("it is no text".to_owned());
    }
    let mut listed = Listed::default();
    let mut next = ListedSong::default();
    for bytes in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let Some(comment) = bytes.strip_prefix(b"#") else {
            let location = Location::of(&of_bytes(bytes), false);
            listed.push(ListedSong { location: Some(location), ..std::mem::take(&mut next) })?;
            continue;
        };
        let comment = String::from_utf8_lossy(comment);
        match comment.split_once(':') {
            Some(("EXTINF", rest)) => next = described(rest),
            Some(("PLAYLIST", name)) => listed.name = line(name),
            Some(("EXTALB", album)) => next.album = line(album),
            Some(("EXTART", artist)) => next.artist = line(artist),
            _ => {}
        }
    }
    Ok(listed)
}

// `12,Artist - Title`, and whatever stands after the length before the comma.
fn described(text: &str) -> ListedSong {
    let (length, called) = text.split_once(',').unwrap_or((text, ""));
    let length = length.split_whitespace().next().and_then(|length| length.parse::<f64>().ok());
    let duration = length.filter(|length| length.is_finite() && *length >= 0.0);
    let (artist, title) = match called.split_once(" - ") {
        Some((artist, title)) => (line(artist), line(title)),
        None => (None, line(called)),
    };
    ListedSong { title, artist, duration, ..ListedSong::default() }
}
