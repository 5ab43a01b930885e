//! The map that this machine keeps of a library.

use std::fs;

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, ModelName, SongId, Timestamp};

use super::{Map, MapMethod, MapOptions, NEIGHBORS};
use crate::{Library, fresh};

/// What stands before the numbers, as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    model: ModelName,
    method: String,
    dims: usize,
    seed: u64,
    made_at: Timestamp,
    trustworthiness: Option<f64>,
    songs: usize,
}

/// What the map of such a request is called: one for each, whatever its seed.
pub(super) fn name(model: &ModelName, options: &MapOptions) -> String {
    let terms: Vec<String> = options.filter.terms.iter().map(ToString::to_string).collect();
    let request = format!("{model} {} {} {terms:?}", options.method.as_str(), options.dims);
    format!("map-{}", &Digest::of(request.as_bytes()).to_string()[..16])
}

/// The map, if it is there and whole.
pub(super) fn read(library: &Library, name: &str) -> Option<Map> {
    let bytes = fs::read(fresh::file(library, name)).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let method: MapMethod = head.method.parse().ok()?;
    let (songs, dims) = (head.songs, head.dims);
    let wanted = songs.checked_mul(16 + 4 * (dims + NEIGHBORS))?;
    let rest = &bytes[end + 1..];
    if rest.len() != wanted || !(2..=3).contains(&dims) {
        return None;
    }
    let (ids, rest) = rest.split_at(songs * 16);
    let (coordinates, neighbors) = rest.split_at(songs * dims * 4);
    let map = Map {
        model: head.model,
        method,
        dims,
        seed: head.seed,
        made_at: head.made_at,
        trustworthiness: head.trustworthiness,
        songs: ids.as_chunks::<16>().0.iter().map(|id| SongId::from_bytes(*id)).collect(),
        coordinates: coordinates
            .as_chunks::<4>()
            .0
            .iter()
            .map(|n| f32::from_le_bytes(*n))
            .collect(),
        neighbors: neighbors.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect(),
        placed: 0,
    };
    map.coordinates.iter().all(|value| value.is_finite()).then_some(map)
}

/// Keeps a map.
pub(super) fn write(library: &Library, name: &str, map: &Map) {
    let head = Head {
        model: map.model.clone(),
        method: map.method.as_str().to_owned(),
        dims: map.dims,
        seed: map.seed,
        made_at: map.made_at,
        trustworthiness: map.trustworthiness,
        songs: map.songs.len(),
    };
    let Ok(mut bytes) = serde_json::to_vec(&head) else { return };
    bytes.push(b'\n');
    map.songs.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
    map.coordinates.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    map.neighbors.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    fresh::write(&fresh::file(library, name), &bytes);
}
