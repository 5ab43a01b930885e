//! From the files to the catalog: all of it, or what came and went by other
//! means than ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;
use songrec_core::{Event, ModelSpec, Progress, SongId, Work};

use crate::{
    catalog::{Catalog, RowKind, segment_rows, song_rows},
    error::{Fault, Result},
    files::stored::{Resolved, id_of},
    files::{self, Folder, Stamp},
    index_rows::IndexRows,
    publish::Publisher,
    recovery::Recovery,
    store::Store,
    transaction::Transaction,
};

/// Builds the catalog from the files. The caller has the write lock.
///
/// The indexes are not read: the new catalog records none, so each of them is
/// built again afterwards, with its own progress.
pub(crate) fn build(store: &Store, progress: &dyn Progress) -> Result<()> {
    progress.on(Event::started(Work::BuildingCatalog, None));
    store.catalog().build(store.library().id, store.files(), |connection| {
        for spec in models_of_files(store, progress)? {
            Catalog::set_model(connection, &spec)?;
        }
        let shards = (0..=u8::MAX).map(|shard| (shard, ids_of_shard(store, shard)));
        let mut total = 0;
        for (shard, ids) in shards {
            let ids = ids?;
            total += ids.len() as u64;
            progress.on(Event::Total { total });
            for id in ids.into_keys() {
                add_song(store, connection, id, progress)?;
            }
            for id in stamps_of_shard(store, Folder::Segments, shard)?.into_keys() {
                add_segments(store, connection, id, progress)?;
            }
            for folder in Folder::ALL {
                let path = store.layout().shard(folder, shard);
                let stamp = Stamp::at(&path).map_err(Fault::io("read", &path))?;
                Catalog::set_shard(connection, folder, shard, stamp)?;
            }
        }
        Ok(())
    })?;
    progress.on(Event::Finished);
    Ok(())
}

fn add_song(
    store: &Store,
    connection: &Connection,
    id: SongId,
    progress: &dyn Progress,
) -> Result<()> {
    let (resolved, leftover) = store.resolve(id);
    if let Some(leftover) = leftover {
        store.remove_obsolete([leftover.as_path()])?;
    }
    match &resolved {
        Resolved::Damaged(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
            let item = store.layout().of_song(Folder::Songs, id);
            let reason = fault.chain();
            progress.on(Event::Skipped { item: &item.display().to_string(), reason: &reason });
            tracing::warn!("left out: {reason}");
        }
        // A disk that does not answer is no evidence about the song.
        Resolved::Damaged(_) => {
            let Resolved::Damaged(fault) = resolved else { return Ok(()) };
            return Err(fault);
        }
        _ => {}
    }
    song_rows::set_resolved(connection, id, &resolved)?;
    progress.on(Event::Advanced { item: &id.short(), bytes: 0 });
    Ok(())
}

fn add_segments(
    store: &Store,
    connection: &Connection,
    id: SongId,
    progress: &dyn Progress,
) -> Result<()> {
    match store.segments_of(id) {
        Ok(segments) => segment_rows::set(connection, id, &segments),
        Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
            let item = store.layout().of_song(Folder::Segments, id);
            let reason = fault.chain();
            progress.on(Event::Skipped { item: &item.display().to_string(), reason: &reason });
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// Whether folders were written by other means since the catalog was. Costs
/// one look at each of the 256 shards.
pub(crate) fn differs(store: &Store, connection: &Connection) -> Result<bool> {
    for folder in Folder::ALL {
        if !shards_that_differ(store, connection, folder)?.is_empty() {
            return Ok(true);
        }
    }
    for model in Catalog::models(connection)? {
        for kind in [RowKind::Song, RowKind::Segments] {
            if let Some((name, _)) = Catalog::vectors(connection, model.m, kind)?
                && !store.layout().index(&model.spec.name, &name).is_dir()
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Takes in what came and went by other means.
pub(crate) fn reconcile(transaction: &Transaction<'_>, progress: &dyn Progress) -> Result<()> {
    let store = transaction.store();
    let mut shards = BTreeSet::new();
    for folder in [Folder::Songs, Folder::Trash] {
        shards.extend(shards_that_differ(store, transaction.connection(), folder)?);
    }
    if !shards.is_empty() {
        progress.on(Event::started(Work::TakingInFiles, None));
        // Copied folders may have brought embeddings of models of their own.
        let known = Catalog::models(transaction.connection())?;
        for spec in models_of_files(store, progress)? {
            if !known.iter().any(|model| model.spec.name == spec.name) {
                transaction.commit(|connection| Catalog::set_model(connection, &spec))?;
            }
        }
    }
    for shard in &shards {
        let ids = ids_that_differ(transaction, *shard)?;
        for reason in Recovery::new(transaction).refresh(&ids)? {
            progress.on(Event::Skipped { item: &format!("songs/{shard:02x}"), reason: &reason });
            tracing::warn!("left out: {reason}");
        }
        for id in &ids {
            progress.on(Event::Advanced { item: &id.short(), bytes: 0 });
        }
    }
    let segments = shards_that_differ(store, transaction.connection(), Folder::Segments)?;
    for shard in &segments {
        let mut ids: BTreeSet<SongId> =
            segment_rows::songs_of_shard(transaction.connection(), *shard)?.into_iter().collect();
        ids.extend(stamps_of_shard(store, Folder::Segments, *shard)?.into_keys());
        let ids: Vec<SongId> = ids.into_iter().collect();
        Publisher::new(transaction).publish_segments(&ids)?;
    }
    transaction.commit(|connection| {
        for shard in &shards {
            transaction.note_shard(connection, Folder::Songs, *shard)?;
            transaction.note_shard(connection, Folder::Trash, *shard)?;
        }
        for shard in &segments {
            transaction.note_shard(connection, Folder::Segments, *shard)?;
        }
        Ok(())
    })?;
    if !shards.is_empty() {
        progress.on(Event::Finished);
    }
    IndexRows::new(transaction).build_lost(progress)
}

/// The songs of a shard whose files are not those that the catalog knows.
pub(crate) fn ids_that_differ(transaction: &Transaction<'_>, shard: u8) -> Result<Vec<SongId>> {
    let store = transaction.store();
    let mut ids: BTreeMap<SongId, [Option<Stamp>; 2]> = BTreeMap::new();
    for (i, folder) in [Folder::Songs, Folder::Trash].into_iter().enumerate() {
        for (id, stamp) in stamps_of_shard(store, folder, shard)? {
            ids.entry(id).or_default()[i] = Some(stamp);
        }
    }
    for table in ["song", "tombstone"] {
        for id in song_rows::ids_of_shard(transaction.connection(), table, shard)? {
            ids.entry(id).or_default();
        }
    }
    let mut different = Vec::new();
    for (id, [song, tombstone]) in ids {
        if song_rows::stamps(transaction.connection(), id)? != (song, tombstone) {
            different.push(id);
        }
    }
    Ok(different)
}

fn shards_that_differ(store: &Store, connection: &Connection, folder: Folder) -> Result<Vec<u8>> {
    let known: BTreeMap<u8, i64> = Catalog::shards(connection, folder)?.into_iter().collect();
    let mut different = Vec::new();
    let names = shards_of_files(&store.layout().folder(folder))?;
    for shard in &names {
        let path = store.layout().shard(folder, *shard);
        let stamp = Stamp::at(&path).map_err(Fault::io("read", &path))?;
        if stamp.map(|stamp| stamp.mtime) != known.get(shard).copied() {
            different.push(*shard);
        }
    }
    different.extend(known.into_keys().filter(|shard| !names.contains(shard)));
    Ok(different)
}

fn shards_of_files(folder: &Path) -> Result<BTreeSet<u8>> {
    let mut shards = BTreeSet::new();
    for name in files::names_in(folder)? {
        let shard = u8::from_str_radix(&name, 16).ok();
        shards.extend(shard.filter(|shard| format!("{shard:02x}") == name));
    }
    Ok(shards)
}

/// Every song with a file in `songs/` or `trash/`, in order.
pub(crate) fn ids_of_shard(store: &Store, shard: u8) -> Result<BTreeMap<SongId, ()>> {
    let mut ids = BTreeMap::new();
    for folder in [Folder::Songs, Folder::Trash] {
        for name in files::names_in(&store.layout().shard(folder, shard))? {
            let id = id_of(Path::new(&name)).filter(|id| id.as_bytes()[0] == shard);
            ids.extend(id.map(|id| (id, ())));
        }
    }
    Ok(ids)
}

/// The documents of a shard of one folder.
pub(crate) fn stamps_of_shard(
    store: &Store,
    folder: Folder,
    shard: u8,
) -> Result<BTreeMap<SongId, Stamp>> {
    let path = store.layout().shard(folder, shard);
    let mut stamps = BTreeMap::new();
    for name in files::names_in(&path)? {
        let Some(id) = id_of(Path::new(&name)).filter(|id| id.as_bytes()[0] == shard) else {
            continue;
        };
        let path = path.join(name);
        if let Some(stamp) = Stamp::at(&path).map_err(Fault::io("read", &path))? {
            stamps.insert(id, stamp);
        }
    }
    Ok(stamps)
}

/// The models that there are files of.
pub(crate) fn models_of_files(store: &Store, progress: &dyn Progress) -> Result<Vec<ModelSpec>> {
    let mut models = Vec::new();
    let mut names = files::names_in(&store.layout().embeddings())?;
    names.sort();
    for name in names {
        let Ok(name) = name.parse() else { continue };
        let path = store.layout().model(&name);
        let Some(bytes) = store.files().read(&path)? else { continue };
        match serde_json::from_slice::<ModelSpec>(&bytes) {
            Ok(spec) if spec.name == name => models.push(spec),
            other => {
                let item = path.display().to_string();
                let reason = match other {
                    Ok(_) => "it describes another model than its folder says".to_owned(),
                    Err(error) => error.to_string(),
                };
                progress.on(Event::Skipped { item: &item, reason: &reason });
                tracing::warn!("`{item}` is left out: {reason}");
            }
        }
    }
    Ok(models)
}
