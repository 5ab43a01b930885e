//! Progress is reported, never asked for.

use std::fmt;

use serde::Serialize;

/// Something that long work reports while it goes on: what is done, how much of
/// it, and what failed. The same for all work, so that a terminal, a log and a
/// browser need to know nothing of it; written as JSON, `event` says which it
/// is.
///
/// What was done stands in the report that the work gives in the end. Events
/// may be left out where they come too fast; reports are whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work of this name begins; `total` is how much there is, where known.
    Started {
        /// What is done, such as `scanning`.
        work: &'a str,
        /// The number of items, if it is known.
        total: Option<u64>,
    },
    /// The number of items became known, or known better.
    Total {
        /// The number of items.
        total: u64,
    },
    /// An item is done.
    Advanced {
        /// What it was, such as a path.
        item: &'a str,
        /// How many bytes it was.
        bytes: u64,
    },
    /// So much went over the network, all in all, since the work began;
    /// reported a few times a second.
    Carried {
        /// Bytes of audio and embeddings.
        bytes: u64,
        /// Requests.
        requests: u64,
    },
    /// An item failed, and the work goes on without it; its report says so
    /// too. What is tried again later may be done then.
    Failed {
        /// What it was, such as a path or a title.
        item: &'a str,
        /// Why, in words.
        reason: &'a str,
    },
    /// An item was left out, and no report will say so.
    Skipped {
        /// What it was.
        item: &'a str,
        /// Why, in words.
        reason: &'a str,
    },
    /// Something worth knowing that stops nothing.
    Note {
        /// In words.
        text: &'a str,
    },
    /// The work is over.
    Finished,
}

/// What takes events. The terminal draws, the server logs, tests collect.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Takes note of `event`; must be quick.
    fn on(&self, event: Event<'_>);
}

/// Drops all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: Event<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_as_json_which_it_is() {
        let failed = Event::Failed { item: "a.wav", reason: "empty" };

        let json = serde_json::to_value(failed).unwrap();

        assert_eq!(
            json,
            serde_json::json!({"event": "failed", "item": "a.wav", "reason": "empty"})
        );
    }
}
