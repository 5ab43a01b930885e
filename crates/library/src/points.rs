//! The vectors of a whole model, as one thing to ask for.

use std::sync::Arc;

use songrec_core::{Event, Filter, Hint, Job, ModelName, ModelSpec, Remedy, Scan, SongId, Work};
pub use songrec_local::MappedPoints;
use songrec_local::{NearOptions, OnNeighbors};
use songrec_storage::SongQuery;

use crate::{Error, Library, Result};

/// Songs whose embeddings are read at once from a library that is far away.
const READ: usize = 500;
/// Songs that one request to such a library reads.
const REQUEST: u64 = 100;

/// The vectors of every song that a model embedded: what near duplicates, clusters
/// and maps are made of.
///
/// Those of a local library are read where they are. Those of one that is far
/// away lie in files of this machine until this is dropped. In memory are only
/// the rows that are asked for.
#[derive(Clone, Debug)]
pub struct Points {
    spec: ModelSpec,
    points: songrec_local::Points,
}

/// The vectors of the songs that pass `filter`, by `model`, or by the one that
/// searches use.
///
/// From a local library this takes no time. From one that is far away they are
/// read page by page, a hundred in a request; the job reports how many requests
/// that takes before. Nothing if the job was interrupted.
///
/// # Errors
///
/// When no song was embedded by the model, or the library cannot be read.
pub async fn points(
    library: &Library,
    model: Option<&ModelName>,
    filter: &Filter,
    job: &Job,
) -> Result<Option<Points>> {
    let name = match model {
        Some(model) => model.clone(),
        None => library.search_model().await?,
    };
    let models = library.backend().embeddings().models().await?;
    let Some(spec) = models.into_iter().find(|spec| spec.name == name) else {
        return Err(no_vectors(library, &name).await?);
    };
    let points = match &library.local {
        Some(local) => Some(local.points(&name, filter).await?),
        None => read(library, &spec, filter, job).await?,
    };
    Ok(points.map(|points| Points { spec, points }))
}

async fn no_vectors(library: &Library, name: &ModelName) -> Result<Error> {
    if library.backend().songs().count(&Filter::all()).await? == 0 {
        return Ok(Error::not_found("the library has no songs")
            .with_hint(Hint::of("{} takes in audio files", [Remedy::Scan(Scan::Files)])));
    }
    Ok(Error::not_found(format_args!("there is no model `{name}` here")).with_hint(Hint::of(
        "{} lists the models; {} names another one",
        [Remedy::Stats, Remedy::Model(None)],
    )))
}

impl Points {
    #[cfg(test)]
    pub(crate) const fn of(spec: ModelSpec, points: songrec_local::Points) -> Self {
        Self { spec, points }
    }

    /// The model whose vectors they are.
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The songs, in the order of their ids: 16 bytes of memory for each.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn ids(&self) -> Result<Vec<SongId>> {
        Ok(self.points.ids().await?)
    }

    /// The vectors of `songs`, in their order and bit for bit as the model gave
    /// them; nothing for songs that it did not embed. A caller that needs all of them
    /// asks for some thousands at a time.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn rows(&self, songs: &[SongId]) -> Result<Vec<Option<Vec<f32>>>> {
        Ok(self.points.rows(songs).await?)
    }

    /// All vectors as one table in memory, which is their file: nothing is copied. The
    /// file is read once, to compare it with its checksums.
    ///
    /// # Errors
    ///
    /// When the files cannot be read, or are damaged.
    pub async fn mapped(&self) -> Result<MappedPoints> {
        Ok(self.points.mapped().await?)
    }

    /// Tells `on_found` the `k` nearest neighbors of every song whose similarity
    /// is `threshold` or more, from any thread and in any order, in about the
    /// time of one search for each song. False if the job was interrupted.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn neighbors_of_all(
        &self,
        k: usize,
        threshold: Option<f64>,
        on_found: impl Fn(SongId, Vec<(SongId, f64)>) + Send + Sync + 'static,
        job: &Job,
    ) -> Result<bool> {
        let options = NearOptions { k, threshold, stop: job.interrupt.flag() };
        let on_found: OnNeighbors = Arc::new(move |song, neighbors| {
            let neighbors = neighbors.into_iter().map(|one| (one.song, one.similarity));
            on_found(song, neighbors.collect());
        });
        Ok(self.points.neighbors_of_all(&options, on_found, &*job.progress).await?)
    }
}

// The vectors of a library that is far away, brought here; nothing if that was
// interrupted.
async fn read(
    library: &Library,
    spec: &ModelSpec,
    filter: &Filter,
    job: &Job,
) -> Result<Option<songrec_local::Points>> {
    let (backend, name) = (library.backend(), &spec.name);
    let count = backend.songs().count(filter).await?;
    if library.is_remote() {
        let requests = count.div_ceil(READ as u64) + count.div_ceil(REQUEST);
        job.on(Event::Note {
            text: &format!(
                "reading the embeddings of {count} songs takes about {requests} requests, fewer \
                 if they were read before"
            ),
        });
    }
    let points = songrec_local::Points::create(&library.config().directories().cache, spec).await?;
    job.on(Event::started(Work::ReadingEmbeddings, Some(count)));
    let filter = filter.clone();
    let mut query = SongQuery { filter, limit: READ, ..SongQuery::default() };
    loop {
        if job.is_interrupted() {
            return Ok(None);
        }
        let page = backend.songs().find_summaries(&query).await?;
        let embedded = page.items.iter().filter(|summary| summary.models.contains(name));
        let ids: Vec<SongId> = embedded.map(|summary| summary.id).collect();
        let stored = backend.embeddings().get(name, &ids).await?;
        let embeddings = stored.into_iter().flatten().map(|stored| stored.embedding);
        points.put(embeddings.map(|one| (one.song, one.vector)).collect()).await?;
        for summary in &page.items {
            job.on(Event::Advanced { item: &summary.title, bytes: 0 });
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    job.on(Event::Finished);
    Ok(Some(points))
}
