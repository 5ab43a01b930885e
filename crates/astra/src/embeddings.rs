//! Embeddings: one collection per model, each document a vector and what
//! filters look at.
//!
//! The `_id` is the song's id and the operation that wrote it, so that nothing
//! ever takes the place of something else; the song names the one that is its
//! own. Vectors are sent as big-endian float32 and come back bit for bit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{
    Digest, Embedding, EmbeddingRef, Hint, Metric, ModelName, ModelSpec, OperationId, Remedy,
    SongId, SongSummary, Vector,
};
use songrec_storage::{
    EmbeddingStore, NearestQuery, Neighbor, NewEmbedding, Result, StoredEmbedding,
};

use crate::{
    client::{self, Find, Inserted, MAX_IN, MAX_INSERT, Update},
    clock::now_ms,
    facets::{Conditions, Facets},
    row::{Inline, Row, SearchFields},
    schema::{KnownModel, field_name},
    search::Search,
    shared::{AT_ONCE, SHORT_VECTOR, Shared, at_once},
    songs::Songs,
    songs::{SONG, about},
};

/// The document of an embedding, as it is written.
#[derive(Serialize)]
struct EmbeddingDocument<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    of: &'static str,
    song: SongId,
    /// The version of the song's document that the summary is of (`Sync::n`).
    n: u64,
    /// When it was written, in milliseconds since 1970: only so that `collect_garbage`
    /// leaves alone what is young.
    created: u64,
    digest: Digest,
    #[serde(rename = "card")]
    summary: String,
    find: Facets,
    #[serde(rename = "$vector")]
    vector: Value,
}

/// The document of an embedding, as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingRow {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) of: String,
    #[serde(default)]
    pub(crate) song: Option<SongId>,
    #[serde(default)]
    pub(crate) digest: Option<Digest>,
    #[serde(default, rename = "card")]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) n: u64,
    #[serde(default, rename = "$vector")]
    vector: Value,
}

impl EmbeddingRow {
    pub(crate) fn vector(&self) -> Option<Vector> {
        Vector::new(client::read_vector(&self.vector)?).ok()
    }
}

fn key_of(song: SongId, operation: OperationId) -> String {
    format!("{song}.{}", operation.short())
}

/// The embeddings of songs, a collection for each model.
#[derive(Debug)]
pub(crate) struct Embeddings {
    shared: Arc<Shared>,
}

impl Embeddings {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn store_embeddings(
        &self,
        embeddings: &[NewEmbedding],
    ) -> Result<Vec<EmbeddingRef>> {
        let mut by_model: BTreeMap<&ModelName, (KnownModel, Vec<usize>)> = BTreeMap::new();
        for (at, NewEmbedding { embedding, .. }) in embeddings.iter().enumerate() {
            let name = &embedding.model;
            let refused = |why| {
                let subject = format!("an embedding of {}", about(embedding.song));
                self.shared.invalid("store", subject, why)
            };
            if !by_model.contains_key(name) {
                let known = self.shared.model(name).await?;
                let known =
                    known.ok_or_else(|| refused(format!("there is no model `{name}` here")))?;
                by_model.insert(name, (known, Vec::new()));
            }
            let (known, positions) = by_model.get_mut(name).expect("just inserted");
            if let Some(why) = known.spec.refuses(&embedding.vector) {
                return Err(refused(why));
            }
            positions.push(at);
        }
        let mut references = self.named_already(embeddings).await?;
        self.take_out_lost(embeddings, &mut references).await?;
        for (known, positions) in by_model.into_values() {
            let open: Vec<usize> =
                positions.into_iter().filter(|at| references[*at].is_none()).collect();
            let chunks: Vec<&[usize]> = open.chunks(MAX_INSERT).collect();
            let stored: Vec<Vec<(usize, EmbeddingRef)>> = at_once(
                4,
                chunks
                    .into_iter()
                    .map(|chunk| self.insert_embeddings(&known, embeddings, chunk))
                    .collect(),
            )
            .await?;
            for (at, reference) in stored.into_iter().flatten() {
                references[at] = Some(reference);
            }
        }
        Ok(references.into_iter().map(|one| one.expect("each is named or inserted")).collect())
    }

    // The references of those embeddings that stored songs name already. Songs
    // that were just looked for and not there are not asked for again.
    async fn named_already(
        &self,
        embeddings: &[NewEmbedding],
    ) -> Result<Vec<Option<EmbeddingRef>>> {
        let ids: Vec<SongId> = embeddings
            .iter()
            .map(|new| new.embedding.song)
            .filter(|song| !self.shared.is_absent(*song))
            .collect();
        let rows = Songs::of(&self.shared)
            .rows(&ids, json!({"state": 1, "sync": 1, "keys": 1, "embeddings": 1}))
            .await?;
        let named = embeddings.iter().map(|NewEmbedding { embedding, .. }| {
            let row = rows.get(&embedding.song).filter(|row| row.is_present())?;
            let field = field_name(&embedding.model);
            Some(EmbeddingRef {
                dimension: embedding.vector.dimension(),
                digest: row.embeddings.get(&field)?.digest,
                key: Some(row.keys.get(&field)?.clone()),
            })
        });
        Ok(named.collect())
    }

    // One that is named and no longer there, or no longer what it was, is stored
    // anew under another key.
    async fn take_out_lost(
        &self,
        embeddings: &[NewEmbedding],
        references: &mut [Option<EmbeddingRef>],
    ) -> Result<()> {
        let mut by_model: BTreeMap<&ModelName, Vec<usize>> = BTreeMap::new();
        for (at, new) in embeddings.iter().enumerate().filter(|(at, _)| references[*at].is_some()) {
            by_model.entry(&new.embedding.model).or_default().push(at);
        }
        for (model, positions) in by_model {
            let Some(known) = self.shared.model(model).await? else { continue };
            for chunk in positions.chunks(MAX_IN) {
                let keys: Vec<&String> =
                    chunk.iter().filter_map(|at| references[*at].as_ref()?.key.as_ref()).collect();
                let find = Find::new(json!({"_id": {"$in": keys}})).project(json!({"$vector": 1}));
                let rows: Vec<EmbeddingRow> = self
                    .shared
                    .embeddings_of(&known)
                    .find(find)
                    .try_collect()
                    .await
                    .map_err(|error| {
                        self.shared.failed("read", format_args!("embeddings of `{model}`"), error)
                    })?;
                let whole: HashMap<String, Digest> = rows
                    .into_iter()
                    .filter_map(|row| {
                        let digest = Digest::of(&row.vector()?.to_le_bytes());
                        Some((row.id, digest))
                    })
                    .collect();
                for at in chunk {
                    let is_whole = references[*at].as_ref().is_some_and(|named| {
                        named.key.as_ref().and_then(|key| whole.get(key)) == Some(&named.digest)
                    });
                    if !is_whole {
                        references[*at] = None;
                    }
                }
            }
        }
        Ok(())
    }

    async fn insert_embeddings(
        &self,
        known: &KnownModel,
        embeddings: &[NewEmbedding],
        which: &[usize],
    ) -> Result<Vec<(usize, EmbeddingRef)>> {
        let keys: Vec<String> = which
            .iter()
            .map(|at| key_of(embeddings[*at].embedding.song, embeddings[*at].operation))
            .collect();
        let mut references: Vec<EmbeddingRef> = which
            .iter()
            .zip(&keys)
            .map(|(at, key)| EmbeddingRef {
                key: Some(key.clone()),
                ..embeddings[*at].embedding.reference()
            })
            .collect();
        let created = now_ms();
        let documents: Vec<EmbeddingDocument<'_>> = which
            .iter()
            .zip(keys.iter().zip(&references))
            .map(|(at, (key, reference))| {
                let NewEmbedding { embedding, summary, .. } = &embeddings[*at];
                let SearchFields { summary, facets } = SearchFields::of(summary);
                EmbeddingDocument {
                    id: key,
                    of: SONG,
                    song: embedding.song,
                    n: 0,
                    created,
                    digest: reference.digest,
                    summary,
                    find: facets,
                    vector: client::binary_vector(embedding.vector.values()),
                }
            })
            .collect();
        let collection = self.shared.embeddings_of(known);
        let failed = |error| {
            self.shared.failed(
                "store",
                format_args!("{} embeddings of `{}`", which.len(), known.spec.name),
                error,
            )
        };
        let inserted = collection.insert_many(&documents).await.map_err(failed)?;
        let mut taken = Vec::new();
        for (number, inserted) in inserted.into_iter().enumerate() {
            match inserted {
                Inserted::Done => self.shared.remember_fresh(keys[number].clone()),
                Inserted::Exists { .. } => taken.push(number),
                Inserted::Failed(error) => return Err(failed(error)),
            }
        }
        // The same write, nearly always. A digest says so for sure. Stored again
        // it is young again, before its song names it: a garbage collection that has seen it
        // old leaves it alone.
        for chunk in taken.chunks(MAX_IN) {
            let ids: Vec<&String> = chunk.iter().map(|number| &keys[*number]).collect();
            let young = json!({"$set": {"created": created}});
            let renewed = Update::new(json!({"_id": {"$in": ids}}), young).repeatable();
            collection.update_many(&renewed).await.map_err(failed)?;
            let find = Find::new(json!({"_id": {"$in": ids}})).project(json!({"digest": 1}));
            let rows: Vec<EmbeddingRow> =
                collection.find(find).try_collect().await.map_err(failed)?;
            for row in rows {
                for number in chunk.iter().filter(|number| keys[**number] == row.id) {
                    if let Some(digest) = row.digest {
                        references[*number].digest = digest;
                    }
                }
            }
        }
        if known.spec.dimension <= SHORT_VECTOR {
            for (document, reference) in documents.into_iter().zip(&references) {
                if document.digest == reference.digest
                    && let Some(data) = document.vector["$binary"].as_str()
                {
                    self.shared.remember_vector(
                        document.id.to_owned(),
                        document.digest,
                        data.to_owned(),
                    );
                }
            }
        }
        Ok(which.iter().copied().zip(references).collect())
    }

    // Of songs as they are, or as they were deleted.
    pub(crate) async fn read_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
        of_deleted: bool,
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        if songs.is_empty() {
            return Ok(Vec::new());
        }
        let field = field_name(model);
        let mut projection = json!({"state": 1, "sync": 1, "keys": 1});
        projection[format!("embeddings.{field}")] = json!(1);
        let mut rows = Songs::of(&self.shared).rows(songs, projection).await?;
        let mut found: HashMap<SongId, StoredEmbedding> = HashMap::new();
        let mut elsewhere: HashMap<String, (SongId, EmbeddingRef)> = HashMap::new();
        for (id, row) in &mut rows {
            let is_meant = if of_deleted { row.is_deleted() } else { row.is_present() };
            let Some((key, inline)) = own_embedding(row, &field).filter(|_| is_meant) else {
                continue;
            };
            let reference = |dimension| EmbeddingRef {
                dimension,
                digest: inline.digest,
                key: Some(key.clone()),
            };
            let vector = inline.data.as_deref().and_then(from_base64);
            // What stands there may be of an embedding that was named before.
            match vector.filter(|vector| Digest::of(&vector.to_le_bytes()) == inline.digest) {
                Some(vector) => {
                    let reference = reference(vector.dimension());
                    let embedding = Embedding { song: *id, model: model.clone(), vector };
                    found.insert(*id, StoredEmbedding { embedding, reference });
                }
                None => drop(elsewhere.insert(key.clone(), (*id, reference(0)))),
            }
        }
        if !elsewhere.is_empty()
            && let Some(known) = self.shared.model(model).await?
        {
            let keys: Vec<&String> = elsewhere.keys().collect();
            let collection = self.shared.embeddings_of(&known);
            let chunks: Vec<&[&String]> = keys.chunks(MAX_IN).collect();
            let pages: Vec<Vec<EmbeddingRow>> = at_once(
                AT_ONCE,
                chunks
                    .into_iter()
                    .map(|chunk| {
                        let find = Find::new(json!({"_id": {"$in": chunk}}));
                        let find = find.project(json!({"digest": 1, "$vector": 1}));
                        collection.find(find).try_collect()
                    })
                    .collect(),
            )
            .await
            .map_err(|error| {
                self.shared.failed("read", format_args!("embeddings of `{model}`"), error)
            })?;
            for row in pages.into_iter().flatten() {
                let (Some(vector), Some((song, reference))) =
                    (row.vector(), elsewhere.get(&row.id))
                else {
                    continue;
                };
                let reference = EmbeddingRef { dimension: vector.dimension(), ..reference.clone() };
                let embedding = Embedding { song: *song, model: model.clone(), vector };
                if embedding.reference().digest == reference.digest {
                    found.insert(*song, StoredEmbedding { embedding, reference });
                }
            }
        }
        Ok(songs.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// Those of `songs` that name embeddings by some of `models` which are not
    /// there, and by which. One that is stored and that its song does not name,
    /// such as a writer leaves that ends before it stores the song, is no
    /// substitute. No vector is read.
    ///
    /// Costs one request for each page of the server, which holds 20 or 50 songs,
    /// and one more of these for each model.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub(crate) async fn lost_embeddings(
        &self,
        models: &[ModelName],
        songs: &[SongId],
    ) -> Result<BTreeMap<SongId, BTreeSet<ModelName>>> {
        let mut lost: BTreeMap<SongId, BTreeSet<ModelName>> = BTreeMap::new();
        let rows =
            Songs::of(&self.shared).rows(songs, json!({"state": 1, "sync": 1, "keys": 1})).await?;
        for model in models {
            let field = field_name(model);
            let named = rows.values().filter(|row| row.is_present());
            let named: BTreeMap<&str, SongId> =
                named.filter_map(|row| Some((row.keys.get(&field)?.as_str(), row.id))).collect();
            for key in self.not_there(model, named.keys().copied().collect()).await? {
                lost.entry(named[key]).or_default().insert(model.clone());
            }
        }
        Ok(lost)
    }

    // Those of `keys` that name no embedding by `model`.
    async fn not_there<'k>(&self, model: &ModelName, keys: Vec<&'k str>) -> Result<Vec<&'k str>> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let Some(known) = self.shared.model(model).await? else { return Ok(keys) };
        let collection = self.shared.embeddings_of(&known);
        let left = async |chunk: &[&'k str]| {
            let find = Find::new(json!({"_id": {"$in": chunk}})).project(json!({"song": 1}));
            let mut rows = std::pin::pin!(collection.find::<EmbeddingRow>(find));
            let mut left: BTreeSet<&'k str> = chunk.iter().copied().collect();
            // Where all are found, nobody asks for a page more.
            while !left.is_empty()
                && let Some(row) = rows.try_next().await?
            {
                left.remove(row.id.as_str());
            }
            Ok(left)
        };
        let left: Vec<BTreeSet<&str>> =
            at_once(AT_ONCE, keys.chunks(MAX_IN).map(left).collect()).await.map_err(|error| {
                self.shared.failed("list", format_args!("embeddings of `{model}`"), error)
            })?;
        Ok(left.into_iter().flatten().collect())
    }

    pub(crate) async fn search(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        let subject = format!("model `{}`", query.model);
        let known =
            self.searched(&subject, Some(&query.model), query.metric, &query.vector).await?;
        let wanted = query.offset.saturating_add(query.k);
        if query.k == 0 {
            return Ok(Vec::new());
        }
        let excluded: HashSet<SongId> = query.exclude.iter().copied().collect();
        let mut conditions = Conditions::of(&query.filter, vec![json!({"of": SONG})]);
        let mut left_to_us: Vec<SongId> = Vec::new();
        let different: Vec<SongId> = excluded.iter().copied().collect();
        for chunk in different.chunks(MAX_IN) {
            if !conditions.admit(&json!({"song": {"$nin": chunk}})) {
                left_to_us.extend(chunk);
            }
        }
        let collection = self.shared.embeddings_of(&known);
        let search = Search {
            collection: &collection,
            filter: conditions.filter(),
            bare: json!({"of": SONG}),
            projection: json!({"$vector": 1, "song": 1, "card": 1}),
            vector: &query.vector,
            metric: known.spec.metric,
            threshold: query.threshold,
            wanted,
            spare: left_to_us.len(),
        };
        let hits = search
            .run(
                |row: &EmbeddingRow| row.vector(),
                |row, similarity, distance| {
                    let song = row.song.filter(|song| !excluded.contains(song))?;
                    let summary: SongSummary =
                        serde_json::from_str(row.summary.as_deref()?).ok()?;
                    query.filter.passes(&summary).then(|| Neighbor {
                        song,
                        similarity,
                        distance,
                        key: Some(row.id.clone()),
                    })
                },
                |left, right| {
                    right
                        .similarity
                        .total_cmp(&left.similarity)
                        .then(left.song.cmp(&right.song))
                        .then(left.key.cmp(&right.key))
                },
                |hit| hit.similarity,
            )
            .await
            .map_err(|error| self.shared.failed("search", &subject, error))?;
        Ok(hits.into_iter().skip(query.offset).take(query.k).collect())
    }

    /// The model to search, if it can be searched like this.
    pub(crate) async fn searched(
        &self,
        subject: &str,
        model: Option<&ModelName>,
        metric: Option<Metric>,
        vector: &Vector,
    ) -> Result<KnownModel> {
        let refuse = |why: String| self.shared.invalid("search", subject, why);
        let name = model.ok_or_else(|| refuse("a model is needed".to_owned()))?;
        let known = self.shared.model(name).await?;
        let known = known.ok_or_else(|| refuse(format!("there is no model `{name}` here")))?;
        if let Some(metric) = metric.filter(|metric| *metric != known.spec.metric) {
            let why =
                format!("its collection compares by {}, and cannot by {metric}", known.spec.metric);
            let hint = Hint::of("leave out {}, or search a local library", [Remedy::Metric]);
            return Err(refuse(why).with_hint(hint));
        }
        match known.spec.refuses(vector) {
            Some(why) => Err(refuse(why)),
            None => Ok(known),
        }
    }
}

// The embedding that a stored song names as its own.
fn own_embedding<'a>(row: &'a Row, field: &str) -> Option<(&'a String, &'a Inline)> {
    Some((row.keys.get(field)?, row.embeddings.get(field)?))
}

fn from_base64(text: &str) -> Option<Vector> {
    let bytes = STANDARD.decode(text).ok()?;
    let (values, rest) = bytes.as_chunks::<4>();
    let values = values.iter().map(|four| f32::from_be_bytes(*four)).collect();
    rest.is_empty().then(|| Vector::new(values).ok()).flatten()
}

#[async_trait]
impl EmbeddingStore for Embeddings {
    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        self.shared.make_model(model).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.shared.refresh("read the models of").await?;
        Ok(self.shared.known_models().into_iter().map(|known| known.spec).collect())
    }

    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        self.store_embeddings(embeddings).await
    }

    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.read_embeddings(model, songs, false).await
    }

    async fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.read_embeddings(model, songs, true).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.search(query).await
    }
}
