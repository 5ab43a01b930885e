//! Vectors as NumPy keeps them.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::Path,
};

use songrec_core::Vector;
use songrec_formats::npy;

use crate::Error;

/// No vector has more values.
const MOST: u64 = 1 << 24;

/// A vector as the bytes of a `.npy` file: little-endian float32.
pub fn npy_of(vector: &Vector) -> Vec<u8> {
    let mut bytes = npy::head_of(&[vector.dimension() as u64], 0);
    bytes.extend(vector.to_le_bytes());
    bytes
}

/// A vector in the form of a `.npy` file, of float32 or float64 and of any shape:
/// other programs write a row as well as a list.
pub(crate) fn read_vector(mut read: impl io::Read) -> Result<Vector, String> {
    let (_, values) = npy::read_numbers(&mut read, MOST).map_err(|error| error.to_string())?;
    Vector::new(values).map_err(|error| error.to_string())
}

/// The vector in a `.npy` file: float32 or float64, of any shape.
///
/// # Errors
///
/// When the file cannot be read, or holds no vector: no value, or one that is not
/// finite.
pub fn read_npy(path: &Path) -> crate::Result<Vector> {
    let file = File::open(path).map_err(|error| Error::io("read", path, error))?;
    read_vector(BufReader::new(file)).map_err(|why| {
        Error::usage(format_args!("`{}` holds no vector", path.display()))
            .because(why)
            .with_hint("a vector is a `.npy` file with at least one float32 or float64")
    })
}

/// Writes a vector, or with `rows` a matrix with a row for each, as
/// little-endian float32.
///
/// # Errors
///
/// When the file cannot be written, or the vectors differ in dimension.
pub fn write_npy(path: &Path, vectors: &[&Vector], rows: bool) -> io::Result<()> {
    let dimension = vectors.first().map_or(0, |vector| vector.dimension());
    if vectors.iter().any(|vector| vector.dimension() != dimension) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the vectors differ in dimension"));
    }
    let shape = match rows {
        true => vec![vectors.len() as u64, dimension as u64],
        false => vec![dimension as u64],
    };
    let vectors = if rows { vectors } else { vectors.get(..1).unwrap_or_default() };
    let rows = vectors.iter().map(|vector| vector.values());
    npy::write(&mut BufWriter::new(File::create(path)?), &shape, rows)
}
