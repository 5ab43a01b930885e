//! Deciding about a batch of songs, which are read where that is necessary.

use songrec_core::{Song, SongId};

use crate::{
    Failure, Pair, Result, Side,
    carry::Transfer,
    decide::{Case, Decision, Known, Refs, SongState, resolve},
    fetch::{Refused, fetch},
    session::Session,
};

/// A song that has to be decided on.
pub(crate) struct Item {
    pub(crate) song: SongId,
    pub(crate) known: Option<Known>,
    pub(crate) states: Pair<SongState>,
    // Whether a side was read, beyond what its change feed listed.
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

    /// The sides that were read to decide about it.
    pub(crate) fn sides_read(&self) -> impl Iterator<Item = Side> {
        let read = self.read;
        Side::BOTH.into_iter().filter(move |side| read[*side])
    }
}

/// What was decided about a batch.
pub(crate) struct Decided {
    pub(crate) songs: Vec<(Item, Decision)>,
    /// Songs that a side cannot read.
    pub(crate) refused: Vec<(Item, Failure)>,
}

/// Decides about songs.
pub(crate) struct Decider<'a> {
    session: &'a Session,
    transfer: &'a Transfer<'a>,
    refused: &'a Refused,
}

impl<'a> Decider<'a> {
    /// `refused` are songs that a side cannot read; they are not decided on.
    pub(crate) const fn new(
        session: &'a Session,
        transfer: &'a Transfer<'a>,
        refused: &'a Refused,
    ) -> Self {
        Self { session, transfer, refused }
    }

    /// Staged songs, with what is known of them; songs that a side cannot read
    /// are left as they are on both.
    pub(crate) fn items(&self, mut chunk: Vec<(SongId, Pair<SongState>)>) -> Result<Vec<Item>> {
        chunk.retain(|(song, _)| !self.refused.contains_key(song));
        let songs: Vec<SongId> = chunk.iter().map(|(song, _)| *song).collect();
        let known = self.session.state().known(&songs)?;
        let items = chunk.into_iter().zip(known);
        let item = |((song, states), known)| Item { song, known, states, read: Pair::default() };
        Ok(items.map(item).collect())
    }

    /// Decides about songs, and reads those that have to be read first.
    pub(crate) async fn decide(&self, mut items: Vec<Item>) -> Result<Decided> {
        let mut decided = Decided { songs: Vec::with_capacity(items.len()), refused: Vec::new() };
        let lacks = |side: Side, own: &Refs, theirs: &Refs, song: &Song| {
            self.transfer.lacks(side, own, theirs, song)
        };
        // Each side is read once at most.
        for _ in 0..3 {
            let mut missing: Pair<Vec<Item>> = Pair::default();
            for item in items.drain(..) {
                let case = Case { known: item.known.as_ref(), states: &item.states, lacks: &lacks };
                match resolve(&case) {
                    Decision::Fetch(side) => missing[side].push(item),
                    decision => decided.songs.push((item, decision)),
                }
            }
            for side in Side::BOTH {
                let missing = std::mem::take(&mut missing[side]);
                self.read(side, missing, &mut items, &mut decided).await?;
            }
            if items.is_empty() {
                break;
            }
        }
        // What is still not clear changes right now; the next sync finds out.
        let unclear = items.into_iter().map(|item| (item, Decision::Fetch(Side::Left)));
        decided.songs.extend(unclear);
        Ok(decided)
    }

    // Reads songs at `side`; those that are there can be decided on then.
    async fn read(
        &self,
        side: Side,
        missing: Vec<Item>,
        items: &mut Vec<Item>,
        decided: &mut Decided,
    ) -> Result<()> {
        let ids: Vec<SongId> = missing.iter().map(|item| item.song).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut found = fetch(self.session, side, &ids).await?;
        for mut item in missing {
            if let Some(failure) = found.refused.remove(&item.song) {
                decided.refused.push((item, failure));
                continue;
            }
            match found.songs.remove(&item.song) {
                Some(song) => {
                    item.read[side] = true;
                    item.states[side] = SongState::Present(Box::new(song));
                    items.push(item);
                }
                // It was deleted since, or is lost; the change feed says which.
                None => decided.songs.push((item, Decision::Fetch(side))),
            }
        }
        Ok(())
    }
}
