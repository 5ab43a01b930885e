//! Storing songs: creating them, and replacing the version that was read.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use songrec_core::{Song, SongId};
use songrec_storage::{Outcome, PutMode, PutSong, Result, Unreadable};

use super::{Songs, about, rounds};
use crate::{
    client::{Inserted, MAX_INSERT, Problem, Update, Version},
    row::{Before, PRESENT, Row, SongDocument, WrongRow, whole},
    shared::{AT_ONCE, ROUNDS, Seen, at_once},
};

impl Songs {
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
        let unknown: HashSet<SongId> = unknown.into_iter().collect();
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
}
