//! The song: the manifest of everything stored for one recording.

mod before;
mod history;
pub(crate) mod keyed;
mod sources;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Digest, Edits, Features, Field, ModelName, OperationId, SegmentId, SongId, Stamp, Tags,
    Timestamp, Vector,
    version::{LIFE, Op, Version},
};

pub use history::History;
pub use sources::{FromFile, Source, SourcedValue, Sources};
pub use summary::SongSummary;

use keyed::{ANALYSIS, Keyed, analysis_of, elements_to_write, is_element, song_of};

/// One recording: what it is, where its audio is, what is known about it.
///
/// The song names the objects stored for it, its blob and its embeddings. It is
/// written after them, so what a song names exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Song {
    /// The version of this document's shape.
    pub format: u32,
    /// The song's id, made from `audio_hash`.
    pub id: SongId,
    /// SHA-256 over the encoded audio alone, without tags, art or padding.
    pub audio_hash: Digest,
    /// The version of the document, for compare-and-set.
    pub revision: Revision,
    /// The files known to hold this recording, sorted by path; more than one
    /// are exact duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SongFile>,
    /// The copy of the audio kept by the library, if it keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef>,
    /// What the container and the codec say.
    pub audio: AudioProperties,
    /// What the file's own tags say.
    #[serde(default)]
    pub tags: Tags,
    /// What neither the file's tags nor a person said.
    #[serde(default, skip_serializing_if = "Sources::is_default")]
    pub sources: Sources,
    /// What a person said; wins over everything else.
    #[serde(default, skip_serializing_if = "Edits::is_empty")]
    pub edits: Edits,
    /// What the signal says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// The embeddings stored for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub embeddings: BTreeMap<ModelName, EmbeddingRef>,
    /// When it came into the library.
    pub added_at: Timestamp,
    /// When the document last changed.
    pub updated_at: Timestamp,
    /// When each value that can be merged was last set, by its name, such as
    /// `edits.title`; a value without a stamp is older than any with one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stamps: BTreeMap<String, Stamp>,
    /// Values that were set without knowledge of the one that is shown, kept
    /// until somebody decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Which writes it has seen, and which of them left what it says; absent
    /// in songs of before, which tell it by their values alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

impl Song {
    /// The shape of documents written by this version.
    ///
    /// In documents of format 1 the `tags` hold what any source but a person
    /// said; see [`Sources::unsorted`]. Format 2 added `sources`, format 3
    /// `history`.
    pub const FORMAT: u32 = 3;

    /// A song that nothing but its audio is known of.
    pub fn new(audio_hash: Digest, audio: AudioProperties, now: Timestamp) -> Self {
        let revision = Revision::first();
        Self {
            format: Self::FORMAT,
            id: SongId::from_audio_hash(&audio_hash),
            audio_hash,
            history: Some(History::begun(revision.operation, now)),
            revision,
            files: Vec::new(),
            blob: None,
            audio,
            tags: Tags::default(),
            sources: Sources::default(),
            edits: Edits::default(),
            features: None,
            embeddings: BTreeMap::new(),
            added_at: now,
            updated_at: now,
            stamps: BTreeMap::new(),
            conflicts: Vec::new(),
        }
    }

    /// Makes this the next version of `before`, written by a new operation at
    /// `now`, in the shape of documents of today. Every change ends with it: what
    /// differs is what this write said, in place of all that `before` had seen
    /// of the same.
    ///
    /// A person who edits a field has decided about it, and gives the song life: it
    /// stays if somebody deletes it who did not know. What a scan finds does
    /// not.
    pub fn revise(&mut self, before: &Self, now: Timestamp) {
        self.revision = self.revision.next();
        self.updated_at = now;
        self.sources.unsorted = self.has_unsorted_tags();
        self.format = self.format.max(Self::FORMAT);
        let mut version = before.version();
        let (was, is) = (Keyed::by(before), Keyed::by(self));
        let decided = self.decided_since(before);
        let shown = version.shown();
        // A list that loses its last element may have been cleared elsewhere:
        // it shows that no more, nor does it show that it is empty.
        let is_emptied = |key: &str, value: &Value| {
            let is_list = key.starts_with("edits.") && value.as_array().is_some_and(Vec::is_empty);
            is_list && !is.has_elements(key) && shown.get(key).map(|one| one.value) != Some(value)
        };
        let mut values: Vec<(String, Value)> = is
            .values
            .iter()
            .filter(|(key, _)| !is_element(key))
            .filter(|(key, value)| was.values.get(*key) != Some(value) || is_emptied(key, value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let undone = decided.iter().filter(|key| !values.iter().any(|(known, _)| known == *key));
        let again: Vec<_> = undone.filter_map(|key| is.values.get_key_value(key)).collect();
        values.extend(again.into_iter().map(|(key, value)| (key.clone(), value.clone())));
        for (key, value) in elements_to_write(&is, &version) {
            if !values.iter().any(|(known, _)| *known == key) {
                values.push((key, value));
            }
        }
        let taken = was.values.keys().filter(|key| !is.values.contains_key(*key));
        let removed: Vec<&str> = taken.chain(&decided).map(String::as_str).collect();
        let edited = |key: &str| key.starts_with("edits.");
        if values.iter().any(|(key, _)| edited(key)) || removed.iter().any(|key| edited(key)) {
            values.push((LIFE.to_owned(), Value::Null));
        }
        let stamp = Stamp::after(version.last(), now);
        version.write(self.revision.operation.into(), stamp, removed, values);
        // Values that lost elsewhere, such as those of an import.
        for conflict in self.conflicts.iter().filter(|one| !before.has_conflict(one)) {
            let key = format!("edits.{}", conflict.field);
            let by = self.revision.operation;
            let op = Op::made_of(&format!("songrec took over {key} = {} by {by}", conflict.value));
            version.leave(op, Stamp::default(), vec![(key, conflict.value.clone())]);
        }
        self.set_analysis(&mut version);
        match song_of(&version, self) {
            Ok(song) => *self = song,
            // It cannot be stored either, and the attempt to store it gives the reason.
            Err(_) => return,
        }
        self.history = Some(History::of(&version, &Keyed::by(self)));
    }

    // What was worked out from the audio, and segments that are gone.
    fn set_analysis(&self, version: &mut Version) {
        let (rank, value) = analysis_of(self);
        version.set_highest(ANALYSIS, rank, value);
        version.remove_for_ever(self.history.iter().flat_map(History::gone).cloned());
    }

    // The keys of fields of which a conflict is gone since.
    fn decided_since(&self, before: &Self) -> Vec<String> {
        let gone = before.conflicts.iter().filter(|conflict| !self.has_conflict(conflict));
        let fields: BTreeSet<&Field> = gone.map(|conflict| &conflict.field).collect();
        fields.into_iter().map(|field| format!("edits.{field}")).collect()
    }

    fn has_conflict(&self, conflict: &Conflict) -> bool {
        let same = |one: &Conflict| one.field == conflict.field && one.value == conflict.value;
        self.conflicts.iter().any(same)
    }

    /// What this version has seen, and the values that are left of it.
    pub fn version(&self) -> Version {
        let keyed = Keyed::by(self);
        let Some(history) = &self.history else { return before::version_of(self, &keyed) };
        let stamp = Stamp::after(Stamp::default(), self.updated_at);
        let mut version = history.version(&keyed, self.revision.operation.into(), stamp);
        self.set_analysis(&mut version);
        version
    }

    /// What it has seen, also if it does not say so itself.
    pub fn seen(&self) -> History {
        let of_before = || History::of(&self.version(), &Keyed::by(self));
        self.history.clone().unwrap_or_else(of_before)
    }

    /// Whether both have seen the same, and so say the same.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (&self.history, &other.history) {
            (Some(one), Some(two)) => {
                one.agrees_with(two) && analysis_of(self) == analysis_of(other)
            }
            _ => self.version().agrees_with(&other.version()),
        }
    }

    /// The version of a deleted song, of which this was left.
    pub fn deleted(&self, deletion: OperationId) -> Version {
        let mut version = self.version();
        version.bury(deletion.into());
        version
    }

    /// The song that says what `version` says. What is a library's own, such as
    /// the objects it names, is that of this one.
    ///
    /// # Errors
    ///
    /// If the version holds a value that does not fit its field, as a damaged
    /// document may.
    pub fn saying(&self, version: &Version) -> Result<Self, InvalidVersion> {
        let mut song = song_of(version, self).map_err(|error| InvalidVersion(error.to_string()))?;
        song.format = song.format.max(Self::FORMAT);
        song.history = Some(History::of(version, &Keyed::by(&song)));
        Ok(song)
    }

    /// The song as the next version of its deletion: it is there again, as its
    /// deleter saw it.
    ///
    /// # Errors
    ///
    /// As [`saying`](Self::saying).
    pub fn restored(&self, deletion: Revision, now: Timestamp) -> Result<Self, InvalidVersion> {
        let revision = deletion.next();
        let mut version = self.deleted(deletion.operation);
        let stamp = Stamp::after(version.last(), now);
        let life = vec![(LIFE.to_owned(), Value::Null)];
        version.write(revision.operation.into(), stamp, [], life);
        Ok(Self { revision, updated_at: now, ..self.saying(&version)? })
    }

    /// Notes that segments of it were deleted, for ever: they do not come back
    /// from elsewhere. A caller that deletes segments stores the song again with it.
    pub fn forget_segments(&mut self, segments: &[SegmentId]) {
        let mut version = self.version();
        version.remove_for_ever(segments.iter().map(ToString::to_string));
        self.history = Some(History::of(&version, &Keyed::by(self)));
    }

    /// Adds a file, or replaces what is known of the one at its path.
    pub fn add_file(&mut self, file: SongFile) {
        match self.files.binary_search_by(|known| known.path.cmp(&file.path)) {
            Ok(at) => self.files[at] = file,
            Err(at) => self.files.insert(at, file),
        }
    }

    /// Forgets the file at `path`; says whether it was known.
    pub fn remove_file(&mut self, path: &str) -> bool {
        let before = self.files.len();
        self.files.retain(|file| file.path != path);
        self.files.len() < before
    }

    /// Whether it is silent, so that nothing is like it.
    pub fn is_silent(&self) -> bool {
        /// Below the noise of any recording.
        const SILENCE_DB: f32 = -100.0;
        let is_named = |warning: &AudioWarning| warning.kind == WarningKind::Silent;
        // Songs that were embedded before warnings were kept.
        let is_measured = |features: &Features| {
            features.version > 0
                && features.loudness_lufs.is_none()
                && features.peak_db.is_none_or(|db| db < SILENCE_DB)
        };
        self.audio.warnings.iter().any(is_named) || self.features.as_ref().is_some_and(is_measured)
    }

    /// Whether it was imported without its audio: none of its files was ever
    /// seen, and its id is not made from audio.
    pub fn awaits_audio(&self) -> bool {
        let is_expected = |file: &SongFile| file.size == 0;
        self.features.is_none()
            && self.audio.codec.is_empty()
            && self.blob.is_none()
            && self.files.iter().all(is_expected)
    }

    /// Whether this song names `embedding` as its own under `model`.
    pub fn names(&self, model: &ModelName, embedding: &EmbeddingRef) -> bool {
        self.embeddings.get(model) == Some(embedding)
    }
}

/// A version that no song can say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history of the song holds a value that does not fit: {0}")]
pub struct InvalidVersion(String);

/// A version of a document: its number, and the operation that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// 1 for a new document, one more with every write.
    pub number: u64,
    /// The write itself; random, so equal numbers of two writers differ.
    pub operation: OperationId,
}

impl Revision {
    /// The first version of a new document.
    pub fn first() -> Self {
        Self { number: 1, operation: OperationId::random() }
    }

    /// The highest number: what every reader of JSON can hold exactly. A
    /// thousand writes a second for 285,000 years do not come to it.
    pub const LAST: u64 = (1 << 53) - 1;

    /// The version after this one, written by a new operation. The last number
    /// has no next one: then the operation alone tells versions apart, which is
    /// what every write goes by.
    pub fn next(self) -> Self {
        let number = self.number.saturating_add(1).min(Self::LAST);
        Self { number, operation: OperationId::random() }
    }
}

/// One file that holds a recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SongFile {
    /// The path, as [`encode_path`](crate::encode_path) writes it: relative to
    /// the library's root and with `/` where the file lies below it, absolute
    /// otherwise.
    pub path: String,
    /// SHA-256 of the whole file, tags included.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// A copy of the audio kept by the library, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// The name the backend keeps it under, where that is not made from the
    /// digest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What the container and the codec say about the audio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AudioProperties {
    /// The container in small letters, such as `mp4` or `wav`.
    pub container: String,
    /// The codec in small letters, such as `aac` or `pcm_s16le`.
    pub codec: String,
    /// In Hz.
    pub sample_rate: u32,
    /// The number of channels.
    pub channels: u32,
    /// Bits per sample, where the codec has a fixed number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_depth: Option<u32>,
    /// Samples per channel.
    pub frames: u64,
    /// In seconds.
    pub duration: f64,
    /// Mean bits per second of the encoded audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u32>,
    /// What was wrong with it when it was embedded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<AudioWarning>,
}

/// Something about audio by which what is known of it is worth less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioWarning {
    /// What kind, by which songs are filtered.
    pub kind: WarningKind,
    /// The same in words, with how much of it.
    pub text: String,
}

/// What can be wrong with audio that was decoded all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The file is shorter than it says.
    Truncated,
    /// Parts of it could not be decoded.
    Damaged,
    /// Samples were not numbers, or absurdly loud.
    Invalid,
    /// It is silent.
    Silent,
    /// The tags could not be read.
    Tags,
}

impl WarningKind {
    /// The name that filters use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::Invalid => "invalid",
            Self::Silent => "silent",
            Self::Tags => "tags",
        }
    }
}

/// How one model embeds one song.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The song that was embedded.
    pub song: SongId,
    /// The model that embedded it.
    pub model: ModelName,
    /// The vector.
    pub vector: Vector,
}

impl Embedding {
    /// The reference by which a song names this embedding, where the backend
    /// needs no key.
    pub fn reference(&self) -> EmbeddingRef {
        EmbeddingRef {
            dimension: self.vector.dimension(),
            digest: Digest::of(&self.vector.to_le_bytes()),
            key: None,
        }
    }
}

/// How a song names one of its embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingRef {
    /// The number of elements.
    pub dimension: usize,
    /// SHA-256 over the little-endian float32 elements.
    pub digest: Digest,
    /// The name the backend keeps it under, where that is not made from song
    /// and model alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A value that lost a merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// What it is a value of.
    pub field: Field,
    /// The value; null is a cleared field.
    pub value: serde_json::Value,
    /// When it was set.
    pub stamp: Stamp,
    /// The operation that had written it.
    pub operation: OperationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SongFile {
        SongFile { path: path.to_owned(), sha256: Digest::of(b"file"), size: 4 }
    }

    #[test]
    fn files_stay_sorted_and_one_per_path() {
        let mut song =
            Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        for path in ["b", "a", "c", "a"] {
            song.add_file(file(path));
        }

        let paths: Vec<_> = song.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a", "b", "c"]);
        assert!(song.remove_file("b"));
        assert!(!song.remove_file("b"));
    }

    #[test]
    fn a_document_survives_json() {
        let mut song =
            Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.add_file(file("a"));
        song.edits.set(Field::Title, Some("T")).unwrap();
        song.stamps.insert("edits.title".into(), Stamp::after(Stamp::default(), song.added_at));

        let json = serde_json::to_string(&song).unwrap();

        assert_eq!(serde_json::from_str::<Song>(&json).unwrap(), song);
    }

    #[test]
    fn a_number_never_goes_back() {
        for number in [Revision::LAST - 1, Revision::LAST, u64::MAX] {
            let last = Revision { number, ..Revision::first() };

            let next = last.next();

            assert_eq!(next.number, Revision::LAST);
            assert_ne!(next.operation, last.operation);
        }
    }

    #[test]
    fn a_stamp_never_goes_back() {
        let late = Stamp::after(Stamp::default(), Timestamp::from_second(2_000_000_000).unwrap());

        let next = Stamp::after(late, Timestamp::UNIX_EPOCH);

        assert!(next > late);
        assert!(next.to_string() > late.to_string());
        assert_eq!(next.to_string().parse(), Ok(next));
    }
}
