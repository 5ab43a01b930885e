//! Vectors as NumPy keeps them.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

use npyz::WriterBuilder;
use songrec_core::Vector;

/// Writes rows of float32 after each other, in this shape.
///
/// # Errors
///
/// When they cannot be written, or are not as many as the shape says.
pub(crate) fn write_rows(out: &mut dyn io::Write, values: &[f32], shape: &[u64]) -> io::Result<()> {
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(out).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()
}

/// A vector as the bytes of a `.npy` file: little-endian float32.
///
/// # Errors
///
/// Never, as far as is known: memory can be written.
pub fn npy_of(vector: &Vector) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_rows(&mut bytes, vector.values(), &[vector.dimension() as u64])?;
    Ok(bytes)
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
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(BufWriter::new(File::create(path)?))
        .begin_nd()?;
    for vector in vectors {
        writer.extend(vector.values().iter().copied())?;
    }
    writer.finish()
}
