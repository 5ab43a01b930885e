//! Deciding about a batch of songs, and seeing to what was decided.

use std::collections::BTreeMap;

use songrec_core::{Hint, Remedy, SongId};

use crate::{
    Action, Failure, Options, Pair, Place, Plan, Report, Result, SongWork, Syncer,
    look::Look,
    objects::Carrier,
    resolve::{Case, Known, State as SongState, Verdict, Write, resolve},
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
    /// The objects that the song names at `place` now.
    pub(crate) fn refs(&self, place: Place) -> Refs {
        match &self.states[place] {
            SongState::Present(song) => Refs::of(song),
            SongState::Same | SongState::Head(_) => {
                self.known_refs(place).cloned().unwrap_or_default()
            }
            SongState::Deleted(_) | SongState::Absent => Refs::default(),
        }
    }

    /// The objects that it named when both sides last agreed.
    pub(crate) fn known_refs(&self, place: Place) -> Option<&Refs> {
        self.known.as_ref()?.0[place].as_ref().map(|had| &had.refs)
    }
}

impl Syncer {
    // What a side cannot read is left as it is on both.
    fn items(&self, look: &Look, mut chunk: Vec<(SongId, Pair<SongState>)>) -> Result<Vec<Item>> {
        chunk.retain(|(song, _)| !look.refused.contains_key(song));
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
        carrier: &Carrier,
        mut items: Vec<Item>,
    ) -> Result<(Vec<(Item, Verdict)>, Vec<(Item, Failure)>)> {
        let mut decided = Vec::with_capacity(items.len());
        let mut refused = Vec::new();
        let lacks = |place: Place, own: &Refs, theirs: &Refs, song: &songrec_core::Song| {
            carrier.lacks(place, own, theirs, song)
        };
        // Each side is read once at most.
        for _ in 0..3 {
            let mut missing: Pair<Vec<Item>> = Pair::default();
            for item in items.drain(..) {
                let case = Case { known: item.known.as_ref(), states: &item.states, lacks: &lacks };
                match resolve(&case) {
                    Verdict::Fetch(place) => missing[place].push(item),
                    verdict => decided.push((item, verdict)),
                }
            }
            for place in Place::BOTH {
                let ids: Vec<SongId> = missing[place].iter().map(|item| item.song).collect();
                if ids.is_empty() {
                    continue;
                }
                let mut found = self.fetch(place, &ids).await?;
                for mut item in std::mem::take(&mut missing[place]) {
                    if let Some(failure) = found.refused.remove(&item.song) {
                        refused.push((item, failure));
                        continue;
                    }
                    match found.songs.remove(&item.song) {
                        Some(song) => {
                            item.read[place] = true;
                            item.states[place] = SongState::Present(Box::new(song));
                            items.push(item);
                        }
                        // Deleted as we look, or lost; the next look tells.
                        None => decided.push((item, Verdict::Fetch(place))),
                    }
                }
            }
            if items.is_empty() {
                break;
            }
        }
        // What is still not clear changes as we look; the next look tells.
        decided.extend(items.into_iter().map(|item| (item, Verdict::Fetch(Place::Left))));
        Ok((decided, refused))
    }

    /// Adds what will be done for some songs to a plan.
    pub(crate) async fn plan_chunk(
        &self,
        options: &Options,
        look: &Look,
        carrier: &Carrier,
        chunk: Vec<(SongId, Pair<SongState>)>,
        plan: &mut Plan,
    ) -> Result<()> {
        let items = self.items(look, chunk)?;
        let (decided, refused) = self.decide(carrier, items).await?;
        plan.refused.extend(refused.into_iter().map(|(_, failure)| failure));
        for (item, verdict) in decided {
            // What was read is not read again when it is done.
            for place in Place::BOTH.into_iter().filter(|place| item.read[*place]) {
                self.spool()?.tell(place, &[(item.song, item.states[place].clone())])?;
            }
            match verdict {
                Verdict::Agreed(_) => plan.agreed += 1,
                Verdict::Nothing | Verdict::Fetch(_) | Verdict::Damaged(_) => {}
                Verdict::Write(write) => {
                    let work = work_of(item.song, &write, options);
                    let refs = Pair::of(|place| item.refs(place));
                    let gets = |at: &Place| {
                        work.actions[*at].is_some_and(|action| action != Action::Delete)
                    };
                    for place in Place::BOTH.into_iter().filter(gets) {
                        plan.bytes[place] +=
                            carrier.bytes(place, &refs[place], &refs[place.other()], &write.song);
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
        look: &Look,
        carrier: &Carrier,
        chunk: Vec<(SongId, Pair<SongState>)>,
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut open = self.items(look, chunk)?;
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            let (decided, refused) = self.decide(carrier, std::mem::take(&mut open)).await?;
            for (item, failure) in refused {
                put_off(&mut applied.postponed, &item, &failure.reason);
                applied.report.add_failure(failure);
            }
            let mut writing = Vec::new();
            let now = self.now().as_second();
            let mut settled: Vec<(SongId, Option<Box<Known>>)> = Vec::new();
            for (item, verdict) in decided {
                match verdict {
                    Verdict::Write(write) => {
                        if let Some(one) = self.prepare(options, item, *write, &mut applied) {
                            writing.push(one);
                        }
                    }
                    Verdict::Fetch(_) => {
                        applied.again = true;
                        put_off(&mut applied.postponed, &item, "it changes again and again");
                    }
                    Verdict::Damaged(reason) => {
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
                    Verdict::Agreed(known) => {
                        let conflicts = |place: Place| match &item.states[place] {
                            SongState::Present(song) => !song.conflicts.is_empty(),
                            _ => false,
                        };
                        let some = Place::BOTH.into_iter().any(conflicts);
                        applied.report.conflicts += u64::from(some);
                        settled.push((item.song, Some(known)));
                    }
                    Verdict::Nothing => settled.push((item.song, None)),
                }
            }
            if !settled.is_empty() {
                self.state.change(|changing| {
                    for (song, known) in &settled {
                        match known {
                            Some(known) => changing.agree(*song, known, now)?,
                            None => changing.settle(*song)?,
                        }
                    }
                    Ok(())
                })?;
            }
            self.write_songs(carrier, writing, &mut open, &mut applied).await?;
        }
        for item in open {
            applied.again = true;
            put_off(&mut applied.postponed, &item, "others changed it again and again");
        }
        self.note_postponed(std::mem::take(&mut applied.postponed))?;
        Ok(applied)
    }

    /// Notes that the next sync has to look at songs that a side cannot read.
    pub(crate) fn note_refused(&self, look: &Look) -> Result<()> {
        let postponed = look.refused.iter().map(|(song, failure)| {
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
    let states = Pair::of(|place| match &item.states[place] {
        deleted @ SongState::Deleted(_) => deleted.clone(),
        SongState::Same | SongState::Present(_) | SongState::Head(_) | SongState::Absent => {
            SongState::Same
        }
    });
    postponed.insert(item.song, Postponed { states, reason: reason.to_owned() });
}

fn work_of(song: SongId, write: &Write, options: &Options) -> SongWork {
    let actions: Pair<Option<Action>> = Pair::of(|place| {
        let step = write.steps[place];
        step.filter(|_| Syncer::may_write(options.direction, place)).map(|step| step.action)
    });
    SongWork {
        song,
        title: write.title(),
        actions,
        merged: write.merged.clone(),
        note: write.note.map(str::to_owned),
    }
}
