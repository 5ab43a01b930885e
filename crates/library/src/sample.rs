//! Vectors of songs in memory, prepared so that distances mean what the model means.

use songrec_analysis::Rows;
use songrec_core::{Event, Job, Metric, ModelSpec, SongId, Work};

use crate::{Error, ErrorKind, Points, Result};

/// Vectors that are held in memory at once have at most so many values: 512 MB.
const MOST_VALUES: usize = 128 << 20;
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
    /// How many songs there are, of which these are some.
    pub(crate) of: usize,
}

impl Sample {
    /// The vectors of all songs of `points`, or where they would take more than 512 MB
    /// or are more than `most`, of as many that are evenly spread over their ids,
    /// which are hashes. Nothing if it was interrupted.
    pub(crate) async fn read(points: &Points, most: usize, job: &Job) -> Result<Option<Self>> {
        let spec = points.spec().clone();
        let all = points.ids().await?;
        let count = all.len().min(most).min(MOST_VALUES / spec.dimension.max(1));
        let chosen: Vec<SongId> = match count == all.len() {
            true => all.clone(),
            false => (0..count).map(|i| all[i * all.len() / count]).collect(),
        };
        let mut sample =
            Self { ids: Vec::with_capacity(count), values: Vec::new(), of: all.len(), spec };
        sample.values.reserve(count * sample.spec.dimension);
        job.on(Event::started(Work::ReadingEmbeddings, Some(count as u64)));
        for ids in chosen.chunks(READ) {
            if job.is_interrupted() {
                return Ok(None);
            }
            for (id, row) in ids.iter().zip(points.rows(ids).await?) {
                let Some(mut row) = row.filter(|row| row.len() == sample.spec.dimension) else {
                    continue;
                };
                prepare(&mut row, sample.spec.metric);
                sample.ids.push(*id);
                sample.values.extend_from_slice(&row);
                job.on(Event::Advanced { item: "", bytes: 0 });
            }
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
        Rows::new(&self.values, self.spec.dimension.max(1)).map_err(|error| match error {
            songrec_analysis::Error::NotFinite { row } => Error::new(
                ErrorKind::Corrupt,
                format_args!("the vector of song `{}` is damaged", self.ids[row].short()),
            )
            .with_hint(songrec_core::Hint::of(
                "{} finds such vectors, and makes those of built-in models again",
                [songrec_core::Remedy::Verify { repair: true, read_data: true }],
            )),
            other => analysis_failed(other),
        })
    }

    /// The row of this number.
    pub(crate) fn row(&self, number: usize) -> &[f32] {
        &self.values[number * self.spec.dimension..][..self.spec.dimension]
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
