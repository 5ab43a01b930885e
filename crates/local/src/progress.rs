//! Progress of blocking work, reported to an async caller.

use std::sync::Arc;

use songrec_core::{Event, Job, Progress};
use tokio::sync::mpsc;

// Enough that the work rarely waits for its listener.
const AHEAD: usize = 256;

/// Sends the events of blocking work to the task that awaits it.
#[derive(Debug)]
pub(crate) struct Reporter(mpsc::Sender<OwnedEvent>);

#[derive(Debug)]
enum OwnedEvent {
    Started { work: String, total: Option<u64> },
    Total { total: u64 },
    Advanced { item: String, bytes: u64 },
    Failed { item: String, reason: String },
    Skipped { item: String, reason: String },
    Note { text: String },
    Finished,
}

impl Progress for Reporter {
    fn on(&self, event: Event<'_>) {
        let event = match event {
            Event::Started { work, total } => OwnedEvent::Started { work: work.to_owned(), total },
            Event::Total { total } => OwnedEvent::Total { total },
            Event::Advanced { item, bytes } => {
                OwnedEvent::Advanced { item: item.to_owned(), bytes }
            }
            Event::Failed { item, reason } => {
                OwnedEvent::Failed { item: item.to_owned(), reason: reason.to_owned() }
            }
            Event::Skipped { item, reason } => {
                OwnedEvent::Skipped { item: item.to_owned(), reason: reason.to_owned() }
            }
            Event::Note { text } => OwnedEvent::Note { text: text.to_owned() },
            Event::Finished => OwnedEvent::Finished,
            // New kinds of events are not sent by this crate.
            _ => return,
        };
        // Nobody listens any more when the caller was cancelled.
        let _ = self.0.blocking_send(event);
    }
}

/// A reporter, and a future that passes its events on to `progress` until the
/// reporter is dropped.
pub(crate) fn reporter(progress: &dyn Progress) -> (Reporter, impl Future<Output = ()> + Send) {
    let (send, mut receive) = mpsc::channel(AHEAD);
    let pass_on = async move {
        while let Some(event) = receive.recv().await {
            progress.on(match &event {
                OwnedEvent::Started { work, total } => Event::Started { work, total: *total },
                OwnedEvent::Total { total } => Event::Total { total: *total },
                OwnedEvent::Advanced { item, bytes } => Event::Advanced { item, bytes: *bytes },
                OwnedEvent::Failed { item, reason } => Event::Failed { item, reason },
                OwnedEvent::Skipped { item, reason } => Event::Skipped { item, reason },
                OwnedEvent::Note { text } => Event::Note { text },
                OwnedEvent::Finished => Event::Finished,
            });
        }
    };
    (Reporter(send), pass_on)
}

/// The same for work that can be interrupted: a job for it, which reports to
/// `job` and ends with it.
pub(crate) fn reporting(job: &Job) -> (Job, impl Future<Output = ()> + Send) {
    let (reporter, pass_on) = reporter(&*job.progress);
    (Job { progress: Arc::new(reporter), interrupt: job.interrupt.clone() }, pass_on)
}
