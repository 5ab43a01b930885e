//! Who takes part: the machines, their sessions, and what they have all seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use songrec_core::{Document, DocumentKind, OperationId, Revision, SongId, Timestamp};
use songrec_storage::{Outcome, PurgeSong, PutDocument, PutMode, StorageBackend};

use crate::{
    Direction, Error, Options, Pair, Result, Side, Syncer, changes::Delta, syncer::announced_at,
};

/// The document that says which library this is, and which round of purging
/// is under way.
const LIBRARY: &str = "sync";
/// Tombstones of one round: they have to fit into one document.
const ROUND: usize = 500;

/// A machine that takes part in syncing a library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Its id; another one after it was restored from a backup or copied.
    pub id: String,
    /// The name it gave itself.
    pub name: String,
    /// When it last said something, by its own clock.
    pub last_seen: Timestamp,
    /// The last round of purging whose deletions it has seen.
    pub round: u64,
    /// Whether it no longer counts: deleted songs do not wait for it.
    pub retired: bool,
    /// The version of the program.
    pub version: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct MachineBody {
    name: String,
    round: u64,
    retired: bool,
    version: String,
}

// What this machine remembers of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Identities {
    sessions: Pair<Session>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Session {
    // Under which this machine goes there.
    id: String,
    // It was found to be a copy or an older self, and has not yet compared
    // everything since.
    suspect: bool,
    // The version of the machine's document, as it was last written.
    known: Option<Revision>,
    // Versions that were sent since, any of which may have landed.
    tried: Vec<Revision>,
    // The round that was read, and may be acknowledged after the next look.
    read: u64,
    // The last purged round whose songs were forgotten here.
    cleaned: u64,
}

/// What the machine's own document says at the beginning of a sync.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    /// Somebody else goes by our name, or one of us is an older copy: compare
    /// everything.
    pub(crate) full: bool,
    /// And the library has less than was seen there: it went back. Otherwise it
    // The version to replace.
    version: Option<Revision>,
    // The round that may be acknowledged after this look.
    acknowledge: u64,
    round: u64,
    // Whether it is time to look how far purging is.
    daily: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct LibraryBody {
    library: String,
    // The round that is under way or was the last.
    round: u64,
    // The last round that was purged.
    purged: u64,
}

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

// Whether a side could not be written that this sync only reads: then nobody
// is told there that this machine was.
fn is_only_read(options: &Options, side: Side, error: &Error) -> bool {
    let reads = matches!(
        (options.direction, side),
        (Direction::Pull, Side::Right) | (Direction::Push, Side::Left)
    );
    let refused = crate::ErrorKind::Library(songrec_storage::ErrorKind::Denied);
    let full = crate::ErrorKind::Library(songrec_storage::ErrorKind::Full);
    reads && (error.kind() == refused || error.kind() == full)
}

impl Syncer {
    fn own(&self) -> Result<Identities> {
        Ok(self.state.meta("machine")?.unwrap_or_default())
    }

    /// Makes sure that both libraries are those that were synced before, or
    /// remembers which they are.
    pub(crate) async fn meet(&self, options: &Options, writes: bool) -> Result<()> {
        if std::ptr::addr_eq(self.backend(Side::Left), self.backend(Side::Right)) {
            return Err(Error::Invalid("both sides are the same library".to_owned()));
        }
        let mut known: Pair<Option<String>> = self.state.meta("libraries")?.unwrap_or_default();
        if options.adopt && known != Pair::default() {
            let mut other = false;
            for side in Side::BOTH {
                let is = self.read_library(side).await?.map(|(_, body)| body.library);
                other |= is != known[side];
            }
            if other && !writes {
                return Err(Error::Invalid(
                    "a library that is to be adopted cannot be planned for before".to_owned(),
                ));
            }
            if other {
                self.state.change(|changing| changing.forget_everything())?;
                known = Pair::default();
            }
        }
        let before = known.clone();
        for side in Side::BOTH {
            if known[side].is_some() {
                continue;
            }
            known[side] = match self.read_library(side).await? {
                Some((_, body)) => Some(body.library),
                None if !writes => None,
                None => match self.make_library(side).await {
                    // Which it is cannot be said there; it is asked again.
                    Err(error) if is_only_read(options, side, &error) => None,
                    made => Some(made?),
                },
            };
        }
        if writes && known != before {
            self.state.set_meta("libraries", &known)?;
        }
        Ok(())
    }

    /// Refuses a library that is not the one that was synced before.
    pub(crate) async fn check_library(&self, side: Side) -> Result<()> {
        let known: Pair<Option<String>> = self.state.meta("libraries")?.unwrap_or_default();
        let Some(known) = &known[side] else { return Ok(()) };
        let is = self.read_library(side).await?.map(|(_, body)| body.library);
        if is.as_ref() == Some(known) {
            return Ok(());
        }
        let name = self.replicas[side].name.clone();
        Err(Error::OtherLibrary { side, name })
    }

    async fn read_library(&self, side: Side) -> Result<Option<(Revision, LibraryBody)>> {
        let document = self.read_document(side, DocumentKind::Library, LIBRARY).await?;
        Ok(document.map(|document| {
            (document.revision, serde_json::from_value(document.body).unwrap_or_default())
        }))
    }

    async fn make_library(&self, side: Side) -> Result<String> {
        let library = OperationId::random().to_string();
        let body = LibraryBody { library: library.clone(), round: 0, purged: 0 };
        let document = self.document(DocumentKind::Library, LIBRARY, Revision::first(), &body);
        match self.put_document(side, document, PutMode::Create).await? {
            Outcome::Done => Ok(library),
            Outcome::Conflict(Some(other)) => {
                let body: LibraryBody = serde_json::from_value(other.body).unwrap_or_default();
                Ok(body.library)
            }
            Outcome::Conflict(None) => Err(self.gone(side)),
        }
    }

    fn gone(&self, side: Side) -> Error {
        self.failed(
            side,
            songrec_storage::Error::new(
                songrec_storage::ErrorKind::Transient,
                "store",
                "a document of the sync",
                self.backend(side),
            )
            .because("others changed it again and again")
            .with_hint("try again"),
        )
    }

    fn document(
        &self,
        kind: DocumentKind,
        id: &str,
        revision: Revision,
        body: &impl Serialize,
    ) -> Document {
        let body = serde_json::to_value(body).unwrap_or_default();
        Document {
            kind,
            id: id.to_owned(),
            revision,
            updated_at: self.now(),
            body,
            deleted: false,
            history: None,
        }
    }

    async fn read_document(
        &self,
        side: Side,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<Document>> {
        let (backend, ids) = (self.backend(side), [id.to_owned()]);
        let read = self.ask(side, || backend.documents().get(kind, &ids)).await;
        Ok(read.map_err(|error| self.failed(side, error))?.pop().flatten())
    }

    async fn put_document(
        &self,
        side: Side,
        document: Document,
        mode: PutMode,
    ) -> Result<Outcome<Document>> {
        let (backend, put) = (self.backend(side), [PutDocument { document, mode }]);
        let outcome = self.ask(side, || backend.documents().put(&put)).await;
        let outcome = outcome.map_err(|error| self.failed(side, error))?.pop();
        Ok(outcome.unwrap_or(Outcome::Conflict(None)))
    }

    /// Reads the machine's own document at `side`, and what may be said there
    /// later. Whoever finds another version than those it wrote is a copy, or
    /// was restored from one: it goes on under a new name.
    pub(crate) async fn fence(&self, side: Side, writes: bool) -> Result<Fence> {
        let mut own = self.own()?;
        let session = &own.sessions[side];
        let stored = match session.id.as_str() {
            "" => None,
            id => self.read_document(side, DocumentKind::Machine, id).await?,
        };
        let daily = self.is_due(rounds_at(side), crate::syncer::announce_after(), self.now());
        // Once a day is enough for what only takes space.
        let round = if self.is_remote(side) && daily {
            self.read_library(side).await?.map_or(0, |(_, body)| body.round)
        } else {
            session.read
        };
        let stored = stored.map(|document| document.revision);
        let is_ours = |revision: &Revision| {
            session.known.is_some_and(|known| known.operation == revision.operation)
                || self.rules.sessions_are_a_set
                    && session.tried.iter().any(|tried| tried.operation == revision.operation)
        };
        let same = match &stored {
            Some(stored) => is_ours(stored),
            // Nothing was ever written there; or it was, and is gone.
            None => session.known.is_none(),
        };
        let mut fence = Fence {
            full: session.suspect,
            version: stored,
            acknowledge: session.read,
            round,
            daily,
        };
        if !same && self.rules.sessions_are_fenced {
            tracing::info!("a copy of this machine was at {}", self.replicas[side].name);
            // Copies cannot go by one name. And everything is to be compared,
            // also if this sync does not get so far.
            own.sessions[side] = Session { id: new_id(), suspect: true, ..Session::default() };
            fence = Fence { full: true, version: None, acknowledge: 0, round, daily };
            if writes {
                self.state.set_meta("machine", &own)?;
            }
        }
        Ok(fence)
    }

    /// Says at both sides that this machine was here and what it has seen, and
    /// purges what all have seen; says how many tombstones that were.
    pub(crate) async fn announce(
        &self,
        options: &Options,
        delta: &Delta,
        wrote: bool,
    ) -> Result<u64> {
        let now = self.now();
        let mut purged = 0;
        for side in Side::BOTH {
            let Some(fence) = &delta.fences[side] else { continue };
            let due = self.is_due(announced_at(side), crate::syncer::announce_after(), now);
            let moved = !delta.cursors_are_unchanged();
            let announce =
                wrote || due || fence.daily || fence.full || (!self.is_remote(side) && moved);
            if !announce {
                continue;
            }
            match self.announce_at(side, options, fence).await {
                Err(error) if is_only_read(options, side, &error) => continue,
                stated => stated?,
            }
            if self.is_remote(side) {
                self.state.set_meta(announced_at(side), &now)?;
                if fence.daily || fence.full || delta.full[side] {
                    purged += self.purge(side).await?;
                    self.state.set_meta(rounds_at(side), &now)?;
                }
            }
        }
        Ok(purged)
    }

    /// Leaves a word in the libraries on this machine before anything is
    /// written: so it is noticed when one of them is replaced by an older copy,
    /// also if this sync does not get to its end.
    pub(crate) async fn begin(&self, options: &Options, delta: &mut Delta) -> Result<()> {
        for side in Side::BOTH.into_iter().filter(|side| !self.is_remote(*side)) {
            let Some(fence) = &mut delta.fences[side] else { continue };
            match self.write_own(side, options, fence).await {
                Ok(Some(version)) => fence.version = Some(version),
                Ok(None) => {}
                Err(error) if is_only_read(options, side, &error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn announce_at(&self, side: Side, options: &Options, fence: &Fence) -> Result<()> {
        if self.write_own(side, options, fence).await?.is_none() {
            return Ok(());
        }
        let mut own = self.own()?;
        // What waits for the other direction has to be compared then.
        own.sessions[side].suspect &= options.direction != Direction::Both;
        self.state.set_meta("machine", &own)
    }

    // Writes the machine's own document, and gives its version; nothing if
    // somebody came between. The next sync finds out who it was.
    async fn write_own(
        &self,
        side: Side,
        options: &Options,
        fence: &Fence,
    ) -> Result<Option<Revision>> {
        let mut own = self.own()?;
        let body = MachineBody {
            name: options.machine.clone(),
            round: fence.acknowledge,
            retired: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (revision, mode) = match fence.version {
            Some(version) => (version.next(), PutMode::Replace(version.operation)),
            None => (Revision::first(), PutMode::Create),
        };
        let session = &mut own.sessions[side];
        if session.id.is_empty() {
            session.id = new_id();
        }
        // Known before it is sent: if its answer is lost, it is still ours.
        session.tried.push(revision);
        session.read = fence.round;
        let id = session.id.clone();
        self.state.set_meta("machine", &own)?;
        let document = self.document(DocumentKind::Machine, &id, revision, &body);
        if !self.put_document(side, document, mode).await?.is_done() {
            return Ok(None);
        }
        let session = &mut own.sessions[side];
        session.known = Some(revision);
        session.tried.clear();
        self.state.set_meta("machine", &own)?;
        Ok(Some(revision))
    }

    // ---- Purging.

    // Purges the round that is under way if every machine has seen it, and
    // begins another one if there is something to purge.
    async fn purge(&self, side: Side) -> Result<u64> {
        let Some((revision, body)) = self.read_library(side).await? else { return Ok(0) };
        if body.round > body.purged {
            return self.finish_round(side, revision, body).await;
        }
        self.clean(side, body.purged).await?;
        let keep = i64::try_from(self.keep_deleted.as_secs()).unwrap_or(i64::MAX);
        let until = self.now().as_second().saturating_sub(keep);
        let songs: Vec<PurgedSong> = self
            .state
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
        let round = self.document(
            DocumentKind::Library,
            &round_id(next),
            Revision::first(),
            &RoundBody { songs },
        );
        // If somebody else has just begun it, theirs is as good.
        self.put_document(side, round, PutMode::Create).await?;
        self.put_library(side, revision, &LibraryBody { round: next, ..body }).await?;
        Ok(0)
    }

    // Forgets the deletions of rounds that were purged: nobody asks any more.
    async fn clean(&self, side: Side, purged: u64) -> Result<()> {
        let mut own = self.own()?;
        for round in own.sessions[side].cleaned + 1..=purged {
            let songs = self.still_deleted(side, self.read_round(side, round).await?)?;
            own.sessions[side].cleaned = round;
            self.forget_purged(side, &songs)?;
            self.state.set_meta("machine", &own)?;
        }
        Ok(())
    }

    // Those of these songs that are deleted by the same deletion here. Whoever
    // restored one has another version of it; if that was deleted again, its
    // tombstone is another one, and has its own round.
    fn still_deleted(&self, side: Side, songs: Vec<PurgedSong>) -> Result<Vec<PurgedSong>> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.state.known(&ids)?;
        let same = songs.into_iter().zip(known).filter(|(song, known)| {
            let had = known.as_ref().and_then(|known| known.0[side].as_ref());
            had.is_some_and(|had| !had.is_alive() && had.revision.operation == song.operation)
        });
        Ok(same.map(|(song, _)| song).collect())
    }

    // What was purged there is still known here, if it is on this side.
    fn forget_purged(&self, side: Side, songs: &[PurgedSong]) -> Result<()> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.state.known(&ids)?;
        let now = self.now().as_second();
        self.state.change(|changing| {
            for (id, known) in ids.iter().zip(known) {
                let Some(mut known) = known else { continue };
                known.0[side] = None;
                changing.set_known(*id, &known, now)?;
            }
            Ok(())
        })
    }

    async fn put_library(&self, side: Side, version: Revision, body: &LibraryBody) -> Result<bool> {
        let document = self.document(DocumentKind::Library, LIBRARY, version.next(), body);
        let mode = PutMode::Replace(version.operation);
        Ok(self.put_document(side, document, mode).await?.is_done())
    }

    async fn finish_round(&self, side: Side, revision: Revision, body: LibraryBody) -> Result<u64> {
        let machines = self.machines(side).await?;
        let waiting = machines.iter().any(|one| !one.retired && one.round < body.round);
        if waiting && self.rules.purging_waits {
            return Ok(0);
        }
        let songs = self.read_round(side, body.round).await?;
        let same = self.still_deleted(side, songs)?;
        let tombstones: Vec<PurgeSong> =
            same.iter().map(|song| PurgeSong { id: song.id, deletion: song.operation }).collect();
        let backend = self.backend(side);
        for chunk in tombstones.chunks(100) {
            let purged = self.ask(side, || backend.songs().purge(chunk)).await;
            purged.map_err(|error| self.failed(side, error))?;
        }
        self.forget_purged(side, &same)?;
        let done = LibraryBody { purged: body.round, ..body };
        self.put_library(side, revision, &done).await?;
        Ok(same.len() as u64)
    }

    async fn read_round(&self, side: Side, round: u64) -> Result<Vec<PurgedSong>> {
        let document = self.read_document(side, DocumentKind::Library, &round_id(round)).await?;
        let body: Option<RoundBody> =
            document.and_then(|document| serde_json::from_value(document.body).ok());
        Ok(body.unwrap_or_default().songs)
    }

    /// The machines that take part at `side`.
    ///
    /// # Errors
    ///
    /// `Library` if it cannot be read.
    pub async fn machines(&self, side: Side) -> Result<Vec<Machine>> {
        machines(self.backend(side)).await.map_err(|error| self.failed(side, error))
    }
}

const fn rounds_at(side: Side) -> &'static str {
    match side {
        Side::Left => "rounds_at_left",
        Side::Right => "rounds_at_right",
    }
}

fn round_id(round: u64) -> String {
    format!("purge-{round}")
}

fn new_id() -> String {
    OperationId::random().to_string()[..12].to_owned()
}

/// The machines that take part in syncing a library.
///
/// # Errors
///
/// If the library cannot be read.
pub async fn machines(backend: &dyn StorageBackend) -> songrec_storage::Result<Vec<Machine>> {
    let mut machines = BTreeMap::new();
    let mut after = None;
    loop {
        let page = backend.documents().list(&[DocumentKind::Machine], after.as_ref()).await?;
        for document in page.items {
            let machine = machine_of(&document);
            machines.insert(document.id, machine);
        }
        after = page.next;
        if after.is_none() {
            return Ok(machines.into_values().collect());
        }
    }
}

fn machine_of(document: &Document) -> Machine {
    let body: MachineBody = serde_json::from_value(document.body.clone()).unwrap_or_default();
    Machine {
        id: document.id.clone(),
        name: body.name,
        last_seen: document.updated_at,
        round: body.round,
        retired: body.retired,
        version: body.version,
    }
}

/// Makes a machine count no longer: deleted songs are not kept for it. If it
/// comes back, it compares everything once and goes on under a new id. Nothing
/// if there is no such machine.
///
/// # Errors
///
/// If the library cannot be read or written.
pub async fn retire(
    backend: &dyn StorageBackend,
    machine: &str,
) -> songrec_storage::Result<Option<Machine>> {
    let ids = [machine.to_owned()];
    loop {
        let read = backend.documents().get(DocumentKind::Machine, &ids).await?.pop().flatten();
        let Some(mut document) = read else { return Ok(None) };
        let version = document.revision.operation;
        document.body["retired"] = json!(true);
        document.revision = document.revision.next();
        let machine = machine_of(&document);
        let put = PutDocument { document, mode: PutMode::Replace(version) };
        if backend.documents().put(&[put]).await?.iter().all(Outcome::is_done) {
            return Ok(Some(machine));
        }
    }
}
