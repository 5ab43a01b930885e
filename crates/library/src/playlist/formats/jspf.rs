//! Playlists as JSON, in the shape of XSPF: <https://www.xspf.org/jspf>.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use super::{Listed, ListedSong, MOST_SONGS, line, of_urn, urn};
use crate::playlist::location::{Location, address};

#[derive(Debug, Serialize, Deserialize)]
struct File {
    playlist: Whole,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Whole {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, deserialize_with = "bounded")]
    track: Vec<One>,
}

// The tracks, as long as there are not more than a playlist has: `{}` is 3 bytes in a
// file, and a hundred times that in memory.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<One>, D::Error> {
    struct Tracks;
    impl<'de> Visitor<'de> for Tracks {
        type Value = Vec<One>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of tracks")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<One>, A::Error> {
            let mut tracks = Vec::new();
            while let Some(track) = seq.next_element()? {
                if tracks.len() == MOST_SONGS {
                    let many = format!("it lists more than {MOST_SONGS} songs");
                    return Err(A::Error::custom(many));
                }
                tracks.push(track);
            }
            Ok(tracks)
        }
    }
    deserializer.deserialize_seq(Tracks)
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct One {
    #[serde(default)]
    location: Texts,
    #[serde(default)]
    identifier: Texts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    album: Option<String>,
    /// In milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
}

/// A list of texts; some programs write one text in place of a list of one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Texts {
    Several(Vec<String>),
    One(String),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Texts {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::Several(texts) => texts,
            Self::One(text) => std::slice::from_ref(text),
        }
    }
}

/// A playlist as JSPF.
pub(super) fn write(listed: &Listed) -> Vec<u8> {
    let of = |song: &ListedSong| One {
        location: Texts::Several(song.location.iter().map(|one| address(one.text())).collect()),
        identifier: Texts::Several(song.song.iter().map(|song| urn(*song)).collect()),
        title: song.title.clone(),
        creator: song.artist.clone(),
        album: song.album.clone(),
        duration: song.duration.map(|seconds| (seconds * 1000.0).round()),
    };
    let track = listed.songs.iter().map(of).collect();
    let file = File { playlist: Whole { title: listed.name.clone(), track } };
    let mut bytes = serde_json::to_vec_pretty(&file).expect("texts and numbers");
    bytes.push(b'\n');
    bytes
}

/// JSPF as a playlist.
pub(super) fn read(bytes: &[u8]) -> Result<Listed, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| format!("no JSPF: {error}"))?;
    let text = |text: &Option<String>| text.as_deref().and_then(line);
    let mut listed = Listed { name: text(&file.playlist.title), songs: Vec::new() };
    for one in &file.playlist.track {
        let location = one.location.as_slice().first().and_then(|text| line(text));
        listed.push(ListedSong {
            location: location.map(|text| Location::of(&text, true)),
            song: one.identifier.as_slice().iter().find_map(|text| of_urn(text)),
            title: text(&one.title),
            artist: text(&one.creator),
            album: text(&one.album),
            duration: one.duration.map(|ms| ms / 1000.0).filter(|s| s.is_finite() && *s >= 0.0),
        })?;
    }
    Ok(listed)
}
