//! The write path: files first, then what is derived of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use songrec_core::{EmbeddingRef, ModelName, Segment, SegmentId, SongId, Vector};
use songrec_storage::SegmentQuery;

use crate::{
    catalog::{Catalog, Model, RowKind, segment_rows, song_rows},
    error::{Fault, Result},
    files::{Folder, NewFile, Stamp, segment_file, stored::Resolved},
    index_rows::IndexRows,
    transaction::Transaction,
};

/// Writes documents of songs and publishes them to indexes and catalog, within
/// a transaction.
pub(crate) struct Publisher<'a> {
    transaction: &'a Transaction<'a>,
}

/// Rows to put and rows to remove.
type RowChanges = (Vec<([u8; 16], Vector)>, Vec<[u8; 16]>);

/// A song whose files were written, and what the catalog should hold of it.
pub(crate) struct Published {
    pub(crate) id: SongId,
    pub(crate) resolved: Resolved,
    /// The embeddings that the index has for it; nothing if that is not known.
    pub(crate) before: Option<BTreeMap<ModelName, EmbeddingRef>>,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction }
    }

    /// Stores documents of songs and publishes them. The order of the steps is
    /// what makes it safe to die after any of them.
    ///
    /// 1. The catalog marks the songs as pending.
    /// 2. Each of their files is replaced by a rename.
    /// 3. Files that the new ones make obsolete are removed.
    /// 4. Indexes and catalog take in the new files, and the catalog removes
    ///    the pending marks.
    pub(crate) fn store(
        &self,
        new_files: &[NewFile],
        leftovers: &[PathBuf],
        publish: impl FnOnce(&[Stamp]) -> Vec<Published>,
        ids: &[SongId],
    ) -> Result<()> {
        self.transaction.note_pending(RowKind::Song, ids)?;
        let stamps = self.transaction.store().files().store(new_files)?;
        if !leftovers.is_empty() {
            self.transaction.store().files().remove(leftovers.iter().map(PathBuf::as_path))?;
        }
        self.publish(publish(&stamps))
    }

    /// Takes into indexes and catalog what the files of some songs hold.
    pub(crate) fn publish(&self, songs: Vec<Published>) -> Result<()> {
        let mut generations = Vec::new();
        for model in Catalog::models(self.transaction.connection())? {
            let (put, remove) = self.index_changes(&model, &songs)?;
            generations.extend(IndexRows::new(self.transaction).change(
                &model,
                RowKind::Song,
                &put,
                &remove,
            )?);
        }
        let touched: BTreeSet<u8> = songs.iter().map(|song| song.id.as_bytes()[0]).collect();
        self.transaction.commit(|connection| {
            for song in &songs {
                song_rows::set_resolved(connection, song.id, &song.resolved)?;
            }
            for (m, folder, generation) in &generations {
                Catalog::set_vectors(connection, *m, RowKind::Song, Some((folder, *generation)))?;
            }
            for shard in &touched {
                for folder in [Folder::Songs, Folder::Trash] {
                    self.transaction.note_shard(connection, folder, *shard)?;
                }
            }
            Catalog::remove_pending(connection, RowKind::Song, songs.iter().map(|song| song.id))
        })
    }

    // What has to be put into the rows of a model, and what removed.
    fn index_changes(&self, model: &Model, songs: &[Published]) -> Result<RowChanges> {
        let name = &model.spec.name;
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for song in songs {
            let wanted = match &song.resolved {
                Resolved::Present(stored) => stored.document.embeddings.get(name),
                Resolved::Deleted(_) | Resolved::Absent | Resolved::Damaged(_) => None,
            };
            if song.before.as_ref().is_some_and(|before| before.get(name) == wanted) {
                continue;
            }
            let vector = match wanted {
                Some(reference) => {
                    IndexRows::new(self.transaction).vector_or_warning(model, song.id, reference)?
                }
                None => None,
            };
            match vector {
                Some(vector) => put.push((*song.id.as_bytes(), vector)),
                None => remove.push(*song.id.as_bytes()),
            }
        }
        Ok((put, remove))
    }

    /// Replaces the segments of some songs, in the order that
    /// [`store`](Self::store) has for songs.
    pub(crate) fn store_segments(
        &self,
        by_song: BTreeMap<SongId, Vec<Segment>>,
        removed: &[SegmentId],
    ) -> Result<()> {
        let store = self.transaction.store();
        let songs: Vec<SongId> = by_song.keys().copied().collect();
        if songs.is_empty() {
            return Ok(());
        }
        self.transaction.note_pending(RowKind::Segments, &songs)?;
        let (mut files, mut gone) = (Vec::new(), Vec::new());
        for (song, segments) in &by_song {
            if segments.is_empty() {
                gone.push(store.layout().of_song(Folder::Segments, *song));
            } else {
                files.push(segment_file::new_file(store.layout(), *song, segments)?);
            }
        }
        store.files().store(&files)?;
        if !gone.is_empty() {
            store.files().remove(gone.iter().map(std::path::PathBuf::as_path))?;
        }
        self.publish_segments_of(by_song.into_iter().collect(), removed)
    }

    /// Takes into indexes and catalog what the files of some songs' segments
    /// say.
    pub(crate) fn publish_segments(&self, songs: &[SongId]) -> Result<()> {
        if songs.is_empty() {
            return Ok(());
        }
        let mut by_song = Vec::with_capacity(songs.len());
        for song in songs {
            let segments = match self.transaction.store().segments_of(*song) {
                Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    tracing::warn!("segments are left out: {fault}");
                    vec![]
                }
                other => other?,
            };
            by_song.push((*song, segments));
        }
        self.publish_segments_of(by_song, &[])
    }

    fn publish_segments_of(
        &self,
        by_song: Vec<(SongId, Vec<Segment>)>,
        removed: &[SegmentId],
    ) -> Result<()> {
        // Rows of segments that the catalog still has and the files have not.
        let mut remove: BTreeSet<[u8; 16]> = removed.iter().map(|id| *id.as_bytes()).collect();
        for (song, segments) in &by_song {
            let of_song = SegmentQuery { songs: vec![*song], ..SegmentQuery::default() };
            remove.extend(segment_rows::ids(self.transaction.connection(), &of_song)?);
            for segment in segments {
                remove.remove(segment.id.as_bytes());
            }
        }
        let remove: Vec<[u8; 16]> = remove.into_iter().collect();
        let mut generations = Vec::new();
        for model in Catalog::models(self.transaction.connection())? {
            let put: Vec<_> = by_song
                .iter()
                .flat_map(|(_, segments)| segments)
                .filter(|segment| segment.model == model.spec.name)
                .map(|segment| (*segment.id.as_bytes(), segment.vector.clone()))
                .collect();
            generations.extend(IndexRows::new(self.transaction).change(
                &model,
                RowKind::Segments,
                &put,
                &remove,
            )?);
        }
        self.transaction.commit(|connection| {
            for (song, segments) in &by_song {
                segment_rows::set(connection, *song, segments)?;
            }
            for (m, folder, generation) in &generations {
                let vectors = Some((folder.as_str(), *generation));
                Catalog::set_vectors(connection, *m, RowKind::Segments, vectors)?;
            }
            let shards: BTreeSet<u8> = by_song.iter().map(|(id, _)| id.as_bytes()[0]).collect();
            for shard in shards {
                self.transaction.note_shard(connection, Folder::Segments, shard)?;
            }
            let songs = by_song.iter().map(|(song, _)| *song);
            Catalog::remove_pending(connection, RowKind::Segments, songs)
        })
    }
}
