//! The change feed, and looking after what is stored.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use songrec_core::{Hint, Job, ModelName, SongId};

use crate::{ChangeHead, ChangePage, Cursor, Result};

/// What changed, what may go, and whether all is well.
///
/// ```
/// use std::time::Duration;
///
/// use songrec_core::{AudioProperties, Digest, Job, Song, Timestamp};
/// use songrec_storage::{
///     MemoryBackend, PutMode, StorageBackend, StorageBackendExt, VerifyOptions,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> songrec_storage::Result<()> {
/// let backend = MemoryBackend::new();
/// let before = backend.maintenance().changes(None, 100).await?;
/// let hash = Digest::of(b"the packets of a recording");
/// let song = Song::new(hash, AudioProperties::default(), Timestamp::now());
/// backend.put_song(&song, PutMode::Create).await?;
///
/// let since = backend.maintenance().changes(Some(&before.cursor), 100).await?;
/// assert_eq!(since.changes[0].song, song.id);
///
/// let job = Job::silent();
/// assert_eq!(backend.maintenance().collect_garbage(Duration::ZERO, &job).await?.objects, 0);
/// assert_eq!(backend.maintenance().verify(&VerifyOptions::default(), &job).await?, []);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Songs that changed since a cursor, or all songs and tombstones without
    /// one, at most `limit` (and at least one, if there are any). Every change
    /// that was acknowledged before the call is listed at least once.
    ///
    /// # Errors
    ///
    /// `CursorLost` if the history of the cursor is gone.
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage>;

    /// As [`changes`](Self::changes), with the same cursors, but of each song
    /// only what shows whether it is the same as elsewhere: some 150 bytes in
    /// place of some 3,000, where songs come over a network. Songs that cannot
    /// be read may be listed all the same.
    ///
    /// # Errors
    ///
    /// As [`changes`](Self::changes).
    async fn heads(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage<ChangeHead>> {
        Ok(self.changes(since, limit).await?.heads())
    }

    /// Removes objects that no song names and that are not younger than
    /// `min_age`; with zero, all of them. A tombstone names what its song
    /// named, so that the song can be restored. An object that is stored again is
    /// young again.
    ///
    /// Reports each object that it looked at to `job`. When that is interrupted,
    /// it removes nothing more and returns what it removed until then.
    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected>;

    /// What [`collect_garbage`](Self::collect_garbage) would remove now; changes nothing.
    /// Ends early as that does.
    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected>;

    /// Checks that what songs name exists and that what is derived agrees,
    /// and repairs what can be repaired without losing anything. A document of
    /// a song that is damaged is put aside by a repair, where it can be looked
    /// at: it stands in the way of the song's coming back.
    ///
    /// Reports each song to `job`. When that is interrupted, it checks nothing
    /// more and returns what it found until then.
    async fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>>;
}

/// What a garbage collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Embeddings and blobs.
    pub objects: u64,
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
    /// What is lost, if the song's audio can bring it back.
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
