//! Scanning folders again whenever something changes in them.

mod changes;
mod waiting;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use songrec_core::{Event, Hint, Job};

use self::{changes::Watching, waiting::Waiting};
use crate::{Error, ErrorKind, Library, Result, ScanOptions, ScanReport, paths::absolute, scan};

/// How often somebody looks whether files have changed, or the end was asked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long a round waits to be tried again where the library cannot be reached.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// What each round is like. [`ScanOptions::changed`] is set by the watch.
    pub scan: ScanOptions,
    /// How long a file has to stay as it is before it is read: who copies a file writes
    /// it in pieces.
    pub settle: Duration,
}

impl WatchOptions {
    /// Enough for programs that write without a pause.
    pub const SETTLE: Duration = Duration::from_secs(2);
}

/// One scan of a watch.
#[derive(Clone, Debug, Serialize)]
pub struct WatchRound {
    /// Its number, from 1.
    pub round: u64,
    /// Whether it looked at everything: the first one, and those after which nobody
    /// knows what has changed.
    pub full: bool,
    /// The files and folders that were seen to change before it.
    pub changes: u64,
    /// What it did.
    #[serde(flatten)]
    pub report: ScanReport,
}

/// Scans the folders of `options`, and then again what changes in them, until `job` is
/// interrupted; tells `on_round` of each scan.
///
/// What is moved or deleted is treated as a scan of the folder treats it. A file is
/// read once it has stayed as it is for [`WatchOptions::settle`]; others do not wait for
/// it. Where the system loses count of changes, everything is scanned. A library that
/// cannot be reached for a while is tried again.
///
/// # Errors
///
/// When a folder is not there, or any more; when the system does not watch it, with
/// what to do; those of [`scan`](fn@scan) that do not pass by themselves; those of
/// `on_round`.
pub async fn watch<E: From<Error>>(
    library: &Library,
    options: &WatchOptions,
    job: &Job,
    on_round: &mut (dyn FnMut(&WatchRound) -> Result<(), E> + Send),
) -> Result<(), E> {
    let roots: Vec<PathBuf> = options.scan.paths.iter().map(|path| absolute(path)).collect();
    there(&roots)?;
    // Watched first: what changes during the first scan is in the second one.
    let with_ffmpeg = library.models.decoding().ffmpeg()?.is_some();
    let watching = Watching::begin(&roots, library.root(), with_ffmpeg)?;
    let mut waiting = Waiting::new(options.settle);
    let now = Instant::now();
    // At once.
    waiting.expect_all(now.checked_sub(options.settle).unwrap_or(now));
    let mut round = 0;
    while !job.is_interrupted() {
        let changes = watching.take()?;
        there(&roots)?;
        waiting.note(changes, Instant::now());
        let Some(changed) = waiting.settled(Instant::now(), &waiting::state_of) else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let (full, changes) = (changed.only.is_none(), changed.count());
        let scan_options = ScanOptions { changed: Some(changed.into()), ..options.scan.clone() };
        match scan(library, &scan_options, job).await {
            Ok(report) => {
                round += 1;
                on_round(&WatchRound { round, full, changes, report })?;
            }
            Err(error) if passes(&error) => {
                let text = format!(
                    "{}; everything is scanned again in {} s",
                    error.in_one_line(),
                    TRY_AGAIN.as_secs()
                );
                job.on(Event::Note { text: &text });
                waiting.expect_all(Instant::now() + TRY_AGAIN);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

// Whether waiting may help.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Temporary | ErrorKind::Locked)
}

// A disk that is taken away must not look like thousands of deleted files.
fn there(roots: &[PathBuf]) -> Result<()> {
    match roots.iter().find(|root| !root.exists()) {
        None => Ok(()),
        Some(root) => Err(not_there(root)),
    }
}

fn not_there(root: &Path) -> Error {
    Error::not_found(format_args!("there is no `{}` to watch", root.display())).with_hint(
        Hint::from("begin again when it is there; until then its songs stay as they are"),
    )
}
