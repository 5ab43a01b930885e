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
//! A look when nothing changed is one request; one writer costs nothing.
//!
//! Playlists and synths are few, and only that some of them changed is told.
//! For that a row that is no song stands among the songs
//! ([`mark_documents`](AstraBackend::mark_documents)) and is numbered like them.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use songrec_core::{OperationId, SongId};
use songrec_storage::{Change, ChangePage, Cursor, Error, ErrorKind, Result};

use crate::{
    backend::AstraBackend,
    client::{Find, MAX_IN, Update, Version},
    embeddings::now_ms,
    row::{Before, DOCUMENTS, DOCUMENTS_MARKER, NOT_NUMBERED, Row, Sync, text, whole},
    schema::FEED_ID,
};

/// Where a reader is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The library it is a place in.
    library: String,
    /// Every change with a number up to this one was told.
    seen: i64,
    /// The page that is being told, between two calls.
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
    /// What of it was told already. The page may hold other songs when it is
    /// asked for again, so they are known by name and not by number.
    told: Vec<SongId>,
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
    backend: &'a AstraBackend,
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
            self.backend.abandon_number(name);
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

impl AstraBackend {
    pub(crate) async fn changes_since(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage> {
        let library = self.library_id();
        let mut position = match since {
            None => Position { library, seen: 0, page: None },
            Some(cursor) => self.read_cursor(cursor, &library)?,
        };
        if position.page.is_none() {
            if !self.number_changes(position.seen).await? {
                return Ok(ChangePage {
                    changes: Vec::new(),
                    cursor: write(&position),
                    more: false,
                    documents: since.is_none(),
                });
            }
            let feed = self.feed().await?;
            if feed.next < position.seen {
                return Err(self.lost("the library is older than the cursor: it was restored"));
            }
            let until = feed.complete().max(position.seen);
            position.page = Some(PageBegun { until, state: None, told: Vec::new() });
        }
        let mut page = self.tell(position, limit.clamp(1, LARGEST_PAGE)).await?;
        page.documents |= since.is_none();
        Ok(page)
    }

    async fn tell(&self, mut position: Position, limit: usize) -> Result<ChangePage> {
        let page = position.page.as_mut().expect("a page was begun");
        let filter = json!({"sync.at": {"$gt": position.seen}});
        let mut changes: Vec<Change> = Vec::new();
        let mut documents = false;
        loop {
            let find = Find::new(filter.clone()).project(whole()).after(page.state.clone());
            let found = match self.songs.find_page::<Row>(&find).await {
                Ok(found) => found,
                // A place that the server no longer knows; the scan begins anew.
                Err(error) if page.state.is_some() && error.kind() == ErrorKind::Invalid => {
                    (page.state, page.told) = (None, Vec::new());
                    continue;
                }
                Err(error) => return Err(self.failed("read", "the changes", error)),
            };
            let told: HashSet<SongId> = page.told.iter().copied().collect();
            documents |= found.documents.iter().any(Row::is_documents_marker);
            let songs = found.documents.iter().filter(|row| !row.is_documents_marker());
            for row in songs.filter(|row| !told.contains(&row.id)) {
                if changes.len() == limit {
                    return Ok(ChangePage {
                        changes,
                        cursor: write(&position),
                        more: true,
                        documents,
                    });
                }
                let change = row.change();
                changes.push(change.map_err(|error| self.damaged("read", "the changes", error))?);
                page.told.push(row.id);
            }
            page.told.clear();
            page.state = found.next;
            if page.state.is_none() {
                position.seen = page.until;
                position.page = None;
                return Ok(ChangePage {
                    changes,
                    cursor: write(&position),
                    more: false,
                    documents,
                });
            }
            if changes.len() == limit {
                // There may be no more songs behind, and `more` promises some.
                let next = Find::new(filter.clone()).project(whole()).after(page.state.clone());
                let ahead = self.songs.find_page::<Row>(&next).await;
                let ahead = ahead.map_err(|error| self.failed("read", "the changes", error))?;
                documents |= ahead.documents.iter().any(Row::is_documents_marker);
                let is_song = |row: &Row| !row.is_documents_marker();
                if ahead.documents.iter().any(is_song) || ahead.next.is_some() {
                    return Ok(ChangePage {
                        changes,
                        cursor: write(&position),
                        more: true,
                        documents,
                    });
                }
                position.seen = page.until;
                position.page = None;
                return Ok(ChangePage {
                    changes,
                    cursor: write(&position),
                    more: false,
                    documents,
                });
            }
        }
    }

    /// Lets every reader of the changes know that playlists or synths changed.
    /// Called after they did: a reader who sees the mark sees the change. A
    /// writer that dies in between leaves a change that is told with the next.
    pub(crate) async fn mark_documents(&self) -> Result<()> {
        let sync = Sync::new(OperationId::random(), &Before::default(), None);
        let mark = json!({"$set": {"state": DOCUMENTS, "sync": sync}});
        let update = Update::new(json!({"_id": DOCUMENTS_MARKER}), mark).upsert().repeatable();
        let updated = self.songs.update_one(&update).await;
        updated.map_err(|error| self.failed("note", "changed documents", error)).map(drop)
    }

    // Says whether there is anything new, after giving numbers to what has none.
    async fn number_changes(&self, seen: i64) -> Result<bool> {
        let failed = |error| self.failed("read", "the changes", error);
        let new = json!({"sync.at": {"$gt": seen}});
        let find = Find::new(new).project(json!({"state": 1})).limit(1);
        // An empty page is not the end.
        let mut page = self.songs.find_page::<Row>(&find).await.map_err(failed)?;
        while page.documents.is_empty() {
            let Some(next) = page.next else { return Ok(false) };
            let find = find.clone().after(Some(next));
            page = self.songs.find_page::<Row>(&find).await.map_err(failed)?;
        }
        match self.give_numbers().await {
            Ok(()) => Ok(true),
            // Who may only read tells what is new again and again.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn give_numbers(&self) -> Result<()> {
        let failed = |error| self.failed("number", "the changes", error);
        let find = Find::new(json!({"sync.at": NOT_NUMBERED})).project(json!({"sync": 1}));
        let mut open: Option<OpenNumber<'_>> = None;
        let mut state = None;
        loop {
            let page = self.songs.find_page::<Row>(&find.clone().after(state)).await;
            let page = page.map_err(failed)?;
            for chunk in page.documents.chunks(MAX_IN) {
                let revs: Vec<_> = chunk.iter().filter_map(Row::rev).collect();
                if open.is_none() {
                    open = Some(self.open_number().await?);
                }
                let number = open.as_ref().map_or(0, |open| open.number);
                // Of these versions and no later ones: a request that is still
                // under way somewhere, after its answer was lost, must not
                // number what is written after we have closed.
                let filter = json!({"sync.at": NOT_NUMBERED, "sync.rev": {"$in": revs}});
                let update = Update::new(filter, json!({"$set": {"sync.at": number}}));
                self.songs.update_many(&update.repeatable()).await.map_err(failed)?;
            }
            state = page.next;
            if state.is_none() {
                break;
            }
        }
        match open {
            Some(open) => self.close_numbers(open.finish()).await,
            None => Ok(()),
        }
    }

    async fn open_number(&self) -> Result<OpenNumber<'_>> {
        let failed = |error| self.failed("number", "the changes", error);
        let from = self.feed().await?.next;
        let name = format!("r{:016x}", rand::random::<u64>());
        let open_number = OpenNumber { name: Some(name.clone()), number: 0, backend: self };
        // Doing it twice only leaves out a number.
        let set = json!({format!("open.{name}"): {"from": from, "since": now_ms()}});
        let change = json!({"$inc": {"next": 1}, "$set": set});
        let open = Update::new(json!({"_id": FEED_ID}), change).repeatable();
        let opened = self
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
            return Err(self.contended("number", "the changes"));
        }
        Ok(open_number.numbered(feed.next))
    }

    async fn close_numbers(&self, name: String) -> Result<()> {
        let mut names = self.abandoned_numbers();
        names.push(name);
        let unset: serde_json::Map<_, _> =
            names.into_iter().map(|name| (format!("open.{name}"), json!(""))).collect();
        let close = Update::new(json!({"_id": FEED_ID}), json!({"$unset": unset})).repeatable();
        let closed = self.library.update_one(&close).await;
        closed.map_err(|error| self.failed("number", "the changes", error)).map(drop)
    }

    async fn feed(&self) -> Result<Feed> {
        let feed = self
            .library
            .find_one::<Feed>(json!({"_id": FEED_ID}), json!({"next": 1, "open": 1}))
            .await
            .map_err(|error| self.failed("read", "the changes", error))?;
        feed.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "read", "the changes", self)
                .because("the document `feed` is missing")
                .with_hint("run `songrec init-astra`")
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
            let closed = self.library.update_one(&close).await;
            closed.map_err(|error| self.failed("number", "the changes", error))?;
        }
        Ok(())
    }

    fn read_cursor(&self, cursor: &Cursor, library: &str) -> Result<Position> {
        let position: Position = serde_json::from_str(&cursor.0)
            .map_err(|_| self.lost(&format!("`{}` is not a cursor of this library", cursor.0)))?;
        if position.library != library {
            return Err(self.lost("the cursor is of another library, or of one that was made anew"));
        }
        Ok(position)
    }

    fn lost(&self, why: &str) -> Error {
        Error::new(ErrorKind::CursorLost, "read", "the changes", self)
            .because(why.to_owned())
            .with_hint("read all changes from the beginning, with `--full`")
    }
}

/// Changes in one page at the most.
const LARGEST_PAGE: usize = 1000;
/// A reader is surely gone after so long, whatever a sweep asks for.
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
