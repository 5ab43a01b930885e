//! What was asked of a server, and how it went.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

use super::{BreakerState, Problem};

/// What was asked of a server, and how it went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Batches of windows that were to be embedded.
    pub calls: u64,
    /// Those that were not, for whatever reason.
    pub failed_calls: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Those of them that were sent again.
    pub retries: u64,
    /// What went wrong with requests, and how often.
    pub failures: BTreeMap<Problem, u64>,
    /// Windows that were embedded.
    pub windows: u64,
    /// How long requests that succeeded took, in seconds: the mean.
    pub mean_latency: Option<f64>,
    /// And the longest.
    pub longest_latency: Option<f64>,
    /// The last thing that went wrong, in words.
    pub last_error: Option<String>,
    /// Whether calls go through.
    pub breaker: BreakerState,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    calls: u64,
    failed_calls: u64,
    requests: u64,
    retries: u64,
    failures: BTreeMap<Problem, u64>,
    windows: u64,
    succeeded: u64,
    time: Duration,
    longest: Duration,
    last_error: Option<String>,
}

impl Counters {
    pub(crate) fn call(&self) {
        self.lock().calls += 1;
    }

    pub(crate) fn embedded(&self, windows: usize) {
        self.lock().windows += windows as u64;
    }

    /// Counts a call that failed; a server that was not asked said nothing.
    pub(crate) fn call_failed(&self, why: Option<String>) {
        let mut counted = self.lock();
        counted.failed_calls += 1;
        counted.last_error = why.or_else(|| counted.last_error.take());
    }

    pub(crate) fn request(&self, is_retry: bool) {
        let mut counted = self.lock();
        counted.requests += 1;
        counted.retries += u64::from(is_retry);
    }

    pub(crate) fn answered(&self, took: Duration) {
        let mut counted = self.lock();
        counted.succeeded += 1;
        counted.time += took;
        counted.longest = counted.longest.max(took);
    }

    pub(crate) fn failed(&self, problem: Problem) {
        *self.lock().failures.entry(problem).or_default() += 1;
    }

    pub(crate) fn figures(&self, breaker: BreakerState) -> Figures {
        let counted = self.lock();
        let some = counted.succeeded > 0;
        Figures {
            calls: counted.calls,
            failed_calls: counted.failed_calls,
            requests: counted.requests,
            retries: counted.retries,
            failures: counted.failures.clone(),
            windows: counted.windows,
            mean_latency: some.then(|| counted.time.as_secs_f64() / counted.succeeded as f64),
            longest_latency: some.then(|| counted.longest.as_secs_f64()),
            last_error: counted.last_error.clone(),
            breaker,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
