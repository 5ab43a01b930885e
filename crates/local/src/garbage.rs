//! Objects that no song names.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use songrec_core::{Digest, Event, Job, ModelName, SongId};
use songrec_storage::Collected;

use crate::{
    catalog::song_rows,
    database::Database,
    error::{Fault, Result},
    files::embedding_file,
    files::names_in,
    files::stored::Resolved,
    store::Store,
    transaction::Transaction,
};

/// The objects of a library that no song names.
pub(crate) struct Garbage<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Garbage<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    /// Removes what no song names, or only counts it.
    pub(crate) fn collect(
        &self,
        min_age: Duration,
        only_count: bool,
        job: &Job,
    ) -> Result<Collected> {
        let mut collected = Collected::default();
        let begin = SystemTime::now();
        let mut old = Vec::new();
        for name in names_in(&self.store.layout().embeddings())? {
            let Ok(model) = name.parse::<ModelName>() else { continue };
            let folder = self.store.layout().embeddings().join(&name);
            for shard in names_in(&folder)? {
                if job.is_interrupted() {
                    return Ok(collected);
                }
                for file in names_in(&folder.join(&shard))? {
                    job.on(Event::Advanced { item: "", bytes: 0 });
                    let path = folder.join(&shard).join(&file);
                    // `id.npy`, or `id.digest.npy` beside another one.
                    let id = file
                        .strip_suffix(".npy")
                        .map(|name| name.split_once('.').map_or(name, |(id, _)| id));
                    let id = id.and_then(|id| id.parse::<SongId>().ok());
                    if let Some(id) = id.filter(|_| is_old(&path, begin, min_age)) {
                        old.push((path, Object::Embedding(model.clone(), id)));
                    }
                }
                // Few at a time, so that others can write in between.
                self.remove_unnamed(&mut old, &mut collected, only_count)?;
            }
        }
        for shard in names_in(&self.store.layout().blobs())? {
            if job.is_interrupted() {
                return Ok(collected);
            }
            let folder = self.store.layout().blobs().join(shard);
            for file in names_in(&folder)? {
                job.on(Event::Advanced { item: "", bytes: 0 });
                let path = folder.join(&file);
                let digest = file.parse::<Digest>().ok();
                if let Some(digest) = digest.filter(|_| is_old(&path, begin, min_age)) {
                    old.push((path, Object::Blob(digest)));
                }
            }
            self.remove_unnamed(&mut old, &mut collected, only_count)?;
        }
        if job.is_interrupted() {
            return Ok(collected);
        }
        for file in names_in(&self.store.layout().unfinished())? {
            let path = self.store.layout().unfinished().join(&file);
            // A blob may take long to come in, but not a day.
            let min_age = min_age.max(Duration::from_secs(24 * 60 * 60));
            if file.ends_with(".blob") && is_old(&path, begin, min_age) {
                old.push((path, Object::Unfinished));
            }
        }
        self.remove_unnamed(&mut old, &mut collected, only_count)?;
        Ok(collected)
    }

    fn remove_unnamed(
        &self,
        old: &mut Vec<(PathBuf, Object)>,
        collected: &mut Collected,
        only_count: bool,
    ) -> Result<()> {
        if old.is_empty() {
            return Ok(());
        }
        self.database.write(|transaction| {
            let mut unnamed = Vec::new();
            let mut seen = HashSet::new();
            for (path, object) in old.drain(..) {
                if !object.is_named(&path, transaction)? && seen.insert(path.clone()) {
                    collected.objects += u64::from(!matches!(object, Object::Unfinished));
                    collected.bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
                    unnamed.push(path);
                }
            }
            if only_count {
                return Ok(());
            }
            self.store.files().remove(unnamed.iter().map(PathBuf::as_path))
        })
    }
}

enum Object {
    Embedding(ModelName, SongId),
    Blob(Digest),
    Unfinished,
}

impl Object {
    // A tombstone keeps its objects: the song may be restored.
    fn is_named(&self, path: &Path, transaction: &Transaction<'_>) -> Result<bool> {
        match self {
            Self::Embedding(model, id) => is_embedding_named(path, model, *id, transaction),
            Self::Blob(digest) => Ok(song_rows::names_blob(transaction.connection(), digest)?
                || song_rows::is_any_damaged(transaction.connection())?),
            Self::Unfinished => Ok(false),
        }
    }
}

fn is_embedding_named(
    path: &Path,
    model: &ModelName,
    id: SongId,
    transaction: &Transaction<'_>,
) -> Result<bool> {
    let store = transaction.store();
    let song = match store.resolve(id).0 {
        Resolved::Present(stored) => stored.document,
        Resolved::Deleted(stored) => stored.document.song,
        Resolved::Absent => return Ok(false),
        // It cannot be known what a damaged song names.
        Resolved::Damaged(Fault::Damaged { .. } | Fault::Newer { .. }) => return Ok(true),
        Resolved::Damaged(fault) => return Err(fault),
    };
    let Some(reference) = song.embeddings.get(model) else { return Ok(false) };
    match embedding_file::read_file(store.files(), path) {
        Ok(there) => Ok(there.is_some_and(|(_, digest)| digest == reference.digest)),
        // Damaged, but perhaps the only trace of what the song names.
        Err(Fault::Damaged { .. }) => Ok(true),
        Err(other) => Err(other),
    }
}

fn is_old(path: &Path, now: SystemTime, min_age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    // A file from the future is young, and one that is gone is no matter.
    modified.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age >= min_age))
}
