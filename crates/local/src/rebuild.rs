//! From the files to the catalog: all of it, or what came and went by other
//! means than ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use rusqlite::Connection;
use songrec_core::{Event, ModelSpec, Progress, SongId};

use crate::{
    catalog::{Catalog, Kind},
    disk::Stamp,
    error::{Fault, Result},
    layout::Folder,
    segment_file,
    store::{Store, Writing},
    stored::{Resolved, id_of, resolve},
};

/// Builds the catalog from the files. The caller has the write lock.
///
/// The indexes are not looked at: the new catalog knows none, so they are made
/// again, here for models with songs, so that somebody is told of it.
pub(crate) fn build(store: &Store, progress: &dyn Progress) -> Result<()> {
    let work = "building the catalog from the files";
    progress.on(Event::Started { work, total: None });
    store.catalog.build(store.library.id, &store.files, |connection| {
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
                let path = store.layout.shard(folder, shard);
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
    let (resolved, leftover) = resolve(&store.layout, &store.files, id);
    if let Some(leftover) = leftover {
        store.tidy([leftover.as_path()])?;
    }
    match &resolved {
        Resolved::Damaged(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
            let item = store.layout.of_song(Folder::Songs, id);
            let reason = reason(fault);
            progress.on(Event::Skipped { item: &item.display().to_string(), reason: &reason });
            tracing::warn!("left out: {reason}");
        }
        // A disk that does not answer says nothing about the song.
        Resolved::Damaged(_) => {
            let Resolved::Damaged(fault) = resolved else { return Ok(()) };
            return Err(fault);
        }
        _ => {}
    }
    Catalog::set(connection, id, &resolved)?;
    progress.on(Event::Advanced { item: &id.short(), bytes: 0 });
    Ok(())
}

fn add_segments(
    store: &Store,
    connection: &Connection,
    id: SongId,
    progress: &dyn Progress,
) -> Result<()> {
    match segment_file::read(&store.layout, &store.files, id) {
        Ok(segments) => Catalog::set_segments(connection, id, &segments),
        Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
            let item = store.layout.of_song(Folder::Segments, id);
            let reason = reason(&fault);
            progress.on(Event::Skipped { item: &item.display().to_string(), reason: &reason });
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// A fault with what caused it, in one line.
pub(crate) fn reason(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// Makes every index that is not what the catalog says it is, and tells of it.
pub(crate) fn build_lost_rows(writing: &Writing<'_>, progress: &dyn Progress) -> Result<()> {
    for model in Catalog::models(writing.connection)? {
        for kind in [Kind::Song, Kind::Segments] {
            if writing.store.rows_are_lost(writing.connection, &model, kind)? {
                writing.build_rows(&model, kind, progress)?;
            }
        }
    }
    Ok(())
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
        for kind in [Kind::Song, Kind::Segments] {
            if let Some((name, _)) = Catalog::vectors(connection, model.m, kind)?
                && !store.layout.index(&model.spec.name, &name).is_dir()
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Takes in what came and went by other means.
pub(crate) fn reconcile(writing: &Writing<'_>, progress: &dyn Progress) -> Result<()> {
    let store = writing.store;
    let mut shards = BTreeSet::new();
    for folder in [Folder::Songs, Folder::Trash] {
        shards.extend(shards_that_differ(store, writing.connection, folder)?);
    }
    if !shards.is_empty() {
        let work = "taking in files that changed";
        progress.on(Event::Started { work, total: None });
        // Copied folders may have brought embeddings of models of their own.
        let known = Catalog::models(writing.connection)?;
        for spec in models_of_files(store, progress)? {
            if !known.iter().any(|model| model.spec.name == spec.name) {
                writing.commit(|connection| Catalog::set_model(connection, &spec))?;
            }
        }
    }
    for shard in &shards {
        let ids = ids_that_differ(writing, *shard)?;
        for reason in writing.refresh(&ids)? {
            progress.on(Event::Skipped { item: &format!("songs/{shard:02x}"), reason: &reason });
            tracing::warn!("left out: {reason}");
        }
        for id in &ids {
            progress.on(Event::Advanced { item: &id.short(), bytes: 0 });
        }
    }
    let segments = shards_that_differ(store, writing.connection, Folder::Segments)?;
    for shard in &segments {
        let mut ids: BTreeSet<SongId> =
            Catalog::segment_songs_of_shard(writing.connection, *shard)?.into_iter().collect();
        ids.extend(stamps_of_shard(store, Folder::Segments, *shard)?.into_keys());
        let ids: Vec<SongId> = ids.into_iter().collect();
        writing.publish_segments(&ids)?;
    }
    writing.commit(|connection| {
        for shard in &shards {
            writing.note_shard(connection, Folder::Songs, *shard)?;
            writing.note_shard(connection, Folder::Trash, *shard)?;
        }
        for shard in &segments {
            writing.note_shard(connection, Folder::Segments, *shard)?;
        }
        Ok(())
    })?;
    if !shards.is_empty() {
        progress.on(Event::Finished);
    }
    build_lost_rows(writing, progress)
}

/// The songs of a shard whose files are not those that the catalog knows.
pub(crate) fn ids_that_differ(writing: &Writing<'_>, shard: u8) -> Result<Vec<SongId>> {
    let store = writing.store;
    let mut ids: BTreeMap<SongId, [Option<Stamp>; 2]> = BTreeMap::new();
    for (i, folder) in [Folder::Songs, Folder::Trash].into_iter().enumerate() {
        for (id, stamp) in stamps_of_shard(store, folder, shard)? {
            ids.entry(id).or_default()[i] = Some(stamp);
        }
    }
    for table in ["song", "tombstone"] {
        for id in Catalog::ids_of_shard(writing.connection, table, shard)? {
            ids.entry(id).or_default();
        }
    }
    let mut different = Vec::new();
    for (id, [song, tombstone]) in ids {
        if Catalog::stamps(writing.connection, id)? != (song, tombstone) {
            different.push(id);
        }
    }
    Ok(different)
}

fn shards_that_differ(store: &Store, connection: &Connection, folder: Folder) -> Result<Vec<u8>> {
    let known: BTreeMap<u8, i64> = Catalog::shards(connection, folder)?.into_iter().collect();
    let mut different = Vec::new();
    let names = shards_of_files(&store.layout.folder(folder))?;
    for shard in &names {
        let path = store.layout.shard(folder, *shard);
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
    for name in names_in(folder)? {
        let shard = u8::from_str_radix(&name, 16).ok();
        shards.extend(shard.filter(|shard| format!("{shard:02x}") == name));
    }
    Ok(shards)
}

/// Every song with a file in `songs/` or `trash/`, in order.
pub(crate) fn ids_of_shard(store: &Store, shard: u8) -> Result<BTreeMap<SongId, ()>> {
    let mut ids = BTreeMap::new();
    for folder in [Folder::Songs, Folder::Trash] {
        for name in names_in(&store.layout.shard(folder, shard))? {
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
    let path = store.layout.shard(folder, shard);
    let mut stamps = BTreeMap::new();
    for name in names_in(&path)? {
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

/// The names in a folder that are text; none if there is no folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(vec![]);
        }
        other => other.map_err(Fault::io("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Fault::io("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The models that there are files of.
pub(crate) fn models_of_files(store: &Store, progress: &dyn Progress) -> Result<Vec<ModelSpec>> {
    let mut models = Vec::new();
    let mut names = names_in(&store.layout.embeddings())?;
    names.sort();
    for name in names {
        let Ok(name) = name.parse() else { continue };
        let path = store.layout.model(&name);
        let Some(bytes) = store.files.read(&path)? else { continue };
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
