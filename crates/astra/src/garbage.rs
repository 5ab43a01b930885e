//! Removing what no song names, and checking what songs name.
//!
//! Garbage collection looks at objects, then at the songs that may name them, and then
//! removes; in between a song may come to name one. What keeps this safe:
//!
//! - Objects are only removed when they are old, and storing one again makes it
//!   young. A writer that names an object has stored it just before, so it is young,
//!   however old the upload is that is being resumed.
//! - What is removed is named together with the age it was seen with (the
//!   `created` of an embedding, the time and tag of an object). One that was
//!   stored again since is not removed, and neither is one that is stored
//!   again before a request arrives that was thought lost.
//! - A tombstone names what its song named, so that a deleted song can be
//!   restored without storing anything again. Purging removes no objects.
//!
//! So no fence in the song's document is needed, and no state of being purged:
//! those are for layouts that remove objects at once. What is left is the instant
//! between the last look at an object and its removal, because S3 removes
//! unconditionally; a file that is uploaded again in that instant, a day or
//! more after its first upload, is lost, `verify` says so, and a scan or a sync
//! brings it back.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use songrec_core::{Digest, Event, Hint, Job, Song, SongId, SongSummary, Work};
use songrec_storage::{
    ChangeHead, ChangePage, Collected, Cursor, Finding, Lost, Maintenance, Result, Unreadable,
    VerifyOptions,
};

use crate::{
    blobs::Blobs,
    changes::Changes,
    client::{Find, MAX_IN, Update},
    clock::now_ms,
    embeddings::EmbeddingRow,
    hint::run_repair,
    row::{Before, PRESENT, Row, SongDocument, WrongRow, shown_summary, whole},
    schema::KnownModel,
    shared::Shared,
    songs::Songs,
    songs::{SEGMENT, SONG, about},
};

/// Objects looked at together.
const TOGETHER: usize = MAX_IN;

/// Garbage collection and the check of what is stored.
#[derive(Debug)]
pub(crate) struct Garbage {
    shared: Arc<Shared>,
}

impl Garbage {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// Removes what no song names, or only counts it.
    pub(crate) async fn collect_objects(
        &self,
        min_age: Duration,
        only_count: bool,
        job: &Job,
    ) -> Result<Collected> {
        let mut collected = Collected::default();
        self.shared.refresh("clean up").await?;
        if !only_count {
            Changes::of(&self.shared).close_old_numbers(min_age).await?;
        }
        for known in self.shared.known_models() {
            self.collect_embeddings(&known, min_age, only_count, job, &mut collected).await?;
        }
        if let Some(blobs) = &self.shared.blobs {
            self.collect_blobs(blobs, min_age, only_count, job, &mut collected).await?;
        }
        Ok(collected)
    }

    async fn collect_embeddings(
        &self,
        known: &KnownModel,
        min_age: Duration,
        only_count: bool,
        job: &Job,
        collected: &mut Collected,
    ) -> Result<()> {
        let failed = |error| {
            self.shared.failed(
                "clean up",
                format_args!("embeddings of `{}`", known.spec.name),
                error,
            )
        };
        let collection = self.shared.embeddings_of(known);
        let age = u64::try_from(min_age.as_millis()).unwrap_or(u64::MAX);
        let old = json!({"$lte": now_ms().saturating_sub(age)});
        let find = Find::new(json!({"created": old})).project(json!({"song": 1, "of": 1}));
        let mut rows = Box::pin(collection.find::<EmbeddingRow>(find)).try_chunks(TOGETHER);
        while !job.is_interrupted()
            && let Some(chunk) = rows.next().await
        {
            let chunk = chunk.map_err(|stopped| failed(stopped.1))?;
            looked_at(job, chunk.len());
            let garbage = self.unnamed(chunk).await?;
            if garbage.is_empty() {
                continue;
            }
            let still_old = json!({"_id": {"$in": garbage}, "created": old});
            // Counted here, because the server's count is lost with an answer.
            if !only_count {
                collection.delete_many(still_old).await.map_err(failed)?;
            }
            collected.objects += garbage.len() as u64;
            collected.bytes += garbage.len() as u64 * known.spec.dimension as u64 * 4;
        }
        Ok(())
    }

    // Those that neither a song nor a tombstone names: a tombstone keeps its
    // objects, for the song may be restored.
    async fn unnamed(&self, rows: Vec<EmbeddingRow>) -> Result<Vec<String>> {
        let songs: Vec<SongId> = rows.iter().filter_map(|row| row.song).collect();
        let stored =
            Songs::of(&self.shared).rows(&songs, json!({"state": 1, "sync": 1, "keys": 1})).await?;
        let segments: Vec<String> =
            rows.iter().filter(|row| row.song.is_none()).map(|row| row.id.clone()).collect();
        let mut kept: HashSet<String> = HashSet::new();
        if !segments.is_empty() {
            let filter = json!({"_id": {"$in": segments}});
            let find = Find::new(filter).project(json!({"kind": 1}));
            let found: Vec<EmbeddingRow> = self
                .shared
                .library
                .find(find)
                .try_collect()
                .await
                .map_err(|error| self.shared.failed("clean up", SEGMENT, error))?;
            kept.extend(found.into_iter().map(|row| row.id));
        }
        let is_named = |row: &EmbeddingRow| match row.song {
            None => kept.contains(&row.id),
            Some(song) => stored
                .get(&song)
                .is_some_and(|stored| stored.keys.values().any(|key| *key == row.id)),
        };
        Ok(rows.into_iter().filter(|row| !is_named(row)).map(|row| row.id).collect())
    }

    async fn collect_blobs(
        &self,
        blobs: &Blobs,
        min_age: Duration,
        only_count: bool,
        job: &Job,
        collected: &mut Collected,
    ) -> Result<()> {
        let now = SystemTime::now();
        let mut listed = Box::pin(blobs.list()).try_chunks(TOGETHER - 1);
        while !job.is_interrupted()
            && let Some(chunk) = listed.next().await
        {
            let chunk = chunk.map_err(|stopped| stopped.1)?;
            looked_at(job, chunk.len());
            let digests: HashSet<Digest> = chunk.iter().map(|(digest, _)| *digest).collect();
            let find = Find::new(json!({"find.blob": {"$in": digests}})).project(whole());
            let rows: Vec<Row> = self
                .shared
                .songs
                .find(find)
                .try_collect()
                .await
                .map_err(|error| self.shared.failed("clean up", "blobs", error))?;
            let mut named = HashSet::new();
            for row in rows {
                let change = row
                    .change()
                    .map_err(|error| self.shared.unreadable("clean up", "blobs", error))?;
                let song = match change.state {
                    songrec_storage::ChangeState::Present(song) => *song,
                    songrec_storage::ChangeState::Deleted(tombstone) => tombstone.song,
                };
                named.extend(song.blob.and_then(|blob| blob.key));
            }
            for (_, meta) in chunk {
                if job.is_interrupted() {
                    break;
                }
                let age = now.duration_since(meta.last_modified.into()).unwrap_or_default();
                if age >= min_age
                    && !named.contains(meta.location.as_ref())
                    && blobs.is_still(&meta).await?
                {
                    if !only_count {
                        blobs.delete(&meta.location).await?;
                    }
                    collected.objects += 1;
                    collected.bytes += meta.size;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn check(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        self.shared.refresh("verify").await?;
        job.on(Event::started(Work::Verifying, None));
        let mut findings = Vec::new();
        let mut with_summary = whole();
        with_summary["card"] = json!(1);
        let find = Find::new(json!({"state": PRESENT})).project(with_summary);
        let mut rows = Box::pin(self.shared.songs.find::<Row>(find)).try_chunks(TOGETHER);
        while !job.is_interrupted()
            && let Some(chunk) = rows.next().await
        {
            let chunk =
                chunk.map_err(|stopped| self.shared.failed("verify", "the songs", stopped.1))?;
            let mut songs = Vec::with_capacity(chunk.len());
            for row in &chunk {
                match row.song() {
                    Ok(song) => {
                        if let Some(song) = &song {
                            findings.extend(self.check_summary(row, song, options).await?);
                        }
                        songs.extend(song.map(|song| (song, row.before().n)));
                    }
                    Err(wrong) => findings.push(self.put_right(row, wrong, options).await?),
                }
            }
            self.check_embeddings(&songs, options, &mut findings).await?;
            for (song, _) in &songs {
                self.check_blob(song, options, &mut findings).await?;
                job.on(Event::Advanced { item: &song.id.to_string(), bytes: 0 });
            }
        }
        job.on(Event::Finished);
        Ok(findings)
    }

    // What lists show may be of an older version of songrec, or damaged.
    async fn check_summary(
        &self,
        row: &Row,
        song: &Song,
        options: &VerifyOptions,
    ) -> Result<Option<Finding>> {
        if row.summary().is_ok_and(|summary| summary == SongSummary::of(song)) {
            return Ok(None);
        }
        let subject = format!("song `{}`", song.id);
        let problem = "lists show it otherwise than it says";
        if !options.repair {
            return Ok(Some(Finding::open(subject, problem, run_repair())));
        }
        let derived = SongDocument::of(song, &Before::default(), None).derived();
        let of_version = json!({"_id": song.id, "sync.rev": song.revision.operation});
        let renewed =
            self.shared.songs.update_one(&Update::new(of_version, derived).repeatable()).await;
        renewed.map_err(|error| self.shared.failed("verify", about(song.id), error))?;
        Ok(Some(Finding::repaired(subject, problem)))
    }

    // A damaged row keeps its place from a good one, so that one is put aside.
    async fn put_right(
        &self,
        row: &Row,
        wrong: WrongRow,
        options: &VerifyOptions,
    ) -> Result<Finding> {
        let subject = format!("song `{}`", row.id);
        let problem = wrong.why.to_string();
        let (problem, hint) = match wrong.why {
            Unreadable::Newer { .. } => (problem, Hint::from("install a newer songrec")),
            Unreadable::Damaged(_) if options.repair => {
                let name = Songs::of(&self.shared).copy_aside("verify", row).await?;
                // Another version may have taken its place.
                let seen = match row.rev() {
                    Some(rev) => json!({"_id": row.id, "sync.rev": rev}),
                    None => json!({"_id": row.id}),
                };
                let removed = self.shared.songs.delete_one(seen).await;
                removed.map_err(|error| self.shared.failed("verify", about(row.id), error))?;
                self.shared.forget(row.id);
                let problem = format!(
                    "{problem}; it was moved to the document `{name}` of `library`, and the next \
                     scan of the audio or a sync that compares everything brings the song back"
                );
                return Ok(Finding::repaired(subject, problem).of_lost(Lost::Song(row.id)));
            }
            Unreadable::Damaged(_) => (problem, run_repair()),
        };
        Ok(Finding::open(subject, problem, hint))
    }

    async fn check_embeddings(
        &self,
        songs: &[(Song, u64)],
        options: &VerifyOptions,
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        let mut by_model: BTreeMap<_, Vec<&(Song, u64)>> = BTreeMap::new();
        for one in songs {
            for model in one.0.embeddings.keys() {
                by_model.entry(model).or_default().push(one);
            }
        }
        for (model, songs) in by_model {
            let Some(known) = self.shared.model(model).await? else {
                findings.push(Finding::open(
                    format!("model `{model}`"),
                    "songs name embeddings of it, but it is not known",
                    "scan with this model again",
                ));
                continue;
            };
            let keys: Vec<&String> =
                songs.iter().filter_map(|(song, _)| song.embeddings[model].key.as_ref()).collect();
            let find = Find::new(json!({"_id": {"$in": keys}}))
                .project(json!({"digest": 1, "card": 1, "of": 1, "n": 1, "$vector": 1}));
            let found: Vec<EmbeddingRow> =
                self.shared.embeddings_of(&known).find(find).try_collect().await.map_err(
                    |error| self.shared.failed("verify", format_args!("model `{model}`"), error),
                )?;
            let found: HashMap<String, EmbeddingRow> =
                found.into_iter().map(|row| (row.id.clone(), row)).collect();
            for (song, n) in songs {
                let named = &song.embeddings[model];
                let row = named.key.as_ref().and_then(|key| found.get(key));
                let is_whole = row.and_then(EmbeddingRow::vector).is_some_and(|vector| {
                    vector.dimension() == named.dimension
                        && Digest::of(&vector.to_le_bytes()) == named.digest
                });
                let subject = format!("song `{}`", song.id);
                if !is_whole {
                    let problem = format!("its embedding by `{model}` is not what it names");
                    let lost = Lost::Embedding(song.id, model.clone());
                    findings.push(Finding::open(subject, problem, run_repair()).of_lost(lost));
                    continue;
                }
                let summary = shown_summary(&SongSummary::of(song));
                let shown =
                    row.is_some_and(|row| row.of == SONG && row.summary.as_ref() == Some(&summary));
                if !shown {
                    if options.repair {
                        // The clock of its writer may have been ahead.
                        let n = row.map_or(0, |row| row.n).max(*n);
                        Songs::of(&self.shared).show_everywhere(song, n, None).await?;
                    }
                    let problem = format!("searches by `{model}` see an older version of it");
                    findings.push(match options.repair {
                        true => Finding::repaired(subject, problem),
                        false => Finding::open(subject, problem, run_repair()),
                    });
                }
            }
        }
        Ok(())
    }

    async fn check_blob(
        &self,
        song: &Song,
        options: &VerifyOptions,
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        let (Some(blob), Some(blobs)) = (&song.blob, &self.shared.blobs) else { return Ok(()) };
        let problem = match blobs.size_of(blob).await? {
            None => Some("its audio is missing"),
            Some(size) if size != blob.size => Some("its audio has another size"),
            Some(_) if options.read_data => {
                use sha2::Digest as _;
                let mut hash = sha2::Sha256::new();
                if let Some(mut stream) = blobs.get(blob, None).await? {
                    while let Some(piece) = stream.try_next().await? {
                        hash.update(&piece);
                    }
                }
                (Digest(hash.finalize().into()) != blob.sha256).then_some("its audio is damaged")
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            findings.push(Finding::open(
                format!("song `{}`", song.id),
                problem,
                "scan its file again, or sync with a machine that has it",
            ));
        }
        Ok(())
    }
}

// Reports so many objects, whichever they are.
fn looked_at(job: &Job, objects: usize) {
    for _ in 0..objects {
        job.on(Event::Advanced { item: "", bytes: 0 });
    }
}

#[async_trait]
impl Maintenance for Garbage {
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        Changes::of(&self.shared).changes_since(since, limit).await
    }

    async fn heads(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage<ChangeHead>> {
        Changes::of(&self.shared).heads_since(since, limit).await
    }

    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.collect_objects(min_age, false, job).await
    }

    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.collect_objects(min_age, true, job).await
    }

    async fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        self.check(options, job).await
    }
}
