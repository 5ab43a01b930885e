//! The two sides of a sync and what all of its parts share: the state, the
//! clock, the traffic, and how a library is asked.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use songrec_core::{Event, FailedAttempt, Job, RetryPolicy, Timestamp};
use songrec_storage::{BlobStream, Result as StorageResult, StorageBackend};

use crate::{
    Error, Failure, Pair, Replica, Result, Rules, Side, SyncState, batch::each, traffic::Traffic,
};

/// Two libraries, and what every part of a sync needs to work on them.
pub(crate) struct Session {
    replicas: Pair<Replica>,
    state: SyncState,
    traffic: Arc<Traffic>,
    job: Job,
    rules: Rules,
    clock: Clock,
    retry_policy: RetryPolicy,
    keep_deleted: Duration,
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How often a call is tried that may work when it is tried again. A backend that
/// is far away repeats its requests itself, so these are few and need no spread.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_pause: Duration::from_millis(200),
    factor: 3,
    longest_pause: Duration::from_millis(1_800),
    spread: RetryPolicy::NO_SPREAD,
    total: Duration::MAX,
    longest_wait: Duration::MAX,
};
/// How long deleted songs can be restored.
pub const KEEP_DELETED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Session {
    pub(crate) fn new(left: Replica, right: Replica, state: SyncState) -> Self {
        let job = Job::silent();
        Self {
            replicas: Pair { left, right },
            state,
            traffic: Arc::new(Traffic::reporting_to(job.progress.clone())),
            job,
            rules: Rules::default(),
            clock: Arc::new(Timestamp::now),
            retry_policy: RETRY_POLICY,
            keep_deleted: KEEP_DELETED,
        }
    }

    pub(crate) fn reporting_to(self, job: Job) -> Self {
        let traffic = Arc::new(Traffic::reporting_to(job.progress.clone()));
        Self { traffic, job, ..self }
    }

    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// With other rules, and without pauses.
    pub(crate) fn with_rules(self, rules: Rules, keep_deleted: Duration) -> Self {
        let retry_policy = RetryPolicy { first_pause: Duration::ZERO, ..self.retry_policy };
        Self { rules, retry_policy, keep_deleted, ..self }
    }

    pub(crate) fn into_state(self) -> SyncState {
        self.state
    }

    pub(crate) const fn replicas(&self) -> &Pair<Replica> {
        &self.replicas
    }

    pub(crate) const fn state(&self) -> &SyncState {
        &self.state
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(crate) const fn job(&self) -> &Job {
        &self.job
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How long deleted songs can be restored.
    pub(crate) const fn keep_deleted(&self) -> Duration {
        self.keep_deleted
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn name(&self, side: Side) -> &str {
        &self.replicas[side].name
    }

    pub(crate) fn backend(&self, side: Side) -> &dyn StorageBackend {
        &*self.replicas[side].backend
    }

    pub(crate) fn is_remote(&self, side: Side) -> bool {
        self.backend(side).capabilities().remote
    }

    /// How many songs one call takes, on both sides.
    pub(crate) fn batch(&self) -> usize {
        let of = |side| self.backend(side).capabilities().batch;
        of(Side::Left).min(of(Side::Right)).clamp(1, 100)
    }

    /// Makes a call to a library, and repeats it if it failed for a moment.
    ///
    /// # Errors
    ///
    /// `Library` if it keeps failing, or cannot succeed.
    pub(crate) async fn ask<T, F>(&self, side: Side, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = StorageResult<T>>,
    {
        self.try_ask(side, call).await.map_err(|error| self.failed(side, error))
    }

    /// The same, for a caller that can do something about some errors.
    pub(crate) async fn try_ask<T, F>(&self, side: Side, call: impl Fn() -> F) -> StorageResult<T>
    where
        F: Future<Output = StorageResult<T>>,
    {
        let attempt = || {
            self.traffic.request(side);
            call()
        };
        self.repeat(attempt).await
    }

    /// Makes a call for many items, and for each by itself if one of them makes
    /// it fail; see [`each`].
    pub(crate) async fn ask_each<'a, I, T, F>(
        &self,
        side: Side,
        items: &'a [I],
        call: impl Fn(&'a [I]) -> F,
    ) -> Result<Vec<StorageResult<Option<T>>>>
    where
        F: Future<Output = StorageResult<Vec<T>>>,
    {
        let call = &call;
        let answers = each(items, |some| self.try_ask(side, move || call(some))).await;
        answers.map_err(|error| self.failed(side, error))
    }

    /// Repeats an attempt that failed for a moment, after longer and longer
    /// pauses. Nothing else in a sync repeats a call for that reason.
    pub(crate) async fn repeat<T, F>(&self, attempt: impl Fn() -> F) -> StorageResult<T>
    where
        F: Future<Output = StorageResult<T>>,
    {
        let (began, mut retries) = (Instant::now(), self.retry_policy.start());
        loop {
            let error = match attempt().await {
                Err(error) if error.is_temporary() => error,
                other => return other,
            };
            let failed = FailedAttempt { elapsed: began.elapsed(), ..FailedAttempt::default() };
            let Some(pause) = retries.after(failed, 0.0) else { return Err(error) };
            tracing::debug!("tried again: {error}");
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The error of a library that failed for good.
    pub(crate) fn failed(&self, side: Side, source: songrec_storage::Error) -> Error {
        let (name, source) = (self.name(side).to_owned(), Box::new(source));
        Error::Library { side, name, source }
    }

    /// The same stream, of which every piece is counted as it comes by.
    pub(crate) fn count_pieces(&self, stream: BlobStream) -> BlobStream {
        let traffic = self.traffic.clone();
        let count = move |piece: &StorageResult<bytes::Bytes>| {
            if let Ok(piece) = piece {
                traffic.bytes(piece.len() as u64);
            }
        };
        stream.inspect(count).boxed()
    }

    /// Reports that so many songs were read, whichever they are.
    pub(crate) fn advanced(&self, songs: usize) {
        for _ in 0..songs {
            self.job.on(Event::Advanced { item: "", bytes: 0 });
        }
    }

    pub(crate) fn report_failures<'a>(&self, failures: impl IntoIterator<Item = &'a Failure>) {
        for failure in failures {
            let item = if failure.title.is_empty() { &failure.subject } else { &failure.title };
            self.job.on(Event::Failed { item, reason: &failure.reason.as_str().into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use songrec_storage::{ErrorKind, MemoryBackend};

    use super::*;

    fn session() -> Session {
        let replica = |name: &str| Replica::new(name, Arc::new(MemoryBackend::new()));
        let session =
            Session::new(replica("own"), replica("other"), SyncState::in_memory().unwrap());
        session.with_rules(Rules::default(), Duration::ZERO)
    }

    // Asks a library that fails so many times, and counts the calls.
    async fn asked(kind: ErrorKind, failures: u64) -> (bool, u64) {
        let (session, calls) = (session(), AtomicU64::new(0));
        let call = || async {
            if calls.fetch_add(1, Ordering::Relaxed) < failures {
                return Err(songrec_storage::Error::new(kind, "read", "it", MemoryBackend::new()));
            }
            Ok(())
        };
        let done = session.ask(Side::Right, call).await.is_ok();
        let calls = calls.into_inner();
        assert_eq!(session.traffic().requests(), Pair { left: 0, right: calls });
        (done, calls)
    }

    #[tokio::test]
    async fn a_call_that_fails_for_a_moment_is_repeated_a_few_times() {
        assert_eq!(asked(ErrorKind::Transient, 3).await, (true, 4));
        assert_eq!(asked(ErrorKind::Transient, 9).await, (false, 4));
        assert_eq!(asked(ErrorKind::Denied, 1).await, (false, 1));
    }
}
