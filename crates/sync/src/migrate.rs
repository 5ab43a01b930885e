//! Copying a whole library.

use std::{collections::HashSet, future::ready};

use futures::{FutureExt, StreamExt, TryStreamExt, future::join, stream};
use serde::Serialize;
use songrec_core::{Document, DocumentKind, Event, OperationId, Song, SongId, SongSummary, Work};
use songrec_storage::{
    ChangePage, ChangeState, Cursor, ErrorKind, Outcome, PutDocument, PutMode, PutSong,
};

use crate::{
    AudioPolicy, Comparison, Error, Failure, LeftOut, Note, Options, Pair, Result, Side, Verify,
    carry::{AUDIO_AT_ONCE, Carried, CarriedBlob, Needs, Transfer},
    check::{Data, compare},
    decide::{Refs, Values},
    error::in_words,
    fetch::{Fetched, fetch, refusal},
    report::list,
    session::Session,
};

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Migrated {
    /// Songs that were copied.
    pub copied: u64,
    /// Songs that were there already, the same.
    pub already: u64,
    /// Songs that were there already with other values. They were left as they
    /// are; a sync joins them. The first [`LISTED`](crate::LISTED)
    /// of them, as of all details.
    pub different: Vec<Note>,
    /// Playlists and synths that were copied.
    pub documents: u64,
    /// What could not be copied.
    pub failed: Vec<Failure>,
    /// Things to know that stopped nothing, such as audio that is nowhere.
    pub notes: Vec<Note>,
    /// Bytes of embeddings and audio that were copied.
    pub bytes: u64,
    /// Calls that each side got.
    pub requests: Pair<u64>,
    /// Whether it was interrupted; run again, it goes on where it was.
    pub interrupted: bool,
    /// What the comparison at the end found, if there was one.
    pub verified: Option<Comparison>,
    /// What is counted but not listed.
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
    // Songs with a note and songs that are different, also those that are not
    // listed.
    #[serde(skip)]
    known: HashSet<SongId>,
}

impl Migrated {
    /// Whether everything is there, as far as it was verified.
    pub fn is_complete(&self) -> bool {
        let verified = self.verified.as_ref();
        self.failed.is_empty()
            && !self.interrupted
            && self.missing() == 0
            && verified.is_none_or(|found| !found.interrupted)
    }

    /// Songs that the verification did not find as they should be. What the
    /// target has beyond the source, and songs that were there before and
    /// differ, do not count.
    pub fn missing(&self) -> u64 {
        self.verified.as_ref().map_or(0, |found| found.surprises)
    }

    /// How much could not be copied.
    pub fn failures(&self) -> u64 {
        self.failed.len() as u64 + self.left_out.failed
    }

    /// How many songs were there already with other values.
    pub fn differing(&self) -> u64 {
        self.different.len() as u64 + self.left_out.different
    }
}

/// What a migration would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MigrationPlan {
    /// Songs of the source.
    pub songs: u64,
    /// Songs that the target has already.
    pub already: u64,
    /// Bytes of embeddings and audio that may have to be copied.
    pub bytes: u64,
    /// Calls that the target will get about.
    pub requests: u64,
}

/// The name under which the state keeps where a migration goes on.
const CURSOR: &str = "migrate";
/// Songs of one page of the source.
const PAGE: usize = 1_000;

/// Copies the left library into the right one.
pub(crate) struct Migration<'a> {
    session: &'a Session,
    options: &'a Options,
    transfer: Transfer<'a>,
}

impl<'a> Migration<'a> {
    pub(crate) fn new(session: &'a Session, options: &'a Options) -> Self {
        Self { session, options, transfer: Transfer::new(session, options) }
    }

    /// Counts what would be copied.
    pub(crate) async fn plan(&self) -> Result<MigrationPlan> {
        self.session.job().on(Event::started(Work::Planning, None));
        let plan = self.plan_copies().await;
        self.session.job().on(Event::Finished);
        plan
    }

    async fn plan_copies(&self) -> Result<MigrationPlan> {
        let mut plan = MigrationPlan::default();
        let (source, batch) = (self.session.backend(Side::Left), self.session.batch() as u64);
        let mut models = std::collections::BTreeSet::new();
        let mut blobs = 0;
        let mut cursor: Option<Cursor> = None;
        loop {
            if self.session.job().is_interrupted() {
                return Err(Error::Interrupted);
            }
            let page = self
                .session
                .ask(Side::Left, || source.maintenance().changes(cursor.as_ref(), PAGE))
                .await?;
            let songs: Vec<Song> = present(page.changes);
            let ids: Vec<_> = songs.iter().map(|song| song.id).collect();
            let there = fetch(self.session, Side::Right, &ids).await?.songs;
            self.session.advanced(songs.len());
            for song in &songs {
                plan.songs += 1;
                if there.contains_key(&song.id) {
                    plan.already += 1;
                    continue;
                }
                models.extend(song.embeddings.keys().cloned());
                let bytes =
                    self.transfer.bytes(Side::Right, &Refs::default(), &Refs::of(song), song);
                blobs += u64::from(song.blob.is_some() || !song.files.is_empty());
                plan.bytes += bytes;
            }
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        let new = plan.songs - plan.already;
        let audio = self.session.backend(Side::Right).capabilities().keeps_audio
            && self.options.audio != AudioPolicy::None;
        plan.requests =
            new.div_ceil(batch) * (2 + models.len() as u64) + if audio { blobs } else { 0 };
        Ok(plan)
    }

    /// Copies everything, and verifies it.
    pub(crate) async fn run(&self, verify: Verify) -> Result<Migrated> {
        self.session.traffic().count_from_zero();
        let source = self.session.backend(Side::Left);
        let all = songrec_core::Filter::all();
        let total = self.session.ask(Side::Left, || source.songs().count(&all)).await?;
        self.session.job().on(Event::started(Work::Copying, Some(total)));
        let mut migrated = Migrated::default();
        let mut cursor: Option<Cursor> = self.session.state().meta(CURSOR)?.flatten();
        let mut next = Some(self.page_to_copy(&mut cursor).await);
        while let Some(page) = next.take() {
            let page = page?;
            if self.session.job().is_interrupted() {
                migrated.interrupted = true;
                break;
            }
            let name = self.session.name(Side::Left);
            for one in page.unreadable {
                let (_, failure) = refusal(name, one);
                self.session.report_failures([&failure]);
                migrated.add_failure(failure);
            }
            let songs = present(page.changes);
            let chunks: Vec<Vec<Song>> =
                songs.chunks(self.session.batch()).map(<[Song]>::to_vec).collect();
            let copies = stream::iter(chunks)
                .map(|chunk: Vec<Song>| self.migrate_chunk(chunk))
                .buffer_unordered(self.options.jobs.max(1));
            let copied = copies.try_for_each(|done| {
                self.session.report_failures(&done.failed);
                migrated.add(done);
                ready(Ok(()))
            });
            // The next page is read while this one is written.
            cursor = Some(page.cursor);
            let mut ahead = cursor.clone();
            let read_on =
                async { if page.more { Some(self.page_to_copy(&mut ahead).await) } else { None } };
            let (copied, read) = join(copied, read_on).await;
            copied?;
            if migrated.interrupted {
                break;
            }
            // What failed is tried again from here on.
            if migrated.failed.is_empty() {
                self.session.state().set_meta(CURSOR, &cursor)?;
            }
            next = read;
        }
        if !migrated.interrupted {
            self.migrate_documents(&mut migrated).await?;
        }
        self.session.job().on(Event::Finished);
        if !migrated.interrupted {
            // The next migration begins at the first song again.
            self.session.state().set_meta(CURSOR, &None::<Cursor>)?;
            let data = match verify {
                Verify::None => None,
                Verify::Sample => Some(Data::Sample { of: total }),
                Verify::Full => Some(Data::All),
            };
            if let Some(data) = data {
                let models = self.options.models.as_ref();
                let known = std::mem::take(&mut migrated.known);
                let found =
                    compare(self.session.replicas(), data, models, known, self.session.job())
                        .await?;
                migrated.interrupted |= found.interrupted;
                migrated.verified = Some(found);
            }
        }
        migrated.requests = self.session.traffic().requests();
        Ok(migrated)
    }

    // The songs after a cursor, or all songs if the source does not know it any
    // more.
    async fn page_to_copy(&self, cursor: &mut Option<Cursor>) -> Result<ChangePage> {
        let source = self.session.backend(Side::Left);
        let mut page = self
            .session
            .try_ask(Side::Left, || source.maintenance().changes(cursor.as_ref(), PAGE))
            .await;
        if cursor.is_some()
            && page.as_ref().is_err_and(|error| error.kind() == ErrorKind::CursorLost)
        {
            *cursor = None;
            page =
                self.session.try_ask(Side::Left, || source.maintenance().changes(None, PAGE)).await;
        }
        page.map_err(|error| self.session.failed(Side::Left, error))
    }

    async fn migrate_chunk(&self, mut songs: Vec<Song>) -> Result<Migrated> {
        let mut done = Migrated::default();
        if self.session.job().is_interrupted() {
            done.interrupted = true;
            return Ok(done);
        }
        let ids: Vec<_> = songs.iter().map(|song| song.id).collect();
        let Fetched { songs: there, refused } = fetch(self.session, Side::Right, &ids).await?;
        songs.retain(|song| !refused.contains_key(&song.id));
        refused.into_values().for_each(|failure| done.add_failure(failure));
        let nothing = Refs::default();
        let refs: Vec<Refs> = songs.iter().map(Refs::of).collect();
        let mut needs = Vec::new();
        for (song, theirs) in songs.iter().zip(&refs) {
            match there.get(&song.id) {
                Some(known) => done.note_there(song, known),
                None => {
                    let operation = song.revision.operation;
                    needs.push(Needs { song, operation, own: &nothing, theirs });
                }
            }
        }
        let mut carried = if needs.is_empty() {
            Carried::default()
        } else {
            let songs: Vec<&Song> = needs.iter().map(|one| one.song).collect();
            self.transfer.segments(Side::Right, &songs).await?;
            let all: Vec<&Needs<'_>> = needs.iter().collect();
            self.transfer.embeddings(Side::Right, &all).await?
        };
        let copying = needs.iter().map(|one| {
            async move {
                // Audio may take long; what has all of its objects is still written.
                if self.session.job().is_interrupted() {
                    return Ok(None);
                }
                let blob = self.transfer.audio(Side::Right, one, None).await?;
                // What is left to do takes no time beside this.
                self.session
                    .job()
                    .on(Event::Advanced { item: &SongSummary::of(one.song).title, bytes: 0 });
                Ok(Some(blob))
            }
            .boxed()
        });
        let copying: Vec<_> = copying.collect();
        let blobs: Vec<Option<CarriedBlob>> =
            stream::iter(copying).buffered(AUDIO_AT_ONCE).try_collect().await?;
        let mut puts = Vec::with_capacity(needs.len());
        for (one, blob) in needs.iter().zip(blobs) {
            let Some(blob) = blob else {
                done.interrupted = true;
                continue;
            };
            let blob = carried.add(blob);
            let models = one.theirs.embeddings.keys();
            let embeddings = models.filter_map(|model| {
                let reference = carried.embeddings.get(&(one.song.id, model.clone()))?;
                Some((model.clone(), reference.clone()))
            });
            let embeddings = embeddings.collect();
            let song = Song { embeddings, blob, ..one.song.clone() };
            puts.push(PutSong { song, mode: PutMode::Create, origin: None });
        }
        self.put_new(&puts, &mut done).await?;
        for song in songs.iter().filter(|song| there.contains_key(&song.id)) {
            self.session.job().on(Event::Advanced { item: &SongSummary::of(song).title, bytes: 0 });
        }
        done.bytes += carried.bytes;
        done.add_notes(carried.notes);
        Ok(done)
    }

    async fn put_new(&self, puts: &[PutSong], done: &mut Migrated) -> Result<()> {
        if puts.is_empty() {
            return Ok(());
        }
        let target = self.session.backend(Side::Right);
        let put = |some| target.songs().put(some);
        let outcomes = self.session.ask_each(Side::Right, puts, put).await?;
        for (put, outcome) in puts.iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => {
                    done.note_outcome(&put.song, outcome.unwrap_or(Outcome::Conflict(None)));
                }
                Err(error) => done.add_failure(Failure {
                    subject: put.song.id.to_string(),
                    title: SongSummary::of(&put.song).title,
                    reason: in_words(&error),
                    hint: error.hint().cloned(),
                }),
            }
        }
        Ok(())
    }

    async fn migrate_documents(&self, migrated: &mut Migrated) -> Result<()> {
        let (source, target) =
            (self.session.backend(Side::Left), self.session.backend(Side::Right));
        let kinds = DocumentKind::SYNCED;
        let mut after = None;
        loop {
            let page = self
                .session
                .ask(Side::Left, || source.documents().list(&kinds, after.as_ref()))
                .await?;
            for chunk in page.items.chunks(self.session.batch()) {
                let chunk: Vec<&Document> = chunk.iter().filter(|one| !one.deleted).collect();
                let puts: Vec<_> = chunk
                    .iter()
                    .map(|one| PutDocument { document: (*one).clone(), mode: PutMode::Create })
                    .collect();
                let outcomes =
                    self.session.ask(Side::Right, || target.documents().put(&puts)).await?;
                for (document, outcome) in chunk.iter().zip(outcomes) {
                    let other: Option<OperationId> = match outcome {
                        Outcome::Done => None,
                        Outcome::Conflict(other)
                            if other.as_ref().is_some_and(|other| other.body == document.body) =>
                        {
                            None
                        }
                        Outcome::Conflict(other) => {
                            Some(other.map_or(document.revision.operation, |other| {
                                other.revision.operation
                            }))
                        }
                    };
                    if other.is_none() {
                        migrated.documents += 1;
                        continue;
                    }
                    migrated.add_failure(Failure {
                        subject: format!("{} {}", document.kind.as_str(), document.id),
                        title: document.id.clone(),
                        reason: "another one of this name is there".to_owned(),
                        hint: Some("a sync keeps both".into()),
                    });
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

fn present(changes: Vec<songrec_storage::Change>) -> Vec<Song> {
    let songs = changes.into_iter().filter_map(|change| match change.state {
        ChangeState::Present(song) => Some(*song),
        ChangeState::Deleted(_) => None,
    });
    songs.collect()
}

impl Migrated {
    fn add(&mut self, other: Self) {
        self.interrupted |= other.interrupted;
        self.copied += other.copied;
        self.already += other.already;
        self.bytes += other.bytes;
        self.known.extend(other.known);
        list(&mut self.different, other.different, &mut self.left_out.different);
        list(&mut self.failed, other.failed, &mut self.left_out.failed);
        list(&mut self.notes, other.notes, &mut self.left_out.notes);
    }

    fn add_notes(&mut self, notes: Vec<Note>) {
        self.known.extend(notes.iter().map(|note| note.song));
        list(&mut self.notes, notes, &mut self.left_out.notes);
    }

    fn add_failure(&mut self, failure: Failure) {
        list(&mut self.failed, [failure], &mut self.left_out.failed);
    }

    fn note_there(&mut self, song: &Song, known: &Song) {
        let same = known.revision.operation == song.revision.operation
            || Values::of(known).shows_the_same_as(&Values::of(song));
        if same {
            self.already += 1;
        } else {
            let text = "another version of it is there and was left alone".to_owned();
            self.known.insert(song.id);
            let note = Note { song: song.id, text };
            list(&mut self.different, [note], &mut self.left_out.different);
        }
    }

    fn note_outcome(&mut self, song: &Song, outcome: Outcome<Song>) {
        match outcome {
            Outcome::Done => self.copied += 1,
            Outcome::Conflict(Some(known)) => self.note_there(song, &known),
            Outcome::Conflict(None) => self.add_failure(Failure {
                subject: song.id.to_string(),
                title: SongSummary::of(song).title,
                reason: "others changed it meanwhile".to_owned(),
                hint: Some("run it again".into()),
            }),
        }
    }
}
