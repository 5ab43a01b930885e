//! The vectors of many songs as one thing.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use songrec_core::{Event, ModelSpec, Progress, SongId, Vector, Work};
use songrec_index::{AllNeighbors, Key, MappedRows, RowSet};
use songrec_storage::Neighbor;

use crate::{
    blocking,
    error::{Fault, Result},
    options::IndexKind,
    progress::reporter,
    vectors::Rows,
};

/// Which neighbors of every song are looked for.
#[derive(Clone, Debug)]
pub struct NearOptions {
    /// How many of each song, at the most.
    pub k: usize,
    /// The lowest similarity that counts. The higher, the faster.
    pub threshold: Option<f64>,
    /// Set by another thread to stop it early.
    pub stop: Arc<AtomicBool>,
}

/// Called with each song that has neighbors and these neighbors, nearest first;
/// from any thread and in any order.
pub type OnNeighbors = Arc<dyn Fn(SongId, Vec<Neighbor>) + Send + Sync>;

/// How many songs are compared between two reports of progress.
const REPORTED: u64 = 256;

/// The vectors of many songs by one model: their ids, and a row for each.
///
/// Either those of a [library](crate::LocalBackend::points), read where they
/// are, or some that were [put](Self::put) into files of a folder that is
/// removed in the end. Either way the rows are mapped or read as they are
/// needed, so that they may be more than memory holds.
#[derive(Clone)]
pub struct Points {
    /// Nothing if no song was embedded.
    rows: Option<Arc<Rows>>,
    /// Which of the rows, if not all.
    among: Option<Arc<RowSet>>,
    /// Where they are, for errors.
    location: Arc<str>,
    folder: Option<Arc<tempfile::TempDir>>,
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Points").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Points {
    /// Rows of a library, where they are.
    pub(crate) fn of_library(
        rows: Option<Arc<Rows>>,
        among: Option<RowSet>,
        location: &str,
    ) -> Self {
        Self { rows, among: among.map(Arc::new), location: location.into(), folder: None }
    }

    /// None yet, in a new folder within `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub async fn create(folder: &Path, spec: &ModelSpec) -> songrec_storage::Result<Self> {
        let (folder, spec) = (folder.to_owned(), spec.clone());
        let location: Arc<str> = "a temporary folder".into();
        let create = move || {
            std::fs::create_dir_all(&folder).map_err(Fault::io("make", &folder))?;
            let folder = tempfile::Builder::new()
                .prefix("vectors-")
                .tempdir_in(&folder)
                .map_err(Fault::io("make a folder in", &folder))?;
            let rows = Rows::loose(&folder.path().join("index"), &spec, IndexKind::Auto)?;
            Ok((rows, folder))
        };
        let (rows, folder) = blocking("make", &location, create).await?;
        let (rows, folder) = (Some(Arc::new(rows)), Some(Arc::new(folder)));
        Ok(Self { rows, among: None, location, folder })
    }

    /// Adds vectors of songs to those that were [made](Self::create) for it;
    /// those of a library stay as they are.
    ///
    /// # Errors
    ///
    /// When they are not of the model's dimension, or the disk is full.
    pub async fn put(&self, vectors: Vec<(SongId, Vector)>) -> songrec_storage::Result<()> {
        let (Some(rows), Some(_)) = (self.rows.clone(), &self.folder) else { return Ok(()) };
        let put = move || {
            let vectors: Vec<([u8; 16], Vector)> =
                vectors.into_iter().map(|(id, vector)| (*id.as_bytes(), vector)).collect();
            rows.put(&vectors)
        };
        blocking("write", &self.location, put).await
    }

    /// The songs, in the order of their ids: 16 bytes of memory for each.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn ids(&self) -> songrec_storage::Result<Vec<SongId>> {
        let Some(rows) = self.rows.clone() else { return Ok(Vec::new()) };
        let among = self.among.clone();
        let list = move || {
            let mut ids = rows.ids()?;
            if let Some(among) = among {
                ids.retain(|id| among.contains(&Key(*id)));
            }
            ids.sort_unstable();
            Ok(ids.into_iter().map(SongId::from_bytes).collect())
        };
        blocking("list", &self.location, list).await
    }

    /// The rows of `songs`, in their order and bit for bit as the model gave
    /// them; nothing for songs that are not among them, or are gone meanwhile.
    /// These rows alone are in memory.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn rows(&self, songs: &[SongId]) -> songrec_storage::Result<Vec<Option<Vec<f32>>>> {
        let Some(rows) = self.rows.clone() else { return Ok(vec![None; songs.len()]) };
        let (among, songs) = (self.among.clone(), songs.to_vec());
        let read = move || {
            let is_among = |id: &SongId| {
                among.as_ref().is_none_or(|among| among.contains(&Key(*id.as_bytes())))
            };
            let row = |id: &SongId| if is_among(id) { rows.get(id.as_bytes()) } else { Ok(None) };
            songs.iter().map(row).collect()
        };
        blocking("read", &self.location, read).await
    }

    /// The rows where they are, mapped into memory as one table. They are read once, to
    /// compare them with their checksums.
    ///
    /// # Errors
    ///
    /// When the files cannot be read, or are damaged.
    pub async fn mapped(&self) -> songrec_storage::Result<MappedPoints> {
        let Some(rows) = self.rows.clone() else { return Ok(MappedPoints::none()) };
        let (among, folder) = (self.among.clone(), self.folder.clone());
        let map = move || {
            let table = rows.mapped()?;
            let is_among = |key: &Key| among.as_ref().is_none_or(|among| among.contains(key));
            let songs = table
                .keys()
                .iter()
                .enumerate()
                .filter_map(|(place, key)| Some((place, key.filter(is_among)?)))
                .map(|(place, key)| (place, SongId::from_bytes(key.0)))
                .collect();
            let source = Some(Source { rows, table, _folder: folder });
            Ok(MappedPoints { songs, source })
        };
        blocking("map", &self.location, map).await
    }

    /// Calls `on_found` with the neighbors of every song: the neighbor graph, on
    /// all cores and in little memory. False if it was stopped early.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn neighbors_of_all(
        &self,
        options: &NearOptions,
        on_found: OnNeighbors,
        progress: &dyn Progress,
    ) -> songrec_storage::Result<bool> {
        let Some(rows) = self.rows.clone() else { return Ok(true) };
        let (options, among) = (options.clone(), self.among.clone());
        let is_loose = self.folder.is_some();
        let (reporter, pass_on) = reporter(progress);
        let compare = blocking("compare", &self.location, move || {
            let stop = || options.stop.load(Ordering::Relaxed);
            // Those of a library are built into lists by their writers.
            if is_loose && rows.wants_build() {
                rows.build(&stop)?;
            }
            compare_all(&rows, &options, among.as_deref(), &on_found, &reporter)
        });
        futures::join!(compare, pass_on).0
    }
}

/// The vectors of many songs as one table in memory, which is their file.
///
/// It stays readable whatever happens to the library, but shows what is written there:
/// see [`is_current`](Self::is_current).
#[derive(Debug)]
pub struct MappedPoints {
    /// The songs with their places, in the order of the places.
    songs: Vec<(usize, SongId)>,
    /// Nothing if no song was embedded.
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    rows: Arc<Rows>,
    table: MappedRows,
    // Where the files are removed in the end, not before.
    _folder: Option<Arc<tempfile::TempDir>>,
}

impl MappedPoints {
    fn none() -> Self {
        Self { songs: Vec::new(), source: None }
    }

    /// Each song and the place of its row in the table, in the order of the places.
    pub fn songs(&self) -> &[(usize, SongId)] {
        &self.songs
    }

    /// How many places the table has. Those that no song has are of songs that were not
    /// asked for, or empty.
    pub fn len(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.table.len())
    }

    /// Whether the table has no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the table begins: for each place as many little-endian float32 values as the
    /// model has dimensions. Valid as long as this exists; nothing if it is empty.
    pub fn as_ptr(&self) -> Option<*const f32> {
        let source = self.source.as_ref()?;
        (!source.table.is_empty()).then(|| source.table.as_ptr())
    }

    /// Whether nothing was written to the vectors of the library since. Once something
    /// was, a place may hold the row of another song.
    pub fn is_current(&self) -> bool {
        let is_current = |source: &Source| source.table.generation() == source.rows.generation();
        self.source.as_ref().is_none_or(is_current)
    }
}

fn compare_all(
    rows: &Rows,
    options: &NearOptions,
    among: Option<&RowSet>,
    on_found: &OnNeighbors,
    progress: &dyn Progress,
) -> Result<bool> {
    let total = among.map_or(rows.len(), RowSet::len) as u64;
    progress.on(Event::started(Work::ComparingSongs, Some(total)));
    let compared = AtomicU64::new(0);
    let all = rows.neighbors_of_all(
        &AllNeighbors {
            k: options.k,
            // As in a search: one that is too low lets in more, left out below.
            threshold: options.threshold.map(|least| (least as f32).next_down()),
            filter: among.map_or(songrec_index::Filter::All, songrec_index::Filter::Rows),
            precision: rows.precision(),
        },
        &|| options.stop.load(Ordering::Relaxed),
        &|key, hits| {
            let neighbors: Vec<Neighbor> = hits
                .into_iter()
                .filter(|hit| options.threshold.is_none_or(|least| hit.similarity >= least))
                .map(|hit| Neighbor {
                    song: SongId::from_bytes(hit.key.0),
                    similarity: hit.similarity,
                    distance: hit.distance,
                    key: None,
                })
                .collect();
            if !neighbors.is_empty() {
                on_found(SongId::from_bytes(key.0), neighbors);
            }
            let now = compared.fetch_add(1, Ordering::Relaxed) + 1;
            if now.is_multiple_of(REPORTED) || now == total {
                for _ in 0..(now - 1) % REPORTED + 1 {
                    progress.on(Event::Advanced { item: "", bytes: 0 });
                }
            }
        },
    )?;
    progress.on(Event::Finished);
    Ok(all)
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    location: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> songrec_storage::Result<T> {
    blocking::run(work)
        .await
        .map_err(|fault| fault.during(operation, "the vectors of every song", location))
}
