//! Progress of blocking work, reported to an async caller.

use std::sync::Arc;

use songrec_core::{Event, Job, OwnedEvent, Progress};
use tokio::sync::mpsc;

// Enough that the work rarely waits for its listener.
const AHEAD: usize = 256;

/// Sends the events of blocking work to the task that awaits it.
#[derive(Debug)]
pub(crate) struct Reporter(mpsc::Sender<OwnedEvent>);

impl Progress for Reporter {
    fn on(&self, event: Event<'_>) {
        // Nobody listens any more when the caller was cancelled.
        let _ = self.0.blocking_send(event.into());
    }
}

/// A reporter, and a future that passes its events on to `progress` until the
/// reporter is dropped.
pub(crate) fn reporter(progress: &dyn Progress) -> (Reporter, impl Future<Output = ()> + Send) {
    let (send, mut receive) = mpsc::channel::<OwnedEvent>(AHEAD);
    let pass_on = async move {
        while let Some(event) = receive.recv().await {
            progress.on(event.as_event());
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
