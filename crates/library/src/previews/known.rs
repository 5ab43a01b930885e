//! Which tracks a library has already.

use std::collections::BTreeMap;

use songrec_core::{Filter, SongId, Term, Test, WordField, words};
use songrec_storage::{Lookup, SongQuery};

use super::PreviewTrack;
use crate::{Library, Result};

/// Tracks that are looked for in one question.
const TRACKS: usize = 50;
/// Songs that are read at once.
const PAGE: usize = 100;

/// The songs of a library that are these tracks, by the tracks' ids: songs that say so in
/// `extra.track_id` and, for other services than `itunes`, `extra.preview_service`.
///
/// Asked for are the songs that have the title of a track or its id in a path, and not all
/// songs of the library. So a song is not found if a person gave it another title and its
/// file another name.
///
/// # Errors
///
/// Those of the library.
pub async fn known_previews(
    library: &Library,
    tracks: &[PreviewTrack],
) -> Result<BTreeMap<String, SongId>> {
    let mut known = BTreeMap::new();
    for tracks in tracks.chunks(TRACKS) {
        let titles: Vec<Lookup> = tracks
            .iter()
            .filter(|track| !track.title.is_empty())
            .map(|track| Lookup::Title(track.title.clone()))
            .collect();
        let mut ids = library.backend.songs().lookup(&titles).await?.concat();
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(PAGE) {
            for song in library.each_song(ids).await?.into_iter().flatten().flatten() {
                let is_it = |track: &&PreviewTrack| track.is_of(&song);
                known.extend(tracks.iter().find(is_it).map(|track| (track.id.clone(), song.id)));
            }
        }
        let left = tracks.iter().filter(|track| !known.contains_key(&track.id));
        let paths: Vec<Vec<String>> = left.map(|track| words(&track.id)).collect();
        if paths.is_empty() {
            continue;
        }
        let test = Test::Words(WordField::Path, paths);
        let filter = Filter { terms: vec![Term { negated: false, test }] };
        let mut query = SongQuery { filter, limit: PAGE, ..SongQuery::default() };
        loop {
            let page = library.backend.songs().find(&query).await?;
            for song in page.items {
                let is_it = |track: &&PreviewTrack| track.is_of(&song);
                known.extend(tracks.iter().find(is_it).map(|track| (track.id.clone(), song.id)));
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    Ok(known)
}
