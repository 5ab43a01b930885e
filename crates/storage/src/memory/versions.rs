//! What is written by compare-and-set: songs and documents.

use async_trait::async_trait;
use songrec_core::{Document, DocumentKind, Filter, OperationId, Song, SongId, SongSummary, fold};

use super::MemoryBackend;
use crate::{
    ChangeState, DeleteSong, DocumentStore, Lookup, Outcome, Page, PageToken, PurgeSong,
    PutDocument, PutMode, PutSong, Result, SongQuery, SongStore,
};

#[async_trait]
impl SongStore for MemoryBackend {
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        let mut state = self.state();
        for PutSong { song, .. } in songs {
            if let Some(model) = song.embeddings.keys().find(|m| !state.models.contains_key(*m)) {
                let why = format!("it names an embedding of `{model}`, which is not known here");
                return Err(self.invalid("store", format_args!("song `{}`", song.id.short()), why));
            }
        }
        let mut outcomes = Vec::with_capacity(songs.len());
        for PutSong { song, mode, origin } in songs {
            let stored = state.song(&song.id);
            let version = stored.map(|stored| stored.revision.operation);
            let allowed = match mode {
                PutMode::Create => version.is_none(),
                PutMode::Replace(expected) => version == Some(*expected),
            };
            outcomes.push(if version == Some(song.revision.operation) {
                Outcome::Done
            } else if allowed {
                let present = ChangeState::Present(Box::new(song.clone()));
                state.set(song.id, present, origin.clone());
                Outcome::Done
            } else {
                Outcome::Conflict(stored.cloned().map(Box::new))
            });
        }
        Ok(outcomes)
    }

    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.song(id).cloned()).collect())
    }

    async fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        let state = self.state();
        let (songs, next) = state.find(query).ok_or_else(|| self.foreign_token())?;
        Ok(Page { items: songs.into_iter().cloned().collect(), next })
    }

    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        let state = self.state();
        let (songs, next) = state.find(query).ok_or_else(|| self.foreign_token())?;
        Ok(Page { items: songs.into_iter().map(SongSummary::of).collect(), next })
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        let state = self.state();
        Ok(state.present().filter(|song| filter.passes(&SongSummary::of(song))).count() as u64)
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        let state = self.state();
        let answers = lookups.iter().map(|lookup| match lookup {
            Lookup::IdPrefix(prefix) => {
                let prefix = prefix.replace('-', "").to_lowercase();
                let named =
                    |song: &&Song| song.id.to_string().replace('-', "").starts_with(&prefix);
                state.present().filter(named).map(|song| song.id).take(20).collect()
            }
            Lookup::Path(path) => state
                .present()
                .filter(|song| song.files.iter().any(|file| file.path == *path))
                .map(|song| song.id)
                .collect(),
            Lookup::FileHash(hash) => state
                .present()
                .filter(|song| song.files.iter().any(|file| file.sha256 == *hash))
                .map(|song| song.id)
                .collect(),
            Lookup::Title(title) => {
                let title = fold(title);
                let named = |song: &&Song| fold(&SongSummary::of(song).title) == title;
                state.present().filter(named).map(|song| song.id).take(20).collect()
            }
        });
        Ok(answers.collect())
    }

    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let mut state = self.state();
        let mut outcomes = Vec::with_capacity(songs.len());
        for delete in songs {
            let Some(song) = state.song(&delete.id).cloned() else {
                outcomes.push(Outcome::Done);
                continue;
            };
            if delete.version.is_some_and(|version| version != song.revision.operation) {
                outcomes.push(Outcome::Conflict(Some(Box::new(song))));
                continue;
            }
            let deleted = ChangeState::Deleted(Box::new(delete.tombstone(song)));
            state.set(delete.id, deleted, delete.origin.clone());
            outcomes.push(Outcome::Done);
        }
        Ok(outcomes)
    }

    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        let mut state = self.state();
        for PurgeSong { id, deletion } in tombstones {
            if state.tombstone(id).is_some_and(|one| one.revision.operation == *deletion) {
                state.songs.remove(id);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DocumentStore for MemoryBackend {
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        let mut state = self.state();
        if let Some(put) = documents.iter().find(|put| !Document::is_valid_id(&put.document.id)) {
            let id = &put.document.id;
            return Err(self.invalid(
                "store",
                "a document",
                format!("`{id}` is not a document id"),
            ));
        }
        let mut outcomes = Vec::with_capacity(documents.len());
        for PutDocument { document, mode } in documents {
            let place = (document.kind, document.id.clone());
            let stored = state.documents.get(&place);
            let version = stored.map(|stored| stored.revision.operation);
            let allowed = match mode {
                PutMode::Create => version.is_none(),
                PutMode::Replace(expected) => version == Some(*expected),
            };
            outcomes.push(if version == Some(document.revision.operation) {
                Outcome::Done
            } else if allowed {
                state.documents.insert(place, document.clone());
                state.note_document(document.kind);
                Outcome::Done
            } else {
                Outcome::Conflict(stored.cloned().map(Box::new))
            });
        }
        Ok(outcomes)
    }

    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.documents.get(&(kind, id.clone())).cloned()).collect())
    }

    async fn list(&self, kinds: &[DocumentKind], _: Option<&PageToken>) -> Result<Page<Document>> {
        let state = self.state();
        let items = state.documents.values().filter(|one| kinds.contains(&one.kind));
        Ok(Page { items: items.cloned().collect(), next: None })
    }

    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        let mut state = self.state();
        let place = (kind, id.to_owned());
        match state.documents.get(&place) {
            Some(stored) if stored.revision.operation != version => {
                Ok(Outcome::Conflict(Some(Box::new(stored.clone()))))
            }
            Some(_) => {
                state.documents.remove(&place);
                state.note_document(kind);
                Ok(Outcome::Done)
            }
            None => Ok(Outcome::Done),
        }
    }
}
