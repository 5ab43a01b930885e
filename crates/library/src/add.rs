//! Adding songs with their vectors: all of them, or none.

mod journal;

use std::collections::{BTreeMap, BTreeSet};

use songrec_core::{
    Embedding, Event, Hint, Job, ModelName, ModelSpec, OperationId, Remedy, Revision, Song, SongId,
    Vector, Work,
};
use songrec_storage::{DeleteSong, NewEmbedding, Outcome, PutMode, PutSong};

use self::journal::Journal;
use crate::{
    Error, ErrorKind, Library, Result,
    complete::summary_with,
    library::{named, now},
};

/// Songs that are stored at once on this machine, where every batch makes up to 512
/// folders durable.
const BATCH_HERE: usize = 1_000;
/// Problems that an error names; it counts the others.
const NAMED: usize = 5;

/// A song to add.
#[derive(Clone, Debug)]
pub struct NewSong {
    /// The song. It names no embedding yet.
    pub song: Song,
    /// Its vectors, by models that the library knows.
    pub vectors: BTreeMap<ModelName, Vector>,
}

/// Adds songs with their vectors, and gives their ids in the order of `songs`: all
/// of them, or none.
///
/// Everything is checked before anything is written. If a later write fails, or
/// `job` is interrupted, the songs that were added are deleted again. If the process
/// ends in between, the next [`Library::open`] on this machine does that. A deleted
/// song leaves a tombstone, as others may have seen it meanwhile, and `gc` removes
/// its vectors; a song that somebody changed meanwhile stays.
///
/// Costs two look-ups for each batch of songs, and two writes; on this machine a
/// journal of 60 bytes a song while it runs.
///
/// # Errors
///
/// `Usage`, before anything is written, with the songs and the numbers: for a song
/// that is given twice, that is in the library, or that names embeddings already,
/// for a model that the library does not know, and for a vector of a wrong dimension
/// or of zeros. `Interrupted` if the job was. Else what failed; it says so if songs
/// could not be deleted again.
pub async fn add_all(library: &Library, songs: Vec<NewSong>, job: &Job) -> Result<Vec<SongId>> {
    if songs.is_empty() {
        return Ok(Vec::new());
    }
    library.may_write()?;
    let capabilities = library.backend.capabilities();
    let batch = if capabilities.remote { capabilities.batch.max(1) } else { BATCH_HERE };
    check(library, &songs, batch).await?;
    let ids: Vec<SongId> = songs.iter().map(|new| new.song.id).collect();
    let numbered: Vec<(NewSong, OperationId)> =
        songs.into_iter().map(|new| (new, OperationId::random())).collect();
    let added: Vec<(SongId, OperationId)> =
        numbered.iter().map(|(new, operation)| (new.song.id, *operation)).collect();
    let journal = Journal::begin(library, &added)?;
    job.on(Event::started(Work::Importing, Some(ids.len() as u64)));
    let stored = store_all(library, numbered, batch, job).await;
    job.on(Event::Finished);
    let error = match stored.and_then(|()| journal.empty()) {
        Ok(()) => return Ok(ids),
        Err(error) => error,
    };
    match take_back(library, &added).await.and_then(|_| journal.empty()) {
        Ok(()) => Err(error),
        // The journal stays, and says so to the next open.
        Err(other) => Err(Error::new(
            error.kind(),
            format_args!(
                "adding {} songs failed, and those that were added are still there",
                added.len()
            ),
        )
        .because(format!(
            "{}; taking them back failed: {}",
            error.in_one_line(),
            other.in_one_line()
        ))
        .with_hint("the next command on this machine that can write takes them back")),
    }
}

/// Deletes the songs that a process of this machine was adding with [`add_all`] when
/// it ended; says how many. [`Library::open`] does this.
///
/// # Errors
///
/// Those of the library; then the next call goes on.
pub async fn take_back_unfinished(library: &Library) -> Result<u64> {
    let mut songs = 0;
    for (journal, added) in Journal::left(library)? {
        songs += take_back(library, &added).await?;
        journal.empty()?;
    }
    Ok(songs)
}

// What is wrong with the songs, with the first names and the number of all.
async fn check(library: &Library, songs: &[NewSong], batch: usize) -> Result<()> {
    let mut problems = Problems::default();
    let known = library.backend.embeddings().models().await?;
    let mut seen = BTreeSet::new();
    for NewSong { song, vectors } in songs {
        if !seen.insert(song.id) {
            problems.add(song.id, "it is given twice");
        }
        if !song.embeddings.is_empty() {
            problems.add(song.id, "it names embeddings that are not given with it");
        }
        for (model, vector) in vectors {
            if let Some(problem) = refused(&known, model, vector) {
                problems.add(song.id, problem);
            }
        }
    }
    for songs in songs.chunks(batch) {
        let ids: Vec<SongId> = songs.iter().map(|new| new.song.id).collect();
        for (id, stored) in ids.iter().zip(library.each_song(&ids).await?) {
            match stored {
                Ok(None) => {}
                Ok(Some(_)) => problems.add(*id, "it is in the library already"),
                Err(_) => problems.add(*id, "it is in the library already, and cannot be read"),
            }
        }
    }
    problems.into_result(songs.len())
}

fn refused(known: &[ModelSpec], model: &ModelName, vector: &Vector) -> Option<String> {
    match known.iter().find(|spec| spec.name == *model) {
        Some(spec) => spec.refuses(vector).map(|why| format!("its vector by `{model}`: {why}")),
        None => Some(format!("the library does not know the model `{model}`")),
    }
}

#[derive(Default)]
struct Problems {
    first: Vec<String>,
    count: usize,
}

impl Problems {
    fn add(&mut self, id: SongId, what: impl std::fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{}: {what}", named(id)));
        }
    }

    fn into_result(self, songs: usize) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.first.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Err(Error::usage(format_args!("none of the {songs} songs was added"))
            .because(format!("{}{more}", self.first.join("; "))))
    }
}

// Vectors first, then the songs that name them.
async fn store_all(
    library: &Library,
    songs: Vec<(NewSong, OperationId)>,
    batch: usize,
    job: &Job,
) -> Result<()> {
    let mut songs = songs.into_iter().peekable();
    while songs.peek().is_some() {
        if job.is_interrupted() {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "interrupted: the songs that were added are deleted again",
            ));
        }
        let puts = store_vectors(library, songs.by_ref().take(batch).collect()).await?;
        let outcomes = library.backend.songs().put(&puts).await?;
        for (put, outcome) in puts.iter().zip(outcomes) {
            if let Outcome::Conflict(_) = outcome {
                return Err(Error::new(
                    ErrorKind::Guard,
                    format_args!("somebody else added {} meanwhile", named(put.song.id)),
                )
                .with_hint(Hint::of("{} lists what is there", [Remedy::List])));
            }
            job.on(Event::Advanced { item: &put.song.id.to_string(), bytes: 0 });
        }
    }
    Ok(())
}

async fn store_vectors(
    library: &Library,
    songs: Vec<(NewSong, OperationId)>,
) -> Result<Vec<PutSong>> {
    let (mut puts, mut positions, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
    for (NewSong { mut song, vectors }, operation) in songs {
        song.revision = Revision { operation, ..Revision::first() };
        let embedded: Vec<Embedding> = vectors
            .into_iter()
            .map(|(model, vector)| Embedding { song: song.id, model, vector })
            .collect();
        let summary = summary_with(&mut song, &embedded);
        for embedding in embedded {
            positions.push((puts.len(), embedding.model.clone()));
            embeddings.push(NewEmbedding { embedding, summary: summary.clone(), operation });
        }
        puts.push(PutSong { song, mode: PutMode::Create, origin: None });
    }
    let references = library.backend.embeddings().put(&embeddings).await?;
    for ((at, model), reference) in positions.into_iter().zip(references) {
        let song = &mut puts[at].song;
        if song.embeddings.get(&model).is_some_and(|offered| offered.digest != reference.digest) {
            return Err(Error::new(
                ErrorKind::Guard,
                format_args!("somebody else embedded {} meanwhile", named(song.id)),
            ));
        }
        song.embeddings.insert(model, reference);
    }
    Ok(puts)
}

// Deletes those of the songs that are stored as they were added.
async fn take_back(library: &Library, added: &[(SongId, OperationId)]) -> Result<u64> {
    let mut deleted = 0;
    for added in added.chunks(library.backend.capabilities().batch.max(1)) {
        let ids: Vec<SongId> = added.iter().map(|(id, _)| *id).collect();
        let stored = library.each_song(&ids).await?;
        let deletes: Vec<DeleteSong> = added
            .iter()
            .zip(stored)
            .filter(|((_, operation), stored)| {
                matches!(stored, Ok(Some(song)) if song.revision.operation == *operation)
            })
            .map(|((id, operation), _)| DeleteSong {
                id: *id,
                version: Some(*operation),
                operation: OperationId::random(),
                at: now(),
                origin: None,
                leaving: None,
            })
            .collect();
        let outcomes = library.backend.songs().delete(&deletes).await?;
        deleted += outcomes.iter().filter(|outcome| outcome.is_done()).count() as u64;
    }
    Ok(deleted)
}
