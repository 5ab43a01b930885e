//! Songs as documents of the `songs` collection.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{
    Digest, ModelName, OperationId, Song, SongId, SongSummary, Timestamp, fold, sort_key,
};
use songrec_storage::{
    Change, ChangeState, OrderBy, Origin, SongHead, Tombstone, Unreadable, UnreadableSong,
    document_text, read_document,
};

use crate::{
    clock::now_ms,
    facets::{Facets, LookupKeys},
    schema::field_name,
};

/// The number of a change that has none yet; after every number that is given.
///
/// A writer cannot know its place among all writers without asking, and an
/// asked-for number may be passed by a reader before the write lands. So
/// writers leave this, which every reader takes for new, and readers number
/// what they have seen (`changes.rs`).
pub(crate) const NOT_NUMBERED: i64 = (1 << 53) - 1;

/// Operations that a document remembers.
const HISTORY: usize = 8;

pub(crate) const PRESENT: &str = "present";
pub(crate) const DELETED: &str = "deleted";
/// The state of the row that says which library this is, and that playlists or
/// synths changed.
pub(crate) const DOCUMENTS: &str = "documents";
/// Its `_id`: no digest of audio begins with so many zeros.
pub(crate) const DOCUMENTS_MARKER: &str = "00000000-0000-8000-8000-000000000000";

/// What a song says about its own writing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sync {
    /// Greater with every write of this document; by it the documents of its
    /// embeddings know which of two updates is the later one. Not the song's
    /// own number, which a writer may choose: about the time of the write in
    /// milliseconds, so that it goes on where a purged document ended.
    #[serde(default)]
    pub(crate) n: u64,
    /// The operation that wrote it.
    pub(crate) rev: OperationId,
    /// The last operations, this one included.
    #[serde(default)]
    pub(crate) hist: Vec<OperationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// Its number among all changes.
    pub(crate) at: i64,
}

/// What the next version of a document has to know of the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Before {
    pub(crate) hist: Vec<OperationId>,
    pub(crate) n: u64,
}

impl Sync {
    pub(crate) fn new(rev: OperationId, before: &Before, origin: Option<&Origin>) -> Self {
        let mut hist = before.hist.clone();
        hist.push(rev);
        hist.drain(..hist.len().saturating_sub(HISTORY));
        Self {
            n: now_ms().max(before.n + 1),
            rev,
            hist,
            by: origin.map(|origin| origin.machine.clone()),
            seq: origin.map(|origin| origin.sequence),
            at: NOT_NUMBERED,
        }
    }

    pub(crate) fn before(&self) -> Before {
        Before { hist: self.hist.clone(), n: self.n }
    }
}

/// What a song needs of its embedding to be answered in one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inline {
    pub(crate) digest: Digest,
    /// The elements as big-endian float32 in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
}

/// A song as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct SongDocument {
    #[serde(rename = "_id")]
    pub(crate) id: SongId,
    state: &'static str,
    pub(crate) sync: Sync,
    song: String,
    #[serde(rename = "card")]
    summary: String,
    /// The summary as it stands beside its vectors.
    #[serde(skip)]
    shown: String,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) embeddings: BTreeMap<String, Inline>,
    find: Find,
    order: OrderKeys,
}

#[derive(Debug, Serialize)]
struct Find {
    #[serde(flatten)]
    facets: Facets,
    #[serde(flatten)]
    lookup_keys: LookupKeys,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<Digest>,
}

/// What songs are sorted by on the server.
#[derive(Debug, Serialize)]
struct OrderKeys {
    id: SongId,
    title: String,
    /// The whole place on a shelf. Songs that an older songrec stored have the
    /// artist alone, or nothing.
    artist: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    album: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bpm: Option<f64>,
    duration: f64,
    added: i64,
}

impl SongDocument {
    pub(crate) fn of(song: &Song, before: &Before, origin: Option<&Origin>) -> Self {
        let summary = SongSummary::of(song);
        let keys = song
            .embeddings
            .iter()
            .filter_map(|(model, named)| Some((field_name(model), named.key.clone()?)));
        let embeddings = song
            .embeddings
            .iter()
            .map(|(model, named)| (field_name(model), Inline { digest: named.digest, data: None }));
        Self {
            id: song.id,
            state: PRESENT,
            sync: Sync::new(song.revision.operation, before, origin),
            song: document_text(song, None),
            keys: keys.collect(),
            embeddings: embeddings.collect(),
            find: Find {
                facets: Facets::of(&summary),
                lookup_keys: LookupKeys::of(song),
                blob: song.blob.as_ref().map(|blob| blob.sha256),
            },
            order: OrderKeys {
                id: song.id,
                title: order_text(&summary.title),
                artist: order_text(&sort_key(song, &summary)),
                album: summary.album.as_deref().map(order_text),
                year: summary.year,
                bpm: summary.bpm.filter(|bpm| bpm.is_finite()),
                duration: summary.duration,
                added: order_time(song.added_at),
            },
            summary: text(&summary),
            shown: shown_summary(&summary),
        }
    }

    /// The change that makes the stored document this one. Elements of
    /// embeddings that are not at hand stay where they are; what they belong
    /// to is known by their digest.
    pub(crate) fn update(&self) -> Value {
        let mut set = json!({
            "state": self.state,
            "sync": self.sync,
            "song": self.song,
            "card": self.summary,
            "keys": self.keys,
            "find": self.find,
            "order": self.order,
        });
        for (model, inline) in &self.embeddings {
            set[format!("embeddings.{model}.digest")] = json!(inline.digest);
            if let Some(data) = &inline.data {
                set[format!("embeddings.{model}.data")] = json!(data);
            }
        }
        json!({"$set": set})
    }

    /// The change that makes what lists and filters look at what it is now.
    pub(crate) fn derived(&self) -> Value {
        json!({"$set": {"card": self.summary, "find": self.find, "order": self.order}})
    }

    /// What the documents of its embeddings show of it.
    pub(crate) fn search_fields(&self) -> SearchFields {
        SearchFields { summary: self.shown.clone(), facets: self.find.facets.clone() }
    }
}

/// What stands beside a vector: the summary, and what filters look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SearchFields {
    pub(crate) summary: String,
    pub(crate) facets: Facets,
}

impl SearchFields {
    // Beside the vector of one model the others are no news, and would be told
    // wrongly as soon as another one has embedded the song.
    pub(crate) fn of(summary: &SongSummary) -> Self {
        Self { summary: shown_summary(summary), facets: Facets::of(summary) }
    }
}

/// What stands of a summary beside the vectors of its song.
pub(crate) fn shown_summary(summary: &SongSummary) -> String {
    text(&SongSummary { models: Vec::new(), ..summary.clone() })
}

/// The change that makes a stored song a tombstone.
pub(crate) fn tombstone_update(tombstone: &Tombstone, sync: &Sync) -> Value {
    let song = &tombstone.song;
    let mut find = json!({"id": LookupKeys::of(song).id_prefixes()});
    if let Some(blob) = &song.blob {
        find["blob"] = json!(blob.sha256);
    }
    json!({
        "$set": {
            "state": DELETED,
            "sync": sync,
            "song": document_text(tombstone, None),
            "find": find,
        },
        "$unset": {"card": "", "order": ""},
    })
}

/// A song as it is read; what was not asked for is absent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "_id")]
    pub(crate) id: SongId,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) sync: Option<Sync>,
    #[serde(default)]
    pub(crate) song: Option<String>,
    #[serde(default, rename = "card")]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) embeddings: BTreeMap<String, Inline>,
    /// Of the marker: which library this is.
    #[serde(default)]
    pub(crate) library: Option<String>,
    #[serde(default)]
    find: Option<FoundBlob>,
}

/// The part of [`Find`] that a head needs.
#[derive(Clone, Debug, Deserialize)]
struct FoundBlob {
    #[serde(default)]
    blob: Option<Digest>,
}

/// What [`Row::song`] and [`Row::change`] need.
pub(crate) fn whole() -> Value {
    json!({"state": 1, "sync": 1, "song": 1, "keys": 1, "library": 1})
}

/// What [`Row::head`] needs.
pub(crate) fn in_short() -> Value {
    json!({
        "state": 1, "sync.rev": 1, "sync.at": 1, "sync.by": 1, "sync.seq": 1,
        "keys": 1, "library": 1, "find.blob": 1,
    })
}

impl Row {
    /// The song in short, if it is not deleted and these are all its models, by
    /// the names of their fields.
    pub(crate) fn head(&self, models: &HashMap<String, ModelName>) -> Option<SongHead> {
        let operation = self.rev().filter(|_| self.is_present())?;
        let named =
            self.keys.iter().map(|(field, key)| Some((models.get(field)?.clone(), key.clone())));
        let blob = self.find.as_ref().and_then(|find| find.blob);
        Some(SongHead { operation, embeddings: named.collect::<Option<_>>()?, blob })
    }

    pub(crate) fn is_present(&self) -> bool {
        self.state == PRESENT
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state == DELETED
    }

    pub(crate) fn is_documents_marker(&self) -> bool {
        self.state == DOCUMENTS
    }

    pub(crate) fn rev(&self) -> Option<OperationId> {
        self.sync.as_ref().map(|sync| sync.rev)
    }

    pub(crate) fn before(&self) -> Before {
        self.sync.as_ref().map(Sync::before).unwrap_or_default()
    }

    pub(crate) fn history(&self) -> &[OperationId] {
        self.sync.as_ref().map_or(&[], |sync| &sync.hist)
    }

    /// The song, if it is not deleted.
    pub(crate) fn song(&self) -> Result<Option<Song>, WrongRow> {
        if self.is_present() { self.document().map(Some) } else { Ok(None) }
    }

    pub(crate) fn summary(&self) -> Result<SongSummary, WrongRow> {
        let text = self.summary.as_deref().unwrap_or_default();
        let read = serde_json::from_str(text).map_err(|error| error.to_string());
        let summary = read.and_then(|summary: SongSummary| match summary.id == self.id {
            true => Ok(summary),
            false => Err("it holds the summary of another song than its name says".to_owned()),
        });
        summary.map_err(|why| WrongRow { id: self.id, why: Unreadable::Damaged(why) })
    }

    pub(crate) fn change(&self) -> Result<Change, WrongRow> {
        let state = if self.is_present() {
            ChangeState::Present(Box::new(self.document()?))
        } else {
            ChangeState::Deleted(Box::new(self.document()?))
        };
        Ok(Change { song: self.id, state, origin: self.origin() })
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        let sync = self.sync.as_ref()?;
        Some(Origin { machine: sync.by.clone()?, sequence: sync.seq? })
    }

    fn document<T: songrec_storage::SongDocument>(&self) -> Result<T, WrongRow> {
        let text = self.song.as_deref().unwrap_or_default();
        read_document(text.as_bytes(), Some(self.id)).map_err(|why| WrongRow { id: self.id, why })
    }
}

/// A row that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the document of song `{id}` cannot be used: {why}")]
pub(crate) struct WrongRow {
    pub(crate) id: SongId,
    pub(crate) why: Unreadable,
}

impl From<WrongRow> for UnreadableSong {
    fn from(wrong: WrongRow) -> Self {
        Self { song: wrong.id, why: wrong.why }
    }
}

/// The field that songs are sorted by, and whether some songs lack it.
pub(crate) const fn order_path(by: OrderBy) -> (&'static str, bool) {
    match by {
        OrderBy::Any | OrderBy::Id => ("order.id", false),
        OrderBy::Title => ("order.title", false),
        OrderBy::Artist => ("order.artist", true),
        OrderBy::Album => ("order.album", true),
        OrderBy::Year => ("order.year", true),
        OrderBy::Bpm => ("order.bpm", true),
        OrderBy::Duration => ("order.duration", false),
        OrderBy::Added => ("order.added", false),
    }
}

// The server compares UTF-16 units, we compare characters. They differ for
// characters beyond U+FFFF alone, whose units begin below U+E000; behind a
// U+FFFF they come after all others, in their own order.
pub(crate) fn order_text(text: &str) -> String {
    const MOST: usize = 1000;
    let mut key = String::new();
    for character in fold(text).chars() {
        if u32::from(character) > 0xFFFF {
            key.push('\u{FFFF}');
        }
        if key.len() + character.len_utf8() > MOST {
            break;
        }
        key.push(character);
    }
    key
}

// Nanoseconds fit for 292 years; songs from beyond are equally old.
fn order_time(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time > Timestamp::UNIX_EPOCH {
        i64::MAX
    } else {
        i64::MIN
    })
}

pub(crate) fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("documents are plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_sorts_as_we_do() {
        let utf16 = |text: &str| order_text(text).encode_utf16().collect::<Vec<_>>();
        let mut texts =
            ["a", "b", "\u{1D11E}", "\u{1D11F}", "\u{FF5E}x", "\u{E000}", "\u{10000}a", "aa", ""];

        texts.sort_by_key(|text| fold(text));

        assert!(texts.windows(2).all(|pair| utf16(pair[0]) <= utf16(pair[1])), "{texts:?}");
    }

    #[test]
    fn a_document_remembers_its_last_writers() {
        let operations: Vec<_> = (0..10).map(|_| OperationId::random()).collect();

        let before = Before { hist: operations.clone(), n: u64::from(u32::MAX) << 20 };

        let sync = Sync::new(OperationId::random(), &before, None);

        assert_eq!(sync.hist.len(), HISTORY);
        assert_eq!(sync.hist.last(), Some(&sync.rev));
        assert_eq!(sync.hist[0], operations[3]);
        assert_eq!(sync.n, before.n + 1, "the clock is behind");
    }
}
