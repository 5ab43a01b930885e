//! Recovery: what a writer that died left is completed or taken away.

use std::path::{Path, PathBuf};

use songrec_core::SongId;

use crate::{
    catalog::{Catalog, RowKind},
    error::{Fault, Result},
    files::{
        Folder,
        stored::{self, Resolved},
    },
    publish::{Published, Publisher},
    transaction::Transaction,
};

/// Makes indexes and catalog agree with the files again, within a transaction.
pub(crate) struct Recovery<'a> {
    transaction: &'a Transaction<'a>,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction }
    }

    /// Completes writes that a crashed process left pending.
    pub(crate) fn recover(&self) -> Result<()> {
        if !Catalog::is_anything_pending(self.transaction.connection())? {
            return Ok(());
        }
        let songs = Catalog::pending(self.transaction.connection(), RowKind::Song)?;
        tracing::info!("finishing a write of {} songs that was cut off", songs.len());
        for some in songs.chunks(256) {
            self.refresh_pending(some)?;
        }
        let segments = Catalog::pending(self.transaction.connection(), RowKind::Segments)?;
        Publisher::new(self.transaction).publish_segments(&segments)?;
        self.remove_unfinished()
    }

    /// Moves the file of a song that cannot be read to `damaged/`, where a
    /// person can inspect it, and removes the song from indexes and catalog.
    pub(crate) fn set_aside(&self, id: SongId) -> Result<()> {
        let from = self.transaction.store().layout().of_song(Folder::Songs, id);
        let to = self.move_aside(id, &from)?;
        tracing::warn!("`{}` is damaged and was moved to `{}`", from.display(), to.display());
        Ok(())
    }

    fn move_aside(&self, id: SongId, from: &Path) -> Result<PathBuf> {
        let to = self.transaction.store().layout().set_aside(id);
        self.transaction.note_pending(RowKind::Song, &[id])?;
        self.transaction.store().files().set_aside(from, &to)?;
        self.refresh_pending(&[id])?;
        Ok(to)
    }

    /// Moves those documents of a song, its file and its tombstone, that are
    /// damaged; returns their new paths. Readers of the changes begin anew,
    /// since no change reports that the song is gone.
    pub(crate) fn set_damaged_aside(&self, id: SongId) -> Result<Vec<PathBuf>> {
        let (layout, files) = (self.transaction.store().layout(), self.transaction.store().files());
        let mut moved = Vec::new();
        for folder in [Folder::Songs, Folder::Trash] {
            let read = match folder {
                Folder::Trash => stored::read_tombstone(layout, files, id).map(drop),
                _ => stored::read_song(layout, files, id).map(drop),
            };
            match read {
                Err(Fault::Damaged { path, .. }) => moved.push(self.move_aside(id, &path)?),
                Ok(()) | Err(Fault::Newer { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        if !moved.is_empty() {
            self.transaction.commit(Catalog::renew_epoch)?;
        }
        Ok(moved)
    }

    /// Makes indexes and catalog agree with the files of some songs. Returns
    /// what is wrong with the files that are damaged.
    pub(crate) fn refresh(&self, ids: &[SongId]) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for some in ids.chunks(256) {
            self.transaction.note_pending(RowKind::Song, some)?;
            faults.extend(self.refresh_pending(some)?);
        }
        Ok(faults)
    }

    fn refresh_pending(&self, ids: &[SongId]) -> Result<Vec<String>> {
        let (mut published, mut leftovers) = (Vec::new(), Vec::new());
        let mut faults = Vec::new();
        for id in ids {
            let (resolved, leftover) = self.transaction.store().resolve(*id);
            leftovers.extend(leftover);
            match &resolved {
                Resolved::Damaged(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    faults.push(fault.chain());
                }
                // A disk that does not answer is no evidence about the song.
                Resolved::Damaged(_) => {
                    let Resolved::Damaged(fault) = resolved else { continue };
                    return Err(fault);
                }
                _ => {}
            }
            published.push(Published { id: *id, resolved, before: None });
        }
        if !leftovers.is_empty() {
            self.transaction.store().remove_obsolete(leftovers.iter().map(PathBuf::as_path))?;
        }
        Publisher::new(self.transaction).publish(published)?;
        Ok(faults)
    }

    /// Removes the temporary files of writers that died.
    pub(crate) fn remove_unfinished(&self) -> Result<()> {
        let unfinished = self.transaction.store().unfinished()?;
        self.transaction.store().files().remove(unfinished.iter().map(PathBuf::as_path))
    }
}
