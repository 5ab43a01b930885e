//! Recordings that are there more than once.

use serde::Serialize;
use songrec_core::{Filter, SongSummary};
use songrec_storage::SongQuery;

use crate::{Library, Result};

/// One recording with all the files that hold it.
#[derive(Clone, Debug, Serialize)]
pub struct Duplicates {
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
    /// Its files, by path.
    pub files: Vec<DuplicateFile>,
    /// What could be saved by keeping one of them, in bytes.
    pub wasted: u64,
}

/// One of several files with the same audio.
#[derive(Clone, Debug, Serialize)]
pub struct DuplicateFile {
    /// The path.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Whether the whole file equals the first one, tags included.
    pub identical: bool,
}

/// Every song with more than one file, reported one by one. Reads every song,
/// a page at a time; no audio.
///
/// # Errors
///
/// The backend's own.
pub async fn duplicates(
    library: &Library,
    filter: &Filter,
    mut on_found: impl FnMut(Duplicates) + Send,
) -> Result<u64> {
    let mut query = SongQuery { filter: filter.clone(), limit: 500, ..SongQuery::default() };
    let mut found = 0;
    loop {
        let page = library.backend.songs().find(&query).await?;
        for song in page.items.iter().filter(|song| song.files.len() > 1) {
            found += 1;
            let first = song.files[0].sha256;
            on_found(Duplicates {
                summary: SongSummary::of(song),
                wasted: song.files[1..].iter().map(|file| file.size).sum(),
                files: song
                    .files
                    .iter()
                    .map(|file| DuplicateFile {
                        path: file.path.clone(),
                        size: file.size,
                        identical: file.sha256 == first,
                    })
                    .collect(),
            });
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}
