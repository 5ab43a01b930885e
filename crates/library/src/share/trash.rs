//! Deleted songs: which there are, bringing them back, and forgetting them for good.

use std::time::Duration;

use songrec_core::{Hint, Remedy, Song, SongId, SongSummary, Timestamp};
use songrec_sync::{Emptied, Trashed};

use crate::{Error, Library, Result, now};

/// The deleted songs that can be restored, those deleted last first. Looks at
/// all that ever changed.
///
/// # Errors
///
/// Those of the library.
pub async fn trash(library: &Library) -> Result<Vec<Trashed>> {
    Ok(songrec_sync::trash(library.backend()).await?)
}

/// What [`restore`] brought back.
#[derive(Debug, Default)]
pub struct Restored {
    /// The songs that are back.
    pub songs: Vec<SongId>,
    /// How many deleted songs were meant.
    pub meant: usize,
    /// The names of songs that are there already: a restore that was cut off
    /// can be done again.
    pub there_already: Vec<String>,
}

impl Restored {
    /// Whether every song that was meant is back.
    pub fn is_complete(&self) -> bool {
        self.songs.len() == self.meant
    }
}

/// Brings back the deleted songs that `names` mean: by id, the beginning of
/// one, or title. Nothing is restored if one of the names is wrong.
///
/// # Errors
///
/// `NotFound` for a name that is no deleted song's, `Usage` for one that may be
/// several songs'; those of the library.
pub async fn restore(library: &Library, names: &[String]) -> Result<Restored> {
    let trashed = trash(library).await?;
    let mut restored = Restored::default();
    let mut ids: Vec<SongId> = Vec::new();
    for name in names {
        match find(&trashed, name) {
            Ok(id) => ids.push(id),
            Err(error) => match there(library, name).await {
                Some(song) => {
                    crate::edit::write_again(library, &[song]).await?;
                    restored.there_already.push(name.clone());
                }
                None => return Err(error),
            },
        }
    }
    restored.meant = ids.len();
    restored.songs = songrec_sync::restore(library.backend(), &ids, now()).await?;
    Ok(restored)
}

/// The deleted song that `name` means, and when it was deleted, where that is
/// still known. Looks at all that ever changed.
///
/// # Errors
///
/// Those of the library.
pub async fn deleted_song(
    library: &Library,
    name: &str,
) -> Result<Option<(Song, Option<Timestamp>)>> {
    let Some(song) = crate::remove::forgotten(library, &[name.to_owned()]).await?.pop().flatten()
    else {
        return Ok(None);
    };
    let trashed = trash(library).await?;
    let deleted_at = trashed.iter().find(|one| one.song == song.id).map(|one| one.deleted_at);
    Ok(Some((song, deleted_at)))
}

/// Forgets deleted songs for good that were deleted at least `older_than` ago; see
/// [`Emptied`] for those that stay. With `dry_run`, only counts.
///
/// # Errors
///
/// Those of the library.
pub async fn empty_trash(
    library: &Library,
    older_than: Duration,
    dry_run: bool,
) -> Result<Emptied> {
    // Before all times, for what is older than anything can be.
    let until = now().checked_sub(older_than).unwrap_or(Timestamp::MIN);
    let emptied = songrec_sync::empty_trash(library.backend(), until, dry_run).await?;
    if emptied.emptied > 0 && !dry_run {
        // No change lists these songs any more: the next scan asks for its files.
        crate::scan::known_files(library)?.doubt()?;
    }
    Ok(emptied)
}

// The deleted song that a person means.
fn find(trashed: &[Trashed], name: &str) -> Result<SongId> {
    let found: Vec<&Trashed> = trashed
        .iter()
        .filter(|one| one.song.to_string().starts_with(name) || one.title == name)
        .collect();
    match found.as_slice() {
        [one] => Ok(one.song),
        [] => Err(Error::not_found(format_args!("no deleted song is called `{name}`"))
            .with_hint(Hint::of("{} lists those that can be restored", [Remedy::Trash]))),
        several => Err(Error::usage(format_args!(
            "`{name}` may be any of {} deleted songs",
            several.len()
        ))
        .with_hint("name it by more of its id")),
    }
}

// The song of the library that a name means which is no deleted song's, if it
// is its id or title.
async fn there(library: &Library, name: &str) -> Option<Song> {
    let song = crate::find::song(library, name).await.ok()?;
    (song.id.to_string().starts_with(name) || SongSummary::of(&song).title == name).then_some(song)
}
