//! Writing songs as they were decided, what they name before themselves.

use std::collections::HashMap;

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use songrec_core::{Event, Progress, Revision, SegmentId, Song, SongId};
use songrec_storage::{DeleteSong, Outcome, PutMode, PutSong, Result as StorageResult};

use crate::{
    Action, Failure, Options, Pair, Place, Result, SongWork, Syncer,
    apply::{Applied, Item, put_off},
    facts::{AUDIO_AT_ONCE, Carried, CarriedBlob, Carrier, Needs},
    resolve::{Attempt, How, State as SongState, Step, Target, Write},
    segment::OldSegments,
    syncer::{in_words, is_about_one},
    values::{Base, Refs, Values},
};

/// A song that is written in this round.
pub(crate) struct Writing {
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

impl Writing {
    // The segments that both sides have: those that were carried now, or that
    // were agreed on before.
    fn agreed_segments(&self) -> Vec<SegmentId> {
        let before = || self.item.base.as_ref().map(|base| base.segments.clone());
        self.segments.clone().or_else(before).unwrap_or_default()
    }
}

impl Syncer {
    /// What is to be written of a song, if anything may be.
    pub(crate) fn prepare(
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

    /// Writes songs at both sides and notes what both have then; those that
    /// somebody else wrote meanwhile are open again.
    pub(crate) async fn write_songs(
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
        let mut carried = Carried::default();
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
                    let comes_back = |at: Place| {
                        let action = write.steps[at].map(|step| step.action);
                        matches!(action, Some(Action::Add | Action::Restore))
                    };
                    let base = item.base.as_ref();
                    OldSegments {
                        song: item.song,
                        agreed: base.map(|base| base.segments.clone()).unwrap_or_default(),
                        comes_back: Pair::of(comes_back),
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
        outcome: StorageResult<Outcome<Song>>,
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
                segments: one.agreed_segments(),
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
        segments: one.agreed_segments(),
    })
}

fn attempt_of(write: &Write) -> Option<Attempt> {
    let Target::Song(song) = &write.target else { return None };
    let noted = write.inputs.left.is_some() || write.inputs.right.is_some();
    noted.then(|| Attempt { operation: song.revision.operation, inputs: write.inputs.clone() })
}
