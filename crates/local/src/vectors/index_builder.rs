//! Building the lists of the indexes beside other work.
//!
//! A writer of so many rows that their index is better built into lists anew
//! starts a thread for it, one at a time, while reading and writing go on; the index
//! sees to it that no two processes do the same. A process that only reads
//! does it too, once it has lived for a while: a server will, a command that
//! lists ten songs will not. A process that ends waits for its thread as long
//! as a tenth of the time that it has run, which nobody notices, and then
//! leaves; the index stays as it was, and the next one to write tries again.
//!
//! It reports to no `Progress`. Whoever waits for something is shown how that goes
//! on, and nobody waits for this; a stream of events tells one piece of work, and
//! would mix two. So that it can be seen, it is asked for its state instead, by
//! what looks at a whole library (`index_state.rs`), and writes what it did to the
//! log.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, TryRecvError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::rows::Rows;

/// How long a process has to run before what it reads is built into lists.
const LONG_LIVED: Duration = Duration::from_secs(5);
/// The part of its life that a process waits at its end.
const WAIT: u32 = 10;

/// Builds the lists of indexes on a thread of its own.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    begun: Instant,
    stop: Arc<AtomicBool>,
    at_work: Mutex<Option<Begun>>,
    failed: Arc<Mutex<Option<Failed>>>,
}

/// A thread that was started, and may have ended since.
#[derive(Debug)]
struct Begun {
    rows: Weak<Rows>,
    /// Ends when the thread does.
    ended: Receiver<()>,
}

/// The last build that failed, and why.
#[derive(Debug)]
struct Failed {
    rows: Weak<Rows>,
    why: String,
}

/// What becomes of the lists of some rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Building {
    No,
    GoesOn,
    Failed(String),
}

impl IndexBuilder {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            stop: Arc::default(),
            at_work: Mutex::default(),
            failed: Arc::default(),
        }
    }

    /// Builds the lists of rows that were written, if searches become faster.
    pub(crate) fn after_writing(&self, rows: &Arc<Rows>) {
        if rows.wants_build() {
            self.begin(rows);
        }
    }

    /// Builds the lists of rows that were read, if this process is a long-lived one.
    pub(crate) fn after_reading(&self, rows: &Arc<Rows>) {
        if self.begun.elapsed() >= LONG_LIVED {
            self.after_writing(rows);
        }
    }

    /// What this process does with the lists of rows.
    pub(crate) fn building(&self, rows: &Arc<Rows>) -> Building {
        let are_these = |others: &Weak<Rows>| std::ptr::eq(others.as_ptr(), Arc::as_ptr(rows));
        let at_work = locked(&self.at_work);
        if at_work.as_ref().is_some_and(|begun| are_these(&begun.rows) && is_going_on(begun)) {
            return Building::GoesOn;
        }
        match &*locked(&self.failed) {
            Some(failed) if are_these(&failed.rows) => Building::Failed(failed.why.clone()),
            _ => Building::No,
        }
    }

    fn begin(&self, rows: &Arc<Rows>) {
        let mut at_work = locked(&self.at_work);
        if at_work.as_ref().is_some_and(is_going_on) {
            return;
        }
        let (done, ended) = channel();
        let begun = Begun { rows: Arc::downgrade(rows), ended };
        let (rows, stop) = (Arc::clone(rows), Arc::clone(&self.stop));
        let failed = Arc::clone(&self.failed);
        let work = move || {
            // Dropped at the end, also of a panic.
            let _done = done;
            tracing::debug!("building the lists of an index of {} rows", rows.len());
            match rows.build(&|| stop.load(Ordering::Relaxed)) {
                Ok(built) => {
                    *locked(&failed) = None;
                    if built {
                        tracing::debug!("built the lists of an index of {} rows", rows.len());
                    }
                }
                // It is as it was, and as good; `verify` finds what is wrong.
                Err(fault) => {
                    let why = fault.chain();
                    tracing::debug!("the lists of an index were not built: {why}");
                    *locked(&failed) = Some(Failed { rows: Arc::downgrade(&rows), why });
                }
            }
        };
        // Without a thread it stays as it is.
        if thread::Builder::new().name("arranging".to_owned()).spawn(work).is_ok() {
            *at_work = Some(begun);
        }
    }
}

impl Drop for IndexBuilder {
    fn drop(&mut self) {
        let at_work = self.at_work.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Begun { ended, .. }) = at_work.take() {
            // It never sends, so this is the end or that it takes too long.
            let _ = ended.recv_timeout(self.begun.elapsed() / WAIT);
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn is_going_on(begun: &Begun) -> bool {
    matches!(begun.ended.try_recv(), Err(TryRecvError::Empty))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use songrec_core::{Metric, ModelSpec, Vector};

    use super::*;
    use crate::options::IndexKind;

    fn rows(folder: &std::path::Path, kind: IndexKind) -> Arc<Rows> {
        let spec = ModelSpec {
            name: "tiny@1".parse().unwrap(),
            dimension: 8,
            metric: Metric::Cosine,
            description: String::new(),
        };
        let rows = Rows::loose(&folder.join("index"), &spec, kind).unwrap();
        let vectors: Vec<([u8; 16], Vector)> = (0..1_500_u128)
            .map(|n| {
                let values = (0..8).map(|i| ((n * 31 + i * 7) % 101) as f32 + 1.0).collect();
                (n.to_be_bytes(), Vector::new(values).unwrap())
            })
            .collect();
        rows.put(&vectors).unwrap();
        Arc::new(rows)
    }

    fn ended(index_builder: &IndexBuilder) -> bool {
        let at_work = index_builder.at_work.lock().unwrap().take();
        let minute = Duration::from_secs(60);
        at_work.is_some_and(|Begun { ended, .. }| {
            ended.recv_timeout(minute) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
        })
    }

    #[test]
    fn rows_that_were_written_are_built_into_lists_once() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(folder.path(), IndexKind::Ivf);
        let index_builder = IndexBuilder::new();
        assert!(rows.wants_build());

        index_builder.after_writing(&rows);

        assert!(ended(&index_builder));
        assert!(!rows.wants_build());
        index_builder.after_writing(&rows);
        assert!(!ended(&index_builder), "there was nothing to do any more");
    }

    #[test]
    fn what_is_being_built_can_be_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (rows, others) = (rows(folder.path(), IndexKind::Ivf), tempfile::tempdir().unwrap());
        let others = super::tests::rows(others.path(), IndexKind::Ivf);
        let index_builder = IndexBuilder::new();
        assert_eq!(index_builder.building(&rows), Building::No);

        // A thread that ends when this test says so.
        let (done, receiver) = channel();
        *index_builder.at_work.lock().unwrap() =
            Some(Begun { rows: Arc::downgrade(&rows), ended: receiver });
        assert_eq!(index_builder.building(&rows), Building::GoesOn);
        assert_eq!(index_builder.building(&others), Building::No);
        drop(done);
        assert_eq!(index_builder.building(&rows), Building::No);

        *index_builder.failed.lock().unwrap() =
            Some(Failed { rows: Arc::downgrade(&rows), why: "no space".to_owned() });
        assert_eq!(index_builder.building(&rows), Building::Failed("no space".to_owned()));
        index_builder.after_writing(&rows);
        assert!(ended(&index_builder));
        assert_eq!(index_builder.building(&rows), Building::No, "it worked in the end");
    }

    #[test]
    fn a_process_that_has_just_begun_does_not_build_what_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(folder.path(), IndexKind::Ivf);
        let mut index_builder = IndexBuilder::new();

        index_builder.after_reading(&rows);
        assert!(!ended(&index_builder));
        index_builder.begun -= LONG_LIVED;
        index_builder.after_reading(&rows);
        assert!(ended(&index_builder));
        assert!(!rows.wants_build());
    }

    #[test]
    fn flat_rows_are_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(folder.path(), IndexKind::Flat);
        let index_builder = IndexBuilder::new();

        index_builder.after_writing(&rows);

        assert!(!ended(&index_builder));
    }

    #[test]
    fn a_process_that_ends_does_not_wait_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(folder.path(), IndexKind::Ivf);
        let index_builder = IndexBuilder::new();
        index_builder.after_writing(&rows);
        let begun = Instant::now();

        let lived = index_builder.begun.elapsed();
        drop(index_builder);

        // A tenth of what it lived, and what a loaded machine takes to wake it.
        assert!(begun.elapsed() < lived / WAIT + Duration::from_secs(2));
    }
}
