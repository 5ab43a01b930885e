//! Downloading previews, and taking them in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use songrec_core::{Event, Hint, Job, Remedy, SongId, Work, encode_path};

use super::{
    PreviewTrack, PreviewWords, Previews,
    check::ending_of_audio,
    describe::describe,
    file_name::{file_name, handle},
    known::known_previews,
};
use crate::{
    Error, ErrorKind, Library, Result, ScanOptions, keys,
    paths::absolute,
    scan,
    work::{blocking, until_interrupted},
};

/// The folder of a library for previews.
const FOLDER: &str = "previews";
/// How files begin that are on their way. The dot hides them from scans.
const UNFINISHED: &str = ".preview-";
/// What is older was left behind by a process that is gone, where files cannot be locked.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);
/// What is younger and empty may be about to be locked.
const JUST_MADE: Duration = Duration::from_secs(10);
/// Where so many previews in a row cannot be had for a moment, the others are not tried.
const IN_VAIN: u32 = 3;

/// Where previews go, and what is done with them.
#[derive(Clone, Debug, Default)]
pub struct PreviewOptions {
    /// The folder, in place of that of the settings.
    pub folder: Option<PathBuf>,
    /// Whether they are taken into the library.
    pub scan: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// As [`ScanOptions::examiner`].
    pub examiner: Option<PathBuf>,
}

/// What became of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewOutcome {
    /// Its preview was downloaded.
    Downloaded,
    /// Its preview would be downloaded.
    Wanted,
    /// Its preview is in the folder already.
    There,
    /// The library has a song of it already; nothing was downloaded.
    Known,
    /// Its preview could not be had.
    Failed,
}

/// A track and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreviewItem {
    /// What became of it.
    #[serde(rename = "type")]
    pub outcome: PreviewOutcome,
    /// The track.
    #[serde(flatten)]
    pub track: PreviewTrack,
    /// The file with its preview, as [`encode_path`] writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many bytes came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its song in the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub song: Option<SongId>,
    /// Why it could not be had, or not be taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// What became of files that were to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewsTakenIn {
    /// Songs that are new.
    pub added: u64,
    /// Songs that were there already.
    pub there: u64,
    /// Files that could not be taken in, or whose song was forgotten.
    pub left_out: u64,
}

/// What became of all.
#[derive(Clone, Debug, Serialize)]
pub struct DownloadedPreviews {
    /// The service.
    pub service: &'static str,
    /// The folder, as [`encode_path`] writes it.
    pub folder: String,
    /// Each track, in the order in which the service gave them.
    #[serde(skip)]
    pub items: Vec<PreviewItem>,
    /// Ids that the service does not have.
    pub missing: Vec<String>,
    /// How many were downloaded, or would be.
    pub downloaded: u64,
    /// How many were in the folder already.
    pub there: u64,
    /// How many the library has already.
    pub known: u64,
    /// How many could not be had.
    pub failed: u64,
    /// How many were not tried, because the run was ended or the service does not answer.
    pub left: u64,
    /// How many bytes came.
    pub bytes: u64,
    /// What was done to take them in, if that was wanted and there were any.
    pub scan: Option<PreviewsTakenIn>,
    /// Whether the run was ended early.
    pub interrupted: bool,
}

/// Downloads the previews of tracks to a folder, one after the other, and takes them into the
/// library if that is wanted, with what the service says of them. Tracks that the library has,
/// or whose preview is in the folder, are left out; those in the folder are taken in all the
/// same.
///
/// A preview has its name only when it is whole and was heard to be audio. Before that it is a
/// hidden file beside it, which goes away with this call, also when it is dropped; what a
/// process left behind that was killed is removed by the next call.
///
/// # Errors
///
/// `NotFound` if the service has none of the ids; those of [`Previews::find`], of the library,
/// and of the folder. What goes wrong with single tracks is in the report.
pub async fn download_previews(
    library: &Library,
    previews: &Previews,
    wanted: &PreviewWords,
    options: &PreviewOptions,
    job: &Job,
) -> Result<DownloadedPreviews> {
    let tracks = previews.find(wanted, job).await?;
    let missing = match wanted {
        PreviewWords::Words(..) => Vec::new(),
        PreviewWords::Ids(ids) => {
            let has = |id: &&String| tracks.iter().any(|track| track.id == **id);
            ids.iter().filter(|id| !has(id)).cloned().collect()
        }
    };
    if tracks.is_empty() && !missing.is_empty() {
        let ids = missing.join("`, `");
        return Err(Error::not_found(format_args!(
            "`{}` has no track `{ids}`",
            previews.service()
        ))
        .with_hint("with a word beside it, a number is searched for as text"));
    }
    let songs = known_previews(library, &tracks).await?;
    let folder = folder(library, options);
    let there = files_there(&folder, options.dry_run, previews.service(), &tracks).await?;
    let mut download = Download { previews, folder: &folder, job, in_vain: 0 };
    job.on(Event::started(Work::Downloading, Some(tracks.len() as u64)));
    let mut items: Vec<PreviewItem> = Vec::new();
    let count = tracks.len();
    for track in tracks {
        if job.is_interrupted() || download.in_vain >= IN_VAIN {
            break;
        }
        let item = match (songs.get(&track.id), there.get(&track.id)) {
            (Some(song), _) => item(track, PreviewOutcome::Known, |item| item.song = Some(*song)),
            (None, Some(path)) => {
                item(track, PreviewOutcome::There, |item| item.path = Some(encode_path(path)))
            }
            (None, None) if options.dry_run && track.preview_url.is_some() => {
                item(track, PreviewOutcome::Wanted, |_| {})
            }
            (None, None) => match download.one(track).await {
                Some(item) => item,
                None => break,
            },
        };
        let name = if item.track.title.is_empty() { &item.track.id } else { &item.track.title };
        match (&item.outcome, &item.reason) {
            (PreviewOutcome::Failed, Some(reason)) => {
                job.on(Event::Failed { item: name, reason: &reason.as_str().into() });
            }
            _ => job.on(Event::Advanced { item: name, bytes: item.bytes.unwrap_or_default() }),
        }
        items.push(item);
    }
    job.on(Event::Finished);
    let scan = match options.scan && !options.dry_run && !job.is_interrupted() {
        true => take_in(library, &mut items, options, job).await?,
        false => None,
    };
    let outcomes = |wanted: &[PreviewOutcome]| {
        items.iter().filter(|item| wanted.contains(&item.outcome)).count() as u64
    };
    Ok(DownloadedPreviews {
        service: previews.service(),
        folder: encode_path(&folder),
        missing,
        downloaded: outcomes(&[PreviewOutcome::Downloaded, PreviewOutcome::Wanted]),
        there: outcomes(&[PreviewOutcome::There]),
        known: outcomes(&[PreviewOutcome::Known]),
        failed: outcomes(&[PreviewOutcome::Failed]),
        left: (count - items.len()) as u64,
        bytes: items.iter().filter_map(|item| item.bytes).sum(),
        items,
        scan,
        interrupted: job.is_interrupted(),
    })
}

fn item(
    track: PreviewTrack,
    outcome: PreviewOutcome,
    with: impl FnOnce(&mut PreviewItem),
) -> PreviewItem {
    let (path, bytes, song, reason, hint) = Default::default();
    let mut item = PreviewItem { outcome, track, path, bytes, song, reason, hint };
    with(&mut item);
    item
}

fn failed(track: PreviewTrack, error: &Error) -> PreviewItem {
    item(track, PreviewOutcome::Failed, |item| {
        item.reason = Some(error.in_one_line());
        item.hint = error.hint().cloned();
    })
}

// The folder of the settings; else one in the library, or of this machine's folders where
// the library has none.
fn folder(library: &Library, options: &PreviewOptions) -> PathBuf {
    let chosen = options.folder.clone().or_else(|| library.config.get(keys::PREVIEWS_FOLDER));
    absolute(&chosen.unwrap_or_else(|| match library.root() {
        Some(root) => root.join(FOLDER),
        None => library.state_folder().join(FOLDER),
    }))
}

// The previews that are in the folder, by the ids of their tracks. Makes the folder, and
// removes what was left behind, unless nothing is to be changed.
async fn files_there(
    folder: &Path,
    dry_run: bool,
    service: &'static str,
    tracks: &[PreviewTrack],
) -> Result<BTreeMap<String, PathBuf>> {
    let (folder, ids) = (folder.to_owned(), tracks.iter().map(|track| track.id.clone()));
    let ids: BTreeSet<String> = ids.collect();
    let look = move || {
        if !dry_run {
            std::fs::create_dir_all(&folder)
                .map_err(|error| Error::io("create", &folder, error))?;
        }
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if dry_run && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            entries => entries.map_err(|error| Error::io("read", &folder, error))?,
        };
        let mut there = BTreeMap::new();
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with(UNFINISHED) {
                if !dry_run && is_left_behind(&path) {
                    // What cannot be removed harms nobody.
                    let _ = std::fs::remove_file(&path);
                }
                continue;
            }
            let id = || {
                let (_, rest) = name.rsplit_once('[')?;
                let (id, _) = rest.strip_prefix(service)?.strip_prefix(' ')?.split_once("].")?;
                name.contains(&handle(service, id)).then(|| id.to_owned())
            };
            if let Some(id) = id().filter(|id| ids.contains(id) && path.is_file()) {
                there.insert(id, path);
            }
        }
        Ok(there)
    };
    blocking(look).await?
}

// Whoever writes a file holds a lock on it, which ends with its process.
fn is_left_behind(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let Ok(metadata) = file.metadata() else { return false };
    let modified = metadata.modified().ok();
    let age = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
    let is_older = |than| age.is_some_and(|age| age > than);
    match file.try_lock() {
        Ok(()) => metadata.len() > 0 || is_older(JUST_MADE),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => is_older(LEFT_BEHIND),
    }
}

/// A download at work.
struct Download<'a> {
    previews: &'a Previews,
    folder: &'a Path,
    job: &'a Job,
    /// How many in a row could not be had for a moment.
    in_vain: u32,
}

impl Download<'_> {
    // What became of a track whose preview is not there; nothing after an interrupt.
    async fn one(&mut self, track: PreviewTrack) -> Option<PreviewItem> {
        let got = tokio::select! {
            got = self.get(&track) => got,
            () = until_interrupted(&self.job.interrupt) => return None,
        };
        let is_temporary = got.as_ref().is_err_and(|error| error.kind() == ErrorKind::Temporary);
        self.in_vain = if is_temporary { self.in_vain + 1 } else { 0 };
        Some(match got {
            Ok((path, bytes)) => item(track, PreviewOutcome::Downloaded, |item| {
                item.path = Some(encode_path(&path));
                item.bytes = Some(bytes);
            }),
            Err(error) => failed(track, &error),
        })
    }

    // Dropped at any moment, it leaves nothing.
    async fn get(&self, track: &PreviewTrack) -> Result<(PathBuf, u64)> {
        let Some(url) = &track.preview_url else {
            return Err(Error::not_found("the service has no preview of it")
                .with_hint("another edition of the same song may have one"));
        };
        let unkept = |error| Error::io("keep a file in", self.folder, error);
        // Here and now: on another thread it might come to be when nobody waits for it any more.
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(self.folder);
        let file = file.map_err(unkept)?;
        // Where there are no locks, what is left behind stays for longer.
        let _ = file.as_file().try_lock();
        let web = &self.previews.web;
        let bytes = web.fetch(url, file.path(), |_| {}).await?;
        let ending = ending_of_audio(file.path(), web.limit()).await.map_err(|why| {
            Error::new(ErrorKind::Corrupt, "what came is not kept")
                .because(why)
                .with_hint("try again later; the service may offer something else then")
        })?;
        let path = self.folder.join(file_name(track, ending));
        match file.persist_noclobber(&path) {
            Ok(_) => Ok((path, bytes)),
            // Somebody else downloaded it at the same time.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok((path, bytes))
            }
            Err(error) => Err(unkept(error.error)),
        }
    }
}

// Scans the files of these items, and keeps in their songs what the service says.
async fn take_in(
    library: &Library,
    items: &mut [PreviewItem],
    options: &PreviewOptions,
    job: &Job,
) -> Result<Option<PreviewsTakenIn>> {
    let paths: Vec<PathBuf> = items
        .iter()
        .filter_map(|item| item.path.as_deref().map(songrec_core::decode_path))
        .collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let examiner = options.examiner.clone();
    let report =
        scan(library, &ScanOptions { paths, examiner, ..ScanOptions::default() }, job).await?;
    for item in items.iter_mut() {
        let Some(path) = item.path.as_deref().map(songrec_core::decode_path) else { continue };
        item.song = describe(library, &item.track, &path).await?;
        if item.song.is_none() && !report.interrupted {
            item.reason = Some("it was not taken in".to_owned());
            item.hint = Some(Hint::of(
                "{} says why; a song that was forgotten stays so until it is scanned again by name",
                [Remedy::Scan(songrec_core::Scan::Path(path.display().to_string()))],
            ));
        }
    }
    let there = report.updated + report.moved + report.duplicates + report.unchanged;
    let left_out = report.failed + report.forgotten + report.failed_before;
    Ok(Some(PreviewsTakenIn { added: report.added, there, left_out }))
}
