//! One sync from beginning to end, in rounds.

use std::ops::RangeInclusive;

use songrec_core::{Event, Work};

use crate::{
    Error, Failure, Options, Pair, Plan, Report, Result, Side,
    apply::Applier,
    carry::Transfer,
    changes::{Changes, Delta},
    decider::Decider,
    documents::Documents,
    error::in_words,
    machines::{Announcer, Fence, Fences, KnownLibraries, News, fence},
    outcome::{Applied, postpone_refused},
    plan::Planner,
    schedule::Chore,
    session::Session,
    state::Staging,
};

/// How many rounds one sync has at the most: there is another one if something
/// changed meanwhile.
const ROUNDS: usize = 4;
/// So many own writes are read back at once. Fewer are found by the next sync
/// at no extra cost, and more are left to the next sync, which finds that they
/// are its own.
const READ_BACK: RangeInclusive<u64> = 13..=2_000;

/// One sync of two libraries.
pub(crate) struct Run<'a> {
    session: &'a Session,
    staging: &'a Staging,
    options: Options,
}

/// What differs, so what there is to do.
struct Difference {
    delta: Delta,
    fences: Fences,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(session: &'a Session, staging: &'a Staging, options: Options) -> Self {
        Self { session, staging, options }
    }

    /// Decides about everything, and writes nothing.
    pub(crate) async fn plan(self) -> Result<Plan> {
        KnownLibraries::new(self.session).meet(&self.options, false).await?;
        let Some(work) = self.difference(false).await? else { return Ok(Plan::default()) };
        let transfer = Transfer::new(self.session, &self.options);
        let decider = Decider::new(self.session, &transfer, work.delta.refused());
        self.planner(&work.delta, &transfer, &decider).plan().await
    }

    /// Does everything.
    pub(crate) async fn apply(mut self) -> Result<Report> {
        let mut report = Report::default();
        KnownLibraries::new(self.session).meet(&self.options, true).await?;
        for round in 0..ROUNDS {
            let more = match self.round(&mut report).await {
                Ok(more) => more,
                // What was done is worth reporting.
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
                    self.session.report_failures([&failure]);
                    report.add_failure(failure);
                    break;
                }
                Err(error) => return Err(error),
            };
            if !more || report.interrupted || round + 1 == ROUNDS {
                break;
            }
            self.options.full = false;
        }
        Ok(report)
    }

    const fn planner<'b>(
        &'b self,
        delta: &'b Delta,
        transfer: &'b Transfer<'b>,
        decider: &'b Decider<'b>,
    ) -> Planner<'b> {
        Planner::new(self.session, &self.options, self.staging, delta, transfer, decider)
    }

    // What changed, and whether this is still the machine and these are still
    // the libraries that they were; `None` if there is nothing to do.
    async fn difference(&self, writes: bool) -> Result<Option<Difference>> {
        let (session, state, now) = (self.session, self.session.state(), self.session.now());
        let changes = Changes::new(session, self.staging);
        let is_due = Chore::FullPass.is_due(state, now);
        let mut full = Pair::of(|_| self.options.full || is_due);
        let mut fences: Pair<Option<Fence>> = Pair::default();
        for side in Side::BOTH.into_iter().filter(|side| !session.is_remote(*side)) {
            let fence = fence(session, side, writes).await?;
            full[side] |= fence.is_full() && session.rules().restored_is_compared;
            fences[side] = Some(fence);
        }
        let mut delta = changes.read(full).await?;
        let announces = Side::BOTH
            .into_iter()
            .any(|side| session.is_remote(side) && Chore::Announcement(side).is_due(state, now));
        if delta.is_empty() && !announces {
            if writes {
                changes.note_read(&delta)?;
            }
            return Ok(None);
        }
        for side in Side::BOTH.into_iter().filter(|side| session.is_remote(*side)) {
            let fence = fence(session, side, writes).await?;
            let again = fence.is_full() && delta.full() != Pair::of(|_| true);
            fences[side] = Some(fence);
            if again {
                // Another machine under our id, or an older copy of this one.
                delta = changes.read(Pair::of(|_| true)).await?;
            }
        }
        Ok(Some(Difference { delta, fences }))
    }

    // Plans and applies what changed. Gives whether another round is needed.
    async fn round(&self, report: &mut Report) -> Result<bool> {
        let Some(Difference { delta, mut fences }) = self.difference(true).await? else {
            return Ok(false);
        };
        let full = delta.full();
        report.full |= full.left || full.right;
        let transfer = Transfer::new(self.session, &self.options);
        let decider = Decider::new(self.session, &transfer, delta.refused());
        let planner = self.planner(&delta, &transfer, &decider);
        let plan = planner.plan().await?;
        planner.guard(&plan).await?;
        let announcer = Announcer::new(self.session, &self.options);
        if !plan.is_empty() && self.options.announces {
            announcer.begin(&mut fences).await?;
        }
        let (applied, documents_pending, error) =
            self.apply_plan(&plan, &delta, &transfer, &decider).await;
        let Applied { report: done, again, .. } = applied;
        let (written, failed) = (done.total(), done.failures());
        let wrote = written > 0 || !done.documents.is_empty();
        let interrupted = done.interrupted;
        // What failed in an earlier round and was done in this one did not
        // fail.
        report.try_again();
        report.add(done);
        self.session.report_failures(delta.refused().values());
        delta.refused().values().for_each(|failure| report.add_failure(failure.clone()));
        if let Some(error) = error {
            return Err(error);
        }
        if interrupted {
            return Ok(false);
        }
        let changes = Changes::new(self.session, self.staging);
        changes.set_documents_pending(documents_pending)?;
        postpone_refused(self.session, delta.refused())?;
        changes.note_read(&delta)?;
        if full.left && full.right {
            Chore::FullPass.note_done(self.session.state(), self.session.now())?;
        }
        let moved = !delta.cursors_are_unchanged();
        if self.options.announces {
            report.purged += announcer.announce(&fences, News { wrote, moved, full }).await?;
        }
        Ok(failed == 0 && (again || wrote && READ_BACK.contains(&written)))
    }

    // Applies changes of songs, then those of playlists and synths. Gives what
    // was done, whether documents are left to do, and the error that ended it.
    async fn apply_plan(
        &self,
        plan: &Plan,
        delta: &Delta,
        transfer: &Transfer<'_>,
        decider: &Decider<'_>,
    ) -> (Applied, bool, Option<Error>) {
        let total = plan.total();
        if total > 0 {
            self.session.job().on(Event::started(Work::Syncing, Some(total)));
        }
        let applier = Applier::new(self.session, &self.options, self.staging, transfer, decider);
        let (mut applied, mut error) = applier.apply().await;
        if total > 0 {
            self.session.job().on(Event::Finished);
        }
        let mut pending = false;
        if error.is_none() && !applied.report.interrupted && delta.has_documents() {
            let documents = Documents::new(self.session, &self.options);
            match documents.apply(&mut applied.report).await {
                Ok(left) => pending = left,
                // What was done before is worth reporting.
                Err(failed) => error = Some(failed),
            }
        }
        (applied, pending, error)
    }
}
