//! One job: what it is doing, and its events.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};
use songrec_core::{Event, Interrupt, Progress, ScanItem, Timestamp, Work};
use songrec_library::now;
use tokio::sync::watch;

use crate::{problem::Problem, words};

/// Progress is sent so often at the most: often enough to be smooth.
const PAUSE: Duration = Duration::from_millis(200);
/// The last events are kept, for clients that connect later.
const KEPT_EVENTS: usize = 2_000;
/// Items that failed and are listed; all are counted.
const FAILED: usize = 100;

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// It waits for another one.
    #[default]
    Queued,
    Running,
    Done,
    Failed,
    /// It ended early, at a safe point, because somebody asked for that.
    Cancelled,
}

impl JobState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more becomes of it.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One job.
#[derive(Debug)]
pub(crate) struct Record {
    id: String,
    kind: &'static str,
    interrupt: Interrupt,
    now: Mutex<Now>,
    /// The number of the last event.
    events: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Now {
    state: JobState,
    asked: Option<Timestamp>,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    progress: JobProgress,
    counts: BTreeMap<&'static str, u64>,
    failed_items: Vec<FailedItem>,
    result: Option<Value>,
    problem: Option<Problem>,
    log: VecDeque<JobEvent>,
    number: u64,
    progress_sent: Option<Instant>,
}

impl Now {
    fn note_failed(&mut self, item: &str, reason: String) {
        if self.failed_items.len() < FAILED {
            self.failed_items.push(FailedItem { item: item.to_owned(), reason });
        }
    }
}

/// What a job is doing.
#[derive(Clone, Debug, Default, Serialize)]
struct JobProgress {
    /// Such as `scanning`; a job may do several things after each other.
    task: String,
    /// How many items of this are done.
    done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// What went over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    /// The item that was done last.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct FailedItem {
    item: String,
    reason: String,
}

/// Something that happened in a job.
#[derive(Clone, Debug)]
pub(crate) struct JobEvent {
    pub(crate) number: u64,
    pub(crate) event: &'static str,
    pub(crate) data: Value,
}

impl Record {
    pub(crate) fn new(id: String, kind: &'static str) -> Self {
        let asked = Now { asked: Some(now()), ..Now::default() };
        let interrupt = Interrupt::default();
        Self { id, kind, interrupt, now: Mutex::new(asked), events: watch::channel(0).0 }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    pub(crate) fn state(&self) -> JobState {
        self.now().state
    }

    /// Everything that is known of it.
    pub(crate) fn document(&self) -> Value {
        let now = self.now();
        let mut document = json!({
            "id": self.id,
            "kind": self.kind,
            "state": now.state,
            "asked": now.asked,
            "progress": now.progress,
            "counts": now.counts,
            "failed_items": now.failed_items,
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let (Some(all), Some(value)) = (document.as_object_mut(), value) {
                all.insert(name.to_owned(), value);
            }
        };
        add("started", now.started.map(|at| json!(at)));
        add("ended", now.ended.map(|at| json!(at)));
        add("result", now.result.clone());
        add("problem", now.problem.as_ref().map(|problem| json!(problem)));
        document
    }

    /// It begins to run.
    pub(crate) fn begin(&self) {
        let mut state = self.now();
        state.state = JobState::Running;
        state.started = Some(now());
        let progress = json!(state.progress);
        self.tell(&mut state, "progress", progress);
    }

    /// It is over.
    pub(crate) fn end(&self, state: JobState, result: Option<Value>, problem: Option<Problem>) {
        {
            let mut known = self.now();
            known.state = state;
            known.ended = Some(now());
            known.progress.current = None;
            known.result = result;
            known.problem = problem;
        }
        let document = self.document();
        self.tell(&mut self.now(), "end", document);
    }

    // Counts and tells of an item that the work goes on without.
    fn failed(&self, now: &mut Now, item: &str, reason: String) {
        now.progress.done += 1;
        *now.counts.entry("failed").or_default() += 1;
        match self.kind {
            // As `scan` prints it.
            "scan" => {
                self.tell(now, "item", json!({ "type": "failed", "path": item, "reason": reason }))
            }
            _ => self.tell(now, "log", json!({ "text": format!("{item}: {reason}") })),
        }
        now.note_failed(item, reason);
    }

    fn tell(&self, now: &mut Now, event: &'static str, data: Value) {
        now.number += 1;
        if now.log.len() == KEPT_EVENTS {
            now.log.pop_front();
        }
        let number = now.number;
        now.log.push_back(JobEvent { number, event, data });
        // Nobody need look on.
        self.events.send_replace(number);
    }

    /// The events after `number`, as far as they are kept.
    pub(crate) fn events_after(&self, number: u64) -> Vec<JobEvent> {
        self.now().log.iter().filter(|event| event.number > number).cloned().collect()
    }

    /// Changes with every event.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.events.subscribe()
    }
}

impl Progress for Record {
    fn on(&self, event: Event<'_>) {
        let mut now = self.now();
        let mut is_news = false;
        match event {
            Event::Started { work, subject, total } => {
                now.progress =
                    JobProgress { task: task(work, subject), total, ..JobProgress::default() };
                is_news = true;
            }
            Event::Total { total } => now.progress.total = Some(total),
            Event::Advanced { item, .. } => {
                now.progress.done += 1;
                now.progress.current = (!item.is_empty()).then(|| item.to_owned());
            }
            Event::Carried { bytes, requests } => {
                (now.progress.bytes, now.progress.requests) = (Some(bytes), Some(requests));
            }
            Event::Scanned { item } => {
                *now.counts.entry(kind(item)).or_default() += 1;
                self.tell(&mut now, "item", json!(item));
                // The song is there, and something of it is not.
                if let ScanItem::Unembedded { path, model, reason, .. } = item {
                    now.note_failed(path, format!("`{model}` did not embed it: {reason}"));
                }
            }
            Event::Failed { item, reason } => {
                self.failed(&mut now, item, words::in_words(reason));
            }
            Event::Skipped { item, reason } => self.failed(&mut now, item, reason.to_owned()),
            Event::Note { text } => self.tell(&mut now, "log", json!({ "text": text })),
            Event::Finished => is_news = true,
            _ => {}
        }
        if is_news || now.progress_sent.is_none_or(|event| event.elapsed() >= PAUSE) {
            now.progress_sent = Some(Instant::now());
            let progress = json!(now.progress);
            self.tell(&mut now, "progress", progress);
        }
    }
}

// What is done, in words: the stable name of the work, and what it is done to.
fn task(work: Work, subject: Option<&str>) -> String {
    let name = json!(work).as_str().unwrap_or_default().replace('_', " ");
    subject.map_or_else(|| name.clone(), |subject| format!("{name}: {subject}"))
}

// Under what a file is counted.
const fn kind(item: &ScanItem) -> &'static str {
    match item {
        ScanItem::Added { .. } => "added",
        ScanItem::Updated { .. } => "updated",
        ScanItem::Moved { .. } => "moved",
        ScanItem::Duplicate { .. } => "duplicates",
        ScanItem::Missing { .. } => "missing",
        ScanItem::Unembedded { .. } => "unheard",
        ScanItem::Warned { .. } => "warned",
        ScanItem::SynthAdded { .. } => "synths_added",
        ScanItem::SynthUpdated { .. } => "synths_updated",
        ScanItem::SynthMoved { .. } => "synths_moved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_sent_now_and_then_and_the_end_always() {
        let record = Record::new("1".to_owned(), "scan");
        record.begin();
        record.on(Event::started(Work::Scanning, None));
        for _ in 0..10_000 {
            record.on(Event::Advanced { item: "a.wav", bytes: 1 });
        }
        record.end(JobState::Done, Some(json!({"added": 1})), None);

        let events = record.events_after(0);

        assert!(events.len() < 1_000, "{} events", events.len());
        assert_eq!(events.last().map(|event| event.event), Some("end"));
        assert_eq!(record.document()["progress"]["done"], 10_000);
        assert_eq!(record.events_after(events.len() as u64 - 1).len(), 1);
    }

    #[test]
    fn a_song_that_a_model_did_not_embed_is_listed_with_the_reason() {
        let record = Record::new("1".to_owned(), "scan");
        let item = ScanItem::Unembedded {
            id: "3f9a0000-0000-8000-8000-000000000000".parse().unwrap(),
            path: "a.wav".to_owned(),
            model: "ear@1".parse().unwrap(),
            reason: "no answer: connection refused".to_owned(),
        };
        record.on(Event::Scanned { item: &item });

        let document = record.document();

        assert_eq!(document["counts"], json!({"unheard": 1}));
        let listed = &document["failed_items"][0];
        assert_eq!(listed["item"], "a.wav");
        assert_eq!(listed["reason"], "`ear@1` did not embed it: no answer: connection refused");
        assert_eq!(record.events_after(0)[0].data["reason"], "no answer: connection refused");
    }

    #[test]
    fn what_failed_is_counted_and_listed_up_to_a_bound() {
        let record = Record::new("1".to_owned(), "scan");
        for _ in 0..FAILED + 5 {
            record.on(Event::Failed { item: "a.wav", reason: &"empty".into() });
        }

        let document = record.document();

        assert_eq!(document["counts"]["failed"], FAILED + 5);
        assert_eq!(document["failed_items"].as_array().map(Vec::len), Some(FAILED));
    }
}
