//! Embeddings that songs name and that are not there, or damaged: their songs
//! are embedded again, and keep everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use songrec_core::{Embedding, Event, Job, ModelName, Progress, ScanItem, Song, SongId, Work};
use songrec_storage::{ErrorKind as StorageTrouble, StorageBackend};

#[cfg(feature = "astra")]
use super::Finding;
use super::{Scan, ScanOptions};
use crate::{Error, Library, Result};

/// The models by which each song has to be embedded again.
pub(crate) type LostEmbeddings = BTreeMap<SongId, BTreeSet<ModelName>>;

/// Embeddings that are read at once.
const AT_ONCE: usize = 100;

/// Finds out which of these songs name embeddings, by the models of this
/// scan, that are lost. Reads each of them: a library that is far away is
/// not asked, but see [`look_for_lost_in_astra`](Scan::look_for_lost_in_astra).
pub(super) async fn look_for_lost(scan: &Scan<'_>, songs: &[Song]) -> Result<()> {
    if scan.is_remote() {
        return Ok(());
    }
    for model in &scan.models {
        let named = songs.iter().filter(|song| song.embeddings.contains_key(model));
        let named: Vec<SongId> = named.map(|song| song.id).collect();
        for some in named.chunks(AT_ONCE) {
            for id in lost_among(&*scan.library.backend, model, some).await? {
                locked(scan).entry(id).or_default().insert(model.clone());
            }
        }
    }
    Ok(())
}

/// The same of a library in Astra, where what is there is not read: that it
/// is whole is asked by `verify`.
///
/// Costs one request for each page of the server, which holds 20 or 50 songs,
/// one more of these for each model, and one for each hundred songs that
/// lost some.
#[cfg(feature = "astra")]
pub(super) async fn look_for_lost_in_astra(scan: &Scan<'_>, songs: &[SongId]) -> Result<()> {
    let Some(astra) = &scan.library.astra else { return Ok(()) };
    let mut lost = astra.lost_embeddings(&scan.models, songs).await?;
    let ids: Vec<SongId> = lost.keys().copied().collect();
    // A song that is damaged itself is not stored anew because of them.
    for song in scan.library.each_song(&ids).await?.into_iter().flatten().flatten() {
        let mut models = lost.remove(&song.id).unwrap_or_default();
        // Where a model embeds nothing on this machine, it is not asked again.
        models.retain(|model| !scan.memory.has(Finding::Nothing, model, song.id));
        if !models.is_empty() {
            locked(scan).entry(song.id).or_default().extend(models);
        }
    }
    Ok(())
}

#[cfg(not(feature = "astra"))]
pub(super) async fn look_for_lost_in_astra(_: &Scan<'_>, _: &[SongId]) -> Result<()> {
    Ok(())
}

/// The models by which a song has to be embedded again.
pub(super) fn lost_of(scan: &Scan<'_>, song: SongId) -> BTreeSet<ModelName> {
    locked(scan).get(&song).cloned().unwrap_or_default()
}

/// Takes note that these are stored again.
pub(super) fn found_again(scan: &Scan<'_>, embeddings: impl Iterator<Item = (SongId, ModelName)>) {
    let mut lost = locked(scan);
    for (song, model) in embeddings {
        if let Some(models) = lost.get_mut(&song) {
            models.remove(&model);
            if models.is_empty() {
                lost.remove(&song);
            }
        }
    }
}

fn locked<'s>(scan: &'s Scan<'_>) -> std::sync::MutexGuard<'s, LostEmbeddings> {
    // Every change of it is complete before anything can panic.
    scan.lost.lock().unwrap_or_else(PoisonError::into_inner)
}

// Those of `songs`, which all name an embedding by `model`, whose embedding
// cannot be had.
async fn lost_among(
    backend: &dyn StorageBackend,
    model: &ModelName,
    songs: &[SongId],
) -> Result<Vec<SongId>> {
    match backend.embeddings().get(model, songs).await {
        Ok(found) => {
            let lost = songs.iter().zip(found).filter(|(_, found)| found.is_none());
            return Ok(lost.map(|(song, _)| *song).collect());
        }
        // One of them.
        Err(error) if error.kind() == StorageTrouble::Corrupt => {}
        Err(error) => return Err(error.into()),
    }
    let mut lost = Vec::new();
    for song in songs {
        match backend.embeddings().get(model, std::slice::from_ref(song)).await {
            Ok(found) if found.iter().all(Option::is_some) => {}
            Ok(_) => lost.push(*song),
            Err(error) if error.kind() == StorageTrouble::Corrupt => lost.push(*song),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(lost)
}

/// Embeds songs again by models whose embeddings of them are lost, as far as
/// their files are on this machine; returns what could not be embedded, and why.
pub(crate) async fn embed_again(
    library: &Library,
    lost: LostEmbeddings,
    job: &Job,
) -> Result<BTreeMap<(SongId, ModelName), String>> {
    let mut open: BTreeMap<(SongId, ModelName), String> = BTreeMap::new();
    let all: BTreeSet<&ModelName> = lost.values().flatten().collect();
    let mut here = Vec::new();
    for model in all {
        match library.models.embedders(&[model.to_string()]).await {
            Ok(_) => here.push(model.to_string()),
            Err(error) => {
                let of_model = lost.iter().filter(|(_, models)| models.contains(model));
                let why = reason(&error);
                open.extend(of_model.map(|(song, _)| ((*song, model.clone()), why.clone())));
            }
        }
    }
    if here.is_empty() {
        return Ok(open);
    }
    let (files, without) = files_of(library, lost.keys().copied().collect()).await?;
    let failures =
        Arc::new(Failures { passed_to: job.progress.clone(), of_files: Mutex::default() });
    let job = &Job { progress: failures.clone(), interrupt: job.interrupt.clone() };
    let options = ScanOptions::default();
    let mut scan = Scan::begin(library, &options, &here, job).await?;
    scan.named = Some(files.values().cloned().collect());
    *scan.lost.get_mut().unwrap_or_else(PoisonError::into_inner) = lost;
    job.on(Event::started(Work::EmbeddingAgain, None));
    let embedded = scan.look_and_take_in(false).await;
    job.on(Event::Finished);
    embedded?;
    let still = std::mem::take(&mut *locked(&scan));
    let failed = failures.of_files.lock().unwrap_or_else(PoisonError::into_inner);
    for (song, models) in still {
        let of_file =
            files.get(&song).and_then(|path| failed.get(&songrec_core::encode_path(path)).cloned());
        let why = of_file
            .or_else(|| without.get(&song).cloned())
            .unwrap_or_else(|| "it was not embedded".to_owned());
        for model in models {
            open.entry((song, model)).or_insert_with(|| why.clone());
        }
    }
    Ok(open)
}

/// Keeps why files were not embedded, and passes all events on.
#[derive(Debug)]
struct Failures {
    passed_to: Arc<dyn Progress>,
    of_files: Mutex<BTreeMap<String, String>>,
}

impl Progress for Failures {
    fn on(&self, event: Event<'_>) {
        let failed = match event {
            Event::Failed { item, reason } => Some((item.to_owned(), reason.to_string())),
            Event::Scanned { item: ScanItem::Unembedded { path, reason, .. } } => {
                Some((path.clone(), reason.clone()))
            }
            _ => None,
        };
        if let Some((path, reason)) = failed {
            let mut of_files = self.of_files.lock().unwrap_or_else(PoisonError::into_inner);
            of_files.insert(path, reason);
        }
        self.passed_to.on(event);
    }
}

// A file of each of these songs that is on this machine and has the size
// that it had; why there is none, of the others.
async fn files_of(
    library: &Library,
    ids: Vec<SongId>,
) -> Result<(BTreeMap<SongId, PathBuf>, BTreeMap<SongId, String>)> {
    let (mut files, mut without) = (BTreeMap::new(), BTreeMap::new());
    for some in ids.chunks(AT_ONCE) {
        for song in library.backend.songs().get(some).await?.into_iter().flatten() {
            let mut paths = song.files.iter().map(|file| (library.file_path(&file.path), file));
            let is_same = |(path, file): &(PathBuf, &songrec_core::SongFile)| {
                std::fs::metadata(path)
                    .is_ok_and(|found| found.is_file() && found.len() == file.size)
            };
            match paths.find(is_same) {
                Some((path, _)) => _ = files.insert(song.id, path),
                None => {
                    let why = "none of its files is on this machine as it was".to_owned();
                    without.insert(song.id, why);
                }
            }
        }
    }
    Ok((files, without))
}

fn reason(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The references of embeddings that were embedded again are the song's own now.
pub(super) fn take_again(
    song: &mut Song,
    lost: &BTreeSet<ModelName>,
    embedded: &BTreeMap<ModelName, songrec_core::EmbeddingRef>,
) {
    for model in lost {
        if let Some(reference) = embedded.get(model) {
            song.embeddings.insert(model.clone(), reference.clone());
        }
    }
}

/// What is known of an embedding that is stored.
pub(super) fn name_of(embedding: &Embedding) -> (SongId, ModelName) {
    (embedding.song, embedding.model.clone())
}
