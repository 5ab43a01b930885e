//! Progress on the terminal.

use std::{
    borrow::Cow,
    fmt,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use songrec_core::{Event, Job, Progress, Silent, Work};

use crate::{
    args::GlobalArgs,
    numbers::{counted, size},
    terminal,
};

/// Who draws the progress of a run, if anybody.
pub(crate) fn progress(global: &GlobalArgs) -> Arc<dyn Progress> {
    if global.quiet {
        return Arc::new(Silent);
    }
    let hidden = global.no_progress
        || std::env::var_os("SONGREC_NO_PROGRESS").is_some_and(|value| !value.is_empty());
    if hidden || !terminal::err_is_terminal() {
        return Arc::new(Notes);
    }
    Arc::new(Terminal::default())
}

/// The same work, of whose events `listener` takes note as well.
pub(crate) fn listened_to(job: &Job, listener: impl Fn(Event<'_>) + Send + Sync + 'static) -> Job {
    let passed_to = job.progress.clone();
    Job { progress: Arc::new(Listened { passed_to, listener }), interrupt: job.interrupt.clone() }
}

struct Listened<F> {
    passed_to: Arc<dyn Progress>,
    listener: F,
}

impl<F> fmt::Debug for Listened<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listened").field("passed_to", &self.passed_to).finish_non_exhaustive()
    }
}

impl<F: Fn(Event<'_>) + Send + Sync> Progress for Listened<F> {
    fn on(&self, event: Event<'_>) {
        // A bar counts the item before anything is printed above it.
        self.passed_to.on(event);
        (self.listener)(event);
    }
}

/// Draws nothing, and still says what is worth saying.
#[derive(Debug)]
struct Notes;

impl Progress for Notes {
    fn on(&self, event: Event<'_>) {
        if let Event::Note { text } = event {
            read_changes(None, text, 0);
        }
    }
}

/// Draws a bar on stderr.
#[derive(Debug, Default)]
struct Terminal {
    drawn: Mutex<Option<Drawn>>,
}

#[derive(Debug)]
struct Drawn {
    bar: ProgressBar,
    // Whether its items are files.
    is_scan: bool,
    // Whether it says how much was carried, and not what is done.
    carried: AtomicBool,
}

// Five times a second is smooth, and little work over a slow line.
const FRAMES_PER_SECOND: u8 = 5;

impl Progress for Terminal {
    fn on(&self, event: Event<'_>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match (event, &*drawn) {
            (Event::Started { work, subject, total }, _) => {
                let target = ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND);
                let prefix = terminal::one_line(&words(work, subject)).into_owned();
                let bar = ProgressBar::with_draw_target(total, target).with_prefix(prefix);
                bar.set_style(style(total.is_some()));
                bar.enable_steady_tick(Duration::from_millis(250));
                let is_scan = work == Work::Scanning;
                *drawn = Some(Drawn { bar, is_scan, carried: AtomicBool::new(false) });
            }
            (Event::Total { total }, Some(drawn)) => {
                drawn.bar.set_length(total);
                drawn.bar.set_style(style(true));
            }
            (Event::Advanced { item, .. }, Some(Drawn { bar, is_scan, carried })) => {
                bar.inc(1);
                if !carried.load(Ordering::Relaxed) {
                    let item = if *is_scan { file_name(item) } else { item.to_owned() };
                    bar.set_message(terminal::one_line(&item).into_owned());
                }
            }
            (Event::Carried { bytes, requests }, Some(Drawn { bar, carried, .. })) => {
                let requests = counted(requests, "request");
                bar.set_message(format!("{}, {requests}", size(bytes)));
                carried.store(true, Ordering::Relaxed);
            }
            // The report of the work lists what failed.
            (Event::Failed { .. }, Some(drawn)) => drawn.bar.inc(1),
            (Event::Skipped { item, reason }, Some(drawn)) => {
                let item = terminal::one_line(item);
                read_changes(Some(&drawn.bar), &format!("skipped {item}: {reason}"), 1);
            }
            (Event::Note { text }, drawn) => {
                read_changes(drawn.as_ref().map(|drawn| &drawn.bar), text, 0)
            }
            (Event::Finished, Some(Drawn { bar, .. })) => {
                bar.finish_and_clear();
                *drawn = None;
            }
            _ => {}
        }
    }
}

// What a person reads beside the bar.
fn words(work: Work, subject: Option<&str>) -> Cow<'static, str> {
    let words = match work {
        Work::Scanning => "scanning",
        Work::Embedding => "embedding",
        Work::EmbeddingAgain => "embedding songs again",
        Work::Relocating => "relocating",
        Work::ReadingSongs => "reading songs",
        Work::ReadingEmbeddings => "reading embeddings",
        Work::LookingForChanges => "looking for changes",
        Work::Exporting => "exporting",
        Work::Importing => "importing",
        Work::Downloading => "downloading",
        Work::Verifying => "verifying",
        Work::LookingForGarbage => "looking for what no song names",
        Work::RemovingGarbage => "removing what no song names",
        Work::RemovingVectors => "removing the vectors of a model",
        Work::BuildingCatalog => "building the catalog from the files",
        Work::TakingInFiles => "taking in files that changed",
        Work::BuildingIndex => "building the index",
        Work::ComparingLibraries => "comparing",
        Work::Planning => "planning",
        Work::Copying => "copying",
        Work::Syncing => "syncing",
        Work::ComparingSongs => "comparing every song",
        Work::ComparingWithClusters => "comparing with clusters",
        Work::PlacingNewSongs => "placing new songs",
        Work::Measuring => "measuring",
        Work::ChangingAndFinding => "changing and finding songs",
        Work::Clustering => "clustering",
        Work::ChoosingK => "choosing k",
        Work::ChoosingEps => "looking for eps",
        Work::Silhouettes => "silhouettes",
        Work::GrowingTrees => "growing trees",
        Work::ScoringOutliers => "scoring",
        Work::FindingNeighbors => "finding neighbors",
        Work::FindingComponents => "finding components",
        Work::DrawingMap => "drawing the map",
        Work::PlacingRows => "placing",
        Work::JudgingMap => "judging the map",
        Work::Evaluating => "evaluating",
    };
    match subject {
        Some(subject) => format!("{words} of `{subject}`").into(),
        None => words.into(),
    }
}

fn read_changes(bar: Option<&ProgressBar>, text: &str, advance: u64) {
    match bar {
        Some(bar) => {
            // It writes to the terminal by itself.
            bar.println(terminal::visible(text));
            bar.inc(advance);
        }
        // Where nobody listens, there is nobody to tell.
        None => drop(terminal::err().write_all(format!("{text}\n").as_bytes())),
    }
}

fn style(total_known: bool) -> ProgressStyle {
    let template = if total_known {
        "{prefix} {bar:20} {human_pos}/{human_len}  {rate}  {eta} left  {wide_msg}"
    } else {
        "{prefix} {spinner} {human_pos}  {rate}  {wide_msg}"
    };
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Where it cannot be drawn there is nobody to see it.
        let _ = write!(text, "{:.1}/s", state.per_sec());
    };
    ProgressStyle::with_template(template).expect("the templates are valid").with_key("rate", rate)
}

fn file_name(path: &str) -> String {
    let path = songrec_core::decode_path(path);
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
