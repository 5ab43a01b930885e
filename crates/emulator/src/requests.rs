//! What was asked: counters and a log of the last requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// One request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// The command; empty if the body named none.
    pub command: String,
    /// The keyspace of its path.
    pub keyspace: Option<String>,
    /// The collection of its path.
    pub collection: Option<String>,
    /// The fault that was made, by name.
    pub fault: Option<&'static str>,
    /// The HTTP status; `None` if no answer was sent.
    pub status: Option<u16>,
    /// The codes of the errors answered.
    pub errors: Vec<String>,
    /// Bytes of its body.
    pub request_bytes: usize,
    /// Bytes of the answer's body.
    pub answer_bytes: usize,
    /// From the last byte of the body to the answer, in microseconds.
    #[serde(rename = "micros", serialize_with = "micros")]
    pub duration: Duration,
}

fn micros<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// How many of the last requests are kept; all are counted.
const KEPT: usize = 10_000;

/// The requests of a running emulator. Clones share them.
///
/// Requests count when they have arrived, past authentication. Those that a
/// fault stopped, or that nobody waits for any more, count as well: they were
/// sent.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    total: u64,
    counts: BTreeMap<String, u64>,
    last: VecDeque<Entry>,
}

impl Requests {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests since the start or the last reset.
    pub fn total(&self) -> u64 {
        self.log().total
    }

    /// Requests with this command.
    pub fn count(&self, command: &str) -> u64 {
        self.log().counts.get(command).copied().unwrap_or(0)
    }

    /// Requests by command.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.log().counts.clone()
    }

    /// The last requests that are done, the first done first; at most 10,000.
    pub fn list(&self) -> Vec<Entry> {
        self.log().last.iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.log() = Log::default();
    }

    /// Counts a request that arrived; gives its number.
    pub(crate) fn count_one(&self, command: &str) -> u64 {
        let mut log = self.log();
        log.total += 1;
        *log.counts.entry(command.to_owned()).or_default() += 1;
        log.total
    }

    /// Lists a request that is done.
    pub(crate) fn add(&self, entry: Entry) {
        let mut log = self.log();
        if log.last.len() == KEPT {
            log.last.pop_front();
        }
        log.last.push_back(entry);
    }
}
