//! Whether this is still the machine that was at a library before.

use songrec_core::{DocumentKind, Revision};

use super::{
    identity::{Identities, Identity, new_id},
    records::Records,
};
use crate::{Pair, Result, Side, schedule::Chore, session::Session};

/// What the machine's own document in each library says, where it was read.
pub(crate) type Fences = Pair<Option<Fence>>;

/// What the machine's own document says at the beginning of a sync.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    /// Another machine uses the same id, or one of the two is an older copy:
    /// everything has to be compared.
    pub(super) full: bool,
    /// The version to replace.
    pub(super) version: Option<Revision>,
    /// The round of purging that may be acknowledged after this sync has read
    /// the changes of the library.
    pub(super) acknowledge: u64,
    pub(super) round: u64,
    /// Whether it is time to check how far purging is.
    pub(super) daily: bool,
}

impl Fence {
    /// Whether everything has to be compared.
    pub(crate) const fn is_full(&self) -> bool {
        self.full
    }
}

/// Reads the machine's own document at `side`. A machine that finds a version
/// that it did not write is a copy, or was restored from one: it goes on under a
/// new id, and compares everything.
pub(crate) async fn fence(session: &Session, side: Side, writes: bool) -> Result<Fence> {
    let records = Records::new(session);
    let mut own = Identities::read(session.state())?;
    let identity = &own.of[side];
    let stored = match identity.id.as_str() {
        "" => None,
        id => records.read(side, DocumentKind::Machine, id).await?,
    };
    let daily = Chore::PurgeRound(side).is_due(session.state(), session.now());
    // Once a day is enough for what only takes space.
    let round = if session.is_remote(side) && daily {
        records.read_library(side).await?.map_or(0, |(_, body)| body.round)
    } else {
        identity.read
    };
    let stored = stored.map(|document| document.revision);
    let is_ours = |revision: &Revision| {
        identity.known.is_some_and(|known| known.operation == revision.operation)
            || session.rules().sessions_are_a_set
                && identity.tried.iter().any(|tried| tried.operation == revision.operation)
    };
    let same = match &stored {
        Some(stored) => is_ours(stored),
        // Nothing was ever written there; or it was, and is gone.
        None => identity.known.is_none(),
    };
    let mut fence =
        Fence { full: identity.suspect, version: stored, acknowledge: identity.read, round, daily };
    if !same && session.rules().sessions_are_fenced {
        tracing::info!("a copy of this machine was at {}", session.name(side));
        // Copies cannot go by one name. And everything is to be compared,
        // also if this sync does not get so far.
        own.of[side] = Identity { id: new_id(), suspect: true, ..Identity::default() };
        fence = Fence { full: true, version: None, acknowledge: 0, round, daily };
        if writes {
            own.write(session.state())?;
        }
    }
    Ok(fence)
}
