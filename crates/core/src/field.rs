//! What can be said of a song: the fields that a person edits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Key;

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

    /// The value that `text` means for this field; otherwise what was expected.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
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
}
