//! A map as a file: a page, a picture, or numbers.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;
use songrec_core::{ModelName, Timestamp};
use songrec_formats::npy;
use tempfile::NamedTempFile;

use super::{MapData, MapMethod, MapSong, NEIGHBORS, picture};
use crate::{Error, Property, Result};

/// The page, whose data is put in the place of [`PLACE`]. `web/map` makes it.
const PAGE: &str = include_str!("../../assets/map.html");
const PLACE: &str = "/*SONGREC_MAP_DATA*/";

/// What a file with a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFormat {
    /// A page for a browser, which needs nothing else.
    Html,
    /// A picture of 1,600 by 1,200 pixels.
    Png,
    /// Everything, for programs.
    Json,
    /// A line for each song.
    Csv,
    /// The coordinates as float32, a row for each song, and beside it the ids.
    Npy,
}

impl MapFormat {
    /// What the ending of a file's name says, for a file that can be there: to be asked
    /// before a map is drawn.
    ///
    /// # Errors
    ///
    /// `Usage` for another ending or a folder of this name, `NotFound` if the folder
    /// that it is to be in is not there, `Denied` if nothing can be made in it.
    pub fn of_file(path: &Path) -> Result<Self> {
        let format = Self::of(path).ok_or_else(|| {
            Error::usage(format_args!("`{}` does not say what to write", path.display()))
                .with_hint("end it in `.html`, `.png`, `.json`, `.csv` or `.npy`")
        })?;
        if path.is_dir() {
            return Err(Error::usage(format_args!("`{}` is a folder", path.display()))
                .with_hint("name the file that the map is written to"));
        }
        // A file without a name shows what permissions alone do not: a disk that
        // is mounted for reading, or whose place for files is used up.
        new_file_in(folder_of(path)?).map_err(|error| not_written(path, error))?;
        Ok(format)
    }

    /// What the ending of a file's name says.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "html" | "htm" => Self::Html,
            "png" => Self::Png,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "npy" => Self::Npy,
            _ => return None,
        })
    }
}

impl MapData {
    /// Writes the map to a file, whole or not at all; beside `.npy` a file `.ids.txt`.
    /// Nothing of it is in memory twice but the coordinates.
    ///
    /// # Errors
    ///
    /// When a file cannot be written; `Usage` for a picture in three dimensions.
    pub fn write(&self, format: MapFormat, path: &Path) -> Result<()> {
        if format == MapFormat::Npy {
            write_whole(&path.with_extension("ids.txt"), |out| {
                self.map.songs.iter().try_for_each(|id| writeln!(out, "{id}"))
            })?;
        }
        // What is wrong with a picture is no trouble with its file.
        let picture = match format {
            MapFormat::Png => picture::picture(self)?,
            _ => Vec::new(),
        };
        write_whole(path, |out| match format {
            MapFormat::Html => self.page(out),
            MapFormat::Json => self.write_json(out),
            MapFormat::Csv => self.csv(out),
            MapFormat::Png => out.write_all(&picture),
            MapFormat::Npy => {
                let shape = [self.map.songs.len() as u64, self.map.dims as u64];
                npy::write(out, &shape, [&self.map.coordinates[..]])
            }
        })
    }

    fn page(&self, out: &mut dyn Write) -> io::Result<()> {
        let (before, after) = PAGE.split_once(PLACE).expect("the page has one place for data");
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(Escaped(&mut *out), &PageData::of(self))?;
        out.write_all(after.as_bytes())
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let axes = if self.map.dims == 3 { "x,y,z" } else { "x,y" };
        write!(out, "id,{axes},title,artist,genre,instrument,key,bpm,cluster\r\n")?;
        for (number, id) in self.map.songs.iter().enumerate() {
            let song = self.songs[number].as_ref();
            write!(out, "{id}")?;
            for value in self.map.place(number) {
                write!(out, ",{value}")?;
            }
            let texts = [
                song.map(|song| song.title.to_string()),
                song.and_then(|song| song.artist.as_deref().map(str::to_owned)),
                song.and_then(|song| song.genre.as_deref().map(str::to_owned)),
                song.and_then(|song| song.instrument.as_deref().map(str::to_owned)),
                song.and_then(|song| song.key.map(|key| key.to_string())),
                song.and_then(|song| song.bpm.map(|bpm| bpm.to_string())),
                song.and_then(|song| song.cluster.map(|cluster| cluster.to_string())),
            ];
            for text in texts {
                write!(out, ",{}", cell_of(&text.unwrap_or_default()))?;
            }
            out.write_all(b"\r\n")?;
        }
        Ok(())
    }
}

/// What the page shows; `web/map/README.md` says what each field means.
#[derive(Serialize)]
struct PageData<'a> {
    version: u32,
    library: &'a str,
    model: &'a ModelName,
    method: MapMethod,
    dims: usize,
    seed: u64,
    made: Timestamp,
    count: usize,
    trustworthiness: Option<f64>,
    coordinates: String,
    neighbors: Nearest,
    songs: Columns<'a>,
    clusters: Vec<NamedCluster<'a>>,
    color: Property,
}

#[derive(Serialize)]
struct Nearest {
    k: usize,
    ids: String,
}

#[derive(Serialize)]
struct NamedCluster<'a> {
    id: u32,
    name: &'a str,
}

impl<'a> PageData<'a> {
    fn of(data: &'a MapData) -> Self {
        let map = &data.map;
        let coordinates: Vec<u8> =
            map.coordinates.iter().flat_map(|value| value.to_le_bytes()).collect();
        let neighbors: Vec<u8> =
            map.neighbors.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self {
            version: 1,
            library: &data.library,
            model: &map.model,
            method: map.method,
            dims: map.dims,
            seed: map.seed,
            made: map.made_at,
            count: map.songs.len(),
            trustworthiness: map.trustworthiness,
            coordinates: STANDARD.encode(coordinates),
            neighbors: Nearest { k: NEIGHBORS, ids: STANDARD.encode(neighbors) },
            songs: Columns(data),
            clusters: clusters(data),
            color: data.color,
        }
    }
}

fn clusters(data: &MapData) -> Vec<NamedCluster<'_>> {
    data.clusters.iter().map(|(id, name)| NamedCluster { id: *id, name }).collect()
}

/// The songs, a list for each property.
struct Columns<'a>(&'a MapData);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let songs = &self.0.songs;
        let mut columns = serializer.serialize_map(None)?;
        columns.serialize_entry("id", &self.0.map.songs)?;
        columns.serialize_entry("title", &Column(songs, |song| Some(&*song.title)))?;
        columns.serialize_entry("artist", &Column(songs, |song| song.artist.as_deref()))?;
        columns.serialize_entry("album", &Column(songs, |song| song.album.as_deref()))?;
        columns.serialize_entry("genre", &Column(songs, |song| song.genre.as_deref()))?;
        columns.serialize_entry("instrument", &Column(songs, |song| song.instrument.as_deref()))?;
        columns.serialize_entry("key", &Column(songs, |song| song.key))?;
        columns.serialize_entry("bpm", &Column(songs, |song| song.bpm))?;
        columns.serialize_entry("duration", &Column(songs, |song| Some(song.duration)))?;
        columns.serialize_entry("cluster", &Column(songs, |song| song.cluster))?;
        columns.serialize_entry("anomaly", &Column(songs, |song| song.anomaly))?;
        columns.serialize_entry("path", &Column(songs, |song| song.path.as_deref()))?;
        columns.end()
    }
}

/// One property of every song.
struct Column<'a, T>(&'a [Option<MapSong>], fn(&'a MapSong) -> Option<T>);

impl<T: Serialize> Serialize for Column<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|song| song.as_ref().and_then(self.1)))
    }
}

impl MapData {
    /// The map as one JSON document, song by song.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(out, &Json(self)).map_err(Into::into)
    }
}

/// Everything, song by song.
struct Json<'a>(&'a MapData);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let map = &self.0.map;
        let mut whole = serializer.serialize_map(None)?;
        whole.serialize_entry("model", &map.model)?;
        whole.serialize_entry("method", &map.method)?;
        whole.serialize_entry("dims", &map.dims)?;
        whole.serialize_entry("seed", &map.seed)?;
        whole.serialize_entry("made_at", &map.made_at)?;
        whole.serialize_entry("trustworthiness", &map.trustworthiness)?;
        whole.serialize_entry("clusters", &clusters(self.0))?;
        whole.serialize_entry("songs", &Songs(self.0))?;
        whole.end()
    }
}

struct Songs<'a>(&'a MapData);

impl Serialize for Songs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self(data) = self;
        serializer.collect_seq(data.map.songs.iter().enumerate().map(|(number, id)| {
            let song = data.songs[number].as_ref();
            json!({
                "id": id,
                "coordinates": data.map.place(number),
                "title": song.map(|song| &song.title),
                "artist": song.and_then(|song| song.artist.as_deref()),
                "album": song.and_then(|song| song.album.as_deref()),
                "genre": song.and_then(|song| song.genre.as_deref()),
                "instrument": song.and_then(|song| song.instrument.as_deref()),
                "key": song.and_then(|song| song.key),
                "bpm": song.and_then(|song| song.bpm),
                "duration": song.map(|song| song.duration),
                "cluster": song.and_then(|song| song.cluster),
                "anomaly": song.and_then(|song| song.anomaly),
            })
        }))
    }
}

/// JSON inside of a script element, where nothing may look like a tag or a comment.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&')) {
            self.0.write_all(&rest[..at])?;
            write!(self.0, "\\u{:04x}", rest[at])?;
            rest = &rest[at + 1..];
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

// As RFC 4180 has it; a title that begins as a formula does must not become one in a
// spreadsheet.
fn cell_of(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let guarded = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match guarded.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

// Where a file is to be.
fn folder_of(path: &Path) -> Result<&Path> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(Error::not_found(format_args!("there is no folder `{}`", folder.display()))
            .with_hint("make it, or write the map somewhere else")),
    }
}

fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |error: io::Error| not_written(path, error);
    let mut new = new_file_in(folder_of(path)?).map_err(failed)?;
    let mut out = BufWriter::new(new.as_file_mut());
    write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    new.persist(path).map_err(|error| failed(error.error)).map(drop)
}

fn not_written(path: &Path, error: io::Error) -> Error {
    // What it is called until it is whole is nobody's business.
    let error = error.raw_os_error().map_or(error, io::Error::from_raw_os_error);
    Error::io("write", path, error)
}

fn new_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut new = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As other files of this user, and not for this user alone.
        use std::os::unix::fs::PermissionsExt;
        new.permissions(std::fs::Permissions::from_mode(0o666));
    }
    new.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(cell_of("Deep Kick"), "Deep Kick");
        assert_eq!(cell_of("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(cell_of("=1+1"), "'=1+1");
        assert_eq!(cell_of("-1.5"), "-1.5");
    }

    #[test]
    fn data_does_not_end_its_element() {
        let mut text = Vec::new();
        serde_json::to_writer(Escaped(&mut text), "</script>&<!--").unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "\"\\u003c/script\\u003e\\u0026\\u003c!--\"");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "</script>&<!--");
        assert_eq!(PAGE.matches(PLACE).count(), 1);
    }

    #[test]
    fn where_nothing_can_be_written_that_is_said_before() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("map.html")).unwrap();
        let kind = |path: &Path| MapFormat::of_file(path).map_err(|error| error.kind());

        assert_eq!(kind(&folder.path().join("new.html")), Ok(MapFormat::Html));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was left");
        assert_eq!(kind(&folder.path().join("map.html")), Err(ErrorKind::Usage));
        assert_eq!(kind(&folder.path().join("no/map.html")), Err(ErrorKind::NotFound));
        // Where not even root makes a file.
        #[cfg(target_os = "linux")]
        assert!(kind(Path::new("/proc/self/map.html")).is_err());
    }

    #[test]
    fn the_ending_says_what_a_file_is() {
        assert_eq!(MapFormat::of(Path::new("a/map.HTML")), Some(MapFormat::Html));
        assert_eq!(MapFormat::of(Path::new("map")), None);
    }
}
