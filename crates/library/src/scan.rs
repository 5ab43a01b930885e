//! Finding audio files and taking them in.

pub(crate) mod take_in;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use futures::StreamExt;
use serde::Serialize;
use songrec_audio::{Analysis, Identity, Wanted, built_in_models};
use songrec_core::{Event, ModelName, Progress, Song, SongId, Tags, encode_path};
use songrec_local::{KnownFile, KnownFiles, KnownOutcome};
use songrec_storage::Lookup;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    Error, ErrorKind, Interrupt, Library, Result,
    hearing::on_cpu,
    library::absolute,
    scan::walk::{Candidate, Walked, walk},
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
    Failed { path: String, reason: String },
}

/// Who is told what became of each file that was not as before.
pub type OnItem<'a> = &'a (dyn Fn(&ScanItem) + Send + Sync);

/// How many files are asked for at once whether they are known.
const LOOK_UP: usize = 256;
/// How many songs are stored at once, if as many are ready.
const STORE: usize = 64;
/// About how much memory it takes to hear one file: decoder, transforms, and
/// the frames of up to ten minutes; longer files are heard in such parts.
const MEMORY_PER_FILE: u64 = 180 << 20;

/// A walk that only counts; nothing after an interrupt.
type Counting = JoinHandle<Option<u64>>;

/// A file that was looked at.
struct Looked {
    candidate: Candidate,
    found: std::result::Result<Found, String>,
}

/// What a readable file turned out to be.
struct Found {
    identity: Identity,
    tags: Tags,
    /// What was heard; nothing if a song is known that was heard already.
    analysis: Option<Box<Analysis>>,
    /// The song that has this audio, if it is known.
    song: Option<SongId>,
    /// A song that has its audio at this path no longer.
    replaced: Option<SongId>,
}

impl Library {
    /// Takes in what is new, changed or moved among the files of `options`.
    ///
    /// Can be interrupted and repeated at any time: what was taken in stays,
    /// and what was not is found again. Reads a file only if its size or time
    /// changed since it was last seen; costs one look at the catalog for each
    /// file besides.
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
        let scan = Scan::begin(self, options, progress, on_item).await?;
        progress.on(Event::Started { work: "scanning", total: None });
        let result = scan.run(interrupt).await;
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
    progress: &'a dyn Progress,
    on_item: OnItem<'a>,
    known: Arc<KnownFiles>,
    /// The number of this scan among those of this machine.
    number: i64,
    models: Vec<ModelName>,
    roots: Vec<PathBuf>,
    threads: usize,
    pool: rayon::ThreadPool,
}

impl<'a> Scan<'a> {
    async fn begin(
        library: &'a Library,
        options: &'a ScanOptions,
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
        let models = library.scan_models()?;
        if !options.dry_run {
            for model in &models {
                let spec = built_in_models().iter().find(|spec| spec.name == *model);
                library.backend.put_model(spec.expect("checked by scan_models")).await?;
            }
        }
        let known = Arc::new(library.known_files()?);
        let number = known.begin_scan()?;
        Ok(Self {
            library,
            options,
            progress,
            on_item,
            known,
            number,
            models,
            roots,
            threads,
            pool,
        })
    }

    async fn run(&self, interrupt: &Interrupt) -> Result<ScanReport> {
        let (send, receive) = tokio::sync::mpsc::channel(LOOK_UP);
        let (walking, mut counting) = self.walk(send, interrupt)?;
        let left_alone = std::sync::Mutex::new(ScanReport::default());
        let candidates = futures::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|candidate| (candidate, receive))
        });
        let unknown = candidates.ready_chunks(LOOK_UP).then(|chunk| async {
            let rest = match self.unknown(chunk).await {
                Ok(unknown) => {
                    let mut report = left_alone.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(&unknown.report);
                    unknown.rest.into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(error)],
            };
            futures::stream::iter(rest)
        });
        let looked = unknown
            .flatten()
            .map(|candidate: Result<Candidate>| async {
                let candidate = candidate?;
                if interrupt.is_set() {
                    return Ok(None);
                }
                let found = self.look(&candidate, interrupt).await?;
                // It was left in the middle, and is no failure.
                if found.is_err() && interrupt.is_set() {
                    return Ok(None);
                }
                Ok::<_, Error>(Some(Looked { candidate, found }))
            })
            // More in flight than threads, so that none of them waits while
            // songs are being stored.
            .buffer_unordered(self.threads * 4)
            .ready_chunks(STORE);
        let mut looked = std::pin::pin!(looked);
        let mut report = ScanReport::default();
        while let Some(chunk) = looked.next().await {
            if counting.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(Ok(Some(total))) = join(counting.take()).await
            {
                self.progress.on(Event::Total { total });
            }
            let ready: Result<Vec<Option<Looked>>> = chunk.into_iter().collect();
            let done = self.take_in(ready?.into_iter().flatten().collect()).await?;
            report.add(&done);
        }
        report.add(&left_alone.lock().unwrap_or_else(PoisonError::into_inner));
        let walked = walking.await.expect("the walker does not panic");
        report.interrupted = interrupt.is_set();
        for (path, reason) in walked.unreadable {
            self.fail(&path, &reason);
            report.failed += 1;
        }
        if !report.interrupted && !self.options.failed {
            report.missing = self.missing().await?;
        }
        Ok(report)
    }

    fn walk(
        &self,
        send: tokio::sync::mpsc::Sender<Candidate>,
        interrupt: &Interrupt,
    ) -> Result<(JoinHandle<Walked>, Option<Counting>)> {
        let interrupt = interrupt.clone();
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
    async fn unknown(&self, candidates: Vec<Candidate>) -> Result<Unknown> {
        let paths: Vec<String> = candidates.iter().map(|one| encode_path(&one.path)).collect();
        let (known, asked) = (self.known.clone(), paths.clone());
        let known = blocking(move || known.get(&asked)).await??;
        let unchanged: Vec<Option<KnownOutcome>> = candidates
            .iter()
            .zip(known)
            .map(|(candidate, known)| {
                let known = known?;
                let same = known.size == candidate.size && known.modified == candidate.modified;
                same.then_some(known.outcome)
            })
            .collect();
        let ids: Vec<SongId> = unchanged
            .iter()
            .filter_map(|outcome| match outcome {
                Some(KnownOutcome::Song(id)) => Some(*id),
                _ => None,
            })
            .collect();
        let mut songs = self.library.backend.get_songs(&ids).await?.into_iter();
        let mut result = Unknown::default();
        let mut seen = Vec::new();
        for ((candidate, path), outcome) in candidates.into_iter().zip(paths).zip(unchanged) {
            let keep = match outcome {
                None => true,
                Some(KnownOutcome::Failed(_)) => {
                    let again = self.options.failed || candidate.named || self.options.again;
                    result.report.failed_before += u64::from(!again);
                    again
                }
                Some(KnownOutcome::Song(_)) => match songs.next().flatten() {
                    Some(song) => {
                        let settled = self.is_settled(&song, &candidate);
                        result.report.unchanged += u64::from(settled);
                        !settled
                    }
                    None => {
                        let again = candidate.named || self.options.again;
                        result.report.forgotten += u64::from(!again);
                        again
                    }
                },
            };
            if keep {
                result.rest.push(candidate);
            } else {
                self.progress.on(Event::Advanced { item: &path, bytes: candidate.size });
                seen.push(path);
            }
        }
        let (known, number) = (self.known.clone(), self.number);
        blocking(move || known.mark_seen(&seen, number)).await??;
        Ok(result)
    }

    // Whether nothing is left to do for a song whose file did not change.
    fn is_settled(&self, song: &Song, candidate: &Candidate) -> bool {
        let path = self.library.stored_path(&candidate.path);
        song.files.iter().any(|file| file.path == path) && self.was_heard(song)
    }

    fn was_heard(&self, song: &Song) -> bool {
        let complete = song
            .features
            .as_ref()
            .is_some_and(|f| f.version >= songrec_audio::dsp::FEATURES_VERSION);
        // A model that cannot hear a song, because it is silent, is not asked
        // again: then the song has none at all.
        complete
            && (song.embeddings.is_empty()
                || self.models.iter().all(|model| song.embeddings.contains_key(model)))
    }

    // Reads a file as far as is needed: to its identity if its song is known,
    // else all of it.
    async fn look(
        &self,
        candidate: &Candidate,
        interrupt: &Interrupt,
    ) -> Result<std::result::Result<Found, String>> {
        let path = candidate.path.clone();
        let identity = match on_cpu(Some(&self.pool), move || songrec_audio::identify(&path)).await
        {
            Ok(Ok(identity)) => identity,
            Ok(Err(error)) => return Ok(Err(reason_of(&error))),
            Err(panic) => return Ok(Err(panic)),
        };
        let stored = self.library.stored_path(&candidate.path);
        let lookups = [Lookup::FileHash(identity.sha256), Lookup::Path(stored)];
        let mut found = self.library.backend.lookup(&lookups).await?.into_iter();
        let by_hash = found.next().unwrap_or_default();
        let by_path = found.next().unwrap_or_default();
        // The same bytes are the same song, whatever a newer demuxer makes of
        // them.
        let id = by_hash.first().copied().unwrap_or_else(|| identity.song());
        let song = self.library.backend.get_songs(&[id]).await?.pop().flatten();
        let replaced = by_path.into_iter().find(|other| *other != id);
        let heard = song.as_ref().is_some_and(|song| self.was_heard(song));
        let wanted = Wanted {
            models: self.models.clone(),
            cancel: Some(interrupt.flag()),
            ..Wanted::default()
        };
        let dry_run = self.options.dry_run;
        let path = candidate.path.clone();
        let work = move || {
            if heard || dry_run {
                return Ok((songrec_audio::read_tags(&path).0, None));
            }
            let analysis = songrec_audio::analyze(&path, &wanted)?;
            Ok((analysis.tags.clone(), Some(Box::new(analysis))))
        };
        match on_cpu(Some(&self.pool), work).await {
            Ok(Ok((tags, analysis))) => {
                let tags = self.with_folder_genre(tags, &candidate.path);
                Ok(Ok(Found { identity, tags, analysis, song: song.map(|song| song.id), replaced }))
            }
            Ok(Err(error)) => Ok(Err(reason_of(&error))),
            Err(panic) => Ok(Err(panic)),
        }
    }

    fn with_folder_genre(&self, mut tags: Tags, path: &Path) -> Tags {
        let wanted =
            self.options.genre_from_folder || self.library.config.flag("scan.genre_from_folder");
        if wanted && tags.genres.is_empty() {
            let folder = path.parent().and_then(Path::file_name);
            tags.genres.extend(folder.map(|name| name.to_string_lossy().into_owned()));
        }
        tags
    }

    fn fail(&self, path: &Path, reason: &str) {
        let path = encode_path(path);
        self.progress.on(Event::Skipped { item: &path, reason });
        (self.on_item)(&ScanItem::Failed { path, reason: reason.to_owned() });
    }

    // Files below the scanned folders that were known and are gone. They stay
    // known: a disk that is not mounted must not cost a library its songs.
    async fn missing(&self) -> Result<u64> {
        let mut missing = 0;
        for root in &self.roots {
            let folder = encode_path(root);
            let mut after = String::new();
            loop {
                let (known, number) = (self.known.clone(), self.number);
                let (below, from) = (folder.clone(), after.clone());
                let page = blocking(move || known.unseen(&below, number, &from, LOOK_UP)).await??;
                let Some(last) = page.last() else { break };
                after = last.path.clone();
                missing += self.report_missing(page).await?;
            }
        }
        Ok(missing)
    }

    async fn report_missing(&self, page: Vec<KnownFile>) -> Result<u64> {
        let mut gone = Vec::new();
        let mut forget = Vec::new();
        for file in page {
            if songrec_core::decode_path(&file.path).exists() {
                continue;
            }
            match file.outcome {
                KnownOutcome::Song(id) => gone.push((file.path, id)),
                KnownOutcome::Failed(_) => forget.push(file.path),
            }
        }
        let ids: Vec<SongId> = gone.iter().map(|(_, id)| *id).collect();
        let songs = self.library.backend.get_songs(&ids).await?;
        let mut missing = 0;
        for ((path, id), song) in gone.into_iter().zip(songs) {
            let stored = self.library.stored_path(&songrec_core::decode_path(&path));
            let still_named =
                song.is_some_and(|song| song.files.iter().any(|file| file.path == stored));
            if still_named {
                missing += 1;
                (self.on_item)(&ScanItem::Missing { id, path });
            } else {
                // Moved, and found at its new place.
                forget.push(path);
            }
        }
        let known = self.known.clone();
        blocking(move || known.forget(&forget)).await??;
        Ok(missing)
    }
}

impl Library {
    /// The models that hear every scanned song.
    ///
    /// # Errors
    ///
    /// When a configured model is not one that songrec has.
    pub fn scan_models(&self) -> Result<Vec<ModelName>> {
        let names = self.config.list("scan.models");
        let mut models = Vec::new();
        for name in names {
            let model: ModelName = name
                .parse()
                .map_err(|error| Error::usage("`scan.models` is wrong").because(error))?;
            if !built_in_models().iter().any(|spec| spec.name == model) {
                let known: Vec<&str> =
                    built_in_models().iter().map(|spec| spec.name.as_str()).collect();
                return Err(Error::usage(format_args!("there is no model `{model}`"))
                    .with_hint(format_args!("the models are {}", known.join(", "))));
            }
            models.push(model);
        }
        Ok(models)
    }
}

async fn join<T>(
    task: Option<JoinHandle<T>>,
) -> Option<std::result::Result<T, tokio::task::JoinError>> {
    Some(task?.await)
}

#[derive(Default)]
struct Unknown {
    rest: Vec<Candidate>,
    report: ScanReport,
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
        self.failed_before += done.failed_before;
    }
}

fn reason_of(error: &songrec_audio::Error) -> String {
    let mut reason = error.reason().to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = format!("{reason}: {source}");
    }
    reason
}

/// In `library`: the one place where async meets blocking I/O of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Failed, "a part of the work came to an unexpected end").because(error)
    })
}
