//! Which song is in which cluster, worked out from the rule and kept on this machine.

use std::{
    collections::HashMap,
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use songrec_core::{Event, Filter, Job, SongId, SongSet, Work};
use songrec_storage::{ChangeHead, ChangeState, Cursor, ErrorKind as StorageTrouble, SongQuery};

use super::Clustering;
use crate::{Error, Library, Result, fresh, points::points};

/// Songs whose vectors are read and compared at once.
const READ: usize = 4_096;
/// Changes that are asked for at once.
const CHANGES: usize = 1_000;

/// The cluster of every song that is in one.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    clusters: HashMap<SongId, Option<u32>>,
}

impl Labels {
    /// The cluster of a song, if it is in one.
    pub fn of(&self, song: SongId) -> Option<u32> {
        self.clusters.get(&song).copied().flatten()
    }

    /// The songs of the clusters with these numbers.
    pub fn songs_of(&self, clusters: &[u32]) -> SongSet {
        let of = |(song, cluster): (&SongId, &Option<u32>)| {
            cluster.is_some_and(|cluster| clusters.contains(&cluster)).then_some(*song)
        };
        self.clusters.iter().filter_map(of).collect()
    }

    /// How many of the songs that were compared are in no cluster.
    pub fn in_none(&self) -> u64 {
        self.clusters.values().filter(|one| one.is_none()).count() as u64
    }

    /// How many songs are in the cluster with this number.
    pub fn size_of(&self, cluster: u32) -> u64 {
        self.clusters.values().filter(|one| **one == Some(cluster)).count() as u64
    }
}

/// What is kept of labels between two runs of a program.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// How far the changes of a library that is far away were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor>,
}

/// The clusters of all songs.
///
/// They are kept on this machine, so only songs that came since are compared: for
/// a local library this costs a look at the ids of its vectors, for one that is far
/// away one request, and one more for each hundred new songs. The first time over
/// such a library reads all vectors. Nothing if it was interrupted.
///
/// # Errors
///
/// Those of the library.
pub async fn labels(
    library: &Library,
    clustering: &Clustering,
    job: &Job,
) -> Result<Option<Labels>> {
    let file = file_of(library, clustering);
    let (mut kept, mut clusters) = read(&file).unwrap_or_default();
    let before = clusters.len();
    let cursor = kept.cursor.clone();
    let whole = match &library.local {
        Some(_) => add_missing(library, clustering, &mut clusters, job).await?,
        None => add_changed(library, clustering, &mut clusters, &mut kept.cursor, job).await?,
    };
    if !whole {
        return Ok(None);
    }
    if clusters.len() != before || kept.cursor != cursor {
        // Without it the next look compares again.
        let _ = write(&file, &kept, &clusters);
    }
    if !clustering.filter.is_all() {
        let passing = songs_passing(library, &clustering.filter).await?;
        clusters.retain(|song, _| passing.contains(*song));
    }
    Ok(Some(Labels { clusters }))
}

/// The songs that pass a filter: one request for each 500 songs where that costs
/// requests.
async fn songs_passing(library: &Library, filter: &Filter) -> Result<SongSet> {
    let mut query = SongQuery { filter: filter.clone(), limit: 1_000, ..SongQuery::default() };
    let mut songs = Vec::new();
    loop {
        let page = library.backend().songs().find_summaries(&query).await?;
        songs.extend(page.items.iter().map(|summary| summary.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(songs.into_iter().collect()),
        }
    }
}

// Labels of a local library: of vectors that are new, and none of those that are gone.
async fn add_missing(
    library: &Library,
    clustering: &Clustering,
    clusters: &mut HashMap<SongId, Option<u32>>,
    job: &Job,
) -> Result<bool> {
    let all = Filter::all();
    let Some(points) = points(library, Some(&clustering.model), &all, job).await? else {
        return Ok(false);
    };
    let ids = points.ids().await?;
    let missing: Vec<SongId> =
        ids.iter().filter(|id| !clusters.contains_key(id)).copied().collect();
    if clusters.len() + missing.len() > ids.len() {
        let present: SongSet = ids.iter().copied().collect();
        clusters.retain(|song, _| present.contains(*song));
    }
    if missing.len() > READ {
        job.on(Event::started(Work::ComparingWithClusters, Some(missing.len() as u64)));
    }
    for ids in missing.chunks(READ) {
        if job.is_interrupted() {
            return Ok(false);
        }
        let rows = points.rows(ids).await?;
        let found: Vec<(SongId, Option<u32>)> = ids
            .par_iter()
            .zip(&rows)
            .filter_map(|(id, row)| Some((*id, clustering.label(row.as_deref()?))))
            .collect();
        clusters.extend(found);
        if missing.len() > READ {
            ids.iter().for_each(|_| job.on(Event::Advanced { item: "", bytes: 0 }));
        }
    }
    if missing.len() > READ {
        job.on(Event::Finished);
    }
    Ok(true)
}

// Labels of a library that is far away: of songs that changed since the cursor.
async fn add_changed(
    library: &Library,
    clustering: &Clustering,
    clusters: &mut HashMap<SongId, Option<u32>>,
    cursor: &mut Option<Cursor>,
    job: &Job,
) -> Result<bool> {
    let backend = library.backend();
    if cursor.is_none() {
        let songs = backend.songs().count(&Filter::all()).await?;
        job.on(Event::started(Work::ComparingWithClusters, Some(songs)));
    }
    let is_first = cursor.is_none();
    loop {
        if job.is_interrupted() {
            return Ok(false);
        }
        let page = match backend.maintenance().heads(cursor.as_ref(), CHANGES).await {
            Err(error) if error.kind() == StorageTrouble::CursorLost => {
                clusters.clear();
                *cursor = None;
                continue;
            }
            page => page?,
        };
        let mut wanted = Vec::new();
        for change in page.changes {
            clusters.remove(&change.song);
            let has_vector = match change.state {
                ChangeHead::Song(head) => head.embeddings.contains_key(&clustering.model),
                ChangeHead::Whole(ChangeState::Present(song)) => {
                    song.embeddings.contains_key(&clustering.model)
                }
                ChangeHead::Whole(ChangeState::Deleted(_)) => false,
            };
            if has_vector {
                wanted.push(change.song);
            }
            if is_first {
                job.on(Event::Advanced { item: "", bytes: 0 });
            }
        }
        for ids in wanted.chunks(500) {
            let stored = backend.embeddings().get(&clustering.model, ids).await?;
            for (id, stored) in ids.iter().zip(stored) {
                let Some(stored) = stored else { continue };
                clusters.insert(*id, clustering.label(stored.embedding.vector.values()));
            }
        }
        *cursor = Some(page.cursor);
        if !page.more {
            if is_first {
                job.on(Event::Finished);
            }
            return Ok(true);
        }
    }
}

/// Keeps labels that were worked out while the clustering was made.
pub(super) fn keep(library: &Library, of: &Clustering, labels: &[(SongId, Option<u32>)]) {
    // Those of a library that is far away begin with a cursor.
    if library.local.is_some() {
        let clusters = labels.iter().copied().collect();
        // Without it the next look compares again.
        let _ = write(&file_of(library, of), &Kept::default(), &clusters);
    }
}

// By the rule, so that another name for a cluster changes nothing.
fn file_of(library: &Library, of: &Clustering) -> PathBuf {
    fresh::folder(library).join(format!("clusters-{}", of.rule()))
}

const NO_CLUSTER: u32 = u32::MAX;
/// A song id and a cluster.
const ENTRY: usize = 20;

// A line of JSON, then the entries. Nothing if it is not there or not whole.
fn read(file: &Path) -> Option<(Kept, HashMap<SongId, Option<u32>>)> {
    let bytes = fs::read(file).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let kept = serde_json::from_slice(&bytes[..end]).ok()?;
    let (entries, rest) = bytes[end + 1..].as_chunks::<ENTRY>();
    if !rest.is_empty() {
        return None;
    }
    let entry = |entry: &[u8; ENTRY]| {
        let (id, cluster) = entry.split_at(16);
        let id = SongId::from_bytes(id.try_into().expect("16 bytes"));
        let cluster = u32::from_le_bytes(cluster.try_into().expect("4 bytes"));
        (id, (cluster != NO_CLUSTER).then_some(cluster))
    };
    Some((kept, entries.iter().map(entry).collect()))
}

fn write(file: &Path, kept: &Kept, clusters: &HashMap<SongId, Option<u32>>) -> Result<()> {
    let failed = |error| Error::io("write", file, error);
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    // Labels of clusterings that are no more.
    for other in fs::read_dir(folder).map_err(failed)?.flatten() {
        let path = other.path();
        if path != file && other.file_name().to_string_lossy().starts_with("clusters-") {
            let _ = fs::remove_file(path);
        }
    }
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    {
        let mut out = BufWriter::new(new.as_file_mut());
        serde_json::to_writer(&mut out, kept).map_err(|error| failed(error.into()))?;
        out.write_all(b"\n").map_err(failed)?;
        for (song, cluster) in clusters {
            out.write_all(song.as_bytes()).map_err(failed)?;
            out.write_all(&cluster.unwrap_or(NO_CLUSTER).to_le_bytes()).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
    }
    new.persist(file).map_err(|error| failed(error.error)).map(drop)
}
