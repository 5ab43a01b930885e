//! The library as a landscape: songs that sound alike lie together.

mod classes;
mod data;
mod draw;
mod kept;
mod neighbors;
mod page;
mod picture;
mod place;

use std::str::FromStr;

use serde::Serialize;
use songrec_analysis as analysis;
use songrec_core::{Event, Filter, Hint, Job, ModelName, Remedy, SongId, Timestamp};

pub use classes::{MapClass, NO_CLASS};
pub use data::{MapData, MapSong};
pub use page::MapFormat;

use crate::{
    Error, ErrorKind, Library, Points, Result, fresh, now,
    points::points,
    sample::{MOST_ON_MAP, Sample},
    work::on_cpu,
};

/// Neighbors of each song that a map keeps, to draw lines to.
const NEIGHBORS: usize = 10;
/// From this part of new songs on a map is better drawn again.
const MANY_NEW: f64 = 0.2;
/// Songs that a map needs.
const LEAST: usize = 5;

/// How songs get their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MapMethod {
    /// Uniform manifold approximation (McInnes, Healy and Melville 2018).
    #[default]
    Umap,
    /// t-distributed stochastic neighbor embedding (van der Maaten 2014).
    Tsne,
    /// The directions in which vectors differ most (Pearson 1901).
    Pca,
}

impl MapMethod {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Umap => "umap",
            Self::Tsne => "tsne",
            Self::Pca => "pca",
        }
    }
}

impl FromStr for MapMethod {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        [Self::Umap, Self::Tsne, Self::Pca]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| "expected `umap`, `tsne` or `pca`".to_owned())
    }
}

/// Which songs a map shows, and how they get their places.
#[derive(Clone, Debug)]
pub struct MapOptions {
    /// How.
    pub method: MapMethod,
    /// In 2 or 3 dimensions.
    pub dims: usize,
    /// The model; the one that searches use if it is not said.
    pub model: Option<ModelName>,
    /// Which songs.
    pub filter: Filter,
    /// What chance is drawn from.
    pub seed: u64,
    /// Whether all songs get new places, instead of the new songs alone.
    pub again: bool,
}

/// Places of songs.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The model whose vectors it was made of.
    pub model: ModelName,
    /// How.
    pub method: MapMethod,
    /// In how many dimensions.
    pub dims: usize,
    /// What chance was drawn from.
    pub seed: u64,
    /// When it was drawn; new songs may have come since.
    pub made_at: Timestamp,
    /// How far neighbors on the map are neighbors in truth, 0 to 1, at the 15 nearest
    /// (Venna and Kaski 2001).
    pub trustworthiness: Option<f64>,
    /// The songs.
    pub songs: Vec<SongId>,
    /// `dims` numbers for each.
    pub coordinates: Vec<f32>,
    /// For each song the numbers of its ten nearest in truth, the nearest first;
    /// `u32::MAX` for none.
    pub neighbors: Vec<u32>,
    /// How many songs were placed on it now, without moving the others.
    pub placed: usize,
}

/// The places of songs: those that are kept on this machine, with songs that came
/// since put where their neighbors are; or new ones, also where most songs are new.
///
/// A new map costs what [`points`](crate::points()) costs and the time of the method. Where
/// the vectors take more than 24 MB, they are not held in memory, but as many of the
/// directions in which they differ most as take 24 MB, at least 32, and at most 512 MB of
/// them. The neighbors of up to 200,000 songs are then found by a search for each; those of
/// more songs by these directions, and among twice as many as are wanted by the vectors.
/// Beyond 512 MB, and of vectors with more than 1,024 values, a sample gets places by the
/// method, and the others by their neighbors. A map that is kept costs a search for each new
/// song. Nothing if it was interrupted.
///
/// # Errors
///
/// When the library has too few songs; those of the library.
pub async fn map(library: &Library, options: &MapOptions, job: &Job) -> Result<Option<Map>> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => library.search_model().await?,
    };
    let state = fresh::state(library, job).await?;
    let name = kept::name(&model, options);
    let kept = kept::read(library, &name);
    let may_keep = !options.again && kept.as_ref().is_some_and(|map| map.seed == options.seed);
    let is_stable = !options.filter.names_groups();
    if may_keep && is_stable && fresh::is_fresh(library, &name, &state, &()) {
        return Ok(kept);
    }
    let Some(points) = points(library, Some(&model), &options.filter, job).await? else {
        return Ok(None);
    };
    let ids = points.ids().await?;
    if ids.len() < LEAST {
        return Err(too_few(ids.len(), options, &model));
    }
    let map = match kept {
        // Of a map that is mostly new songs nothing is left to recognise.
        Some(kept) if may_keep && count_new(&kept, &ids) <= kept.songs.len() => {
            place::extend(library, &points, kept, &ids, job).await?
        }
        last => draw(library, &points, &model, &ids, options, last, job).await?,
    };
    let Some(map) = map else { return Ok(None) };
    kept::write(library, &name, &map);
    fresh::keep(library, &name, &state, &());
    Ok(Some(map))
}

/// Whether the map of these options is kept and shows the library as it is, so that
/// [`map()`] costs next to nothing.
///
/// # Errors
///
/// Those of the library.
pub async fn is_map_kept(library: &Library, options: &MapOptions, job: &Job) -> Result<bool> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => library.search_model().await?,
    };
    let state = fresh::state(library, job).await?;
    let name = kept::name(&model, options);
    let is_stable = !options.again && !options.filter.names_groups();
    Ok(is_stable && fresh::is_fresh(library, &name, &state, &()))
}

fn count_new(map: &Map, ids: &[SongId]) -> usize {
    let known: std::collections::HashSet<&SongId> = map.songs.iter().collect();
    ids.iter().filter(|id| !known.contains(id)).count()
}

fn too_few(found: usize, options: &MapOptions, model: &ModelName) -> Error {
    let of = if options.filter.is_all() { "" } else { " that pass the filter" };
    let songs = if found == 1 { "is one song" } else { &format!("are {found} songs") };
    Error::not_found(format_args!(
        "a map needs {LEAST} songs; there {songs}{of} with a vector by `{model}`"
    ))
    .with_hint(Hint::of("{} embeds songs", [Remedy::Scan(songrec_core::Scan::Files)]))
}

async fn draw(
    library: &Library,
    points: &Points,
    model: &ModelName,
    ids: &[SongId],
    options: &MapOptions,
    last: Option<Map>,
    job: &Job,
) -> Result<Option<Map>> {
    let most = if options.method == MapMethod::Tsne { draw::MOST_FOR_TSNE } else { usize::MAX };
    let Some(sample) = Sample::read_narrow(points, most, MOST_ON_MAP, job).await? else {
        return Ok(None);
    };
    if sample.is_part() {
        let text = format!(
            "{} of {} songs are laid out, the others are put where their neighbors are",
            sample.len(),
            sample.of
        );
        job.on(Event::Note { text: &text });
    }
    let known = match sample.is_narrow() {
        true => {
            let k = draw::neighbors_for(options.method, sample.len());
            neighbors::by_index(points, &sample, k, job).await?
        }
        false => None,
    };
    if known.is_none() && sample.is_narrow() {
        let text = format!(
            "neighbors are looked for in the {} directions in which the vectors differ most, with \
             {:.0} % of their variance",
            sample.width(),
            100.0 * sample.variance
        );
        job.on(Event::Note { text: &text });
    }
    let (asked, vectors, there) = (options.clone(), neighbors::Vectors::new(points), job.clone());
    let drawn =
        on_cpu(None, move || draw::draw(sample, &vectors, known, &asked, last.as_ref(), &there));
    let drawn = match drawn.await.map_err(|why| Error::new(ErrorKind::Failed, why))? {
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
        drawn => drawn?,
    };
    let map = Map {
        model: model.clone(),
        method: options.method,
        dims: options.dims,
        seed: options.seed,
        made_at: now(),
        trustworthiness: drawn.trustworthiness,
        songs: drawn.songs,
        coordinates: drawn.coordinates,
        neighbors: drawn.neighbors,
        placed: 0,
    };
    if map.songs.len() == ids.len() {
        return Ok(Some(map));
    }
    let placed = place::extend(library, points, map, ids, job).await?;
    Ok(placed.map(|map| Map { placed: 0, ..map }))
}

impl Map {
    /// Whether so many songs were placed that it is better drawn again.
    pub fn is_old(&self) -> bool {
        self.placed as f64 > MANY_NEW * self.songs.len() as f64
    }

    /// The place of the song of this number.
    pub fn place(&self, number: usize) -> &[f32] {
        &self.coordinates[number * self.dims..][..self.dims]
    }

    /// The numbers of the nearest songs of a song, in truth.
    pub fn nearest(&self, number: usize) -> &[u32] {
        &self.neighbors[number * NEIGHBORS..][..NEIGHBORS]
    }
}

// So that the parts need not know where the number comes from.
const NONE: u32 = u32::MAX;

/// Which rows are near, with as many places for each row: what a map keeps.
fn kept_neighbors(graph: &analysis::Graph, rows: usize) -> Vec<u32> {
    let mut neighbors = Vec::with_capacity(rows * NEIGHBORS);
    for row in 0..rows {
        let own = graph.row(row).map(|(number, _)| number).chain(std::iter::repeat(NONE));
        neighbors.extend(own.take(NEIGHBORS));
    }
    neighbors
}
