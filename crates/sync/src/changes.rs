//! What changed in both libraries since the last sync.

use songrec_core::{Event, Filter, SongId};
use songrec_storage::{Change, ChangeHead, ChangePage, ChangeState, Cursor, ErrorKind, SongHead};

use crate::{
    Error, Pair, Result, Side, Syncer,
    machine::Fence,
    refused::{Fetched, Refused, each_song, refusal},
    resolve::{Known, SongState},
    syncer::cursor_of,
    values::Refs,
};

/// What a look at both libraries found; the songs are in the spool.
#[derive(Debug)]
pub(crate) struct Delta {
    /// Up to where the changes were read.
    pub(crate) cursors: Pair<Option<Cursor>>,
    before: Pair<Option<Cursor>>,
    /// Whether all songs of a side were told, not only those that changed.
    pub(crate) full: Pair<bool>,
    /// Whether playlists or synths have to be looked at.
    pub(crate) documents: bool,
    /// How many songs there is something to decide about.
    staged: u64,
    pub(crate) fences: Pair<Option<Fence>>,
    /// Songs that a side cannot read, and that are left as they are.
    pub(crate) refused: Refused,
}

impl Delta {
    pub(crate) fn is_empty(&self) -> bool {
        self.staged == 0
            && !self.documents
            && !self.full.left
            && !self.full.right
            && self.refused.is_empty()
    }

    pub(crate) fn cursors_are_unchanged(&self) -> bool {
        self.cursors == self.before
    }
}

/// Changes in one page.
const PAGE: usize = 1_000;
/// Songs that are read at once by their ids.
const FETCHED_AT_ONCE: usize = 100;

// What one side told.
struct Listed {
    cursor: Cursor,
    full: bool,
    documents: bool,
    songs: u64,
    refused: Refused,
}

impl Syncer {
    pub(crate) async fn delta(&self, full: Pair<bool>) -> Result<Delta> {
        self.staging()?.clear()?;
        let before = Pair {
            left: self.state.meta::<Cursor>(cursor_of(Side::Left))?,
            right: self.state.meta::<Cursor>(cursor_of(Side::Right))?,
        };
        for side in Side::BOTH.into_iter().filter(|side| full[*side]) {
            self.check_library(side).await?;
        }
        let read = |side: Side| {
            let cursor = before[side].clone().filter(|_| !full[side]);
            self.read_changes(side, cursor)
        };
        self.job.on(Event::Started { work: "looking for changes", total: None });
        let read = futures::try_join!(read(Side::Left), read(Side::Right));
        self.job.on(Event::Finished);
        let (mut left, mut right) = read?;
        let mut refused = std::mem::take(&mut left.refused);
        refused.append(&mut right.refused);
        let mut staged = left.songs + right.songs;
        for (side, found) in [(Side::Left, &left), (Side::Right, &right)] {
            if found.full {
                staged += self.find_absent(side)?;
            }
        }
        staged += self.stage_postponed(&mut refused).await?;
        let pending = self.state.meta::<bool>("documents_pending")?.unwrap_or(false);
        Ok(Delta {
            full: Pair { left: left.full, right: right.full },
            documents: left.documents || right.documents || pending,
            cursors: Pair { left: Some(left.cursor), right: Some(right.cursor) },
            before,
            staged,
            fences: Pair::default(),
            refused,
        })
    }

    // All songs of a library that is far away are told in short: most are as
    // they are here. Where nothing is here, all have to be read anyway.
    async fn is_worth_summarizing(&self, side: Side) -> Result<bool> {
        if !self.is_remote(side) {
            return Ok(false);
        }
        let (other, all) = (side.other(), Filter::all());
        let backend = self.backend(other);
        let songs = self.ask(other, || backend.songs().count(&all)).await;
        Ok(songs.map_err(|error| self.failed(other, error))? > 0)
    }

    pub(crate) fn set_documents_pending(&self, pending: bool) -> Result<()> {
        let was = self.state.meta::<bool>("documents_pending")?.unwrap_or(false);
        if was == pending { Ok(()) } else { self.state.set_meta("documents_pending", &pending) }
    }

    async fn read_changes(&self, side: Side, since: Option<Cursor>) -> Result<Listed> {
        let backend = self.backend(side);
        let mut cursor = since;
        let mut in_short = false;
        let mut staged = Listed {
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
            if staged.full && cursor.is_none() {
                in_short = self.is_worth_summarizing(side).await?;
            }
            let since = cursor.as_ref();
            let read = if in_short {
                self.ask(side, || backend.maintenance().heads(since, PAGE)).await
            } else {
                self.ask(side, || backend.maintenance().changes(since, PAGE)).await.map(in_full)
            };
            let page = match read {
                Err(error) if error.kind() == ErrorKind::CursorLost && since.is_some() => {
                    // Its history is gone: perhaps it was rebuilt, perhaps it
                    // is another library.
                    self.check_library(side).await?;
                    (cursor, staged.full, staged.songs) = (None, true, 0);
                    continue;
                }
                other => other.map_err(|error| self.failed(side, error))?,
            };
            staged.documents |= page.documents;
            let name = &self.replicas[side].name;
            staged.refused.extend(page.unreadable.into_iter().map(|one| refusal(name, one)));
            self.advanced(page.changes.len());
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
                if let Some(known) = known.filter(|known| is_echo(known, side, &state)) {
                    if !staged.full {
                        continue;
                    }
                    // A song that is as it should be is noted as such, unless
                    // the other side may lack something of it.
                    let objects = |side: Side| {
                        let had = known.0[side].as_ref().filter(|had| had.is_alive());
                        had.map(|had| had.refs.in_short())
                    };
                    if objects(Side::Left) == objects(Side::Right) || objects(side).is_none() {
                        state = SongState::Same;
                    }
                }
                new.push((change.song, state));
            }
            staged.songs += new.len() as u64;
            if !new.is_empty() {
                self.staging()?.stage(side, &new)?;
            }
            let more = page.more;
            staged.cursor = page.cursor.clone();
            cursor = Some(page.cursor);
            if !more {
                return Ok(staged);
            }
        }
    }

    // In a full pass, what should be there and was not told is absent.
    fn find_absent(&self, side: Side) -> Result<u64> {
        let staging = self.staging()?;
        let (mut after, mut absent) = (None, 0);
        loop {
            let known = self.state.known_after(after, PAGE)?;
            let Some((last, _)) = known.last() else { return Ok(absent) };
            after = Some(*last);
            let there = known.iter().filter(|(_, known)| known.0[side].is_some());
            let there: Vec<SongId> = there.map(|(song, _)| *song).collect();
            let unstaged = staging.unstaged(side, &there)?;
            absent += unstaged.len() as u64;
            let staged: Vec<_> =
                unstaged.into_iter().map(|song| (song, SongState::Absent)).collect();
            staging.stage(side, &staged)?;
        }
    }

    // Songs on the list are looked at as they are now, though nothing was told
    // of them; says how many they are.
    async fn stage_postponed(&self, refused: &mut Refused) -> Result<u64> {
        let staging = self.staging()?;
        let (mut after, mut songs) = (None, 0);
        loop {
            let postponed = self.state.postponed_after(after, FETCHED_AT_ONCE)?;
            let Some((last, _)) = postponed.last_key_value() else { return Ok(songs) };
            after = Some(*last);
            songs += postponed.len() as u64;
            let ids: Vec<SongId> = postponed.keys().copied().collect();
            for side in Side::BOTH {
                let unstaged = staging.unstaged(side, &ids)?;
                if unstaged.is_empty() {
                    continue;
                }
                let mut found = self.fetch(side, &unstaged).await?;
                refused.append(&mut found.refused);
                let staged = unstaged.into_iter().map(|song| {
                    let state = match (found.songs.remove(&song), &postponed[&song].states[side]) {
                        (Some(song), _) => SongState::Present(Box::new(song)),
                        // A tombstone is told once, and kept with the list.
                        (None, deleted @ SongState::Deleted(_)) => deleted.clone(),
                        (None, _) => SongState::Absent,
                    };
                    (song, state)
                });
                staging.stage(side, &staged.collect::<Vec<_>>())?;
            }
        }
    }

    /// These songs as they are at `side`, those that are there.
    pub(crate) async fn fetch(&self, side: Side, songs: &[SongId]) -> Result<Fetched> {
        let backend = self.backend(side);
        let mut fetched = Fetched::default();
        for chunk in songs.chunks(FETCHED_AT_ONCE) {
            let read = self.ask(side, || each_song(backend, chunk)).await;
            let read = read.map_err(|error| self.failed(side, error))?;
            for (song, read) in chunk.iter().zip(read) {
                fetched.add(*song, &self.replicas[side].name, read);
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
fn is_echo(known: &Known, side: Side, state: &SongState) -> bool {
    let Some(had) = &known.0[side] else { return false };
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
