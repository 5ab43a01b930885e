//! Places for songs, by one of the methods.

use std::collections::HashMap;

use songrec_analysis::{self as analysis, Layout, Rows};
use songrec_core::{Job, SongId};

use super::{
    Map, MapMethod, MapOptions, NEIGHBORS, kept_neighbors,
    neighbors::{self, LOOKED_AT, Vectors},
};
use crate::{
    Result,
    sample::{Sample, analysis_failed},
};

/// Rows that t-SNE lays out at the most: it looks at all of them in each of its steps.
pub(super) const MOST_FOR_TSNE: usize = 50_000;
/// Those of t-SNE: three times its perplexity.
const FOR_TSNE: usize = 90;

/// Songs with places.
pub(super) struct Drawn {
    pub(super) songs: Vec<SongId>,
    pub(super) coordinates: Vec<f32>,
    pub(super) neighbors: Vec<u32>,
    pub(super) trustworthiness: Option<f64>,
}

/// How many neighbors of each of `rows` rows a method takes.
pub(super) fn neighbors_for(method: MapMethod, rows: usize) -> usize {
    let wanted = if method == MapMethod::Tsne { FOR_TSNE } else { LOOKED_AT };
    wanted.min(rows - 1).max(NEIGHBORS.min(rows - 1))
}

/// Gives the songs of `sample` places, turned and mirrored so that those of the `last` map
/// are where they were, as far as that goes. `known` are their neighbors where these were
/// found already, `vectors` those of the songs.
pub(super) fn draw(
    mut sample: Sample,
    vectors: &Vectors,
    known: Option<analysis::Graph>,
    options: &MapOptions,
    last: Option<&Map>,
    job: &Job,
) -> Result<Drawn> {
    let MapOptions { method, dims, seed, .. } = *options;
    let rows = sample.rows()?;
    let k = neighbors_for(method, rows.len());
    let graph = match known {
        Some(graph) => graph,
        None => neighbors::by_rows(&sample, vectors, k, seed, job)?,
    };
    let neighbors = kept_neighbors(&graph, rows.len());
    let mut layout = match method {
        MapMethod::Umap => {
            let asked = analysis::UmapOptions { dimensions: dims, seed, ..Default::default() };
            let start = analysis::umap_start(rows, &asked, job).map_err(analysis_failed)?;
            // Trust is measured on the vectors then.
            if sample.is_narrow() {
                sample.forget_rows();
            }
            analysis::umap_from(&start, graph, &asked, job)
        }
        MapMethod::Tsne => {
            let perplexity = (30.0f64).min(k as f64 / 3.0);
            let asked =
                analysis::TsneOptions { dimensions: dims, seed, perplexity, ..Default::default() };
            analysis::tsne(rows, &graph, &asked, job)
        }
        MapMethod::Pca => principal(rows, dims, job),
    }
    .map_err(analysis_failed)?;
    if let Some(last) = last.filter(|last| last.dims == dims) {
        layout = turn(&layout, &sample.ids, last)?;
    }
    let trustworthiness = match sample.len() > 2 * LOOKED_AT {
        true => Some(neighbors::trust(&sample, vectors, &layout, seed, job)?),
        false => None,
    };
    Ok(Drawn {
        songs: sample.ids,
        coordinates: layout.values().to_vec(),
        neighbors,
        trustworthiness,
    })
}

fn principal(rows: Rows<'_>, dims: usize, job: &Job) -> analysis::Result<Layout> {
    // Vectors of fewer values leave the other directions empty.
    let components = dims.min(rows.dimension()).min(rows.len());
    let projected = analysis::Pca::fit(rows, components, job)?.transform(rows)?;
    if components == dims {
        return Layout::new(projected, dims);
    }
    let wide = projected
        .chunks_exact(components)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, dims - components)));
    Layout::new(wide.collect(), dims)
}

fn turn(layout: &Layout, ids: &[SongId], last: &Map) -> Result<Layout> {
    let there: HashMap<SongId, usize> =
        last.songs.iter().enumerate().map(|(number, song)| (*song, number)).collect();
    let shared: Vec<(usize, usize)> = ids
        .iter()
        .enumerate()
        .filter_map(|(number, song)| Some((number, *there.get(song)?)))
        .collect();
    let last = Layout::new(last.coordinates.clone(), last.dims).map_err(analysis_failed)?;
    analysis::align(layout, &last, &shared).map_err(analysis_failed)
}
