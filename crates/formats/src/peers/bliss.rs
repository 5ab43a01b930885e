//! Databases of blissify (and other programs with bliss-rs), and of bliss-analyser.

use std::path::Path;

use rusqlite::types::ValueRef;
use serde_json::Value;
use songrec_core::Metric;

use super::{
    Each, PeerError, PeerRecord, PeerVector,
    database::{columns, fields, open, path_of, rename},
};

// Vectors of one length are of one version, and those of another are of another.
fn vector(values: Vec<f32>) -> Vec<PeerVector> {
    if values.is_empty() {
        return Vec::new();
    }
    let model = format!("bliss{}", values.len());
    vec![PeerVector { model, metric: Metric::Euclidean, values }]
}

pub(super) fn blissify(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let connection = open(path)?;
    let value = match columns(&connection, "feature")?.contains("feature") {
        true => "feature",
        false => "value",
    };
    let mut of_song = connection.prepare(&format!(
        "SELECT {value} FROM feature WHERE song_id = ?1 ORDER BY feature_index"
    ))?;
    let mut songs = connection.prepare("SELECT * FROM song ORDER BY id")?;
    let mut rows = songs.query([])?;
    while let Some(row) = rows.next()? {
        let mut fields = fields(row, |name, bytes| name.ends_with("path").then(|| path_of(bytes)))?;
        let id = fields.remove("id").and_then(|id| id.as_i64()).unwrap_or(-1);
        let values = of_song.query_map([id], |row| row.get::<_, f64>(0))?;
        let values: Vec<f32> =
            values.map(|value| value.map(|value| value as f32)).collect::<Result<_, _>>()?;
        let is_analysed = fields.remove("analyzed").and_then(|value| value.as_i64()) != Some(0);
        let record = match fields.get("error").and_then(Value::as_str) {
            Some(why) if !is_analysed => {
                let name = fields.get("path").and_then(Value::as_str).unwrap_or("a song");
                Err((name.to_owned(), format!("blissify could not read it: {why}")))
            }
            _ => {
                rename(&mut fields, "version", "bliss_version");
                rename(&mut fields, "track_number", "track");
                rename(&mut fields, "disc_number", "disc");
                Ok(PeerRecord { key: None, fields, vectors: vector(values) })
            }
        };
        if !each(record) {
            return Ok(());
        }
    }
    Ok(())
}

/// What is no feature of a track.
const TEXTS: [&str; 9] =
    ["File", "Title", "Artist", "AlbumArtist", "Album", "Genre", "Duration", "Ignore", "rowid"];

pub(super) fn analyser(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let connection = open(path)?;
    let mut tracks = connection.prepare("SELECT * FROM TracksV2 ORDER BY rowid")?;
    let names: Vec<String> = tracks.column_names().map(str::to_owned).collect();
    let is_feature = |name: &String| !TEXTS.contains(&name.as_str());
    let mut rows = tracks.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::new();
        for (at, _) in names.iter().enumerate().filter(|(_, name)| is_feature(name)) {
            match row.get_ref(at)? {
                ValueRef::Real(value) => values.push(value as f32),
                ValueRef::Integer(value) => values.push(value as f32),
                ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => {}
            }
        }
        let mut fields = fields(row, |name, bytes| (name == "File").then(|| path_of(bytes)))?;
        fields.retain(|name, _| !is_feature(name));
        for (from, to) in [
            ("File", "path"),
            ("Title", "title"),
            ("Artist", "artist"),
            ("AlbumArtist", "album_artist"),
            ("Album", "album"),
            ("Genre", "genre"),
            ("Duration", "duration"),
            ("Ignore", "bliss_ignore"),
        ] {
            rename(&mut fields, from, to);
        }
        if !each(Ok(PeerRecord { key: None, fields, vectors: vector(values) })) {
            return Ok(());
        }
    }
    Ok(())
}
