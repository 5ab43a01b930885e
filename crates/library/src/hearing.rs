//! The bridge from async to the CPU: every file is heard here.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use songrec_audio::{Analysis, Identity, Wanted};
use songrec_core::{ModelName, Song, SongFile, Vector, encode_path};

use crate::{Error, ErrorKind, Result, library::now};

/// Tells long work to come to an end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks for the end; what is in flight is finished.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The same question for code that knows nothing of interrupts.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether the end was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `work` on `pool`; the runtime stays free to do I/O. A panic of a
/// decoder becomes an error, and takes nothing with it.
pub(crate) async fn on_cpu<T: Send + 'static>(
    pool: Option<&rayon::ThreadPool>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, String> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let job = move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // Fails only if the caller was cancelled and nobody wants the result.
        let _ = send.send(result);
    };
    match pool {
        Some(pool) => pool.spawn(job),
        None => rayon::spawn(job),
    }
    receive.await.expect("the job always sends").map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        format!("reading it failed inside songrec: {}", text.unwrap_or_default())
    })
}

/// What a file is, without decoding it.
pub(crate) async fn identify(path: &Path) -> Result<Identity> {
    let path: PathBuf = path.to_owned();
    on_cpu(None, move || songrec_audio::identify(&path))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error))
}

/// Hears a file that is not in the library: a song that is not kept, and its
/// vectors under those of `models` that can hear it.
pub(crate) async fn hear_outside(
    path: &Path,
    models: &[ModelName],
) -> Result<(Song, BTreeMap<ModelName, Vector>)> {
    let wanted = Wanted { models: models.to_vec(), ..Wanted::default() };
    let file = path.to_owned();
    let mut analysis = on_cpu(None, move || songrec_audio::analyze(&file, &wanted))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error))?;
    let vectors = std::mem::take(&mut analysis.embeddings);
    let mut song = song_of(&analysis);
    song.add_file(file_of(&analysis.identity, encode_path(path)));
    Ok((song, vectors))
}

/// A new song with all that was heard, but no file and no embedding yet.
pub(crate) fn song_of(analysis: &Analysis) -> Song {
    let mut song = Song::new(analysis.identity.audio_hash, analysis.audio.clone(), now());
    song.tags = analysis.tags.clone();
    song.features.clone_from(&analysis.features);
    song
}

/// A file as a song names it.
pub(crate) fn file_of(identity: &Identity, path: String) -> SongFile {
    SongFile { path, sha256: identity.sha256, size: identity.size }
}

/// An audio file that a person named and that cannot be used.
pub(crate) fn unreadable(error: &songrec_audio::Error) -> Error {
    let kind = match error.reason() {
        songrec_audio::Reason::NotFound => ErrorKind::NotFound,
        songrec_audio::Reason::Denied => ErrorKind::Denied,
        _ => ErrorKind::Usage,
    };
    let result = Error::new(kind, error).with_hint(error.hint());
    match std::error::Error::source(error) {
        Some(source) => result.because(source.to_string()),
        None => result,
    }
}
