//! New songs on a map that stays as it is.

use std::collections::HashMap;

use songrec_analysis as analysis;
use songrec_core::{Event, Job, SongId, Vector, Work};
use songrec_storage::{NearestQuery, StorageBackendExt};

use super::{Map, NEIGHBORS, NONE};
use crate::{Library, Points, Result, sample::analysis_failed};

/// Neighbors by which a song is placed, as many as UMAP takes for its graph.
const BY: usize = 15;
/// Vectors that are read at once.
const READ: usize = 1_000;

/// The map with the songs `ids` and no others; those that it lacks are put where their
/// nearest songs on it are. One search for each of them; nothing if it was interrupted.
pub(super) async fn extend(
    library: &Library,
    points: &Points,
    map: Map,
    ids: &[SongId],
    job: &Job,
) -> Result<Option<Map>> {
    let mut map = without_gone(map, ids);
    let numbers: HashMap<SongId, u32> =
        map.songs.iter().zip(0..).map(|(song, number)| (*song, number)).collect();
    let new: Vec<SongId> = ids.iter().filter(|id| !numbers.contains_key(id)).copied().collect();
    if new.is_empty() || map.songs.is_empty() {
        return Ok(Some(map));
    }
    job.on(Event::started(Work::PlacingNewSongs, Some(new.len() as u64)));
    let fixed = map.songs.len();
    let mut graph = analysis::Graph { k: BY, neighbors: Vec::new(), distances: Vec::new() };
    let mut placed = Vec::new();
    for ids in new.chunks(READ) {
        let rows = points.rows(ids).await?;
        for (id, row) in ids.iter().zip(rows) {
            if job.is_interrupted() {
                return Ok(None);
            }
            job.on(Event::Advanced { item: "", bytes: 0 });
            let Some(vector) = row.and_then(|row| Vector::new(row).ok()) else { continue };
            let near = near(library, &map, &numbers, *id, vector).await?;
            // One that is near to nothing that is on the map has no place on it.
            let Some(last) = near.last().copied() else { continue };
            let filled = near.into_iter().chain(std::iter::repeat(last)).take(BY);
            let mut own: Vec<u32> = Vec::with_capacity(BY);
            for (number, distance) in filled {
                own.push(number);
                graph.neighbors.push(number);
                graph.distances.push(distance);
            }
            own.dedup();
            own.resize(NEIGHBORS, NONE);
            map.neighbors.extend(own);
            placed.push(*id);
        }
    }
    job.on(Event::Finished);
    if placed.is_empty() {
        return Ok(Some(map));
    }
    let layout = map.coordinates[..fixed * map.dims].to_vec();
    let asked = analysis::UmapOptions { seed: map.seed, ..Default::default() };
    let coordinates = analysis::Layout::new(layout, map.dims)
        .and_then(|layout| analysis::place(&layout, &graph, &asked, job));
    let coordinates = match coordinates {
        Err(analysis::Error::Interrupted) => return Ok(None),
        coordinates => coordinates.map_err(analysis_failed)?,
    };
    map.coordinates.extend_from_slice(coordinates.values());
    map.placed = placed.len();
    map.songs.extend(placed);
    Ok(Some(map))
}

// The nearest songs that are on the map, the nearest first.
async fn near(
    library: &Library,
    map: &Map,
    numbers: &HashMap<SongId, u32>,
    id: SongId,
    vector: Vector,
) -> Result<Vec<(u32, f32)>> {
    // Other new songs are no places to go by.
    let mut k = 2 * BY;
    loop {
        let mut query = NearestQuery::new(map.model.clone(), vector.clone(), k);
        query.exclude.push(id);
        let found = library.backend().nearest_songs(&query).await?;
        let is_all = found.len() < k;
        let on_map: Vec<(u32, f32)> = found
            .iter()
            .filter_map(|(near, _)| Some((*numbers.get(&near.song)?, near.distance as f32)))
            .take(BY)
            .collect();
        if on_map.len() == BY || is_all || k > 2_000 {
            return Ok(on_map);
        }
        k *= 4;
    }
}

fn without_gone(map: Map, ids: &[SongId]) -> Map {
    let stays: Vec<bool> = map.songs.iter().map(|song| ids.binary_search(song).is_ok()).collect();
    if stays.iter().all(|stays| *stays) {
        return map;
    }
    let mut next = 0;
    let numbers: Vec<u32> = stays
        .iter()
        .map(|stays| {
            let number = if *stays { next } else { NONE };
            next += u32::from(*stays);
            number
        })
        .collect();
    let of_those = |width: usize| {
        let stays = &stays;
        move |at: &usize| stays[at / width]
    };
    let renumbered = |old: u32| numbers.get(old as usize).copied().unwrap_or(NONE);
    let coordinates = (0..map.coordinates.len()).filter(of_those(map.dims));
    let neighbors = (0..map.neighbors.len()).filter(of_those(NEIGHBORS));
    Map {
        coordinates: coordinates.map(|at| map.coordinates[at]).collect(),
        neighbors: neighbors.map(|at| renumbered(map.neighbors[at])).collect(),
        songs: map
            .songs
            .iter()
            .zip(&stays)
            .filter(|(_, stays)| **stays)
            .map(|(song, _)| *song)
            .collect(),
        ..map
    }
}

#[cfg(test)]
mod tests {
    use songrec_core::Timestamp;

    use super::*;
    use crate::map::MapMethod;

    #[test]
    fn songs_that_are_gone_leave_no_trace() {
        let id = |number: u8| SongId::from_bytes([number; 16]);
        let mut neighbors = vec![NONE; 3 * NEIGHBORS];
        (neighbors[0], neighbors[1]) = (1, 2);
        neighbors[2 * NEIGHBORS] = 0;
        let map = Map {
            model: "random@1".parse().unwrap(),
            method: MapMethod::Umap,
            dims: 2,
            seed: 0,
            made_at: Timestamp::UNIX_EPOCH,
            trustworthiness: None,
            songs: vec![id(1), id(2), id(3)],
            coordinates: vec![1.0, 1.5, 2.0, 2.5, 3.0, 3.5],
            neighbors,
            placed: 0,
        };

        let map = without_gone(map, &[id(1), id(3), id(4)]);

        assert_eq!(map.songs, [id(1), id(3)]);
        assert_eq!(map.coordinates, [1.0, 1.5, 3.0, 3.5]);
        assert_eq!((map.nearest(0)[..2].to_vec(), map.nearest(1)[0]), (vec![NONE, 1], 0));
    }
}
