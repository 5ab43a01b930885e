//! Finding audio files and taking them in.
//!
//! Files that are as they were and whose songs are as they were seen last
//! are left alone without a word to the library (`follow.rs`). The others are
//! read (`look.rs`), several at a time, and stored (`take_in.rs`), many at a
//! time.

mod arrival;
mod changed;
mod fence;
mod folders;
mod follow;
mod gather;
mod look;
pub(crate) mod lost;
mod meet;
mod memory;
mod missing;
mod report;
pub(crate) mod skipped;
mod status;
pub(crate) mod take_in;
mod unembedded;
pub(crate) mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use songrec_core::{
    Event, Hint, Job, ModelName, ModelSpec, Remedy, ScanItem, SongId, Work, encode_path,
};
use songrec_local::{KnownFile, KnownFiles};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

pub use self::{
    changed::Changed,
    fence::{READ_ALONE, read_alone},
    report::ScanReport,
    skipped::{SkippedKind, SkippedList},
};
use self::{
    fence::Fence,
    gather::gathered,
    memory::{Finding, Memory},
    status::standard,
    walk::{Candidate, Walked, walk},
};
use crate::{
    Embedders, Error, ErrorKind, Library, Result, decoding::Why, keys, paths::absolute,
    synth::scan_files, work::blocking,
};

/// What kind of segment a window is that a learned model embedded.
const WINDOW: &str = "window";

/// What to scan, and how.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Folders and files.
    pub paths: Vec<PathBuf>,
    /// Globs of what to leave out, besides those of the configuration.
    pub exclude: Vec<String>,
    /// Take the genre from the folder's name where a file has none, also of
    /// files that are known and did not change.
    pub genre_from_folder: bool,
    /// Only look again at the files that could not be read before.
    pub failed: bool,
    /// Only look at the files of songs that one of the models has not embedded, or
    /// whose embedding by it is lost or damaged; in the cloud, lost alone.
    pub missing: bool,
    /// Keep the vectors of learned models window by window as segments.
    pub segments: bool,
    /// Also take in again what was forgotten.
    pub again: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// The program that reads a file in a process of its own, as `PROGRAM
    /// read-alone -- FILE`, by [`read_alone`]; for files that were being read
    /// when an earlier scan came to a sudden end. Without it they are read like
    /// all others.
    pub examiner: Option<PathBuf>,
    /// What to look at among `paths`, if not at everything.
    pub changed: Option<Arc<Changed>>,
    /// Where the files are listed that are left out.
    pub skipped: Option<SkippedList>,
}

/// How many files are asked for at once whether they are known.
const LOOK_UP: usize = 256;
/// How many files are read at once to know which songs they are.
const IDENTIFY: usize = 64;
/// How many songs are stored at once, if as many are ready.
const STORE: usize = 64;
/// How long a request is held back for more to ask by it, and how long songs
/// are held back for more to store with them, where the library is far away.
const WAIT_TO_ASK: Duration = Duration::from_millis(30);
const WAIT_TO_STORE: Duration = Duration::from_secs(1);
/// About how much memory it takes to embed one file: decoder, transforms, the frames
/// of up to ten minutes, as longer files are analysed in such parts, and the windows
/// that the model which ships with songrec takes.
const MEMORY_PER_FILE: u64 = 205 << 20;

/// A walk that only counts; nothing after an interrupt.
type Counting = JoinHandle<Option<u64>>;

/// A file that cannot be left alone without a look at it.
struct FileToRead {
    candidate: Candidate,
    /// The song that this machine has seen at this path.
    held: Option<SongId>,
    /// Whether a scan was cut off while it stored the song.
    was_cut_off: bool,
}

/// Takes in what is new, changed or moved among the files of `options`: songs, and synths.
///
/// Can be interrupted and repeated at any time: what was taken in stays,
/// and what was not is found again. Reads a file only if its size or time
/// changed since it was last seen, or if its song did; what changed in the
/// library is asked for once, however many files there are.
///
/// A path is taken away from a song only if this machine itself has seen
/// the song's audio there: the paths of other machines are theirs.
///
/// # Errors
///
/// When a path does not exist, or the library cannot be written. Files
/// that cannot be read are reported and counted instead.
///
/// # Progress
///
/// What became of a file that is not as before is an [`Event::Scanned`]; one that
/// could not be read is an [`Event::Failed`].
pub async fn scan(library: &Library, options: &ScanOptions, job: &Job) -> Result<ScanReport> {
    let names = library.config.get(keys::SCAN_MODELS);
    let mut scan = Scan::begin(library, options, names, job).await?;
    job.on(Event::started(Work::Scanning, None));
    let result = scan.run().await;
    job.on(Event::Finished);
    let listed = options.skipped.as_ref().map(SkippedList::finish).transpose();
    let mut report = result?;
    report.listed = listed?;
    Ok(report)
}

/// The files that could not be read when they were last seen.
///
/// # Errors
///
/// When this machine's own state cannot be read.
pub fn failed_files(library: &Library) -> Result<Vec<KnownFile>> {
    Ok(known_files(library)?.failed()?)
}

pub(crate) fn known_files(library: &Library) -> Result<KnownFiles> {
    Ok(KnownFiles::open(&library.state_folder().join("known-files.sqlite"))?)
}

impl From<songrec_local::KnownFilesError> for Error {
    fn from(error: songrec_local::KnownFilesError) -> Self {
        Self::new(ErrorKind::Failed, "could not use what is known of files on this machine")
            .because(error)
            .with_hint(Hint::of(
                "{} says where it lies; it may be deleted at any time",
                [Remedy::ShowFolders],
            ))
    }
}

struct Scan<'a> {
    library: &'a Library,
    options: &'a ScanOptions,
    job: &'a Job,
    known: Arc<KnownFiles>,
    /// The number of this scan among those of this machine.
    number: i64,
    models: Vec<ModelName>,
    /// The same models, at work.
    embedders: Embedders,
    memory: Memory,
    fence: Arc<Fence>,
    /// The learned models that the library makes room for once they have
    /// embedded something: only then their vectors are known to be theirs.
    unregistered: Mutex<Vec<ModelSpec>>,
    /// The files to look at, if they are not to be found by a walk.
    named: Option<Vec<PathBuf>>,
    /// What has to be embedded again, as far as that is known.
    lost: Mutex<lost::LostEmbeddings>,
    roots: Vec<PathBuf>,
    threads: usize,
    pool: rayon::ThreadPool,
    /// Held while the library is asked of songs and the answer is written
    /// down, so that an older answer never comes after a newer one.
    following: tokio::sync::Mutex<()>,
}

impl<'a> Scan<'a> {
    async fn begin(
        library: &'a Library,
        options: &'a ScanOptions,
        names: &[String],
        job: &'a Job,
    ) -> Result<Self> {
        let mut roots = Vec::new();
        for path in &options.paths {
            if !path.exists() {
                return Err(Error::not_found(format_args!("there is no `{}`", path.display()))
                    .with_hint("name folders or audio files to scan"));
            }
            roots.push(absolute(path));
        }
        let threads = match library.config.get(keys::THREADS) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let by_memory = library.config.get(keys::SCAN_MAX_MEMORY) / MEMORY_PER_FILE;
        let threads = threads.min(usize::try_from(by_memory).unwrap_or(usize::MAX)).max(1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("scan-{number}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Failed, "could not start the threads of a scan")
                    .because(error)
            })?;
        let embedders = library.models.embedders(names).await?;
        if options.segments && embedders.batchers().is_empty() {
            return Err(Error::usage("there are no segments to keep")
                .because("only learned models embed window by window, and none is to embed")
                .with_hint(Hint::of(
                    "{} names one; {} says which are here",
                    [Remedy::Model(None), Remedy::Models],
                )));
        }
        let models: Vec<ModelName> =
            embedders.specs().iter().map(|spec| spec.name.clone()).collect();
        let unregistered = register_models(library, &embedders, options.dry_run).await?;
        let folder = library.state_folder().join("heard");
        let memory = if options.again {
            Memory::empty(folder)
        } else {
            let learned: Vec<ModelName> =
                embedders.batchers().iter().map(|batcher| batcher.spec().name.clone()).collect();
            blocking(move || Memory::of(folder, &learned)).await?
        };
        let asks_folders = folders::folders_are_asked(library, options);
        let standard = standard(library, &models, asks_folders);
        let known = known_files(library)?.judged_by(standard);
        let known = Arc::new(known);
        let number = known.begin_scan()?;
        let (notes, examiner) = (library.state_folder().join("reading"), options.examiner.clone());
        let stop = job.interrupt.clone();
        let fence = blocking(move || Fence::begin(&notes, examiner, stop)).await??;
        Ok(Self {
            library,
            options,
            job,
            known,
            number,
            models,
            embedders,
            memory,
            fence: Arc::new(fence),
            unregistered: Mutex::new(unregistered),
            named: None,
            lost: Mutex::default(),
            roots,
            threads,
            pool,
            following: tokio::sync::Mutex::new(()),
        })
    }

    async fn run(&mut self) -> Result<ScanReport> {
        let caught_up = follow::catch_up(self).await?;
        unembedded::queue_unembedded(self, caught_up).await?;
        self.look_and_take_in(caught_up).await
    }

    async fn look_and_take_in(&self, caught_up: bool) -> Result<ScanReport> {
        let (notify, stored) = mpsc::channel(1);
        let taking = self.take_all(caught_up, notify);
        let (report, ()) = futures::join!(taking, follow::follow_along(self, stored));
        let mut report = report?;
        report.interrupted = self.job.is_interrupted();
        if !report.interrupted {
            let caught_up = if self.options.dry_run {
                caught_up
            } else {
                // What is not seen now is seen, or asked for, by the
                // next scan.
                follow::catch_up_after(self).await.unwrap_or(false)
            };
            if !self.options.failed {
                report.missing = missing::missing(self, caught_up).await?;
            }
        }
        Ok(report)
    }

    // Takes in everything there is, and tells of every few songs that are
    // stored.
    async fn take_all(&self, caught_up: bool, notify: mpsc::Sender<()>) -> Result<ScanReport> {
        let (send, receive) = mpsc::channel(LOOK_UP);
        let (walking, mut counting) = self.walk(send)?;
        let left_alone = Mutex::new(ScanReport::default());
        let file_to_read = self.file_to_read(receive, caught_up, &left_alone);
        let looked = self.looked(file_to_read);
        let patience = if self.is_remote() { WAIT_TO_STORE } else { Duration::ZERO };
        let mut looked = std::pin::pin!(gathered(looked, STORE, patience));
        let mut report = ScanReport::default();
        let mut not_applied = 0;
        while let Some(chunk) = looked.next().await {
            if counting.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(Ok(Some(total))) = join(counting.take()).await
            {
                self.job.on(Event::Total { total });
            }
            let done = take_in::take_in(self, chunk.into_iter().collect::<Result<_>>()?).await?;
            not_applied += done.added + done.updated + done.moved + done.duplicates;
            report.add(&done);
            if not_applied >= follow::EVERY && notify.try_send(()).is_ok() {
                not_applied = 0;
            }
        }
        report.add(&left_alone.lock().unwrap_or_else(PoisonError::into_inner));
        let walked = walking.await.expect("the walker does not panic");
        report.unread = walked.unread;
        let mut synths = walked.synths;
        // What is there twice in one run is found in the same order each time.
        synths.sort();
        let (again, dry_run) = (self.options.again, self.options.dry_run);
        let listed = |path: &str, error: &Error| {
            let reason = Hint::from(error.in_one_line());
            let why = Why { reason, hint: error.hint().cloned() };
            self.list(path, SkippedKind::Failed, &why);
        };
        report.synths = scan_files(self.library, synths, again, dry_run, self.job, &listed).await?;
        for (path, reason) in walked.unreadable {
            self.fail(&path, &reason.into());
            report.failed += 1;
        }
        Ok(report)
    }

    fn is_remote(&self) -> bool {
        self.library.backend.capabilities().remote
    }

    // What is left of the candidates without those that are as they were.
    fn file_to_read<'s>(
        &'s self,
        receive: mpsc::Receiver<Candidate>,
        caught_up: bool,
        left_alone: &'s Mutex<ScanReport>,
    ) -> BoxStream<'s, Result<FileToRead>> {
        let candidates = futures::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|candidate| (candidate, receive))
        });
        let rest = candidates.ready_chunks(LOOK_UP).then(move |chunk| async move {
            let rest = match status::leave_alone(self, chunk, caught_up).await {
                Ok((rest, report)) => {
                    left_alone.lock().unwrap_or_else(PoisonError::into_inner).add(&report);
                    rest.into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(error)],
            };
            futures::stream::iter(rest)
        });
        rest.flatten().boxed()
    }

    fn walk(
        &self,
        send: mpsc::Sender<Candidate>,
    ) -> Result<(JoinHandle<Walked>, Option<Counting>)> {
        let interrupt = self.job.interrupt.clone();
        if let Some(paths) = self.named.clone() {
            self.job.on(Event::Total { total: paths.len() as u64 });
            let walking = spawn_blocking(move || walk::named(paths, &send, &interrupt));
            return Ok((walking, None));
        }
        if self.options.failed {
            let known = self.known.failed()?;
            let below = |path: &Path| {
                self.roots.is_empty() || self.roots.iter().any(|root| path.starts_with(root))
            };
            let paths: Vec<PathBuf> = known
                .iter()
                .map(|file| songrec_core::decode_path(&file.path))
                .filter(|path| below(path))
                .collect();
            self.job.on(Event::Total { total: paths.len() as u64 });
            let walking = spawn_blocking(move || walk::named(paths, &send, &interrupt));
            return Ok((walking, None));
        }
        let mut exclude = self.library.config.get(keys::SCAN_EXCLUDE).to_vec();
        exclude.extend(self.options.exclude.iter().cloned());
        let with_ffmpeg = self.embedders.opening().ffmpeg.is_some();
        let changed = self.options.changed.clone();
        let walker = walk(&self.roots, &exclude, self.library.root(), with_ffmpeg, changed)?;
        // The walk itself is held up by the files it finds; another one, that
        // only counts, says how many there are long before.
        let (counter, ended) = (walker.clone(), interrupt.clone());
        let counting = spawn_blocking(move || counter.count(&ended));
        let list = self.options.skipped.clone();
        let walking = spawn_blocking(move || walker.run(&send, &interrupt, list.as_ref()));
        Ok((walking, Some(counting)))
    }

    fn fail(&self, path: &Path, why: &Why) {
        let item = encode_path(path);
        self.job.on(Event::Failed { item: &item, reason: &why.in_short() });
        self.list(&item, SkippedKind::Failed, why);
    }

    /// Lists a file that is left out, if somebody wants a list.
    fn list(&self, path: &str, kind: SkippedKind, why: &Why) {
        if let Some(list) = &self.options.skipped {
            list.line(path, kind, why);
        }
    }

    /// Says what became of a file.
    fn found(&self, item: &ScanItem) {
        self.job.on(Event::Scanned { item });
    }
}

// Makes room for what is built in, and finds out whether that for learned
// models fits. Gives those for which there is none yet.
async fn register_models(
    library: &Library,
    embedders: &Embedders,
    dry_run: bool,
) -> Result<Vec<ModelSpec>> {
    let known = match embedders.batchers() {
        [] => Vec::new(),
        _ => library.backend.embeddings().models().await?,
    };
    let mut unregistered = Vec::new();
    for spec in embedders.specs() {
        let is_learned = embedders.batchers().iter().any(|batcher| batcher.spec() == spec);
        let has_room = known.iter().any(|known| known.name == spec.name);
        if is_learned && !has_room {
            unregistered.push(spec.clone());
        } else if !dry_run {
            library.backend.embeddings().put_model(spec).await?;
        }
    }
    Ok(unregistered)
}

async fn join<T>(
    task: Option<JoinHandle<T>>,
) -> Option<std::result::Result<T, tokio::task::JoinError>> {
    Some(task?.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A server scans in tasks that move between threads: this has to compile.
    #[expect(dead_code, reason = "compiling it is the test")]
    fn a_scan_may_move_between_threads(library: &Library, job: &Job) {
        fn is_send<T: Send>(_: T) {}
        is_send(scan(library, &ScanOptions::default(), job));
    }
}
