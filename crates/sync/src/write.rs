//! Writing songs as they were decided, after the objects that they name.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use songrec_core::{Event, Song};
use songrec_storage::{DeleteSong, Outcome, PutMode, PutSong, Result as StorageResult, Tombstone};

use crate::{
    Failure, Options, Pair, Result, Side, SongWork,
    carry::{AUDIO_AT_ONCE, Carried, CarriedBlob, Needs, Transfer},
    decide::{Had, How, Known, Refs, SongState, Step, Write},
    decider::Item,
    error::in_words,
    outcome::Applied,
    session::Session,
};

/// A song that is written in this round.
pub(crate) struct Writing {
    item: Item,
    write: Write,
    /// The document of each side, with the objects that the side has.
    documents: Pair<Option<Song>>,
    refs: Pair<Refs>,
    /// The sides that were written.
    done: Pair<bool>,
    /// Whether a side did not take the write, so that the other is not written.
    conflict: bool,
    /// Whether the song was put off, so that the state must not say that both
    /// sides agree.
    waits: bool,
}

/// Writes songs at both sides.
pub(crate) struct Writer<'a> {
    session: &'a Session,
    options: &'a Options,
    transfer: &'a Transfer<'a>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(
        session: &'a Session,
        options: &'a Options,
        transfer: &'a Transfer<'a>,
    ) -> Self {
        Self { session, options, transfer }
    }

    /// What is to be written of a song, if anything may be.
    pub(crate) fn prepare(
        &self,
        item: Item,
        mut write: Write,
        applied: &mut Applied,
    ) -> Option<Writing> {
        let mut waits = false;
        for side in Side::BOTH {
            if write.steps[side].is_some() && !self.options.direction.may_write(side) {
                write.steps[side] = None;
                waits = true;
            }
        }
        if waits {
            applied.report.waiting += 1;
            applied.put_off(&item, "it waits for a sync in the other direction");
        }
        let refs = Pair::of(|side| item.refs(side));
        let nothing = write.steps == Pair::default();
        (!nothing).then(|| Writing {
            item,
            write,
            documents: Pair::default(),
            refs,
            done: Pair::default(),
            conflict: false,
            waits,
        })
    }

    /// Writes songs at both sides and remembers what both have then. Songs that
    /// another machine wrote meanwhile are open again.
    pub(crate) async fn write(
        &self,
        mut writing: Vec<Writing>,
        open: &mut Vec<Item>,
        applied: &mut Applied,
    ) -> Result<()> {
        if writing.is_empty() {
            return Ok(());
        }
        // The shared side first: a machine that loses the race there has not
        // written here yet.
        for side in [Side::Right, Side::Left] {
            if self.session.rules().objects_come_first {
                self.carry_objects(side, &mut writing, applied).await?;
            }
            self.put_at(side, &mut writing, applied).await?;
            self.delete_at(side, &mut writing, applied).await?;
            if !self.session.rules().objects_come_first {
                self.carry_objects(side, &mut writing, applied).await?;
            }
        }
        self.finish(writing, open, applied)
    }

    // Carries what songs need at `side`, and makes the documents that they
    // become there.
    async fn carry_objects(
        &self,
        side: Side,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        // A deleted song has seen its segments too, and may come back.
        let written = writing.iter().filter(|one| one.write.steps[side].is_some());
        let songs: Vec<&Song> =
            written.filter(|one| !one.conflict).map(|one| &one.write.song).collect();
        self.transfer.segments(side, &songs).await?;
        let needs: Vec<(usize, Needs<'_>)> = writing
            .iter()
            .enumerate()
            .filter_map(|(at, one)| {
                let Step { how: How::Put { revision, .. }, .. } = one.write.steps[side]? else {
                    return None;
                };
                let (own, theirs) = (&one.refs[side], &one.refs[side.other()]);
                let (song, operation) = (&one.write.song, revision.operation);
                (!one.conflict).then_some((at, Needs { song, operation, own, theirs }))
            })
            .collect();
        if needs.is_empty() {
            return Ok(());
        }
        let all: Vec<&Needs<'_>> = needs.iter().map(|(_, one)| one).collect();
        let mut carried: Carried = self.transfer.embeddings(side, &all).await?;
        let copying = needs.iter().map(|(at, needs)| {
            let before = writing[*at].item.known_refs(side.other());
            let before = before.and_then(|refs| refs.blob.as_ref());
            self.transfer.audio(side, needs, before).boxed()
        });
        let copying: Vec<_> = copying.collect();
        let copied: Vec<CarriedBlob> =
            stream::iter(copying).buffered(AUDIO_AT_ONCE).try_collect().await?;
        let positions: Vec<usize> = needs.iter().map(|(at, _)| *at).collect();
        for (at, blob) in positions.into_iter().zip(copied) {
            let blob = carried.add(blob);
            let one = &mut writing[at];
            let song = &one.write.song;
            let mut refs = one.refs[side].clone();
            for model in one.refs[side.other()].embeddings.keys() {
                if let Some(reference) = carried.embeddings.get(&(song.id, model.clone())) {
                    refs.embeddings.insert(model.clone(), reference.clone());
                }
            }
            refs.blob = blob;
            let Some(Step { how: How::Put { revision, only_objects, .. }, .. }) =
                one.write.steps[side]
            else {
                continue;
            };
            if only_objects && refs == one.refs[side] {
                // Nothing could be carried, so nothing is to be written.
                one.write.steps[side] = None;
                continue;
            }
            one.documents[side] = Some(Song {
                revision,
                embeddings: refs.embeddings.clone(),
                blob: refs.blob.clone(),
                ..song.clone()
            });
            one.refs[side] = refs;
        }
        applied.report.bytes[side] += carried.bytes;
        applied.report.add_notes(carried.notes);
        Ok(())
    }

    async fn put_at(
        &self,
        side: Side,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        let mut puts = Vec::new();
        let mut whose = Vec::new();
        for (at, one) in writing.iter().enumerate() {
            let Some(Step { how: How::Put { mode, revision, .. }, .. }) = one.write.steps[side]
            else {
                continue;
            };
            if one.conflict {
                continue;
            }
            let song = one.documents[side].clone().unwrap_or_else(|| {
                // The objects come later only if a test switched their rule off.
                let theirs = one.refs[side.other()].clone();
                let Refs { embeddings, blob } = theirs;
                Song { revision, embeddings, blob, ..one.write.song.clone() }
            });
            let mode = match mode {
                PutMode::Replace(_) if !self.session.rules().versions_are_compared => {
                    let backend = self.session.backend(side);
                    let ids = [song.id];
                    let mut now = self.session.ask(side, || backend.songs().get(&ids)).await?;
                    let now = now.pop().flatten();
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
        let backend = self.session.backend(side);
        let outcomes = self.session.ask_each(side, &puts, |some| backend.songs().put(some)).await?;
        for ((at, outcome), put) in whose.into_iter().zip(outcomes).zip(puts) {
            let one = &mut writing[at];
            one.documents[side] = Some(put.song);
            self.note_outcome(side, one, outcome, applied);
        }
        Ok(())
    }

    async fn delete_at(
        &self,
        side: Side,
        writing: &mut [Writing],
        applied: &mut Applied,
    ) -> Result<()> {
        let mut deletes = Vec::new();
        let mut whose = Vec::new();
        for (at, one) in writing.iter().enumerate() {
            let Some(Step { how: How::Delete { version, operation, at: when }, .. }) =
                one.write.steps[side]
            else {
                continue;
            };
            if one.conflict {
                continue;
            }
            deletes.push(DeleteSong {
                id: one.item.song,
                version: self.session.rules().versions_are_compared.then_some(version.operation),
                operation,
                at: when,
                origin: None,
                leaving: Some(Box::new(one.write.song.clone())),
            });
            whose.push(at);
        }
        if deletes.is_empty() {
            return Ok(());
        }
        let backend = self.session.backend(side);
        let outcomes =
            self.session.ask_each(side, &deletes, |some| backend.songs().delete(some)).await?;
        for (at, outcome) in whose.into_iter().zip(outcomes) {
            self.note_outcome(side, &mut writing[at], outcome, applied);
        }
        Ok(())
    }

    fn note_outcome(
        &self,
        side: Side,
        one: &mut Writing,
        outcome: StorageResult<Option<Outcome<Song>>>,
        applied: &mut Applied,
    ) {
        match outcome.map(|outcome| outcome.unwrap_or(Outcome::Conflict(None))) {
            Ok(Outcome::Done) => one.done[side] = true,
            Ok(Outcome::Conflict(Some(other))) => {
                one.conflict = true;
                one.item.states[side] = SongState::Present(other);
            }
            // It was deleted. Only the change feed shows how.
            Ok(Outcome::Conflict(None)) => {
                one.conflict = true;
                one.waits = true;
                applied.again = true;
                applied.put_off(&one.item, "it was deleted meanwhile");
            }
            Err(error) => {
                one.conflict = true;
                one.waits = true;
                let reason = in_words(&error);
                applied.put_off(&one.item, &reason);
                applied.report.add_failure(Failure {
                    subject: one.item.song.to_string(),
                    title: one.write.title(),
                    reason,
                    hint: error.hint().cloned(),
                });
            }
        }
    }

    // Remembers what both sides have now, and opens what has to be decided anew.
    fn finish(
        &self,
        writing: Vec<Writing>,
        open: &mut Vec<Item>,
        applied: &mut Applied,
    ) -> Result<()> {
        let now = self.session.now().as_second();
        self.session.state().change(|changing| {
            writing
                .iter()
                .filter(|one| !one.conflict && !one.waits)
                .try_for_each(|one| changing.agree(one.item.song, &known_of(one), now))
        })?;
        for mut one in writing {
            let actions = Pair::of(|side| {
                one.write.steps[side].filter(|_| one.done[side]).map(|step| step.action)
            });
            if actions != Pair::default() {
                let title = one.write.title();
                self.session.job().on(Event::Advanced { item: &title, bytes: 0 });
                applied.report.add_song(SongWork {
                    song: one.item.song,
                    title,
                    actions,
                    merged: std::mem::take(&mut one.write.merged),
                    note: one.write.note.map(str::to_owned),
                });
            }
            if !one.conflict {
                applied.report.conflicts += u64::from(!one.write.song.conflicts.is_empty());
            }
            if one.conflict && !one.waits {
                // One side may have been written before the other lost the race.
                let Known(now) = known_of(&one);
                for side in Side::BOTH.into_iter().filter(|side| one.done[*side]) {
                    let tombstone = now[side].as_ref().and_then(|had| had.tombstone.clone());
                    let document = one.documents[side].take().map(Box::new);
                    let state = tombstone.map(SongState::Deleted);
                    if let Some(state) = state.or(document.map(SongState::Present)) {
                        one.item.states[side] = state;
                    }
                }
                open.push(one.item);
            }
        }
        Ok(())
    }
}

// What both sides have once a song is written.
fn known_of(one: &Writing) -> Known {
    let Known(before) = Known::of(&one.item.states, one.item.known.as_ref());
    Known(Pair::of(|side| match one.write.steps[side].map(|step| step.how) {
        None => before[side].clone(),
        Some(How::Put { .. }) => one.documents[side].as_ref().map(Had::of_song),
        Some(How::Delete { version, operation, at }) => {
            let Refs { embeddings, blob } = one.refs[side].clone();
            let song = Song { revision: version, embeddings, blob, ..one.write.song.clone() };
            let revision = songrec_core::Revision { operation, ..version.next() };
            Some(Had::of_tombstone(&Tombstone { revision, deleted_at: at, song }))
        }
    }))
}
