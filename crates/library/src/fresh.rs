//! Whether an answer that was worked out before still holds.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, Event, Filter, Job};
use songrec_storage::{Cursor, ErrorKind as StorageTrouble};

use crate::{Library, Result};

/// Changes that are asked for at once.
const CHANGES: usize = 1_000;

/// How far a library that is far away was looked at, and what it was like then.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    cursor: Cursor,
    state: String,
}

/// A text that is another one after every change of a song.
///
/// Costs nothing for a local library. For one that is far away it costs one request,
/// and one more for each thousand songs that changed since the last look; the first
/// look goes through all songs, at some 150 bytes each.
///
/// # Errors
///
/// Those of the library.
pub async fn state(library: &Library, job: &Job) -> Result<String> {
    if let Some(local) = &library.local {
        return Ok(local.songs_state().await?);
    }
    let file = folder(library).join("looked.json");
    let looked: Option<Looked> =
        fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (mut cursor, mut state) = match looked {
        Some(Looked { cursor, state }) => (Some(cursor), state),
        None => (None, String::new()),
    };
    let is_first = cursor.is_none();
    if is_first {
        let songs = library.backend().songs().count(&Filter::all()).await?;
        job.on(Event::Started { work: "looking for changes", total: Some(songs) });
    }
    loop {
        let page = match library.backend().maintenance().heads(cursor.as_ref(), CHANGES).await {
            Err(error) if error.kind() == StorageTrouble::CursorLost => {
                cursor = None;
                continue;
            }
            page => page?,
        };
        if cursor.is_none() || !page.changes.is_empty() {
            state = Digest::of(page.cursor.0.as_bytes()).to_string();
        }
        if is_first {
            page.changes.iter().for_each(|_| job.on(Event::Advanced { item: "", bytes: 0 }));
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    if is_first {
        job.on(Event::Finished);
    }
    if let Some(cursor) = cursor {
        let looked = Looked { cursor, state: state.clone() };
        write(&file, &serde_json::to_vec(&looked).unwrap_or_default());
    }
    Ok(state)
}

/// Whether the answer called `name` was worked out for this request, in this state.
pub(crate) fn is_fresh(
    library: &Library,
    name: &str,
    state: &str,
    request: &impl Serialize,
) -> bool {
    fs::read_to_string(mark(library, name)).is_ok_and(|mark| mark == tell(state, request))
}

/// Notes that it was.
pub(crate) fn keep(library: &Library, name: &str, state: &str, request: &impl Serialize) {
    write(&mark(library, name), tell(state, request).as_bytes());
}

/// The answer called `name`, if it was worked out for this request, in this state.
pub(crate) fn answer(
    library: &Library,
    name: &str,
    state: &str,
    request: &impl Serialize,
) -> Option<Vec<u8>> {
    is_fresh(library, name, state, request).then(|| fs::read(file(library, name)).ok()).flatten()
}

/// Keeps an answer.
pub(crate) fn keep_answer(
    library: &Library,
    name: &str,
    state: &str,
    request: &impl Serialize,
    answer: &[u8],
) {
    // The mark of the old one must not stand beside the new one.
    let _ = fs::remove_file(mark(library, name));
    write(&file(library, name), answer);
    keep(library, name, state, request);
}

fn tell(state: &str, request: &impl Serialize) -> String {
    let request = serde_json::to_vec(request).unwrap_or_default();
    format!("{state} {}", Digest::of(&request))
}

/// The folder for what is worked out of a library again and again, on this machine.
pub(crate) fn folder(library: &Library) -> PathBuf {
    library.config().directories().cache.join("analysis").join(&library.id)
}

/// Where the answer called `name` is kept.
pub(crate) fn file(library: &Library, name: &str) -> PathBuf {
    folder(library).join(name)
}

fn mark(library: &Library, name: &str) -> PathBuf {
    folder(library).join(format!("{name}.made-of"))
}

/// Writes a file whole or not at all. Without it an answer is worked out again.
pub(crate) fn write(file: &std::path::Path, bytes: &[u8]) {
    let Some(folder) = file.parent() else { return };
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut new, bytes)?;
        new.persist(file).map_err(|error| error.error)
    });
    let _ = written;
}
