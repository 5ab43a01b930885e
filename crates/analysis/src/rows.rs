//! Borrowed rows of numbers.

use crate::{Error, Result};

/// `n` rows of `dimension` float32 values each, one after the other.
///
/// Invariant: the number of values is a multiple of the dimension, and every value
/// is finite.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Rows<'a> {
    /// The rows in `values`, whose length is a multiple of `dimension`.
    ///
    /// Looks at every value once.
    ///
    /// # Errors
    ///
    /// When a value is not finite.
    ///
    /// # Panics
    ///
    /// When the dimension is 0 or does not divide the number of values.
    pub fn new(values: &'a [f32], dimension: usize) -> Result<Self> {
        assert!(dimension > 0 && values.len().is_multiple_of(dimension), "rows of one length");
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::NotFinite { row: at / dimension }),
            None => Ok(Self { values, dimension }),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of values of each.
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// The row of this number.
    pub fn row(&self, number: usize) -> &'a [f32] {
        &self.values[number * self.dimension..][..self.dimension]
    }

    /// All values, row after row.
    pub const fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Each row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.dimension)
    }

    /// An error unless there are `needed` rows or more.
    pub(crate) fn at_least(&self, needed: usize) -> Result<()> {
        if self.len() < needed {
            return Err(Error::TooFew { needed, found: self.len() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_finite_and_of_one_length() {
        let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2).unwrap();

        assert_eq!((rows.len(), rows.row(1)), (2, &[3.0, 4.0][..]));
        let refused = Rows::new(&[1.0, 2.0, f32::NAN, 4.0], 2).unwrap_err();
        assert_eq!(refused, Error::NotFinite { row: 1 });
    }
}
