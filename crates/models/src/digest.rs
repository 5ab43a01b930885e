//! SHA-256 of a model's files.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;

use crate::{
    engine,
    error::{ModelError, ModelErrorKind},
};

/// Checks that the file at `path` has the digest `expected`.
pub(crate) fn check_digest(
    model: &str,
    path: &Path,
    expected: Option<Digest>,
) -> Result<(), ModelError> {
    let Some(expected) = expected else { return Ok(()) };
    let digest = File::open(path)
        .and_then(|mut file| digest_of(&mut file, |_| Ok(())))
        .map_err(|error| engine::unreadable(model, path, error))?;
    if digest == expected { Ok(()) } else { Err(wrong_digest(model, path, expected, digest)) }
}

/// The digest of all that `from` gives; `each` sees every piece of it.
pub(crate) fn digest_of(
    from: &mut dyn Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(Digest(sha.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sha.update(&buffer[..read]);
        each(&buffer[..read])?;
    }
}

/// The error for a file that is not the one that was described.
pub(crate) fn wrong_digest(
    model: &str,
    path: &Path,
    expected: Digest,
    found: Digest,
) -> ModelError {
    ModelError::new(
        model,
        ModelErrorKind::Mismatch,
        format!("its SHA-256 is {found}, but that of the model's file is {expected}"),
    )
    .in_file(path)
    .with_hint(
        "it is damaged, or another model's: get the right file, or add this one under another name",
    )
}
