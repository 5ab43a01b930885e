//! Embeddings as they lie in files.
//!
//! The file is named by the song. Only where two embeddings of one song by one
//! model were stored before the song named one of them does the second
//! have its digest in its name as well.

use std::path::Path;

use songrec_core::{Digest, EmbeddingRef, ModelName, SongId, Vector};

use crate::{
    error::{Fault, Result},
    files::Files,
    files::Layout,
    files::npy,
};

/// The embedding that a song names, bit for bit; nothing if it is not there.
pub(crate) fn read(
    layout: &Layout,
    files: &Files,
    model: &ModelName,
    id: SongId,
    reference: &EmbeddingRef,
) -> Result<Option<Vector>> {
    let path = layout.embedding(model, id);
    let first = match read_file(files, &path) {
        Ok(Some((vector, digest))) if digest == reference.digest => return Ok(Some(vector)),
        Ok(Some(_)) => Err(Fault::damaged(&path, "its digest is not the one that its song names")),
        Ok(None) => Ok(None),
        Err(fault @ Fault::Damaged { .. }) => Err(fault),
        Err(other) => return Err(other),
    };
    let path = layout.other_embedding(model, id, &reference.digest);
    match read_file(files, &path)? {
        Some((vector, digest)) if digest == reference.digest => Ok(Some(vector)),
        Some(_) => Err(Fault::damaged(&path, "its digest is not the one in its name")),
        None => first,
    }
}

/// What a file holds, with its digest; nothing if there is no file.
pub(crate) fn read_file(files: &Files, path: &Path) -> Result<Option<(Vector, Digest)>> {
    let Some(bytes) = files.read(path)? else { return Ok(None) };
    let vector = npy::decode(&bytes).map_err(|why| Fault::damaged(path, why))?;
    let digest = Digest::of(&vector.to_le_bytes());
    Ok(Some((vector, digest)))
}
