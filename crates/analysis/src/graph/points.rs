//! Rows as a metric sees them: as they are, or on the unit sphere.

use rayon::prelude::*;

use crate::{Error, Result, Rows};

use super::Metric;

/// Rows between which squared Euclidean distances are what the metric asks for.
///
/// Under [`Metric::Cosine`] each row is divided by its norm when it is read: half
/// the squared distance of two unit vectors is one minus their cosine. Kept are 4
/// bytes a row.
#[derive(Debug)]
pub(crate) struct Points<'a> {
    rows: Rows<'a>,
    scales: Option<Vec<f32>>,
}

impl<'a> Points<'a> {
    /// # Errors
    ///
    /// [`Error::Zero`] under cosine, for a row without a direction.
    pub(crate) fn new(rows: Rows<'a>, metric: Metric) -> Result<Self> {
        let scales = match metric {
            Metric::Euclidean => None,
            Metric::Cosine => Some(
                rows.values()
                    .par_chunks_exact(rows.dimension())
                    .enumerate()
                    .map(|(row, values)| {
                        // In f64, where the square of no float32 is lost.
                        let square: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
                        let scale = (1.0 / square.sqrt()) as f32;
                        if square > 0.0 && scale.is_finite() {
                            Ok(scale)
                        } else {
                            Err(Error::Zero { row })
                        }
                    })
                    .collect::<Result<_>>()?,
            ),
        };
        Ok(Self { rows, scales })
    }

    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) const fn dimension(&self) -> usize {
        self.rows.dimension()
    }

    /// Appends the point of this number.
    pub(crate) fn append(&self, number: usize, to: &mut Vec<f32>) {
        let row = self.rows.row(number);
        match &self.scales {
            None => to.extend_from_slice(row),
            Some(scales) => to.extend(row.iter().map(|x| x * scales[number])),
        }
    }

    /// Points of these numbers, one after the other.
    pub(crate) fn gather(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let mut values = Vec::new();
        for number in numbers {
            self.append(number, &mut values);
        }
        values
    }
}
