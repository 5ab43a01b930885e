//! What a person says about songs.

use songrec_core::{Field, Song, SongId};
use songrec_storage::{Outcome, PutMode, PutSong, StorageBackendExt};

use crate::{
    Error, ErrorKind, Library, Result,
    library::{named, now},
};

/// One change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditChange {
    /// Sets the field to what the text says.
    Set(Field, String),
    /// Empties the field, whatever other sources say.
    Clear(Field),
    /// Goes back to what other sources say.
    Reset(Field),
}

/// How often a change is made again on top of somebody else's.
const ATTEMPTS: usize = 20;

/// Changes fields of a song, and gives the song as it is then. Nothing in
/// the audio file changes.
///
/// # Errors
///
/// When a value does not fit its field; then nothing is changed.
pub async fn edit(library: &Library, id: SongId, changes: &[EditChange]) -> Result<Song> {
    update(library, id, |song| {
        let mut edits = song.edits.clone();
        for change in changes {
            let invalid = |error| Error::usage("the song was not changed").because(error);
            match change {
                EditChange::Set(field, text) => {
                    edits.set(field.clone(), Some(text)).map_err(invalid)?;
                }
                EditChange::Clear(field) => {
                    edits.set(field.clone(), None).map_err(invalid)?;
                }
                EditChange::Reset(field) => drop(edits.reset(field)),
            }
        }
        let changed = song.edits != edits;
        song.edits = edits;
        Ok(changed)
    })
    .await
}

/// Stores songs once more as they are stored. Far away a song is stored
/// first and then what searches see of it, and an edit that was cut off between
/// the two is run again and finds nothing to change: this completes it. A
/// local library does so by itself.
///
/// # Errors
///
/// When the library cannot be written.
pub async fn write_again(library: &Library, songs: &[Song]) -> Result<()> {
    if !library.backend.capabilities().remote || songs.is_empty() {
        return Ok(());
    }
    let same = |song: Song| {
        let mode = PutMode::Replace(song.revision.operation);
        PutSong { song, mode, origin: None }
    };
    let mut puts: Vec<PutSong> = songs.iter().cloned().map(same).collect();
    for _ in 0..ATTEMPTS {
        let outcomes = library.backend.songs().put(&puts).await?;
        // The writer of a newer version may have been cut off as well. What
        // was deleted meanwhile stays deleted.
        let newer = outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Conflict(newer) => newer,
            Outcome::Done => None,
        });
        puts = newer.map(|song| same(*song)).collect();
        if puts.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Makes a change that can be repeated on a newer version, until no
/// other writer comes between.
pub(crate) async fn update(
    library: &Library,
    id: SongId,
    change: impl Fn(&mut Song) -> Result<bool>,
) -> Result<Song> {
    let gone = || Error::not_found(format_args!("{} is no longer in the library", named(id)));
    let mut current = library.backend.get_song(id).await?.ok_or_else(gone)?;
    for _ in 0..ATTEMPTS {
        let mut song = current.clone();
        if !change(&mut song)? {
            write_again(library, std::slice::from_ref(&song)).await?;
            return Ok(song);
        }
        song.revise(&current, now());
        let mode = PutMode::Replace(current.revision.operation);
        let put = PutSong { song: song.clone(), mode, origin: None };
        match library.backend.songs().put(&[put]).await?.pop() {
            Some(Outcome::Conflict(Some(newer))) => current = *newer,
            Some(Outcome::Conflict(None)) => return Err(gone()),
            Some(Outcome::Done) | None => return Ok(song),
        }
    }
    Err(Error::new(ErrorKind::Failed, format_args!("{} could not be changed", named(id)))
        .because(format!("others changed it {ATTEMPTS} times in a row"))
        .with_hint("try again"))
}
