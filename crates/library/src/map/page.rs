//! A map as a file: a page, a picture, or numbers.

use std::{io::Write, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{MapData, NEIGHBORS, picture};
use crate::{Error, Result};

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
    ///
    /// # Errors
    ///
    /// When a file cannot be written; `Usage` for a picture in three dimensions.
    pub fn write(&self, format: MapFormat, path: &Path) -> Result<()> {
        let bytes = match format {
            MapFormat::Html => self.page().into_bytes(),
            MapFormat::Json => self.json().to_string().into_bytes(),
            MapFormat::Csv => self.csv().into_bytes(),
            MapFormat::Png => picture::picture(self)?,
            MapFormat::Npy => {
                let ids: String = self.map.songs.iter().map(|id| format!("{id}\n")).collect();
                write_whole(&path.with_extension("ids.txt"), ids.as_bytes())?;
                let mut bytes = Vec::new();
                let shape = [self.map.songs.len() as u64, self.map.dims as u64];
                crate::npy::write_rows(&mut bytes, &self.map.coordinates, &shape)
                    .map_err(|error| Error::io("write", path, error))?;
                bytes
            }
        };
        write_whole(path, &bytes)
    }

    fn page(&self) -> String {
        let dims = self.map.dims;
        let numbers = |bytes: Vec<u8>| STANDARD.encode(bytes);
        let coordinates = self.map.coordinates.iter().flat_map(|value| value.to_le_bytes());
        let neighbors = self.map.neighbors.iter().flat_map(|number| number.to_le_bytes());
        let column = |of: &dyn Fn(&super::MapSong) -> Value| -> Vec<Value> {
            self.songs.iter().map(|song| song.as_ref().map_or(Value::Null, of)).collect()
        };
        let ids: Vec<String> = self.map.songs.iter().map(ToString::to_string).collect();
        let data = json!({
            "version": 1,
            "library": self.library,
            "model": self.map.model,
            "method": self.map.method,
            "dims": dims,
            "seed": self.map.seed,
            "made": self.map.made_at,
            "count": ids.len(),
            "trustworthiness": self.map.trustworthiness,
            "coordinates": numbers(coordinates.collect()),
            "neighbors": {"k": NEIGHBORS, "ids": numbers(neighbors.collect())},
            "songs": {
                "id": ids,
                "title": column(&|song| json!(song.summary.title)),
                "artist": column(&|song| json!(song.summary.artist)),
                "album": column(&|song| json!(song.summary.album)),
                "genre": column(&|song| json!(song.summary.genres.first())),
                "instrument": column(&|song| json!(song.summary.instrument)),
                "key": column(&|song| json!(song.summary.key)),
                "bpm": column(&|song| json!(song.summary.bpm)),
                "duration": column(&|song| json!(song.summary.duration)),
                "cluster": column(&|song| json!(song.cluster)),
                "anomaly": column(&|song| json!(song.anomaly)),
                "path": column(&|song| json!(song.summary.path)),
            },
            "clusters": self.named_clusters(),
            "color": self.color,
        });
        // Inside of a script element nothing may look like a tag or a comment.
        let text = data.to_string();
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        PAGE.replacen(PLACE, &text, 1)
    }

    fn named_clusters(&self) -> Vec<Value> {
        self.clusters.iter().map(|(id, name)| json!({"id": id, "name": name})).collect()
    }

    fn json(&self) -> Value {
        let songs = self.map.songs.iter().enumerate().map(|(number, id)| {
            let song = self.songs[number].as_ref();
            json!({
                "id": id,
                "coordinates": self.map.place(number),
                "title": song.map(|song| &song.summary.title),
                "artist": song.and_then(|song| song.summary.artist.as_ref()),
                "genres": song.map(|song| &song.summary.genres),
                "instrument": song.and_then(|song| song.summary.instrument.as_ref()),
                "key": song.and_then(|song| song.summary.key),
                "bpm": song.and_then(|song| song.summary.bpm),
                "cluster": song.and_then(|song| song.cluster),
                "anomaly": song.and_then(|song| song.anomaly),
            })
        });
        json!({
            "model": self.map.model,
            "method": self.map.method,
            "dims": self.map.dims,
            "seed": self.map.seed,
            "made_at": self.map.made_at,
            "trustworthiness": self.map.trustworthiness,
            "clusters": self.named_clusters(),
            "songs": songs.collect::<Vec<Value>>(),
        })
    }

    fn csv(&self) -> String {
        let axes = if self.map.dims == 3 { "x,y,z" } else { "x,y" };
        let mut text = format!("id,{axes},title,artist,genre,instrument,key,bpm,cluster\r\n");
        for (number, id) in self.map.songs.iter().enumerate() {
            let song = self.songs[number].as_ref();
            let summary = song.map(|song| &song.summary);
            let mut cells = vec![id.to_string()];
            cells.extend(self.map.place(number).iter().map(ToString::to_string));
            cells.push(summary.map(|one| one.title.clone()).unwrap_or_default());
            cells.push(summary.and_then(|one| one.artist.clone()).unwrap_or_default());
            cells.push(summary.and_then(|one| one.genres.first().cloned()).unwrap_or_default());
            cells.push(summary.and_then(|one| one.instrument.clone()).unwrap_or_default());
            let key = summary.and_then(|one| one.key);
            cells.push(key.map(|key| key.to_string()).unwrap_or_default());
            let bpm = summary.and_then(|one| one.bpm);
            cells.push(bpm.map(|bpm| bpm.to_string()).unwrap_or_default());
            let cluster = song.and_then(|song| song.cluster);
            cells.push(cluster.map(|cluster| cluster.to_string()).unwrap_or_default());
            let cells: Vec<String> = cells.iter().map(|cell| cell_of(cell)).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
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

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error| Error::io("write", path, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As other files of this user, and not for this user alone.
        use std::os::unix::fs::PermissionsExt;
        new.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut new = new.tempfile_in(folder).map_err(failed)?;
    new.write_all(bytes).map_err(failed)?;
    new.persist(path).map_err(|error| failed(error.error)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(cell_of("Deep Kick"), "Deep Kick");
        assert_eq!(cell_of("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(cell_of("=1+1"), "'=1+1");
        assert_eq!(cell_of("-1.5"), "-1.5");
    }

    #[test]
    fn the_ending_says_what_a_file_is() {
        assert_eq!(MapFormat::of(Path::new("a/map.HTML")), Some(MapFormat::Html));
        assert_eq!(MapFormat::of(Path::new("map")), None);
    }
}
