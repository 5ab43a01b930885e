//! Benchmarks, and what several of them need.

mod source;

use std::{error::Error, io::Write, path::Path};

use rand::{RngCore, SeedableRng, rngs::StdRng};
use songrec_core::{Digest, Embedding, Filter, ModelSpec, OperationId, Silent, Vector};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{BlobSource, NewBlob, PutMode, StorageBackend};
use songrec_testkit::{new_embedding, put, random_song, random_vector};

pub use self::source::Source;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Storing is quickest in batches of this size.
const BATCH: usize = 512;

/// A local library of at least `songs` random songs, each embedded by `model`;
/// with `audio`, each with so many bytes of audio. What is there already stays.
///
/// # Errors
///
/// Those of the library and the disk.
pub async fn random_library(
    folder: &Path,
    model: &ModelSpec,
    songs: usize,
    audio: usize,
) -> Result<LocalBackend> {
    library_of(folder, model, songs, audio, |rng, _| random_vector(rng, model)).await
}

/// The same with other vectors: `vector` gives that of a song by its number.
///
/// # Errors
///
/// Those of the library and the disk.
pub async fn library_of(
    folder: &Path,
    model: &ModelSpec,
    songs: usize,
    audio: usize,
    mut vector: impl FnMut(&mut StdRng, usize) -> Vector,
) -> Result<LocalBackend> {
    let options = LocalOptions { keeps_copies: audio > 0, ..LocalOptions::default() };
    std::fs::create_dir_all(folder)?;
    let library = LocalBackend::open_or_create(folder, options, &Silent).await?;
    library.embeddings().put_model(model).await?;
    let mut stored = usize::try_from(library.songs().count(&Filter::all()).await?)?;
    let mut rng = StdRng::seed_from_u64(stored as u64);
    while stored < songs {
        let mut batch: Vec<_> =
            (0..BATCH.min(songs - stored)).map(|_| random_song(&mut rng)).collect();
        let embeddings: Vec<_> = batch
            .iter()
            .enumerate()
            .map(|(number, song)| {
                let vector = vector(&mut rng, stored + number);
                new_embedding(song, Embedding { song: song.id, model: model.name.clone(), vector })
            })
            .collect();
        let references = library.embeddings().put(&embeddings).await?;
        for (song, reference) in batch.iter_mut().zip(references) {
            song.embeddings.clear();
            song.embeddings.insert(model.name.clone(), reference);
            // One that is silent would be nobody's neighbor.
            song.audio.warnings.clear();
            if audio == 0 {
                continue;
            }
            let mut bytes = vec![0; audio];
            rng.fill_bytes(&mut bytes);
            let mut file = tempfile::NamedTempFile::new()?;
            file.write_all(&bytes)?;
            let new = NewBlob {
                sha256: Digest::of(&bytes),
                size: audio as u64,
                operation: OperationId::random(),
            };
            let source = BlobSource::Path(file.path().to_owned());
            (song.blob, song.files) = (Some(library.blobs().put(&new, source).await?), Vec::new());
        }
        let puts: Vec<_> = batch.iter().map(|song| put(song, PutMode::Create)).collect();
        library.songs().put(&puts).await?;
        stored += batch.len();
    }
    Ok(library)
}

/// Writes rows of `width` values into a file of NumPy.
///
/// # Errors
///
/// Those of the disk.
pub fn write_npy(path: &Path, values: &[f32], width: usize) -> std::io::Result<()> {
    let shape = format!("({}, {width})", values.len() / width);
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(path, bytes)
}
