//! Songs: storing, reading, looking up, deleting.
//!
//! A song is one document, and every write of it is a compare-and-set on the
//! operation that wrote it. Whether a write whose answer was lost has happened
//! is read from the document, never guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::{TryStreamExt, future};
use serde_json::{Value, json};
use songrec_core::{Filter, OperationId, Song, SongId, SongSummary, fold};
use songrec_storage::{
    DeleteSong, Lookup, Outcome, Page, PurgeSong, PutMode, PutSong, Result, SongQuery, SongStore,
    Unreadable,
};

use crate::{
    client::{Find, Inserted, MAX_IN, MAX_INSERT, Problem, Update, Version},
    facets::{ID_DIGITS, MOST_LOOKUP_KEYS, any_lookup_key, path_lookup_key},
    find::SongSearch,
    row::{
        Before, DELETED, PRESENT, Row, SearchFields, SongDocument, Sync, WrongRow, order_text,
        tombstone_update, whole,
    },
    shared::{AT_ONCE, ROUNDS, Seen, Shared, at_once, positions},
};

/// Songs that a prefix or a title names at the most, by the contract.
const NAMED: usize = 20;

/// Songs and their tombstones.
#[derive(Debug)]
pub(crate) struct Songs {
    shared: Arc<Shared>,
}

impl Songs {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn store_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        for PutSong { song, .. } in songs {
            for model in song.embeddings.keys() {
                if self.shared.model(model).await?.is_none() {
                    let why =
                        format!("it names an embedding of `{model}`, which is not known here");
                    return Err(self.shared.invalid("store", about(song.id), why));
                }
            }
        }
        let mut outcomes: Vec<Option<Outcome<Song>>> = songs.iter().map(|_| None).collect();
        let ids: Vec<SongId> = songs.iter().map(|put| put.song.id).collect();
        for round in rounds(&ids) {
            let (creates, replaces): (Vec<_>, Vec<_>) =
                round.into_iter().partition(|at| songs[*at].mode == PutMode::Create);
            let chunks: Vec<&[usize]> = creates.chunks(MAX_INSERT).collect();
            let created: Vec<Vec<(usize, Outcome<Song>)>> = at_once(
                4,
                chunks.into_iter().map(|chunk| self.create_songs(songs, chunk)).collect(),
            )
            .await?;
            for (at, outcome) in created.into_iter().flatten() {
                outcomes[at] = Some(outcome);
            }
            let replaced = self.replace_songs(songs, &replaces).await?;
            for (at, outcome) in replaced {
                outcomes[at] = Some(outcome);
            }
        }
        Ok(outcomes.into_iter().map(|one| one.expect("every song is in one round")).collect())
    }

    fn document(&self, put: &PutSong, before: &Before) -> SongDocument {
        let mut document = SongDocument::of(&put.song, before, put.origin.as_ref());
        for (model, inline) in &mut document.embeddings {
            let key = document.keys.get(model);
            inline.data = key.and_then(|key| self.shared.vector(key, inline.digest));
        }
        document
    }

    async fn create_songs(
        &self,
        songs: &[PutSong],
        which: &[usize],
    ) -> Result<Vec<(usize, Outcome<Song>)>> {
        let failed =
            |error| self.shared.failed("store", format_args!("{} songs", which.len()), error);
        let documents: Vec<SongDocument> =
            which.iter().map(|at| self.document(&songs[*at], &Before::default())).collect();
        let inserted = self.shared.songs.insert_many(&documents).await.map_err(failed)?;
        let mut outcomes = Vec::with_capacity(which.len());
        let (mut taken, mut known_before) = (Vec::new(), Vec::new());
        for ((at, inserted), document) in which.iter().zip(inserted).zip(&documents) {
            match inserted {
                Inserted::Done => {
                    if !self.remember_written(document) {
                        known_before.push((&songs[*at].song, document));
                    }
                    outcomes.push((*at, Outcome::Done));
                }
                Inserted::Exists { repeated } => taken.push((*at, repeated)),
                Inserted::Failed(error) => return Err(failed(error)),
            }
        }
        // What was stored long before may have been hidden meanwhile, when
        // another song of this id was deleted and purged.
        let shown = known_before
            .into_iter()
            .map(|(song, document)| self.show_everywhere(song, document.sync.n, None))
            .collect();
        at_once(AT_ONCE, shown).await?;
        for _ in 0..ROUNDS {
            if taken.is_empty() {
                return Ok(outcomes);
            }
            let ids: Vec<SongId> = taken.iter().map(|(at, _)| songs[*at].song.id).collect();
            let rows = self.rows(&ids, whole()).await?;
            let settled: Vec<_> = at_once(
                AT_ONCE,
                std::mem::take(&mut taken)
                    .into_iter()
                    .map(|(at, repeated)| {
                        let row = rows.get(&songs[at].song.id);
                        async move {
                            let outcome = self.create_over(&songs[at], row, repeated).await?;
                            Ok::<_, songrec_storage::Error>((at, repeated, outcome))
                        }
                    })
                    .collect(),
            )
            .await?;
            for (at, repeated, outcome) in settled {
                match outcome {
                    Some(outcome) => outcomes.push((at, outcome)),
                    None => taken.push((at, repeated)),
                }
            }
        }
        if taken.is_empty() { Ok(outcomes) } else { Err(self.shared.contended("store", "songs")) }
    }

    // What becomes of a song whose place was taken; nothing if it has to be
    // looked at again.
    async fn create_over(
        &self,
        put: &PutSong,
        row: Option<&Row>,
        repeated: bool,
    ) -> Result<Option<Outcome<Song>>> {
        let song = &put.song;
        let Some(row) = row else {
            let document = self.document(put, &Before::default());
            return match self.shared.songs.insert_one(&document).await {
                Ok(()) => {
                    if !self.remember_written(&document) {
                        self.show_everywhere(song, document.sync.n, None).await?;
                    }
                    Ok(Some(Outcome::Done))
                }
                Err(error) if error.problem() == Problem::DocumentExists => Ok(None),
                Err(error) => Err(self.shared.failed("store", about(song.id), error)),
            };
        };
        let operation = song.revision.operation;
        if row.is_present() && row.rev() == Some(operation) {
            // Its writer may have died before its embeddings were recorded.
            let first = row.history().len() == 1;
            if !(first && row.keys.values().all(|key| self.shared.take_fresh(key))) {
                self.show_everywhere(song, row.before().n, None).await?;
            }
            return Ok(Some(Outcome::Done));
        }
        if repeated && row.history().contains(&operation) {
            return Ok(Some(Outcome::Done));
        }
        if row.is_present() {
            match row.song() {
                Ok(stored) => return Ok(Some(Outcome::Conflict(stored.map(Box::new)))),
                // Creating a song again is how a damaged one is put right.
                Err(WrongRow { why: Unreadable::Damaged(_), .. }) => {
                    self.copy_aside("store", row).await?;
                }
                Err(newer) => return Err(self.shared.unreadable("store", about(song.id), newer)),
            }
        }
        let document = self.document(put, &row.before());
        let filter = json!({"_id": song.id, "sync.rev": row.rev()});
        let update = Update::new(filter, document.update()).repeatable();
        let updated = self.shared.songs.update_one(&update).await;
        if updated.map_err(|error| self.shared.failed("store", about(song.id), error))?.modified
            == 0
        {
            return Ok(None);
        }
        self.remember_written(&document);
        // A deleted song comes back, and so do its embeddings.
        self.show_everywhere(song, document.sync.n, Some(&row.keys)).await?;
        Ok(Some(Outcome::Done))
    }

    /// Keeps a copy of a row that cannot be used beside the library's own
    /// documents, before another takes its place; says under which name.
    pub(crate) async fn copy_aside(&self, operation: &'static str, row: &Row) -> Result<String> {
        let version = row.rev().map_or_else(|| "unknown".to_owned(), |rev| rev.to_string());
        let name = format!("damaged:{}:{version}", row.id);
        let copy = json!({"_id": name, "kind": "damaged", "payload": row.song});
        match self.shared.library.insert_one(&copy).await {
            Ok(()) => {}
            Err(error) if error.problem() == Problem::DocumentExists => {}
            Err(error) => return Err(self.shared.failed(operation, about(row.id), error)),
        }
        tracing::warn!("song `{}` is damaged and was copied to `{name}` of `library`", row.id);
        Ok(name)
    }

    async fn replace_songs(
        &self,
        songs: &[PutSong],
        which: &[usize],
    ) -> Result<Vec<(usize, Outcome<Song>)>> {
        // The last writers are needed for the new document. Who read the song
        // or wrote it knows them; the others are asked for together, and so are
        // those that are to be stored as they are.
        let unknown: Vec<SongId> = which
            .iter()
            .filter(|at| {
                let put = &songs[**at];
                let expected = match put.mode {
                    PutMode::Replace(expected) => Some(expected),
                    PutMode::Create => None,
                };
                expected == Some(put.song.revision.operation)
                    || self.shared.seen(put.song.id).map(|seen| seen.rev) != expected
            })
            .map(|at| songs[*at].song.id)
            .collect();
        let rows = self.rows(&unknown, whole()).await?;
        let unknown: std::collections::HashSet<SongId> = unknown.into_iter().collect();
        at_once(
            AT_ONCE,
            which
                .iter()
                .map(|at| {
                    let id = songs[*at].song.id;
                    let asked = unknown.contains(&id).then(|| rows.get(&id).cloned());
                    async move { Ok((*at, self.replace_song(&songs[*at], asked).await?)) }
                })
                .collect(),
        )
        .await
    }

    // `row` is what is stored, if that was asked already.
    async fn replace_song(&self, put: &PutSong, row: Option<Option<Row>>) -> Result<Outcome<Song>> {
        let PutMode::Replace(expected) = put.mode else { unreachable!("the others are created") };
        let (song, operation) = (&put.song, put.song.revision.operation);
        let unreadable = |error| self.shared.unreadable("store", about(song.id), error);
        let mut row = row;
        let mut sent = false;
        for _ in 0..ROUNDS {
            let (before, known) = match &row {
                Some(None) => return Ok(Outcome::Conflict(None)),
                Some(Some(stored)) if !stored.is_present() => return Ok(Outcome::Conflict(None)),
                Some(Some(stored)) if stored.rev() == Some(operation) => {
                    // Its embeddings may not have been recorded yet.
                    self.show_everywhere(song, stored.before().n, None).await?;
                    return Ok(Outcome::Done);
                }
                Some(Some(stored)) if stored.rev() == Some(expected) => (stored.before(), None),
                // It landed, and somebody else has written since.
                Some(Some(stored)) if sent && stored.history().contains(&operation) => {
                    return Ok(Outcome::Done);
                }
                Some(Some(stored)) => {
                    let stored = stored.song().map_err(unreadable)?;
                    return Ok(Outcome::Conflict(stored.map(Box::new)));
                }
                None => match self.shared.seen(song.id).filter(|seen| seen.rev == expected) {
                    Some(seen) => (seen.before.clone(), Some(seen)),
                    None => (Before::default(), None),
                },
            };
            let document = self.document(put, &before);
            let filter = json!({"_id": song.id, "sync.rev": expected, "state": PRESENT});
            let update = Update::new(filter, document.update())
                .repeatable()
                .project(json!({"card": 1, "keys": 1}));
            sent = true;
            let updated = self
                .shared
                .songs
                .find_one_and_update::<Row>(&update, Version::Before)
                .await
                .map_err(|error| self.shared.failed("store", about(song.id), error))?;
            if updated.modified == 1 {
                self.remember_written(&document);
                let before = updated.document;
                let old_keys = before.as_ref().map_or_else(BTreeMap::new, |row| row.keys.clone());
                let search_fields = document.search_fields();
                let same_search_fields = match known.and_then(|seen| seen.search_fields) {
                    Some(known) => known == search_fields,
                    None => before
                        .is_some_and(|row| row.summary.as_deref() == Some(&search_fields.summary)),
                };
                if !same_search_fields || old_keys != document.keys {
                    self.show_everywhere(song, document.sync.n, Some(&old_keys)).await?;
                }
                return Ok(Outcome::Done);
            }
            row = Some(self.rows(&[song.id], whole()).await?.remove(&song.id));
        }
        Err(self.shared.contended("store", about(song.id)))
    }

    // Says whether the documents of all its embeddings were just inserted by
    // us, and so show what they should.
    fn remember_written(&self, document: &SongDocument) -> bool {
        let seen = Seen {
            rev: document.sync.rev,
            before: document.sync.before(),
            search_fields: Some(document.search_fields()),
        };
        self.shared.remember(document.id, seen);
        let fresh = document.keys.values().filter(|key| self.shared.take_fresh(key)).count();
        fresh == document.keys.len()
    }

    /// Brings the documents of a song's embeddings up to date with its version
    /// `n`: what they show, and which of them are its own. An older version
    /// that comes late does not hide a newer one.
    pub(crate) async fn show_everywhere(
        &self,
        song: &Song,
        n: u64,
        old_keys: Option<&BTreeMap<String, String>>,
    ) -> Result<()> {
        let search_fields = SearchFields::of(&songrec_core::SongSummary::of(song));
        let of_key = |key: &str| json!({"_id": key, "n": {"$lte": n}});
        let mut updates = Vec::new();
        for (model, named) in &song.embeddings {
            let (Some(known), Some(key)) = (self.shared.model(model).await?, &named.key) else {
                continue;
            };
            let set = json!({"$set": {
                "of": SONG, "n": n, "card": search_fields.summary, "find": search_fields.facets,
            }});
            updates.push((known, Update::new(of_key(key), set).repeatable()));
        }
        for known in self.shared.known_models() {
            let field = crate::schema::field_name(&known.spec.name);
            let named = song.embeddings.get(&known.spec.name).and_then(|named| named.key.as_ref());
            let old = old_keys.and_then(|keys| keys.get(&field));
            if let Some(old) = old.filter(|old| Some(*old) != named) {
                let set = json!({"$set": {"of": GONE, "n": n}});
                updates.push((known, Update::new(of_key(old), set).repeatable()));
            }
        }
        let all = updates.into_iter().map(|(known, update)| async move {
            self.shared.embeddings_of(&known).update_one(&update).await
        });
        future::try_join_all(all)
            .await
            .map_err(|error| self.shared.failed("show", about(song.id), error))?;
        Ok(())
    }

    pub(crate) async fn read_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        let rows = self.rows(ids, whole()).await?;
        let mut songs: HashMap<SongId, Song> = HashMap::with_capacity(rows.len());
        for (id, row) in rows {
            let song =
                row.song().map_err(|error| self.shared.unreadable("read", about(id), error))?;
            songs.extend(song.map(|song| (id, song)));
        }
        Ok(ids.iter().map(|id| songs.get(id).cloned()).collect())
    }

    /// The documents of these songs, tombstones included.
    pub(crate) async fn rows(
        &self,
        ids: &[SongId],
        projection: Value,
    ) -> Result<HashMap<SongId, Row>> {
        let different: Vec<SongId> = positions(ids).into_keys().collect();
        let chunks: Vec<&[SongId]> = different.chunks(MAX_IN).collect();
        let pages: Vec<Vec<Row>> = at_once(
            AT_ONCE,
            chunks
                .into_iter()
                .map(|chunk| {
                    let filter = match chunk {
                        [one] => json!({"_id": one}),
                        many => json!({"_id": {"$in": many}}),
                    };
                    self.shared
                        .songs
                        .find::<Row>(Find::new(filter).project(projection.clone()))
                        .try_collect()
                })
                .collect(),
        )
        .await
        .map_err(|error| self.shared.failed("read", format_args!("{} songs", ids.len()), error))?;
        let rows: HashMap<SongId, Row> =
            pages.into_iter().flatten().map(|row| (row.id, row)).collect();
        for id in different {
            match rows.get(&id) {
                None => self.shared.remember_absent(id),
                Some(row) => self.remember_row(row),
            }
        }
        Ok(rows)
    }

    pub(crate) fn remember_row(&self, row: &Row) {
        if let Some(sync) = &row.sync {
            self.shared.remember(
                row.id,
                Seen { rev: sync.rev, before: sync.before(), search_fields: None },
            );
        }
    }

    pub(crate) async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        let mut answers: Vec<Vec<SongId>> = vec![Vec::new(); lookups.len()];
        // Paths and hashes are asked for together.
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        for lookup in lookups {
            match lookup {
                Lookup::Path(path) => paths.push(path_lookup_key(path)),
                Lookup::FileHash(hash) => files.push(hash.to_string()),
                Lookup::IdPrefix(_) | Lookup::Title(_) => {}
            }
        }
        let mut songs: HashMap<SongId, Song> = HashMap::new();
        for (field, mut lookup_keys) in [("find.path", paths), ("find.file", files)] {
            lookup_keys.sort_unstable();
            lookup_keys.dedup();
            let chunks: Vec<&[String]> = lookup_keys.chunks(MOST_LOOKUP_KEYS).collect();
            let found: Vec<Vec<Row>> = at_once(
                AT_ONCE,
                chunks
                    .into_iter()
                    .map(|chunk| {
                        let filter =
                            json!({"$and": [{"state": PRESENT}, {field: any_lookup_key(chunk)}]});
                        self.shared
                            .songs
                            .find::<Row>(Find::new(filter).project(whole()))
                            .try_collect()
                    })
                    .collect(),
            )
            .await
            .map_err(|error| self.shared.failed("look up", "songs", error))?;
            for row in found.into_iter().flatten() {
                match row.song() {
                    Ok(song) => songs.extend(song.map(|song| (row.id, song))),
                    // A read of the song reports it.
                    Err(wrong) => tracing::warn!("left out of a look-up: {wrong}"),
                }
            }
        }
        let mut ids: Vec<&SongId> = songs.keys().collect();
        ids.sort_unstable();
        let mut by_path: HashMap<&str, Vec<SongId>> = HashMap::new();
        let mut by_hash: HashMap<_, Vec<SongId>> = HashMap::new();
        for id in ids {
            for file in &songs[id].files {
                let same_path = by_path.entry(&file.path).or_default();
                if same_path.last() != Some(id) {
                    same_path.push(*id);
                }
                let same_hash = by_hash.entry(file.sha256).or_default();
                if same_hash.last() != Some(id) {
                    same_hash.push(*id);
                }
            }
        }
        // Whole ids are read together; real prefixes one by one.
        let digits = |text: &str| text.replace('-', "").to_lowercase();
        let whole_ids: Vec<SongId> = lookups
            .iter()
            .filter_map(|lookup| match lookup {
                Lookup::IdPrefix(text) if digits(text).len() == 32 => digits(text).parse().ok(),
                _ => None,
            })
            .collect();
        let rows = self.rows(&whole_ids, json!({"state": 1, "sync": 1, "keys": 1})).await?;
        let mut prefixes: HashMap<String, Vec<usize>> = HashMap::new();
        let mut titles: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, lookup) in lookups.iter().enumerate() {
            match lookup {
                Lookup::Path(path) => {
                    answers[at] = by_path.get(path.as_str()).cloned().unwrap_or_default();
                }
                Lookup::FileHash(hash) => {
                    answers[at] = by_hash.get(hash).cloned().unwrap_or_default();
                }
                Lookup::IdPrefix(text) if digits(text).len() == 32 => {
                    let id = digits(text).parse::<SongId>().ok();
                    let row = id.and_then(|id| rows.get(&id)).filter(|row| row.is_present());
                    answers[at] = row.map(|row| row.id).into_iter().collect();
                }
                Lookup::IdPrefix(text) => prefixes.entry(digits(text)).or_default().push(at),
                Lookup::Title(title) => titles.entry(title).or_default().push(at),
            }
        }
        let found: Vec<(Vec<usize>, Vec<SongId>)> = at_once(
            AT_ONCE,
            prefixes
                .into_iter()
                .map(|(prefix, positions)| async move {
                    Ok::<_, songrec_storage::Error>((positions, self.ids_beginning(prefix).await?))
                })
                .collect(),
        )
        .await?;
        let titled = titles.into_iter().map(|(title, positions)| async move {
            Ok::<_, songrec_storage::Error>((positions, self.ids_titled(title).await?))
        });
        let titled = at_once(AT_ONCE, titled.collect()).await?;
        for (positions, ids) in found.into_iter().chain(titled) {
            for at in positions {
                answers[at] = ids.clone();
            }
        }
        Ok(answers)
    }

    // The first ids with this beginning. Where there are too many to sort, the
    // beginnings that are one digit longer are asked for in turn.
    async fn ids_beginning(&self, prefix: String) -> Result<Vec<SongId>> {
        if !prefix.bytes().all(|b| b.is_ascii_hexdigit()) || prefix.len() > 32 {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        let mut open = vec![prefix.clone()];
        while let Some(part) = open.pop() {
            let searched = &part[..part.len().min(ID_DIGITS)];
            let mut filter = vec![json!({"state": PRESENT})];
            if !searched.is_empty() {
                filter.push(json!({"find.id": searched}));
            }
            let mut taken = 0;
            loop {
                let find = Find::new(json!({"$and": filter}))
                    .project(json!({"state": 1}))
                    .sort(json!({"order.id": 1}))
                    .limit(NAMED)
                    .skip(taken);
                let page = match self.shared.songs.find_page::<Row>(&find).await {
                    Ok(page) => page.documents,
                    Err(error)
                        if error.problem() == Problem::SortTooLarge && part.len() < ID_DIGITS =>
                    {
                        let longer = "fedcba9876543210".chars();
                        open.extend(longer.map(|digit| format!("{part}{digit}")));
                        break;
                    }
                    Err(error) => {
                        return Err(self.shared.failed(
                            "look up",
                            format_args!("`{prefix}`"),
                            error,
                        ));
                    }
                };
                taken += page.len();
                let last = self.shared.is_last_page(page.len(), NAMED);
                let matches = |id: &SongId| id.to_string().replace('-', "").starts_with(&prefix);
                ids.extend(page.into_iter().map(|row| row.id).filter(matches));
                if last || ids.len() >= NAMED {
                    break;
                }
            }
            if ids.len() >= NAMED {
                break;
            }
        }
        ids.truncate(NAMED);
        Ok(ids)
    }

    // The first ids of songs with this title. What is stored of a long title is
    // its beginning, so the summaries decide.
    async fn ids_titled(&self, title: &str) -> Result<Vec<SongId>> {
        let wanted = fold(title);
        let matches = |row: &Row| match row.summary() {
            Ok(summary) => Ok((fold(&summary.title) == wanted).then_some(row.id)),
            Err(error) => Err(self.shared.damaged("look up", about(row.id), error)),
        };
        let titled = json!({"$and": [{"state": PRESENT}, {"order.title": order_text(title)}]});
        let find = Find::new(titled).project(json!({"state": 1, "card": 1}));
        let mut ids = Vec::new();
        let mut taken = 0;
        loop {
            let sorted = find.clone().sort(json!({"order.id": 1})).limit(NAMED).skip(taken);
            let page = match self.shared.songs.find_page::<Row>(&sorted).await {
                Ok(page) => page.documents,
                Err(error) if error.problem() == Problem::SortTooLarge => break,
                Err(error) => return Err(self.shared.failed("look up", "a title", error)),
            };
            taken += page.len();
            for row in &page {
                ids.extend(matches(row)?);
            }
            if self.shared.is_last_page(page.len(), NAMED) || ids.len() >= NAMED {
                ids.truncate(NAMED);
                return Ok(ids);
            }
        }
        // More than the server sorts: all of them pass by.
        let mut first = BTreeSet::new();
        let mut rows = std::pin::pin!(self.shared.songs.find::<Row>(find));
        let failed = |error| self.shared.failed("look up", "a title", error);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            first.extend(matches(&row)?);
            if first.len() > NAMED {
                first.pop_last();
            }
        }
        Ok(first.into_iter().collect())
    }

    pub(crate) async fn bury_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let ids: Vec<SongId> = songs.iter().map(|delete| delete.id).collect();
        let mut outcomes: Vec<Option<Outcome<Song>>> = songs.iter().map(|_| None).collect();
        let (mut keys, mut n) = (Vec::new(), 0);
        for round in rounds(&ids) {
            let of_round: Vec<SongId> = round.iter().map(|at| ids[*at]).collect();
            let rows = self.rows(&of_round, whole()).await?;
            let buried: Vec<(Outcome<Song>, Deleting)> = at_once(
                AT_ONCE,
                round
                    .iter()
                    .map(|at| self.bury_song(&songs[*at], rows.get(&ids[*at]).cloned()))
                    .collect(),
            )
            .await?;
            for (at, (outcome, buried)) in round.into_iter().zip(buried) {
                keys.extend(buried.keys);
                n = n.max(buried.n);
                outcomes[at] = Some(outcome);
            }
        }
        let outcomes =
            outcomes.into_iter().map(|one| one.expect("every song is in one round")).collect();
        self.hide(&keys, n).await?;
        Ok(outcomes)
    }

    // Embeddings of songs deleted up to `n` are no hits any more. Which
    // collection each key is in is not asked: an update of what is not there
    // does nothing.
    async fn hide(&self, keys: &[String], n: u64) -> Result<()> {
        let mut updates = Vec::new();
        for model in self.shared.known_models() {
            for chunk in keys.chunks(MAX_IN) {
                let filter = json!({"_id": {"$in": chunk}, "n": {"$lte": n}});
                // Their own number stays: `n` is the greatest of all of these
                // songs, and a song that comes back may have a lesser one.
                let set = json!({"$set": {"of": GONE}});
                let update = Update::new(filter, set).repeatable();
                let collection = self.shared.embeddings_of(&model);
                updates.push(async move { collection.update_many(&update).await });
            }
        }
        at_once(AT_ONCE, updates)
            .await
            .map_err(|error| self.shared.failed("hide", "embeddings of deleted songs", error))?;
        Ok(())
    }

    async fn bury_song(
        &self,
        delete: &DeleteSong,
        mut row: Option<Row>,
    ) -> Result<(Outcome<Song>, Deleting)> {
        let unreadable = |error| self.shared.unreadable("delete", about(delete.id), error);
        let mut sent = false;
        for _ in 0..ROUNDS {
            let Some(stored) = row else { return Ok((Outcome::Done, Deleting::default())) };
            let keys: Vec<String> = stored.keys.values().cloned().collect();
            let Some(song) = stored.song().map_err(unreadable)? else {
                // Who deleted it may have died before its embeddings were told.
                return Ok((Outcome::Done, Deleting { keys, n: stored.before().n }));
            };
            let rev = song.revision.operation;
            if delete.version.is_some_and(|version| version != rev) {
                let outcome = if sent && stored.history().contains(&delete.operation) {
                    Outcome::Done
                } else {
                    Outcome::Conflict(Some(Box::new(song)))
                };
                return Ok((outcome, Deleting::default()));
            }
            let tombstone = delete.tombstone(song);
            let filter = json!({"_id": delete.id, "sync.rev": rev, "state": PRESENT});
            let origin = delete.origin.as_ref();
            let sync = Sync::new(delete.operation, &stored.before(), origin);
            let change = tombstone_update(&tombstone, &sync);
            let update = Update::new(filter, change).repeatable();
            sent = true;
            let updated = self.shared.songs.update_one(&update).await;
            self.shared.forget(delete.id);
            let updated =
                updated.map_err(|error| self.shared.failed("delete", about(delete.id), error))?;
            if updated.modified == 1 {
                return Ok((Outcome::Done, Deleting { keys, n: sync.n }));
            }
            row = self.rows(&[delete.id], whole()).await?.remove(&delete.id);
        }
        Err(self.shared.contended("delete", about(delete.id)))
    }

    pub(crate) async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        let purges = tombstones.chunks(MAX_IN).map(|chunk| {
            let (ids, deletions): (Vec<SongId>, Vec<OperationId>) =
                chunk.iter().map(|purge| (purge.id, purge.deletion)).unzip();
            // An operation is of one song, so no song goes by that of another.
            self.shared.songs.delete_many(json!({
                "_id": {"$in": ids}, "state": DELETED, "sync.rev": {"$in": deletions},
            }))
        });
        let purged = at_once(4, purges.collect()).await;
        let count = tombstones.len();
        purged
            .map_err(|error| self.shared.failed("purge", format_args!("{count} songs"), error))?;
        tombstones.iter().for_each(|purge| self.shared.forget(purge.id));
        Ok(())
    }
}

// What a deleted song named, as of which version of its document.
#[derive(Debug, Default)]
struct Deleting {
    keys: Vec<String>,
    n: u64,
}

// The places of a batch in the order in which they have to be done: writes of
// one song follow one another, different songs do not wait.
fn rounds(ids: &[SongId]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for same in positions(ids).into_values() {
        for (round, at) in same.into_iter().enumerate() {
            if rounds.len() <= round {
                rounds.push(Vec::new());
            }
            rounds[round].push(at);
        }
    }
    rounds.iter_mut().for_each(|round| round.sort_unstable());
    rounds
}

/// What the document of an embedding is of: a song, a segment, or of a song
/// that no longer names it.
pub(crate) const SONG: &str = "song";
pub(crate) const SEGMENT: &str = "segment";
pub(crate) const GONE: &str = "gone";

pub(crate) fn about(id: SongId) -> String {
    format!("song `{}`", id.short())
}

#[async_trait]
impl SongStore for Songs {
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        self.store_songs(songs).await
    }

    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.read_songs(ids).await
    }

    async fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        SongSearch::of(&self.shared).page_of_songs(query).await
    }

    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        SongSearch::of(&self.shared).page_of_summaries(query).await
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        SongSearch::of(&self.shared).count(filter).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.look_up(lookups).await
    }

    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        self.bury_songs(songs).await
    }

    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.purge(tombstones).await
    }
}
