//! Hashes of files.

use std::path::Path;

use sha2::Digest as _;
use songrec_core::Digest;

/// SHA-256 of a file, read piece by piece.
pub(crate) fn hash_file(path: &Path) -> std::io::Result<Digest> {
    let mut hash = sha2::Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut HashWriter(&mut hash))?;
    Ok(Digest(hash.finalize().into()))
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
