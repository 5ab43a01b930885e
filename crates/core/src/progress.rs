//! Progress is reported, never asked for.

use std::fmt;

use serde::Serialize;

use crate::{Hint, ScanItem, Work};

/// Something that long work reports while it goes on: what is done, how much of
/// it, and what failed. The same for all work, so that a terminal, a log and a
/// browser need to know nothing of it; written as JSON, `event` says which it
/// is.
///
/// What was done stands in the report that the work gives in the end. Who takes
/// events may leave some out where they come too fast; reports are whole. Whoever
/// passes events to another thread, or keeps some, takes [`OwnedEvent`]s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work begins, in place of what began before it and is not over.
    Started {
        /// What is done.
        work: Work,
        /// What it is done to, where there may be several, such as a model.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<&'a str>,
        /// The number of items, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
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
    /// A scan has found out what became of a file. Comes before or after the file
    /// is counted as `Advanced`, and only where something is to be said of it.
    Scanned {
        /// What became of it.
        item: &'a ScanItem,
    },
    /// An item failed, and the work goes on without it; its report says so
    /// too. What is tried again later may be done then.
    Failed {
        /// What it was, such as a path or a title.
        item: &'a str,
        /// Why, with what can be done.
        reason: &'a Hint,
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

impl Event<'static> {
    /// Work begins that has `total` items, if that is known.
    pub const fn started(work: Work, total: Option<u64>) -> Self {
        Self::Started { work, subject: None, total }
    }
}

/// An [`Event`] that can be kept, or sent to another thread.
///
/// As JSON it is what the event is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants and fields are those of `Event`")]
pub enum OwnedEvent {
    Started { work: Work, subject: Option<String>, total: Option<u64> },
    Total { total: u64 },
    Advanced { item: String, bytes: u64 },
    Carried { bytes: u64, requests: u64 },
    Scanned { item: ScanItem },
    Failed { item: String, reason: Hint },
    Skipped { item: String, reason: String },
    Note { text: String },
    Finished,
}

impl OwnedEvent {
    /// The event itself.
    pub fn as_event(&self) -> Event<'_> {
        match self {
            Self::Started { work, subject, total } => {
                Event::Started { work: *work, subject: subject.as_deref(), total: *total }
            }
            Self::Total { total } => Event::Total { total: *total },
            Self::Advanced { item, bytes } => Event::Advanced { item, bytes: *bytes },
            Self::Carried { bytes, requests } => {
                Event::Carried { bytes: *bytes, requests: *requests }
            }
            Self::Scanned { item } => Event::Scanned { item },
            Self::Failed { item, reason } => Event::Failed { item, reason },
            Self::Skipped { item, reason } => Event::Skipped { item, reason },
            Self::Note { text } => Event::Note { text },
            Self::Finished => Event::Finished,
        }
    }
}

impl From<Event<'_>> for OwnedEvent {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Started { work, subject, total } => {
                Self::Started { work, subject: subject.map(str::to_owned), total }
            }
            Event::Total { total } => Self::Total { total },
            Event::Advanced { item, bytes } => Self::Advanced { item: item.to_owned(), bytes },
            Event::Carried { bytes, requests } => Self::Carried { bytes, requests },
            Event::Scanned { item } => Self::Scanned { item: item.clone() },
            Event::Failed { item, reason } => {
                Self::Failed { item: item.to_owned(), reason: reason.clone() }
            }
            Event::Skipped { item, reason } => {
                Self::Skipped { item: item.to_owned(), reason: reason.to_owned() }
            }
            Event::Note { text } => Self::Note { text: text.to_owned() },
            Event::Finished => Self::Finished,
        }
    }
}

impl Serialize for OwnedEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_event().serialize(serializer)
    }
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
    use serde_json::json;

    use super::*;

    // One of each, and what a browser is sent of it.
    fn every_event() -> Vec<(OwnedEvent, serde_json::Value)> {
        let (path, text) = ("a.wav".to_owned(), "empty".to_owned());
        let id = crate::SongId::from_bytes([7; 16]);
        let subject = Some("dsp45@1".to_owned());
        vec![
            (
                OwnedEvent::Started { work: Work::BuildingIndex, subject, total: Some(3) },
                json!({"event": "started", "work": "building_index", "subject": "dsp45@1", "total": 3}),
            ),
            (
                OwnedEvent::Started { work: Work::Scanning, subject: None, total: None },
                json!({"event": "started", "work": "scanning"}),
            ),
            (OwnedEvent::Total { total: 4 }, json!({"event": "total", "total": 4})),
            (
                OwnedEvent::Advanced { item: path.clone(), bytes: 5 },
                json!({"event": "advanced", "item": "a.wav", "bytes": 5}),
            ),
            (
                OwnedEvent::Carried { bytes: 6, requests: 7 },
                json!({"event": "carried", "bytes": 6, "requests": 7}),
            ),
            (
                OwnedEvent::Scanned { item: ScanItem::Added { id, path: path.clone() } },
                json!({"event": "scanned", "item": {"type": "added", "id": id, "path": "a.wav"}}),
            ),
            (
                OwnedEvent::Failed { item: path.clone(), reason: text.as_str().into() },
                json!({"event": "failed", "item": "a.wav", "reason": "empty"}),
            ),
            (
                OwnedEvent::Skipped { item: path, reason: text.clone() },
                json!({"event": "skipped", "item": "a.wav", "reason": "empty"}),
            ),
            (OwnedEvent::Note { text }, json!({"event": "note", "text": "empty"})),
            (OwnedEvent::Finished, json!({"event": "finished"})),
        ]
    }

    #[test]
    fn an_event_says_as_json_which_it_is() {
        for (event, expected) in every_event() {
            assert_eq!(serde_json::to_value(event.as_event()).unwrap(), expected);
            assert_eq!(serde_json::to_value(&event).unwrap(), expected);
        }
    }

    #[test]
    fn an_event_is_the_same_when_it_was_kept() {
        for (event, _) in every_event() {
            assert_eq!(OwnedEvent::from(event.as_event()), event);
        }
    }

    #[test]
    fn the_names_of_work_are_different_and_plain() {
        let names: std::collections::BTreeSet<String> = Work::ALL
            .iter()
            .map(|work| serde_json::to_value(work).unwrap().as_str().unwrap().to_owned())
            .collect();

        assert_eq!(names.len(), Work::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }
}
