//! What changed since a cursor.
//!
//! There is no change feed, and no order of writes but what they carry. A
//! number that a writer asks for before it writes may be passed by a reader
//! before the write lands, and then the reader never sees it. So it is the
//! other way round: a write carries [`NOT_NUMBERED`], which is greater than
//! every number and therefore new to every reader, and *readers* number what
//! is not numbered yet, before they look.
//!
//! A reader that numbers takes the next number of the `feed` document and
//! stands in its `open` list until every change of its is numbered. Numbers
//! above the least one that an open reader may still give are not taken for
//! read by others. What was acknowledged is thus either not numbered, or has a
//! number that no cursor has passed: nothing is missed, whatever is lost,
//! late or repeated. A number need not belong to one change alone, so a
//! hundred changes cost two pages of updates.
//!
//! Few changes are not numbered at all: a reader whose first page holds all
//! that is new tells it, and notes in its cursor which versions those were. So a
//! look when nothing changed is one request, also after own writes, and the
//! numbers, which cost some requests, are given once for every [`FEW`] changes.
//!
//! Among the songs stands a row that is none, the marker. It is new to every
//! look, because it never gets a number, and says two things: which library
//! this is, so that another one in its place is noticed without a request of
//! its own; and, by its version, that some playlists or synths changed
//! ([`mark_documents`](Changes::mark_documents)).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{Hint, ModelName, OperationId, Remedy, SongId};
use songrec_storage::{Change, ChangeHead, ChangePage, Cursor, Error, ErrorKind, Result};

use crate::{
    client::{Find, Update, Version},
    clock::now_ms,
    hint::run_init,
    row::{Before, DOCUMENTS, DOCUMENTS_MARKER, NOT_NUMBERED, Row, Sync, in_short, text, whole},
    schema::{FEED_ID, field_name},
    shared::{AT_ONCE, Shared},
    songs::Songs,
};

/// Where a reader is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The library it is a place in.
    library: String,
    /// Every change with a number up to this one was listed.
    seen: i64,
    /// Versions of songs that were listed beyond that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "told")]
    reported: Vec<OperationId>,
    /// The version of the marker that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marker: Option<OperationId>,
    /// The page that is being listed, between two calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<PageBegun>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageBegun {
    /// What will be seen after the last page.
    until: i64,
    /// Where the server's page begins.
    state: Option<String>,
    /// What of it was listed already. The page may hold other songs when it is
    /// asked for again, so they are known by name and not by number.
    #[serde(rename = "told")]
    reported: Vec<SongId>,
}

/// The document that numbers changes.
#[derive(Clone, Debug, Default, Deserialize)]
struct Feed {
    #[serde(default)]
    next: i64,
    /// Who is numbering, and which numbers were given before for sure.
    #[serde(default)]
    open: BTreeMap<String, OpenReader>,
}

// A number that is being given. Left behind by a caller that went away, it is
// closed later by this process.
struct OpenNumber<'a> {
    name: Option<String>,
    number: i64,
    shared: &'a Shared,
}

// Some versions that have no number yet, and where the rest begins.
struct Unnumbered {
    versions: Vec<OperationId>,
    next: Option<String>,
}

/// What a first look at the changes gives.
enum Glance {
    /// All there is.
    All(ChangePage),
    /// More than can be listed at once.
    Much,
    /// Nothing, or little, in a library without a marker.
    NoMarker,
}

/// Where a page begins.
enum Begun {
    /// Nowhere: this is all there is.
    All(ChangePage),
    Page(Position),
}

// The rows of a page.
struct ChangesRead {
    rows: Vec<Row>,
    cursor: Cursor,
    more: bool,
    documents: bool,
}

fn whole_page(reported: ChangesRead) -> ChangePage {
    let (mut changes, mut unreadable) = (Vec::new(), Vec::new());
    for row in &reported.rows {
        match row.change() {
            Ok(change) => changes.push(change),
            Err(wrong) => unreadable.push(wrong.into()),
        }
    }
    let ChangesRead { cursor, more, documents, .. } = reported;
    ChangePage { changes, cursor, more, documents, unreadable }
}

// Whether the marker is among these rows, in another version than the one that
// was seen before.
fn is_marked(seen: &mut Option<OperationId>, rows: &[Row]) -> bool {
    let marker = rows.iter().find(|row| row.is_documents_marker()).and_then(Row::rev);
    let is_news = marker.is_some() && marker != *seen;
    if is_news {
        *seen = marker;
    }
    is_news
}

impl OpenNumber<'_> {
    fn finish(mut self) -> String {
        self.name.take().unwrap_or_default()
    }

    fn numbered(mut self, number: i64) -> Self {
        self.number = number;
        self
    }
}

impl Drop for OpenNumber<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.shared.abandon_number(name);
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct OpenReader {
    from: i64,
    #[serde(default)]
    since: u64,
}

impl Feed {
    /// The greatest number up to which everything is numbered.
    fn complete(&self) -> i64 {
        self.open.values().map(|reader| reader.from).min().unwrap_or(self.next).min(self.next)
    }
}

/// The feed of changes: numbers, cursors, and pages of what changed.
#[derive(Debug)]
pub(crate) struct Changes {
    shared: Arc<Shared>,
}

impl Changes {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn changes_since(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage> {
        match self.begin_page(since, limit).await? {
            Begun::All(page) => Ok(page),
            Begun::Page(position) => {
                Ok(whole_page(self.read_changes(position, limit, whole()).await?))
            }
        }
    }

    pub(crate) async fn heads_since(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeHead>> {
        match self.begin_page(since, limit).await? {
            Begun::All(page) => Ok(page.heads()),
            Begun::Page(position) => {
                if since.is_none() {
                    // Another process may have made room for a model since.
                    self.shared.refresh("read the models of").await?;
                }
                let reported = self.read_changes(position, limit, in_short()).await?;
                self.page_in_short(reported).await
            }
        }
    }

    // Where a page begins, or all there is.
    async fn begin_page(&self, since: Option<&Cursor>, limit: usize) -> Result<Begun> {
        let mut position = match since {
            None => Position::default(),
            Some(cursor) => self.read_cursor(cursor)?,
        };
        if position.page.is_none() {
            match self.glance(&position, limit.clamp(1, LARGEST_PAGE)).await? {
                Glance::All(page) => return Ok(Begun::All(page)),
                Glance::Much => {}
                Glance::NoMarker => {
                    self.shared.refresh("read the changes of").await?;
                    match self.place_marker(&self.shared.library_id()).await {
                        Err(error) if error.kind() != ErrorKind::Denied => return Err(error),
                        _ => {}
                    }
                }
            }
            let library = self.shared.library_id();
            if !position.library.is_empty() && position.library != library {
                return Err(self.lost(OTHER_LIBRARY));
            }
            match self.give_numbers().await {
                Ok(()) => {}
                // Who may only read tells what is new again and again.
                Err(error) if error.kind() == ErrorKind::Denied => {}
                Err(error) => return Err(error),
            }
            let feed = self.feed().await?;
            if feed.next < position.seen {
                return Err(self.lost("the library is older than the cursor: it was restored"));
            }
            let until = feed.complete().max(position.seen);
            position.page = Some(PageBegun { until, state: None, reported: Vec::new() });
            (position.library, position.reported) = (library, Vec::new());
        }
        Ok(Begun::Page(position))
    }

    // A page of which songs are listed in short; those of which that is not
    // possible are read, as many at once as fit into a request.
    async fn page_in_short(&self, reported: ChangesRead) -> Result<ChangePage<ChangeHead>> {
        let models = self.shared.known_models().into_iter();
        let models: HashMap<String, ModelName> =
            models.map(|known| (field_name(&known.spec.name), known.spec.name)).collect();
        let heads: Vec<_> = reported.rows.iter().map(|row| row.head(&models)).collect();
        let others = reported.rows.iter().zip(&heads).filter(|(_, head)| head.is_none());
        let others: Vec<SongId> = others.map(|(row, _)| row.id).collect();
        let mut whole = Songs::of(&self.shared).rows(&others, whole()).await?;
        let (mut changes, mut unreadable) = (Vec::new(), Vec::new());
        for (row, head) in reported.rows.iter().zip(heads) {
            let (song, origin) = (row.id, row.origin());
            if let Some(head) = head {
                changes.push(Change { song, state: ChangeHead::Song(head), origin });
                continue;
            }
            // One that was purged since is no news.
            let Some(row) = whole.remove(&song) else { continue };
            match row.change() {
                Ok(Change { state, .. }) => {
                    changes.push(Change { song, state: ChangeHead::Whole(state), origin });
                }
                Err(wrong) => unreadable.push(wrong.into()),
            }
        }
        let ChangesRead { cursor, more, documents, .. } = reported;
        Ok(ChangePage { changes, cursor, more, documents, unreadable })
    }

    // All that is new, if it is little.
    async fn glance(&self, position: &Position, limit: usize) -> Result<Glance> {
        let new = json!({"sync.at": {"$gt": position.seen}});
        // One more for the marker, and one more to see that there are more.
        let find = Find::new(new).project(whole()).limit(FEW + 2);
        let found = self.shared.songs.find_page::<Row>(&find).await;
        let found = found.map_err(|error| self.shared.failed("read", "the changes", error))?;
        let marker = found.documents.iter().find(|row| row.is_documents_marker());
        let Some((library, marker)) =
            marker.and_then(|row| Some((row.library.clone()?, row.rev()?)))
        else {
            // It may be on a later page.
            let more = found.next.is_some() || found.documents.len() > FEW;
            return Ok(if more { Glance::Much } else { Glance::NoMarker });
        };
        if library != self.shared.library_id() {
            self.shared.refresh("read the changes of").await?;
        }
        if !position.library.is_empty() && position.library != library {
            return Err(self.lost(OTHER_LIBRARY));
        }
        let songs = || found.documents.iter().filter(|row| !row.is_documents_marker());
        let news: Vec<&Row> = songs()
            .filter(|row| row.rev().is_none_or(|rev| !position.reported.contains(&rev)))
            .collect();
        if found.next.is_some() || songs().count() > FEW || news.len() > limit {
            return Ok(Glance::Much);
        }
        let (mut changes, mut unreadable) = (Vec::new(), Vec::new());
        for row in news {
            match row.change() {
                Ok(change) => changes.push(change),
                Err(wrong) => unreadable.push(wrong.into()),
            }
        }
        let now = Position {
            library,
            seen: position.seen,
            reported: songs().filter_map(Row::rev).collect(),
            marker: Some(marker),
            page: None,
        };
        let documents = position.marker != Some(marker);
        let cursor = write(&now);
        Ok(Glance::All(ChangePage { changes, cursor, more: false, documents, unreadable }))
    }

    async fn read_changes(
        &self,
        mut position: Position,
        limit: usize,
        projection: Value,
    ) -> Result<ChangesRead> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        let page = position.page.as_mut().expect("a page was begun");
        let filter = json!({"sync.at": {"$gt": position.seen}});
        let find = |state: &Option<String>| {
            Find::new(filter.clone()).project(projection.clone()).after(state.clone())
        };
        let (mut rows, mut documents) = (Vec::<Row>::new(), false);
        loop {
            let found = match self.shared.songs.find_page::<Row>(&find(&page.state)).await {
                Ok(found) => found,
                // A place that the server no longer knows; the scan begins anew.
                Err(error) if page.state.is_some() && error.kind() == ErrorKind::Invalid => {
                    (page.state, page.reported) = (None, Vec::new());
                    continue;
                }
                Err(error) => return Err(self.shared.failed("read", "the changes", error)),
            };
            let reported: HashSet<SongId> = page.reported.iter().copied().collect();
            documents |= is_marked(&mut position.marker, &found.documents);
            let songs = found.documents.into_iter().filter(|row| !row.is_documents_marker());
            for row in songs.filter(|row| !reported.contains(&row.id)) {
                if rows.len() == limit {
                    return Ok(ChangesRead {
                        rows,
                        cursor: write(&position),
                        more: true,
                        documents,
                    });
                }
                page.reported.push(row.id);
                rows.push(row);
            }
            page.reported.clear();
            page.state = found.next;
            let mut more = false;
            if page.state.is_some() {
                if rows.len() < limit {
                    continue;
                }
                // There may be no more songs behind, and `more` promises some.
                let ahead = self.shared.songs.find_page::<Row>(&find(&page.state)).await;
                let ahead =
                    ahead.map_err(|error| self.shared.failed("read", "the changes", error))?;
                documents |= is_marked(&mut position.marker, &ahead.documents);
                let is_song = |row: &Row| !row.is_documents_marker();
                more = ahead.documents.iter().any(is_song) || ahead.next.is_some();
            }
            if !more {
                position.seen = page.until;
                position.page = None;
            }
            return Ok(ChangesRead { rows, cursor: write(&position), more, documents });
        }
    }

    /// Lets every reader of the changes know that playlists or synths changed.
    /// Called after they did: a reader who sees the mark sees the change. A
    /// writer that dies in between leaves a change that is listed with the next.
    pub(crate) async fn mark_documents(&self) -> Result<()> {
        let sync = Sync::new(OperationId::random(), &Before::default(), None);
        let marker = json!({"state": DOCUMENTS, "sync": sync, "library": self.shared.library_id()});
        let update = Update::new(json!({"_id": DOCUMENTS_MARKER}), json!({"$set": marker}));
        let updated = self.shared.songs.update_one(&update.upsert().repeatable()).await;
        updated.map_err(|error| self.shared.failed("note", "changed documents", error)).map(drop)
    }

    /// Makes the marker, if there is none.
    pub(crate) async fn place_marker(&self, library: &str) -> Result<()> {
        let sync = Sync::new(OperationId::random(), &Before::default(), None);
        let place = json!({
            "$setOnInsert": {"state": DOCUMENTS, "sync": sync},
            "$set": {"library": library},
        });
        let update = Update::new(json!({"_id": DOCUMENTS_MARKER}), place).upsert().repeatable();
        let placed = self.shared.songs.update_one(&update).await;
        placed.map_err(|error| self.shared.failed("mark", "the library", error)).map(drop)
    }

    // All get one number: in which order they were written, nobody knows.
    async fn give_numbers(&self) -> Result<()> {
        let mut page = self.unnumbered(None).await?;
        while page.versions.is_empty() {
            let Some(state) = page.next else { return Ok(()) };
            page = self.unnumbered(Some(state)).await?;
        }
        let open = self.open_number().await?;
        let number = open.number;
        let mut under_way = stream::FuturesUnordered::new();
        loop {
            for versions in page.versions.chunks(CHANGED_AT_ONCE) {
                if under_way.len() >= AT_ONCE {
                    under_way.next().await.unwrap_or(Ok(()))?;
                }
                under_way.push(self.number_these(versions.to_vec(), number).boxed());
            }
            let Some(state) = page.next else { break };
            page = self.unnumbered(Some(state)).await?;
        }
        while let Some(numbered) = under_way.next().await {
            numbered?;
        }
        self.close_numbers(open.finish()).await
    }

    async fn unnumbered(&self, state: Option<String>) -> Result<Unnumbered> {
        let find =
            Find::new(json!({"sync.at": NOT_NUMBERED})).project(json!({"state": 1, "sync": 1}));
        let page = self.shared.songs.find_page::<Row>(&find.after(state)).await;
        let page = page.map_err(|error| self.shared.failed("number", "the changes", error))?;
        let songs = page.documents.iter().filter(|row| !row.is_documents_marker());
        Ok(Unnumbered { versions: songs.filter_map(Row::rev).collect(), next: page.next })
    }

    // Of these versions and no later ones: a request that is still under way
    // somewhere, after its answer was lost, must not number what is written
    // after we have closed.
    async fn number_these(&self, versions: Vec<OperationId>, number: i64) -> Result<()> {
        let filter = json!({"sync.at": NOT_NUMBERED, "sync.rev": {"$in": versions}});
        let update = Update::new(filter, json!({"$set": {"sync.at": number}}));
        let numbered = self.shared.songs.update_many(&update.repeatable()).await;
        numbered.map_err(|error| self.shared.failed("number", "the changes", error)).map(drop)
    }

    async fn open_number(&self) -> Result<OpenNumber<'_>> {
        let failed = |error| self.shared.failed("number", "the changes", error);
        let from = self.feed().await?.next;
        let name = format!("r{:016x}", rand::random::<u64>());
        let open_number = OpenNumber { name: Some(name.clone()), number: 0, shared: &self.shared };
        // Doing it twice only leaves out a number.
        let set = json!({format!("open.{name}"): {"from": from, "since": now_ms()}});
        let change = json!({"$inc": {"next": 1}, "$set": set});
        let open = Update::new(json!({"_id": FEED_ID}), change).repeatable();
        let opened = self
            .shared
            .library
            .find_one_and_update::<Feed>(&open, Version::After)
            .await
            .map_err(failed)?;
        // No document means that the server lost its own answer.
        let feed = match opened.document {
            Some(feed) => feed,
            None => self.feed().await?,
        };
        if !feed.open.contains_key(&name) {
            return Err(self.shared.contended("number", "the changes"));
        }
        Ok(open_number.numbered(feed.next))
    }

    async fn close_numbers(&self, name: String) -> Result<()> {
        let mut names = self.shared.abandoned_numbers();
        names.push(name);
        let unset: serde_json::Map<_, _> =
            names.into_iter().map(|name| (format!("open.{name}"), json!(""))).collect();
        let close = Update::new(json!({"_id": FEED_ID}), json!({"$unset": unset})).repeatable();
        let closed = self.shared.library.update_one(&close).await;
        closed.map_err(|error| self.shared.failed("number", "the changes", error)).map(drop)
    }

    async fn feed(&self) -> Result<Feed> {
        let feed = self
            .shared
            .library
            .find_one::<Feed>(json!({"_id": FEED_ID}), json!({"next": 1, "open": 1}))
            .await
            .map_err(|error| self.shared.failed("read", "the changes", error))?;
        feed.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "read", "the changes", &*self.shared)
                .because("the document `feed` is missing")
                .with_hint(run_init())
        })
    }

    /// Closes numbers that were left open by readers that died long ago.
    pub(crate) async fn close_old_numbers(&self, min_age: std::time::Duration) -> Result<()> {
        let feed = self.feed().await?;
        let age = u64::try_from(min_age.as_millis()).unwrap_or(u64::MAX);
        let old_before = now_ms().saturating_sub(age.max(MIN_OPEN_MS));
        let old: serde_json::Map<_, _> = feed
            .open
            .iter()
            .filter(|(_, reader)| reader.since < old_before)
            .map(|(name, _)| (format!("open.{name}"), json!("")))
            .collect();
        if !old.is_empty() {
            let close = Update::new(json!({"_id": FEED_ID}), json!({"$unset": old})).repeatable();
            let closed = self.shared.library.update_one(&close).await;
            closed.map_err(|error| self.shared.failed("number", "the changes", error))?;
        }
        Ok(())
    }

    fn read_cursor(&self, cursor: &Cursor) -> Result<Position> {
        serde_json::from_str(&cursor.0)
            .map_err(|_| self.lost(&format!("`{}` is not a cursor of this library", cursor.0)))
    }

    fn lost(&self, why: &str) -> Error {
        Error::new(ErrorKind::CursorLost, "read", "the changes", &*self.shared)
            .because(why.to_owned())
            .with_hint(Hint::of("read all changes from the beginning, with {}", [Remedy::Fully]))
    }
}

/// So many changes are listed without giving them numbers.
const FEW: usize = 16;
/// Documents that the server changes in one page.
const CHANGED_AT_ONCE: usize = 20;
const OTHER_LIBRARY: &str = "the cursor is of another library, or of one that was made anew";
/// Changes in one page at the most.
const LARGEST_PAGE: usize = 1000;
/// A reader is surely gone after so long, whatever a garbage collection asks for.
const MIN_OPEN_MS: u64 = 10 * 60 * 1000;

fn write(position: &Position) -> Cursor {
    Cursor(text(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(next: i64, open: &[i64]) -> Feed {
        let reader = |from: &i64| (from.to_string(), OpenReader { from: *from, since: 0 });
        Feed { next, open: open.iter().map(reader).collect() }
    }

    #[test]
    fn what_an_open_reader_may_number_is_not_taken_for_read() {
        assert_eq!(feed(7, &[]).complete(), 7);
        assert_eq!(feed(7, &[6, 4]).complete(), 4);
        assert_eq!(feed(7, &[9]).complete(), 7);
    }
}
