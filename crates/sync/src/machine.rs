//! Who takes part: the machines, their sessions, and what they have all seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use songrec_core::{Document, DocumentKind, OperationId, Revision, SongId, Timestamp};
use songrec_storage::{Outcome, PurgeSong, PutDocument, PutMode, StorageBackend};

use crate::{Direction, Error, Options, Pair, Place, Result, Syncer, look::Look, syncer::said_at};

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
pub(crate) struct Own {
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
fn is_only_read(options: &Options, place: Place, error: &Error) -> bool {
    let reads = matches!(
        (options.direction, place),
        (Direction::Pull, Place::Right) | (Direction::Push, Place::Left)
    );
    let refused = crate::ErrorKind::Library(songrec_storage::ErrorKind::Denied);
    let full = crate::ErrorKind::Library(songrec_storage::ErrorKind::Full);
    reads && (error.kind() == refused || error.kind() == full)
}

impl Syncer {
    fn own(&self) -> Result<Own> {
        Ok(self.state.meta("machine")?.unwrap_or_default())
    }

    /// Makes sure that both libraries are those that were synced before, or
    /// remembers which they are.
    pub(crate) async fn meet(&self, options: &Options, writes: bool) -> Result<()> {
        if std::ptr::addr_eq(self.backend(Place::Left), self.backend(Place::Right)) {
            return Err(Error::Invalid("both sides are the same library".to_owned()));
        }
        let mut known: Pair<Option<String>> = self.state.meta("libraries")?.unwrap_or_default();
        if options.adopt && known != Pair::default() {
            let mut other = false;
            for place in Place::BOTH {
                let is = self.read_library(place).await?.map(|(_, body)| body.library);
                other |= is != known[place];
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
        for place in Place::BOTH {
            if known[place].is_some() {
                continue;
            }
            known[place] = match self.read_library(place).await? {
                Some((_, body)) => Some(body.library),
                None if !writes => None,
                None => match self.make_library(place).await {
                    // Which it is cannot be said there; it is asked again.
                    Err(error) if is_only_read(options, place, &error) => None,
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
    pub(crate) async fn check_library(&self, place: Place) -> Result<()> {
        let known: Pair<Option<String>> = self.state.meta("libraries")?.unwrap_or_default();
        let Some(known) = &known[place] else { return Ok(()) };
        let is = self.read_library(place).await?.map(|(_, body)| body.library);
        if is.as_ref() == Some(known) {
            return Ok(());
        }
        let name = self.sides[place].name.clone();
        Err(Error::OtherLibrary { place, name })
    }

    async fn read_library(&self, place: Place) -> Result<Option<(Revision, LibraryBody)>> {
        let document = self.read_document(place, DocumentKind::Library, LIBRARY).await?;
        Ok(document.map(|document| {
            (document.revision, serde_json::from_value(document.body).unwrap_or_default())
        }))
    }

    async fn make_library(&self, place: Place) -> Result<String> {
        let library = OperationId::random().to_string();
        let body = LibraryBody { library: library.clone(), round: 0, purged: 0 };
        let document = self.document(DocumentKind::Library, LIBRARY, Revision::first(), &body);
        match self.put_document(place, document, PutMode::Create).await? {
            Outcome::Done => Ok(library),
            Outcome::Conflict(Some(other)) => {
                let body: LibraryBody = serde_json::from_value(other.body).unwrap_or_default();
                Ok(body.library)
            }
            Outcome::Conflict(None) => Err(self.gone(place)),
        }
    }

    fn gone(&self, place: Place) -> Error {
        self.failed(
            place,
            songrec_storage::Error::new(
                songrec_storage::ErrorKind::Transient,
                "store",
                "a document of the sync",
                self.backend(place),
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
        place: Place,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<Document>> {
        let (backend, ids) = (self.backend(place), [id.to_owned()]);
        let read = self.ask(place, || backend.documents().get(kind, &ids)).await;
        Ok(read.map_err(|error| self.failed(place, error))?.pop().flatten())
    }

    async fn put_document(
        &self,
        place: Place,
        document: Document,
        mode: PutMode,
    ) -> Result<Outcome<Document>> {
        let (backend, put) = (self.backend(place), [PutDocument { document, mode }]);
        let outcome = self.ask(place, || backend.documents().put(&put)).await;
        let outcome = outcome.map_err(|error| self.failed(place, error))?.pop();
        Ok(outcome.unwrap_or(Outcome::Conflict(None)))
    }

    /// Reads the machine's own document at `place`, and what may be said there
    /// later. Whoever finds another version than those it wrote is a copy, or
    /// was restored from one: it goes on under a new name.
    pub(crate) async fn fence(&self, place: Place, writes: bool) -> Result<Fence> {
        let mut own = self.own()?;
        let session = &own.sessions[place];
        let stored = match session.id.as_str() {
            "" => None,
            id => self.read_document(place, DocumentKind::Machine, id).await?,
        };
        let daily = self.is_due(rounds_at(place), crate::syncer::say_after(), self.now());
        // Once a day is enough for what only takes space.
        let round = if self.is_remote(place) && daily {
            self.read_library(place).await?.map_or(0, |(_, body)| body.round)
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
            tracing::info!("a copy of this machine was at {}", self.sides[place].name);
            // Copies cannot go by one name. And everything is to be compared,
            // also if this sync does not get so far.
            own.sessions[place] = Session { id: new_id(), suspect: true, ..Session::default() };
            fence = Fence { full: true, version: None, acknowledge: 0, round, daily };
            if writes {
                self.state.set_meta("machine", &own)?;
            }
        }
        Ok(fence)
    }

    /// Says at both sides that this machine was here and what it has seen, and
    /// purges what all have seen; says how many tombstones that were.
    pub(crate) async fn say(&self, options: &Options, look: &Look, wrote: bool) -> Result<u64> {
        let now = self.now();
        let mut purged = 0;
        for place in Place::BOTH {
            let Some(fence) = &look.fences[place] else { continue };
            let due = self.is_due(said_at(place), crate::syncer::say_after(), now);
            let moved = !look.cursors_are_old();
            let say =
                wrote || due || fence.daily || fence.full || (!self.is_remote(place) && moved);
            if !say {
                continue;
            }
            match self.say_at(place, options, fence).await {
                Err(error) if is_only_read(options, place, &error) => continue,
                said => said?,
            }
            if self.is_remote(place) {
                self.state.set_meta(said_at(place), &now)?;
                if fence.daily || fence.full || look.full[place] {
                    purged += self.purge(place).await?;
                    self.state.set_meta(rounds_at(place), &now)?;
                }
            }
        }
        Ok(purged)
    }

    /// Leaves a word in the libraries on this machine before anything is
    /// written: so it is noticed when one of them is replaced by an older copy,
    /// also if this sync does not get to its end.
    pub(crate) async fn begin(&self, options: &Options, look: &mut Look) -> Result<()> {
        for place in Place::BOTH.into_iter().filter(|place| !self.is_remote(*place)) {
            let Some(fence) = &mut look.fences[place] else { continue };
            match self.leave_word(place, options, fence).await {
                Ok(Some(version)) => fence.version = Some(version),
                Ok(None) => {}
                Err(error) if is_only_read(options, place, &error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn say_at(&self, place: Place, options: &Options, fence: &Fence) -> Result<()> {
        if self.leave_word(place, options, fence).await?.is_none() {
            return Ok(());
        }
        let mut own = self.own()?;
        // What waits for the other direction has to be compared then.
        own.sessions[place].suspect &= options.direction != Direction::Both;
        self.state.set_meta("machine", &own)
    }

    // Writes the machine's own document, and gives its version; nothing if
    // somebody came between. The next sync finds out who it was.
    async fn leave_word(
        &self,
        place: Place,
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
        let session = &mut own.sessions[place];
        if session.id.is_empty() {
            session.id = new_id();
        }
        // Known before it is sent: if its answer is lost, it is still ours.
        session.tried.push(revision);
        session.read = fence.round;
        let id = session.id.clone();
        self.state.set_meta("machine", &own)?;
        let document = self.document(DocumentKind::Machine, &id, revision, &body);
        if !self.put_document(place, document, mode).await?.is_done() {
            return Ok(None);
        }
        let session = &mut own.sessions[place];
        session.known = Some(revision);
        session.tried.clear();
        self.state.set_meta("machine", &own)?;
        Ok(Some(revision))
    }

    // ---- Purging.

    // Purges the round that is under way if every machine has seen it, and
    // begins another one if there is something to purge.
    async fn purge(&self, place: Place) -> Result<u64> {
        let Some((revision, body)) = self.read_library(place).await? else { return Ok(0) };
        if body.round > body.purged {
            return self.finish_round(place, revision, body).await;
        }
        self.clean(place, body.purged).await?;
        let keep = i64::try_from(self.keep_deleted.as_secs()).unwrap_or(i64::MAX);
        let until = self.now().as_second().saturating_sub(keep);
        let songs: Vec<PurgedSong> = self
            .state
            .deletions(until, ROUND)?
            .into_iter()
            .filter_map(|(id, known)| {
                let Revision { number, operation } = known.0[place].as_ref()?.revision;
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
        self.put_document(place, round, PutMode::Create).await?;
        self.put_library(place, revision, &LibraryBody { round: next, ..body }).await?;
        Ok(0)
    }

    // Forgets the deletions of rounds that were purged: nobody asks any more.
    async fn clean(&self, place: Place, purged: u64) -> Result<()> {
        let mut own = self.own()?;
        for round in own.sessions[place].cleaned + 1..=purged {
            let songs = self.still_deleted(place, self.read_round(place, round).await?)?;
            own.sessions[place].cleaned = round;
            self.forget_purged(place, &songs)?;
            self.state.set_meta("machine", &own)?;
        }
        Ok(())
    }

    // Those of these songs that are deleted by the same deletion here. Whoever
    // restored one has another version of it; if that was deleted again, its
    // tombstone is another one, and has its own round.
    fn still_deleted(&self, place: Place, songs: Vec<PurgedSong>) -> Result<Vec<PurgedSong>> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.state.known(&ids)?;
        let same = songs.into_iter().zip(known).filter(|(song, known)| {
            let had = known.as_ref().and_then(|known| known.0[place].as_ref());
            had.is_some_and(|had| !had.is_alive() && had.revision.operation == song.operation)
        });
        Ok(same.map(|(song, _)| song).collect())
    }

    // What was purged there is still known here, if it is on this side.
    fn forget_purged(&self, place: Place, songs: &[PurgedSong]) -> Result<()> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let known = self.state.known(&ids)?;
        let now = self.now().as_second();
        self.state.change(|changing| {
            for (id, known) in ids.iter().zip(known) {
                let Some(mut known) = known else { continue };
                known.0[place] = None;
                changing.set_known(*id, &known, now)?;
            }
            Ok(())
        })
    }

    async fn put_library(
        &self,
        place: Place,
        version: Revision,
        body: &LibraryBody,
    ) -> Result<bool> {
        let document = self.document(DocumentKind::Library, LIBRARY, version.next(), body);
        let mode = PutMode::Replace(version.operation);
        Ok(self.put_document(place, document, mode).await?.is_done())
    }

    async fn finish_round(
        &self,
        place: Place,
        revision: Revision,
        body: LibraryBody,
    ) -> Result<u64> {
        let machines = self.machines(place).await?;
        let waiting = machines.iter().any(|one| !one.retired && one.round < body.round);
        if waiting && self.rules.purging_waits {
            return Ok(0);
        }
        let songs = self.read_round(place, body.round).await?;
        let same = self.still_deleted(place, songs)?;
        let tombstones: Vec<PurgeSong> =
            same.iter().map(|song| PurgeSong { id: song.id, deletion: song.operation }).collect();
        let backend = self.backend(place);
        for chunk in tombstones.chunks(100) {
            let purged = self.ask(place, || backend.songs().purge(chunk)).await;
            purged.map_err(|error| self.failed(place, error))?;
        }
        self.forget_purged(place, &same)?;
        let done = LibraryBody { purged: body.round, ..body };
        self.put_library(place, revision, &done).await?;
        Ok(same.len() as u64)
    }

    async fn read_round(&self, place: Place, round: u64) -> Result<Vec<PurgedSong>> {
        let document = self.read_document(place, DocumentKind::Library, &round_id(round)).await?;
        let body: Option<RoundBody> =
            document.and_then(|document| serde_json::from_value(document.body).ok());
        Ok(body.unwrap_or_default().songs)
    }

    /// The machines that take part at `place`.
    ///
    /// # Errors
    ///
    /// `Library` if it cannot be read.
    pub async fn machines(&self, place: Place) -> Result<Vec<Machine>> {
        machines(self.backend(place)).await.map_err(|error| self.failed(place, error))
    }
}

const fn rounds_at(place: Place) -> &'static str {
    match place {
        Place::Left => "rounds_at_left",
        Place::Right => "rounds_at_right",
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
