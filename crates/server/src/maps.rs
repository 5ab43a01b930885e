//! The maps that were asked for last, with what is shown of their songs.

use std::sync::{Arc, Mutex, PoisonError};

use songrec_library::MapData;

/// So many maps are kept: each has some 250 bytes a song.
const KEPT: usize = 3;

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

    /// Keeps a map, in place of the one that was not used for the longest.
    pub(crate) fn keep(&self, key: String, map: Arc<MapData>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _)| *of != key);
        if known.len() == KEPT {
            known.remove(0);
        }
        known.push((key, map));
    }
}
