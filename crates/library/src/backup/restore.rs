//! A library from an archive.

use std::{collections::BTreeSet, io::Read, path::Path, sync::Arc};

use serde::Serialize;
use songrec_core::{Job, Progress, SongId};
use songrec_storage::{ChangeHead, ChangeState};
use songrec_sync::{
    AudioPolicy, Counts, Direction, Failure, MaxDelete, Note, Options, Replica, SyncState, Syncer,
};

use super::{
    staging::{Staging, bury},
    take_in::{Archive, ArchiveReport, open_file},
};
use crate::{Access, Config, InitOptions, Library, Result};

/// Changes of one page.
const PAGE: usize = 500;

/// How a backup is restored.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Restore what is whole of an archive that is not.
    pub keep_going: bool,
    /// How many songs of the library may be deleted, because the backup knows that
    /// they were.
    pub max_delete: MaxDelete,
}

/// What a restore did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Restored {
    /// Whether the library was made for it.
    pub is_new: bool,
    /// Where the library is.
    pub place: String,
    /// What songs of the library got.
    pub songs: Counts,
    /// Songs of the archive that were there already, the same.
    pub same: u64,
    /// Songs of the archive that the library has in a newer version, which stays.
    pub older: u64,
    /// Songs of the archive that were deleted since; they stay deleted.
    pub deleted_since: u64,
    /// Deleted songs that the library did not know of; they can be restored from the
    /// trash.
    pub trash: u64,
    /// Documents beside the songs that were written.
    pub documents: u64,
    /// Songs that have values now that lost a merge.
    pub conflicts: u64,
    /// Audio files that were not taken, because the library keeps no copies of audio.
    pub audio_left_out: u64,
    /// Vectors, segments and audio of songs that are not whole in the archive.
    pub of_no_song: u64,
    /// What could not be done.
    pub failed: Vec<Failure>,
    /// Things to know that stopped nothing.
    pub notes: Vec<Note>,
    /// Whether it was interrupted; the same again goes on.
    pub interrupted: bool,
}

/// An archive that is to be restored: what it says of itself is known.
pub struct Restoring {
    archive: Archive,
}

impl std::fmt::Debug for Restoring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoring").field("report", &self.archive.report).finish_non_exhaustive()
    }
}

impl Restoring {
    /// Opens the archive in a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read; `Corrupt` if it is no archive, or of a later format.
    pub async fn open(file: &Path) -> Result<Self> {
        let input = Box::new(open_file(file).await?);
        Self::read(input, file.display().to_string()).await
    }

    /// Opens the archive that comes from `input`, which messages call `name`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn read(input: Box<dyn Read + Send>, name: String) -> Result<Self> {
        Ok(Self { archive: Archive::open(input, name).await? })
    }

    /// Reads all of it, and changes nothing: says what is in it and whether it is
    /// whole.
    ///
    /// # Errors
    ///
    /// When it cannot be read to its end, and `Interrupted`.
    pub async fn look(mut self, job: &Job) -> Result<ArchiveReport> {
        self.archive.take_in(None, job).await?;
        Ok(self.archive.report)
    }

    /// Restores it into the library that the settings call `name`, which is made if its
    /// folder is not there or empty. What the library knows better stays: it is a sync
    /// in one direction.
    ///
    /// If the archive is not whole, nothing is done, and nothing is given beside the
    /// report, unless the options say to keep going.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read to its end; `Guard` if more songs would be
    /// deleted than may be; those of the library.
    pub async fn restore(
        mut self,
        config: Arc<Config>,
        name: &str,
        options: &RestoreOptions,
        progress: Arc<dyn Progress>,
        job: &Job,
    ) -> Result<(ArchiveReport, Option<Restored>)> {
        let holds_audio =
            self.archive.report.manifest.as_ref().is_some_and(|manifest| manifest.audio);
        let known = match Library::would_be_made(&config, name)? {
            true => None,
            false => {
                let access = Access::Direct;
                let library =
                    Library::open_named(config.clone(), name, access, progress.clone()).await?;
                library.may_write()?;
                Some(library)
            }
        };
        let keeps_audio =
            known.as_ref().is_none_or(|known| known.backend().capabilities().keeps_audio);
        let mut staging = Staging::make(&config, holds_audio && keeps_audio).await?;
        if let Some(manifest) = &self.archive.report.manifest {
            staging.add_models(&manifest.models).await?;
        }
        self.archive.take_in(Some(&mut staging), job).await?;
        let report = self.archive.report;
        if !report.whole && !options.keep_going {
            return Ok((report, None));
        }
        let (library, is_new) = match known {
            Some(library) => (library, false),
            None => {
                let init = InitOptions { keep_copies: holds_audio };
                Library::open_or_make(config, name, init, progress).await?
            }
        };
        let mut restored =
            merge(&staging, &library, options, holds_audio && keeps_audio, job).await?;
        restored.is_new = is_new;
        restored.place = library.place().to_owned();
        restored.of_no_song = staging.of_no_song;
        restored.audio_left_out = if keeps_audio { 0 } else { report.contents.audio };
        Ok((report, Some(restored)))
    }
}

// Brings what is staged into a library.
async fn merge(
    staging: &Staging,
    library: &Library,
    options: &RestoreOptions,
    audio: bool,
    job: &Job,
) -> Result<Restored> {
    let mut restored = Restored::default();
    let buried = compare(staging, library, &mut restored).await?;
    let replica = |name: &str, of: &Library| Replica::new(name, of.shared_backend());
    let sync = Options {
        direction: Direction::Push,
        max_delete: options.max_delete,
        audio: if audio { AudioPolicy::All } else { AudioPolicy::None },
        announces: false,
        ..Options::default()
    };
    let (left, right) = (replica("backup", &staging.library), replica("library", library));
    let report = Syncer::new(left, right, SyncState::in_memory()?)
        .reporting_to(job.clone())
        .run(&sync)
        .await?;
    restored.songs = report.counts.right;
    restored.documents =
        report.documents.iter().filter(|work| work.actions.right.is_some()).count() as u64;
    restored.conflicts = report.conflicts;
    restored.failed = report.failed;
    restored.notes = report.notes;
    restored.interrupted = report.interrupted;
    if !restored.interrupted {
        restored.trash = bury_unknown(staging, library, buried).await?;
    }
    Ok(restored)
}

// Counts songs that a library knows better; gives the deleted ones that it may not know.
async fn compare(
    staging: &Staging,
    library: &Library,
    restored: &mut Restored,
) -> Result<BTreeSet<SongId>> {
    let mut buried = BTreeSet::new();
    let mut absent = BTreeSet::new();
    let mut cursor = None;
    loop {
        let maintenance = staging.library.backend().maintenance();
        let page = maintenance.changes(cursor.as_ref(), PAGE).await?;
        let mut songs = Vec::new();
        for change in page.changes {
            match change.state {
                ChangeState::Present(song) => songs.push(*song),
                ChangeState::Deleted(_) => drop(buried.insert(change.song)),
            }
        }
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        for chunk in ids.chunks(library.backend().capabilities().batch.max(1)) {
            for found in library.each_song(chunk).await?.into_iter().zip(chunk) {
                match found {
                    (Ok(Some(theirs)), id) => {
                        let ours = songs.iter().find(|song| song.id == *id);
                        if ours.is_some_and(|ours| {
                            ours.revision.operation == theirs.revision.operation
                        }) {
                            restored.same += 1;
                        } else if ours
                            .is_some_and(|ours| theirs.version().includes(&ours.version()))
                        {
                            restored.older += 1;
                        }
                    }
                    (Ok(None), id) => drop(absent.insert(*id)),
                    (Err(_), _) => {}
                }
            }
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    if absent.is_empty() && buried.is_empty() {
        return Ok(buried);
    }
    let mut cursor = None;
    loop {
        let page = library.backend().maintenance().heads(cursor.as_ref(), PAGE).await?;
        for change in page.changes {
            // What the library knows of is the sync's to decide about.
            buried.remove(&change.song);
            if let ChangeHead::Whole(ChangeState::Deleted(tombstone)) = change.state
                && absent.contains(&change.song)
                && let Some(Ok(Some(ours))) = staging.library.each_song(&[change.song]).await?.pop()
            {
                let deleted = tombstone.song.deleted(tombstone.revision.operation);
                restored.deleted_since += u64::from(!deleted.join(&ours.version()).is_alive());
            }
        }
        cursor = Some(page.cursor);
        if !page.more {
            return Ok(buried);
        }
    }
}

// Leaves the tombstones of songs that a library has never heard of.
async fn bury_unknown(
    staging: &Staging,
    library: &Library,
    unknown: BTreeSet<SongId>,
) -> Result<u64> {
    let mut done = 0;
    let mut cursor = None;
    while !unknown.is_empty() {
        let maintenance = staging.library.backend().maintenance();
        let page = maintenance.changes(cursor.as_ref(), PAGE).await?;
        let mut tombstones = Vec::new();
        for change in page.changes {
            if let ChangeState::Deleted(tombstone) = change.state
                && unknown.contains(&change.song)
            {
                tombstones.push(*tombstone);
            }
        }
        bury(&staging.library, library, &tombstones).await?;
        done += tombstones.len() as u64;
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    Ok(done)
}
