//! Songs: reading and deleting; storing and looking up in files of their own.
//!
//! A song is one document, and every write of it is a compare-and-set on the
//! operation that wrote it. Whether a write whose answer was lost has happened
//! is read from the document, never guessed.

mod look_up;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{TryStreamExt, future};
use serde_json::{Value, json};
use songrec_core::{Filter, OperationId, Song, SongId, SongSummary};
use songrec_storage::{
    DeleteSong, Lookup, Outcome, Page, PurgeSong, PutSong, Result, SongQuery, SongStore,
};

use crate::{
    client::{Find, MAX_IN, Update},
    find::SongSearch,
    row::{DELETED, PRESENT, Row, SearchFields, Sync, tombstone_update, whole},
    shared::{AT_ONCE, ROUNDS, Seen, Shared, at_once, positions},
};

/// Songs and their tombstones.
#[derive(Debug)]
pub(crate) struct Songs {
    shared: Arc<Shared>,
}

impl Songs {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
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
