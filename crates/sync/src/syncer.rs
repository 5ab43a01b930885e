//! One pair of libraries, and what can be done with them.

use std::{
    fmt,
    future::Future,
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{StreamExt, stream};
use songrec_core::{Event, Job, Timestamp};
use songrec_storage::{BlobStream, ErrorKind, StorageBackend};

use crate::{
    Direction, Error, Failure, Options, Pair, Plan, Replica, Report, Result, Rules, Side, State,
    apply::Applied, changes::Delta, machine::Fence, objects::Transfer, state::Staging,
    traffic::Traffic,
};

/// Two libraries, and what is remembered of syncing them.
///
/// # What keeps this safe
///
/// Every song has one version at a time in each library, and every write of a
/// song says which version it replaces. So of two who write, one loses, reads
/// what is there, joins, and writes again; nothing is overwritten unseen. A
/// song is written after the objects it names. How far the changes of a library
/// were read is noted after everything before was done or is on a durable list
/// of things to do. So whatever is cut off is found again by the next sync, does
/// the same again, and that is safe, because a write that is repeated is the
/// same write: a copied song keeps its operation, and a joined one gets an
/// operation that is made from what went into it.
///
/// There is no journal that has to be replayed: what a song has seen stands in
/// the song, and what half a sync has written is a version like any other.
pub struct Syncer {
    pub(crate) replicas: Pair<Replica>,
    pub(crate) state: State,
    staging: OnceLock<Staging>,
    traffic: Arc<Traffic>,
    pub(crate) job: Job,
    pub(crate) rules: Rules,
    clock: Clock,
    pub(crate) pause: Duration,
    pub(crate) keep_deleted: Duration,
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How often a call that may work when tried again is tried.
const TRIES: u32 = 4;
/// Compare everything after so many days, though nothing asks for it.
const FULL_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long deleted songs can be restored.
const KEEP_DELETED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A machine that only reads says so once a day.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const fn announce_after() -> Duration {
    ANNOUNCE_AFTER
}

/// How often one sync looks again because something changed meanwhile.
const ROUNDS: usize = 4;
/// So many own writes are read back at once. Fewer are found by the next look
/// at no extra cost, and more are left to the next sync, which finds that they
/// are its own.
const READ_BACK: RangeInclusive<u64> = 13..=2_000;

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncer").field("sides", &self.replicas).finish_non_exhaustive()
    }
}

impl Syncer {
    /// Two libraries, and what is remembered of syncing them. Nobody is told
    /// how it goes on; [`reporting_to`](Self::told_to) says who is.
    pub fn new(left: Replica, right: Replica, state: State) -> Self {
        let job = Job::silent();
        Self {
            replicas: Pair { left, right },
            state,
            staging: OnceLock::new(),
            traffic: Arc::new(Traffic::reporting_to(job.progress.clone())),
            job,
            rules: Rules::default(),
            clock: Arc::new(Timestamp::now),
            pause: Duration::from_millis(200),
            keep_deleted: KEEP_DELETED,
        }
    }

    /// Tells `job` how everything goes on that is done from now on, and ends
    /// when it is interrupted: what is under way is finished first.
    #[must_use]
    pub fn reporting_to(mut self, job: Job) -> Self {
        self.traffic = Arc::new(Traffic::reporting_to(job.progress.clone()));
        self.job = job;
        self
    }

    /// With another clock, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// With some rules off, without pauses, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(mut self, rules: Rules, keep_deleted: Duration) -> Self {
        self.rules = rules;
        self.pause = Duration::ZERO;
        self.keep_deleted = keep_deleted;
        self
    }

    /// What is remembered, when nothing is to be synced any more.
    pub fn into_state(self) -> State {
        self.state
    }

    /// The two libraries.
    pub const fn replicas(&self) -> &Pair<Replica> {
        &self.replicas
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    // The same stream, of which every piece is counted as it comes by.
    pub(crate) fn count_pieces(&self, stream: BlobStream) -> BlobStream {
        let traffic = self.traffic.clone();
        let count = move |piece: &songrec_storage::Result<bytes::Bytes>| {
            if let Ok(piece) = piece {
                traffic.bytes(piece.len() as u64);
            }
        };
        stream.inspect(count).boxed()
    }

    pub(crate) fn report_failures<'a>(&self, failures: impl IntoIterator<Item = &'a Failure>) {
        for failure in failures {
            let item = if failure.title.is_empty() { &failure.subject } else { &failure.title };
            self.job.on(Event::Failed { item, reason: &failure.reason });
        }
    }

    /// What a sync would do. Writes nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), but that more deletions than may be are told by
    /// the plan, not refused.
    pub async fn plan(&self, options: &Options) -> Result<Plan> {
        self.meet(options, false).await?;
        let work = self.find_work(options, false).await?;
        let Some((delta, transfer)) = work else { return Ok(Plan::default()) };
        self.make_plan(options, &delta, &transfer).await
    }

    /// Makes the two libraries agree.
    ///
    /// # Errors
    ///
    /// `TooManyDeletions` and `OtherLibrary` before anything is written;
    /// `Library` if one cannot be reached or refuses everything. What fails for
    /// one song is in the report, and does not keep the others.
    pub async fn run(&self, options: &Options) -> Result<Report> {
        self.traffic.count_from_zero();
        let mut report = Report::default();
        let mut options = options.clone();
        self.meet(&options, true).await?;
        for round in 0..ROUNDS {
            let done = self.sync_once(&options, &mut report).await;
            let more = match done {
                Ok(more) => more,
                // What was done is worth telling.
                Err(Error::Interrupted) if round > 0 || !report.songs.is_empty() => {
                    report.interrupted = true;
                    break;
                }
                Err(error) if !report.songs.is_empty() || !report.documents.is_empty() => {
                    let failure = Failure {
                        subject: "sync".to_owned(),
                        title: String::new(),
                        reason: in_words(&error),
                        hint: error.hint(),
                    };
                    self.report_failures([&failure]);
                    report.add_failure(failure);
                    break;
                }
                Err(error) => return Err(error),
            };
            if !more || report.interrupted || round + 1 == ROUNDS {
                break;
            }
            options.full = false;
        }
        report.requests = self.traffic.requests();
        Ok(report)
    }

    async fn sync_once(&self, options: &Options, report: &mut Report) -> Result<bool> {
        let work = self.find_work(options, true).await?;
        let Some((delta, transfer)) = work else { return Ok(false) };
        report.full |= delta.full.left || delta.full.right;
        self.round(options, delta, &transfer, report).await
    }

    // What changed, and whether this is still the machine and these are still
    // the libraries that they were; nothing if there is nothing to do.
    async fn find_work(
        &self,
        options: &Options,
        writes: bool,
    ) -> Result<Option<(Delta, Transfer)>> {
        let now = self.now();
        let mut full = Pair::of(|_| options.full || self.is_due("full_at", FULL_AFTER, now));
        let mut fences: Pair<Option<Fence>> = Pair::default();
        for side in Side::BOTH.into_iter().filter(|side| !self.is_remote(*side)) {
            let fence = self.fence(side, writes).await?;
            full[side] |= fence.full && self.rules.restored_is_compared;
            fences[side] = Some(fence);
        }
        let mut delta = self.delta(full).await?;
        let announce = Side::BOTH.into_iter().any(|side| {
            self.is_remote(side) && self.is_due(announced_at(side), ANNOUNCE_AFTER, now)
        });
        if delta.is_empty() && !announce {
            if writes {
                self.advance(&delta)?;
            }
            return Ok(None);
        }
        for side in Side::BOTH.into_iter().filter(|side| self.is_remote(*side)) {
            let fence = self.fence(side, writes).await?;
            let again = fence.full && delta.full != Pair::of(|_| true);
            fences[side] = Some(fence);
            if again {
                // Another machine under our name, or an older copy of us.
                delta = self.delta(Pair::of(|_| true)).await?;
            }
        }
        delta.fences = fences;
        Ok(Some((delta, Transfer::new(self, options))))
    }

    async fn make_plan(
        &self,
        options: &Options,
        delta: &Delta,
        transfer: &Transfer,
    ) -> Result<Plan> {
        self.job.on(Event::Started { work: "comparing", total: None });
        let plan = self.plan_songs(options, delta, transfer).await;
        self.job.on(Event::Finished);
        let mut plan = plan?;
        if delta.documents {
            self.plan_documents(options, &mut plan).await?;
        }
        for side in Side::BOTH {
            let batch = self.batch() as u64;
            let songs = plan.counts[side].total();
            let writes = songs.div_ceil(batch);
            plan.requests[side] += if songs == 0 { 0 } else { writes + 3 };
        }
        Ok(plan)
    }

    async fn plan_songs(
        &self,
        options: &Options,
        delta: &Delta,
        transfer: &Transfer,
    ) -> Result<Plan> {
        let mut plan = Plan { full: delta.full.left || delta.full.right, ..Plan::default() };
        plan.refused.extend(delta.refused.values().cloned());
        let mut after = None;
        loop {
            let chunk = self.staging()?.after(after, PLANNED_AT_ONCE)?;
            let Some((last, _)) = chunk.last() else { return Ok(plan) };
            after = Some(*last);
            if self.job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.advanced(chunk.len());
            self.plan_chunk(options, delta, transfer, chunk, &mut plan).await?;
        }
    }

    async fn guard(&self, options: &Options, plan: &Plan) -> Result<()> {
        for side in Side::BOTH {
            let documents = plan
                .documents
                .iter()
                .filter(|work| work.actions[side] == Some(crate::Action::Delete));
            let planned = plan.counts[side].delete + documents.count() as u64;
            // Enough of them are always allowed, without asking how many
            // songs there are.
            if planned == 0 || planned <= options.max_delete.of(0) {
                continue;
            }
            let all = songrec_core::Filter::all();
            let backend = self.backend(side);
            let songs = self.ask(side, || backend.songs().count(&all)).await;
            let allowed = options.max_delete.of(songs.map_err(|e| self.failed(side, e))?);
            if planned > allowed {
                let name = self.replicas[side].name.clone();
                return Err(Error::TooManyDeletions { side, name, planned, allowed });
            }
        }
        Ok(())
    }

    // Plans and does what was told; says whether to look again.
    async fn round(
        &self,
        options: &Options,
        mut delta: Delta,
        transfer: &Transfer,
        report: &mut Report,
    ) -> Result<bool> {
        let plan = self.make_plan(options, &delta, transfer).await?;
        self.guard(options, &plan).await?;
        if !plan.is_empty() {
            self.begin(options, &mut delta).await?;
        }
        let total = plan.total();
        if total > 0 {
            self.job.on(Event::Started { work: "syncing", total: Some(total) });
        }
        let applied = self.apply_all(options, &delta, transfer).await;
        if total > 0 {
            self.job.on(Event::Finished);
        }
        let (mut applied, mut error) = applied;
        let Applied { report: done, again, .. } = &mut applied;
        let mut documents_pending = false;
        if error.is_none() && !done.interrupted && delta.documents {
            match self.apply_documents(options, done).await {
                Ok(pending) => documents_pending = pending,
                // What was done before is worth telling.
                Err(failed) => error = Some(failed),
            }
        }
        let (written, failed) = (done.total(), done.failures());
        let wrote = written > 0 || !done.documents.is_empty();
        let (again, interrupted) = (*again, done.interrupted);
        // What failed in an earlier round and was done in this one did not
        // fail.
        report.try_again();
        report.add(applied.report);
        self.report_failures(delta.refused.values());
        delta.refused.values().for_each(|failure| report.add_failure(failure.clone()));
        if let Some(error) = error {
            return Err(error);
        }
        if interrupted {
            return Ok(false);
        }
        self.set_documents_pending(documents_pending)?;
        self.note_refused(&delta)?;
        self.advance(&delta)?;
        if delta.full.left && delta.full.right {
            self.state.set_meta("full_at", &self.now())?;
        }
        report.purged += self.announce(options, &delta, wrote).await?;
        Ok(failed == 0 && (again || wrote && READ_BACK.contains(&written)))
    }

    // Everything before these cursors was done, or is on the list.
    fn advance(&self, delta: &Delta) -> Result<()> {
        if delta.cursors_are_unchanged() {
            return Ok(());
        }
        self.state.change(|changing| {
            for side in Side::BOTH {
                if let Some(cursor) = &delta.cursors[side] {
                    changing.set_meta(cursor_of(side), cursor)?;
                }
            }
            Ok(())
        })
    }

    // Applies what is in the spool, a bounded number of batches at once.
    async fn apply_all(
        &self,
        options: &Options,
        delta: &Delta,
        transfer: &Transfer,
    ) -> (Applied, Option<Error>) {
        let mut all = Applied::default();
        let staging = match self.staging() {
            Ok(staging) => staging,
            Err(error) => return (all, Some(error)),
        };
        let batch = self.batch();
        let (mut after, mut ended, mut first_error) = (None, false, None);
        let mut under_way = stream::FuturesUnordered::new();
        loop {
            while !ended && under_way.len() < options.jobs.max(1) {
                if self.job.is_interrupted() {
                    all.report.interrupted = true;
                    ended = true;
                    break;
                }
                match staging.after(after, batch) {
                    Ok(chunk) => match chunk.last() {
                        None => ended = true,
                        Some((last, _)) => {
                            after = Some(*last);
                            under_way.push(self.apply_chunk(options, delta, transfer, chunk));
                        }
                    },
                    Err(error) => {
                        first_error.get_or_insert(error);
                        ended = true;
                    }
                }
            }
            match under_way.next().await {
                None => break,
                Some(Ok(applied)) => {
                    self.report_failures(&applied.report.failed);
                    all.add(applied);
                }
                // What is under way is finished; nothing new is begun.
                Some(Err(error)) => {
                    first_error.get_or_insert(error);
                    ended = true;
                }
            }
        }
        (all, first_error)
    }

    // ---- Small things that all parts use.

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn backend(&self, side: Side) -> &dyn StorageBackend {
        &*self.replicas[side].backend
    }

    pub(crate) fn is_remote(&self, side: Side) -> bool {
        self.backend(side).capabilities().remote
    }

    pub(crate) fn staging(&self) -> Result<&Staging> {
        if self.staging.get().is_none() {
            let made = Staging::new(&self.state)?;
            let _ = self.staging.set(made);
        }
        Ok(self.staging.get().expect("it was just made"))
    }

    pub(crate) fn batch(&self) -> usize {
        let of = |side| self.backend(side).capabilities().batch;
        of(Side::Left).min(of(Side::Right)).clamp(1, 100)
    }

    pub(crate) fn may_write(direction: Direction, side: Side) -> bool {
        match direction {
            Direction::Both => true,
            Direction::Push => side == Side::Right,
            Direction::Pull => side == Side::Left,
        }
    }

    // Asks a library, again if that may help.
    pub(crate) async fn ask<T, F>(
        &self,
        side: Side,
        call: impl Fn() -> F,
    ) -> songrec_storage::Result<T>
    where
        F: Future<Output = songrec_storage::Result<T>>,
    {
        let mut pause = self.pause;
        for _ in 1..TRIES {
            self.traffic.request(side);
            match call().await {
                Err(error) if error.is_temporary() => {
                    tracing::debug!("tried again: {error}");
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                        pause *= 3;
                    }
                }
                other => return other,
            }
        }
        self.traffic.request(side);
        call().await
    }

    pub(crate) fn failed(&self, side: Side, source: songrec_storage::Error) -> Error {
        let (name, source) = (self.replicas[side].name.clone(), Box::new(source));
        Error::Library { side, name, source }
    }

    /// Tells that so many songs were looked at, whichever they are.
    pub(crate) fn advanced(&self, songs: usize) {
        for _ in 0..songs {
            self.job.on(Event::Advanced { item: "", bytes: 0 });
        }
    }

    // Whether something that was last done when the state says is due again;
    // also when the clock went back since.
    pub(crate) fn is_due(&self, name: &str, after: Duration, now: Timestamp) -> bool {
        let Ok(Some(last)) = self.state.meta::<Timestamp>(name) else { return true };
        let passed = now.duration_since(last).unsigned_abs();
        passed >= after
    }
}

/// Songs that are decided at once while a plan is made.
const PLANNED_AT_ONCE: usize = 256;

pub(crate) const fn cursor_of(side: Side) -> &'static str {
    match side {
        Side::Left => "cursor_left",
        Side::Right => "cursor_right",
    }
}

pub(crate) const fn announced_at(side: Side) -> &'static str {
    match side {
        Side::Left => "said_left",
        Side::Right => "said_right",
    }
}

/// Whether an error is about one song rather than about the library.
pub(crate) fn is_about_one(error: &songrec_storage::Error) -> bool {
    match error.kind() {
        ErrorKind::Conflict
        | ErrorKind::Corrupt
        | ErrorKind::Incompatible
        | ErrorKind::Invalid
        | ErrorKind::Unsupported => true,
        ErrorKind::NotFound
        | ErrorKind::Denied
        | ErrorKind::Transient
        | ErrorKind::Unavailable
        | ErrorKind::Locked
        | ErrorKind::Full
        | ErrorKind::CursorLost => false,
    }
}

/// What went wrong, in words, from the outermost cause to the innermost.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
