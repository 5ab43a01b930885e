//! Vectors as a model gave them.

use serde::{Deserialize, Serialize};

/// The output of a model: float32 values exactly as the model gave them.
///
/// Invariant: there is at least one element and every element is finite. The
/// norm is kept beside the values, so that cosine costs one dot product and no
/// backend has to change a bit of what is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Vector {
    values: Vec<f32>,
    norm: f64,
}

impl Vector {
    /// Checks `values` and keeps them.
    ///
    /// # Errors
    ///
    /// When there are none, or one is not finite.
    pub fn new(values: Vec<f32>) -> Result<Self, InvalidVector> {
        if values.is_empty() {
            return Err(InvalidVector::Empty);
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(InvalidVector::NotFinite { at, value: values[at] });
        }
        let norm = dot(&values, &values).sqrt();
        Ok(Self { values, norm })
    }

    /// The elements.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The number of elements.
    pub fn dimension(&self) -> usize {
        self.values.len()
    }

    /// The Euclidean length.
    pub const fn norm(&self) -> f64 {
        self.norm
    }

    /// Whether every element is zero, so that the vector has no direction.
    pub fn is_zero(&self) -> bool {
        self.norm == 0.0
    }

    /// The elements as little-endian bytes: what a digest of an embedding is
    /// taken over, on every backend.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The inner product with a vector of the same dimension.
    pub fn dot(&self, other: &Self) -> f64 {
        dot(&self.values, &other.values)
    }
}

// Eight sums in f64: in f32 the last bits depend on the order of summation,
// and with them the ranking of near-duplicates; eight, so that the compiler
// can use wide registers.
fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f64 = left_chunks
        .remainder()
        .iter()
        .zip(right_chunks.remainder())
        .map(|(l, r)| f64::from(*l) * f64::from(*r))
        .sum();
    for (l, r) in left_chunks.zip(right_chunks) {
        for lane in 0..8 {
            sums[lane] += f64::from(l[lane]) * f64::from(r[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

impl TryFrom<Vec<f32>> for Vector {
    type Error = InvalidVector;

    fn try_from(values: Vec<f32>) -> Result<Self, InvalidVector> {
        Self::new(values)
    }
}

impl From<Vector> for Vec<f32> {
    fn from(vector: Vector) -> Self {
        vector.values
    }
}

/// Values that are no vector.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidVector {
    /// There were no values at all.
    #[error("a vector needs at least one element")]
    Empty,
    /// An element is infinite or not a number.
    #[error("element {at} is {value}, but every element must be finite")]
    NotFinite {
        /// The position of the element, from zero.
        at: usize,
        /// The element.
        value: f32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_the_euclidean_length() {
        let vector = Vector::new(vec![3.0, 0.0, 4.0]).unwrap();

        assert_eq!(vector.norm(), 5.0);
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert_eq!(Vector::new(vec![]), Err(InvalidVector::Empty));
        assert!(Vector::new(vec![1.0, f32::NAN]).is_err());
        assert!(Vector::new(vec![f32::INFINITY]).is_err());
    }

    #[test]
    fn a_dot_product_counts_every_element() {
        let ones = Vector::new(vec![1.0; 19]).unwrap();

        assert_eq!(ones.dot(&ones), 19.0);
    }
}
