//! The maps that were asked for last, with what is shown of their songs.

use std::sync::{Arc, Mutex, PoisonError};

use songrec_library::MapData;

/// So many maps are kept, and fewer where they have more songs together than [`SONGS`].
const KEPT: usize = 3;
/// Each takes some 250 bytes.
const SONGS: usize = 600_000;

/// By what a map is known, and the map.
type Known = (String, Arc<MapData>);

/// Maps in memory, the one that was used last in the end.
#[derive(Debug, Default)]
pub(crate) struct Maps(Mutex<Vec<Known>>);

impl Maps {
    /// The map that is known by this.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<MapData>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(of, _)| of == key)?;
        let used = known.remove(at);
        let map = used.1.clone();
        known.push(used);
        Some(map)
    }

    /// Keeps a map, in place of those that were not used for the longest.
    pub(crate) fn keep(&self, key: String, map: Arc<MapData>) {
        self.keep_within(SONGS, key, map);
    }

    // The last one is kept whatever its size: its songs are asked for page by page.
    fn keep_within(&self, songs: usize, key: String, map: Arc<MapData>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _)| *of != key);
        known.push((key, map));
        let all = |known: &[Known]| known.iter().map(|(_, map)| map.songs.len()).sum::<usize>();
        while known.len() > 1 && (known.len() > KEPT || all(&known) > songs) {
            known.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use songrec_library::{Map, MapMethod, Property};

    use super::*;

    fn of(songs: usize) -> Arc<MapData> {
        let map = Map {
            model: "random@1".parse().unwrap(),
            method: MapMethod::Pca,
            dims: 2,
            seed: 0,
            made_at: "2026-11-25T00:00:00Z".parse().unwrap(),
            trustworthiness: None,
            songs: Vec::new(),
            coordinates: Vec::new(),
            neighbors: Vec::new(),
            placed: 0,
        };
        let (color, library) = (Property::default(), String::new());
        Arc::new(MapData { map, color, library, songs: vec![None; songs], clusters: Vec::new() })
    }

    #[test]
    fn maps_of_many_songs_are_not_kept_together() {
        let maps = Maps::default();
        for (name, songs) in [("a", 4), ("b", 3), ("c", 3), ("d", 2)] {
            maps.keep_within(10, name.to_owned(), of(songs));
        }
        let kept = |names: [&str; 4]| names.map(|name| maps.get(name).is_some());
        assert_eq!(kept(["a", "b", "c", "d"]), [false, true, true, true], "three at the most");

        maps.get("b");
        maps.keep_within(10, "e".to_owned(), of(6));
        assert_eq!(kept(["b", "c", "d", "e"]), [true, false, false, true]);

        maps.keep_within(10, "f".to_owned(), of(100));
        assert_eq!(kept(["b", "d", "e", "f"]), [false, false, false, true]);
    }
}
