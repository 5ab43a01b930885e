//! The documents in which syncing keeps its own records inside a library.

use serde::{Deserialize, Serialize};
use songrec_core::{Document, DocumentKind, OperationId, Revision};
use songrec_storage::{Outcome, PutDocument, PutMode};

use crate::{Error, Result, Side, session::Session};

/// The document that says which library this is, and which round of purging
/// is under way.
pub(crate) const LIBRARY: &str = "sync";

/// What the document of a library says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LibraryBody {
    pub(super) library: String,
    /// The round of purging that is under way or was the last.
    pub(super) round: u64,
    /// The last round that was purged.
    pub(super) purged: u64,
}

/// Reads and writes the records in both libraries.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    session: &'a Session,
}

impl<'a> Records<'a> {
    pub(super) const fn new(session: &'a Session) -> Self {
        Self { session }
    }

    pub(super) async fn read_library(self, side: Side) -> Result<Option<(Revision, LibraryBody)>> {
        let document = self.read(side, DocumentKind::Library, LIBRARY).await?;
        Ok(document.map(|document| {
            (document.revision, serde_json::from_value(document.body).unwrap_or_default())
        }))
    }

    /// Gives the library an id, or reads the one that another machine just gave it.
    pub(super) async fn make_library(self, side: Side) -> Result<String> {
        let library = OperationId::random().to_string();
        let body = LibraryBody { library: library.clone(), round: 0, purged: 0 };
        let document = self.document(DocumentKind::Library, LIBRARY, Revision::first(), &body);
        match self.put(side, document, PutMode::Create).await? {
            Outcome::Done => Ok(library),
            Outcome::Conflict(Some(other)) => {
                let body: LibraryBody = serde_json::from_value(other.body).unwrap_or_default();
                Ok(body.library)
            }
            Outcome::Conflict(None) => Err(self.contended(side)),
        }
    }

    pub(super) async fn put_library(
        self,
        side: Side,
        version: Revision,
        body: &LibraryBody,
    ) -> Result<bool> {
        let document = self.document(DocumentKind::Library, LIBRARY, version.next(), body);
        let mode = PutMode::Replace(version.operation);
        Ok(self.put(side, document, mode).await?.is_done())
    }

    fn contended(self, side: Side) -> Error {
        self.session.failed(
            side,
            songrec_storage::Error::new(
                songrec_storage::ErrorKind::Transient,
                "store",
                "a document of the sync",
                self.session.backend(side),
            )
            .because("others changed it again and again")
            .with_hint("try again"),
        )
    }

    pub(super) fn document(
        self,
        kind: DocumentKind,
        id: &str,
        revision: Revision,
        body: &impl Serialize,
    ) -> Document {
        let body = serde_json::to_value(body).unwrap_or_default();
        Document {
            kind,
            id: id.to_owned(),
            revision,
            updated_at: self.session.now(),
            body,
            deleted: false,
            history: None,
        }
    }

    pub(super) async fn read(
        self,
        side: Side,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<Document>> {
        let (backend, ids) = (self.session.backend(side), [id.to_owned()]);
        let mut read = self.session.ask(side, || backend.documents().get(kind, &ids)).await?;
        Ok(read.pop().flatten())
    }

    pub(super) async fn put(
        self,
        side: Side,
        document: Document,
        mode: PutMode,
    ) -> Result<Outcome<Document>> {
        let (backend, put) = (self.session.backend(side), [PutDocument { document, mode }]);
        let mut outcomes = self.session.ask(side, || backend.documents().put(&put)).await?;
        Ok(outcomes.pop().unwrap_or(Outcome::Conflict(None)))
    }
}
