//! Finding files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{WalkBuilder, overrides::OverrideBuilder};
use tokio::sync::mpsc::Sender;

use super::{Changed, SkippedKind, SkippedList};
use crate::{
    Error, Interrupt, Result,
    decoding::{self, UNREAD, is_for_ffmpeg},
};

/// A file that may be audio.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// In nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Whether a person named this very file.
    pub(crate) named: bool,
}

/// What a walk could not even look at.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) unreadable: Vec<(PathBuf, String)>,
    /// Audio of formats that are not read, by the endings of its files.
    pub(crate) unread: BTreeMap<String, u64>,
    /// Files with definitions of synths.
    pub(crate) synths: Vec<PathBuf>,
}

/// The name of the files that say what a scan leaves out, in the syntax of
/// `.gitignore`.
pub(crate) const IGNORE_FILE: &str = ".songrecignore";

/// Endings of files that are looked at without being named.
const ENDINGS: [&str; 22] = [
    "mp3", "mp2", "mpga", "flac", "wav", "wave", "w64", "aif", "aiff", "aifc", "ogg", "oga",
    "opus", "m4a", "m4b", "mp4", "aac", "alac", "caf", "mka", "mkv", "webm",
];

/// A walk through folders that is ready to begin.
#[derive(Clone)]
pub(crate) struct Walk {
    roots: Vec<PathBuf>,
    builder: WalkBuilder,
    /// Whether there is an ffmpeg that reads more than is read here.
    with_ffmpeg: bool,
}

/// Prepares a walk through `roots`, leaving out what the globs of `exclude`
/// match, the folders of the library itself, and what `changed` does not mean.
/// `with_ffmpeg` says whether that reads
/// what nothing here does.
pub(crate) fn walk(
    roots: &[PathBuf],
    exclude: &[String],
    library: Option<&Path>,
    with_ffmpeg: bool,
    changed: Option<Arc<Changed>>,
) -> Result<Walk> {
    let Some((first, rest)) = roots.split_first() else {
        return Err(Error::usage("there is nothing to scan").with_hint("name a folder or a file"));
    };
    let mut overrides = OverrideBuilder::new(first);
    for glob in exclude {
        // An override is what to keep; with `!` it is what to leave out.
        overrides
            .add(&format!("!{glob}"))
            .map_err(|error| Error::usage(format_args!("`{glob}` is not a glob")).because(error))?;
    }
    let overrides = overrides
        .build()
        .map_err(|error| Error::usage("the globs to exclude do not go together").because(error))?;
    let mut builder = WalkBuilder::new(first);
    for root in rest {
        builder.add(root);
    }
    let own: Vec<PathBuf> = library.map(own_folders).unwrap_or_default();
    builder
        .standard_filters(false)
        .hidden(true)
        .follow_links(true)
        .overrides(overrides)
        .add_custom_ignore_filename(IGNORE_FILE)
        .filter_entry(move |entry| {
            let is_folder = entry.file_type().is_none_or(|kind| kind.is_dir());
            let is_meant = changed.as_ref().is_none_or(|it| it.is_meant(entry.path(), is_folder));
            is_meant && !own.iter().any(|folder| entry.path() == folder)
        });
    Ok(Walk { roots: roots.to_vec(), builder, with_ffmpeg })
}

// Where a library keeps its documents; audio of its own lies beside them.
fn own_folders(root: &Path) -> Vec<PathBuf> {
    ["songs", "embeddings", "index", "blobs", "trash", "segments", "synths", "playlists"]
        .iter()
        .map(|name| root.join(name))
        .filter(|_| root.join("songrec.json").is_file())
        .collect()
}

impl Walk {
    /// Sends every file that may be audio, until there are no more, nobody
    /// listens, or an interrupt. Lists audio of formats that are not read.
    pub(crate) fn run(
        &self,
        send: &Sender<Candidate>,
        interrupt: &Interrupt,
        list: Option<&SkippedList>,
    ) -> Walked {
        let mut walked = Walked::default();
        for entry in self.builder.build() {
            if interrupt.is_set() {
                break;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    walked.unreadable.push(unreadable(&error));
                    continue;
                }
            };
            if is_synth(&entry) {
                walked.synths.push(entry.into_path());
            } else if !self.is_meant(&entry) {
                if let Some(ending) = unread(&entry) {
                    if let Some(list) = list {
                        let why = decoding::unread(&ending);
                        list.add(entry.path(), SkippedKind::Unread, &why);
                    }
                    *walked.unread.entry(ending).or_default() += 1;
                }
            } else if !self.send(entry.path(), send, &mut walked) {
                break;
            }
        }
        walked
    }

    /// How many files [`run`](Self::run) will send, as far as is known
    /// without looking at them; nothing after an interrupt.
    pub(crate) fn count(&self, interrupt: &Interrupt) -> Option<u64> {
        let mut count = 0;
        for entry in self.builder.build() {
            if interrupt.is_set() {
                return None;
            }
            count += u64::from(entry.is_ok_and(|entry| self.is_meant(&entry)));
        }
        Some(count)
    }

    fn is_meant(&self, entry: &ignore::DirEntry) -> bool {
        let is_folder = entry.file_type().is_none_or(|kind| kind.is_dir());
        !is_folder
            && !is_synth(entry)
            && (self.is_named(entry.path())
                || may_be_audio(entry.path())
                || (self.with_ffmpeg && is_for_ffmpeg(entry.path())))
    }

    fn is_named(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root == path)
    }

    fn send(&self, path: &Path, send: &Sender<Candidate>, walked: &mut Walked) -> bool {
        match candidate(path, self.is_named(path)) {
            Ok(Some(candidate)) => send.blocking_send(candidate).is_ok(),
            Ok(None) => true,
            Err(error) => {
                walked.unreadable.push((path.to_owned(), error.to_string()));
                true
            }
        }
    }
}

/// Sends exactly these files, as if a person had named each.
pub(crate) fn named(
    paths: Vec<PathBuf>,
    send: &Sender<Candidate>,
    interrupt: &Interrupt,
) -> Walked {
    let mut walked = Walked::default();
    for path in paths {
        if interrupt.is_set() {
            break;
        }
        match candidate(&path, true) {
            Ok(Some(candidate)) => {
                if send.blocking_send(candidate).is_err() {
                    break;
                }
            }
            Ok(None) => {}
            Err(error) => walked.unreadable.push((path, error.to_string())),
        }
    }
    walked
}

fn candidate(path: &Path, named: bool) -> std::io::Result<Option<Candidate>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let modified =
        metadata.modified().ok().map(|time| match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        });
    Ok(Some(Candidate {
        path: path.to_owned(),
        size: metadata.len(),
        modified: modified.unwrap_or(0),
        named,
    }))
}

/// Whether a file is audio by the end of its name.
pub(crate) fn may_be_audio(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

// Whether a file defines synths, by the end of its name.
fn is_synth(entry: &ignore::DirEntry) -> bool {
    let is_folder = entry.file_type().is_none_or(|kind| kind.is_dir());
    !is_folder && is_synth_file(entry.path())
}

/// Whether a file may define synths, by the end of its name.
pub(crate) fn is_synth_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("scd"))
}

// The ending of an audio file of a format that is not read.
fn unread(entry: &ignore::DirEntry) -> Option<String> {
    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
    let ending = entry.path().extension()?.to_str()?.to_ascii_lowercase();
    (is_file && UNREAD.contains(&ending.as_str())).then_some(ending)
}

fn unreadable(error: &ignore::Error) -> (PathBuf, String) {
    fn path_of(error: &ignore::Error) -> Option<PathBuf> {
        match error {
            ignore::Error::WithPath { path, .. } => Some(path.clone()),
            ignore::Error::Loop { child, .. } => Some(child.clone()),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
                path_of(err)
            }
            _ => None,
        }
    }
    // The walker wraps the error, and names the path in it once more.
    let within = |error: &std::io::Error| Some(error.get_ref()?.source()?.to_string());
    let reason = match error.io_error() {
        Some(io) => within(io).unwrap_or_else(|| io.to_string()),
        None => error.to_string(),
    };
    (path_of(error).unwrap_or_default(), reason)
}
