//! The usual tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Field, Key, fold};

/// The usual tags, as one source says them: the file's own tags, an import,
/// the name of the file. [`Song::effective_tags`](crate::Song::effective_tags)
/// puts the sources together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the usual tags")]
pub struct Tags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album_artist: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub genres: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disc: Option<u32>,
    /// Beats per minute as the file says, not as measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpm: Option<f32>,
    /// The key as the file says, not as measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moods: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    /// Whether it is a loop, as a source says, not as measured.
    #[serde(skip_serializing_if = "Option::is_none", rename = "loop")]
    pub is_loop: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Of [effective tags](crate::Song::effective_tags): whether artist or
    /// title are guessed from the file's name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_file_name: bool,
    /// The embedded cover picture, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub art: Option<Art>,
    /// Other tags worth keeping, such as `isrc` or `musicbrainz_track_id`, by
    /// name in small letters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl Tags {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every field that has a value, in order.
    pub fn fields(&self) -> Vec<Field> {
        Field::usual()
            .chain(self.extra.keys().cloned().map(Field::Extra))
            .filter(|field| self.has_value(field))
            .collect()
    }

    /// Whether `field` has a value.
    pub fn has_value(&self, field: &Field) -> bool {
        match field {
            Field::Title => self.title.is_some(),
            Field::Artist => self.artist.is_some(),
            Field::Album => self.album.is_some(),
            Field::AlbumArtist => self.album_artist.is_some(),
            Field::Genre => !self.genres.is_empty(),
            Field::Year => self.year.is_some(),
            Field::Track => self.track.is_some(),
            Field::Disc => self.disc.is_some(),
            Field::Bpm => self.bpm.is_some(),
            Field::Key => self.key.is_some(),
            Field::Mood => !self.moods.is_empty(),
            Field::Comment => self.comment.is_some(),
            Field::Composer => self.composer.is_some(),
            Field::Label => self.label.is_some(),
            Field::Instrument => self.instrument.is_some(),
            Field::Loop => self.is_loop.is_some(),
            Field::Extra(name) => self.extra.contains_key(name),
        }
    }

    /// The value of `field`, if it has one.
    pub fn value(&self, field: &Field) -> Option<Value> {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| Value::from(list.clone()));
        match field {
            Field::Title => text(&self.title),
            Field::Artist => text(&self.artist),
            Field::Album => text(&self.album),
            Field::AlbumArtist => text(&self.album_artist),
            Field::Genre => list(&self.genres),
            Field::Year => self.year.map(Value::from),
            Field::Track => self.track.map(Value::from),
            Field::Disc => self.disc.map(Value::from),
            Field::Bpm => self.bpm.map(Value::from),
            Field::Key => self.key.map(|key| Value::from(key.to_string())),
            Field::Mood => list(&self.moods),
            Field::Comment => text(&self.comment),
            Field::Composer => text(&self.composer),
            Field::Label => text(&self.label),
            Field::Instrument => text(&self.instrument),
            Field::Loop => self.is_loop.map(Value::from),
            Field::Extra(name) => self.extra.get(name).cloned().map(Value::from),
        }
    }

    /// Sets `field` to `value`; null, or a value of another type, leaves it
    /// without one.
    pub fn set(&mut self, field: &Field, value: &Value) {
        let text = || value.as_str().map(str::to_owned);
        let list = || {
            let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
            values.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let number = || value.as_u64().and_then(|number| u32::try_from(number).ok());
        match field {
            Field::Title => self.title = text(),
            Field::Artist => self.artist = text(),
            Field::Album => self.album = text(),
            Field::AlbumArtist => self.album_artist = text(),
            Field::Genre => self.genres = list(),
            Field::Year => self.year = value.as_i64().and_then(|year| i32::try_from(year).ok()),
            Field::Track => self.track = number(),
            Field::Disc => self.disc = number(),
            Field::Bpm => self.bpm = value.as_f64().map(|bpm| bpm as f32),
            Field::Key => self.key = value.as_str().and_then(|key| key.parse().ok()),
            Field::Mood => self.moods = list(),
            Field::Comment => self.comment = text(),
            Field::Composer => self.composer = text(),
            Field::Label => self.label = text(),
            Field::Instrument => self.instrument = text(),
            Field::Loop => self.is_loop = value.as_bool(),
            Field::Extra(name) => match text() {
                Some(text) => drop(self.extra.insert(name.clone(), text)),
                None => drop(self.extra.remove(name)),
            },
        }
    }

    /// Takes from `lower` the fields that have no value here.
    pub fn fill_from(&mut self, lower: &Self) {
        if self.is_empty() {
            self.clone_from(lower);
            return;
        }
        for field in lower.fields() {
            if !self.has_value(&field)
                && let Some(value) = lower.value(&field)
            {
                self.set(&field, &value);
            }
        }
        if self.art.is_none() {
            self.art.clone_from(&lower.art);
        }
    }

    /// Takes what the name of the file says, `named`, where title or artist
    /// are not known.
    ///
    /// A half that is known confirms the other one: the artist counts only if
    /// the name has the known title too, and of a name with another artist all
    /// is the title.
    pub fn complete_from_name(&mut self, named: &Self) {
        let Some(title) = named.title.clone() else { return };
        let same = |left: &str, right: &str| fold(left) == fold(right);
        match (&self.artist, &self.title) {
            (Some(_), Some(_)) => return,
            (None, Some(known)) => {
                if let Some(artist) = named.artist.clone()
                    && same(&title, known)
                {
                    self.artist = Some(artist);
                    self.from_file_name = true;
                }
                return;
            }
            (Some(known), None) => {
                self.title = match &named.artist {
                    Some(artist) if !same(artist, known) => Some(format!("{artist} - {title}")),
                    _ => Some(title),
                };
            }
            (None, None) => {
                self.artist.clone_from(&named.artist);
                self.title = Some(title);
            }
        }
        self.from_file_name = true;
        self.track = self.track.or(named.track);
    }
}

/// An embedded picture; the picture itself stays in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Art {
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(artist: Option<&str>, title: Option<&str>) -> Tags {
        let owned = |text: &str| text.to_owned();
        let mut tags =
            Tags { artist: artist.map(owned), title: title.map(owned), ..Tags::default() };
        tags.complete_from_name(&Tags {
            artist: Some("Nena".into()),
            title: Some("Irgendwie".into()),
            track: Some(2),
            ..Tags::default()
        });
        tags
    }

    #[test]
    fn the_name_fills_only_what_tags_lack() {
        let both = completed(None, None);
        assert_eq!(both.artist.as_deref(), Some("Nena"));
        assert_eq!(both.title.as_deref(), Some("Irgendwie"));
        assert_eq!(both.track, Some(2));
        assert!(both.from_file_name);

        let full = completed(Some("A"), Some("T"));
        assert_eq!((full.artist.as_deref(), full.from_file_name), (Some("A"), false));
    }

    #[test]
    fn half_known_names_are_matched_against_what_is_known() {
        let title = completed(Some("nena"), None);
        assert_eq!(title.title.as_deref(), Some("Irgendwie"));

        let other = completed(Some("Various"), None);
        assert_eq!(other.title.as_deref(), Some("Nena - Irgendwie"));

        let artist = completed(None, Some("irgendwie"));
        assert_eq!(artist.artist.as_deref(), Some("Nena"));

        let unknown = completed(None, Some("Other"));
        assert_eq!((unknown.artist, unknown.from_file_name), (None, false));
    }

    #[test]
    fn every_tag_can_be_read_and_set_by_its_field() {
        let mut tags = Tags::default();
        let list = serde_json::json!(["a", "b"]);
        for field in Field::usual().chain([Field::Extra("isrc".into())]) {
            let value = match field {
                Field::Genre | Field::Mood => list.clone(),
                Field::Year | Field::Track | Field::Disc => 7.into(),
                Field::Bpm => 120.5.into(),
                Field::Key => "Am".into(),
                Field::Loop => true.into(),
                _ => "text".into(),
            };
            assert!(!tags.has_value(&field), "{field}");

            tags.set(&field, &value);

            assert!(tags.has_value(&field), "{field}");
            assert_eq!(tags.value(&field), Some(value), "{field}");
        }
        assert_eq!(tags.fields().len(), 17);
        let mut copy = Tags::default();
        copy.fill_from(&tags);
        assert_eq!(copy, tags);
        for field in tags.fields() {
            tags.set(&field, &Value::Null);
        }
        assert!(tags.is_empty());
    }
}
