//! What a file says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Key;

/// What the file says: its tags, and what its name says where it has none.
///
/// A rescan replaces the tags; what a person edits is kept apart, in
/// [`Edits`](crate::Edits), and wins.
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
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether artist or title come from the file's name, not from a tag.
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

/// An embedded picture; the picture itself stays in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Art {
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
}
