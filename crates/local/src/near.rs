//! The neighbors of every song at once.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use songrec_core::{Event, Filter, ModelName, ModelSpec, Progress, SongId, Vector};
use songrec_index::{AllNeighbors, RowSet};
use songrec_storage::Neighbor;

use crate::{
    backend::IndexKind,
    catalog::{Catalog, Kind},
    error::{Fault, Result},
    inner::Inner,
    vectors::{Rows, row_set},
};

/// Which neighbors of every song are looked for.
#[derive(Clone, Debug)]
pub struct NearOptions {
    /// By which model, and its metric.
    pub model: ModelName,
    /// How many of each song, at the most.
    pub k: usize,
    /// The lowest similarity that counts. The higher, the faster.
    pub threshold: Option<f64>,
    /// Which songs are compared with each other.
    pub filter: Filter,
    /// Set by somebody else to end it early.
    pub stop: Arc<AtomicBool>,
}

/// Is told each song that has neighbors, with these, nearest first: from any
/// thread and in any order.
pub type OnNeighbors = Arc<dyn Fn(SongId, Vec<Neighbor>) + Send + Sync>;

/// How many songs are compared before somebody is told how far it is.
const TOLD: u64 = 256;

impl Inner {
    /// False if it was ended early.
    pub(crate) fn neighbors_of_all(
        &self,
        options: &NearOptions,
        on_found: &OnNeighbors,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let name = &options.model;
        let (rows, among) = self.read(|connection| {
            let model = Catalog::model(connection, name)?
                .ok_or_else(|| Fault::invalid(format_args!("there is no model `{name}` here")))?;
            let among = match options.filter.is_all() {
                true => None,
                false => Some(row_set(Catalog::ids_passing(connection, &options.filter)?)),
            };
            // Before anybody is told of neighbors, for they are told once.
            let rows = self.with_rows(connection, &model, Kind::Song, |rows| {
                rows.check().map(|()| Arc::clone(rows))
            })?;
            Ok((rows, among))
        })?;
        match rows {
            Some(rows) => compare_all(&rows, options, among.as_ref(), on_found, progress),
            None => Ok(true),
        }
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
    progress.on(Event::Started { work: "comparing every song", total: Some(total) });
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
        &|id, hits| {
            let neighbors: Vec<Neighbor> = hits
                .into_iter()
                .filter(|hit| options.threshold.is_none_or(|least| hit.similarity >= least))
                .map(|hit| Neighbor {
                    song: SongId::from_bytes(hit.id),
                    similarity: hit.similarity,
                    distance: hit.distance,
                    key: None,
                })
                .collect();
            if !neighbors.is_empty() {
                on_found(SongId::from_bytes(id), neighbors);
            }
            let now = compared.fetch_add(1, Ordering::Relaxed) + 1;
            if now.is_multiple_of(TOLD) || now == total {
                for _ in 0..(now - 1) % TOLD + 1 {
                    progress.on(Event::Advanced { item: "", bytes: 0 });
                }
            }
        },
    )?;
    progress.on(Event::Finished);
    Ok(all)
}

/// Vectors of songs that are kept elsewhere, arranged for one piece of work.
///
/// They are in files of a folder that is removed with it, so that they may be
/// more than memory holds.
pub struct LooseVectors {
    rows: Arc<Rows>,
    _folder: tempfile::TempDir,
}

impl fmt::Debug for LooseVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LooseVectors").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl LooseVectors {
    /// None yet, in a new folder within `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub async fn create(folder: &Path, spec: &ModelSpec) -> songrec_storage::Result<Self> {
        let (folder, spec) = (folder.to_owned(), spec.clone());
        blocking(move || {
            std::fs::create_dir_all(&folder).map_err(Fault::io("make", &folder))?;
            let folder = tempfile::Builder::new()
                .prefix("vectors-")
                .tempdir_in(&folder)
                .map_err(Fault::io("make a folder in", &folder))?;
            let rows = Arc::new(Rows::loose(&folder.path().join("index"), &spec, IndexKind::Auto)?);
            Ok(Self { rows, _folder: folder })
        })
        .await
    }

    /// Adds vectors of songs.
    ///
    /// # Errors
    ///
    /// When they are not of the model's dimension, or the disk is full.
    pub async fn put(&self, vectors: Vec<(SongId, Vector)>) -> songrec_storage::Result<()> {
        let rows = Arc::clone(&self.rows);
        blocking(move || {
            let vectors: Vec<([u8; 16], Vector)> =
                vectors.into_iter().map(|(id, vector)| (*id.as_bytes(), vector)).collect();
            rows.put(&vectors)
        })
        .await
    }

    /// Tells the neighbors of every song; the model and the filter of
    /// `options` do not count. False if it was ended early.
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
        let (rows, options) = (Arc::clone(&self.rows), options.clone());
        let (teller, pass_on) = crate::progress::teller(progress);
        let compare = blocking(move || {
            let stop = || options.stop.load(Ordering::Relaxed);
            if rows.want_arranging() {
                rows.arrange(&stop)?;
            }
            compare_all(&rows, &options, None, &on_found, &teller)
        });
        futures::join!(compare, pass_on).0
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> songrec_storage::Result<T> {
    crate::backend::join(tokio::task::spawn_blocking(work).await)
        .map_err(|fault| fault.during("compare", "every song", "a temporary folder"))
}
