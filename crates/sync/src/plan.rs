//! What a sync would do, and whether it may.

use songrec_core::{Event, Filter, SongId, Work};

use crate::{
    Action, Error, Options, Pair, Plan, Result, Side, SongWork,
    carry::Transfer,
    changes::Delta,
    decide::{Decision, SongState, Write},
    decider::{Decider, Item},
    documents::Documents,
    session::Session,
    state::Staging,
};

/// Songs that are decided at once while a plan is made.
const PLANNED_AT_ONCE: usize = 256;

/// Makes the plan of a sync.
pub(crate) struct Planner<'a> {
    session: &'a Session,
    options: &'a Options,
    staging: &'a Staging,
    delta: &'a Delta,
    transfer: &'a Transfer<'a>,
    decider: &'a Decider<'a>,
}

impl<'a> Planner<'a> {
    pub(crate) const fn new(
        session: &'a Session,
        options: &'a Options,
        staging: &'a Staging,
        delta: &'a Delta,
        transfer: &'a Transfer<'a>,
        decider: &'a Decider<'a>,
    ) -> Self {
        Self { session, options, staging, delta, transfer, decider }
    }

    /// Decides about everything that is staged.
    pub(crate) async fn plan(&self) -> Result<Plan> {
        self.session.job().on(Event::started(Work::ComparingLibraries, None));
        let plan = self.songs().await;
        self.session.job().on(Event::Finished);
        let mut plan = plan?;
        if self.delta.has_documents() {
            Documents::new(self.session, self.options).plan(&mut plan).await?;
        }
        for side in Side::BOTH {
            let batch = self.session.batch() as u64;
            let songs = plan.counts[side].total();
            let writes = songs.div_ceil(batch);
            plan.requests[side] += if songs == 0 { 0 } else { writes + 3 };
        }
        Ok(plan)
    }

    /// Refuses a plan that deletes more songs than may be deleted.
    pub(crate) async fn guard(&self, plan: &Plan) -> Result<()> {
        for side in Side::BOTH {
            let documents =
                plan.documents.iter().filter(|work| work.actions[side] == Some(Action::Delete));
            let planned = plan.counts[side].delete + documents.count() as u64;
            // Enough of them are always allowed, without asking how many
            // songs there are.
            if planned == 0 || planned <= self.options.max_delete.of(0) {
                continue;
            }
            let (backend, all) = (self.session.backend(side), Filter::all());
            let songs = self.session.ask(side, || backend.songs().count(&all)).await?;
            let allowed = self.options.max_delete.of(songs);
            if planned > allowed {
                let name = self.session.name(side).to_owned();
                return Err(Error::TooManyDeletions { side, name, planned, allowed });
            }
        }
        Ok(())
    }

    async fn songs(&self) -> Result<Plan> {
        let full = self.delta.full();
        let mut plan = Plan { full: full.left || full.right, ..Plan::default() };
        plan.refused.extend(self.delta.refused().values().cloned());
        let mut after = None;
        loop {
            let chunk = self.staging.after(after, PLANNED_AT_ONCE)?;
            let Some((last, _)) = chunk.last() else { return Ok(plan) };
            after = Some(*last);
            if self.session.job().is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.session.advanced(chunk.len());
            self.chunk(chunk, &mut plan).await?;
        }
    }

    async fn chunk(&self, chunk: Vec<(SongId, Pair<SongState>)>, plan: &mut Plan) -> Result<()> {
        let decided = self.decider.decide(self.decider.items(chunk)?).await?;
        plan.refused.extend(decided.refused.into_iter().map(|(_, failure)| failure));
        for (item, decision) in decided.songs {
            // What was read is not read again when it is done.
            for side in item.sides_read() {
                self.staging.stage(side, &[(item.song, item.states[side].clone())])?;
            }
            match decision {
                Decision::Agreed(_) => plan.agreed += 1,
                Decision::Nothing | Decision::Fetch(_) | Decision::Damaged(_) => {}
                Decision::Write(write) => self.add(&item, &write, plan),
            }
        }
        Ok(())
    }

    fn add(&self, item: &Item, write: &Write, plan: &mut Plan) {
        let actions = Pair::of(|side| {
            let step = write.steps[side];
            step.filter(|_| self.options.direction.may_write(side)).map(|step| step.action)
        });
        let refs = Pair::of(|side| item.refs(side));
        let gets = |at: &Side| actions[*at].is_some_and(|action| action != Action::Delete);
        for side in Side::BOTH.into_iter().filter(gets) {
            plan.bytes[side] +=
                self.transfer.bytes(side, &refs[side], &refs[side.other()], &write.song);
        }
        if actions != Pair::default() {
            plan.add(SongWork {
                song: item.song,
                title: write.title(),
                actions,
                merged: write.merged.clone(),
                note: write.note.map(str::to_owned),
            });
        }
    }
}
