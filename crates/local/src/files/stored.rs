//! Songs and tombstones as they lie in files.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use songrec_core::{EmbeddingRef, ModelName, Song, SongId};
use songrec_storage::{
    Origin, SongDocument, Tombstone, Unreadable, document_text, read_checked_document,
    read_document,
};

use crate::{
    error::{Fault, Result},
    files::Files,
    files::{Folder, Layout},
    files::{NewFile, Stamp},
};

/// A document with the origin and the stamp of its file.
#[derive(Clone, Debug)]
pub(crate) struct Stored<T> {
    pub(crate) document: T,
    pub(crate) origin: Option<Origin>,
    pub(crate) stamp: Stamp,
}

/// What the files hold about a song.
#[derive(Debug)]
pub(crate) enum Resolved {
    Present(Box<Stored<Song>>),
    Deleted(Box<Stored<Tombstone>>),
    Absent,
    /// There is a file, but it cannot be understood.
    Damaged(Fault),
}

#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    origin: Option<Origin>,
}

pub(crate) fn song_file(layout: &Layout, song: &Song, origin: Option<&Origin>) -> NewFile {
    let path = layout.of_song(Folder::Songs, song.id);
    NewFile { path, bytes: written(song, origin) }
}

pub(crate) fn tombstone_file(
    layout: &Layout,
    tombstone: &Tombstone,
    origin: Option<&Origin>,
) -> NewFile {
    let path = layout.of_song(Folder::Trash, tombstone.song.id);
    NewFile { path, bytes: written(tombstone, origin) }
}

fn written<T: SongDocument + Serialize>(document: &T, origin: Option<&Origin>) -> Vec<u8> {
    let mut text = document_text(document, origin);
    text.push('\n');
    text.into_bytes()
}

/// The song that is stored; nothing if none is.
pub(crate) fn read_song(
    layout: &Layout,
    files: &Files,
    id: SongId,
) -> Result<Option<Stored<Song>>> {
    let path = layout.of_song(Folder::Songs, id);
    let Some((stamp, bytes)) = read(files, &path)? else { return Ok(None) };
    let document: Song = parse(&path, &bytes, id)?;
    Ok(Some(Stored { document, origin: origin(&bytes), stamp }))
}

/// The documents that were found to be what was written, by a hash of their bytes: the
/// same bytes need not be checked again, which saves parsing them twice and a SHA-256.
///
/// A bit that flips later makes other bytes, and is found as before.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    // With keys of this process, so that nobody can make bytes of the same hash.
    hasher: RandomState,
    hashes: Mutex<HashMap<SongId, u64>>,
}

impl Checked {
    /// So many are remembered, in some 13 MB; then it begins anew.
    const MOST: usize = 1 << 18;

    fn knows(&self, id: SongId, hash: u64) -> bool {
        self.hashes().get(&id) == Some(&hash)
    }

    fn remember(&self, id: SongId, hash: u64) {
        let mut hashes = self.hashes();
        if hashes.len() >= Self::MOST {
            hashes.clear();
        }
        hashes.insert(id, hash);
    }

    fn hashes(&self) -> MutexGuard<'_, HashMap<SongId, u64>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The song that is stored, without where it came from; nothing if none is.
pub(crate) fn read_document_of_song(
    layout: &Layout,
    files: &Files,
    checked: &Checked,
    id: SongId,
) -> Result<Option<Song>> {
    let path = layout.of_song(Folder::Songs, id);
    let Some(bytes) = files.read(&path)? else { return Ok(None) };
    let hash = checked.hasher.hash_one(&bytes);
    if checked.knows(id, hash) {
        return understood(&path, read_checked_document(&bytes, Some(id))).map(Some);
    }
    let song = parse(&path, &bytes, id)?;
    checked.remember(id, hash);
    Ok(Some(song))
}

/// The embeddings that a stored song names; nothing if none is stored. The rest
/// of the document is not checked: each embedding has a digest of its own.
pub(crate) fn read_named(
    layout: &Layout,
    files: &Files,
    id: SongId,
) -> Result<Option<BTreeMap<ModelName, EmbeddingRef>>> {
    #[derive(Deserialize)]
    struct Names {
        format: u32,
        id: SongId,
        #[serde(default)]
        embeddings: BTreeMap<ModelName, EmbeddingRef>,
    }

    let path = layout.of_song(Folder::Songs, id);
    let Some(bytes) = files.read(&path)? else { return Ok(None) };
    match serde_json::from_slice::<Names>(&bytes) {
        Ok(names) if names.format <= Song::FORMAT && names.id == id => Ok(Some(names.embeddings)),
        // Whatever is wrong with it, reading the whole document gives the best reason.
        _ => parse::<Song>(&path, &bytes, id).map(|song| Some(song.embeddings)),
    }
}

/// The tombstone of a song; nothing if there is none.
pub(crate) fn read_tombstone(
    layout: &Layout,
    files: &Files,
    id: SongId,
) -> Result<Option<Stored<Tombstone>>> {
    let path = layout.of_song(Folder::Trash, id);
    let Some((stamp, bytes)) = read(files, &path)? else { return Ok(None) };
    let document: Tombstone = parse(&path, &bytes, id)?;
    Ok(Some(Stored { document, origin: origin(&bytes), stamp }))
}

/// What the files hold about a song, and which file is obsolete by it.
pub(crate) fn resolve(layout: &Layout, files: &Files, id: SongId) -> (Resolved, Option<PathBuf>) {
    let song = read_song(layout, files, id);
    let tombstone = read_tombstone(layout, files, id);
    match (song, tombstone) {
        (Ok(Some(song)), Ok(Some(tombstone))) => {
            // Deleting writes the tombstone and then removes the song;
            // restoring writes the song and then removes the tombstone. Which
            // of them was cut off follows from the version that was deleted.
            let deleted = tombstone.document.song.revision == song.document.revision;
            if deleted {
                let leftover = layout.of_song(Folder::Songs, id);
                (Resolved::Deleted(Box::new(tombstone)), Some(leftover))
            } else {
                let leftover = layout.of_song(Folder::Trash, id);
                (Resolved::Present(Box::new(song)), Some(leftover))
            }
        }
        (Ok(Some(song)), _) => (Resolved::Present(Box::new(song)), None),
        (Ok(None), Ok(Some(tombstone))) => (Resolved::Deleted(Box::new(tombstone)), None),
        (Ok(None), Ok(None)) => (Resolved::Absent, None),
        (Err(fault), _) | (Ok(None), Err(fault)) => (Resolved::Damaged(fault), None),
    }
}

/// The song that a file in `songs/` or `trash/` belongs to, by its name.
pub(crate) fn id_of(path: &Path) -> Option<SongId> {
    if path.extension()? != "json" {
        return None;
    }
    let stem = path.file_stem()?.to_str()?;
    // Only the one spelling, so that no two files have one id.
    stem.parse::<SongId>().ok().filter(|id| id.to_string() == stem)
}

fn read(files: &Files, path: &Path) -> Result<Option<(Stamp, Vec<u8>)>> {
    // The stamp first: if the file is replaced in between, the stamp is too
    // old, and the file is read once more than needed.
    let Some(stamp) = Stamp::at(path).map_err(Fault::io("read", path))? else {
        return Ok(None);
    };
    Ok(files.read(path)?.map(|bytes| (stamp, bytes)))
}

fn parse<T: SongDocument>(path: &Path, bytes: &[u8], id: SongId) -> Result<T> {
    understood(path, read_document(bytes, Some(id)))
}

fn understood<T>(path: &Path, document: std::result::Result<T, Unreadable>) -> Result<T> {
    document.map_err(|why| match why {
        Unreadable::Newer { found } => {
            Fault::Newer { path: path.to_owned(), found, known: Song::FORMAT.into() }
        }
        Unreadable::Damaged(why) => Fault::damaged(path, why),
    })
}

fn origin(bytes: &[u8]) -> Option<Origin> {
    serde_json::from_slice::<Beside>(bytes).ok()?.origin
}
