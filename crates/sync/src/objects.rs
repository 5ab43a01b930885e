//! Objects on their way from one library to the other, before their songs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::StreamExt;
use songrec_core::{
    BlobRef, EmbeddingRef, ModelName, ModelSpec, OperationId, Song, SongId, SongSummary, Timestamp,
};
use songrec_storage::{BlobSource, BlobStream, NewBlob, NewEmbedding, StoredEmbedding};
use tokio::sync::{OnceCell, Semaphore};

use crate::{
    AudioPolicy, Note, Options, Pair, Result, Side, Syncer,
    resolve::operation_of,
    syncer::{in_words, is_about_one},
    values::Refs,
};

/// Songs of one batch whose audio is on its way at once; of all batches
/// together, no more than there are jobs.
pub(crate) const AUDIO_AT_ONCE: usize = 16;

/// What may be carried, and what was learned of both libraries on the way.
#[derive(Debug)]
pub(crate) struct Transfer {
    keeps_audio: Pair<bool>,
    audio: AudioPolicy,
    models: Option<BTreeSet<ModelName>>,
    now: Timestamp,
    throttle: Option<Throttle>,
    known_models: Pair<OnceCell<BTreeMap<ModelName, ModelSpec>>>,
    room: Mutex<Pair<BTreeSet<ModelName>>>,
    pub(crate) segments: Pair<OnceCell<bool>>,
    // Audio on its way at once, of all songs together.
    copies: Semaphore,
}

/// What was carried for some songs.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) embeddings: HashMap<(SongId, ModelName), EmbeddingRef>,
    pub(crate) bytes: u64,
    pub(crate) notes: Vec<Note>,
}

/// The audio of one song, carried where it was not.
#[derive(Debug, Default)]
pub(crate) struct CarriedBlob {
    /// What the song has to name there.
    pub(crate) blob: Option<BlobRef>,
    bytes: u64,
    note: Option<Note>,
}

impl Carried {
    /// Adds the audio of a song; gives what the song has to name.
    pub(crate) fn add(&mut self, one: CarriedBlob) -> Option<BlobRef> {
        self.bytes += one.bytes;
        self.notes.extend(one.note);
        one.blob
    }
}

/// A song that needs objects at a side.
pub(crate) struct Needs<'a> {
    pub(crate) song: &'a Song,
    pub(crate) operation: OperationId,
    pub(crate) own: &'a Refs,
    pub(crate) theirs: &'a Refs,
}

impl Transfer {
    pub(crate) fn new(syncer: &Syncer, options: &Options) -> Self {
        Self {
            keeps_audio: Pair::of(|side| syncer.backend(side).capabilities().keeps_audio),
            audio: options.audio,
            models: options.models.clone(),
            now: syncer.now(),
            throttle: options.bandwidth.map(Throttle::new),
            known_models: Pair::default(),
            room: Mutex::default(),
            segments: Pair::default(),
            copies: Semaphore::new(options.jobs.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    fn carries(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    fn carries_audio_of(&self, song: &Song) -> bool {
        match self.audio {
            AudioPolicy::All => true,
            AudioPolicy::None => false,
            AudioPolicy::Recent(days) => {
                let age = self.now.duration_since(song.added_at);
                age.as_secs() <= i64::from(days) * 24 * 60 * 60
            }
        }
    }

    /// Whether `side` lacks objects of a song that the other side has, and that
    /// are carried.
    pub(crate) fn lacks(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> bool {
        let embedded = theirs
            .embeddings
            .keys()
            .any(|model| self.carries(model) && !own.embeddings.contains_key(model));
        let audio = self.keeps_audio[side]
            && self.keeps_audio[side.other()]
            && own.blob.is_none()
            && theirs.blob.is_some()
            && self.carries_audio_of(song);
        embedded || audio
    }

    /// How many bytes may have to be carried to `side` for a song.
    pub(crate) fn bytes(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> u64 {
        let embedded = theirs
            .embeddings
            .iter()
            .filter(|(model, _)| self.carries(model) && !own.embeddings.contains_key(*model))
            .map(|(_, reference)| reference.dimension as u64 * 4)
            .sum::<u64>();
        let audio = self.keeps_audio[side] && self.carries_audio_of(song);
        let blob = match (&own.blob, &theirs.blob) {
            (None, Some(blob)) if audio => blob.size,
            (None, None) if audio && !self.keeps_audio[side.other()] => {
                song.files.first().map_or(0, |file| file.size)
            }
            _ => 0,
        };
        embedded + blob
    }
}

impl Syncer {
    async fn models_at<'a>(
        &self,
        transfer: &'a Transfer,
        side: Side,
    ) -> Result<&'a BTreeMap<ModelName, ModelSpec>> {
        transfer.known_models[side]
            .get_or_try_init(|| async {
                let backend = self.backend(side);
                let models = self.ask(side, || backend.embeddings().models()).await;
                let models = models.map_err(|error| self.failed(side, error))?;
                Ok(models.into_iter().map(|model| (model.name.clone(), model)).collect())
            })
            .await
    }

    /// Makes room at `side` for a model that the other side knows; says
    /// whether there is room.
    pub(crate) async fn make_room(
        &self,
        transfer: &Transfer,
        side: Side,
        model: &ModelName,
    ) -> Result<bool> {
        if transfer.room.lock().expect("nothing panics with it")[side].contains(model)
            || self.models_at(transfer, side).await?.contains_key(model)
        {
            return Ok(true);
        }
        let Some(spec) = self.models_at(transfer, side.other()).await?.get(model) else {
            return Ok(false);
        };
        let backend = self.backend(side);
        self.ask(side, || backend.embeddings().put_model(spec))
            .await
            .map_err(|error| self.failed(side, error))?;
        transfer.room.lock().expect("nothing panics with it")[side].insert(model.clone());
        Ok(true)
    }

    /// Carries the embeddings that songs lack at `side`.
    pub(crate) async fn carry_embeddings(
        &self,
        transfer: &Transfer,
        side: Side,
        songs: &[&Needs<'_>],
    ) -> Result<Carried> {
        let mut carried = Carried::default();
        let mut wanted: BTreeMap<&ModelName, Vec<&Needs<'_>>> = BTreeMap::new();
        for needs in songs.iter().copied() {
            for model in needs.theirs.embeddings.keys() {
                if transfer.carries(model) && !needs.own.embeddings.contains_key(model) {
                    wanted.entry(model).or_default().push(needs);
                }
            }
        }
        for (model, songs) in wanted {
            if !self.make_room(transfer, side, model).await? {
                continue;
            }
            for chunk in songs.chunks(self.batch()) {
                self.carry_batch(transfer, side, model, chunk, &mut carried).await?;
            }
        }
        Ok(carried)
    }

    async fn carry_batch(
        &self,
        transfer: &Transfer,
        side: Side,
        model: &ModelName,
        songs: &[&Needs<'_>],
        carried: &mut Carried,
    ) -> Result<()> {
        let from = side.other();
        let ids: Vec<SongId> = songs.iter().map(|needs| needs.song.id).collect();
        let found = self.read_embeddings(from, model, &ids, carried).await?;
        let mut new = Vec::with_capacity(songs.len());
        for (needs, found) in songs.iter().zip(found) {
            let Some(StoredEmbedding { embedding, .. }) = found else {
                carried.notes.push(Note {
                    song: needs.song.id,
                    text: format!(
                        "its embedding by `{model}` is not in {}, so it was not copied",
                        self.replicas[from].name
                    ),
                });
                continue;
            };
            carried.bytes += embedding.vector.dimension() as u64 * 4;
            // The same for a repeated write, another for another version.
            let what = format!("songrec sync embedding {model} {}", needs.operation);
            new.push(NewEmbedding {
                summary: SongSummary::of(needs.song),
                operation: operation_of(&what),
                embedding,
            });
        }
        let bytes: u64 = new.iter().map(|one| one.embedding.vector.dimension() as u64 * 4).sum();
        if let Some(throttle) = &transfer.throttle {
            throttle.take(bytes).await;
        }
        self.traffic().bytes(bytes);
        let backend = self.backend(side);
        match self.ask(side, || backend.embeddings().put(&new)).await {
            Ok(references) => {
                for (one, reference) in new.into_iter().zip(references) {
                    let key = (one.embedding.song, one.embedding.model);
                    carried.embeddings.insert(key, reference);
                }
                Ok(())
            }
            // One may be refused; the others need not suffer.
            Err(error) if is_about_one(&error) => {
                for one in new {
                    let put = std::slice::from_ref(&one);
                    match self.ask(side, || backend.embeddings().put(put)).await {
                        Ok(mut references) => {
                            if let Some(reference) = references.pop() {
                                let key = (one.embedding.song, one.embedding.model.clone());
                                carried.embeddings.insert(key, reference);
                            }
                        }
                        Err(error) if is_about_one(&error) => carried.notes.push(Note {
                            song: one.embedding.song,
                            text: format!(
                                "its embedding by `{model}` was not copied: {}",
                                in_words(&error)
                            ),
                        }),
                        Err(error) => return Err(self.failed(side, error)),
                    }
                }
                Ok(())
            }
            Err(error) => Err(self.failed(side, error)),
        }
    }

    async fn read_embeddings(
        &self,
        side: Side,
        model: &ModelName,
        ids: &[SongId],
        carried: &mut Carried,
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let backend = self.backend(side);
        match self.ask(side, || backend.embeddings().get(model, ids)).await {
            Ok(found) => Ok(found),
            Err(error) if is_about_one(&error) => {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    let one = std::slice::from_ref(id);
                    match self.ask(side, || backend.embeddings().get(model, one)).await {
                        Ok(mut one) => found.push(one.pop().flatten()),
                        Err(error) if is_about_one(&error) => {
                            let text = format!(
                                "its embedding by `{model}` cannot be read: {}",
                                in_words(&error)
                            );
                            carried.notes.push(Note { song: *id, text });
                            found.push(None);
                        }
                        Err(error) => return Err(self.failed(side, error)),
                    }
                }
                Ok(found)
            }
            Err(error) => Err(self.failed(side, error)),
        }
    }

    /// The blob that a song has to name at `side`, carried there if it is
    /// not there and audio is carried.
    pub(crate) async fn carry_blob(
        &self,
        transfer: &Transfer,
        side: Side,
        needs: &Needs<'_>,
        before: Option<&BlobRef>,
    ) -> Result<CarriedBlob> {
        let (own, theirs) = (needs.own.blob.as_ref(), needs.theirs.blob.as_ref());
        let other = side.other();
        let names =
            |blob: Option<&BlobRef>| CarriedBlob { blob: blob.cloned(), ..CarriedBlob::default() };
        let keeps = &transfer.keeps_audio;
        let wanted = match (own, theirs) {
            (Some(own), Some(theirs)) if own.sha256 == theirs.sha256 => {
                return Ok(names(Some(own)));
            }
            // Both have one; the other side's is new.
            (Some(own), Some(theirs)) => {
                if before.is_none_or(|before| before.sha256 == theirs.sha256) {
                    return Ok(names(Some(own)));
                }
                Some(theirs.clone())
            }
            (Some(own), None) => return Ok(names(Some(own))),
            (None, Some(theirs)) => Some(theirs.clone()),
            (None, None) => None,
        };
        if !keeps[side] {
            // Where it is, is worth knowing.
            return Ok(names(wanted.filter(|_| keeps[other]).as_ref().or(own)));
        }
        if !transfer.carries_audio_of(needs.song) {
            return Ok(names(own));
        }
        let wanted = match wanted {
            Some(wanted) if keeps[other] || self.has_blob(other, &wanted).await? => Some(wanted),
            // A side that keeps no copies may still reach the file.
            _ if !keeps[other] && !self.is_remote(other) => {
                self.reachable(other, needs.song).await?
            }
            _ => None,
        };
        let Some(wanted) = wanted else { return Ok(names(own)) };
        let new = NewBlob {
            sha256: wanted.sha256,
            size: wanted.size,
            operation: operation_of(&format!("songrec sync blob {}", needs.operation)),
        };
        let here = BlobRef { key: None, ..wanted.clone() };
        if !self.is_remote(side) && self.has_blob(side, &here).await? {
            return Ok(names(Some(&here)));
        }
        let note = |text| Some(Note { song: needs.song.id, text });
        match self.copy_blob(transfer, side, &wanted, &new).await? {
            Copied::Done(reference) => {
                Ok(CarriedBlob { bytes: wanted.size, ..names(Some(&reference)) })
            }
            Copied::Missing => {
                let text = format!(
                    "its audio is not in {}, so it was not copied",
                    self.replicas[other].name
                );
                Ok(CarriedBlob { note: note(text), ..names(own) })
            }
            Copied::Refused(why) => {
                let text = format!("its audio was not copied: {why}");
                Ok(CarriedBlob { note: note(text), ..names(own) })
            }
        }
    }

    pub(crate) async fn has_blob(&self, side: Side, blob: &BlobRef) -> Result<bool> {
        let backend = self.backend(side);
        match self.ask(side, || backend.blobs().get(blob, Some(0..0))).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if is_about_one(&error) => Ok(false),
            Err(error) => Err(self.failed(side, error)),
        }
    }

    async fn reachable(&self, side: Side, song: &Song) -> Result<Option<BlobRef>> {
        let mut seen = BTreeSet::new();
        for file in &song.files {
            let blob = BlobRef { sha256: file.sha256, size: file.size, key: None };
            if seen.insert(file.sha256) && self.has_blob(side, &blob).await? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }

    async fn copy_blob(
        &self,
        transfer: &Transfer,
        side: Side,
        wanted: &BlobRef,
        new: &NewBlob,
    ) -> Result<Copied> {
        let other = side.other();
        let (from, to) = (self.backend(other), self.backend(side));
        let _turn = transfer.copies.acquire().await.expect("it is never closed");
        let mut tries = 0;
        loop {
            tries += 1;
            // A stream cannot be sent again, so it is asked for again.
            let stream = match self.ask(other, || from.blobs().get(wanted, None)).await {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(Copied::Missing),
                Err(error) if is_about_one(&error) => return Ok(Copied::Refused(in_words(&error))),
                Err(error) => return Err(self.failed(other, error)),
            };
            let stream = match &transfer.throttle {
                Some(throttle) => throttle.slow(stream),
                None => stream,
            };
            let stream = self.count_pieces(stream);
            self.traffic().request(side);
            match to.blobs().put(new, BlobSource::Stream(stream)).await {
                Ok(reference) => return Ok(Copied::Done(reference)),
                Err(error) if error.is_temporary() && tries < 4 => {
                    if !self.pause.is_zero() {
                        tokio::time::sleep(self.pause * tries).await;
                    }
                }
                Err(error) if is_about_one(&error) => return Ok(Copied::Refused(in_words(&error))),
                Err(error) => return Err(self.failed(side, error)),
            }
        }
    }
}

enum Copied {
    Done(BlobRef),
    Missing,
    Refused(String),
}

/// So many bytes a second, among all that go by.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    per_second: u64,
    // When the bytes that were let by so far are through.
    free_at: std::sync::Arc<Mutex<Instant>>,
}

impl Throttle {
    pub(crate) fn new(per_second: u64) -> Self {
        let free_at = std::sync::Arc::new(Mutex::new(Instant::now()));
        Self { per_second: per_second.max(1), free_at }
    }

    /// Waits until `bytes` may go by.
    pub(crate) async fn take(&self, bytes: u64) {
        let wait = {
            let mut free_at = self.free_at.lock().expect("nothing panics with it");
            let now = Instant::now();
            let begin = (*free_at).max(now);
            *free_at = begin + Duration::from_secs_f64(bytes as f64 / self.per_second as f64);
            begin - now
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    pub(crate) fn slow(&self, stream: BlobStream) -> BlobStream {
        let throttle = self.clone();
        stream
            .then(move |piece| {
                let throttle = throttle.clone();
                async move {
                    if let Ok(piece) = &piece {
                        throttle.take(piece.len() as u64).await;
                    }
                    piece
                }
            })
            .boxed()
    }
}
