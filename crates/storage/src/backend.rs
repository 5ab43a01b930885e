//! The contract.

use std::{fmt, ops::Range, time::Duration};

use async_trait::async_trait;
use serde::Serialize;
use songrec_core::{
    BlobRef, Card, Digest, Document, DocumentKind, Embedding, EmbeddingRef, Filter, Hint,
    ModelName, ModelSpec, OperationId, Progress, Revision, Segment, SegmentId, Song, SongId,
    Timestamp,
};

use crate::{
    BlobSource, BlobStream, ChangePage, ChangeSummary, Cursor, Lookup, NearestQuery,
    NearestSegments, Neighbor, Origin, Page, PageToken, Result, SegmentNeighbor, SegmentQuery,
    SongQuery, Tombstone,
};

/// A place that keeps songs, their embeddings and their audio.
///
/// What an implementation must provide, and no more; callers get the
/// convenient spellings from [`StorageBackendExt`](crate::StorageBackendExt).
///
/// # Semantics
///
/// A [`Song`] is the manifest of what is stored for it. Facts (embeddings,
/// blobs) are stored first and never change; the song that names them is
/// stored last. What no song names does not exist: it may be swept, but not
/// while it is young, because its song may be on the way.
///
/// Only songs and documents change, and only by compare-and-set: a write says
/// which version it replaces, and carries a new [`OperationId`] by which a
/// writer whose answer was lost can tell its own write from another's.
///
/// Slices in, vectors out: an answer has one element for each element asked
/// for, in the same order. An empty slice is answered without any work.
///
/// # Atomicity
///
/// Each element of a batch happens or does not, by itself. A batch is *not*
/// atomic: after an error any part may be stored, and storing it again is
/// always safe.
///
/// # Errors
///
/// What is missing is `None`, never an error. Every call may be repeated, and
/// after a [`Transient`](crate::ErrorKind::Transient) error should be: a reply
/// may have been lost, and repeating the same write succeeds if it had landed.
///
/// # Cancellation
///
/// Every future may be dropped; the worst left is garbage no song names.
#[async_trait]
pub trait StorageBackend: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes room for the embeddings of a model. Making it again is a no-op.
    ///
    /// # Errors
    ///
    /// `Invalid` if the model is known with another dimension or metric.
    async fn put_model(&self, model: &ModelSpec) -> Result<()>;

    /// Every model there is room for, by name.
    async fn models(&self) -> Result<Vec<ModelSpec>>;

    /// Stores songs, each if its mode allows it or if it is what is stored
    /// already: a song whose [`OperationId`] is the stored one is `Done`. A
    /// document that is damaged does not keep a song from being created: it is
    /// put aside first.
    ///
    /// # Errors
    ///
    /// `Invalid` for a song that names an embedding of a model there is no
    /// room for. A lost race is an [`Outcome`], not an error.
    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>>;

    /// The songs with these ids; deleted ones are `None`.
    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>>;

    /// The songs that pass a filter, a page at a time. A song stored or
    /// deleted between two pages may be on either or on none.
    ///
    /// # Errors
    ///
    /// `Invalid` for a token that is not from this query.
    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>>;

    /// The same songs as [`find_songs`](Self::find_songs), by their cards
    /// alone, which is cheaper.
    ///
    /// # Errors
    ///
    /// As there.
    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>>;

    /// How many songs pass a filter.
    async fn count_songs(&self, filter: &Filter) -> Result<u64>;

    /// The ids of the songs that each look-up names, in order of their ids;
    /// for a prefix or a title at most 20.
    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>>;

    /// Deletes songs: leaves a tombstone that [`changes`](Self::changes)
    /// tells, until it is purged. The facts stay until they are swept. `Done`
    /// also if there is no such song, or no longer; an absent song gets no
    /// tombstone. It holds the song as it was stored, or what the deletion says
    /// that it left ([`DeleteSong::leaving`]), with the facts that were stored.
    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>>;

    /// Forgets tombstones for good, each if it is the one that its deletion
    /// left. Whatever else is stored stays as it is: the song, if it was
    /// restored or added again, and the tombstone of a later deletion, which
    /// nobody may have seen yet.
    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()>;

    /// Stores embeddings, and gives the references by which their songs have
    /// to name them. Storing one again is a no-op. One that a stored song
    /// names is never replaced: the first one wins, and its reference is
    /// given; unless it is lost or damaged, then this one takes its place. Of several that were stored before their song, the song gets
    /// the one whose reference it names.
    ///
    /// # Errors
    ///
    /// `Invalid`, before anything is stored, for a model there is no room
    /// for, a wrong dimension, and a zero vector under cosine.
    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>>;

    /// The embeddings of these songs under one model, bit for bit as stored;
    /// `None` for a song that is not stored or does not name one.
    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>>;

    /// The nearest songs, nearest first; equally near ones by their ids.
    /// Exclusion, filter, threshold and offset come before `k`: fewer than
    /// `k` hits mean that there are no more. A hit may be an embedding that no
    /// song names ([`Neighbor::key`]).
    ///
    /// # Errors
    ///
    /// `Invalid` for an unknown model, a wrong dimension, or a metric that
    /// the backend cannot use ([`Capabilities::any_metric`]).
    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>>;

    /// Stores a blob and gives the reference by which a song has to name it.
    /// Storing one again is a no-op.
    ///
    /// # Errors
    ///
    /// `Invalid` if the bytes do not have the size and digest they should;
    /// `Unsupported` if this library keeps no audio.
    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef>;

    /// A part of a blob, or all of it; `None` if it is not there. Any file of
    /// a stored song that the backend can reach counts as a blob.
    ///
    /// # Errors
    ///
    /// `Invalid` for a range beyond the end. The bytes are as stored; whoever
    /// takes them in for good compares the digest.
    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>>;

    /// An address at which anybody can get the blob for some time; `None` if
    /// the backend has no such addresses or no such blob.
    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>>;

    /// Songs that changed since a cursor, or all songs and tombstones without
    /// one, at most `limit` (and at least one, if there are any). Every change
    /// that was acknowledged before the call is told at least once.
    ///
    /// # Errors
    ///
    /// `CursorLost` if the history of the cursor is gone.
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage>;

    /// As [`changes`](Self::changes), with the same cursors, but of each song
    /// only what tells whether it is the same as elsewhere: some 150 bytes in
    /// place of some 3,000, where songs come over a network. Songs that cannot
    /// be read may be told all the same.
    ///
    /// # Errors
    ///
    /// As [`changes`](Self::changes).
    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        Ok(self.changes(since, limit).await?.summarized())
    }

    /// Removes facts that no song names and that are not younger than
    /// `min_age`; with zero, all of them. A tombstone names what its song
    /// named, so that the song can be restored. A fact that is stored again is
    /// young again.
    async fn sweep(&self, min_age: Duration) -> Result<Swept>;

    /// What [`sweep`](Self::sweep) would remove now; changes nothing.
    async fn would_sweep(&self, min_age: Duration) -> Result<Swept>;

    /// Checks that what songs name exists and that what is derived agrees,
    /// and repairs what can be repaired without losing anything. A document of
    /// a song that is damaged is put aside by a repair, where it can be looked
    /// at: it stands in the way of the song's coming back.
    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>>;

    /// Stores segments. Storing one again is a no-op. [`changes`](Self::changes)
    /// tells songs alone: whoever stores or deletes segments of a stored song
    /// stores the song again after that, as its next version.
    ///
    /// # Errors
    ///
    /// `Invalid`, before anything is stored, for a model there is no room for,
    /// a vector that its model refuses, and a segment that does not begin at
    /// zero or later, ends before it begins, or never ends.
    async fn put_segments(&self, segments: &[Segment]) -> Result<()>;

    /// The segments with these ids.
    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>>;

    /// The segments asked for.
    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>>;

    /// The segments nearest to a vector, nearest first.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`nearest`](Self::nearest), and without a model.
    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>>;

    /// Deletes segments; says of each whether it was there.
    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>>;

    /// Stores documents, each if its mode allows it or if it is what is
    /// stored already.
    ///
    /// # Errors
    ///
    /// `Invalid` for an id that [`Document::is_valid_id`] refuses.
    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>>;

    /// The documents of a kind with these ids.
    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>>;

    /// All documents of some kinds, by kind and id, a page at a time.
    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>>;

    /// Removes a document if its version is the one given; `Done` also if
    /// there is none. Other libraries do not hear of it: whoever deletes a
    /// playlist or a synth stores its next version, which says that it is
    /// deleted ([`Document::deleted`]).
    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>>;
}

/// What a backend can do beyond what all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A search may use another metric than the model's own.
    pub any_metric: bool,
    /// Blobs can be stored, rather than files be known where they lie.
    pub keeps_audio: bool,
    /// Blobs have addresses for others.
    pub urls: bool,
    /// How many elements a batch should have to be cheap.
    pub batch: usize,
    /// Whether a call costs a network request, so that asking twice is worth
    /// avoiding.
    pub remote: bool,
}

/// A song to store.
#[derive(Clone, Debug, PartialEq)]
pub struct PutSong {
    /// The song, with the revision that this write makes.
    pub song: Song,
    /// What may be stored now.
    pub mode: PutMode,
    /// Who writes it, for backends that number writers; the backend's own
    /// numbering if it is not said.
    pub origin: Option<Origin>,
}

/// What has to be stored for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Nothing, or a tombstone.
    Create,
    /// The version written by this operation.
    Replace(OperationId),
}

/// A song to delete.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteSong {
    /// Which.
    pub id: SongId,
    /// Only if this is the stored version; any version if it is not said.
    pub version: Option<OperationId>,
    /// The deletion itself.
    pub operation: OperationId,
    /// When.
    pub at: Timestamp,
    /// Who, as for [`PutSong::origin`].
    pub origin: Option<Origin>,
    /// What the tombstone says of the song, for whoever knows more of it than
    /// is stored; the song as it is stored, if it is not said.
    pub leaving: Option<Box<Song>>,
}

impl DeleteSong {
    /// The tombstone that this deletion leaves of the song that is stored. The
    /// facts it names are those of the stored song.
    pub fn tombstone(&self, stored: Song) -> Tombstone {
        let revision = Revision { operation: self.operation, ..stored.revision.next() };
        let song = match &self.leaving {
            None => stored,
            Some(leaving) => Song {
                revision: stored.revision,
                embeddings: stored.embeddings,
                blob: stored.blob,
                ..(**leaving).clone()
            },
        };
        Tombstone { revision, deleted_at: self.at, song }
    }
}

/// A tombstone to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeSong {
    /// Of which song.
    pub id: SongId,
    /// The deletion that left it ([`DeleteSong::operation`]).
    pub deletion: OperationId,
}

/// What became of a write that could lose a race.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// What was to be stored is stored.
    Done,
    /// Something else is; nothing was changed. `None` if nothing is.
    Conflict(Option<Box<T>>),
}

impl<T> Outcome<T> {
    /// Whether the write happened, now or before.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// An embedding to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEmbedding {
    /// The embedding.
    pub embedding: Embedding,
    /// The card of its song, as the song will be stored: a backend that
    /// filters inside its vector search keeps it beside the vector.
    pub card: Card,
    /// The write, which becomes part of the key where there are keys; the
    /// same for a repeated write.
    pub operation: OperationId,
}

/// An embedding with the reference by which its song names it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEmbedding {
    /// The embedding.
    pub embedding: Embedding,
    /// The reference.
    pub reference: EmbeddingRef,
}

/// A blob to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBlob {
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// The write, as for [`NewEmbedding::operation`].
    pub operation: OperationId,
}

/// A document to store.
#[derive(Clone, Debug, PartialEq)]
pub struct PutDocument {
    /// The document, with the revision that this write makes.
    pub document: Document,
    /// What may be stored now.
    pub mode: PutMode,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Embeddings and blobs.
    pub facts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How thorough to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Put right what can be put right without losing anything.
    pub repair: bool,
    /// Read every byte and compare digests, instead of looking at sizes.
    pub read_data: bool,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The song, file or part it is about.
    pub subject: String,
    /// What is wrong, in words.
    pub problem: String,
    /// Whether it was put right.
    pub repaired: bool,
    /// What to do about it, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// What is lost, if whoever has the song's audio can bring it back.
    #[serde(skip)]
    pub lost: Option<Lost>,
}

impl Finding {
    /// Something that was not put right, with what to do about it.
    pub fn open(
        subject: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<Hint>,
    ) -> Self {
        let (subject, problem, hint) = (subject.into(), problem.into(), Some(hint.into()));
        Self { subject, problem, repaired: false, hint, lost: None }
    }

    /// Something that was put right.
    pub fn repaired(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        let (subject, problem) = (subject.into(), problem.into());
        Self { subject, problem, repaired: true, hint: None, lost: None }
    }

    /// The same, of something that the song's audio can bring back.
    #[must_use]
    pub fn of_lost(self, lost: Lost) -> Self {
        Self { lost: Some(lost), ..self }
    }
}

/// What can be made again of a song's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// An embedding that a song names: it is not there, or damaged.
    Embedding(SongId, ModelName),
    /// A song whose document is damaged and was put aside.
    Song(SongId),
}
