//! Changes in folders, as the system reports them.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RemoveKind},
};

use crate::{
    Error, ErrorKind, Result,
    decoding::is_for_ffmpeg,
    scan::walk::{IGNORE_FILE, is_synth_file, may_be_audio},
};

/// Paths that are kept one by one; where there are more, everything is looked at.
pub(super) const MOST: usize = 10_000;

/// What changed since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The files and folders in which something may have changed.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Whether anything else may have changed, too.
    pub(super) all: bool,
    /// Why the system does not watch any more, if so.
    pub(super) trouble: Option<notify::Error>,
}

/// Folders that are watched, until this is dropped.
pub(super) struct Watching {
    changes: Arc<Mutex<Changes>>,
    _watcher: RecommendedWatcher,
}

/// Which changes count.
struct Watched {
    roots: Vec<PathBuf>,
    /// The folders of the library itself, which a scan changes.
    own: Vec<PathBuf>,
    with_ffmpeg: bool,
}

impl Watching {
    /// Watches `roots`, which are absolute: folders with all that is in them, and files.
    /// `library` is the folder of the library itself.
    pub(super) fn begin(
        roots: &[PathBuf],
        library: Option<&Path>,
        with_ffmpeg: bool,
    ) -> Result<Self> {
        let changes = Arc::new(Mutex::new(Changes::default()));
        let own = library.map(own_folders).unwrap_or_default();
        let watched = Watched { roots: roots.to_vec(), own, with_ffmpeg };
        let noted = changes.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(event) => watched.note(&event, &mut noted),
                Err(error) => noted.trouble = noted.trouble.take().or(Some(error)),
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(|error| failed(&error))?;
        for root in roots {
            // A file is replaced by another one, which only its folder tells.
            let (folder, mode) = match root.parent().filter(|_| root.is_file()) {
                Some(folder) => (folder, RecursiveMode::NonRecursive),
                None => (root.as_path(), RecursiveMode::Recursive),
            };
            watcher.watch(folder, mode).map_err(|error| failed(&error))?;
        }
        Ok(Self { changes, _watcher: watcher })
    }

    /// What changed since the last call.
    ///
    /// # Errors
    ///
    /// When the system does not watch everything any more.
    pub(super) fn take(&self) -> Result<Changes> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = std::mem::take(&mut *changes);
        match &changes.trouble {
            Some(error) => Err(failed(error)),
            None => Ok(changes),
        }
    }
}

// What a library keeps in its folder.
fn own_folders(root: &Path) -> Vec<PathBuf> {
    let names = [
        "songs",
        "embeddings",
        "index",
        "blobs",
        "trash",
        "segments",
        "synths",
        "playlists",
        "clusterings",
        "library",
        "machines",
        "damaged",
        "tmp",
    ];
    names.iter().map(|name| root.join(name)).collect()
}

impl Watched {
    fn note(&self, event: &notify::Event, changes: &mut Changes) {
        if event.need_rescan() {
            changes.all = true;
        }
        // A scan opens files itself.
        let is_read = matches!(event.kind, EventKind::Access(kind)
            if kind != AccessKind::Close(AccessMode::Write));
        if is_read {
            return;
        }
        for path in &event.paths {
            if path.file_name().is_some_and(|name| name == IGNORE_FILE) {
                changes.all = true;
            } else if self.is_meant(path, &event.kind) {
                changes.paths.insert(path.clone());
            }
        }
        if changes.paths.len() > MOST {
            changes.paths.clear();
            changes.all = true;
        }
    }

    fn is_meant(&self, path: &Path, kind: &EventKind) -> bool {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let Some(below) = below else { return false };
        let is_hidden = below.components().any(|part| {
            matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"."))
        });
        if is_hidden || self.own.iter().any(|folder| path.starts_with(folder)) {
            return false;
        }
        let is_known = may_be_audio(path)
            || is_synth_file(path)
            || (self.with_ffmpeg && is_for_ffmpeg(path))
            || self.roots.iter().any(|root| root == path);
        // Of what is gone nobody knows whether it was a folder.
        let may_be_folder = || {
            let is_gone = matches!(
                kind,
                EventKind::Remove(RemoveKind::Folder | RemoveKind::Any)
                    | EventKind::Modify(ModifyKind::Name(_))
                    | EventKind::Any
            );
            path.is_dir() || (is_gone && !path.exists())
        };
        is_known || may_be_folder()
    }
}

// In the words of the system that people meet most.
fn failed(error: &notify::Error) -> Error {
    let named: Vec<String> =
        error.paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let what = if named.is_empty() { "the folders".to_owned() } else { named.join(", ") };
    let result = Error::new(ErrorKind::Failed, format_args!("could not watch {what}"));
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => result
            .because("the system has reached its limit of watched folders (inotify)")
            .with_hint(
                "raise the limit, such as by `sysctl fs.inotify.max_user_watches=524288` as root (and \
                 in a file of `/etc/sysctl.d`, to keep it), or watch fewer folders",
            ),
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(TOO_MANY_FILES) => result
            .because("the system has reached its limit of programs that watch (inotify)")
            .with_hint(
                "raise the limit, such as by `sysctl fs.inotify.max_user_instances=1024` as root, or \
                 end other programs that watch folders",
            ),
        notify::ErrorKind::Io(io) => result
            .because(io.to_string())
            .with_hint("check that the folder is there and may be read"),
        kind => result.because(format!("{kind:?}")).with_hint("scan the folder from time to time"),
    }
}

/// `EMFILE`, as Linux numbers it.
const TOO_MANY_FILES: i32 = 24;

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RenameMode};

    use super::*;

    fn changes(events: &[(EventKind, &Path)]) -> Changes {
        let mut changes = Changes::default();
        let own = own_folders(Path::new("/m/lib"));
        let watched =
            Watched { roots: vec!["/m".into(), "/one/a.wav".into()], own, with_ffmpeg: false };
        for (kind, path) in events {
            watched.note(&notify::Event::new(*kind).add_path(path.to_path_buf()), &mut changes);
        }
        changes
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    #[test]
    fn only_what_a_scan_would_look_at_is_a_change() {
        let gone = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let read = EventKind::Access(AccessKind::Open(AccessMode::Read));
        let all = [
            (WRITTEN, "/m/a.wav", true),
            (WRITTEN, "/m/sub/b.FLAC", true),
            (WRITTEN, "/m/x.scd", true),
            (WRITTEN, "/m/cover.jpg", false),
            (WRITTEN, "/m/film.avi", false),
            (WRITTEN, "/m/.hidden/a.wav", false),
            (WRITTEN, "/m/lib/blobs/9c/a.wav", false),
            (WRITTEN, "/other/a.wav", false),
            (WRITTEN, "/one/a.wav", true),
            (WRITTEN, "/one/b.wav", false),
            (read, "/m/a.wav", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/m/a.wav", true),
            // Folders that are not there any more.
            (gone, "/m/Vol. 1", true),
            (EventKind::Remove(RemoveKind::Folder), "/m/sub", true),
            (EventKind::Remove(RemoveKind::File), "/m/notes.txt", false),
            (EventKind::Create(CreateKind::File), "/m/notes.txt", false),
        ];
        for (kind, path, is_change) in all {
            let changes = changes(&[(kind, Path::new(path))]);

            assert_eq!(changes.paths.contains(Path::new(path)), is_change, "{path} {kind:?}");
            assert!(!changes.all);
        }
    }

    #[test]
    fn what_nobody_can_count_is_everything() {
        assert!(changes(&[(WRITTEN, Path::new("/m/sub/.songrecignore"))]).all);
        let many: Vec<PathBuf> = (0..=MOST).map(|n| format!("/m/{n}.wav").into()).collect();
        let events: Vec<(EventKind, &Path)> =
            many.iter().map(|path| (WRITTEN, path.as_path())).collect();
        let changes = changes(&events);
        assert!(changes.all && changes.paths.is_empty());

        let mut lost = Changes::default();
        let watched = Watched { roots: vec!["/m".into()], own: Vec::new(), with_ffmpeg: false };
        watched.note(&notify::Event::new(EventKind::Other).set_flag(Flag::Rescan), &mut lost);
        assert!(lost.all);
    }

    #[test]
    fn a_limit_of_the_system_says_how_it_is_raised() {
        let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch).add_path("/m".into());

        let error = failed(&error);

        assert!(error.to_string().contains("`/m`"), "{error}");
        assert!(error.hint().unwrap().to_string().contains("fs.inotify.max_user_watches"));
    }
}
