//! A whole library in one file, and back.
//!
//! An archive ([`songrec_formats::archive`]) holds the documents as backends store them,
//! one JSON document a line, in pieces of some MiB: songs, tombstones, vectors,
//! segments, and the documents beside the songs. A vector names its song and comes after
//! it; so does audio. Whatever is restored goes through a library of its own first
//! ([`Staging`](staging::Staging)), so that nothing of an archive that turns out to be
//! damaged has reached the library, and then by a sync, which knows what is newer.

mod restore;
mod staging;
mod take_in;
mod write;

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, ModelSpec, SongId, Timestamp, Vector};

pub use self::{
    restore::{RestoreOptions, Restored, Restoring},
    take_in::{ArchiveReport, DamagedPart},
    write::{BackedUp, BackupOptions, NotBackedUp, backup, backup_to_file},
};

/// The newest format of archives.
const FORMAT: u32 = 1;
/// What an archive says that it is.
const KIND: &str = "songrec backup";

/// What an archive is; its first piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `songrec backup`.
    pub kind: String,
    /// The format of the archive.
    pub format: u32,
    /// The version of songrec that made it.
    pub songrec: String,
    /// The id of the library that it is of.
    pub library: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// How many songs there were then.
    pub songs: u64,
    /// Whether it holds audio.
    pub audio: bool,
    /// The models of the library.
    pub models: Vec<ModelSpec>,
}

/// How much is in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Songs; one that was changed while they were written may be there twice.
    pub songs: u64,
    /// Deleted songs.
    pub deleted: u64,
    /// Vectors of songs.
    pub embeddings: u64,
    /// Segments: windows and patterns.
    pub segments: u64,
    /// Playlists, synths and clusterings, with deleted ones.
    pub documents: u64,
    /// Audio files.
    pub audio: u64,
}

/// The last piece of an archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    /// How many pieces come before.
    pieces: u64,
    /// SHA-256 of their names, each with a line end.
    names: Digest,
    contents: Contents,
}

/// The first line of a piece with vectors; the others are [`VectorLine`]s.
#[derive(Debug, Serialize, Deserialize)]
struct VectorsOf {
    model: ModelSpec,
}

/// A vector in an archive: little-endian float32 in Base64.
#[derive(Debug, Serialize, Deserialize)]
struct VectorLine {
    song: SongId,
    vector: String,
}

impl VectorLine {
    fn of(song: SongId, vector: &Vector) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};

        Self { song, vector: STANDARD.encode(vector.to_le_bytes()) }
    }

    fn read(&self) -> Result<Vector, String> {
        use base64::{Engine, engine::general_purpose::STANDARD};

        let bytes = STANDARD.decode(&self.vector).map_err(|error| error.to_string())?;
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err("its vector is cut off".to_owned());
        }
        let values = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        Vector::new(values).map_err(|error| error.to_string())
    }
}
