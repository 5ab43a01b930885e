//! Deleted songs that can be restored.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use serde::Serialize;
use songrec_core::{DocumentKind, SongId, SongSummary, Timestamp};
use songrec_storage::{
    ChangeState, Error, ErrorKind, Outcome, PurgeSong, PutMode, PutSong, Result, StorageBackend,
    Tombstone,
};

use crate::machines::LIBRARY;

/// A deleted song that can be restored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trashed {
    /// Which song.
    pub song: SongId,
    /// How lists called it.
    pub title: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// Where its files were.
    pub paths: Vec<String>,
}

/// Changes of one page.
const PAGE: usize = 1_000;

// What `keep` makes of every tombstone, so that memory does not hold all of
// them.
async fn tombstones<T>(
    backend: &dyn StorageBackend,
    keep: impl Fn(Tombstone) -> Option<T> + Send,
) -> Result<Vec<T>> {
    let mut found = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = backend.maintenance().changes(cursor.as_ref(), PAGE).await?;
        for change in page.changes {
            // The last change of a song counts.
            let kept = match change.state {
                ChangeState::Deleted(tombstone) => keep(*tombstone),
                ChangeState::Present(_) => None,
            };
            match kept {
                Some(kept) => drop(found.insert(change.song, kept)),
                None => drop(found.remove(&change.song)),
            }
        }
        cursor = Some(page.cursor);
        if !page.more {
            return Ok(found.into_values().collect());
        }
    }
}

/// The deleted songs of a library, those deleted last first. Looks at all that
/// ever changed.
///
/// # Errors
///
/// Those of the library.
pub fn trash(backend: &dyn StorageBackend) -> BoxFuture<'_, Result<Vec<Trashed>>> {
    Box::pin(async move {
        let shown = |tombstone: Tombstone| {
            Some(Trashed {
                song: tombstone.song.id,
                title: SongSummary::of(&tombstone.song).title,
                deleted_at: tombstone.deleted_at,
                paths: tombstone.song.files.into_iter().map(|file| file.path).collect(),
            })
        };
        let mut trashed = tombstones(backend, shown).await?;
        trashed.sort_by_key(|one| (std::cmp::Reverse(one.deleted_at), one.song));
        Ok(trashed)
    })
}

/// What [`empty_trash`] did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// Deleted songs that were forgotten for good.
    pub emptied: u64,
    /// Those that are old enough and stay, because other libraries may not know yet
    /// that they were deleted.
    pub waiting: u64,
    /// Those that are younger than was asked for.
    pub younger: u64,
}

/// Forgets deleted songs for good that were deleted at `until` or before: they cannot be
/// restored any more, and what they name is garbage. With `dry_run`, only counts.
///
/// A deletion that nobody knows of any more is undone by the next library that still has
/// the song. So a library that was ever synced or copied forgets nothing here: its
/// tombstones go by themselves, after [`KEEP_DELETED`](crate::KEEP_DELETED), once every
/// machine has seen them. That is looked up again before each batch.
///
/// # Errors
///
/// Those of the library. What was forgotten until then is forgotten; the same call goes
/// on.
pub fn empty_trash(
    backend: &dyn StorageBackend,
    until: Timestamp,
    dry_run: bool,
) -> BoxFuture<'_, Result<Emptied>> {
    Box::pin(async move {
        let marks = |tombstone: Tombstone| {
            let purge = PurgeSong { id: tombstone.song.id, deletion: tombstone.revision.operation };
            Some((tombstone.deleted_at <= until, purge))
        };
        let (old, young): (Vec<_>, Vec<_>) =
            tombstones(backend, marks).await?.into_iter().partition(|(is_old, _)| *is_old);
        let old: Vec<PurgeSong> = old.into_iter().map(|(_, purge)| purge).collect();
        let mut done = Emptied { younger: young.len() as u64, ..Emptied::default() };
        for chunk in old.chunks(PURGED_AT_ONCE) {
            let count = chunk.len() as u64;
            if is_shared(backend).await? {
                done.waiting += count;
                continue;
            }
            if !dry_run {
                backend.songs().purge(chunk).await?;
            }
            done.emptied += count;
        }
        Ok(done)
    })
}

/// Tombstones that are purged by one request.
const PURGED_AT_ONCE: usize = 100;

// Whether the library ever met another one: then both got a document.
async fn is_shared(backend: &dyn StorageBackend) -> Result<bool> {
    let own = [LIBRARY.to_owned()];
    let met = backend.documents().get(DocumentKind::Library, &own).await?;
    if met.iter().any(Option::is_some) {
        return Ok(true);
    }
    let machines = backend.documents().list(&[DocumentKind::Machine], None).await?;
    Ok(!machines.items.is_empty())
}

/// Restores deleted songs as their deleters saw them; gives those that are
/// back. One that is not deleted, or was forgotten for good, is left out.
///
/// # Errors
///
/// Those of the library.
pub fn restore<'a>(
    backend: &'a dyn StorageBackend,
    songs: &'a [SongId],
    now: Timestamp,
) -> BoxFuture<'a, Result<Vec<SongId>>> {
    Box::pin(async move {
        let wanted: BTreeSet<SongId> = songs.iter().copied().collect();
        let asked = |tombstone: Tombstone| wanted.contains(&tombstone.song.id).then_some(tombstone);
        let puts: Vec<PutSong> = tombstones(backend, asked)
            .await?
            .into_iter()
            .map(|tombstone| {
                let Tombstone { revision, song, .. } = tombstone;
                let song = song.restored(revision, now).map_err(|error| {
                    let subject = format_args!("song `{}`", song.id.short());
                    Error::new(ErrorKind::Corrupt, "restore", subject, backend)
                        .because(error.to_string())
                })?;
                Ok(PutSong { song, mode: PutMode::Create, origin: None })
            })
            .collect::<Result<_>>()?;
        let mut restored = Vec::new();
        for chunk in puts.chunks(backend.capabilities().batch.max(1)) {
            let outcomes = backend.songs().put(chunk).await?;
            let done = chunk.iter().zip(outcomes).filter(|(_, outcome)| *outcome == Outcome::Done);
            restored.extend(done.map(|(put, _)| put.song.id));
        }
        Ok(restored)
    })
}
