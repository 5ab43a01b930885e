//! Descriptions of recordings as AcousticBrainz gave them away: a JSON document for each.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{Each, PeerError, PeerRecord, name_of};

/// The most bytes of one description.
const LARGEST: u64 = 16 << 20;
/// A mood counts from this probability on.
const SURE: f64 = 0.6;
/// How deep below a folder descriptions are looked for: they lie by parts of their ids.
const DEEP: usize = 4;

/// Whether a JSON file is such a description.
pub(super) fn is_one(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut text = String::new();
    // The parts that every description has stand anywhere.
    if BufReader::new(file).take(LARGEST).read_to_string(&mut text).is_err() {
        return false;
    }
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    has("metadata") && (has("lowlevel") || has("highlevel")) && has("audio_properties")
}

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let mut files = Vec::new();
    if path.is_dir() {
        find(path, DEEP, &mut files)?;
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    for file in files {
        let name = name_of(&file);
        let record = description(&file)
            .and_then(|value| record(&value, &name).ok_or_else(|| "it says nothing".to_owned()));
        if !each(record.map_err(|why| (name, why))) {
            return Ok(());
        }
    }
    Ok(())
}

fn find(folder: &Path, deep: usize, files: &mut Vec<PathBuf>) -> Result<(), PeerError> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && deep > 0 {
            find(&path, deep - 1, files)?;
        } else if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn description(path: &Path) -> Result<Value, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    serde_json::from_reader(BufReader::new(file).take(LARGEST)).map_err(|error| error.to_string())
}

fn record(value: &Value, name: &str) -> Option<PeerRecord> {
    let metadata = value.get("metadata")?;
    let mut fields = Map::new();
    for (name, text) in metadata.get("tags")?.as_object()? {
        // Every tag is a list; most have one element.
        let text = match text {
            Value::Array(all) if all.len() == 1 => all[0].clone(),
            text => text.clone(),
        };
        let name = match name.as_str() {
            "file_name" => "filename",
            "albumartist" | "album artist" => "album_artist",
            "tracknumber" => "track",
            "discnumber" => "disc",
            "musicbrainz_recordingid" | "musicbrainz_trackid" => "musicbrainz_recording_id",
            other => other,
        };
        fields.entry(name.to_owned()).or_insert(text);
    }
    // A track is written as `3/12`, a year as a date.
    for name in ["track", "disc"] {
        if let Some(Value::String(text)) = fields.get(name)
            && let Some((number, _)) = text.split_once('/')
        {
            let number = Value::String(number.to_owned());
            fields.insert(name.to_owned(), number);
        }
    }
    if let Some(Value::String(date)) = fields.get("date")
        && let Some(year) = date.get(..4).filter(|year| year.bytes().all(|b| b.is_ascii_digit()))
    {
        let year = Value::String(year.to_owned());
        fields.entry("year").or_insert(year);
    }
    let audio = metadata.get("audio_properties");
    let of_audio = |name: &str| audio.and_then(|audio| audio.get(name)).cloned();
    for (from, to) in
        [("length", "duration"), ("sample_rate", "sample_rate"), ("md5_encoded", "md5_encoded")]
    {
        if let Some(value) = of_audio(from) {
            fields.entry(to).or_insert(value);
        }
    }
    if let Some(bpm) = value.pointer("/rhythm/bpm") {
        fields.entry("bpm").or_insert(bpm.clone());
    }
    if let (Some(Value::String(key)), Some(Value::String(scale))) =
        (value.pointer("/tonal/key_key"), value.pointer("/tonal/key_scale"))
    {
        let minor = if scale == "minor" { "m" } else { "" };
        fields.entry("key").or_insert(Value::String(format!("{key}{minor}")));
    }
    let mut moods = Vec::new();
    for (name, guess) in value.get("highlevel").and_then(Value::as_object).into_iter().flatten() {
        let Some(said) = guess.get("value").and_then(Value::as_str) else { continue };
        let sure = guess.get("probability").and_then(Value::as_f64).is_some_and(|p| p >= SURE);
        if let Some(mood) = name.strip_prefix("mood_")
            && sure
            && said == mood
        {
            moods.push(Value::String(mood.to_owned()));
        }
        fields.entry(format!("acousticbrainz_{name}")).or_insert(Value::String(said.to_owned()));
    }
    if !moods.is_empty() {
        fields.entry("moods").or_insert(Value::Array(moods));
    }
    let key = name.strip_suffix(".json").map(str::to_owned);
    Some(PeerRecord { key, fields, vectors: Vec::new() })
}
