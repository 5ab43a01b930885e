//! Progress of blocking work, told to somebody who is elsewhere.

use songrec_core::{Event, Progress};
use tokio::sync::mpsc;

// Enough that the work rarely waits for its listener.
const AHEAD: usize = 256;

/// Sends what it is told to another thread.
#[derive(Debug)]
pub(crate) struct Teller(mpsc::Sender<Told>);

#[derive(Debug)]
enum Told {
    Started { work: String, total: Option<u64> },
    Total { total: u64 },
    Advanced { item: String, bytes: u64 },
    Failed { item: String, reason: String },
    Skipped { item: String, reason: String },
    Note { text: String },
    Finished,
}

impl Progress for Teller {
    fn on(&self, event: Event<'_>) {
        let told = match event {
            Event::Started { work, total } => Told::Started { work: work.to_owned(), total },
            Event::Total { total } => Told::Total { total },
            Event::Advanced { item, bytes } => Told::Advanced { item: item.to_owned(), bytes },
            Event::Failed { item, reason } => {
                Told::Failed { item: item.to_owned(), reason: reason.to_owned() }
            }
            Event::Skipped { item, reason } => {
                Told::Skipped { item: item.to_owned(), reason: reason.to_owned() }
            }
            Event::Note { text } => Told::Note { text: text.to_owned() },
            Event::Finished => Told::Finished,
            // New kinds of events are not sent by this crate.
            _ => return,
        };
        // Nobody listens any more when the caller was cancelled.
        let _ = self.0.blocking_send(told);
    }
}

/// A teller, and a future that passes on what it is told to `progress` until
/// the teller is dropped.
pub(crate) fn teller(progress: &dyn Progress) -> (Teller, impl Future<Output = ()> + Send) {
    let (send, mut receive) = mpsc::channel(AHEAD);
    let pass_on = async move {
        while let Some(told) = receive.recv().await {
            progress.on(match &told {
                Told::Started { work, total } => Event::Started { work, total: *total },
                Told::Total { total } => Event::Total { total: *total },
                Told::Advanced { item, bytes } => Event::Advanced { item, bytes: *bytes },
                Told::Failed { item, reason } => Event::Failed { item, reason },
                Told::Skipped { item, reason } => Event::Skipped { item, reason },
                Told::Note { text } => Event::Note { text },
                Told::Finished => Event::Finished,
            });
        }
    };
    (Teller(send), pass_on)
}
