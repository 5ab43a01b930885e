//! Bringing features of different units to one scale.

use serde::{Deserialize, Serialize};

/// Shifts and divides each feature so that over a corpus it has mean 0 and
/// standard deviation 1.
///
/// Invariant: as many deviations as means, and every deviation is positive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Scaler {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

#[derive(Deserialize)]
struct Unchecked {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scaler {
    /// A scaler from the means and standard deviations of each feature.
    ///
    /// # Errors
    ///
    /// When their numbers differ, or one is not finite, or a deviation is not
    /// positive.
    pub fn new(means: Vec<f64>, deviations: Vec<f64>) -> Result<Self, InvalidScaler> {
        if means.len() != deviations.len() {
            return Err(InvalidScaler::Lengths {
                means: means.len(),
                deviations: deviations.len(),
            });
        }
        for (feature, (mean, deviation)) in means.iter().zip(&deviations).enumerate() {
            if !mean.is_finite() || !deviation.is_finite() || *deviation <= 0.0 {
                return Err(InvalidScaler::Value { feature, mean: *mean, deviation: *deviation });
            }
        }
        Ok(Self { means, deviations })
    }

    /// The scaler that brings `rows` to mean 0 and deviation 1; a feature that
    /// is the same in all of them is shifted only.
    ///
    /// # Errors
    ///
    /// When there are no rows, they have different lengths, or a value is not
    /// finite.
    pub fn fit<R: AsRef<[f32]>>(rows: &[R]) -> Result<Self, InvalidScaler> {
        let features = rows.first().ok_or(InvalidScaler::NoRows)?.as_ref().len();
        if let Some(row) = rows.iter().position(|row| row.as_ref().len() != features) {
            return Err(InvalidScaler::Row { row, features });
        }
        let count = rows.len() as f64;
        let column = |feature: usize| rows.iter().map(move |row| f64::from(row.as_ref()[feature]));
        let means: Vec<f64> = (0..features).map(|f| column(f).sum::<f64>() / count).collect();
        let deviations = means
            .iter()
            .enumerate()
            .map(|(f, mean)| {
                let variance = column(f).map(|v| (v - mean).powi(2)).sum::<f64>() / count;
                // Rounding alone makes a constant column deviate by this much.
                let constant = variance.sqrt() <= 1e-9 * mean.abs().max(1e-3);
                if constant { 1.0 } else { variance.sqrt() }
            })
            .collect();
        Self::new(means, deviations)
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.means.len()
    }

    /// The z-score of each value; `row` has as many values as the scaler has
    /// features.
    pub fn apply(&self, row: &[f32]) -> Vec<f32> {
        debug_assert_eq!(row.len(), self.features());
        row.iter()
            .zip(self.means.iter().zip(&self.deviations))
            .map(|(value, (mean, deviation))| ((f64::from(*value) - mean) / deviation) as f32)
            .collect()
    }
}

impl TryFrom<Unchecked> for Scaler {
    type Error = InvalidScaler;

    fn try_from(Unchecked { means, deviations }: Unchecked) -> Result<Self, InvalidScaler> {
        Self::new(means, deviations)
    }
}

/// Why numbers make no scaler.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidScaler {
    #[error("a scaler cannot be fitted to no rows")]
    NoRows,
    #[error("row {row} does not have {features} features as the first one has")]
    Row { row: usize, features: usize },
    #[error("a scaler has {means} means but {deviations} deviations")]
    Lengths { means: usize, deviations: usize },
    #[error("feature {feature} cannot be scaled by mean {mean} and deviation {deviation}")]
    Value { feature: usize, mean: f64, deviation: f64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_rows_have_mean_zero_and_deviation_one() {
        let rows: Vec<[f32; 3]> =
            (0..50).map(|i| [i as f32, 7.0, (i % 7) as f32 * -1000.0]).collect();

        let scaler = Scaler::fit(&rows).unwrap();

        let scaled: Vec<_> = rows.iter().map(|row| scaler.apply(row)).collect();
        for feature in [0, 2] {
            let mean = scaled.iter().map(|r| r[feature]).sum::<f32>() / 50.0;
            let variance = scaled.iter().map(|r| r[feature] * r[feature]).sum::<f32>() / 50.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4);
        }
        assert!(scaled.iter().all(|row| row[1] == 0.0));
    }

    #[test]
    fn what_cannot_be_scaled_is_refused() {
        assert_eq!(Scaler::fit::<[f32; 2]>(&[]), Err(InvalidScaler::NoRows));
        assert!(Scaler::fit(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        assert!(Scaler::fit(&[[f32::NAN]]).is_err());
        assert!(Scaler::new(vec![0.0], vec![0.0]).is_err());
        assert!(Scaler::new(vec![0.0], vec![]).is_err());
    }
}
