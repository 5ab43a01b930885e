//! Where rows lie on a map.

use crate::{Error, Result};

/// A place on a map for each of some rows, in two or three dimensions.
///
/// Invariant: the number of values is a multiple of the dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    dimensions: usize,
    values: Vec<f32>,
}

impl Layout {
    /// Places, one after the other.
    ///
    /// # Errors
    ///
    /// With other than two or three dimensions, values that are not a multiple of them,
    /// and values that are not finite.
    pub fn new(values: Vec<f32>, dimensions: usize) -> Result<Self> {
        check_dimensions(dimensions)?;
        if !values.len().is_multiple_of(dimensions) {
            return Err(Error::Option {
                option: "the number of values",
                value: values.len().to_string(),
                expected: "a multiple of the dimensions",
            });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::NotFinite { row: at / dimensions }),
            None => Ok(Self { dimensions, values }),
        }
    }

    pub(crate) fn of<const D: usize>(places: &[[f32; D]]) -> Self {
        Self { dimensions: D, values: places.as_flattened().to_vec() }
    }

    pub(crate) fn places<const D: usize>(&self) -> &[[f32; D]] {
        self.values.as_chunks().0
    }

    /// 2 or 3.
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many rows have a place.
    pub const fn len(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Whether none has.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The place of a row.
    pub fn place(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimensions..][..self.dimensions]
    }

    /// All places, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// An error unless a map can have so many dimensions.
pub(crate) fn check_dimensions(dimensions: usize) -> Result<()> {
    if matches!(dimensions, 2 | 3) {
        return Ok(());
    }
    Err(Error::Option {
        option: "the number of dimensions",
        value: dimensions.to_string(),
        expected: "2 or 3",
    })
}
