//! Two songs that may be one recording: whether they are, and what one lacks, from
//! the other.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::Value;
use songrec_core::{Digest, Embedding, Field, ModelName, OperationId, Song, SongSummary, Vector};
use songrec_storage::{DeleteSong, ErrorKind as StorageTrouble};

use crate::{Library, Result, library::now};

/// What of a song differs from what was offered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DifferentValue {
    /// How a model embeds it.
    Embedding {
        /// The model.
        embedding: ModelName,
    },
    /// What an earlier import or a person said.
    Field {
        /// The field.
        field: Field,
        /// The value that it keeps.
        kept: Value,
        /// The other one.
        offered: Value,
    },
}

/// Whether two lengths in seconds may be of one recording; zero is not known.
pub(crate) fn same_length(one: f64, two: f64) -> bool {
    one <= 0.0 || two <= 0.0 || (one - two).abs() <= f64::max(1.0, 0.02 * one.max(two))
}

/// What stands for the SHA-256 of a file of which only the name is known: by
/// this, audio that comes later finds its song.
pub(crate) fn name_lookup_key(path: &Path) -> Option<Digest> {
    // The metadata may come from a system with other separators.
    let name = path.file_name()?.to_string_lossy();
    let name = name.rsplit('\\').next().unwrap_or_default();
    Some(Digest::of(format!("a file that is called\n{}", name.to_lowercase()).as_bytes()))
}

/// The summary of `song` as it will be once it names these embeddings.
pub(crate) fn summary_with(song: &mut Song, embeddings: &[Embedding]) -> SongSummary {
    for embedding in embeddings {
        song.embeddings.insert(embedding.model.clone(), embedding.reference());
    }
    SongSummary::of(song)
}

/// Adds to `stored` what another version of it says and it lacks; gives what
/// differs, which it keeps. Doing it twice is doing it once.
pub(crate) fn complete(stored: &mut Song, other: &Song) -> Vec<DifferentValue> {
    let mut different = Vec::new();
    for (model, reference) in &other.embeddings {
        stored.embeddings.entry(model.clone()).or_insert_with(|| reference.clone());
    }
    complete_files(stored, other);
    for (field, offered) in other.edits.iter() {
        match stored.edits.get(field) {
            None => {
                stored.edits.set_value(field.clone(), offered.clone());
                let name = format!("edits.{field}");
                if let Some(stamp) = other.stamps.get(&name) {
                    stored.stamps.insert(name, *stamp);
                }
            }
            Some(kept) if kept != offered => different.push(DifferentValue::Field {
                field: field.clone(),
                kept: kept.clone(),
                offered: offered.clone(),
            }),
            Some(_) => {}
        }
    }
    let offered = &other.sources.import;
    for field in offered.fields() {
        let (kept, offered) = (stored.sources.import.value(&field), offered.value(&field));
        if let (Some(kept), Some(offered)) = (kept, offered)
            && kept != offered
        {
            different.push(DifferentValue::Field { field, kept, offered });
        }
    }
    stored.sources.import.fill_from(offered);
    // What the other's file and folder say is of another copy: here nobody but
    // the import says it.
    let known = stored.effective_tags();
    let mut copy = other.tags.clone();
    copy.fill_from(&other.sources.folder);
    for field in copy.fields().into_iter().filter(|field| !known.has_value(field)) {
        if let Some(value) = copy.value(&field)
            && stored.edits.get(&field).is_none()
        {
            stored.sources.import.set(&field, &value);
        }
    }
    if stored.sources.file_name.is_empty() {
        stored.sources.file_name.clone_from(&other.sources.file_name);
    }
    for conflict in &other.conflicts {
        if !stored.conflicts.contains(conflict) {
            stored.conflicts.push(conflict.clone());
        }
    }
    if stored.features.is_none() {
        stored.features.clone_from(&other.features);
    }
    if stored.audio.codec.is_empty() && !other.audio.codec.is_empty() {
        stored.audio.clone_from(&other.audio);
    }
    different
}

// Files that are only expected say nothing of a song that has one.
fn complete_files(stored: &mut Song, other: &Song) {
    let has_file = stored.files.iter().any(|file| file.size > 0);
    for file in &other.files {
        let known = stored.files.iter().find(|known| known.path == file.path);
        let wanted = match known {
            None => file.size > 0 || !has_file,
            Some(known) => known.size == 0 && known != file,
        };
        if wanted {
            stored.add_file(file.clone());
        }
    }
}

/// Brings into `song` what was imported without its audio, and gives the path
/// that was expected. Its vectors are stored anew, and its files were never seen.
pub(crate) fn joined(song: &mut Song, met: &Song) -> String {
    let mut said = Song { embeddings: BTreeMap::new(), files: Vec::new(), ..met.clone() };
    if met.has_unsorted_tags() {
        // Without a file they are no file's.
        let mut tags = std::mem::take(&mut said.tags);
        if std::mem::take(&mut tags.from_file_name) {
            tags.title = None;
        }
        said.sources.import.fill_from(&tags);
    }
    complete(song, &said);
    song.added_at = song.added_at.min(met.added_at);
    met.files.first().map(|file| file.path.clone()).unwrap_or_default()
}

/// How each model embeds a song.
pub(crate) async fn vectors_of(library: &Library, song: &Song) -> Result<Vec<(ModelName, Vector)>> {
    let mut vectors = Vec::new();
    for model in song.embeddings.keys() {
        let stored = match library.backend.embeddings().get(model, &[song.id]).await {
            // It is lost; `verify` says so.
            Err(error) if error.kind() == StorageTrouble::Corrupt => continue,
            stored => stored?.into_iter().flatten(),
        };
        vectors.extend(stored.map(|one| (one.embedding.model, one.embedding.vector)));
    }
    Ok(vectors)
}

/// Deletes songs that waited for audio which has a song now; says of each
/// whether it is gone, or was changed by somebody meanwhile.
pub(crate) async fn forget_waiting(library: &Library, songs: &[Song]) -> Result<Vec<bool>> {
    let delete = |song: &Song| DeleteSong {
        id: song.id,
        version: Some(song.revision.operation),
        operation: OperationId::random(),
        at: now(),
        origin: None,
        leaving: None,
    };
    let deletions: Vec<DeleteSong> = songs.iter().map(delete).collect();
    if deletions.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = library.backend.songs().delete(&deletions).await?;
    Ok(outcomes.iter().map(songrec_storage::Outcome::is_done).collect())
}
