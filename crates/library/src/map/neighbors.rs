//! The neighbors of the songs of a map, where their vectors are too many for memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use songrec_analysis::{self as analysis, Layout};
use songrec_core::{Job, Metric, SongId};
use tokio::runtime::Handle;

use crate::{
    Points, Result,
    sample::{MOST_ON_MAP, Sample, analysis_failed, prepared, rows_of},
};

/// Neighbors that UMAP and the measure of trust look at.
pub(super) const LOOKED_AT: usize = 15;
/// Up to so many songs the index finds their neighbors. It looks at all vectors where they
/// form no clusters, which takes a minute for so many, and grows with the square.
const MOST_BY_INDEX: usize = 200_000;
/// Rows of fewer values than the vectors give so many times the neighbors that are wanted,
/// among which the vectors choose.
const CHOICE: usize = 2;
/// Sums that a processor adds to at once.
const LANES: usize = 16;

/// The `k` nearest of each row of `sample`, as the index of the vectors finds them, in the
/// memory of the answer. Nothing where the index does not serve: where it was interrupted,
/// songs are too many, or nearness is no angle.
pub(super) async fn by_index(
    points: &Points,
    sample: &Sample,
    k: usize,
    job: &Job,
) -> Result<Option<analysis::Graph>> {
    let serves = sample.spec.metric == Metric::Cosine && !sample.is_part();
    if !serves || sample.len() > MOST_BY_INDEX {
        return Ok(None);
    }
    let rows = sample.len();
    let graph = analysis::Graph {
        k,
        neighbors: vec![u32::MAX; rows * k],
        distances: vec![f32::INFINITY; rows * k],
    };
    let (found, numbers) = (Arc::new(Mutex::new(graph)), Arc::new(sample.ids.clone()));
    let filled = Arc::clone(&found);
    let on_found = move |song: SongId, near: Vec<(SongId, f64)>| {
        let number = |song: &SongId| numbers.binary_search(song).ok();
        let Some(row) = number(&song) else { return };
        let own: Vec<(u32, f32)> = near
            .iter()
            .filter_map(|(song, cosine)| Some((number(song)? as u32, chord(*cosine))))
            .collect();
        // Where some went meanwhile, the last one stands for them.
        let Some(last) = own.last().copied() else { return };
        let mut graph = filled.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, (neighbor, distance)) in
            own.into_iter().chain(std::iter::repeat(last)).take(k).enumerate()
        {
            graph.neighbors[row * k + i] = neighbor;
            graph.distances[row * k + i] = distance;
        }
    };
    if !points.neighbors_of_all(k, None, on_found, job).await? {
        return Ok(None);
    }
    let graph = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    // A song without any neighbor went, or came, while they were looked for.
    Ok((!graph.neighbors.contains(&u32::MAX)).then_some(graph))
}

/// How far two directions are from each other, as points at a distance of one.
fn chord(cosine: f64) -> f32 {
    (2.0 - 2.0 * cosine).max(0.0).sqrt() as f32
}

/// The vectors themselves, for work that blocks.
pub(super) struct Vectors {
    points: Points,
    runtime: Handle,
}

impl Vectors {
    /// Read on the runtime that this is called on.
    pub(super) fn new(points: &Points) -> Self {
        Self { points: points.clone(), runtime: Handle::current() }
    }

    // The songs of these that have a vector, and the vectors.
    fn of(&self, songs: &[SongId]) -> Result<(Vec<SongId>, Vec<f32>)> {
        self.runtime.block_on(prepared(&self.points, songs))
    }
}

/// The `k` nearest of each row of a sample. Where the rows are less than the vectors, they
/// only say which might be the nearest.
pub(super) fn by_rows(
    sample: &Sample,
    vectors: &Vectors,
    k: usize,
    seed: u64,
    job: &Job,
) -> Result<analysis::Graph> {
    let rows = sample.rows()?;
    let looked_at = if sample.is_narrow() { (CHOICE * k).min(rows.len() - 1) } else { k };
    let asked = analysis::GraphOptions { k: looked_at, seed, ..Default::default() };
    if !sample.is_narrow() {
        return analysis::Graph::new(rows, &asked, job).map_err(analysis_failed);
    }
    let failed = OnceLock::new();
    let choose = |rows: &[u32], graph: analysis::Graph| {
        let chosen = nearest_in_truth(sample, vectors, &graph, rows, k);
        chosen.map_err(|error| failed.set(error)).ok()
    };
    let graph = analysis::Graph::chosen(rows, &asked, k, choose, job);
    match failed.into_inner() {
        Some(error) => Err(error),
        None => graph.map_err(analysis_failed),
    }
}

// The graph of some rows with the `k` nearest of each, among its neighbors in theirs.
fn nearest_in_truth(
    sample: &Sample,
    vectors: &Vectors,
    graph: &analysis::Graph,
    rows: &[u32],
    k: usize,
) -> Result<analysis::Graph> {
    let mut numbers: Vec<u32> = rows.iter().chain(&graph.neighbors).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let songs: Vec<SongId> = numbers.iter().map(|&number| sample.ids[number as usize]).collect();
    let (found, values) = vectors.of(&songs)?;
    let known: HashMap<SongId, &[f32]> =
        found.into_iter().zip(values.chunks_exact(sample.spec.dimension)).collect();
    let vector = |number: u32| known.get(&sample.ids[number as usize]);
    let mut nearest = analysis::Graph { k, ..Default::default() };
    for (at, &number) in rows.iter().enumerate() {
        let mut near: Vec<(u32, f32)> = graph
            .row(at)
            .map(|(neighbor, distance)| match (vector(number), vector(neighbor)) {
                (Some(here), Some(there)) => (neighbor, length(here, there)),
                // It was deleted meanwhile, and goes from the map by the next time.
                _ => (neighbor, distance),
            })
            .collect();
        near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        for (neighbor, distance) in near.into_iter().take(k) {
            nearest.neighbors.push(neighbor);
            nearest.distances.push(distance);
        }
    }
    Ok(nearest)
}

fn length(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f32>().sqrt()
}

/// How far neighbors in `layout` are neighbors in truth, measured on the vectors themselves;
/// where they are too many, on as many that are evenly spread.
pub(super) fn trust(
    sample: &Sample,
    vectors: &Vectors,
    layout: &Layout,
    seed: u64,
    job: &Job,
) -> Result<f64> {
    let asked = analysis::TrustworthinessOptions { k: LOOKED_AT, seed, ..Default::default() };
    if !sample.is_narrow() {
        return analysis::trustworthiness(sample.rows()?, layout, &asked, job)
            .map_err(analysis_failed);
    }
    let dimension = sample.spec.dimension;
    let count = sample.len().min(MOST_ON_MAP / dimension);
    let spread = (0..count).map(|i| i * sample.len() / count);
    let numbers: HashMap<SongId, usize> = spread.map(|at| (sample.ids[at], at)).collect();
    let mut songs: Vec<SongId> = numbers.keys().copied().collect();
    songs.sort_unstable();
    let (found, values) = vectors.of(&songs)?;
    let places = found.iter().flat_map(|song| layout.place(numbers[song])).copied().collect();
    let layout = Layout::new(places, layout.dimensions()).map_err(analysis_failed)?;
    let rows = rows_of(&values, dimension, &found)?;
    analysis::trustworthiness(rows, &layout, &asked, job).map_err(analysis_failed)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use songrec_core::{ModelSpec, Vector};

    use super::*;

    const SONGS: usize = 400;
    const DIMENSION: usize = 96;
    /// Directions in which the vectors differ but for a little noise.
    const RANK: usize = 12;
    const K: usize = 10;

    /// Vectors near a space of few dimensions, as those of models are.
    async fn points(folder: &std::path::Path, metric: Metric) -> Points {
        let name = "random@1".parse().unwrap();
        let spec = ModelSpec { name, dimension: DIMENSION, metric, description: String::new() };
        let points = songrec_local::Points::create(folder, &spec).await.unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let mut random = move || rng.random_range(-1.0..1.0_f32);
        let axes: Vec<Vec<f32>> =
            (0..RANK).map(|_| (0..DIMENSION).map(|_| random()).collect()).collect();
        let vectors = (0..SONGS).map(|number| {
            let mut values: Vec<f32> = (0..DIMENSION).map(|_| 0.05 * random()).collect();
            for axis in &axes {
                let part = random();
                values.iter_mut().zip(axis).for_each(|(value, axis)| *value += part * axis);
            }
            let id = (number as u128 * 0x9e37_79b9_7f4a_7c15).to_be_bytes();
            (SongId::from_bytes(id), Vector::new(values).unwrap())
        });
        points.put(vectors.collect()).await.unwrap();
        Points::of(spec, points)
    }

    fn job() -> Job {
        Job::silent()
    }

    async fn whole(points: &Points) -> analysis::Graph {
        let sample = Sample::read(points, usize::MAX, &job()).await.unwrap().unwrap();
        by_rows(&sample, &Vectors::new(points), K, 0, &job()).unwrap()
    }

    fn same(a: &analysis::Graph, b: &analysis::Graph) -> f64 {
        let rows = a.neighbors.chunks(a.k).zip(b.neighbors.chunks(b.k));
        let same: usize =
            rows.map(|(a, b)| a.iter().filter(|number| b.contains(number)).count()).sum();
        same as f64 / a.neighbors.len() as f64
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_gives_the_neighbors_and_distances_of_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let points = points(folder.path(), Metric::Cosine).await;
        let sample = Sample::read(&points, usize::MAX, &job()).await.unwrap().unwrap();

        let graph = by_index(&points, &sample, K, &job()).await.unwrap().unwrap();

        let whole = whole(&points).await;
        assert!(same(&graph, &whole) > 0.999, "{}", same(&graph, &whole));
        for (a, b) in graph.distances.iter().zip(&whole.distances) {
            assert!((a - b).abs() < 1e-3, "{a} for {b}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_is_not_asked_for_other_distances() {
        let folder = tempfile::tempdir().unwrap();
        let points = points(folder.path(), Metric::Euclidean).await;
        let sample = Sample::read(&points, usize::MAX, &job()).await.unwrap().unwrap();

        assert!(by_index(&points, &sample, K, &job()).await.unwrap().is_none());
    }

    /// The directions only say which may be near: which are, and how near, is of the vectors.
    #[tokio::test(flavor = "multi_thread")]
    async fn neighbors_by_few_directions_are_those_of_the_vectors() {
        let folder = tempfile::tempdir().unwrap();
        let points = points(folder.path(), Metric::Cosine).await;
        let narrow =
            Sample::read_narrow(&points, usize::MAX, 40 * SONGS, &job()).await.unwrap().unwrap();
        assert!(narrow.is_narrow() && narrow.width() == 40, "{}", narrow.width());
        assert!((0.9..1.0).contains(&narrow.variance), "{}", narrow.variance);

        let graph = by_rows(&narrow, &Vectors::new(&points), K, 0, &job()).unwrap();

        let whole = whole(&points).await;
        assert!(same(&graph, &whole) > 0.99, "{}", same(&graph, &whole));
        let equal = graph.distances.iter().zip(&whole.distances);
        let equal = equal.filter(|(a, b)| (*a - *b).abs() < 1e-4).count();
        assert!(equal as f64 > 0.98 * graph.distances.len() as f64, "{equal}");
    }
}
