//! Where an archive is unpacked before any of it reaches a library.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use songrec_core::{
    BlobRef, Digest, Document, Embedding, ModelName, ModelSpec, OperationId, Segment, Silent, Song,
    SongId, SongSummary,
};
use songrec_storage::{
    BlobSource, DeleteSong, ErrorKind as StorageTrouble, NewBlob, NewEmbedding, Outcome,
    PutDocument, PutMode, PutSong, SegmentQuery, Tombstone,
};

use crate::{Config, Error, ErrorKind, InitOptions, Library, Result};

/// What was left behind so long ago belongs to nobody any more.
const LEFT_BEHIND: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// More elements than any vector has.
const LARGEST_DIMENSION: usize = 1 << 16;

/// A local library of its own in the cache folder, which goes when it is dropped.
///
/// Songs are held until what belongs to them has come, and that is until other songs
/// come: embeddings and audio are stored before the song that names them.
pub(super) struct Staging {
    pub(super) library: Library,
    folder: tempfile::TempDir,
    keeps_audio: bool,
    waiting: Waiting,
    models: HashSet<ModelName>,
    /// Vectors, segments and audio of no song that came before them.
    pub(super) of_no_song: u64,
}

/// Songs whose objects may be still to come.
#[derive(Default)]
struct Waiting {
    songs: Vec<Song>,
    /// Where each is among them.
    places: HashMap<SongId, usize>,
    vectors: BTreeMap<(SongId, ModelName), Embedding>,
    segments: Vec<Segment>,
    /// Audio that came, by its hash.
    audio: HashMap<Digest, BlobRef>,
    /// How they are deleted, once they are stored, if they are.
    tombstones: Vec<Tombstone>,
}

impl Staging {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// When the cache folder cannot be written.
    pub(super) async fn make(config: &Arc<Config>, keeps_audio: bool) -> Result<Self> {
        let root = config.directories().cache.join("restore");
        std::fs::create_dir_all(&root).map_err(|error| Error::io("create", &root, error))?;
        remove_left_behind(&root);
        let folder = tempfile::tempdir_in(&root)
            .map_err(|error| Error::io("make a folder in", &root, error))?;
        let options = InitOptions { keep_copies: keeps_audio };
        let place = folder.path().join("library");
        let (library, _) = Library::init(config.clone(), &place, options, Arc::new(Silent)).await?;
        let (waiting, models) = Default::default();
        Ok(Self { library, folder, keeps_audio, waiting, models, of_no_song: 0 })
    }

    /// Adds songs; those before get no more vectors.
    pub(super) async fn add_songs(&mut self, songs: Vec<Song>) -> Result<()> {
        self.flush().await?;
        let places = songs.iter().enumerate().map(|(at, song)| (song.id, at)).collect();
        self.waiting = Waiting { songs, places, ..Waiting::default() };
        Ok(())
    }

    /// Adds vectors of the songs that came last.
    pub(super) async fn add_vectors(
        &mut self,
        spec: ModelSpec,
        vectors: Vec<Embedding>,
    ) -> Result<()> {
        self.make_room_for(&spec).await?;
        for vector in vectors {
            let place = self.waiting.places.get(&vector.song);
            let named = place.and_then(|at| self.waiting.songs[*at].embeddings.get(&spec.name));
            match named {
                Some(named) if named.digest == vector.reference().digest => {
                    let key = (vector.song, spec.name.clone());
                    self.waiting.vectors.insert(key, vector);
                }
                _ => self.of_no_song += 1,
            }
        }
        Ok(())
    }

    async fn make_room_for(&mut self, spec: &ModelSpec) -> Result<()> {
        if !(1..=LARGEST_DIMENSION).contains(&spec.dimension) {
            let what = format_args!("`{}` is no model", spec.name);
            return Err(Error::new(ErrorKind::Corrupt, what)
                .because(format!("its vectors would have {} elements", spec.dimension)));
        }
        if !self.models.contains(&spec.name) {
            self.library.backend().embeddings().put_model(spec).await?;
            self.models.insert(spec.name.clone());
        }
        Ok(())
    }

    /// Makes room for the models that an archive says its library has.
    pub(super) async fn add_models(&mut self, specs: &[ModelSpec]) -> Result<()> {
        for spec in specs {
            self.make_room_for(spec).await?;
        }
        Ok(())
    }

    /// Adds segments of the songs that came last.
    pub(super) async fn add_segments(&mut self, segments: Vec<Segment>) -> Result<()> {
        for segment in segments {
            let is_ours = self.waiting.places.contains_key(&segment.song)
                && self.models.contains(&segment.model);
            match is_ours {
                true => self.waiting.segments.push(segment),
                false => self.of_no_song += 1,
            }
        }
        Ok(())
    }

    /// Where audio is to be written that comes next; nowhere if no song that came last
    /// names it, or no audio is kept.
    pub(super) fn place_for(&mut self, sha256: &Digest, size: u64) -> Option<PathBuf> {
        if !self.keeps_audio {
            return None;
        }
        let is_named = self.waiting.songs.iter().any(|song| {
            song.blob.as_ref().is_some_and(|blob| (&blob.sha256, blob.size) == (sha256, size))
                || song.files.iter().any(|file| (&file.sha256, file.size) == (sha256, size))
        });
        self.of_no_song += u64::from(!is_named);
        is_named.then(|| self.audio_file(sha256))
    }

    fn audio_file(&self, sha256: &Digest) -> PathBuf {
        self.folder.path().join(sha256.to_string())
    }

    /// Takes audio that was written to its place.
    pub(super) async fn take_audio(&mut self, sha256: &Digest) -> Result<()> {
        let path = self.audio_file(sha256);
        let Ok(found) = std::fs::metadata(&path) else { return Ok(()) };
        let blob = NewBlob { sha256: *sha256, size: found.len(), operation: OperationId::random() };
        let source = BlobSource::Path(path.clone());
        let reference = self.library.backend().blobs().put(&blob, source).await?;
        self.waiting.audio.insert(*sha256, reference);
        std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))
    }

    /// Adds tombstones of songs. What belongs to these comes as it does to songs; of
    /// archives of before, nothing does.
    pub(super) async fn add_tombstones(&mut self, tombstones: Vec<Tombstone>) -> Result<()> {
        let without_audio = |tombstone: &Tombstone| Song { blob: None, ..tombstone.song.clone() };
        self.add_songs(tombstones.iter().map(without_audio).collect()).await?;
        self.waiting.tombstones = tombstones;
        Ok(())
    }

    /// Adds documents.
    pub(super) async fn add_documents(&mut self, documents: Vec<Document>) -> Result<()> {
        self.flush().await?;
        let puts: Vec<PutDocument> = documents
            .into_iter()
            .map(|document| PutDocument { document, mode: PutMode::Create })
            .collect();
        // One that comes twice is the same.
        self.library.backend().documents().put(&puts).await?;
        Ok(())
    }

    /// Stores the songs that wait.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let Waiting { mut songs, vectors, segments, audio, tombstones, .. } =
            std::mem::take(&mut self.waiting);
        if songs.is_empty() {
            return Ok(());
        }
        let summaries: HashMap<SongId, SongSummary> =
            songs.iter().map(|song| (song.id, SongSummary::of(song))).collect();
        let mut keys = Vec::new();
        let mut new = Vec::new();
        for ((song, model), embedding) in vectors {
            let Some(summary) = summaries.get(&song).cloned() else { continue };
            keys.push((song, model));
            new.push(NewEmbedding { embedding, summary, operation: OperationId::random() });
        }
        let backend = self.library.backend();
        let references = backend.embeddings().put(&new).await?;
        let mut references: HashMap<_, _> = keys.into_iter().zip(references).collect();
        backend.segments().put(&segments).await?;
        for song in &mut songs {
            let named = std::mem::take(&mut song.embeddings);
            for model in named.into_keys() {
                if let Some(reference) = references.remove(&(song.id, model.clone())) {
                    song.embeddings.insert(model, reference);
                }
            }
            if self.keeps_audio {
                let of_files = song.files.iter().map(|file| file.sha256);
                let mut hashes = song.blob.iter().map(|blob| blob.sha256).chain(of_files);
                song.blob = hashes.find_map(|hash| audio.get(&hash)).cloned();
            }
        }
        store(&self.library, songs).await?;
        delete(&self.library, &tombstones).await
    }
}

/// Leaves deleted songs, as they are in one library, in another one that has never heard
/// of them: with their vectors and segments, so that they can be restored.
pub(super) async fn bury(from: &Library, to: &Library, tombstones: &[Tombstone]) -> Result<()> {
    let mut songs: Vec<Song> =
        tombstones.iter().map(|tombstone| Song { blob: None, ..tombstone.song.clone() }).collect();
    let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
    let mut references = HashMap::new();
    for spec in from.backend().embeddings().models().await? {
        if songs.iter().all(|song| !song.embeddings.contains_key(&spec.name)) {
            continue;
        }
        match to.backend().embeddings().put_model(&spec).await {
            // The library knows another model by this name.
            Err(error) if error.kind() == StorageTrouble::Invalid => continue,
            made => made?,
        }
        let found = from.backend().embeddings().get_deleted(&spec.name, &ids).await?;
        let new: Vec<NewEmbedding> = found
            .into_iter()
            .zip(&songs)
            .filter_map(|(stored, song)| {
                let embedding = stored?.embedding;
                let (summary, operation) = (SongSummary::of(song), OperationId::random());
                Some(NewEmbedding { embedding, summary, operation })
            })
            .collect();
        for some in new.chunks(to.backend().capabilities().batch.max(1)) {
            let stored = to.backend().embeddings().put(some).await?;
            for (one, reference) in some.iter().zip(stored) {
                references.insert((one.embedding.song, spec.name.clone()), reference);
            }
        }
    }
    for song in &mut songs {
        let named = std::mem::take(&mut song.embeddings);
        for model in named.into_keys() {
            if let Some(reference) = references.remove(&(song.id, model.clone())) {
                song.embeddings.insert(model, reference);
            }
        }
    }
    let query = SegmentQuery { songs: ids, limit: usize::MAX, ..SegmentQuery::default() };
    let segments = from.backend().segments().find(&query).await?;
    let known = to.backend().embeddings().models().await?;
    let has_room = |segment: &Segment| known.iter().any(|spec| spec.name == segment.model);
    let segments: Vec<Segment> = segments.into_iter().filter(has_room).collect();
    to.backend().segments().put(&segments).await?;
    store(to, songs).await?;
    delete(to, tombstones).await
}

// Deletes songs as they were deleted before.
async fn delete(library: &Library, tombstones: &[Tombstone]) -> Result<()> {
    let deletions: Vec<DeleteSong> = tombstones
        .iter()
        .map(|tombstone| DeleteSong {
            id: tombstone.song.id,
            version: Some(tombstone.song.revision.operation),
            operation: tombstone.revision.operation,
            at: tombstone.deleted_at,
            origin: None,
            leaving: None,
        })
        .collect();
    for chunk in deletions.chunks(library.backend().capabilities().batch.max(1)) {
        library.backend().songs().delete(chunk).await?;
    }
    Ok(())
}

// Of a song that comes twice, the last one counts.
async fn store(library: &Library, songs: Vec<Song>) -> Result<()> {
    let songs_of = library.backend().songs();
    let put = |song| PutSong { song, mode: PutMode::Create, origin: None };
    let mut puts: Vec<PutSong> = songs.into_iter().map(put).collect();
    for _ in 0..3 {
        let mut again = Vec::new();
        for chunk in puts.chunks(library.backend().capabilities().batch.max(1)) {
            let outcomes = songs_of.put(chunk).await?;
            for (put, outcome) in chunk.iter().zip(outcomes) {
                if let Outcome::Conflict(Some(other)) = outcome {
                    let mode = PutMode::Replace(other.revision.operation);
                    again.push(PutSong { mode, ..put.clone() });
                }
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        puts = again;
    }
    Err(Error::new(ErrorKind::Failed, "could not store what a backup holds")
        .because("others write the same songs"))
}

// What a restore left that was killed.
fn remove_left_behind(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|found| found.modified()).ok();
        let age = age.and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > LEFT_BEHIND)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!("`{}` stays: {error}", entry.path().display());
        }
    }
}
