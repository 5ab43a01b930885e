//! Files of playlists: M3U, XSPF and JSPF, as text and back. Pure; what is read may be
//! anything.

mod jspf;
mod m3u;
mod xspf;

use std::{fmt, path::Path, str::FromStr};

use songrec_core::SongId;

use super::{body::MOST_SONGS, location::Location};

/// Characters of one text of a file that is read, at the most: of a title, a path.
const LONGEST: usize = 8_192;

/// What a file of a playlist is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaylistFormat {
    /// Lines of paths, in UTF-8, with titles and lengths.
    M3u8,
    /// XML: <https://www.xspf.org>.
    Xspf,
    /// The same as JSON.
    Jspf,
}

/// A text that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format of playlists: expected `m3u8`, `xspf` or `jspf`")]
pub struct InvalidPlaylistFormat(String);

impl PlaylistFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::M3u8, Self::Xspf, Self::Jspf];

    /// Its name, and how its files end.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M3u8 => "m3u8",
            Self::Xspf => "xspf",
            Self::Jspf => "jspf",
        }
    }

    /// What HTTP calls it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::M3u8 => "audio/x-mpegurl; charset=utf-8",
            Self::Xspf => "application/xspf+xml; charset=utf-8",
            Self::Jspf => "application/jspf+json",
        }
    }

    /// The format that a file has by the end of its name.
    ///
    /// # Errors
    ///
    /// When it ends in another way.
    pub fn of_path(path: &Path) -> Result<Self, InvalidPlaylistFormat> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            // Older players write UTF-8 or the letters of their system in it.
            Some("m3u") => Ok(Self::M3u8),
            // What others call files of JSPF.
            Some("json") => Ok(Self::Jspf),
            Some(ending) => ending.parse(),
            None => Err(InvalidPlaylistFormat(path.display().to_string())),
        }
    }

    /// A playlist as a file.
    pub(super) fn write(self, listed: &Listed) -> Vec<u8> {
        match self {
            Self::M3u8 => m3u::write(listed),
            Self::Xspf => xspf::write(listed),
            Self::Jspf => jspf::write(listed),
        }
    }

    /// A file as a playlist.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Listed, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let listed = match self {
            Self::M3u8 => m3u::read(bytes),
            Self::Xspf => xspf::read(bytes),
            Self::Jspf => jspf::read(bytes),
        }?;
        Ok(listed)
    }
}

impl FromStr for PlaylistFormat {
    type Err = InvalidPlaylistFormat;

    fn from_str(text: &str) -> Result<Self, InvalidPlaylistFormat> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| InvalidPlaylistFormat(text.to_owned()))
    }
}

impl fmt::Display for PlaylistFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A playlist as a file lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub(super) name: Option<String>,
    pub(super) songs: Vec<ListedSong>,
}

/// One song of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ListedSong {
    pub(super) location: Option<Location>,
    pub(super) song: Option<SongId>,
    pub(super) title: Option<String>,
    pub(super) artist: Option<String>,
    pub(super) album: Option<String>,
    /// In seconds.
    pub(super) duration: Option<f64>,
}

impl Listed {
    // Adds a song that was read, if there may be so many.
    fn push(&mut self, song: ListedSong) -> Result<(), String> {
        if self.songs.len() == MOST_SONGS {
            return Err(format!("it lists more than {MOST_SONGS} songs"));
        }
        self.songs.push(song);
        Ok(())
    }
}

const URN: &str = "urn:uuid:";

fn urn(song: SongId) -> String {
    format!("{URN}{song}")
}

// The song that an identifier names, if it is one of ours.
fn of_urn(text: &str) -> Option<SongId> {
    let text = text.trim();
    let head = text.get(..URN.len()).filter(|head| head.eq_ignore_ascii_case(URN))?;
    text[head.len()..].parse().ok()
}

// A text that was read, on one line and not longer than texts may be; nothing if it is
// empty.
fn line(text: &str) -> Option<String> {
    let line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Listed {
        let song = |path: &str, title: &str, artist: Option<&str>, n: u8| ListedSong {
            location: Some(Location::Path(path.to_owned())),
            song: Some(SongId::from_bytes([n; 16])),
            title: Some(title.to_owned()),
            artist: artist.map(str::to_owned),
            album: artist.map(|_| "Älbum <1>".to_owned()),
            duration: Some(12.5),
        };
        Listed {
            name: Some("Evening & \"night\" <b>".to_owned()),
            songs: vec![
                song("/music/a b.mp3", "One ]]> two", Some("Björk & co"), 1),
                song("../x/100%#?.flac", "Two", None, 2),
                song("# odd.wav", "Three - four", Some("A-B"), 3),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for format in PlaylistFormat::ALL {
            let bytes = format.write(&listed());
            let mut expected = listed();
            if format == PlaylistFormat::M3u8 {
                for song in &mut expected.songs {
                    song.song = None;
                    song.album = None;
                    // Whole seconds.
                    song.duration = Some(13.0);
                }
                expected.songs[2].location = Some(Location::Path("./# odd.wav".to_owned()));
            }
            assert_eq!(format.read(&bytes).unwrap(), expected, "{format}");
            let with_mark = [b"\xef\xbb\xbf", bytes.as_slice()].concat();
            assert_eq!(format.read(&with_mark).unwrap(), expected, "{format}");
        }
    }

    #[test]
    fn hostile_files_are_refused_or_read_as_text() {
        let entity =
            b"<?xml version=\"1.0\"?><!DOCTYPE p [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\
            <playlist><trackList><track><location>&a;</location></track></trackList></playlist>";
        assert!(PlaylistFormat::Xspf.read(entity).unwrap_err().contains("document type"));
        let unknown =
            b"<playlist><trackList><track><title>&bomb;</title></track></trackList></playlist>";
        assert!(PlaylistFormat::Xspf.read(unknown).unwrap_err().contains("bomb"));
        let deep = [b"<playlist>".to_vec(), b"<a>".repeat(10_000)].concat();
        assert!(PlaylistFormat::Xspf.read(&deep).unwrap_err().contains("deep"));
        let deep = format!("{{\"playlist\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(PlaylistFormat::Jspf.read(deep.as_bytes()).is_err());
        for format in PlaylistFormat::ALL {
            let many =
                Listed { songs: vec![listed().songs[0].clone(); MOST_SONGS + 1], name: None };
            assert!(format.read(&format.write(&many)).unwrap_err().contains("more than"));
        }
        for bytes in
            [&b""[..], b"\xff\xfe", b"<", b"{}", b"[1]", b"<html></html>", b"{\"playlist\":3}"]
        {
            assert!(PlaylistFormat::Xspf.read(bytes).is_err(), "{bytes:?}");
            assert!(PlaylistFormat::Jspf.read(bytes).is_err(), "{bytes:?}");
        }
        assert!(PlaylistFormat::M3u8.read(b"\0\0\0binary").unwrap_err().contains("text"));
        // A title cannot make a line of its own.
        let mut bad = listed();
        bad.songs[0].title = Some("x\n/etc/passwd\r\n#EXTINF:1,y".to_owned());
        let read = PlaylistFormat::M3u8.read(&PlaylistFormat::M3u8.write(&bad)).unwrap();
        assert_eq!(read.songs.len(), 3);
    }

    #[test]
    fn the_ending_of_a_file_says_its_format() {
        for (path, format) in [
            ("a.m3u8", Some(PlaylistFormat::M3u8)),
            ("a.M3U", Some(PlaylistFormat::M3u8)),
            ("a.xspf", Some(PlaylistFormat::Xspf)),
            ("a.jspf.json", Some(PlaylistFormat::Jspf)),
            ("a.pls", None),
            ("m3u8", None),
        ] {
            assert_eq!(PlaylistFormat::of_path(Path::new(path)).ok(), format, "{path}");
        }
    }
}
