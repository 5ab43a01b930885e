//! The songs that a request is about.

use songrec_core::{Filter, Song, SongId, SongSummary};
use songrec_storage::SongQuery;

use crate::{Library, Result};

/// Which songs are meant.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Those that pass.
    pub filter: Filter,
    /// Only those whose files are gone from this machine, or only the others.
    /// No library knows it: it is asked of the disk.
    pub missing: Option<bool>,
}

impl Selection {
    /// Whether every song is meant.
    pub fn is_all(&self) -> bool {
        self.filter.is_all() && self.missing.is_none()
    }
}

/// Songs of one page.
const PAGE: usize = 500;

/// The songs with these names, each once, as far as they are in `selection`;
/// where there are no names, all that are. Nothing if there are neither names
/// nor anything selected. All songs that are meant are in memory together.
///
/// # Errors
///
/// `NotFound` or `Usage` for a name that is nobody's or several songs'; those of
/// the library.
pub async fn select(
    library: &Library,
    names: &[String],
    selection: &Selection,
) -> Result<Vec<Song>> {
    let mut songs: Vec<Song> = Vec::new();
    for song in crate::find::songs(library, names).await? {
        if !songs.iter().any(|known| known.id == song.id) {
            songs.push(song);
        }
    }
    if selection.is_all() {
        return Ok(songs);
    }
    if !names.is_empty() {
        // Both narrow down: the named songs that pass.
        songs.retain(|song| selection.filter.passes(&SongSummary::of(song)));
        return present_or_missing(library, songs, selection.missing);
    }
    let filter = selection.filter.clone();
    let mut query = SongQuery { filter, limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend().songs().find(&query).await?;
        songs.extend(present_or_missing(library, page.items, selection.missing)?);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(songs),
        }
    }
}

/// How many songs are in `selection`. One request, unless it asks which files
/// are missing: then every song that passes is read.
///
/// # Errors
///
/// Those of the library.
pub async fn count(library: &Library, selection: &Selection) -> Result<u64> {
    Ok(match selection.missing {
        None => library.backend().songs().count(&selection.filter).await?,
        Some(_) => select(library, &[], selection).await?.len() as u64,
    })
}

/// Those of `songs` whose files are gone from this machine, or the others, or
/// all.
pub(super) fn present_or_missing(
    library: &Library,
    songs: Vec<Song>,
    missing: Option<bool>,
) -> Result<Vec<Song>> {
    let Some(wanted) = missing else { return Ok(songs) };
    let gone = crate::remove::are_missing(library, &songs)?;
    Ok(songs
        .into_iter()
        .zip(gone)
        .filter(|(_, gone)| *gone == wanted)
        .map(|(song, _)| song)
        .collect())
}

/// What lists show of the songs with these ids; those that are not there are
/// left out.
///
/// # Errors
///
/// Those of the library.
pub async fn summaries(library: &Library, ids: &[SongId]) -> Result<Vec<SongSummary>> {
    let songs = library.backend().songs().get(ids).await?;
    Ok(songs.iter().flatten().map(SongSummary::of).collect())
}

/// What `missing:yes` and the like ask for; nothing for other filters, which ask what
/// is known of songs, and not this machine's disks.
pub fn asks_for_missing(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let body = text.strip_prefix(['-', '!']).unwrap_or(&text);
    let wanted = match body.strip_prefix("missing:")? {
        "yes" | "true" => true,
        "no" | "false" => false,
        _ => return None,
    };
    Some(wanted == (body.len() == text.len()))
}
