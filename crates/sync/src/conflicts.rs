//! Values that lost a merge, and how a person resolves such a conflict.

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use songrec_core::{Conflict, Field, Song, SongId, SongSummary, Stamp, Timestamp};
use songrec_storage::{
    Error, ErrorKind, Outcome, PutMode, PutSong, Result, SongQuery, StorageBackend,
    StorageBackendExt,
};

/// A song with values that lost a merge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SongConflicts {
    /// Which song.
    pub song: SongId,
    /// How lists call it.
    pub title: String,
    /// Each value that lost, beside the one that is shown.
    pub conflicts: Vec<FieldConflict>,
}

/// A value that lost a merge, beside the one that is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldConflict {
    /// What they are values of.
    pub field: Field,
    /// The edited value that is shown; `None` if the value of the file is shown.
    pub shown: Option<Value>,
    /// The value that lost; null if it was a cleared field.
    pub other: Value,
    /// When the value that lost was set.
    pub set_at: Stamp,
}

/// Songs of one page.
const PAGE: usize = 500;
/// How often a conflict is resolved again because the song changed meanwhile.
const ATTEMPTS: usize = 20;

/// The values that lost a merge, of one song.
pub fn conflicts_of(song: &Song) -> SongConflicts {
    let conflicts = song.conflicts.iter().map(|conflict| FieldConflict {
        field: conflict.field.clone(),
        shown: song.edits.get(&conflict.field).cloned(),
        other: conflict.value.clone(),
        set_at: conflict.stamp,
    });
    SongConflicts {
        song: song.id,
        title: SongSummary::of(song).title,
        conflicts: conflicts.collect(),
    }
}

/// Every song with values that lost a merge. Looks at all songs.
///
/// # Errors
///
/// Those of the library.
pub fn conflicts(backend: &dyn StorageBackend) -> BoxFuture<'_, Result<Vec<SongConflicts>>> {
    Box::pin(async move {
        let mut found = Vec::new();
        let mut query = SongQuery { limit: PAGE, ..SongQuery::default() };
        loop {
            let page = backend.songs().find(&query).await?;
            let songs = page.items.iter().filter(|song| !song.conflicts.is_empty());
            found.extend(songs.map(conflicts_of));
            query.after = page.next;
            if query.after.is_none() {
                return Ok(found);
            }
        }
    })
}

/// Decides about the values of a field that lost: `taken` becomes the value
/// that is shown, or, if it is nothing, the shown one stays. Either way the
/// others are gone, here and, after the next sync, everywhere.
///
/// # Errors
///
/// `NotFound` if there is no such song, or no such value of it.
pub fn resolve_conflict<'a>(
    backend: &'a dyn StorageBackend,
    song: SongId,
    field: &'a Field,
    taken: Option<&'a Value>,
    now: Timestamp,
) -> BoxFuture<'a, Result<Song>> {
    Box::pin(async move {
        let failed = |kind, why: String| {
            Error::new(
                kind,
                "resolve",
                format_args!("conflicts of song `{}`", song.short()),
                backend,
            )
            .because(why)
        };
        let gone = || failed(ErrorKind::NotFound, "there is no such song".to_owned());
        let mut current = backend.get_song(song).await?.ok_or_else(gone)?;
        for _ in 0..ATTEMPTS {
            let mut next = current.clone();
            let of_field = |conflict: &Conflict| conflict.field == *field;
            let known = match taken {
                None => next.conflicts.iter().any(of_field),
                Some(value) => {
                    next.conflicts.iter().any(|one| of_field(one) && one.value == *value)
                }
            };
            if !known {
                let why = format!("no value of `{field}` like that is in conflict");
                return Err(failed(ErrorKind::NotFound, why));
            }
            if let Some(value) = taken {
                next.edits.set_value(field.clone(), value.clone());
            }
            next.conflicts.retain(|one| !of_field(one));
            next.revise(&current, now);
            let mode = PutMode::Replace(current.revision.operation);
            let put = PutSong { song: next.clone(), mode, origin: None };
            match backend.songs().put(&[put]).await?.pop() {
                Some(Outcome::Conflict(Some(newer))) => current = *newer,
                Some(Outcome::Conflict(None)) => return Err(gone()),
                Some(Outcome::Done) | None => return Ok(next),
            }
        }
        Err(failed(ErrorKind::Conflict, format!("others changed it {ATTEMPTS} times in a row")))
    })
}
