//! Songs of other libraries on their way in, many at a time.

mod known;

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_audio::Opening;
use songrec_core::{
    Embedding, Event, Job, ModelName, ModelSpec, OperationId, Song, SongId, Timestamp, Vector,
};
use songrec_storage::{ErrorKind as StorageTrouble, NewEmbedding, Outcome, PutMode, PutSong};

use self::known::Names;
use crate::{
    Error, ErrorKind, Library, Result,
    complete::{DifferentValue, complete, summary_with},
    library::now,
};

/// How many songs are stored at once on this machine, where every batch makes
/// up to 512 folders durable.
const BATCH_HERE: usize = 1000;
/// How often songs are merged again on top of other writers' versions.
const ATTEMPTS: usize = 20;
/// How many differences are listed; all are counted.
const LISTED: usize = 10_000;

/// What came in.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Imported {
    /// What was found, in words.
    pub found: String,
    /// Songs that are new.
    pub added: u64,
    /// Songs that were there already, and got what they lacked.
    pub completed: u64,
    /// Songs that were there already, complete.
    pub already_there: u64,
    /// Of those that were there: known by the path, the hash or the name of
    /// their file, for the audio itself was not at hand.
    pub known_by_file: u64,
    /// Definitions of synths that are new.
    pub synths: u64,
    /// What stood among the records and is none.
    pub no_records: Vec<String>,
    /// Fields that have no name of their own here, kept as `extra.NAME`: of how
    /// many records each.
    pub kept: BTreeMap<String, u64>,
    /// Fields that were too long to keep whole, or too many.
    pub cut: u64,
    /// How many values differ from those that songs have already.
    pub differing: u64,
    /// These values; songs keep theirs. At most ten thousand are listed.
    pub different: Vec<Different>,
    /// What could not be taken in, and why.
    pub failed: Vec<(String, String)>,
    /// Whether the work was ended early.
    pub interrupted: bool,
}

/// A value that a song has already, and with another content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Different {
    /// The song.
    pub song: SongId,
    /// How it is called where the other value comes from.
    pub from: String,
    /// Of what.
    #[serde(flatten)]
    pub what: DifferentValue,
}

/// A song on its way in.
pub(super) struct Arrival {
    /// It names no embeddings yet.
    pub(super) song: Song,
    pub(super) vectors: Vec<(ModelName, Vector)>,
    /// How it is called where it comes from.
    pub(super) label: String,
    pub(super) waits: Waits,
}

/// Whether a song waits for its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// It does not, nor did it.
    Never,
    /// Its audio is here now; before, it may have been this song.
    Did(SongId),
    /// Its id is made from something else until the audio comes.
    Yes,
}

/// An import at work.
pub(super) struct Arriving<'a> {
    pub(super) library: &'a Library,
    pub(super) job: &'a Job,
    pub(super) imported: Imported,
    /// How many songs are stored at once.
    pub(super) batch: usize,
    /// When it began.
    pub(super) began: Timestamp,
    /// How audio files are opened.
    pub(super) opening: Opening,
    models: BTreeMap<ModelName, ModelSpec>,
    /// Made when it is first needed.
    names: Option<Names>,
}

impl<'a> Arriving<'a> {
    pub(super) async fn new(library: &'a Library, job: &'a Job) -> Result<Self> {
        let known = library.backend.embeddings().models().await?;
        let models = known.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        let capabilities = library.backend.capabilities();
        let batch = if capabilities.remote { capabilities.batch.max(1) } else { BATCH_HERE };
        let imported = Imported::default();
        let opening = library.models.decoding().opening()?;
        Ok(Self { library, job, imported, batch, began: now(), opening, models, names: None })
    }

    pub(super) fn fail(&mut self, what: String, reason: String) {
        self.job.on(Event::Failed { item: &what, reason: &reason.as_str().into() });
        self.imported.failed.push((what, reason));
    }

    /// Makes room for a model, once; says why there can be none.
    pub(super) async fn make_room_for(&mut self, spec: ModelSpec) -> Result<Option<String>> {
        let known = self.models.get(&spec.name);
        if known.is_some_and(|one| (one.dimension, one.metric) == (spec.dimension, spec.metric)) {
            return Ok(None);
        }
        match self.library.backend.embeddings().put_model(&spec).await {
            Ok(()) => _ = self.models.insert(spec.name.clone(), spec),
            Err(error) if error.kind() == StorageTrouble::Invalid => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                return Ok(Some(source.unwrap_or_else(|| error.to_string())));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Why `vector` cannot be stored, if it cannot.
    pub(super) fn refuses(&self, model: &ModelName, vector: &Vector) -> Option<String> {
        match self.models.get(model) {
            Some(spec) => spec.refuses(vector),
            None => Some(format!("nothing is said of the model `{model}`")),
        }
    }

    /// Stores songs: vectors first, then the songs that name them. Doing it
    /// again is doing it once.
    pub(super) async fn take_in(&mut self, mut batch: Vec<Arrival>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        known::meet(self, &mut batch).await?;
        let waited = crate::transfer::arrive::known::join_waiting(self, &mut batch).await?;
        self.store_vectors(&mut batch).await?;
        let mut of_song: BTreeMap<SongId, Vec<Arrival>> = BTreeMap::new();
        for arrival in batch {
            of_song.entry(arrival.song.id).or_default().push(arrival);
        }
        self.store_songs(&of_song).await?;
        crate::complete::forget_waiting(self.library, &waited).await?;
        for id in of_song.values().flatten().map(|arrival| arrival.song.id.to_string()) {
            self.job.on(Event::Advanced { item: &id, bytes: 0 });
        }
        Ok(())
    }

    async fn store_vectors(&mut self, batch: &mut [Arrival]) -> Result<()> {
        let (mut positions, mut new) = (Vec::new(), Vec::new());
        for (at, arrival) in batch.iter_mut().enumerate() {
            let vectors = std::mem::take(&mut arrival.vectors).into_iter();
            let embedded: Vec<Embedding> = vectors
                .map(|(model, vector)| Embedding { song: arrival.song.id, model, vector })
                .collect();
            let summary = summary_with(&mut arrival.song, &embedded);
            for embedding in embedded {
                let (summary, operation) = (summary.clone(), OperationId::random());
                positions.push((at, embedding.model.clone(), embedding.reference().digest));
                new.push(NewEmbedding { embedding, summary, operation });
            }
        }
        let references = self.library.backend.embeddings().put(&new).await?;
        for ((at, model, offered), reference) in positions.into_iter().zip(references) {
            let arrival = &mut batch[at];
            if reference.digest != offered {
                let what = DifferentValue::Embedding { embedding: model.clone() };
                self.imported.note(arrival.song.id, &arrival.label, what);
            }
            arrival.song.embeddings.insert(model, reference);
        }
        Ok(())
    }

    async fn store_songs(&mut self, of_song: &BTreeMap<SongId, Vec<Arrival>>) -> Result<()> {
        let ids: Vec<SongId> = of_song.keys().copied().collect();
        let stored = self.library.each_song(&ids).await?;
        let mut current: BTreeMap<SongId, Option<Song>> = BTreeMap::new();
        for (id, stored) in ids.iter().zip(stored) {
            match stored {
                Ok(song) => _ = current.insert(*id, song),
                // What is stored anew takes the place of what is damaged.
                Err(StorageTrouble::Corrupt) => _ = current.insert(*id, None),
                Err(_) => {
                    let reason = "it is there, written by a newer version of songrec".to_owned();
                    self.fail(of_song[id][0].label.clone(), reason);
                }
            }
        }
        for _ in 0..ATTEMPTS {
            let mut puts = Vec::new();
            for (id, stored) in &current {
                let mut made = made_of(stored.as_ref(), &of_song[id]);
                match (stored, made.changed) {
                    (Some(_), false) => {
                        self.imported.already_there += 1;
                        self.imported.note_all(*id, made.different);
                    }
                    (Some(stored), true) => {
                        made.song.revise(stored, now());
                        puts.push((made, PutMode::Replace(stored.revision.operation)));
                    }
                    (None, _) => puts.push((made, PutMode::Create)),
                }
            }
            current = self.put(puts).await?;
            if current.is_empty() {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Failed, "songs could not be stored")
            .because("other processes keep changing them")
            .with_hint("run the same import again"))
    }

    // Stores what was made of songs; gives those that others changed meanwhile,
    // as they are now.
    async fn put(&mut self, made: Vec<(Made, PutMode)>) -> Result<BTreeMap<SongId, Option<Song>>> {
        if made.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (mut puts, mut told) = (Vec::new(), Vec::new());
        for (Made { song, different, .. }, mode) in made {
            told.push((song.id, different, mode));
            puts.push(PutSong { song, mode, origin: None });
        }
        let outcomes = self.library.backend.songs().put(&puts).await?;
        let mut changed = BTreeMap::new();
        for ((id, different, mode), outcome) in told.into_iter().zip(outcomes) {
            match (outcome, mode) {
                (Outcome::Conflict(newer), _) => {
                    changed.insert(id, newer.map(|song| *song));
                    continue;
                }
                (Outcome::Done, PutMode::Create) => self.imported.added += 1,
                (Outcome::Done, PutMode::Replace(_)) => self.imported.completed += 1,
            }
            self.imported.note_all(id, different);
        }
        Ok(changed)
    }
}

impl Imported {
    fn note(&mut self, song: SongId, from: &str, what: DifferentValue) {
        self.differing += 1;
        if self.different.len() < LISTED {
            self.different.push(Different { song, from: from.to_owned(), what });
        }
    }

    fn note_all(&mut self, song: SongId, different: Vec<(String, DifferentValue)>) {
        for (from, what) in different {
            self.note(song, &from, what);
        }
    }
}

/// A song with what came for it.
struct Made {
    song: Song,
    /// Whether that changed it.
    changed: bool,
    different: Vec<(String, DifferentValue)>,
}

fn made_of(stored: Option<&Song>, arrivals: &[Arrival]) -> Made {
    let (mut song, rest) = match (stored, arrivals) {
        (None, [first, rest @ ..]) => (first.song.clone(), rest),
        (Some(stored), all) => (stored.clone(), all),
        (None, []) => unreachable!("a song is made of an arrival"),
    };
    let mut different = Vec::new();
    for arrival in rest {
        let values = complete(&mut song, &arrival.song);
        different.extend(values.into_iter().map(|value| (arrival.label.clone(), value)));
    }
    Made { changed: stored.is_none_or(|stored| song != *stored), song, different }
}
