//! One pair of libraries, and what can be done with them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;
use songrec_core::{Job, Timestamp};

use crate::{
    Machine, Migrated, MigrationPlan, Options, Pair, Plan, Replica, Report, Result, Rules, Side,
    SyncState, Verify, machines, migrate::Migration, run::Run, session::Session, state::Staging,
};

/// Two libraries, and what is remembered of syncing them.
///
/// # What keeps this safe
///
/// Every song has one version at a time in each library, and every write of a
/// song says which version it replaces. So of two machines that write, one loses,
/// reads what is there, joins, and writes again; nothing is overwritten unseen. A
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
    session: Session,
    staging: OnceLock<Staging>,
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncer").field("replicas", self.replicas()).finish_non_exhaustive()
    }
}

impl Syncer {
    /// Two libraries, and what is remembered of syncing them. Progress is
    /// reported to nobody, unless [`reporting_to`](Self::reporting_to) says to
    /// whom.
    pub fn new(left: Replica, right: Replica, state: SyncState) -> Self {
        Self { session: Session::new(left, right, state), staging: OnceLock::new() }
    }

    /// Reports the progress of everything that is done from now on to `job`, and
    /// ends when it is interrupted: what is under way is finished first.
    #[must_use]
    pub fn reporting_to(self, job: Job) -> Self {
        Self { session: self.session.reporting_to(job), ..self }
    }

    /// With another clock, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { session: self.session.with_clock(Arc::new(clock)), ..self }
    }

    /// With some rules off, without pauses, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(self, rules: Rules, keep_deleted: Duration) -> Self {
        Self { session: self.session.with_rules(rules, keep_deleted), ..self }
    }

    /// What is remembered, when nothing is to be synced any more.
    pub fn into_state(self) -> SyncState {
        self.session.into_state()
    }

    /// The two libraries.
    pub const fn replicas(&self) -> &Pair<Replica> {
        self.session.replicas()
    }

    /// What a sync would do. Writes nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), but too many deletions are part of the plan, and
    /// not refused.
    pub fn plan<'a>(&'a self, options: &'a Options) -> BoxFuture<'a, Result<Plan>> {
        Box::pin(
            async move { Run::new(&self.session, self.staging()?, options.clone()).plan().await },
        )
    }

    /// Makes the two libraries agree.
    ///
    /// # Errors
    ///
    /// `TooManyDeletions` and `OtherLibrary` before anything is written;
    /// `Library` if one cannot be reached or refuses everything. What fails for
    /// one song is in the report, and does not keep the others.
    pub fn run<'a>(&'a self, options: &'a Options) -> BoxFuture<'a, Result<Report>> {
        Box::pin(async move {
            self.session.traffic().count_from_zero();
            let report = Run::new(&self.session, self.staging()?, options.clone()).apply().await?;
            Ok(Report { requests: self.session.traffic().requests(), ..report })
        })
    }

    /// What a migration from the left library to the right one would do.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read.
    pub fn plan_migration<'a>(
        &'a self,
        options: &'a Options,
    ) -> BoxFuture<'a, Result<MigrationPlan>> {
        Box::pin(async move { Migration::new(&self.session, options).plan().await })
    }

    /// Copies the left library into the right one. Writes only what is not
    /// there, deletes nothing, and changes nothing that is there. Interrupted,
    /// it goes on where it was; run twice, it copies once.
    ///
    /// # Errors
    ///
    /// If a library fails in a way that no other song would fare better.
    pub fn migrate<'a>(
        &'a self,
        options: &'a Options,
        verify: Verify,
    ) -> BoxFuture<'a, Result<Migrated>> {
        Box::pin(async move { Migration::new(&self.session, options).run(verify).await })
    }

    /// The machines that take part at `side`.
    ///
    /// # Errors
    ///
    /// `Library` if it cannot be read.
    pub fn machines(&self, side: Side) -> BoxFuture<'_, Result<Vec<Machine>>> {
        Box::pin(async move {
            let machines = machines(self.session.backend(side)).await;
            machines.map_err(|error| self.session.failed(side, error))
        })
    }

    // Made only when something is synced: a migration needs none.
    fn staging(&self) -> Result<&Staging> {
        if self.staging.get().is_none() {
            let made = Staging::new(self.session.state())?;
            let _ = self.staging.set(made);
        }
        Ok(self.staging.get().expect("it was just made"))
    }
}
