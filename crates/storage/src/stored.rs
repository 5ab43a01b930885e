//! Songs and tombstones as backends keep them: as JSON that is checked before
//! it is believed.
//!
//! Beside what a document says stands a checksum of it, by which a bit that
//! flipped is told from an edit, on every read. It is of what is said, not of
//! the bytes: members in order of their names, without the keys that a backend
//! gives, so that a song has the same one in every library. SHA-256, because a
//! song is a few kilobytes: a faster hash would save less than reading its JSON
//! costs, and be one more.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use songrec_core::{Digest, Revision, Song, SongId};

use crate::{ErrorKind, Tombstone};

/// A document of a song: the song itself, or what is left of it.
pub trait SongDocument: DeserializeOwned {
    /// The song that it holds.
    fn song(&self) -> &Song;

    /// The version that it is.
    fn revision(&self) -> Revision;
}

impl SongDocument for Song {
    fn song(&self) -> &Song {
        self
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

impl SongDocument for Tombstone {
    fn song(&self) -> &Song {
        &self.song
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

/// Why a document is there and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer songrec wrote it: what this one does not know of it would get
    /// lost.
    #[error("it has format {found}, and this version of songrec knows up to {known}", known = Song::FORMAT)]
    Newer {
        /// The format that it says it has.
        found: u64,
    },
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
}

impl Unreadable {
    /// What a caller can do about it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Newer { .. } => ErrorKind::Incompatible,
            Self::Damaged(_) => ErrorKind::Corrupt,
        }
    }
}

/// A song that is stored and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSong {
    /// Which.
    pub song: SongId,
    /// Why.
    pub why: Unreadable,
}

/// The first format whose documents all carry a checksum.
const CHECKED: u32 = 2;

/// What stands beside the document of a song, and is no part of what it says.
const BESIDE: [&str; 2] = ["checksum", "origin"];

/// A document as it is written: with the checksum of what it says.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Checked<'a, T> {
    #[serde(flatten)]
    document: &'a T,
    checksum: Digest,
}

impl<'a, T: SongDocument + Serialize> Checked<'a, T> {
    /// `document`, to be written.
    pub fn new(document: &'a T) -> Self {
        let text = serde_json::to_vec(document).expect("documents are plain data");
        // By way of the text: a reader knows nothing else.
        let value = serde_json::from_slice(&text).unwrap_or_default();
        Self { document, checksum: checksum(value) }
    }
}

/// The checksum of what a document says.
fn checksum(mut document: Value) -> Digest {
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !BESIDE.contains(&name.as_str()));
        without_keys(members);
        // A tombstone holds its song.
        if let Some(song) = members.get_mut("song").and_then(Value::as_object_mut) {
            without_keys(song);
        }
    }
    let mut text = Vec::new();
    in_order(&document, &mut text);
    Digest::of(&text)
}

// Each backend has its own keys for the facts of a song.
fn without_keys(song: &mut serde_json::Map<String, Value>) {
    let forget = |fact: &mut Value| {
        if let Some(members) = fact.as_object_mut() {
            members.remove("key");
        }
    };
    if let Some(blob) = song.get_mut("blob") {
        forget(blob);
    }
    if let Some(embeddings) = song.get_mut("embeddings").and_then(Value::as_object_mut) {
        embeddings.values_mut().for_each(forget);
    }
}

// JSON whose members are in order of their names, whatever order they came in.
fn in_order(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (name, value) in members {
                write_plain(name, text);
                text.push(b':');
                in_order(value, text);
                text.push(b',');
            }
            text.push(b'}');
        }
        Value::Array(values) => {
            text.push(b'[');
            for value in values {
                in_order(value, text);
                text.push(b',');
            }
            text.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write_plain(value, text);
        }
    }
}

fn write_plain<T: Serialize + ?Sized>(value: &T, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("texts and numbers are plain data");
}

// Documents of before have none. Whoever changes one by hand writes null.
fn verify_checksum(bytes: &[u8], format: u32) -> Result<(), Unreadable> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let claimed = match value.get("checksum") {
        Some(Value::Null) => return Ok(()),
        Some(claimed) => claimed.clone(),
        None if format < CHECKED => return Ok(()),
        None => return Err(Unreadable::Damaged("it has no checksum".to_owned())),
    };
    let found = checksum(value);
    if claimed.as_str() == Some(found.to_string().as_str()) {
        return Ok(());
    }
    Err(Unreadable::Damaged("what it says is not what was written: its checksum is another".into()))
}

/// Reads the document of the song `id`; of any song, where none is named.
///
/// # Errors
///
/// When it is of a later format, of another song, not what was written, or no
/// such document at all.
pub fn read_document<T: SongDocument>(bytes: &[u8], id: Option<SongId>) -> Result<T, Unreadable> {
    let document: T = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        // A newer document may have another shape.
        Err(error) => match serde_json::from_slice::<Format>(bytes).map(Format::newest) {
            Ok(found) if found > Song::FORMAT.into() => return Err(Unreadable::Newer { found }),
            _ => return Err(Unreadable::Damaged(error.to_string())),
        },
    };
    let song = document.song();
    if song.format > Song::FORMAT {
        return Err(Unreadable::Newer { found: song.format.into() });
    }
    if id.is_some_and(|id| id != song.id) {
        return Err(Unreadable::Damaged("it holds another song than its name says".to_owned()));
    }
    for number in [document.revision().number, song.revision.number] {
        if number > Revision::LAST {
            let why = format!("{number} is no number that a version can have");
            return Err(Unreadable::Damaged(why));
        }
    }
    verify_checksum(bytes, song.format)?;
    Ok(document)
}

/// The formats that a document says it has, whatever else it says: its own, or
/// that of the song in it.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format: u64,
    #[serde(default)]
    song: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    format: u64,
}

impl Format {
    fn newest(self) -> u64 {
        self.format.max(self.song.map_or(0, |song| song.format))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use songrec_core::{AudioProperties, BlobRef, EmbeddingRef, Field, Timestamp};

    use super::*;

    fn song() -> Song {
        Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH)
    }

    fn tombstone() -> Tombstone {
        let song = song();
        Tombstone { revision: song.revision.next(), deleted_at: Timestamp::UNIX_EPOCH, song }
    }

    fn written<T: SongDocument + Serialize>(document: &T) -> Vec<u8> {
        serde_json::to_vec(&Checked::new(document)).unwrap()
    }

    // As somebody changes it by hand.
    fn changed(document: &impl Serialize, change: impl Fn(&mut Value)) -> Vec<u8> {
        let mut value = serde_json::to_value(document).unwrap();
        value["checksum"] = Value::Null;
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    }

    #[test]
    fn what_was_written_comes_back() {
        let (song, buried) = (full_song(), tombstone());

        let bytes = written(&song);

        assert_eq!(read_document(&bytes, Some(song.id)), Ok(song.clone()));
        assert_eq!(read_document(&bytes, None), Ok(song));
        assert_eq!(read_document(&written(&buried), None), Ok(buried));
    }

    // One that says something of everything that matters here.
    fn full_song() -> Song {
        let mut song = song();
        song.edits.set(Field::Title, Some("Jóga \"2\"")).unwrap();
        song.edits.set(Field::Bpm, Some("119.97")).unwrap();
        song.tags.bpm = Some(0.1);
        song.tags.extra.insert("a.b".into(), "c".into());
        let (digest, key) = (Digest::of(b"v"), Some("one".to_owned()));
        song.embeddings
            .insert("tiny@1".parse().unwrap(), EmbeddingRef { dimension: 8, digest, key });
        song.blob = Some(BlobRef { sha256: digest, size: 4, key: Some("two".into()) });
        song
    }

    #[test]
    fn no_flipped_bit_changes_what_is_read() {
        let song = full_song();
        let whole = written(&song);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;

                let Ok(mut read) = read_document::<Song>(&flipped, None) else { continue };

                // The keys are the backend's own: what they name has a digest.
                read.embeddings.clone_from(&song.embeddings);
                read.blob.clone_from(&song.blob);
                assert_eq!(read, song, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_song_has_one_checksum_in_all_libraries() {
        let song = full_song();
        let mut there = song.clone();
        there.embeddings.values_mut().for_each(|one| one.key = None);
        if let Some(blob) = &mut there.blob {
            blob.key = Some("elsewhere".into());
        }

        let checksums = [&song, &there].map(|one| Checked::new(one).checksum);

        assert_eq!(checksums[0], checksums[1]);
    }

    #[test]
    fn only_documents_of_before_may_lack_a_checksum() {
        let without = |format: u32| {
            changed(&song(), |song| {
                song["format"] = json!(format);
                song.as_object_mut().unwrap().remove("checksum");
            })
        };

        assert!(read_document::<Song>(&without(1), None).is_ok());
        assert!(read_document::<Song>(&without(CHECKED), None).is_err());
    }

    #[test]
    fn a_later_format_is_refused_whatever_its_shape() {
        let later = Unreadable::Newer { found: 7 };
        let of_song = changed(&song(), |song| song["format"] = json!(7));
        let reshaped = changed(&song(), |song| *song = json!({"format": 7, "id": [1, 2]}));
        let of_tombstone = changed(&tombstone(), |buried| buried["song"]["format"] = json!(7));
        let buried = changed(&tombstone(), |buried| buried["song"] = json!({"format": 7}));

        assert_eq!(read_document::<Song>(&of_song, None), Err(later.clone()));
        assert_eq!(read_document::<Song>(&reshaped, None), Err(later.clone()));
        assert_eq!(read_document::<Tombstone>(&of_tombstone, None), Err(later.clone()));
        assert_eq!(read_document::<Tombstone>(&buried, None), Err(later));
    }

    #[test]
    fn another_song_is_damage() {
        let bytes = written(&song());
        let other = SongId::from_audio_hash(&Digest::of(b"y"));

        let error = read_document::<Song>(&bytes, Some(other)).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_number_after_the_last_is_damage() {
        let last = changed(&song(), |song| song["revision"]["number"] = json!(Revision::LAST));
        let after = changed(&song(), |song| song["revision"]["number"] = json!(u64::MAX));
        let buried = changed(&tombstone(), |buried| buried["revision"]["number"] = json!(u64::MAX));

        assert!(read_document::<Song>(&last, None).is_ok());
        assert!(matches!(read_document::<Song>(&after, None), Err(Unreadable::Damaged(_))));
        assert!(matches!(read_document::<Tombstone>(&buried, None), Err(Unreadable::Damaged(_))));
    }
}
