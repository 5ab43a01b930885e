//! Documents beside the songs, in the collection `library`.

use async_trait::async_trait;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{Document, DocumentKind, OperationId};
use songrec_storage::{DocumentStore, Outcome, Page, PageToken, PutDocument, PutMode, Result};
use std::sync::Arc;

use crate::{
    changes::Changes,
    client::{Find, MAX_IN, Problem, Replace},
    row::text,
    shared::{AT_ONCE, ROUNDS, Shared, at_once},
};

/// A document of the contract as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    rev: OperationId,
    payload: String,
}

impl Stored {
    fn of(document: &Document) -> Self {
        Self {
            id: id_of(document.kind, &document.id),
            kind: document.kind.as_str().to_owned(),
            name: document.id.clone(),
            rev: document.revision.operation,
            payload: text(document),
        }
    }
}

fn id_of(kind: DocumentKind, id: &str) -> String {
    format!("{}:{id}", kind.as_str())
}

/// Playlists, patterns, synths and what else is kept by name.
#[derive(Debug)]
pub(crate) struct Documents {
    shared: Arc<Shared>,
}

impl Documents {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn store_documents(
        &self,
        documents: &[PutDocument],
    ) -> Result<Vec<Outcome<Document>>> {
        if let Some(put) = documents.iter().find(|put| !Document::is_valid_id(&put.document.id)) {
            let why = format!("`{}` is not a document id", put.document.id);
            return Err(self.shared.invalid("store", "a document", why));
        }
        // A batch may change one document several times, in its order.
        let is_same = |put: &PutDocument, other: &PutDocument| {
            put.document.kind == other.document.kind && put.document.id == other.document.id
        };
        let repeats = documents
            .iter()
            .enumerate()
            .any(|(at, put)| documents[..at].iter().any(|other| is_same(put, other)));
        let width = if repeats { 1 } else { AT_ONCE };
        let stored =
            at_once(width, documents.iter().map(|put| self.store_document(put)).collect()).await;
        // Some may be stored although others failed.
        if documents.iter().any(|put| put.document.kind.is_synced()) {
            let marked = Changes::of(&self.shared).mark_documents().await;
            return stored.and_then(|stored| marked.map(|()| stored));
        }
        stored
    }

    async fn store_document(&self, put: &PutDocument) -> Result<Outcome<Document>> {
        let subject = format!("{} `{}`", put.document.kind.as_str(), put.document.id);
        let failed = |error| self.shared.failed("store", &subject, error);
        let stored = Stored::of(&put.document);
        for _ in 0..ROUNDS {
            let written = match put.mode {
                PutMode::Create => match self.shared.library.insert_one(&stored).await {
                    Ok(()) => true,
                    Err(error) if error.problem() == Problem::DocumentExists => false,
                    Err(error) => return Err(failed(error)),
                },
                PutMode::Replace(expected) => {
                    let filter = json!({"_id": stored.id, "rev": expected});
                    let replace =
                        Replace::new(filter, &stored).repeatable().project(json!({"*": 0}));
                    let updated =
                        self.shared.library.find_one_and_replace::<_, Value>(&replace).await;
                    updated.map_err(failed)?.modified == 1
                }
            };
            if written {
                return Ok(Outcome::Done);
            }
            let found = self.documents_with(std::slice::from_ref(&stored.id)).await?.pop();
            match (found, put.mode) {
                (Some(found), _) if found.revision.operation == put.document.revision.operation => {
                    return Ok(Outcome::Done);
                }
                // It was there and is not, or is still what it should be.
                (None, PutMode::Create) => {}
                (Some(found), PutMode::Replace(expected))
                    if found.revision.operation == expected => {}
                (found, _) => return Ok(Outcome::Conflict(found.map(Box::new))),
            }
        }
        Err(self.shared.contended("store", subject))
    }

    async fn documents_with(&self, ids: &[String]) -> Result<Vec<Document>> {
        let chunks: Vec<&[String]> = ids.chunks(MAX_IN).collect();
        let pages: Vec<Vec<Stored>> = at_once(
            AT_ONCE,
            chunks
                .into_iter()
                .map(|chunk| {
                    self.shared
                        .library
                        .find(Find::new(json!({"_id": {"$in": chunk}})))
                        .try_collect()
                })
                .collect(),
        )
        .await
        .map_err(|error| self.shared.failed("read", "documents", error))?;
        pages.into_iter().flatten().map(|stored| self.read_document(&stored)).collect()
    }

    fn read_document(&self, stored: &Stored) -> Result<Document> {
        serde_json::from_str(&stored.payload).map_err(|error| {
            self.shared.damaged("read", format_args!("document `{}`", stored.id), error)
        })
    }

    pub(crate) async fn read_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        let mut keys: Vec<String> = ids.iter().map(|id| id_of(kind, id)).collect();
        keys.sort_unstable();
        keys.dedup();
        // What cannot be an id is not there, and not asked for.
        keys.retain(|key| key.len() <= 100);
        let found = self.documents_with(&keys).await?;
        Ok(ids.iter().map(|id| found.iter().find(|one| one.id == *id).cloned()).collect())
    }

    pub(crate) async fn page_of_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        if kinds.is_empty() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        if after.is_some() {
            return Err(self.shared.invalid(
                "list",
                "documents",
                "the page token is of another query",
            ));
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let find = Find::new(json!({"kind": {"$in": names}}));
        let stored: Vec<Stored> = self
            .shared
            .library
            .find(find)
            .try_collect()
            .await
            .map_err(|error| self.shared.failed("list", "documents", error))?;
        let mut items: Vec<Document> =
            stored.iter().map(|stored| self.read_document(stored)).collect::<Result<_>>()?;
        items.sort_by(|left, right| (left.kind, &left.id).cmp(&(right.kind, &right.id)));
        Ok(Page { items, next: None })
    }

    pub(crate) async fn remove_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        let removed = self.remove_quietly(kind, id, version).await;
        if kind.is_synced() {
            let marked = Changes::of(&self.shared).mark_documents().await;
            return removed.and_then(|removed| marked.map(|()| removed));
        }
        removed
    }

    async fn remove_quietly(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        let key = id_of(kind, id);
        let subject = format!("{} `{id}`", kind.as_str());
        for _ in 0..ROUNDS {
            let deleted = self.shared.library.delete_one(json!({"_id": key, "rev": version})).await;
            if deleted.map_err(|error| self.shared.failed("delete", &subject, error))? {
                return Ok(Outcome::Done);
            }
            match self.documents_with(std::slice::from_ref(&key)).await?.pop() {
                None => return Ok(Outcome::Done),
                Some(found) if found.revision.operation == version => {}
                Some(found) => return Ok(Outcome::Conflict(Some(Box::new(found)))),
            }
        }
        Err(self.shared.contended("delete", subject))
    }
}

#[async_trait]
impl DocumentStore for Documents {
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        self.store_documents(documents).await
    }

    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        self.read_documents(kind, ids).await
    }

    async fn list(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.page_of_documents(kinds, after).await
    }

    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.remove_document(kind, id, version).await
    }
}
