//! Doing what was decided, a batch of songs at a time.

use std::collections::{BTreeMap, HashMap};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use songrec_core::{Event, Progress, Revision, SegmentId, Song, SongId};
use songrec_storage::{DeleteSong, Outcome, PutMode, PutSong, Result as StorageResult};

use crate::{
    Action, Failure, Options, Pair, Place, Plan, Report, Result, SongWork, Syncer,
    facts::{AUDIO_AT_ONCE, CarriedBlob, Carrier, Needs},
    look::Look,
    resolve::{Attempt, Case, How, State as SongState, Step, Target, Verdict, Write, resolve},
    segment::OldSegments,
    state::Postponed,
    syncer::{in_words, is_about_one},
    values::{Base, Refs, Values},
};

/// What was done for some songs.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) report: Report,
    /// Something changed meanwhile, in a way that only another look shows.
    pub(crate) again: bool,
    // What the next sync has to look at, until it is noted.
    postponed: BTreeMap<SongId, Postponed>,
}

impl Applied {
    pub(crate) fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.again |= other.again;
    }
}

/// How often a song is decided anew because somebody else was faster.
const ROUNDS: usize = 8;

// A song on its way.
struct Item {
    song: SongId,
    base: Option<Base>,
    attempts: Vec<Attempt>,
    states: Pair<SongState>,
    // Whether a side was read, beyond what was told.
    read: Pair<bool>,
}

// A song that is written in this round.
struct Writing {
    item: Item,
    write: Write,
    // The document of each side, with the facts that side has.
    documents: Pair<Option<Song>>,
    refs: Pair<Refs>,
    segments: Option<Vec<SegmentId>>,
    done: Pair<bool>,
    conflict: bool,
    waits: bool,
}

impl Item {
    // The facts that the song names at `place` now.
    fn refs(&self, place: Place) -> Refs {
        match &self.states[place] {
            SongState::Present(song) => Refs::of(song),
            SongState::Same => self
                .base
                .as_ref()
                .filter(|base| !base.deleted)
                .map(|base| base.refs[place].clone())
                .unwrap_or_default(),
            SongState::Deleted(_) | SongState::Absent => Refs::default(),
        }
    }

    fn revision(&self, place: Place) -> Option<Revision> {
        match &self.states[place] {
            SongState::Present(song) => Some(song.revision),
            SongState::Deleted(tombstone) => Some(tombstone.revision),
            SongState::Same => self.base.as_ref().and_then(|base| base.revisions[place]),
            SongState::Absent => None,
        }
    }
}

impl Syncer {
    async fn items(&self, chunk: Vec<(SongId, Pair<SongState>)>) -> Result<Vec<Item>> {
        let songs: Vec<SongId> = chunk.iter().map(|(song, _)| *song).collect();
        let bases = self.state.bases(&songs)?;
        let mut attempts = self.state.attempts(&songs)?;
        Ok(chunk
            .into_iter()
            .zip(bases)
            .map(|((song, states), base)| Item {
                attempts: attempts.remove(&song).unwrap_or_default(),
                song,
                base,
                states,
                read: Pair::default(),
            })
            .collect())
    }

    // Decides about songs; those that have to be read first are read.
    async fn decide(
        &self,
        look: &Look,
        carrier: &Carrier,
        mut items: Vec<Item>,
    ) -> Result<Vec<(Item, Verdict)>> {
        let mut decided = Vec::with_capacity(items.len());
        // Each side is read once at most.
        for _ in 0..4 {
            let mut missing: Pair<Vec<Item>> = Pair::default();
            for item in items.drain(..) {
                match self.verdict(look, carrier, &item).await? {
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
                    item.read[place] = true;
                    item.states[place] = match found.remove(&item.song) {
                        Some(song) => SongState::Present(Box::new(song)),
                        None => SongState::Absent,
                    };
                    items.push(item);
                }
            }
            if items.is_empty() {
                break;
            }
        }
        // What is still not clear changes as we look; the next look tells.
        decided.extend(items.into_iter().map(|item| (item, Verdict::Fetch(Place::Left))));
        Ok(decided)
    }

    async fn verdict(&self, look: &Look, carrier: &Carrier, item: &Item) -> Result<Verdict> {
        let mut purged = Pair::default();
        for place in Place::BOTH {
            let alive = item.base.as_ref().is_some_and(|base| !base.deleted);
            if alive && item.states[place] == SongState::Absent {
                purged[place] = carrier.purged(self, place, item.song).await?;
            }
        }
        let lacks = |place: Place, own: &Refs, theirs: &Refs, song: &Song| {
            carrier.lacks(place, own, theirs, song)
        };
        let mut segments = false;
        if let Pair { left: SongState::Present(left), right: SongState::Present(right) } =
            &item.states
            && left.revision.operation != right.revision.operation
        {
            for place in Place::BOTH {
                segments = segments || self.has_segments(carrier, place).await?;
            }
        }
        let case = Case {
            base: item.base.as_ref(),
            attempts: &item.attempts,
            states: &item.states,
            purged,
            complete: look.full.left && look.full.right,
            restored: Pair::of(|place| !self.is_remote(place) && look.was_restored(place)),
            lacks: &lacks,
            segments,
        };
        Ok(resolve(&case, &self.rules))
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
        let items = self.items(chunk).await?;
        for (item, verdict) in self.decide(look, carrier, items).await? {
            // What was read is not read again when it is done.
            for place in Place::BOTH.into_iter().filter(|place| item.read[*place]) {
                self.spool()?.tell(place, &[(item.song, item.states[place].clone())])?;
            }
            match verdict {
                Verdict::Agreed(_) => plan.agreed += 1,
                Verdict::Nothing | Verdict::Forget | Verdict::Fetch(_) => {}
                Verdict::Write(write) => {
                    let work = work_of(item.song, &write, options);
                    if let Target::Song(song) = &write.target {
                        let refs = Pair::of(|place| item.refs(place));
                        for place in
                            Place::BOTH.into_iter().filter(|at| work.actions[*at].is_some())
                        {
                            plan.bytes[place] +=
                                carrier.bytes(place, &refs[place], &refs[place.other()], song);
                        }
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
        progress: &dyn Progress,
        chunk: Vec<(SongId, Pair<SongState>)>,
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut open = self.items(chunk).await?;
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            let decided = self.decide(look, carrier, std::mem::take(&mut open)).await?;
            let mut writing = Vec::new();
            let now = self.now().as_second();
            let mut settled: Vec<(SongId, Verdict)> = Vec::new();
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
                    other => settled.push((item.song, other)),
                }
            }
            let mut alike = Vec::new();
            for (song, verdict) in &settled {
                if let Verdict::Agreed(base) = verdict
                    && !base.deleted
                {
                    applied.report.conflicts += u64::from(!base.values.conflicts.is_empty());
                    alike.push(*song);
                }
            }
            let mut segments = self.common_segments(carrier, alike).await?;
            for (song, verdict) in &mut settled {
                if let Verdict::Agreed(base) = verdict {
                    base.segments = segments.remove(song).unwrap_or_default();
                }
            }
            if !settled.is_empty() {
                self.state.change(|changing| {
                    for (song, verdict) in &settled {
                        match verdict {
                            Verdict::Agreed(base) => changing.agree(*song, base, now)?,
                            Verdict::Forget => changing.forget(*song)?,
                            Verdict::Nothing => changing.settle(*song)?,
                            Verdict::Fetch(_) | Verdict::Write(_) => {}
                        }
                    }
                    Ok(())
                })?;
            }
            self.write_songs(carrier, progress, writing, &mut open, &mut applied).await?;
        }
        for item in open {
            applied.again = true;
            put_off(&mut applied.postponed, &item, "others changed it again and again");
        }
        self.note_postponed(std::mem::take(&mut applied.postponed))?;
        Ok(applied)
    }

    fn note_postponed(&self, postponed: BTreeMap<SongId, Postponed>) -> Result<()> {
        if postponed.is_empty() || !self.rules.postponed_is_remembered {
            return Ok(());
        }
        self.state.change(|changing| {
            postponed.iter().try_for_each(|(song, one)| changing.put_postponed(*song, one))
        })
    }

    // What is to be written of a song, if anything may be.
    fn prepare(
        &self,
        options: &Options,
        item: Item,
        mut write: Write,
        applied: &mut Applied,
    ) -> Option<Writing> {
        let mut waits = false;
        for place in Place::BOTH {
            if write.steps[place].is_some() && !Self::may_write(options.direction, place) {
                write.steps[place] = None;
                waits = true;
            }
        }
        if waits {
            applied.report.waiting += 1;
            put_off(&mut applied.postponed, &item, "it waits for a sync in the other direction");
        }
        let refs = Pair::of(|place| item.refs(place));
        let nothing = write.steps == Pair::default();
        (!nothing).then(|| Writing {
            item,
            write,
            documents: Pair::default(),
            refs,
            segments: None,
            done: Pair::default(),
            conflict: false,
            waits,
        })
    }

    async fn write_songs(
        &self,
        carrier: &Carrier,
        progress: &dyn Progress,
        mut writing: Vec<Writing>,
        open: &mut Vec<Item>,
        applied: &mut Applied,
    ) -> Result<()> {
        if writing.is_empty() {
            return Ok(());
        }
        if !self.rules.base_comes_last {
            // Only for the test that shows what is lost this way.
            let now = self.now().as_second();
            self.state.change(|changing| {
                for one in writing.iter().filter(|one| !one.waits) {
                    changing.agree(one.item.song, &self.base_of(one), now)?;
                }
                Ok(())
            })?;
        }
        if self.rules.attempts_are_noted {
            let attempts: Vec<(SongId, Attempt)> = writing
                .iter_mut()
                .filter_map(|one| {
                    let attempt = attempt_of(&one.write)?;
                    one.item.attempts.push(attempt.clone());
                    Some((one.item.song, attempt))
                })
                .collect();
            self.state.change(|changing| {
                attempts.iter().try_for_each(|(song, one)| changing.note_attempt(*song, one))
            })?;
        }
        // The shared side first: whoever loses there has not written here yet.
        for place in [Place::Right, Place::Left] {
            if self.rules.facts_come_first {
                self.carry_facts(carrier, place, &mut writing, applied).await?;
            }
            self.put_at(place, &mut writing, applied).await?;
            self.delete_at(place, &mut writing, applied).await?;
            if !self.rules.facts_come_first {
                self.carry_facts(carrier, place, &mut writing, applied).await?;
            }
        }
        self.finish(progress, writing, open, applied)
    }

    // Carries what songs need at `place`, and makes the documents that they
    // become there.
    async fn carry_facts(
        &self,
        carrier: &Carrier,
        place: Place,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        let mut carried = crate::facts::Carried::default();
        let mut blobs = Vec::new();
        let mut segments = HashMap::new();
        {
            let mut needs = Vec::new();
            for (at, one) in writing.iter().enumerate() {
                let step = one.write.steps[place];
                let (Target::Song(song), Some(Step { how: How::Put(_), .. })) =
                    (&one.write.target, step)
                else {
                    continue;
                };
                if one.conflict {
                    continue;
                }
                let (own, theirs) = (&one.refs[place], &one.refs[place.other()]);
                let operation = one.write.operation();
                needs.push((at, Needs { song, operation, own, theirs }));
            }
            let all: Vec<Needs<'_>> = needs
                .iter()
                .map(|(_, one)| Needs {
                    song: one.song,
                    operation: one.operation,
                    own: one.own,
                    theirs: one.theirs,
                })
                .collect();
            if !all.is_empty() {
                carried = self.carry_embeddings(carrier, place, &all).await?;
                let songs = needs.iter().map(|(at, _)| {
                    let Writing { item, write, .. } = &writing[*at];
                    let action = write.steps[place].map(|step| step.action);
                    let base = item.base.as_ref();
                    OldSegments {
                        song: item.song,
                        agreed: base.map(|base| base.segments.clone()).unwrap_or_default(),
                        comes_back: matches!(action, Some(Action::Add | Action::Restore)),
                    }
                });
                let songs: Vec<OldSegments> = songs.collect();
                segments = self.carry_segments(carrier, place, &songs).await?;
            }
            let copying = needs.iter().map(|(at, needs)| {
                let before = writing[*at].item.base.as_ref();
                let before = before.and_then(|base| base.refs[place.other()].blob.as_ref());
                self.carry_blob(carrier, place, needs, before).boxed()
            });
            let copying: Vec<_> = copying.collect();
            let copied: Vec<CarriedBlob> =
                stream::iter(copying).buffered(AUDIO_AT_ONCE).try_collect().await?;
            for ((at, _), blob) in needs.iter().zip(copied) {
                blobs.push((*at, carried.add(blob)));
            }
        }
        for (at, blob) in blobs {
            let one = &mut writing[at];
            let Target::Song(song) = &one.write.target else { continue };
            let mut refs = one.refs[place].clone();
            for model in one.refs[place.other()].embeddings.keys() {
                let key = (song.id, model.clone());
                if let Some(reference) = carried.embeddings.get(&key) {
                    refs.embeddings.insert(model.clone(), reference.clone());
                }
            }
            refs.blob = blob;
            if one.write.only_facts && refs == one.refs[place] {
                // Nothing could be carried, so there is nothing to say.
                one.write.steps[place] = None;
            } else {
                let document = Song {
                    embeddings: refs.embeddings.clone(),
                    blob: refs.blob.clone(),
                    ..(**song).clone()
                };
                one.documents[place] = Some(document);
                one.refs[place] = refs;
            }
        }
        for one in writing.iter_mut() {
            if let Some(known) = segments.remove(&one.item.song) {
                one.segments = Some(known);
            }
        }
        applied.report.bytes[place] += carried.bytes;
        applied.report.add_notes(carried.notes);
        Ok(())
    }

    async fn put_at(
        &self,
        place: Place,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        let mut puts = Vec::new();
        let mut whose = Vec::new();
        for (at, one) in writing.iter().enumerate() {
            let Some(Step { how: How::Put(mode), .. }) = one.write.steps[place] else { continue };
            if one.conflict {
                continue;
            }
            let song = match (&one.documents[place], &one.write.target) {
                (Some(document), _) => document.clone(),
                // Without its facts, as a rule that is switched off has it.
                (None, Target::Song(song)) => {
                    let theirs = &one.refs[place.other()];
                    let mut song = (**song).clone();
                    song.embeddings = theirs.embeddings.clone();
                    song.blob = theirs.blob.clone();
                    song
                }
                (None, Target::Deleted { .. }) => continue,
            };
            let mode = match mode {
                PutMode::Replace(_) if !self.rules.versions_are_compared => {
                    let backend = self.backend(place);
                    let ids = [song.id];
                    let now = self.ask(place, || backend.get_songs(&ids)).await;
                    let now = now.map_err(|error| self.failed(place, error))?.pop().flatten();
                    now.map_or(PutMode::Create, |now| PutMode::Replace(now.revision.operation))
                }
                mode => mode,
            };
            puts.push(PutSong { song, mode, origin: None });
            whose.push(at);
        }
        if puts.is_empty() {
            return Ok(());
        }
        let backend = self.backend(place);
        let outcomes = self.write_each(place, &puts, |some| backend.put_songs(some)).await?;
        for (at, outcome) in whose.into_iter().zip(outcomes) {
            self.note_outcome(place, &mut writing[at], outcome, applied);
        }
        Ok(())
    }

    async fn delete_at(
        &self,
        place: Place,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        let mut deletes = Vec::new();
        let mut whose = Vec::new();
        for (at, one) in writing.iter().enumerate() {
            let (Target::Deleted { revision, at: when, .. }, Some(step)) =
                (&one.write.target, one.write.steps[place])
            else {
                continue;
            };
            let How::Delete(version) = step.how else { continue };
            let version = self.rules.versions_are_compared.then_some(version);
            deletes.push(DeleteSong {
                id: one.item.song,
                version,
                operation: revision.operation,
                at: *when,
                origin: None,
            });
            whose.push(at);
        }
        if deletes.is_empty() {
            return Ok(());
        }
        let backend = self.backend(place);
        let outcomes = self.write_each(place, &deletes, |some| backend.delete_songs(some)).await?;
        for (at, outcome) in whose.into_iter().zip(outcomes) {
            self.note_outcome(place, &mut writing[at], outcome, applied);
        }
        Ok(())
    }

    // Writes songs together; where that is refused because of one of them, each
    // by itself, so that the others need not suffer.
    async fn write_each<'a, T: Sync>(
        &self,
        place: Place,
        items: &'a [T],
        write: impl Fn(&'a [T]) -> BoxFuture<'a, StorageResult<Vec<Outcome<Song>>>> + Send + Sync,
    ) -> Result<Vec<StorageResult<Outcome<Song>>>> {
        match self.ask(place, || write(items)).await {
            Ok(outcomes) => return Ok(outcomes.into_iter().map(Ok).collect()),
            Err(error) if is_about_one(&error) => {}
            Err(error) => return Err(self.failed(place, error)),
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            match self.ask(place, || write(std::slice::from_ref(item))).await {
                Ok(mut outcome) => {
                    outcomes.push(Ok(outcome.pop().unwrap_or(Outcome::Conflict(None))));
                }
                Err(error) if is_about_one(&error) => outcomes.push(Err(error)),
                Err(error) => return Err(self.failed(place, error)),
            }
        }
        Ok(outcomes)
    }

    fn note_outcome(
        &self,
        place: Place,
        one: &mut Writing,
        outcome: songrec_storage::Result<Outcome<Song>>,
        applied: &mut Applied,
    ) {
        match outcome {
            Ok(Outcome::Done) => one.done[place] = true,
            Ok(Outcome::Conflict(Some(other))) => {
                one.conflict = true;
                one.item.states[place] = SongState::Present(other);
            }
            // It was deleted. Only a look shows how.
            Ok(Outcome::Conflict(None)) => {
                one.conflict = true;
                one.waits = true;
                applied.again = true;
                put_off(&mut applied.postponed, &one.item, "it was deleted meanwhile");
            }
            Err(error) => {
                one.conflict = true;
                one.waits = true;
                let reason = in_words(&error);
                put_off(&mut applied.postponed, &one.item, &reason);
                applied.report.add_failure(Failure {
                    subject: one.item.song.to_string(),
                    title: one.write.title(),
                    reason,
                    hint: error.hint().map(str::to_owned),
                });
            }
        }
    }

    // Notes what both sides have now, and what has to be decided anew.
    fn finish(
        &self,
        progress: &dyn Progress,
        writing: Vec<Writing>,
        open: &mut Vec<Item>,
        applied: &mut Applied,
    ) -> Result<()> {
        let now = self.now().as_second();
        self.state.change(|changing| {
            for one in writing.iter().filter(|one| !one.conflict && !one.waits) {
                changing.agree(one.item.song, &self.base_of(one), now)?;
            }
            for one in writing.iter().filter(|one| one.waits) {
                if let Some(base) = half_of(one) {
                    changing.set_base(one.item.song, &base, now)?;
                }
            }
            Ok(())
        })?;
        for mut one in writing {
            let actions = Pair::of(|place| {
                one.write.steps[place].filter(|_| one.done[place]).map(|step| step.action)
            });
            if actions != Pair::default() {
                let title = one.write.title();
                progress.on(Event::Advanced { item: &title, bytes: 0 });
                applied.report.add_song(SongWork {
                    song: one.item.song,
                    title,
                    actions,
                    merged: std::mem::take(&mut one.write.merged),
                    note: one.write.note.map(str::to_owned),
                });
            }
            if let (Target::Song(song), false) = (&one.write.target, one.conflict) {
                applied.report.conflicts += u64::from(!song.conflicts.is_empty());
            }
            if one.conflict && !one.waits {
                // A side that was written already has what was written.
                for place in Place::BOTH.into_iter().filter(|place| one.done[*place]) {
                    if let Some(document) = one.documents[place].take() {
                        one.item.states[place] = SongState::Present(Box::new(document));
                    }
                }
                open.push(one.item);
            }
        }
        Ok(())
    }

    // What both sides agree on once a song is written.
    fn base_of(&self, one: &Writing) -> Base {
        let known = |place: Place| one.item.revision(place);
        match &one.write.target {
            Target::Song(song) => Base {
                deleted: false,
                revisions: Pair::of(|place| {
                    match one.write.steps[place] {
                        Some(_) => Some(song.revision),
                        // As it was, which is the same where nothing had to be
                        // carried.
                        None => known(place).or(Some(song.revision)),
                    }
                }),
                added: Pair::of(|_| song.added_at),
                values: Values::of(song),
                refs: one.refs.clone(),
                segments: one.segments.clone().unwrap_or_else(|| {
                    let base = one.item.base.as_ref();
                    base.map(|base| base.segments.clone()).unwrap_or_default()
                }),
            },
            Target::Deleted { revision, seen, .. } => Base {
                deleted: true,
                revisions: Pair::of(|place| match one.write.steps[place] {
                    Some(_) => known(place)
                        .map(|was| Revision { operation: revision.operation, ..was.next() }),
                    None => known(place),
                }),
                added: Pair::of(|_| seen.added_at),
                values: (**seen).clone(),
                refs: Pair::default(),
                segments: vec![],
            },
        }
    }
}

// What both sides agree on when only one of them got what was made of both:
// the version of the other side, which is in it.
fn half_of(one: &Writing) -> Option<Base> {
    let place = match (one.done.left, one.done.right) {
        (true, false) => Place::Left,
        (false, true) => Place::Right,
        (true, true) | (false, false) => return None,
    };
    let input = one.write.inputs[place.other()].as_ref()?;
    let mut revisions = Pair::default();
    revisions[place.other()] = Some(input.revision);
    Some(Base {
        deleted: false,
        revisions,
        added: Pair::of(|_| input.values.added_at),
        values: input.values.clone(),
        refs: one.refs.clone(),
        segments: one.item.base.as_ref().map(|base| base.segments.clone()).unwrap_or_default(),
    })
}

fn attempt_of(write: &Write) -> Option<Attempt> {
    let Target::Song(song) = &write.target else { return None };
    let noted = write.inputs.left.is_some() || write.inputs.right.is_some();
    noted.then(|| Attempt { operation: song.revision.operation, inputs: write.inputs.clone() })
}

fn put_off(postponed: &mut BTreeMap<SongId, Postponed>, item: &Item, reason: &str) {
    // A tombstone is told once; what is there can be asked for again.
    let states = Pair::of(|place| match &item.states[place] {
        deleted @ SongState::Deleted(_) => deleted.clone(),
        SongState::Same | SongState::Present(_) | SongState::Absent => SongState::Same,
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
