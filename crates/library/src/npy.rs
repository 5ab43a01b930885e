//! Vectors as NumPy keeps them.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::Path,
};

use npyz::WriterBuilder;
use songrec_core::Vector;

use crate::Error;

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

/// A vector in the form of a `.npy` file, of float32 or float64 and of any shape:
/// other programs write a row as well as a list.
pub(crate) fn read_vector(read: impl io::Read) -> Result<Vector, String> {
    let npy = npyz::NpyFile::new(read).map_err(|error| error.to_string())?;
    let read = match npy.try_data::<f32>() {
        Ok(values) => values.collect::<io::Result<Vec<f32>>>(),
        Err(npy) => match npy.try_data::<f64>() {
            Ok(values) => values.map(|value| value.map(|value| value as f32)).collect(),
            Err(npy) => {
                return Err(format!("it holds {}, not float32 or float64", npy.dtype().descr()));
            }
        },
    };
    Vector::new(read.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
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
