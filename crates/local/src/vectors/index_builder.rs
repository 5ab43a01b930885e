//! Building the lists of the indexes beside other work.
//!
//! A writer of so many rows that their index is better built into lists anew
//! starts a thread for it, one at a time, while reading and writing go on; the index
//! sees to it that no two processes do the same. A process that only reads
//! does it too, once it has lived for a while: a server will, a command that
//! lists ten songs will not. A process that ends waits for its thread as long
//! as a tenth of the time that it has run, which nobody notices, and then
//! leaves; the index stays as it was, and the next one to write tries again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
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
    /// Ends when the thread does.
    at_work: Mutex<Option<Receiver<()>>>,
}

impl IndexBuilder {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), stop: Arc::default(), at_work: Mutex::default() }
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

    fn begin(&self, rows: &Arc<Rows>) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.as_ref().is_some_and(is_going_on) {
            return;
        }
        let (done, ended) = channel();
        let (rows, stop) = (Arc::clone(rows), Arc::clone(&self.stop));
        let work = move || {
            // Dropped at the end, also of a panic.
            let _done = done;
            match rows.build(&|| stop.load(Ordering::Relaxed)) {
                Ok(true) => tracing::debug!("built the lists of an index of {} rows", rows.len()),
                Ok(false) => {}
                // It is as it was, and as good; `verify` finds what is wrong.
                Err(fault) => tracing::debug!("the lists of an index were not built: {fault}"),
            }
        };
        // Without a thread it stays as it is.
        if thread::Builder::new().name("arranging".to_owned()).spawn(work).is_ok() {
            *at_work = Some(ended);
        }
    }
}

impl Drop for IndexBuilder {
    fn drop(&mut self) {
        let at_work = self.at_work.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = at_work.take() {
            // It never sends, so this is the end or that it takes too long.
            let _ = ended.recv_timeout(self.begun.elapsed() / WAIT);
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn is_going_on(ended: &Receiver<()>) -> bool {
    matches!(ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
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
        at_work.is_some_and(|ended| {
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
