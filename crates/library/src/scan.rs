//! Finding audio files and taking them in.
//!
//! Files that are as they were and whose songs are as they were heard of last
//! are left alone without a word to the library (`follow.rs`). The others are
//! read (`look.rs`), several at a time, and stored (`take_in.rs`), many at a
//! time.

mod follow;
mod gather;
mod look;
mod missing;
pub(crate) mod take_in;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use serde::Serialize;
use songrec_audio::built_in_models;
use songrec_core::{Digest, Event, ModelName, Progress, Song, SongId, encode_path};
use songrec_local::{KnownFile, KnownFiles, KnownOutcome, Standing, Verdict};
use songrec_storage::{ErrorKind as StorageTrouble, SongQuery, StorageBackendExt};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    Error, ErrorKind, Hearing, Interrupt, Library, Result,
    library::absolute,
    scan::{
        gather::gathered,
        walk::{Candidate, Walked, walk},
    },
};

/// What to scan, and how.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Folders and files.
    pub paths: Vec<PathBuf>,
    /// Globs of what to leave out, besides those of the configuration.
    pub exclude: Vec<String>,
    /// Take the genre from the folder's name where a file has none.
    pub genre_from_folder: bool,
    /// Only look again at the files that could not be read before.
    pub failed: bool,
    /// Only look at the files of songs that one of the models has not heard.
    pub missing: bool,
    /// Keep what learned models hear window by window as segments.
    pub segments: bool,
    /// Also take in again what was forgotten.
    pub again: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What a scan did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScanReport {
    /// Songs that are new.
    pub added: u64,
    /// Songs whose file was retagged, or heard by more models.
    pub updated: u64,
    /// Files that were known at another place.
    pub moved: u64,
    /// Files with audio that is known from another file, which is still there.
    pub duplicates: u64,
    /// Files that are as they were.
    pub unchanged: u64,
    /// Files whose song was forgotten, and which are left alone.
    pub forgotten: u64,
    /// Files that are known and were not found.
    pub missing: u64,
    /// Files that could not be read.
    pub failed: u64,
    /// Songs that a learned model did not hear, because it failed.
    pub unheard: u64,
    /// Files that were not looked at because they could not be read before.
    pub failed_before: u64,
    /// Whether the scan was ended early.
    pub interrupted: bool,
}

impl ScanReport {
    /// All files that were found.
    pub const fn files(&self) -> u64 {
        self.added
            + self.updated
            + self.moved
            + self.duplicates
            + self.unchanged
            + self.forgotten
            + self.failed
            + self.failed_before
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the report")]
pub enum ScanItem {
    Added { id: SongId, path: String },
    Updated { id: SongId, path: String },
    Moved { id: SongId, path: String, from: String },
    Duplicate { id: SongId, path: String },
    Missing { id: SongId, path: String },
    Unheard { id: SongId, path: String, model: ModelName, reason: String },
    Failed { path: String, reason: String },
}

/// Who is told what became of each file that was not as before.
pub type OnItem<'a> = &'a (dyn Fn(&ScanItem) + Send + Sync);

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
/// About how much memory it takes to hear one file: decoder, transforms, and
/// the frames of up to ten minutes; longer files are heard in such parts.
const MEMORY_PER_FILE: u64 = 180 << 20;

/// A walk that only counts; nothing after an interrupt.
type Counting = JoinHandle<Option<u64>>;

/// A file that cannot be left alone without a look at it.
struct Unsettled {
    candidate: Candidate,
    /// The song that this machine has seen at this path.
    held: Option<SongId>,
}

impl Library {
    /// Takes in what is new, changed or moved among the files of `options`.
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
    /// that cannot be read are told and counted instead.
    pub async fn scan(
        &self,
        options: &ScanOptions,
        interrupt: &Interrupt,
        progress: &dyn Progress,
        on_item: OnItem<'_>,
    ) -> Result<ScanReport> {
        let mut scan = Scan::begin(self, options, interrupt, progress, on_item).await?;
        if options.missing {
            scan.named = Some(scan.unheard_files().await?);
        }
        progress.on(Event::Started { work: "scanning", total: None });
        let result = scan.run().await;
        progress.on(Event::Finished);
        result
    }

    /// The files that could not be read when they were last seen.
    ///
    /// # Errors
    ///
    /// When this machine's own state cannot be read.
    pub fn failed_files(&self) -> Result<Vec<KnownFile>> {
        Ok(self.known_files()?.failed()?)
    }

    fn known_files(&self) -> Result<KnownFiles> {
        Ok(KnownFiles::open(&self.state_folder().join("known-files.sqlite"))?)
    }
}

impl From<songrec_local::KnownFilesError> for Error {
    fn from(error: songrec_local::KnownFilesError) -> Self {
        Self::new(ErrorKind::Failed, "could not use what is known of files on this machine")
            .because(error)
            .with_hint("`songrec config path` says where it lies; it may be deleted at any time")
    }
}

struct Scan<'a> {
    library: &'a Library,
    options: &'a ScanOptions,
    interrupt: &'a Interrupt,
    progress: &'a dyn Progress,
    on_item: OnItem<'a>,
    known: Arc<KnownFiles>,
    /// The number of this scan among those of this machine.
    number: i64,
    models: Vec<ModelName>,
    /// The same models, at work.
    ears: Hearing,
    /// The files to look at, if they are not to be found by a walk.
    named: Option<Vec<PathBuf>>,
    roots: Vec<PathBuf>,
    threads: usize,
    pool: rayon::ThreadPool,
    /// Held while the library is asked of songs and the answer is written
    /// down, so that an older answer never comes after a newer one.
    hearing: tokio::sync::Mutex<()>,
}

impl<'a> Scan<'a> {
    async fn begin(
        library: &'a Library,
        options: &'a ScanOptions,
        interrupt: &'a Interrupt,
        progress: &'a dyn Progress,
        on_item: OnItem<'a>,
    ) -> Result<Self> {
        let mut roots = Vec::new();
        for path in &options.paths {
            if !path.exists() {
                return Err(Error::not_found(format_args!("there is no `{}`", path.display()))
                    .with_hint("name folders or audio files to scan"));
            }
            roots.push(absolute(path));
        }
        let threads = match library.config.count("threads") {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let by_memory = library.config.bytes("scan.max_memory") / MEMORY_PER_FILE;
        let threads = threads.min(usize::try_from(by_memory).unwrap_or(usize::MAX)).max(1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("hear-{number}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Failed, "could not start the threads of a scan")
                    .because(error)
            })?;
        let ears = library.models.hearing(library.config.list("scan.models")).await?;
        let models: Vec<ModelName> = ears.specs().iter().map(|spec| spec.name.clone()).collect();
        if !options.dry_run {
            for spec in ears.specs() {
                library.backend.put_model(spec).await?;
            }
        }
        let known = library.known_files()?.judged_by(standard(library, &models));
        let known = Arc::new(known);
        let number = known.begin_scan()?;
        Ok(Self {
            library,
            options,
            interrupt,
            progress,
            on_item,
            known,
            number,
            models,
            ears,
            named: None,
            roots,
            threads,
            pool,
            hearing: tokio::sync::Mutex::new(()),
        })
    }

    async fn run(&self) -> Result<ScanReport> {
        let caught_up = self.catch_up().await?;
        let (told, stored) = mpsc::channel(1);
        let taking = self.take_all(caught_up, told);
        let (report, ()) = futures::join!(taking, self.follow_along(stored));
        let mut report = report?;
        report.interrupted = self.interrupt.is_set();
        if !report.interrupted {
            let caught_up = if self.options.dry_run {
                caught_up
            } else {
                // What is not heard of now is heard of, or asked for, by the
                // next scan.
                self.catch_up_after().await.unwrap_or(false)
            };
            if !self.options.failed {
                report.missing = self.missing(caught_up).await?;
            }
        }
        Ok(report)
    }

    // Takes in everything there is, and tells of every few songs that are
    // stored.
    async fn take_all(&self, caught_up: bool, told: mpsc::Sender<()>) -> Result<ScanReport> {
        let (send, receive) = mpsc::channel(LOOK_UP);
        let (walking, mut counting) = self.walk(send)?;
        let left_alone = Mutex::new(ScanReport::default());
        let unsettled = self.unsettled(receive, caught_up, &left_alone);
        let looked = self.looked(unsettled);
        let patience = if self.is_remote() { WAIT_TO_STORE } else { Duration::ZERO };
        let mut looked = std::pin::pin!(gathered(looked, STORE, patience));
        let mut report = ScanReport::default();
        let mut untold = 0;
        while let Some(chunk) = looked.next().await {
            if counting.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(Ok(Some(total))) = join(counting.take()).await
            {
                self.progress.on(Event::Total { total });
            }
            let done = self.take_in(chunk.into_iter().collect::<Result<_>>()?).await?;
            untold += done.added + done.updated + done.moved + done.duplicates;
            report.add(&done);
            if untold >= follow::EVERY && told.try_send(()).is_ok() {
                untold = 0;
            }
        }
        report.add(&left_alone.lock().unwrap_or_else(PoisonError::into_inner));
        let walked = walking.await.expect("the walker does not panic");
        for (path, reason) in walked.unreadable {
            self.fail(&path, &reason);
            report.failed += 1;
        }
        Ok(report)
    }

    fn is_remote(&self) -> bool {
        self.library.backend.capabilities().remote
    }

    // What is left of the candidates without those that are as they were.
    fn unsettled<'s>(
        &'s self,
        receive: mpsc::Receiver<Candidate>,
        caught_up: bool,
        left_alone: &'s Mutex<ScanReport>,
    ) -> BoxStream<'s, Result<Unsettled>> {
        let candidates = futures::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|candidate| (candidate, receive))
        });
        let rest = candidates.ready_chunks(LOOK_UP).then(move |chunk| async move {
            let rest = match self.leave_alone(chunk, caught_up).await {
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
        let interrupt = self.interrupt.clone();
        if let Some(paths) = self.named.clone() {
            self.progress.on(Event::Total { total: paths.len() as u64 });
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
            self.progress.on(Event::Total { total: paths.len() as u64 });
            let walking = spawn_blocking(move || walk::named(paths, &send, &interrupt));
            return Ok((walking, None));
        }
        let mut exclude = self.library.config.list("scan.exclude").to_vec();
        exclude.extend(self.options.exclude.iter().cloned());
        let walker = walk(&self.roots, &exclude, self.library.root())?;
        // The walk itself is held up by the files it finds; another one, that
        // only counts, says how many there are long before.
        let (counter, ended) = (walker.clone(), interrupt.clone());
        let counting = spawn_blocking(move || counter.count(&ended));
        Ok((spawn_blocking(move || walker.run(&send, &interrupt)), Some(counting)))
    }

    // Leaves out what is as it was.
    async fn leave_alone(
        &self,
        candidates: Vec<Candidate>,
        caught_up: bool,
    ) -> Result<(Vec<Unsettled>, ScanReport)> {
        let paths: Vec<String> = candidates.iter().map(|one| encode_path(&one.path)).collect();
        let (known, asked) = (self.known.clone(), paths.clone());
        let mut known = blocking(move || known.get(&asked)).await??;
        // Who wants something again wants it looked at, too.
        self.settle(&candidates, &mut known, caught_up && !self.options.again).await?;
        let mut report = ScanReport::default();
        let (mut rest, mut seen) = (Vec::new(), Vec::new());
        for ((candidate, path), known) in candidates.into_iter().zip(paths).zip(known) {
            let held = match &known {
                Some(KnownFile { outcome: KnownOutcome::Song(id, _), .. }) => Some(*id),
                _ => None,
            };
            let again = candidate.named || self.options.again;
            let left_alone = match known.filter(|known| is_same(&candidate, known)) {
                None => false,
                Some(KnownFile { outcome: KnownOutcome::Failed(_), .. }) => {
                    let again = again || self.options.failed;
                    report.failed_before += u64::from(!again);
                    !again
                }
                Some(KnownFile { outcome: KnownOutcome::Song(_, standing), .. }) => {
                    match standing {
                        // Whether its segments are kept is not known yet.
                        Standing::Settled if self.keeps_segments() => false,
                        Standing::Settled => {
                            report.unchanged += 1;
                            true
                        }
                        Standing::Forgotten => {
                            report.forgotten += u64::from(!again);
                            !again
                        }
                        Standing::Arriving | Standing::Unsure | Standing::Wanting => false,
                    }
                }
            };
            if left_alone {
                self.progress.on(Event::Advanced { item: &path, bytes: candidate.size });
                seen.push(path);
            } else {
                rest.push(Unsettled { candidate, held });
            }
        }
        let (known, number) = (self.known.clone(), self.number);
        blocking(move || known.mark_seen(&seen, number)).await??;
        Ok((rest, report))
    }

    // Asks what the library holds of files of which nothing is known for sure.
    async fn settle(
        &self,
        candidates: &[Candidate],
        known: &mut [Option<KnownFile>],
        caught_up: bool,
    ) -> Result<()> {
        let mut doubtful: Vec<(&mut Standing, SongId, &str)> = Vec::new();
        for (candidate, known) in candidates.iter().zip(known) {
            let Some(known) = known.as_mut().filter(|known| is_same(candidate, known)) else {
                continue;
            };
            if let KnownOutcome::Song(id, standing) = &mut known.outcome
                && *standing != Standing::Arriving
                && (!caught_up || candidate.named || *standing == Standing::Unsure)
            {
                doubtful.push((standing, *id, &known.path));
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        let _hearing = self.hearing.lock().await;
        let ids: Vec<SongId> = doubtful.iter().map(|(_, id, _)| *id).collect();
        let songs = self.songs(&ids).await?;
        let mut verdicts = Vec::new();
        for ((standing, id, path), song) in doubtful.into_iter().zip(songs) {
            *standing = match song {
                Ok(Some(song)) => self.standing(&song, path),
                Ok(None) => Standing::Forgotten,
                // Whoever looks at the file tells what is wrong.
                Err(_) => Standing::Wanting,
            };
            verdicts.push(Verdict { path: path.to_owned(), song: id, standing: *standing });
        }
        let known = self.known.clone();
        blocking(move || known.judge(&verdicts)).await??;
        Ok(())
    }

    // The songs with these ids, and of each that cannot be read, what kind of
    // trouble it is: one bad song must not keep a scan from all others.
    async fn songs(
        &self,
        ids: &[SongId],
    ) -> Result<Vec<std::result::Result<Option<Song>, StorageTrouble>>> {
        let backend = self.library.backend();
        let is_of_one = |error: &songrec_storage::Error| {
            matches!(error.kind(), StorageTrouble::Corrupt | StorageTrouble::Incompatible)
        };
        match backend.get_songs(ids).await {
            Err(error) if is_of_one(&error) => {}
            songs => return Ok(songs?.into_iter().map(Ok).collect()),
        }
        let mut songs = Vec::with_capacity(ids.len());
        for id in ids {
            songs.push(match backend.get_song(*id).await {
                Err(error) if is_of_one(&error) => Err(error.kind()),
                song => Ok(song?),
            });
        }
        Ok(songs)
    }

    // What is left to do for a song whose file, at an absolute path, did not
    // change.
    fn standing(&self, song: &Song, path: &str) -> Standing {
        let stored = self.library.stored_path(&songrec_core::decode_path(path));
        let named = song.files.iter().any(|file| file.path == stored);
        if named && self.was_heard(song) { Standing::Settled } else { Standing::Wanting }
    }

    fn was_heard(&self, song: &Song) -> bool {
        let complete = song
            .features
            .as_ref()
            .is_some_and(|f| f.version >= songrec_audio::dsp::FEATURES_VERSION);
        // A model that cannot hear a song, because it is silent, is not asked
        // again: then the song has none at all.
        let is_built_in =
            |model: &ModelName| built_in_models().iter().any(|spec| spec.name == *model);
        let is_silent = || {
            let loudness = song.features.as_ref().and_then(|features| features.loudness_lufs);
            song.embeddings.is_empty()
                || (loudness.is_none() && !song.embeddings.keys().any(is_built_in))
        };
        complete
            && self.models.iter().all(|model| {
                song.embeddings.contains_key(model) || (is_built_in(model) && is_silent())
            })
    }

    fn keeps_segments(&self) -> bool {
        self.options.segments && !self.ears.listeners().is_empty()
    }

    /// The files of this machine whose songs one of the models has not heard,
    /// or whose segments are wanted; one for each song.
    async fn unheard_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut elsewhere = 0u64;
        let mut query = SongQuery { limit: 500, ..SongQuery::default() };
        loop {
            let page = self.library.backend.find_songs(&query).await?;
            for song in page.items {
                if self.was_heard(&song) && !self.keeps_segments() {
                    continue;
                }
                let mut paths = song.files.iter().map(|file| self.library.file_path(&file.path));
                match paths.find(|path| path.is_file()) {
                    Some(path) => files.push(path),
                    None => elsewhere += 1,
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        if elsewhere > 0 {
            let text =
                format!("{elsewhere} songs are left out: their files are not on this machine");
            self.progress.on(Event::Note { text: &text });
        }
        Ok(files)
    }

    fn fail(&self, path: &Path, reason: &str) {
        let path = encode_path(path);
        self.progress.on(Event::Skipped { item: &path, reason });
        (self.on_item)(&ScanItem::Failed { path, reason: reason.to_owned() });
    }
}

async fn join<T>(
    task: Option<JoinHandle<T>>,
) -> Option<std::result::Result<T, tokio::task::JoinError>> {
    Some(task?.await)
}

impl ScanReport {
    fn add(&mut self, done: &Self) {
        self.added += done.added;
        self.updated += done.updated;
        self.moved += done.moved;
        self.duplicates += done.duplicates;
        self.unchanged += done.unchanged;
        self.forgotten += done.forgotten;
        self.failed += done.failed;
        self.unheard += done.unheard;
        self.failed_before += done.failed_before;
    }
}

fn is_same(candidate: &Candidate, known: &KnownFile) -> bool {
    known.size == candidate.size && known.modified == candidate.modified
}

// What a song has to have been heard by, and where its paths are meant from:
// with any of it different, what was enough may not be.
fn standard(library: &Library, models: &[ModelName]) -> i64 {
    let mut names: Vec<&str> = models.iter().map(ModelName::as_str).collect();
    names.sort_unstable();
    let root = library.root().map(encode_path).unwrap_or_default();
    let text = format!("{} {} {root}", songrec_audio::dsp::FEATURES_VERSION, names.join(" "));
    let [a, b, c, d, e, f, g, h, ..] = Digest::of(text.as_bytes()).0;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// In `library`: the one place where async meets blocking I/O of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Failed, "a part of the work came to an unexpected end").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A server scans in tasks that move between threads: this has to compile.
    #[expect(dead_code, reason = "compiling it is the test")]
    fn a_scan_may_move_between_threads(
        library: &Library,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) {
        fn is_send<T: Send>(_: T) {}
        is_send(library.scan(&ScanOptions::default(), interrupt, progress, &|_| {}));
    }
}
