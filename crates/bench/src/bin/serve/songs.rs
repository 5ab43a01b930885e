//! The songs that are asked about, and which are truly near them.

use std::path::{Path, PathBuf};

use songrec_bench::{Source, library_of, write_npy};
use songrec_core::{ModelSpec, SongId, Vector};
use songrec_storage::{SongQuery, StorageBackend};

use crate::{
    NEIGHBORS, Result,
    http::{Connection, Request},
};

/// Songs that are asked about in turn.
const ASKED: usize = 1_000;
/// Songs whose true neighbors are looked for.
const CHECKED: usize = 200;
const PAGE: usize = 1_000;

/// The songs of a library with their rows, by id.
pub(crate) struct Songs {
    folder: PathBuf,
    dimension: usize,
    ids: Vec<SongId>,
    rows: Vec<f32>,
    /// The songs that are asked about.
    asked: Vec<usize>,
}

impl Songs {
    /// Those of the library in a folder, which is filled with random ones up to `count`,
    /// whose vectors are `data`.
    pub(crate) async fn of(
        folder: &Path,
        model: &ModelSpec,
        count: usize,
        data: &str,
    ) -> Result<Self> {
        let source = Source::new(data, count, model.dimension)?;
        let vector = |number| Vector::new(source.vector(1, number)).expect("its values are finite");
        let library = library_of(folder, model, count, 0, |_, number| vector(number)).await?;
        let (mut ids, mut rows): (Vec<SongId>, Vec<f32>) = Default::default();
        let mut query = SongQuery { limit: PAGE, ..SongQuery::default() };
        loop {
            let page = library.songs().find_summaries(&query).await?;
            let found: Vec<SongId> = page.items.iter().map(|song| song.id).collect();
            let stored = library.embeddings().get(&model.name, &found).await?;
            for (id, stored) in found.into_iter().zip(stored) {
                let stored = stored.ok_or_else(|| format!("song {id} has no embedding"))?;
                rows.extend_from_slice(stored.embedding.vector.values());
                ids.push(id);
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let asked = (0..ASKED.min(ids.len())).map(|i| i * ids.len() / ASKED.min(ids.len()));
        let asked = asked.collect();
        Ok(Self { folder: folder.to_owned(), dimension: model.dimension, ids, rows, asked })
    }

    /// The ids of the songs that are asked about.
    pub(crate) fn ids(&self) -> impl Iterator<Item = String> {
        self.asked.iter().map(|number| self.ids[*number].to_string())
    }

    /// Their rows.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.asked.iter().map(|number| self.row(*number))
    }

    fn row(&self, number: usize) -> &[f32] {
        &self.rows[number * self.dimension..][..self.dimension]
    }

    /// All rows in a file of NumPy, in which Chroma's server finds them.
    pub(crate) fn write_rows(&self) -> Result<PathBuf> {
        let path = self.folder.join("rows.npy");
        write_npy(&path, &self.rows, self.dimension)?;
        Ok(path)
    }

    /// Which part of the true neighbors is in the answers to `requests`, one for each song that
    /// is asked about. `ids_in` reads an answer: ids, or numbers of rows.
    pub(crate) async fn recall(
        &self,
        requests: &[Request],
        ids_in: fn(&[u8]) -> Result<Vec<String>>,
    ) -> Result<f64> {
        let mut connection = Connection::open(&requests[0].address).await?;
        let mut found = 0;
        let checked = CHECKED.min(self.asked.len());
        for (number, request) in self.asked.iter().zip(requests).take(checked) {
            let answer = ids_in(&connection.ask(request).await?)?;
            let truth = self.nearest(*number);
            let is_found = |other: &&usize| {
                answer.contains(&self.ids[**other].to_string())
                    || answer.contains(&other.to_string())
            };
            found += truth.iter().filter(is_found).count();
        }
        Ok(found as f64 / (checked * NEIGHBORS) as f64)
    }

    // The nearest by cosine but the song itself.
    fn nearest(&self, number: usize) -> Vec<usize> {
        let query = self.row(number);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mut all: Vec<(f32, usize)> = (0..self.ids.len())
            .filter(|other| *other != number)
            .map(|other| {
                let row = self.row(other);
                (dot(query, row) / dot(row, row).sqrt(), other)
            })
            .collect();
        let near = NEIGHBORS.min(all.len());
        if near < all.len() {
            all.select_nth_unstable_by(near, |a, b| b.0.total_cmp(&a.0));
        }
        all.truncate(near);
        all.into_iter().map(|(_, other)| other).collect()
    }
}
