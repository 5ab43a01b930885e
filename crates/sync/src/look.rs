//! What changed in both libraries since the last sync.

use songrec_core::{Event, Filter, SongId};
use songrec_storage::{Change, ChangeHead, ChangePage, ChangeState, Cursor, ErrorKind, SongHead};

use crate::{
    Error, Pair, Place, Result, Syncer,
    machine::Fence,
    refused::{Fetched, Refused, each_song, refusal},
    resolve::{Known, State as SongState},
    syncer::cursor_of,
    values::Refs,
};

/// What a look at both libraries found; the songs are in the spool.
#[derive(Debug)]
pub(crate) struct Look {
    /// Up to where the changes were read.
    pub(crate) cursors: Pair<Option<Cursor>>,
    before: Pair<Option<Cursor>>,
    /// Whether all songs of a side were told, not only those that changed.
    pub(crate) full: Pair<bool>,
    /// Whether playlists or synths have to be looked at.
    pub(crate) documents: bool,
    /// How many songs there is something to decide about.
    told: u64,
    pub(crate) fences: Pair<Option<Fence>>,
    /// Songs that a side cannot read, and that are left as they are.
    pub(crate) refused: Refused,
}

impl Look {
    pub(crate) fn is_empty(&self) -> bool {
        self.told == 0
            && !self.documents
            && !self.full.left
            && !self.full.right
            && self.refused.is_empty()
    }

    pub(crate) fn cursors_are_old(&self) -> bool {
        self.cursors == self.before
    }
}

/// Changes in one page.
const PAGE: usize = 1_000;
/// Songs that are read at once by their ids.
const FETCHED_AT_ONCE: usize = 100;

// What one side told.
struct Told {
    cursor: Cursor,
    full: bool,
    documents: bool,
    songs: u64,
    refused: Refused,
}

impl Syncer {
    pub(crate) async fn look(&self, full: Pair<bool>) -> Result<Look> {
        self.spool()?.clear()?;
        let before = Pair {
            left: self.state.meta::<Cursor>(cursor_of(Place::Left))?,
            right: self.state.meta::<Cursor>(cursor_of(Place::Right))?,
        };
        for place in Place::BOTH.into_iter().filter(|place| full[*place]) {
            self.check_library(place).await?;
        }
        let read = |place: Place| {
            let cursor = before[place].clone().filter(|_| !full[place]);
            self.read_changes(place, cursor)
        };
        self.job.on(Event::Started { work: "looking for changes", total: None });
        let read = futures::try_join!(read(Place::Left), read(Place::Right));
        self.job.on(Event::Finished);
        let (mut left, mut right) = read?;
        let mut refused = std::mem::take(&mut left.refused);
        refused.append(&mut right.refused);
        let mut told = left.songs + right.songs;
        for (place, side) in [(Place::Left, &left), (Place::Right, &right)] {
            if side.full {
                told += self.find_absent(place)?;
            }
        }
        told += self.look_at_postponed(&mut refused).await?;
        let pending = self.state.meta::<bool>("documents_pending")?.unwrap_or(false);
        Ok(Look {
            full: Pair { left: left.full, right: right.full },
            documents: left.documents || right.documents || pending,
            cursors: Pair { left: Some(left.cursor), right: Some(right.cursor) },
            before,
            told,
            fences: Pair::default(),
            refused,
        })
    }

    // All songs of a library that is far away are told in short: most are as
    // they are here. Where nothing is here, all have to be read anyway.
    async fn is_worth_telling_in_short(&self, place: Place) -> Result<bool> {
        if !self.is_remote(place) {
            return Ok(false);
        }
        let (other, all) = (place.other(), Filter::all());
        let backend = self.backend(other);
        let songs = self.ask(other, || backend.songs().count(&all)).await;
        Ok(songs.map_err(|error| self.failed(other, error))? > 0)
    }

    pub(crate) fn set_documents_pending(&self, pending: bool) -> Result<()> {
        let was = self.state.meta::<bool>("documents_pending")?.unwrap_or(false);
        if was == pending { Ok(()) } else { self.state.set_meta("documents_pending", &pending) }
    }

    async fn read_changes(&self, place: Place, since: Option<Cursor>) -> Result<Told> {
        let backend = self.backend(place);
        let mut cursor = since;
        let mut in_short = false;
        let mut told = Told {
            full: cursor.is_none(),
            cursor: Cursor(String::new()),
            documents: false,
            songs: 0,
            refused: Refused::new(),
        };
        loop {
            if self.job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            if told.full && cursor.is_none() {
                in_short = self.is_worth_telling_in_short(place).await?;
            }
            let since = cursor.as_ref();
            let read = if in_short {
                self.ask(place, || backend.maintenance().heads(since, PAGE)).await
            } else {
                self.ask(place, || backend.maintenance().changes(since, PAGE)).await.map(in_full)
            };
            let page = match read {
                Err(error) if error.kind() == ErrorKind::CursorLost && since.is_some() => {
                    // Its history is gone: perhaps it was rebuilt, perhaps it
                    // is another library.
                    self.check_library(place).await?;
                    (cursor, told.full, told.songs) = (None, true, 0);
                    continue;
                }
                other => other.map_err(|error| self.failed(place, error))?,
            };
            told.documents |= page.documents;
            let name = &self.sides[place].name;
            told.refused.extend(page.unreadable.into_iter().map(|one| refusal(name, one)));
            self.looked_at(page.changes.len());
            let songs: Vec<SongId> = page.changes.iter().map(|change| change.song).collect();
            let known = self.state.known(&songs)?;
            let mut new = Vec::new();
            for (change, known) in page.changes.into_iter().zip(known) {
                let mut state = match change.state {
                    ChangeHead::Song(head) => SongState::Head(head),
                    ChangeHead::Whole(ChangeState::Present(song)) => SongState::Present(song),
                    ChangeHead::Whole(ChangeState::Deleted(tombstone)) => {
                        SongState::Deleted(tombstone)
                    }
                };
                if let Some(known) = known.filter(|known| is_echo(known, place, &state)) {
                    if !told.full {
                        continue;
                    }
                    // A song that is as it should be is noted as such, unless
                    // the other side may lack something of it.
                    let objects = |place: Place| {
                        let had = known.0[place].as_ref().filter(|had| had.is_alive());
                        had.map(|had| had.refs.in_short())
                    };
                    if objects(Place::Left) == objects(Place::Right) || objects(place).is_none() {
                        state = SongState::Same;
                    }
                }
                new.push((change.song, state));
            }
            told.songs += new.len() as u64;
            if !new.is_empty() {
                self.spool()?.tell(place, &new)?;
            }
            let more = page.more;
            told.cursor = page.cursor.clone();
            cursor = Some(page.cursor);
            if !more {
                return Ok(told);
            }
        }
    }

    // In a full pass, what should be there and was not told is absent.
    fn find_absent(&self, place: Place) -> Result<u64> {
        let spool = self.spool()?;
        let (mut after, mut absent) = (None, 0);
        loop {
            let known = self.state.known_after(after, PAGE)?;
            let Some((last, _)) = known.last() else { return Ok(absent) };
            after = Some(*last);
            let there = known.iter().filter(|(_, known)| known.0[place].is_some());
            let there: Vec<SongId> = there.map(|(song, _)| *song).collect();
            let untold = spool.untold(place, &there)?;
            absent += untold.len() as u64;
            let told: Vec<_> = untold.into_iter().map(|song| (song, SongState::Absent)).collect();
            spool.tell(place, &told)?;
        }
    }

    // Songs on the list are looked at as they are now, though nothing was told
    // of them; says how many they are.
    async fn look_at_postponed(&self, refused: &mut Refused) -> Result<u64> {
        let spool = self.spool()?;
        let (mut after, mut songs) = (None, 0);
        loop {
            let postponed = self.state.postponed_after(after, FETCHED_AT_ONCE)?;
            let Some((last, _)) = postponed.last_key_value() else { return Ok(songs) };
            after = Some(*last);
            songs += postponed.len() as u64;
            let ids: Vec<SongId> = postponed.keys().copied().collect();
            for place in Place::BOTH {
                let untold = spool.untold(place, &ids)?;
                if untold.is_empty() {
                    continue;
                }
                let mut found = self.fetch(place, &untold).await?;
                refused.append(&mut found.refused);
                let told = untold.into_iter().map(|song| {
                    let state = match (found.songs.remove(&song), &postponed[&song].states[place]) {
                        (Some(song), _) => SongState::Present(Box::new(song)),
                        // A tombstone is told once, and kept with the list.
                        (None, deleted @ SongState::Deleted(_)) => deleted.clone(),
                        (None, _) => SongState::Absent,
                    };
                    (song, state)
                });
                spool.tell(place, &told.collect::<Vec<_>>())?;
            }
        }
    }

    /// These songs as they are at `place`, those that are there.
    pub(crate) async fn fetch(&self, place: Place, songs: &[SongId]) -> Result<Fetched> {
        let backend = self.backend(place);
        let mut fetched = Fetched::default();
        for chunk in songs.chunks(FETCHED_AT_ONCE) {
            let read = self.ask(place, || each_song(backend, chunk)).await;
            let read = read.map_err(|error| self.failed(place, error))?;
            for (song, read) in chunk.iter().zip(read) {
                fetched.add(*song, &self.sides[place].name, read);
            }
        }
        Ok(fetched)
    }
}

// A page that was told in full.
fn in_full(page: ChangePage) -> ChangePage<ChangeHead> {
    let changes = page.changes.into_iter().map(|Change { song, state, origin }| Change {
        song,
        state: ChangeHead::Whole(state),
        origin,
    });
    ChangePage {
        changes: changes.collect(),
        cursor: page.cursor,
        more: page.more,
        documents: page.documents,
        unreadable: page.unreadable,
    }
}

// Whether a side told what is known of it. A song that is the same elsewhere
// names other objects there: so it is not enough that the write is the same,
// where a library was copied over another one.
fn is_echo(known: &Known, place: Place, state: &SongState) -> bool {
    let Some(had) = &known.0[place] else { return false };
    match state {
        SongState::Present(song) => {
            had.is_alive()
                && had.revision.operation == song.revision.operation
                && had.names(&Refs::of(song))
        }
        SongState::Head(head) => {
            let (models, blob) = had.refs.in_short();
            let same = if had.in_short {
                head.embeddings.keys().eq(models)
            } else {
                head.embeddings == SongHead::embeddings(&had.refs.embeddings)
            };
            had.is_alive() && had.revision.operation == head.operation && same && head.blob == blob
        }
        // The same deletion leaves more where more was seen.
        SongState::Deleted(tombstone) => had.tombstone.as_ref().is_some_and(|known| {
            known.revision.operation == tombstone.revision.operation
                && known.song.history == tombstone.song.history
        }),
        SongState::Same | SongState::Absent => false,
    }
}
