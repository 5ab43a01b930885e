//! What a person said about a song.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Key, Tags};

/// A field that a person can edit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum Field {
    Title,
    Artist,
    Album,
    AlbumArtist,
    Genre,
    Year,
    Track,
    Disc,
    Bpm,
    Key,
    Mood,
    Instrument,
    Loop,
    Comment,
    Composer,
    Label,
    /// Anything else, written `extra.NAME`.
    Extra(String),
}

const NAMED: [(Field, &str); 16] = [
    (Field::Title, "title"),
    (Field::Artist, "artist"),
    (Field::Album, "album"),
    (Field::AlbumArtist, "album_artist"),
    (Field::Genre, "genre"),
    (Field::Year, "year"),
    (Field::Track, "track"),
    (Field::Disc, "disc"),
    (Field::Bpm, "bpm"),
    (Field::Key, "key"),
    (Field::Mood, "mood"),
    (Field::Instrument, "instrument"),
    (Field::Loop, "loop"),
    (Field::Comment, "comment"),
    (Field::Composer, "composer"),
    (Field::Label, "label"),
];

impl Field {
    /// The names of all fields but the extra ones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(_, name)| *name)
    }

    /// All fields but the extra ones.
    pub fn usual() -> impl Iterator<Item = Self> {
        NAMED.iter().map(|(field, _)| field.clone())
    }

    /// Whether it holds a list of values, so that edits of two people add up.
    pub const fn is_list(&self) -> bool {
        matches!(self, Self::Genre | Self::Mood)
    }

    // The value that `text` means for this field.
    fn parse(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let whole = |least: i64, most: i64| {
            text.parse::<i64>()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(Value::from)
                .ok_or_else(|| format!("a whole number from {least} to {most}"))
        };
        match self {
            Self::Genre | Self::Mood => Ok(Value::from(
                text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect::<Vec<_>>(),
            )),
            Self::Year => whole(0, 9999),
            Self::Track | Self::Disc => whole(1, 99_999),
            Self::Bpm => text
                .parse::<f64>()
                .ok()
                .filter(|bpm| (1.0..=999.0).contains(bpm))
                .map(Value::from)
                .ok_or_else(|| "a number from 1 to 999".to_owned()),
            Self::Key => text
                .parse::<Key>()
                .map(|key| Value::from(key.to_string()))
                .map_err(|e| e.to_string()),
            Self::Loop => match text {
                "yes" | "true" | "1" => Ok(Value::Bool(true)),
                "no" | "false" | "0" => Ok(Value::Bool(false)),
                _ => Err("`yes` or `no`".to_owned()),
            },
            Self::Title
            | Self::Artist
            | Self::Album
            | Self::AlbumArtist
            | Self::Instrument
            | Self::Comment
            | Self::Composer
            | Self::Label
            | Self::Extra(_) => Ok(Value::from(text)),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMED.iter().find(|(field, _)| field == self)) {
            (Self::Extra(name), _) => write!(f, "extra.{name}"),
            (_, Some((_, name))) => f.pad(name),
            (_, None) => unreachable!("every field but the extra ones is named"),
        }
    }
}

impl FromStr for Field {
    type Err = InvalidEdit;

    fn from_str(text: &str) -> Result<Self, InvalidEdit> {
        if let Some(name) = text.strip_prefix("extra.") {
            let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
            if !name.is_empty() && name.len() <= 48 && name.bytes().all(fits) {
                return Ok(Self::Extra(name.to_owned()));
            }
        }
        NAMED
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(field, _)| field.clone())
            .ok_or_else(|| InvalidEdit::Field(text.to_owned()))
    }
}

impl TryFrom<String> for Field {
    type Error = InvalidEdit;

    fn try_from(text: String) -> Result<Self, InvalidEdit> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.to_string()
    }
}

/// What a person said about a song, field by field.
///
/// Invariant: every value has the type of its field; null stands for a field
/// that was cleared, whatever other sources say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edits(BTreeMap<Field, Value>);

impl Edits {
    /// Whether nothing was edited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every edited field with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Value)> {
        self.0.iter()
    }

    /// The value of an edited field; null if it was cleared.
    pub fn get(&self, field: &Field) -> Option<&Value> {
        self.0.get(field)
    }

    /// Sets `field` to what `text` says, or clears it.
    ///
    /// # Errors
    ///
    /// When the text is no value for the field.
    pub fn set(&mut self, field: Field, text: Option<&str>) -> Result<(), InvalidEdit> {
        let value = match text {
            None | Some("") => Value::Null,
            Some(text) => field.parse(text).map_err(|expected| InvalidEdit::Value {
                field: field.to_string(),
                text: text.to_owned(),
                expected,
            })?,
        };
        self.0.insert(field, value);
        Ok(())
    }

    /// Sets `field` to a value that was read from another document.
    pub fn set_value(&mut self, field: Field, value: Value) {
        self.0.insert(field, value);
    }

    /// Goes back to what other sources say; says whether the field was edited.
    pub fn reset(&mut self, field: &Field) -> bool {
        self.0.remove(field).is_some()
    }

    /// `tags` with the edits in place.
    pub fn apply(&self, tags: &Tags) -> Tags {
        let mut tags = tags.clone();
        for (field, value) in &self.0 {
            tags.set(field, value);
        }
        tags
    }
}

/// An edit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEdit {
    /// There is no such field.
    #[error("`{0}` is not a field: expected one of {names}, or `extra.NAME`", names = Field::names().collect::<Vec<_>>().join(", "))]
    Field(String),
    /// The text is no value for the field.
    #[error("`{text}` is not a value for `{field}`: expected {expected}")]
    #[expect(missing_docs, reason = "the message says what each is")]
    Value { field: String, text: String, expected: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives_text() {
        for (field, name) in NAMED {
            assert_eq!(name.parse::<Field>(), Ok(field.clone()));
            assert_eq!(field.to_string(), name);
        }
        assert_eq!("extra.preview_url".parse(), Ok(Field::Extra("preview_url".into())));
        for wrong in ["genres", "extra.", "extra.A", "Title"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_edit_wins_over_the_tag_and_a_cleared_field_is_empty() {
        let tags = Tags { title: Some("a".into()), year: Some(1999), ..Tags::default() };
        let mut edits = Edits::default();
        edits.set(Field::Title, Some("b")).unwrap();
        edits.set(Field::Year, None).unwrap();
        edits.set(Field::Genre, Some("Techno, House,")).unwrap();

        let edited = edits.apply(&tags);

        assert_eq!(edited.title.as_deref(), Some("b"));
        assert_eq!(edited.year, None);
        assert_eq!(edited.genres, ["Techno", "House"]);
        assert!(edits.reset(&Field::Title));
        assert_eq!(edits.apply(&tags).title.as_deref(), Some("a"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let mut edits = Edits::default();
        for (field, text) in [
            (Field::Year, "soon"),
            (Field::Bpm, "0"),
            (Field::Bpm, "NaN"),
            (Field::Key, "H"),
            (Field::Loop, "maybe"),
        ] {
            assert!(edits.set(field, Some(text)).is_err(), "{text}");
        }
        assert!(edits.is_empty());
    }
}
