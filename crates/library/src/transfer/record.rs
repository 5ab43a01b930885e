//! One record of an old library's metadata, and what it says of a song.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use songrec_core::{Digest, Key, Song, Tags};

/// The most characters kept of a field that has no name of its own here.
const LONGEST: usize = 10_000;
/// The most such fields kept of a record.
const MOST_FIELDS: usize = 200;

/// Where a record says which file it is about.
const PATHS: [&str; 5] = ["path", "file_path", "audio_path", "filename", "file_name"];
/// Where a record may hold its vector itself.
pub(super) const VECTORS: [&str; 3] = ["embedding", "vector", "embeddings"];

/// A record that is read field by field; what was read of it is remembered, so
/// that the rest can be kept as it is.
pub(super) struct Record<'a> {
    fields: &'a Map<String, Value>,
    read: BTreeSet<&'a str>,
}

/// What of a record has no name of its own here.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// By the names under which they are kept as `extra.NAME`.
    pub(super) fields: BTreeMap<String, String>,
    /// How many were too long, or too many, and were cut.
    pub(super) cut: u64,
}

impl<'a> Record<'a> {
    pub(super) fn new(fields: &'a Map<String, Value>) -> Self {
        Self { fields, read: BTreeSet::new() }
    }

    // The first of these fields that can be read so; it counts as read.
    fn take<T>(&mut self, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        names.iter().find_map(|name| {
            let (name, value) = self.fields.get_key_value(*name)?;
            let value = read(value)?;
            self.read.insert(name);
            Some(value)
        })
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        self.take(names, text)
    }

    fn number(&mut self, names: &[&str], least: f64, most: f64) -> Option<f64> {
        self.take(names, |value| number(value).filter(|n| (least..=most).contains(n)))
    }

    fn whole(&mut self, names: &[&str], least: f64, most: f64) -> Option<u32> {
        let whole = |value: &Value| {
            number(value).filter(|n| (least..=most).contains(n) && n.fract() == 0.0)
        };
        self.take(names, whole).map(|number| number as u32)
    }

    fn list(&mut self, names: &[&str]) -> Vec<String> {
        let list = |value: &Value| match value {
            Value::Array(all) => {
                let texts: Vec<String> = all.iter().filter_map(text).collect();
                (!texts.is_empty() && texts.len() == all.len()).then_some(texts)
            }
            value => text(value).map(|text| vec![text]),
        };
        self.take(names, list).unwrap_or_default()
    }

    /// The file that it is about, as the record names it.
    pub(super) fn path(&mut self) -> Option<String> {
        self.text(&PATHS)
    }

    /// SHA-256 of that file, if the record may be so understood.
    pub(super) fn sha256(&self) -> Option<Digest> {
        let names = ["sha256", "file_hash", "hash"];
        names.iter().find_map(|name| text(self.fields.get(*name)?)?.to_lowercase().parse().ok())
    }

    /// The vector that stands in the record itself.
    pub(super) fn vector(&mut self) -> Option<Vec<f32>> {
        self.take(&VECTORS, |value| {
            let all = value.as_array().filter(|all| !all.is_empty())?;
            all.iter().map(|one| one.as_f64().map(|one| one as f32)).collect()
        })
    }

    /// What it says, by the names of the usual tags.
    pub(super) fn tags(&mut self) -> Tags {
        Tags {
            title: self.text(&["title", "track_name", "name"]),
            artist: self.text(&["artist", "artist_name"]),
            album: self.text(&["album", "collection_name", "album_name"]),
            album_artist: self.text(&["album_artist", "collection_artist_name"]),
            genres: self.list(&["genre", "genres", "primary_genre_name"]),
            year: self.whole(&["year"], 0.0, 9999.0).and_then(|year| i32::try_from(year).ok()),
            track: self.whole(&["track", "track_number"], 1.0, 99_999.0),
            disc: self.whole(&["disc", "disc_number"], 1.0, 99_999.0),
            bpm: self.number(&["bpm", "tempo"], 1.0, 999.0).map(|bpm| bpm as f32),
            key: self.take(&["key", "musical_key"], |value| text(value)?.parse::<Key>().ok()),
            moods: self.list(&["mood", "moods"]),
            instrument: self.text(&["instrument"]),
            is_loop: self.take(&["loop", "is_loop"], Value::as_bool),
            comment: self.text(&["comment"]),
            composer: self.text(&["composer"]),
            label: self.text(&["label"]),
            ..Tags::default()
        }
    }

    /// Brings what it says of the audio into `song`.
    pub(super) fn describe_audio(&mut self, song: &mut Song) {
        const DAY: f64 = 86_400.0;
        let seconds = self.number(&["duration", "duration_seconds"], 0.0, DAY);
        let milliseconds = self.fields.get("track_time_millis").and_then(number);
        let milliseconds = milliseconds.filter(|time| (0.0..=DAY * 1000.0).contains(time));
        song.audio.duration = seconds.or(milliseconds.map(|time| time / 1000.0)).unwrap_or(0.0);
        song.audio.sample_rate = self.whole(&["sample_rate"], 1.0, 10_000_000.0).unwrap_or(0);
    }

    /// Everything that was not read.
    pub(super) fn rest(&self) -> Rest {
        let mut rest = Rest::default();
        for (name, value) in self.fields {
            if self.read.contains(name.as_str()) {
                continue;
            }
            let Some(whole) = any_text(value) else { continue };
            if rest.fields.len() == MOST_FIELDS {
                rest.cut += 1;
                continue;
            }
            let text: String = whole.chars().take(LONGEST).collect();
            rest.cut += u64::from(text.len() < whole.len());
            let mut name = extra_name(name);
            while rest.fields.contains_key(&name) {
                name.truncate(45);
                name.push_str("_2");
            }
            rest.fields.insert(name, text);
        }
        rest
    }

    /// How it is called in messages.
    pub(super) fn label(&self, key: Option<&str>) -> String {
        let of = |name: &&str| text(self.fields.get(*name)?);
        key.map(str::to_owned)
            .or_else(|| ["title", "filename", "path", "id", "song_id"].iter().find_map(of))
            .unwrap_or_else(|| "a record without a name".to_owned())
    }

    /// The names of files that its vector may have, before what is guessed.
    pub(super) fn vector_file(&mut self) -> Option<String> {
        self.text(&["embedding_path", "embedding_file", "embedding"])
    }

    /// What files of its own may be called by, without counting as read.
    pub(super) fn names(&self, key: Option<&str>) -> Vec<String> {
        let of = |names: &[&str]| names.iter().find_map(|name| text(self.fields.get(*name)?));
        let id = of(&["song_id", "id", "embedding_id"]);
        let file = of(&["filename", "file_name", "path", "file_path", "audio_path"]);
        key.map(str::to_owned).into_iter().chain(id).chain(file).collect()
    }
}

// A name as fields may have it: `a-z`, `0-9` and `_`, at most 48 of them.
fn extra_name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(fits).take(48).collect();
    if name.is_empty() { "field".to_owned() } else { name }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

// Lists and objects as the JSON that they are; nothing says nothing.
fn any_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(all) if all.is_empty() => None,
        Value::Object(all) if all.is_empty() => None,
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
        value => text(value),
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::complete::name_lookup_key;

    fn fields(json: Value) -> Map<String, Value> {
        match json {
            Value::Object(fields) => fields,
            _ => unreachable!("the tests give objects"),
        }
    }

    #[test]
    fn every_field_is_a_tag_or_kept_as_it_is() {
        let fields = fields(json!({
            "title": "T", "track_name": "other", "year": "soon", "bpm": "120.5", "key": "Am",
            "mood": ["dark", "slow"], "instrument": "kick", "loop": true, "label": "Warp",
            "collection_id": 7, "Artist View URL": "https://example.com", "empty": " ",
            "nothing": null, "deep": {"a": [1, 2]}, "flag": false,
        }));
        let mut record = Record::new(&fields);

        let tags = record.tags();
        let rest = record.rest();

        assert_eq!(tags.title.as_deref(), Some("T"));
        assert_eq!((tags.bpm, tags.year, tags.is_loop), (Some(120.5), None, Some(true)));
        assert_eq!(tags.moods, ["dark", "slow"]);
        assert_eq!(tags.key.map(|key| key.to_string()).as_deref(), Some("Am"));
        assert_eq!(tags.label.as_deref(), Some("Warp"));
        let rest: Vec<(&str, &str)> =
            rest.fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            rest,
            [
                ("artist_view_url", "https://example.com"),
                ("collection_id", "7"),
                ("deep", r#"{"a":[1,2]}"#),
                ("flag", "false"),
                ("track_name", "other"),
                ("year", "soon"),
            ]
        );
    }

    #[test]
    fn two_names_that_become_one_keep_both_values() {
        let fields = fields(json!({"View URL": "a", "view_url": "b"}));

        assert_eq!(Record::new(&fields).rest().fields.len(), 2);
    }

    #[test]
    fn a_name_is_the_same_whatever_folder_and_case() {
        let handle = |path: &str| name_lookup_key(Path::new(path));
        assert_eq!(handle("/a/Kick.WAV"), handle("audio/kick.wav"));
        assert_eq!(handle("C:\\music\\kick.wav"), handle("kick.wav"));
        assert_ne!(handle("snare.wav"), handle("kick.wav"));
    }
}
