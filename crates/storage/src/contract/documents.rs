//! Documents of other kinds than songs.

use async_trait::async_trait;
use songrec_core::{Document, DocumentKind, OperationId};

use super::{Outcome, PutMode};
use crate::{Page, PageToken, Result};

/// Playlists, synths and other documents beside the songs.
///
/// ```
/// use songrec_core::{Document, DocumentKind, Timestamp};
/// use songrec_storage::{MemoryBackend, Outcome, PutDocument, PutMode, StorageBackend};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> songrec_storage::Result<()> {
/// let backend = MemoryBackend::new();
/// let body = serde_json::json!({"songs": []});
/// let empty = Document::new(DocumentKind::Playlist, "evening", body, Timestamp::now());
///
/// let put = PutDocument { document: empty.clone(), mode: PutMode::Create };
/// assert_eq!(backend.documents().put(&[put]).await?, [Outcome::Done]);
///
/// let playlists = backend.documents().list(&[DocumentKind::Playlist], None).await?;
/// assert_eq!(playlists.items, [empty]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Stores documents, each if its mode allows it or if it is what is
    /// stored already.
    ///
    /// # Errors
    ///
    /// `Invalid` for an id that [`Document::is_valid_id`] refuses.
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>>;

    /// The documents of a kind with these ids.
    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>>;

    /// All documents of some kinds, by kind and id, a page at a time.
    async fn list(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>>;

    /// Removes a document if its version is the one given; `Done` also if
    /// there is none. Other libraries do not see it: a caller that deletes a
    /// playlist or a synth stores its next version, which says that it is
    /// deleted ([`Document::deleted`]).
    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>>;
}

/// A document to store.
#[derive(Clone, Debug, PartialEq)]
pub struct PutDocument {
    /// The document, with the revision that this write makes.
    pub document: Document,
    /// What may be stored now.
    pub mode: PutMode,
}
