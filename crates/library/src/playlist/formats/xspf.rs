//! Playlists as XML: <https://www.xspf.org/spec>.
//!
//! Nothing outside the file is read: a document type, by which XML names other files and
//! makes few bytes into many, is refused.

use quick_xml::{
    Reader,
    escape::{escape, resolve_predefined_entity},
    events::{BytesRef, Event},
};

use super::{LONGEST, Listed, ListedSong, line, of_urn, urn};
use crate::playlist::location::{Location, address};

/// Elements, one within the other, at the most.
const DEEPEST: usize = 32;

/// A playlist as XSPF.
pub(super) fn write(listed: &Listed) -> Vec<u8> {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\">\n",
    );
    element(&mut out, 2, "title", listed.name.as_deref());
    out.push_str("  <trackList>\n");
    for song in &listed.songs {
        out.push_str("    <track>\n");
        let location = song.location.as_ref().map(|one| address(one.text()));
        element(&mut out, 6, "location", location.as_deref());
        element(&mut out, 6, "identifier", song.song.map(urn).as_deref());
        element(&mut out, 6, "title", song.title.as_deref());
        element(&mut out, 6, "creator", song.artist.as_deref());
        element(&mut out, 6, "album", song.album.as_deref());
        let duration = song.duration.map(|seconds| (seconds * 1000.0).round().to_string());
        element(&mut out, 6, "duration", duration.as_deref());
        out.push_str("    </track>\n");
    }
    out.push_str("  </trackList>\n</playlist>\n");
    out.into_bytes()
}

fn element(out: &mut String, indent: usize, name: &str, text: Option<&str>) {
    // XML has no way to write most control characters.
    if let Some(text) = text.and_then(line) {
        out.push_str(&format!("{:indent$}<{name}>{}</{name}>\n", "", escape(text)));
    }
}

/// XSPF as a playlist. Elements that say something else are passed over.
pub(super) fn read(bytes: &[u8]) -> Result<Listed, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut file = File::default();
    loop {
        let event = reader.read_event().map_err(|error| format!("no XML: {error}"))?;
        match event {
            Event::Start(start) => {
                file.open(&String::from_utf8_lossy(start.local_name().as_ref()))?;
            }
            Event::End(_) => file.close()?,
            Event::Text(text) => {
                let text = text.decode().map_err(|error| format!("no text: {error}"))?;
                file.say(&text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| format!("no text: {error}"))?;
                file.say(&text);
            }
            Event::GeneralRef(name) => file.say(&meant(&name)?),
            Event::DocType(_) => return Err("it has a document type, which none needs".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match file {
        File { path, is_playlist: true, listed, .. } if path.is_empty() => Ok(listed),
        File { is_playlist: false, .. } => Err("it has no `playlist`".to_owned()),
        File { .. } => Err("it ends early".to_owned()),
    }
}

// What stands for a character.
fn meant(name: &BytesRef<'_>) -> Result<String, String> {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return Ok(character.to_string());
    }
    let name = name.decode().map_err(|error| format!("no text: {error}"))?;
    let known = resolve_predefined_entity(&name);
    known.map(str::to_owned).ok_or_else(|| format!("nothing says what `&{name};` is"))
}

/// A file that is read.
#[derive(Default)]
struct File {
    is_playlist: bool,
    path: Vec<String>,
    text: String,
    listed: Listed,
    song: ListedSong,
}

impl File {
    fn open(&mut self, name: &str) -> Result<(), String> {
        if self.path.len() == DEEPEST {
            return Err("its elements are too deep".to_owned());
        }
        if self.path.is_empty() {
            if name != "playlist" {
                return Err(format!(
                    "it is `{}`, and no `playlist`",
                    line(name).unwrap_or_default()
                ));
            }
            self.is_playlist = true;
        }
        self.path.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn say(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.extend(text.chars().take(room));
    }

    fn close(&mut self) -> Result<(), String> {
        let text = line(&std::mem::take(&mut self.text));
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let song = &mut self.song;
        match path.as_slice() {
            ["playlist", "title"] => self.listed.name = text,
            ["playlist", "trackList", "track"] => self.listed.push(std::mem::take(song))?,
            ["playlist", "trackList", "track", what] => match (*what, text) {
                // The first that can be had counts.
                ("location", Some(text)) if song.location.is_none() => {
                    song.location = Some(Location::of(&text, true));
                }
                ("identifier", Some(text)) => song.song = song.song.or_else(|| of_urn(&text)),
                ("title", text) => song.title = text,
                ("creator", text) => song.artist = text,
                ("album", text) => song.album = text,
                ("duration", Some(text)) => {
                    let ms = text.parse::<f64>().ok().filter(|ms| ms.is_finite() && *ms >= 0.0);
                    song.duration = ms.map(|ms| ms / 1000.0);
                }
                _ => {}
            },
            _ => {}
        }
        self.path.pop();
        Ok(())
    }
}
