//! Songs and tombstones as backends keep them: as JSON that is checked before
//! it is believed.
//!
//! Beside what a document says stands a checksum of it, by which a bit that
//! flipped is told from an edit, on every read. It is of what is said, not of
//! the bytes: members in order of their names, without the keys that a backend
//! gives, so that a song has the same one in every library. SHA-256, because a
//! song is a few kilobytes: a faster hash would save less than reading its JSON
//! costs, and be one more.

use std::{
    borrow::Cow,
    fmt::{self, Formatter},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use songrec_core::{Digest, Revision, Song, SongId};

use crate::{Origin, Tombstone, Unreadable};

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

/// The first format whose documents all carry a checksum.
const CHECKED: u32 = 2;

/// What stands beside the document of a song, and is no part of what it says.
const BESIDE: [&str; 2] = ["checksum", "origin"];

/// The JSON of a document as backends store it: with the checksum of what it
/// says, and with what the backend knows of where it came from.
pub fn document_text<T: SongDocument + Serialize>(document: &T, origin: Option<&Origin>) -> String {
    let mut text = plain(document);
    // By way of the text: a reader knows nothing else.
    let written: Node<'_> = serde_json::from_str(&text).expect("it was just written");
    let checksum = checksum(&written);
    let end = text.pop();
    debug_assert_eq!(end, Some('}'), "a document is an object with members");
    text.push_str(",\"checksum\":");
    text.push_str(&plain(&checksum));
    if let Some(origin) = origin {
        text.push_str(",\"origin\":");
        text.push_str(&plain(origin));
    }
    text.push('}');
    text
}

fn plain<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("documents are plain data")
}

/// The checksum of what a document says.
fn checksum(document: &Node<'_>) -> Digest {
    let mut text = Vec::new();
    in_order(document, Part::Document, &mut text);
    Digest::of(&text)
}

/// A part of a document, by what of it is not part of what is said: what
/// stands beside the document, and the keys that each backend gives to the
/// objects of a song.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Document,
    /// The song in a tombstone.
    Song,
    Embeddings,
    Object,
    Other,
}

impl Part {
    /// What a member is part of; nothing if it says nothing.
    fn member(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Document, beside) if BESIDE.contains(&beside) => None,
            (Self::Object, "key") => None,
            (Self::Document, "song") => Some(Self::Song),
            (Self::Document | Self::Song, "blob") | (Self::Embeddings, _) => Some(Self::Object),
            (Self::Document | Self::Song, "embeddings") => Some(Self::Embeddings),
            _ => Some(Self::Other),
        }
    }
}

// JSON whose members are in order of their names, whatever order they came in.
// Of members of one name the last counts, as for every reader.
fn in_order(node: &Node<'_>, part: Part, text: &mut Vec<u8>) {
    match node {
        Node::Members(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (two, _)| one.0.cmp(&two.0));
            text.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                let is_last = members.get(at + 1).is_none_or(|(next, _)| next.0 != name.0);
                if let Some(part) = part.member(&name.0).filter(|_| is_last) {
                    write_plain(&name.0, text);
                    text.push(b':');
                    in_order(value, part, text);
                    text.push(b',');
                }
            }
            text.push(b'}');
        }
        Node::List(values) => {
            text.push(b'[');
            for value in values {
                in_order(value, Part::Other, text);
                text.push(b',');
            }
            text.push(b']');
        }
        Node::Null => text.extend(b"null"),
        Node::Bool(value) => write_plain(value, text),
        Node::Number(value) => write_plain(value, text),
        Node::Text(value) => write_plain(&value.0, text),
    }
}

fn write_plain<T: Serialize + ?Sized>(value: &T, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("texts and numbers are plain data");
}

/// JSON as it stands in a text, which it borrows: members in the order in which
/// they came. Reading and sorting a `serde_json::Value` takes twice as long,
/// which counts where each song of a library is read.
#[derive(Debug)]
enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(Vec<Node<'a>>),
    Members(Vec<(Text<'a>, Node<'a>)>),
}

/// A text without escapes is borrowed.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfText;

        impl<'de> Visitor<'de> for OfText {
            type Value = Text<'de>;

            fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
                to.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        from.deserialize_str(OfText)
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfNode;

        impl<'de> Visitor<'de> for OfNode {
            type Value = Node<'de>;

            fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
                to.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node<'de>, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
                Ok(Node::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
                // JSON has no number that is not finite.
                Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
                Ok(Node::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
                Ok(Node::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut of: A) -> Result<Node<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = of.next_element()? {
                    values.push(value);
                }
                Ok(Node::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut of: A) -> Result<Node<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = of.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Members(members))
            }
        }

        from.deserialize_any(OfNode)
    }
}

// Older documents have none. A person who changes one by hand writes null.
fn verify_checksum(bytes: &[u8], format: u32) -> Result<(), Unreadable> {
    let document: Node<'_> =
        serde_json::from_slice(bytes).map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let claimed = match &document {
        Node::Members(members) => members.iter().rfind(|(name, _)| name.0 == "checksum"),
        _ => None,
    };
    let is_right = match claimed {
        Some((_, Node::Null)) => true,
        Some((_, Node::Text(claimed))) => claimed.0 == checksum(&document).to_string(),
        Some(_) => false,
        None if format < CHECKED => true,
        None => return Err(Unreadable::Damaged("it has no checksum".to_owned())),
    };
    if is_right {
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
    let document: T = read_checked_document(bytes, id)?;
    verify_checksum(bytes, document.song().format)?;
    Ok(document)
}

/// The same, but for the checksum: for bytes of which [`read_document`] found
/// before that they are what was written.
///
/// # Errors
///
/// As there.
pub fn read_checked_document<T: SongDocument>(
    bytes: &[u8],
    id: Option<SongId>,
) -> Result<T, Unreadable> {
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
    use serde_json::{Value, json};
    use songrec_core::{AudioProperties, BlobRef, EmbeddingRef, Field, Timestamp};

    use super::*;
    use crate::ErrorKind;

    fn song() -> Song {
        Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH)
    }

    fn tombstone() -> Tombstone {
        let song = song();
        Tombstone { revision: song.revision.next(), deleted_at: Timestamp::UNIX_EPOCH, song }
    }

    fn written<T: SongDocument + Serialize>(document: &T) -> Vec<u8> {
        document_text(document, None).into_bytes()
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

        let checksums = [&song, &there].map(|one| {
            let value: Value = serde_json::from_slice(&written(one)).unwrap();
            value["checksum"].clone()
        });

        assert!(checksums[0].is_string());
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
