//! The rows of an index as one table in memory, for programs that compute with all of them.

use std::fmt;

use crate::layout::{File, NPY_HEADER};
use crate::map::Map;
use crate::{Error, Index, Key, Result};

/// The file of the rows of an [`Index`], mapped for reading: nothing is copied, and pages
/// are read when somebody looks at them.
///
/// A table of [`len`](Self::len) rows of [`dimension`](Self::dimension) float32 values, one
/// after another. A place in it has a row of the index, or none: then it is zeros or what a
/// removed row left.
///
/// The map outlives the index that it comes from, and the files of that if they are
/// removed. It is no snapshot: what is put over a row or removed shows here, and another row
/// may take the place of one that was removed. As long as
/// [`generation`](Self::generation) is that of the index, nothing changed.
pub struct MappedRows {
    map: Map,
    keys: Vec<Option<Key>>,
    dimension: usize,
    generation: u64,
}

impl MappedRows {
    /// The key of each place of the table; nothing where there is no row.
    pub fn keys(&self) -> &[Option<Key>] {
        &self.keys
    }

    /// How many places the table has, with and without a row.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many values a row has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The [generation](Index::generation) of the index whose rows these are.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Where the table begins: `len() * dimension()` values, in the byte order of the file,
    /// which is little-endian. They may be read as long as this exists, and never written;
    /// another process may change them meanwhile, so whoever reads them treats them as
    /// plain numbers that may be of any moment.
    pub fn as_ptr(&self) -> *const f32 {
        match self.map.bytes().get(NPY_HEADER..) {
            // The header is a multiple of what numbers are aligned to.
            Some(rows) => rows.as_ptr().cast(),
            None => std::ptr::NonNull::dangling().as_ptr(),
        }
    }
}

impl fmt::Debug for MappedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedRows")
            .field("len", &self.len())
            .field("dimension", &self.dimension)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Index {
    /// The rows where they are, as one table; 17 bytes of memory for each. Reads the rows
    /// once, to compare them with their checksums.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if a row is not as it was written.
    pub fn mapped_rows(&self) -> Result<MappedRows> {
        let store = self.store();
        store.check_whole(&[File::Rows, File::Slots])?;
        store.read(|view| {
            let mut keys = Vec::with_capacity(view.state.slots as usize);
            for slot in 0..view.state.slots {
                let slot = view.slot(slot).map_err(|what| Error::corrupt(self.dir(), what))?;
                keys.push(slot.is_live().then_some(slot.key));
            }
            // A map of its own, which the index never maps anew.
            let end = view.fixed.row_at(view.state.slots);
            let map = store.map(File::Rows, view.state.generation, end)?;
            Ok(MappedRows {
                map,
                keys,
                dimension: view.fixed.dimension,
                generation: view.state.sequence,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Metric, Options};

    fn index(dir: &std::path::Path) -> Index {
        let options = Options { dimension: 3, metric: Metric::Cosine, kind: Kind::Auto };
        Index::create(&dir.join("index"), &options).unwrap()
    }

    fn row(number: u8) -> [f32; 3] {
        [f32::from(number), 1.0, 0.25]
    }

    fn put(index: &Index, numbers: std::ops::Range<u8>) {
        let rows: Vec<_> = numbers.map(|number| (Key([number; 16]), row(number))).collect();
        let rows: Vec<(Key, &[f32])> = rows.iter().map(|(key, row)| (*key, &row[..])).collect();
        index.put(&rows).unwrap();
    }

    fn table(mapped: &MappedRows) -> Vec<Vec<f32>> {
        let bytes = &mapped.map.bytes()[NPY_HEADER..];
        assert_eq!(mapped.as_ptr(), bytes.as_ptr().cast());
        let row = |bytes: &[u8]| {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
        };
        bytes.chunks_exact(4 * mapped.dimension()).map(row).collect()
    }

    #[test]
    fn rows_are_seen_where_they_are_after_the_index_and_its_files_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path());
        put(&index, 1..100);
        index.remove(&[Key([7; 16]), Key([99; 16])]).unwrap();

        let mapped = index.mapped_rows().unwrap();
        drop(index);
        drop(dir);

        let table = table(&mapped);
        assert_eq!((mapped.len(), table.len()), (99, 99));
        let live: Vec<_> =
            mapped.keys().iter().zip(&table).filter_map(|(k, r)| Some(((*k)?, r))).collect();
        assert_eq!(live.len(), 97);
        assert!(live.iter().all(|(key, seen)| seen.as_slice() == row(key.0[0])));
    }

    #[test]
    fn what_changes_shows_and_the_generation_tells() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path());
        put(&index, 1..4);
        let mapped = index.mapped_rows().unwrap();
        let place = mapped.keys().iter().position(|key| *key == Some(Key([2; 16]))).unwrap();
        assert_eq!(index.generation(), mapped.generation());

        index.put(&[(Key([2; 16]), &[5.0, 6.0, 7.0])]).unwrap();

        assert_ne!(index.generation(), mapped.generation());
        assert_eq!(table(&mapped)[place], [5.0, 6.0, 7.0]);
    }

    #[test]
    fn an_index_without_rows_is_an_empty_table() {
        let dir = tempfile::tempdir().unwrap();

        let mapped = index(dir.path()).mapped_rows().unwrap();

        assert!(mapped.is_empty() && !mapped.as_ptr().is_null());
    }

    #[test]
    fn a_damaged_row_is_no_row() {
        let dir = tempfile::tempdir().unwrap();
        put(&index(dir.path()), 1..100);
        let path = dir.path().join("index/rows.npy");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[NPY_HEADER + 40] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        let error = Index::open(&dir.path().join("index")).unwrap().mapped_rows();

        assert!(matches!(error, Err(Error::Corrupt { .. })), "{error:?}");
    }
}
