//! Purging in rounds: tombstones that every machine has seen are deleted.

use serde::{Deserialize, Serialize};
use songrec_core::{DocumentKind, OperationId, Revision, SongId};
use songrec_storage::{PurgeSong, PutMode};

use super::{
    identity::Identities,
    machines,
    records::{LibraryBody, Records},
};
use crate::{Result, Side, session::Session};

/// Tombstones of one round: they have to fit into one document.
const ROUND: usize = 500;

/// What the document of a round says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RoundBody {
    songs: Vec<PurgedSong>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PurgedSong {
    id: SongId,
    operation: OperationId,
    number: u64,
}

/// Begins and finishes rounds of purging.
pub(super) struct Rounds<'a> {
    session: &'a Session,
    records: Records<'a>,
}

impl<'a> Rounds<'a> {
    pub(super) const fn new(session: &'a Session) -> Self {
        Self { session, records: Records::new(session) }
    }

    /// Purges the round that is under way if every machine has seen it; if none
    /// is, begins one with the deletions that are old enough. Gives the number of
    /// purged tombstones.
    pub(super) async fn advance(&self, side: Side) -> Result<u64> {
        let Some((revision, body)) = self.records.read_library(side).await? else { return Ok(0) };
        if body.round > body.purged {
            return self.finish_round(side, revision, body).await;
        }
        self.clean(side, body.purged).await?;
        let keep = i64::try_from(self.session.keep_deleted().as_secs()).unwrap_or(i64::MAX);
        let until = self.session.now().as_second().saturating_sub(keep);
        let songs: Vec<PurgedSong> = self
            .session
            .state()
            .deletions(until, ROUND)?
            .into_iter()
            .filter_map(|(id, known)| {
                let Revision { number, operation } = known.0[side].as_ref()?.revision;
                Some(PurgedSong { id, operation, number })
            })
            .collect();
        let next = body.round + 1;
        if songs.is_empty() {
            return Ok(0);
        }
        let round = self.records.document(
            DocumentKind::Library,
            &round_id(next),
            Revision::first(),
            &RoundBody { songs },
        );
        // If another machine has just begun the round, its list is as good.
        self.records.put(side, round, PutMode::Create).await?;
        self.records.put_library(side, revision, &LibraryBody { round: next, ..body }).await?;
        Ok(0)
    }

    // Forgets the deletions of rounds that were purged: no machine needs them any
    // more.
    async fn clean(&self, side: Side, purged: u64) -> Result<()> {
        let mut own = Identities::read(self.session.state())?;
        for round in own.of[side].cleaned + 1..=purged {
            let songs = self.still_deleted(side, self.read_round(side, round).await?)?;
            own.of[side].cleaned = round;
            self.forget_purged(side, &songs)?;
            own.write(self.session.state())?;
        }
        Ok(())
    }

    // The songs that are deleted here by the same deletion. A song that was
    // restored has another version; if that was deleted again, it has another
    // tombstone, which belongs to a later round.
    fn still_deleted(&self, side: Side, songs: Vec<PurgedSong>) -> Result<Vec<PurgedSong>> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.session.state().known(&ids)?;
        let same = songs.into_iter().zip(known).filter(|(song, known)| {
            let had = known.as_ref().and_then(|known| known.0[side].as_ref());
            had.is_some_and(|had| !had.is_alive() && had.revision.operation == song.operation)
        });
        Ok(same.map(|(song, _)| song).collect())
    }

    // Forgets what `side` had of purged songs. What the other side has of them
    // is still known.
    fn forget_purged(&self, side: Side, songs: &[PurgedSong]) -> Result<()> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.session.state().known(&ids)?;
        let now = self.session.now().as_second();
        self.session.state().change(|changing| {
            for (id, known) in ids.iter().zip(known) {
                let Some(mut known) = known else { continue };
                known.0[side] = None;
                changing.set_known(*id, &known, now)?;
            }
            Ok(())
        })
    }

    async fn finish_round(&self, side: Side, revision: Revision, body: LibraryBody) -> Result<u64> {
        let backend = self.session.backend(side);
        let machines = machines(backend).await.map_err(|e| self.session.failed(side, e))?;
        let waiting = machines.iter().any(|one| !one.retired && one.round < body.round);
        if waiting && self.session.rules().purging_waits {
            return Ok(0);
        }
        let songs = self.read_round(side, body.round).await?;
        let same = self.still_deleted(side, songs)?;
        let tombstones: Vec<PurgeSong> =
            same.iter().map(|song| PurgeSong { id: song.id, deletion: song.operation }).collect();
        for chunk in tombstones.chunks(100) {
            self.session.ask(side, || backend.songs().purge(chunk)).await?;
        }
        self.forget_purged(side, &same)?;
        let done = LibraryBody { purged: body.round, ..body };
        self.records.put_library(side, revision, &done).await?;
        Ok(same.len() as u64)
    }

    async fn read_round(&self, side: Side, round: u64) -> Result<Vec<PurgedSong>> {
        let document = self.records.read(side, DocumentKind::Library, &round_id(round)).await?;
        let body: Option<RoundBody> =
            document.and_then(|document| serde_json::from_value(document.body).ok());
        Ok(body.unwrap_or_default().songs)
    }
}

fn round_id(round: u64) -> String {
    format!("purge-{round}")
}
