//! Deciding about a batch of songs, and seeing to what was decided.

use std::collections::BTreeMap;

use songrec_core::{Hint, Remedy, SongId};

use crate::{
    Action, Failure, Options, Pair, Plan, Report, Result, Side, SongWork, Syncer,
    changes::Delta,
    objects::Transfer,
    resolve::{Case, Decision, Known, SongState, Write, resolve},
    state::Postponed,
    values::Refs,
};

/// What was done for some songs.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) report: Report,
    /// Something changed meanwhile, in a way that only another look shows.
    pub(crate) again: bool,
    /// What the next sync has to look at, until it is noted.
    pub(crate) postponed: BTreeMap<SongId, Postponed>,
}

impl Applied {
    pub(crate) fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.again |= other.again;
    }
}

/// How often a song is decided anew because somebody else was faster.
const ROUNDS: usize = 8;

/// A song on its way.
pub(crate) struct Item {
    pub(crate) song: SongId,
    pub(crate) known: Option<Known>,
    pub(crate) states: Pair<SongState>,
    // Whether a side was read, beyond what was told.
    read: Pair<bool>,
}

impl Item {
    /// The objects that the song names at `side` now.
    pub(crate) fn refs(&self, side: Side) -> Refs {
        match &self.states[side] {
            SongState::Present(song) => Refs::of(song),
            SongState::Same | SongState::Head(_) => {
                self.known_refs(side).cloned().unwrap_or_default()
            }
            SongState::Deleted(_) | SongState::Absent => Refs::default(),
        }
    }

    /// The objects that it named when both sides last agreed.
    pub(crate) fn known_refs(&self, side: Side) -> Option<&Refs> {
        self.known.as_ref()?.0[side].as_ref().map(|had| &had.refs)
    }
}

impl Syncer {
    // What a side cannot read is left as it is on both.
    fn items(&self, delta: &Delta, mut chunk: Vec<(SongId, Pair<SongState>)>) -> Result<Vec<Item>> {
        chunk.retain(|(song, _)| !delta.refused.contains_key(song));
        let songs: Vec<SongId> = chunk.iter().map(|(song, _)| *song).collect();
        let known = self.state.known(&songs)?;
        let items = chunk.into_iter().zip(known);
        let item = |((song, states), known)| Item { song, known, states, read: Pair::default() };
        Ok(items.map(item).collect())
    }

    // Decides about songs; those that have to be read first are read.
    // Gives apart those that a side cannot read.
    async fn decide(
        &self,
        transfer: &Transfer,
        mut items: Vec<Item>,
    ) -> Result<(Vec<(Item, Decision)>, Vec<(Item, Failure)>)> {
        let mut decided = Vec::with_capacity(items.len());
        let mut refused = Vec::new();
        let lacks = |side: Side, own: &Refs, theirs: &Refs, song: &songrec_core::Song| {
            transfer.lacks(side, own, theirs, song)
        };
        // Each side is read once at most.
        for _ in 0..3 {
            let mut missing: Pair<Vec<Item>> = Pair::default();
            for item in items.drain(..) {
                let case = Case { known: item.known.as_ref(), states: &item.states, lacks: &lacks };
                match resolve(&case) {
                    Decision::Fetch(side) => missing[side].push(item),
                    decision => decided.push((item, decision)),
                }
            }
            for side in Side::BOTH {
                let ids: Vec<SongId> = missing[side].iter().map(|item| item.song).collect();
                if ids.is_empty() {
                    continue;
                }
                let mut found = self.fetch(side, &ids).await?;
                for mut item in std::mem::take(&mut missing[side]) {
                    if let Some(failure) = found.refused.remove(&item.song) {
                        refused.push((item, failure));
                        continue;
                    }
                    match found.songs.remove(&item.song) {
                        Some(song) => {
                            item.read[side] = true;
                            item.states[side] = SongState::Present(Box::new(song));
                            items.push(item);
                        }
                        // Deleted as we look, or lost; the next look tells.
                        None => decided.push((item, Decision::Fetch(side))),
                    }
                }
            }
            if items.is_empty() {
                break;
            }
        }
        // What is still not clear changes as we look; the next look tells.
        decided.extend(items.into_iter().map(|item| (item, Decision::Fetch(Side::Left))));
        Ok((decided, refused))
    }

    /// Adds what will be done for some songs to a plan.
    pub(crate) async fn plan_chunk(
        &self,
        options: &Options,
        delta: &Delta,
        transfer: &Transfer,
        chunk: Vec<(SongId, Pair<SongState>)>,
        plan: &mut Plan,
    ) -> Result<()> {
        let items = self.items(delta, chunk)?;
        let (decided, refused) = self.decide(transfer, items).await?;
        plan.refused.extend(refused.into_iter().map(|(_, failure)| failure));
        for (item, decision) in decided {
            // What was read is not read again when it is done.
            for side in Side::BOTH.into_iter().filter(|side| item.read[*side]) {
                self.staging()?.stage(side, &[(item.song, item.states[side].clone())])?;
            }
            match decision {
                Decision::Agreed(_) => plan.agreed += 1,
                Decision::Nothing | Decision::Fetch(_) | Decision::Damaged(_) => {}
                Decision::Write(write) => {
                    let work = work_of(item.song, &write, options);
                    let refs = Pair::of(|side| item.refs(side));
                    let gets = |at: &Side| {
                        work.actions[*at].is_some_and(|action| action != Action::Delete)
                    };
                    for side in Side::BOTH.into_iter().filter(gets) {
                        plan.bytes[side] +=
                            transfer.bytes(side, &refs[side], &refs[side.other()], &write.song);
                    }
                    if work.actions != Pair::default() {
                        plan.add(work);
                    }
                }
            }
        }
        Ok(())
    }

    /// Does what is to be done for some songs.
    pub(crate) async fn apply_chunk(
        &self,
        options: &Options,
        delta: &Delta,
        transfer: &Transfer,
        chunk: Vec<(SongId, Pair<SongState>)>,
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut open = self.items(delta, chunk)?;
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            let (decided, refused) = self.decide(transfer, std::mem::take(&mut open)).await?;
            for (item, failure) in refused {
                put_off(&mut applied.postponed, &item, &failure.reason);
                applied.report.add_failure(failure);
            }
            let mut writing = Vec::new();
            let now = self.now().as_second();
            let mut resolved: Vec<(SongId, Option<Box<Known>>)> = Vec::new();
            for (item, decision) in decided {
                match decision {
                    Decision::Write(write) => {
                        if let Some(one) = self.prepare(options, item, *write, &mut applied) {
                            writing.push(one);
                        }
                    }
                    Decision::Fetch(_) => {
                        applied.again = true;
                        put_off(&mut applied.postponed, &item, "it changes again and again");
                    }
                    Decision::Damaged(reason) => {
                        put_off(&mut applied.postponed, &item, &reason);
                        applied.report.add_failure(Failure {
                            subject: item.song.to_string(),
                            title: String::new(),
                            reason,
                            hint: Some(Hint::of(
                                "{} says where it is damaged",
                                [Remedy::Verify { repair: false, read_data: false }],
                            )),
                        });
                    }
                    Decision::Agreed(known) => {
                        let conflicts = |side: Side| match &item.states[side] {
                            SongState::Present(song) => !song.conflicts.is_empty(),
                            _ => false,
                        };
                        let some = Side::BOTH.into_iter().any(conflicts);
                        applied.report.conflicts += u64::from(some);
                        resolved.push((item.song, Some(known)));
                    }
                    Decision::Nothing => resolved.push((item.song, None)),
                }
            }
            if !resolved.is_empty() {
                self.state.change(|changing| {
                    for (song, known) in &resolved {
                        match known {
                            Some(known) => changing.agree(*song, known, now)?,
                            None => changing.resolve(*song)?,
                        }
                    }
                    Ok(())
                })?;
            }
            self.write_songs(transfer, writing, &mut open, &mut applied).await?;
        }
        for item in open {
            applied.again = true;
            put_off(&mut applied.postponed, &item, "others changed it again and again");
        }
        self.note_postponed(std::mem::take(&mut applied.postponed))?;
        Ok(applied)
    }

    /// Notes that the next sync has to look at songs that a side cannot read.
    pub(crate) fn note_refused(&self, delta: &Delta) -> Result<()> {
        let postponed = delta.refused.iter().map(|(song, failure)| {
            let (states, reason) = (Pair::default(), failure.reason.clone());
            (*song, Postponed { states, reason })
        });
        self.note_postponed(postponed.collect())
    }

    fn note_postponed(&self, postponed: BTreeMap<SongId, Postponed>) -> Result<()> {
        if postponed.is_empty() || !self.rules.postponed_is_remembered {
            return Ok(());
        }
        self.state.change(|changing| {
            postponed.iter().try_for_each(|(song, one)| changing.put_postponed(*song, one))
        })
    }
}

// Notes that the next sync has to look at a song.
pub(crate) fn put_off(postponed: &mut BTreeMap<SongId, Postponed>, item: &Item, reason: &str) {
    // A tombstone is told once; what is there can be asked for again.
    let states = Pair::of(|side| match &item.states[side] {
        deleted @ SongState::Deleted(_) => deleted.clone(),
        SongState::Same | SongState::Present(_) | SongState::Head(_) | SongState::Absent => {
            SongState::Same
        }
    });
    postponed.insert(item.song, Postponed { states, reason: reason.to_owned() });
}

fn work_of(song: SongId, write: &Write, options: &Options) -> SongWork {
    let actions: Pair<Option<Action>> = Pair::of(|side| {
        let step = write.steps[side];
        step.filter(|_| Syncer::may_write(options.direction, side)).map(|step| step.action)
    });
    SongWork {
        song,
        title: write.title(),
        actions,
        merged: write.merged.clone(),
        note: write.note.map(str::to_owned),
    }
}
