//! What changed in both libraries since the last sync.

use songrec_core::{Event, Filter, SongId, Work};
use songrec_storage::{Change, ChangeHead, ChangePage, ChangeState, Cursor, ErrorKind, SongHead};

use crate::{
    Error, Pair, Result, Side,
    decide::{Known, Refs, SongState},
    fetch::{FETCHED_AT_ONCE, Refused, fetch, refusal},
    machines::KnownLibraries,
    session::Session,
    state::Staging,
};

/// What changed in both libraries; the songs are in the staging table.
#[derive(Debug)]
pub(crate) struct Delta {
    /// Up to where the changes were read, and from where.
    cursors: Pair<Option<Cursor>>,
    before: Pair<Option<Cursor>>,
    full: Pair<bool>,
    documents: bool,
    /// How many songs there is something to decide about.
    staged: u64,
    refused: Refused,
}

impl Delta {
    pub(crate) fn is_empty(&self) -> bool {
        self.staged == 0
            && !self.documents
            && !self.full.left
            && !self.full.right
            && self.refused.is_empty()
    }

    /// Whether nothing at all was listed by the change feeds.
    pub(crate) fn cursors_are_unchanged(&self) -> bool {
        self.cursors == self.before
    }

    /// Whether all songs of a side were listed, not only those that changed.
    pub(crate) const fn full(&self) -> Pair<bool> {
        self.full
    }

    /// Whether playlists or synths have to be compared.
    pub(crate) const fn has_documents(&self) -> bool {
        self.documents
    }

    /// Songs that a side cannot read, and that are left as they are.
    pub(crate) const fn refused(&self) -> &Refused {
        &self.refused
    }
}

/// Changes in one page.
const PAGE: usize = 1_000;

/// What the change feed of one side listed.
struct Listed {
    cursor: Cursor,
    full: bool,
    documents: bool,
    songs: u64,
    refused: Refused,
}

/// Reads the change feeds, and remembers how far they were read.
pub(crate) struct Changes<'a> {
    session: &'a Session,
    staging: &'a Staging,
}

impl<'a> Changes<'a> {
    pub(crate) const fn new(session: &'a Session, staging: &'a Staging) -> Self {
        Self { session, staging }
    }

    /// Stages every song that changed since the last sync; every song of the
    /// sides that are read in full.
    pub(crate) async fn read(&self, full: Pair<bool>) -> Result<Delta> {
        self.staging.clear()?;
        let state = self.session.state();
        let before = Pair {
            left: state.meta::<Cursor>(cursor_of(Side::Left))?,
            right: state.meta::<Cursor>(cursor_of(Side::Right))?,
        };
        for side in Side::BOTH.into_iter().filter(|side| full[*side]) {
            KnownLibraries::new(self.session).check(side).await?;
        }
        let read = |side: Side| {
            let cursor = before[side].clone().filter(|_| !full[side]);
            self.read_side(side, cursor)
        };
        self.session.job().on(Event::started(Work::LookingForChanges, None));
        let read = futures::try_join!(read(Side::Left), read(Side::Right));
        self.session.job().on(Event::Finished);
        let (mut left, mut right) = read?;
        let mut refused = std::mem::take(&mut left.refused);
        refused.append(&mut right.refused);
        let mut staged = left.songs + right.songs;
        for (side, listed) in [(Side::Left, &left), (Side::Right, &right)] {
            if listed.full {
                staged += self.stage_absent(side)?;
            }
        }
        staged += self.stage_postponed(&mut refused).await?;
        Ok(Delta {
            full: Pair { left: left.full, right: right.full },
            documents: left.documents || right.documents || self.documents_are_pending()?,
            cursors: Pair { left: Some(left.cursor), right: Some(right.cursor) },
            before,
            staged,
            refused,
        })
    }

    /// Remembers how far the changes were read: everything before was done, or is
    /// on the list of what is postponed.
    pub(crate) fn note_read(&self, delta: &Delta) -> Result<()> {
        if delta.cursors_are_unchanged() {
            return Ok(());
        }
        self.session.state().change(|changing| {
            for side in Side::BOTH {
                if let Some(cursor) = &delta.cursors[side] {
                    changing.set_meta(cursor_of(side), cursor)?;
                }
            }
            Ok(())
        })
    }

    /// Remembers whether playlists or synths are left to do.
    pub(crate) fn set_documents_pending(&self, pending: bool) -> Result<()> {
        if self.documents_are_pending()? == pending {
            return Ok(());
        }
        self.session.state().set_meta(DOCUMENTS_PENDING, &pending)
    }

    fn documents_are_pending(&self) -> Result<bool> {
        Ok(self.session.state().meta(DOCUMENTS_PENDING)?.unwrap_or(false))
    }

    // A remote library lists its songs as heads, where most of them are known to
    // be the same on the other side. If that one is empty, all songs have to be
    // read anyway.
    async fn heads_are_enough(&self, side: Side) -> Result<bool> {
        if !self.session.is_remote(side) {
            return Ok(false);
        }
        let (other, all) = (side.other(), Filter::all());
        let backend = self.session.backend(other);
        Ok(self.session.ask(other, || backend.songs().count(&all)).await? > 0)
    }

    async fn read_side(&self, side: Side, since: Option<Cursor>) -> Result<Listed> {
        let backend = self.session.backend(side);
        let mut cursor = since;
        let mut only_heads = false;
        let mut listed = Listed {
            full: cursor.is_none(),
            cursor: Cursor(String::new()),
            documents: false,
            songs: 0,
            refused: Refused::new(),
        };
        loop {
            if self.session.job().is_interrupted() {
                return Err(Error::Interrupted);
            }
            if listed.full && cursor.is_none() {
                only_heads = self.heads_are_enough(side).await?;
            }
            let since = cursor.as_ref();
            let read = if only_heads {
                self.session.try_ask(side, || backend.maintenance().heads(since, PAGE)).await
            } else {
                let changes = || backend.maintenance().changes(since, PAGE);
                self.session.try_ask(side, changes).await.map(whole_page)
            };
            let page = match read {
                Err(error) if error.kind() == ErrorKind::CursorLost && since.is_some() => {
                    // Its history is gone: perhaps it was rebuilt, perhaps it
                    // is another library.
                    KnownLibraries::new(self.session).check(side).await?;
                    (cursor, listed.full, listed.songs) = (None, true, 0);
                    continue;
                }
                other => other.map_err(|error| self.session.failed(side, error))?,
            };
            listed.documents |= page.documents;
            let name = self.session.name(side);
            listed.refused.extend(page.unreadable.into_iter().map(|one| refusal(name, one)));
            self.session.advanced(page.changes.len());
            let new = self.without_echoes(side, page.changes, listed.full)?;
            listed.songs += new.len() as u64;
            if !new.is_empty() {
                self.staging.stage(side, &new)?;
            }
            listed.cursor = page.cursor.clone();
            cursor = Some(page.cursor);
            if !page.more {
                return Ok(listed);
            }
        }
    }

    // The changes that are not just what the state knows already.
    fn without_echoes(
        &self,
        side: Side,
        changes: Vec<Change<ChangeHead>>,
        full: bool,
    ) -> Result<Vec<(SongId, SongState)>> {
        let songs: Vec<SongId> = changes.iter().map(|change| change.song).collect();
        let known = self.session.state().known(&songs)?;
        let mut new = Vec::new();
        for (change, known) in changes.into_iter().zip(known) {
            let mut state = match change.state {
                ChangeHead::Song(head) => SongState::Head(head),
                ChangeHead::Whole(ChangeState::Present(song)) => SongState::Present(song),
                ChangeHead::Whole(ChangeState::Deleted(tombstone)) => SongState::Deleted(tombstone),
            };
            if let Some(known) = known.filter(|known| is_echo(known, side, &state)) {
                if !full {
                    continue;
                }
                // A song that is as it should be is noted as such, unless
                // the other side may lack something of it.
                let objects = |side: Side| {
                    let had = known.0[side].as_ref().filter(|had| had.is_alive());
                    had.map(|had| had.refs.comparable())
                };
                if objects(Side::Left) == objects(Side::Right) || objects(side).is_none() {
                    state = SongState::Same;
                }
            }
            new.push((change.song, state));
        }
        Ok(new)
    }

    // When all songs of a side were listed, a known song that was not listed is
    // absent.
    fn stage_absent(&self, side: Side) -> Result<u64> {
        let (mut after, mut absent) = (None, 0);
        loop {
            let known = self.session.state().known_after(after, PAGE)?;
            let Some((last, _)) = known.last() else { return Ok(absent) };
            after = Some(*last);
            let there = known.iter().filter(|(_, known)| known.0[side].is_some());
            let there: Vec<SongId> = there.map(|(song, _)| *song).collect();
            let unstaged = self.staging.unstaged(side, &there)?;
            absent += unstaged.len() as u64;
            let staged: Vec<_> =
                unstaged.into_iter().map(|song| (song, SongState::Absent)).collect();
            self.staging.stage(side, &staged)?;
        }
    }

    // Postponed songs are read as they are now, though no change feed lists
    // them. Gives their number.
    async fn stage_postponed(&self, refused: &mut Refused) -> Result<u64> {
        let (mut after, mut songs) = (None, 0);
        loop {
            let postponed = self.session.state().postponed_after(after, FETCHED_AT_ONCE)?;
            let Some((last, _)) = postponed.last_key_value() else { return Ok(songs) };
            after = Some(*last);
            songs += postponed.len() as u64;
            let ids: Vec<SongId> = postponed.keys().copied().collect();
            for side in Side::BOTH {
                let unstaged = self.staging.unstaged(side, &ids)?;
                if unstaged.is_empty() {
                    continue;
                }
                let mut found = fetch(self.session, side, &unstaged).await?;
                refused.append(&mut found.refused);
                let staged = unstaged.into_iter().map(|song| {
                    let state = match (found.songs.remove(&song), &postponed[&song].states[side]) {
                        (Some(song), _) => SongState::Present(Box::new(song)),
                        // A change feed lists a tombstone once, and it cannot be
                        // read by its id: so it was kept with the list.
                        (None, deleted @ SongState::Deleted(_)) => deleted.clone(),
                        (None, _) => SongState::Absent,
                    };
                    (song, state)
                });
                self.staging.stage(side, &staged.collect::<Vec<_>>())?;
            }
        }
    }
}

const DOCUMENTS_PENDING: &str = "documents_pending";

const fn cursor_of(side: Side) -> &'static str {
    match side {
        Side::Left => "cursor_left",
        Side::Right => "cursor_right",
    }
}

// A page of changes as one of heads, each with the whole song.
fn whole_page(page: ChangePage) -> ChangePage<ChangeHead> {
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

// Whether a side listed what is known of it. It is not enough that the write is
// the same: the same song names other objects in another library, and a library
// may have been copied over this one.
fn is_echo(known: &Known, side: Side, state: &SongState) -> bool {
    let Some(had) = &known.0[side] else { return false };
    match state {
        SongState::Present(song) => {
            had.is_alive()
                && had.revision.operation == song.revision.operation
                && had.names(&Refs::of(song))
        }
        SongState::Head(head) => {
            let (models, blob) = had.refs.comparable();
            let same = if had.only_head {
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
