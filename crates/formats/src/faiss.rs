//! Flat indexes of FAISS: all vectors, one after the other.
//!
//! As `faiss::write_index` of version 1.7 and later writes them, in little-endian order:
//! four letters, the dimension (int32), the number of vectors (int64), two numbers that say
//! nothing (int64), whether it is trained (one byte), the metric (int32; 0 is the inner
//! product, 1 the squared Euclidean distance), the number of elements (uint64), and these
//! as float32. An index with ids (`IxMp`, `IxM2`) has the same head, the index itself, the
//! number of ids (uint64), and these as int64.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// How an index compares vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaissMetric {
    /// By the inner product: the cosine, if the vectors have length 1.
    InnerProduct,
    /// By the squared Euclidean distance.
    L2,
}

/// The head that is written of every index.
const HEAD: u64 = 4 + 4 + 8 + 8 + 8 + 1 + 4;
/// What FAISS writes where a number says nothing.
const NOTHING: i64 = 1 << 20;
/// More elements than any vector has.
const LARGEST_DIMENSION: i32 = 1 << 20;

/// Why a file is no index that can be read.
#[derive(Debug, thiserror::Error)]
pub enum FaissError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is an index of another kind.
    #[error(
        "it is an index of the kind `{0}`, and only flat ones are read: rebuild it with \
         `faiss.IndexFlatIP` from `index.reconstruct_n(0, index.ntotal)`"
    )]
    OtherKind(String),
    /// It is damaged.
    #[error("{0}")]
    Damaged(String),
}

/// A flat index that is open for reading.
#[derive(Debug)]
pub struct FlatIndex {
    file: BufReader<File>,
    /// The number of elements of each vector.
    pub dimension: usize,
    /// How many vectors there are.
    pub count: u64,
    /// How they are compared.
    pub metric: FaissMetric,
    /// The ids of the vectors, where they are not 0, 1, 2, ….
    pub ids: Option<Vec<i64>>,
    vectors_at: u64,
    next: u64,
}

impl FlatIndex {
    /// Whether a file begins as an index of FAISS.
    pub fn is_index(begins: &[u8]) -> bool {
        begins.len() >= 8
            && begins.starts_with(b"I")
            && begins[..4].iter().all(u8::is_ascii_alphanumeric)
            && i32::from_le_bytes([begins[4], begins[5], begins[6], begins[7]]) > 0
            && KINDS.iter().any(|kind| begins.starts_with(kind.as_bytes()))
    }

    /// Opens the index in a file.
    ///
    /// # Errors
    ///
    /// When it is no flat index, or not as long as it says.
    pub fn open(path: &Path) -> Result<Self, FaissError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let outer = kind(&mut file)?;
        let with_ids = matches!(outer.as_str(), "IxMp" | "IxM2");
        let mut inner = outer;
        if with_ids {
            head(&mut file)?;
            inner = kind(&mut file)?;
        }
        if !matches!(inner.as_str(), "IxFI" | "IxF2" | "IxFl") {
            return Err(FaissError::OtherKind(inner));
        }
        let (dimension, count, metric) = head(&mut file)?;
        let elements = u64::from_le_bytes(bytes(&mut file)?);
        let vectors_at = file.stream_position()?;
        let expected = count.checked_mul(dimension as u64);
        let end = elements.checked_mul(4).and_then(|size| size.checked_add(vectors_at));
        if expected != Some(elements) || end.is_none_or(|end| end > length) {
            return Err(FaissError::Damaged(format!(
                "it says that it has {count} vectors of {dimension} elements, and is not that long"
            )));
        }
        let ids = match (with_ids, end) {
            (true, Some(end)) => {
                file.seek(SeekFrom::Start(end))?;
                let many = u64::from_le_bytes(bytes(&mut file)?);
                if many != count || length - end < 8 + 8 * many {
                    return Err(FaissError::Damaged("its ids are cut off".to_owned()));
                }
                let read = |_| Ok(i64::from_le_bytes(bytes(&mut file)?));
                Some((0..many).map(read).collect::<Result<Vec<i64>, FaissError>>()?)
            }
            _ => None,
        };
        file.seek(SeekFrom::Start(vectors_at))?;
        Ok(Self { file, dimension, count, metric, ids, vectors_at, next: 0 })
    }

    /// The next vector; nothing after the last.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn next_vector(&mut self) -> Result<Option<Vec<f32>>, FaissError> {
        if self.next == self.count {
            return Ok(None);
        }
        let mut row = vec![0; self.dimension * 4];
        self.file.read_exact(&mut row)?;
        self.next += 1;
        let (values, _) = row.as_chunks::<4>();
        Ok(Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect()))
    }

    /// The vector in a row.
    ///
    /// # Errors
    ///
    /// When there is no such row.
    pub fn vector(&mut self, row: u64) -> Result<Vec<f32>, FaissError> {
        if row >= self.count {
            return Err(FaissError::Damaged(format!("it has no row {row}")));
        }
        if row != self.next {
            let at = self.vectors_at + row * self.dimension as u64 * 4;
            self.file.seek(SeekFrom::Start(at))?;
            self.next = row;
        }
        let vector = self.next_vector()?;
        vector.ok_or_else(|| FaissError::Damaged(format!("it has no row {row}")))
    }
}

/// The kinds of indexes that are known by name, to refuse them in words.
const KINDS: [&str; 24] = [
    "IxFI", "IxF2", "IxFl", "IxMp", "IxM2", "IwFl", "IwFL", "IwPQ", "IwQR", "IwSq", "IwSQ", "IxPq",
    "IxPo", "IxPQ", "IxSQ", "IxRR", "IxPT", "IxRF", "IHNf", "IHNs", "IHNp", "IHN2", "INSf", "IxHE",
];

fn kind(file: &mut impl Read) -> Result<String, FaissError> {
    let letters: [u8; 4] = bytes(file)?;
    let text = String::from_utf8_lossy(&letters).into_owned();
    match text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err(FaissError::Damaged("it is no index of FAISS".to_owned())),
    }
}

fn head(file: &mut impl Read) -> Result<(usize, u64, FaissMetric), FaissError> {
    let dimension = i32::from_le_bytes(bytes(file)?);
    let count = i64::from_le_bytes(bytes(file)?);
    let _: [u8; 17] = bytes(file)?;
    let metric = match i32::from_le_bytes(bytes(file)?) {
        0 => FaissMetric::InnerProduct,
        1 => FaissMetric::L2,
        other => {
            let what = format!("it compares vectors by the metric {other}, which songrec lacks");
            return Err(FaissError::Damaged(what));
        }
    };
    if !(1..=LARGEST_DIMENSION).contains(&dimension) {
        return Err(FaissError::Damaged(format!("its vectors have {dimension} elements")));
    }
    let count =
        u64::try_from(count).map_err(|_| FaissError::Damaged(format!("it has {count} vectors")))?;
    Ok((dimension as usize, count, metric))
}

fn bytes<const N: usize>(file: &mut impl Read) -> Result<[u8; N], FaissError> {
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(FaissError::Damaged("it is cut off".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a flat index.
#[derive(Debug)]
pub struct FlatWriter {
    file: BufWriter<File>,
    dimension: usize,
    count: u64,
}

impl FlatWriter {
    /// An index of vectors of this dimension, in a new file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(file: File, dimension: usize, metric: FaissMetric) -> io::Result<Self> {
        let mut file = BufWriter::new(file);
        let (letters, metric) = match metric {
            FaissMetric::InnerProduct => (b"IxFI", 0_i32),
            FaissMetric::L2 => (b"IxF2", 1),
        };
        let small = i32::try_from(dimension).map_err(io::Error::other)?;
        file.write_all(letters)?;
        file.write_all(&small.to_le_bytes())?;
        file.write_all(&0_i64.to_le_bytes())?;
        file.write_all(&NOTHING.to_le_bytes())?;
        file.write_all(&NOTHING.to_le_bytes())?;
        file.write_all(&[1])?;
        file.write_all(&metric.to_le_bytes())?;
        file.write_all(&0_u64.to_le_bytes())?;
        Ok(Self { file, dimension, count: 0 })
    }

    /// Adds a vector.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or has another dimension.
    pub fn add(&mut self, vector: &[f32]) -> io::Result<()> {
        if vector.len() != self.dimension {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "another dimension"));
        }
        for value in vector {
            self.file.write_all(&value.to_le_bytes())?;
        }
        self.count += 1;
        Ok(())
    }

    /// Writes how many vectors there are, and gives the file.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn finish(self) -> io::Result<File> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(8))?;
        file.write_all(&self.count.to_le_bytes())?;
        file.seek(SeekFrom::Start(HEAD))?;
        file.write_all(&(self.count * self.dimension as u64).to_le_bytes())?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn written(rows: &[[f32; 3]]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let copy = file.reopen().unwrap();
        let mut writer = FlatWriter::new(copy, 3, FaissMetric::InnerProduct).unwrap();
        for row in rows {
            writer.add(row).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    #[test]
    fn what_was_written_is_read() {
        let rows = [[1.0, 2.0, 3.0], [0.5, -0.5, 0.0]];
        let file = written(&rows);

        let mut index = FlatIndex::open(file.path()).unwrap();

        assert_eq!((index.dimension, index.count), (3, 2));
        assert_eq!((index.metric, index.ids.clone()), (FaissMetric::InnerProduct, None));
        assert_eq!(index.vector(1).unwrap(), rows[1]);
        assert_eq!(index.vector(0).unwrap(), rows[0]);
        assert_eq!(index.next_vector().unwrap().unwrap(), rows[1]);
        assert!(index.next_vector().unwrap().is_none() && index.vector(2).is_err());
        assert!(FlatIndex::is_index(&std::fs::read(file.path()).unwrap()[..16]));
    }

    #[test]
    fn what_is_cut_or_lies_is_refused_in_words() {
        let bytes = std::fs::read(written(&[[1.0, 2.0, 3.0]]).path()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut wrong: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
        for (at, value) in [(4, 0xff), (15, 0x7f), (7, 0x7f), (33, 9), (0, 0)] {
            let mut other = bytes.clone();
            other[at] = value;
            wrong.push(other);
        }
        for bytes in wrong {
            std::fs::write(file.path(), &bytes).unwrap();
            assert!(FlatIndex::open(file.path()).is_err(), "{bytes:?}");
        }
        let mut other = bytes;
        other[..4].copy_from_slice(b"IHNf");
        std::fs::write(file.path(), other).unwrap();
        let error = FlatIndex::open(file.path()).unwrap_err().to_string();
        assert!(error.contains("`IHNf`") && error.contains("IndexFlatIP"), "{error}");
    }
}
