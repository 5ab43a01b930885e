//! Vectors of songs in memory, prepared so that distances mean what the model means.

use std::sync::Arc;

use songrec_analysis::{Pca, Rows};
use songrec_core::{Event, Job, Metric, ModelSpec, SongId, Work};

use crate::{Error, ErrorKind, Points, Result, work::on_cpu};

/// Vectors that are held in memory at once have at most so many values: 512 MB.
const MOST_VALUES: usize = 128 << 20;
/// Those of a map, of which its method keeps a second copy, have fewer where that costs
/// little: 24 MB.
pub(crate) const MOST_ON_MAP: usize = 6 << 20;
/// Directions that are kept of vectors at the least. Models for sounds differ in fewer.
const LEAST_DIRECTIONS: usize = 32;
/// Finding the main directions of longer vectors takes minutes.
const LONGEST_TURNED: usize = 1_024;
/// Rows that are read in one go.
const READ: usize = 4_096;

/// The vectors of songs as rows of one matrix.
///
/// Rows are prepared for Euclidean distances: those of a model that compares by the
/// cosine have length 1, so that the nearest by one is the nearest by the other.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) spec: ModelSpec,
    /// The song of each row, in the order of the ids.
    pub(crate) ids: Vec<SongId>,
    values: Vec<f32>,
    /// Of which there are as many in a row: the vector, or where it lies along main
    /// directions.
    width: usize,
    /// The part of the vectors' variance that is in the rows.
    pub(crate) variance: f64,
    /// How many songs there are, of which these are some.
    pub(crate) of: usize,
}

impl Sample {
    /// The vectors of all songs of `points`, or where they would take more than 512 MB
    /// or are more than `most`, of as many that are evenly spread over their ids,
    /// which are hashes. Nothing if it was interrupted.
    pub(crate) async fn read(points: &Points, most: usize, job: &Job) -> Result<Option<Self>> {
        Self::read_along(points, most, None, job).await
    }

    /// The same, but where the vectors have more than `values` values together, each
    /// becomes as many numbers as make that, and at least 32: where it lies along the
    /// directions in which the vectors differ most (Pearson 1901). Those are found from
    /// `values` of the values, if vectors have at most 1,024.
    pub(crate) async fn read_narrow(
        points: &Points,
        most: usize,
        values: usize,
        job: &Job,
    ) -> Result<Option<Self>> {
        let dimension = points.spec().dimension;
        let count = points.ids().await?.len().min(most);
        let kept = (values / count.max(1)).max(LEAST_DIRECTIONS);
        if kept >= dimension || dimension > LONGEST_TURNED {
            return Self::read(points, most, job).await;
        }
        let Some(some) = Self::read(points, count.min(values / dimension), job).await? else {
            return Ok(None);
        };
        let there = job.clone();
        let fitted = on_cpu(None, move || {
            let count = kept.min(some.len());
            Pca::fit(some.rows()?, count, &there).map_err(analysis_failed)
        });
        let directions = match fitted.await.map_err(|why| Error::new(ErrorKind::Failed, why))? {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
            directions => Arc::new(directions?),
        };
        Self::read_along(points, most, Some(directions), job).await
    }

    async fn read_along(
        points: &Points,
        most: usize,
        directions: Option<Arc<Pca>>,
        job: &Job,
    ) -> Result<Option<Self>> {
        let spec = points.spec().clone();
        let all = points.ids().await?;
        let width = directions.as_ref().map_or(spec.dimension, |directions| directions.count());
        let count = all.len().min(most).min(MOST_VALUES / width.max(1));
        let chosen: Vec<SongId> = match count == all.len() {
            true => all.clone(),
            false => (0..count).map(|i| all[i * all.len() / count]).collect(),
        };
        let variance = directions.as_ref().map_or(1.0, |directions| directions.ratio.iter().sum());
        let (ids, values) = (Vec::with_capacity(count), Vec::with_capacity(count * width));
        let mut sample = Self { ids, values, width, variance, of: all.len(), spec };
        job.on(Event::started(Work::ReadingEmbeddings, Some(count as u64)));
        for chosen in chosen.chunks(READ) {
            if job.is_interrupted() {
                return Ok(None);
            }
            let (ids, rows) = prepared(points, chosen).await?;
            match directions.clone() {
                None => sample.values.extend_from_slice(&rows),
                Some(directions) => {
                    let (of, spec) = (ids.clone(), sample.spec.clone());
                    let turned = on_cpu(None, move || {
                        let rows = rows_of(&rows, spec.dimension, &of)?;
                        directions.transform(rows).map_err(analysis_failed)
                    });
                    let turned =
                        turned.await.map_err(|why| Error::new(ErrorKind::Failed, why))??;
                    sample.values.extend_from_slice(&turned);
                }
            }
            for _ in &ids {
                job.on(Event::Advanced { item: "", bytes: 0 });
            }
            sample.ids.extend(ids);
        }
        job.on(Event::Finished);
        Ok(Some(sample))
    }

    /// The rows.
    ///
    /// # Errors
    ///
    /// When a stored vector holds what is no number.
    pub(crate) fn rows(&self) -> Result<Rows<'_>> {
        rows_of(&self.values, self.width, &self.ids)
    }

    /// Gives the memory of the rows back: there are none afterwards.
    pub(crate) fn forget_rows(&mut self) {
        self.values = Vec::new();
    }

    /// The row of this number.
    pub(crate) fn row(&self, number: usize) -> &[f32] {
        &self.values[number * self.width..][..self.width]
    }

    /// How many values a row has.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Whether rows are less than the vectors.
    pub(crate) const fn is_narrow(&self) -> bool {
        self.width < self.spec.dimension
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether these are not all songs.
    pub(crate) fn is_part(&self) -> bool {
        self.len() < self.of
    }
}

/// The vectors of these songs, prepared and one after the other, and the songs that have
/// one.
pub(crate) async fn prepared(points: &Points, songs: &[SongId]) -> Result<(Vec<SongId>, Vec<f32>)> {
    let ModelSpec { dimension, metric, .. } = *points.spec();
    let mut ids = Vec::with_capacity(songs.len());
    let mut values = Vec::with_capacity(songs.len() * dimension);
    for (id, row) in songs.iter().zip(points.rows(songs).await?) {
        let Some(mut row) = row.filter(|row| row.len() == dimension) else { continue };
        prepare(&mut row, metric);
        ids.push(*id);
        values.extend_from_slice(&row);
    }
    Ok((ids, values))
}

/// These values as rows of the songs `ids`.
///
/// # Errors
///
/// When a stored vector holds what is no number.
pub(crate) fn rows_of<'a>(values: &'a [f32], width: usize, ids: &[SongId]) -> Result<Rows<'a>> {
    Rows::new(values, width.max(1)).map_err(|error| match error {
        songrec_analysis::Error::NotFinite { row } => Error::new(
            ErrorKind::Corrupt,
            format_args!("the vector of song `{}` is damaged", ids[row].short()),
        )
        .with_hint(songrec_core::Hint::of(
            "{} finds such vectors, and makes those of built-in models again",
            [songrec_core::Remedy::Verify { repair: true, read_data: true }],
        )),
        other => analysis_failed(other),
    })
}

/// Prepares a vector for Euclidean distances.
pub(crate) fn prepare(row: &mut [f32], metric: Metric) {
    if metric != Metric::Cosine {
        return;
    }
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    }
}

/// What analysis says went wrong, as a person would sort it.
pub(crate) fn analysis_failed(error: songrec_analysis::Error) -> Error {
    let kind = match &error {
        songrec_analysis::Error::Interrupted => ErrorKind::Interrupted,
        _ => ErrorKind::Usage,
    };
    Error::new(kind, error)
}
