//! Announcing this machine at the libraries that it syncs.

use songrec_core::{DocumentKind, Revision};
use songrec_storage::PutMode;

use super::{
    MachineBody,
    fence::{Fence, Fences},
    identity::{Identities, new_id},
    libraries::is_only_read,
    records::Records,
    rounds::Rounds,
};
use crate::{Direction, Options, Pair, Result, Side, schedule::Chore, session::Session};

/// What this sync has done that other machines may want to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// Whether it wrote something.
    pub(crate) wrote: bool,
    /// Whether a side changed since it was last read.
    pub(crate) moved: bool,
    /// Whether all songs of a side were compared.
    pub(crate) full: Pair<bool>,
}

/// Writes the machine's own documents.
pub(crate) struct Announcer<'a> {
    session: &'a Session,
    options: &'a Options,
    records: Records<'a>,
}

impl<'a> Announcer<'a> {
    pub(crate) const fn new(session: &'a Session, options: &'a Options) -> Self {
        Self { session, options, records: Records::new(session) }
    }

    /// Announces at both sides that this machine was there and what it has seen,
    /// and purges the deletions that all machines have seen. Gives the number of
    /// purged tombstones.
    pub(crate) async fn announce(&self, fences: &Fences, news: News) -> Result<u64> {
        let (state, now) = (self.session.state(), self.session.now());
        let mut purged = 0;
        for side in Side::BOTH {
            let Some(fence) = &fences[side] else { continue };
            let is_remote = self.session.is_remote(side);
            let due = Chore::Announcement(side).is_due(state, now);
            let urgent = news.wrote || fence.daily || fence.full || !is_remote && news.moved;
            if !due && !urgent {
                continue;
            }
            match self.announce_at(side, fence).await {
                Err(error) if is_only_read(self.options, side, &error) => continue,
                announced => announced?,
            }
            if is_remote {
                Chore::Announcement(side).note_done(state, now)?;
                if fence.daily || fence.full || news.full[side] {
                    purged += Rounds::new(self.session).advance(side).await?;
                    Chore::PurgeRound(side).note_done(state, now)?;
                }
            }
        }
        Ok(purged)
    }

    /// Announces this machine in the libraries on it before anything is written:
    /// so it is noticed when one of them is replaced by an older copy, also if
    /// this sync does not get to its end.
    pub(crate) async fn begin(&self, fences: &mut Fences) -> Result<()> {
        for side in Side::BOTH.into_iter().filter(|side| !self.session.is_remote(*side)) {
            let Some(fence) = &mut fences[side] else { continue };
            match self.write_own(side, fence).await {
                Ok(Some(version)) => fence.version = Some(version),
                Ok(None) => {}
                Err(error) if is_only_read(self.options, side, &error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn announce_at(&self, side: Side, fence: &Fence) -> Result<()> {
        if self.write_own(side, fence).await?.is_none() {
            return Ok(());
        }
        let mut own = Identities::read(self.session.state())?;
        // What waits for the other direction has to be compared then.
        own.of[side].suspect &= self.options.direction != Direction::Both;
        own.write(self.session.state())
    }

    // Writes the machine's own document, and gives its version; `None` if another
    // machine wrote it first. The next sync finds out which.
    async fn write_own(&self, side: Side, fence: &Fence) -> Result<Option<Revision>> {
        let mut own = Identities::read(self.session.state())?;
        let body = MachineBody {
            name: self.options.machine.clone(),
            round: fence.acknowledge,
            retired: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (revision, mode) = match fence.version {
            Some(version) => (version.next(), PutMode::Replace(version.operation)),
            None => (Revision::first(), PutMode::Create),
        };
        let identity = &mut own.of[side];
        if identity.id.is_empty() {
            identity.id = new_id();
        }
        // Known before it is sent: if its answer is lost, it is still ours.
        identity.tried.push(revision);
        identity.read = fence.round;
        let id = identity.id.clone();
        own.write(self.session.state())?;
        let document = self.records.document(DocumentKind::Machine, &id, revision, &body);
        if !self.records.put(side, document, mode).await?.is_done() {
            return Ok(None);
        }
        let identity = &mut own.of[side];
        identity.known = Some(revision);
        identity.tried.clear();
        own.write(self.session.state())?;
        Ok(Some(revision))
    }
}
