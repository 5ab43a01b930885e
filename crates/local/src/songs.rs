//! Songs: stored, read, found, deleted.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use rusqlite::{Connection, params};
use songrec_core::{Filter, ModelSpec, Song, SongId, SongSummary, fold};
use songrec_storage::{
    Change, ChangePage, ChangeState, Cursor, DeleteSong, Lookup, Outcome, Page, PurgeSong, PutMode,
    PutSong, SongQuery, UnreadableSong,
};

use crate::{
    catalog::{Catalog, find, song_rows},
    database::Database,
    documents::Documents,
    error::{Fault, Result},
    files::Folder,
    files::NewFile,
    files::stored::{self, Resolved, Stored},
    publish::{Published, Publisher},
    recovery::Recovery,
    store::Store,
    transaction::Transaction,
};

/// The most songs that a look-up by prefix or title gives.
const MOST_BY_NAME: usize = 20;

/// The songs of a library.
pub(crate) struct Songs<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Songs<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    pub(crate) fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        self.database.write(|transaction| {
            let models = Catalog::models(transaction.connection())?;
            let known: HashSet<_> = models.iter().map(|model| &model.spec.name).collect();
            for PutSong { song, .. } in songs {
                if let Some(model) = song.embeddings.keys().find(|name| !known.contains(name)) {
                    return Err(Fault::invalid(format_args!(
                        "song `{}` names an embedding of `{model}`, which is not known here",
                        song.id.short()
                    )));
                }
            }
            let mut outcomes = Vec::with_capacity(songs.len());
            for some in without_repeats(songs, |put| put.song.id) {
                outcomes.extend(SongWriter::new(transaction).put(some)?);
            }
            Ok(outcomes)
        })
    }

    pub(crate) fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        self.database.write(|transaction| {
            let mut outcomes = Vec::with_capacity(songs.len());
            for some in without_repeats(songs, |delete| delete.id) {
                outcomes.extend(SongWriter::new(transaction).delete(some)?);
            }
            Ok(outcomes)
        })
    }

    pub(crate) fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.database.write(|transaction| {
            let (mut published, mut paths) = (Vec::new(), Vec::new());
            let mut seen = HashSet::new();
            for PurgeSong { id, deletion } in tombstones.iter().copied() {
                let buried =
                    match stored::read_tombstone(self.store.layout(), self.store.files(), id) {
                        // Its deletion cannot be read; `verify` reports it.
                        Err(Fault::Damaged { .. } | Fault::Newer { .. }) => None,
                        other => other?,
                    };
                let is_meant =
                    buried.is_some_and(|one| one.document.revision.operation == deletion);
                if is_meant && self.store.read_song(id)?.is_none() && seen.insert(id) {
                    paths.push(self.store.layout().of_song(Folder::Trash, id));
                    let before = Some(BTreeMap::new());
                    published.push(Published { id, resolved: Resolved::Absent, before });
                }
            }
            let ids: Vec<SongId> = published.iter().map(|one| one.id).collect();
            if ids.is_empty() {
                return Ok(());
            }
            Publisher::new(transaction).store(&[], &paths, |_| published, &ids)
        })
    }

    pub(crate) fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.database.read(|_| ids.iter().map(|id| self.store.read_document_of_song(*id)).collect())
    }

    pub(crate) fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        let summaries = self.find_summaries(query)?;
        let mut items = Vec::with_capacity(summaries.items.len());
        for summary in &summaries.items {
            match self.store.read_document_of_song(summary.id) {
                Ok(Some(song)) => items.push(song),
                // Deleted since the page was made.
                Ok(None) => {}
                // One damaged file must not hide the others; `verify` reports it.
                Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    tracing::warn!("left out of a list: {fault}");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(Page { items, next: summaries.next })
    }

    pub(crate) fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        self.database.read(|connection| find::page(connection, query))
    }

    pub(crate) fn count(&self, filter: &Filter) -> Result<u64> {
        self.database.read(|connection| find::count(connection, filter))
    }

    pub(crate) fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.database
            .read(|connection| lookups.iter().map(|one| look_up(connection, one)).collect())
    }

    /// A text that is another one after every change of a song.
    pub(crate) fn state(&self) -> Result<String> {
        self.database.read(|connection| {
            let last = Catalog::last_change(connection)?;
            Ok(format!("{}.{last}", Catalog::epoch(connection)?))
        })
    }

    pub(crate) fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let limit = limit.max(1);
        let (epoch, seen, rows, damaged) = self.database.read(|connection| {
            let epoch = Catalog::epoch(connection)?;
            let last = Catalog::last_change(connection)?;
            let seen = match since {
                None => 0,
                Some(cursor) => cursor
                    .0
                    .split_once('.')
                    .filter(|(of, _)| *of == epoch)
                    .and_then(|(_, rest)| rest.split('.').next()?.parse().ok())
                    .filter(|seen| (0..=last).contains(seen))
                    .ok_or_else(|| Fault::CursorLost(cursor.0.clone()))?,
            };
            let damaged = song_rows::damaged_ids(connection)?;
            Ok((epoch, seen, changes_since(connection, seen, limit)?, damaged))
        })?;
        let more = rows.len() > limit;
        let rows = &rows[..rows.len().min(limit)];
        let mut changes = Vec::with_capacity(rows.len());
        let mut unreadable = Vec::new();
        for (id, _) in rows {
            let (resolved, _) = self.store.resolve(*id);
            let (state, origin) = match resolved {
                Resolved::Present(stored) => {
                    (ChangeState::Present(Box::new(stored.document)), stored.origin)
                }
                Resolved::Deleted(stored) => {
                    (ChangeState::Deleted(Box::new(stored.document)), stored.origin)
                }
                // Purged since the page was made.
                Resolved::Absent => continue,
                Resolved::Damaged(fault) => {
                    unreadable.push(UnreadableSong { song: *id, why: fault.unreadable()? });
                    continue;
                }
            };
            changes.push(Change { song: *id, state, origin });
        }
        // Those that the catalog knows to be damaged have no number, and are
        // listed on every page until they are repaired.
        for id in damaged.into_iter().filter(|_| !more) {
            if let (Resolved::Damaged(fault), _) = self.store.resolve(id) {
                unreadable.push(UnreadableSong { song: id, why: fault.unreadable()? });
            }
        }
        let last = rows.last().map_or(seen, |(_, change)| *change);
        // Read before anybody can list them, so what is written meanwhile is
        // reported by the next page.
        let now = Documents::new(self.database).state()?;
        let documents = since.and_then(|cursor| cursor.0.splitn(3, '.').nth(2)) != Some(&now);
        let cursor = Cursor(format!("{epoch}.{last}.{now}"));
        Ok(ChangePage { changes, cursor, more, documents, unreadable })
    }

    pub(crate) fn put_model(&self, spec: &ModelSpec) -> Result<()> {
        let known = self.database.read(|connection| Catalog::model(connection, &spec.name))?;
        if let Some(known) = known {
            return same_model(&known.spec, spec);
        }
        if !(1..=16_384).contains(&spec.dimension) {
            return Err(Fault::invalid(format_args!(
                "its dimension is {}, but has to be 1 to 16384",
                spec.dimension
            )));
        }
        self.database.write(|transaction| {
            if let Some(known) = Catalog::model(transaction.connection(), &spec.name)? {
                return same_model(&known.spec, spec);
            }
            let bytes = serde_json::to_vec_pretty(spec).map_err(Fault::invalid)?;
            self.store
                .files()
                .store(&[NewFile { path: self.store.layout().model(&spec.name), bytes }])?;
            transaction.commit(|connection| Catalog::set_model(connection, spec))
        })
    }
}

/// Stores and deletes songs, within a transaction.
struct SongWriter<'a> {
    transaction: &'a Transaction<'a>,
}

impl<'a> SongWriter<'a> {
    fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction }
    }

    // Ids are different from each other.
    fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        let store = self.transaction.store();
        let mut outcomes = Vec::with_capacity(songs.len());
        let (mut files, mut leftovers) = (Vec::new(), Vec::<PathBuf>::new());
        let (mut accepted, mut ids) = (Vec::new(), Vec::new());
        for put in songs {
            let PutSong { song, mode, origin } = put;
            let stored = match store.read_song(song.id) {
                // Creating a song again is how a damaged one is put right.
                Err(Fault::Damaged { .. }) if *mode == PutMode::Create => {
                    Recovery::new(self.transaction).set_aside(song.id)?;
                    None
                }
                other => other?.map(|stored| stored.document),
            };
            let version = stored.as_ref().map(|stored| stored.revision.operation);
            let allowed = match mode {
                PutMode::Create => version.is_none(),
                PutMode::Replace(expected) => version == Some(*expected),
            };
            if version == Some(song.revision.operation) {
                outcomes.push(Outcome::Done);
                continue;
            }
            if !allowed {
                outcomes.push(Outcome::Conflict(stored.map(Box::new)));
                continue;
            }
            let file = stored::song_file(store.layout(), song, origin.as_ref());
            // A number that JSON has no form for would make a file that nobody
            // can read.
            if let Err(error) = serde_json::from_slice::<Song>(&file.bytes) {
                return Err(Fault::invalid(format_args!(
                    "song `{}` cannot be written as JSON: {error}",
                    song.id.short()
                )));
            }
            files.push(file);
            let trash = store.layout().of_song(Folder::Trash, song.id);
            if trash.exists() {
                leftovers.push(trash);
            }
            ids.push(song.id);
            accepted.push((put, stored.map(|stored| stored.embeddings).unwrap_or_default()));
            outcomes.push(Outcome::Done);
        }
        if ids.is_empty() {
            return Ok(outcomes);
        }
        Publisher::new(self.transaction).store(
            &files,
            &leftovers,
            |stamps| {
                let published = accepted.into_iter().zip(stamps).map(|((put, before), stamp)| {
                    let (document, origin) = (put.song.clone(), put.origin.clone());
                    let stored = Stored { document, origin, stamp: *stamp };
                    let resolved = Resolved::Present(Box::new(stored));
                    Published { id: put.song.id, resolved, before: Some(before) }
                });
                published.collect()
            },
            &ids,
        )?;
        Ok(outcomes)
    }

    // Ids are different from each other.
    fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let store = self.transaction.store();
        let mut outcomes = Vec::with_capacity(songs.len());
        let (mut files, mut leftovers) = (Vec::new(), Vec::new());
        let (mut accepted, mut ids) = (Vec::new(), Vec::new());
        for delete in songs {
            let stored = match store.read_song(delete.id) {
                // No tombstone can be made of it.
                Err(Fault::Damaged { .. }) if delete.version.is_none() => {
                    Recovery::new(self.transaction).set_aside(delete.id)?;
                    None
                }
                other => other?,
            };
            let Some(stored) = stored else {
                outcomes.push(Outcome::Done);
                continue;
            };
            let song = stored.document;
            if delete.version.is_some_and(|version| version != song.revision.operation) {
                outcomes.push(Outcome::Conflict(Some(Box::new(song))));
                continue;
            }
            let before = song.embeddings.clone();
            let tombstone = delete.tombstone(song);
            files.push(stored::tombstone_file(store.layout(), &tombstone, delete.origin.as_ref()));
            leftovers.push(store.layout().of_song(Folder::Songs, delete.id));
            ids.push(delete.id);
            accepted.push((tombstone, delete.origin.clone(), before));
            outcomes.push(Outcome::Done);
        }
        if ids.is_empty() {
            return Ok(outcomes);
        }
        Publisher::new(self.transaction).store(
            &files,
            &leftovers,
            |stamps| {
                let deleted = accepted.into_iter().zip(stamps);
                let published = deleted.map(|((document, origin, before), stamp)| {
                    let id = document.song.id;
                    let stored = Stored { document, origin, stamp: *stamp };
                    let resolved = Resolved::Deleted(Box::new(stored));
                    Published { id, resolved, before: Some(before) }
                });
                published.collect()
            },
            &ids,
        )?;
        Ok(outcomes)
    }
}

/// Cuts a batch so that no part has an element twice.
fn without_repeats<T>(all: &[T], id: impl Fn(&T) -> SongId) -> Vec<&[T]> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for (i, one) in all.iter().enumerate() {
        if !seen.insert(id(one)) {
            parts.push(&all[begin..i]);
            begin = i;
            seen.clear();
            seen.insert(id(one));
        }
    }
    parts.push(&all[begin..]);
    parts
}

fn same_model(known: &ModelSpec, spec: &ModelSpec) -> Result<()> {
    if known.dimension == spec.dimension && known.metric == spec.metric {
        return Ok(());
    }
    Err(Fault::invalid(format_args!(
        "it is known with {} dimensions compared by {}, not {} by {}",
        known.dimension, known.metric, spec.dimension, spec.metric
    )))
}

fn look_up(connection: &Connection, lookup: &Lookup) -> Result<Vec<SongId>> {
    let ids = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<Vec<SongId>> {
        let mut statement = connection.prepare_cached(sql)?;
        let ids = statement.query_map(params, |row| row.get(0).map(SongId::from_bytes))?;
        Ok(ids.collect::<Result<_, _>>()?)
    };
    match lookup {
        Lookup::IdPrefix(prefix) => {
            let Some((first, last)) = range_of_prefix(prefix) else { return Ok(vec![]) };
            ids(
                "SELECT id FROM song WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                params![first, last, MOST_BY_NAME as i64],
            )
        }
        // Not as a join: with a value to compare in a question about `song`, which has an
        // index of a part of its rows, SQLite plans the question again for each value.
        Lookup::Path(path) => ids(
            "SELECT id FROM song WHERE n IN (SELECT n FROM file WHERE path = ?) ORDER BY id",
            params![path],
        ),
        Lookup::FileHash(hash) => ids(
            "SELECT id FROM song WHERE n IN (SELECT n FROM file WHERE sha256 = ?) ORDER BY id",
            params![hash.0],
        ),
        Lookup::Title(title) => ids(
            "SELECT id FROM song INDEXED BY song_title WHERE title = ? ORDER BY id LIMIT ?",
            params![fold(title), MOST_BY_NAME as i64],
        ),
    }
}

/// The lowest and the highest id that begin with these digits.
fn range_of_prefix(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: Vec<u8> = prefix
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.len() > 32 {
        return None;
    }
    let end = |fill: u8| {
        let mut id = [0; 16];
        for (i, byte) in id.iter_mut().enumerate() {
            let digit = |i: usize| digits.get(i).copied().unwrap_or(fill);
            *byte = digit(2 * i) << 4 | digit(2 * i + 1);
        }
        id
    };
    Some((end(0), end(0xf)))
}

fn changes_since(connection: &Connection, seen: i64, limit: usize) -> Result<Vec<(SongId, i64)>> {
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement = connection.prepare_cached(
        "SELECT id, change FROM song WHERE change > ?1 \
         UNION ALL SELECT id, change FROM tombstone WHERE change > ?1 \
         ORDER BY change LIMIT ?2",
    )?;
    let rows = statement.query_map(params![seen, one_more], |row| {
        Ok((SongId::from_bytes(row.get(0)?), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_ids() {
        assert_eq!(range_of_prefix(""), Some(([0; 16], [0xff; 16])));
        let (first, last) = range_of_prefix("3F-a").unwrap();
        assert_eq!((first[0], first[1], last[0], last[1]), (0x3f, 0xa0, 0x3f, 0xaf));
        assert_eq!(range_of_prefix("xyz"), None);
        assert_eq!(range_of_prefix(&"0".repeat(33)), None);
    }

    #[test]
    fn a_batch_is_cut_before_a_repeat() {
        let id = |n: &u8| SongId::from_bytes([*n; 16]);

        assert_eq!(without_repeats(&[1, 2, 1, 1, 3], id), [&[1, 2][..], &[1], &[1, 3]]);
    }
}
