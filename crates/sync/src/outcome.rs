//! What was done for some songs, and what was put off.

use std::collections::BTreeMap;

use songrec_core::SongId;

use crate::{
    Pair, Report, Result, decide::SongState, decider::Item, fetch::Refused, session::Session,
    state::Postponed,
};

/// What was done for some songs.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) report: Report,
    /// Something changed meanwhile, in a way that only the change feeds show.
    pub(crate) again: bool,
    /// Songs for the next sync, until the state has them.
    postponed: BTreeMap<SongId, Postponed>,
}

impl Applied {
    pub(crate) fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.again |= other.again;
    }

    /// Puts a song off until the next sync.
    pub(crate) fn put_off(&mut self, item: &Item, reason: &str) {
        // A change feed lists a tombstone once, and it cannot be read by its id;
        // what is there can be read again.
        let states = Pair::of(|side| match &item.states[side] {
            deleted @ SongState::Deleted(_) => deleted.clone(),
            SongState::Same | SongState::Present(_) | SongState::Head(_) | SongState::Absent => {
                SongState::Same
            }
        });
        self.postponed.insert(item.song, Postponed { states, reason: reason.to_owned() });
    }

    /// Remembers what was put off.
    pub(crate) fn note_postponed(&mut self, session: &Session) -> Result<()> {
        note_postponed(session, &std::mem::take(&mut self.postponed))
    }
}

/// Puts songs that a side cannot read off until the next sync.
pub(crate) fn postpone_refused(session: &Session, refused: &Refused) -> Result<()> {
    let postponed = refused.iter().map(|(song, failure)| {
        let (states, reason) = (Pair::default(), failure.reason.clone());
        (*song, Postponed { states, reason })
    });
    note_postponed(session, &postponed.collect())
}

fn note_postponed(session: &Session, postponed: &BTreeMap<SongId, Postponed>) -> Result<()> {
    if postponed.is_empty() || !session.rules().postponed_is_remembered {
        return Ok(());
    }
    session.state().change(|changing| {
        postponed.iter().try_for_each(|(song, one)| changing.put_postponed(*song, one))
    })
}
