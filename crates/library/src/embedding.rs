//! Replacing and removing what models made of songs.

use serde::Serialize;
use songrec_core::{
    Embedding, Event, Filter, Job, ModelName, OperationId, Song, SongId, Vector, Work,
};
use songrec_storage::{
    NewEmbedding, Outcome, PutMode, PutSong, SegmentQuery, SongQuery, StorageBackendExt,
    WhichSegments,
};

use crate::{
    Error, ErrorKind, Library, Result, complete::summary_with, edit::update, library::named, now,
    similar::find_model,
};

/// Songs that are looked at together.
const PAGE: usize = 500;

/// What a library has of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelUse {
    /// The model.
    pub model: ModelName,
    /// How many songs it embedded.
    pub songs: u64,
}

/// What [`drop_model`] removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedModel {
    /// The model.
    pub model: ModelName,
    /// Songs that lost their vector.
    pub songs: u64,
    /// Windows of songs that are gone with them.
    pub windows: u64,
    /// Patterns whose features are of this model, which stay.
    pub patterns: u64,
    /// Whether the work was ended early; the next call goes on.
    pub interrupted: bool,
}

impl DroppedModel {
    /// Nothing yet.
    pub const fn none(model: ModelName) -> Self {
        Self { model, songs: 0, windows: 0, patterns: 0, interrupted: false }
    }
}

/// Gives a song this vector by `model` in place of the one that it has, if it has
/// one.
///
/// The song is without a vector for a moment, and stays so if the process ends
/// then. In a library that is shared, other machines keep the vector they have.
///
/// # Errors
///
/// `Usage`, before anything is written, for a model that the library does not know
/// and a vector that it refuses; `NotFound` if there is no such song.
pub async fn replace_embedding(
    library: &Library,
    id: SongId,
    model: &ModelName,
    vector: Vector,
) -> Result<()> {
    let spec = find_model(library, model.as_str()).await?;
    if let Some(why) = spec.refuses(&vector) {
        return Err(Error::usage(format_args!("this is no vector of `{model}`")).because(why));
    }
    let embedding = Embedding { song: id, model: model.clone(), vector };
    let wanted = embedding.reference().digest;
    let mut song = update(library, id, |song| {
        let other = song.embeddings.get(model).is_some_and(|one| one.digest != wanted);
        Ok(other && song.embeddings.remove(model).is_some())
    })
    .await?;
    if song.embeddings.contains_key(model) {
        return Ok(());
    }
    let summary = summary_with(&mut song, std::slice::from_ref(&embedding));
    let new = NewEmbedding { embedding, summary, operation: OperationId::random() };
    let stored = library.backend.embeddings().put(&[new]).await?.pop();
    let reference = stored.filter(|reference| reference.digest == wanted).ok_or_else(|| {
        Error::new(
            ErrorKind::Guard,
            format_args!("another vector of {} came in between", named(id)),
        )
        .with_hint("try again")
    })?;
    update(library, id, |song| {
        let is_free = !song.embeddings.contains_key(model);
        if is_free {
            song.embeddings.insert(model.clone(), reference.clone());
        }
        Ok(is_free)
    })
    .await?;
    Ok(())
}

/// Removes the vector of a song by `model`; says whether there was one. Its bytes
/// stay until `gc`.
///
/// # Errors
///
/// `NotFound` if there is no such song; those of the library.
pub async fn remove_embedding(library: &Library, id: SongId, model: &ModelName) -> Result<bool> {
    let had = library.backend.get_song(id).await?;
    let had = had.is_some_and(|song| song.embeddings.contains_key(model));
    update(library, id, |song| Ok(song.embeddings.remove(model).is_some())).await?;
    Ok(had)
}

/// How many songs a model embedded, for somebody who is about to drop it. The name
/// may lack its revision where only one model has it.
///
/// Looks at the summaries of all songs.
///
/// # Errors
///
/// `NotFound` if the library knows no such model.
pub async fn model_use(library: &Library, name: &str) -> Result<ModelUse> {
    let model = find_model(library, name).await?.name;
    let mut songs = 0;
    let mut pages = Pages::new();
    while let Some(ids) = pages.next(library, &model).await? {
        songs += ids.len() as u64;
    }
    Ok(ModelUse { model, songs })
}

/// Removes the vectors of all songs by `model`, and the windows that it embedded.
/// Patterns keep their features: somebody made them. The bytes stay until `gc`.
///
/// In a library that is shared the other side still has them, and the next sync
/// brings them back, unless they are dropped there as well. Interrupted, it has
/// dropped some; calling it again goes on. Costs two reads and two writes for each
/// batch of songs.
///
/// # Errors
///
/// `NotFound` if the library knows no such model; those of the library.
pub async fn drop_model(library: &Library, model: &ModelName, job: &Job) -> Result<DroppedModel> {
    find_model(library, model.as_str()).await?;
    library.may_write()?;
    let patterns = patterns_of(library, model).await?;
    let mut dropped = DroppedModel { patterns, ..DroppedModel::none(model.clone()) };
    job.on(Event::started(Work::RemovingVectors, None));
    let mut pages = Pages::new();
    while let Some(ids) = pages.next(library, model).await? {
        for ids in ids.chunks(library.backend.capabilities().batch.max(1)) {
            if job.is_interrupted() {
                dropped.interrupted = true;
                job.on(Event::Finished);
                return Ok(dropped);
            }
            dropped.windows += drop_windows(library, model, ids).await?;
            let of = drop_of(library, model, ids).await?;
            (0..of).for_each(|_| job.on(Event::Advanced { item: "", bytes: 0 }));
            dropped.songs += of;
        }
    }
    job.on(Event::Finished);
    Ok(dropped)
}

// The songs that a model embedded, a page at a time.
struct Pages(Option<SongQuery>);

impl Pages {
    fn new() -> Self {
        Self(Some(SongQuery { filter: Filter::all(), limit: PAGE, ..SongQuery::default() }))
    }

    async fn next(&mut self, library: &Library, model: &ModelName) -> Result<Option<Vec<SongId>>> {
        let Some(query) = self.0.take() else { return Ok(None) };
        let page = library.backend.songs().find_summaries(&query).await?;
        let embedded = page.items.iter().filter(|summary| summary.models.contains(model));
        let ids = embedded.map(|summary| summary.id).collect();
        self.0 = page.next.map(|next| SongQuery { after: Some(next), ..query });
        Ok(Some(ids))
    }
}

async fn patterns_of(library: &Library, model: &ModelName) -> Result<u64> {
    let query = SegmentQuery {
        model: Some(model.clone()),
        which: WhichSegments::Patterns,
        limit: usize::MAX,
        ..SegmentQuery::default()
    };
    Ok(library.backend.segments().find(&query).await?.len() as u64)
}

async fn drop_windows(library: &Library, model: &ModelName, songs: &[SongId]) -> Result<u64> {
    let query = SegmentQuery {
        songs: songs.to_vec(),
        model: Some(model.clone()),
        which: WhichSegments::Windows,
        limit: usize::MAX,
        ..SegmentQuery::default()
    };
    let found = library.backend.segments().find(&query).await?;
    let ids: Vec<_> = found.iter().map(|segment| segment.id).collect();
    let deleted = library.backend.segments().delete(&ids).await?;
    Ok(deleted.into_iter().filter(|was_there| *was_there).count() as u64)
}

async fn drop_of(library: &Library, model: &ModelName, ids: &[SongId]) -> Result<u64> {
    let stored = library.each_song(ids).await?;
    // One that is damaged names nothing that a search would find.
    let stored = stored.into_iter().filter_map(|song| song.ok().flatten());
    let puts: Vec<PutSong> = stored.filter_map(|song| without(model, &song)).collect();
    let mut dropped = 0;
    for (put, outcome) in puts.iter().zip(library.backend.songs().put(&puts).await?) {
        match outcome {
            Outcome::Done => dropped += 1,
            Outcome::Conflict(None) => {}
            Outcome::Conflict(Some(_)) => {
                dropped += u64::from(remove_embedding(library, put.song.id, model).await?);
            }
        }
    }
    Ok(dropped)
}

// The write that takes the model's vector from a song, if it has one.
fn without(model: &ModelName, stored: &Song) -> Option<PutSong> {
    let mut song = stored.clone();
    song.embeddings.remove(model)?;
    song.revise(stored, now());
    Some(PutSong { song, mode: PutMode::Replace(stored.revision.operation), origin: None })
}
