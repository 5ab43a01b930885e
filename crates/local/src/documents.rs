//! Small documents: one file each, and few enough to need no catalog.

use std::fs;

use sha2::Digest as _;
use songrec_core::{Document, DocumentKind, OperationId};
use songrec_storage::{Outcome, Page, PageToken, PutDocument, PutMode};

use crate::{
    database::Database,
    error::{Fault, Result},
    files::{NewFile, Stamp},
    store::Store,
};

/// The most documents of one page.
const LONGEST_PAGE: usize = 1_000;

/// The small documents of a library.
pub(crate) struct Documents<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    pub(crate) fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        if let Some(put) = documents.iter().find(|put| !Document::is_valid_id(&put.document.id)) {
            let id = &put.document.id;
            return Err(Fault::invalid(format_args!(
                "`{id}` is not a document id: expected 1 to 64 of `a-z`, `0-9`, `_` and `-`"
            )));
        }
        self.database.write(|_| {
            let mut outcomes = Vec::with_capacity(documents.len());
            for PutDocument { document, mode } in documents {
                let stored = self.read(document.kind, &document.id)?;
                let version = stored.as_ref().map(|stored| stored.revision.operation);
                let allowed = match mode {
                    PutMode::Create => version.is_none(),
                    PutMode::Replace(expected) => version == Some(*expected),
                };
                outcomes.push(if version == Some(document.revision.operation) {
                    Outcome::Done
                } else if allowed {
                    let bytes = serde_json::to_vec_pretty(document).map_err(Fault::invalid)?;
                    let path = self.store.layout().document(document.kind, &document.id);
                    self.store.files().store(&[NewFile { path, bytes }])?;
                    Outcome::Done
                } else {
                    Outcome::Conflict(stored.map(Box::new))
                });
            }
            Ok(outcomes)
        })
    }

    pub(crate) fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        ids.iter()
            .map(|id| if Document::is_valid_id(id) { self.read(kind, id) } else { Ok(None) })
            .collect()
    }

    pub(crate) fn list(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        let after = match after {
            Some(token) => Some(parse_token(token)?),
            None => None,
        };
        let mut keys = Vec::new();
        for kind in DocumentKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
            let ids = self.ids(kind)?;
            keys.extend(ids.into_iter().map(|id| (kind, id)));
        }
        keys.sort();
        keys.retain(|key| after.as_ref().is_none_or(|after| key > after));
        let more = keys.len() > LONGEST_PAGE;
        keys.truncate(LONGEST_PAGE);
        let next = keys
            .last()
            .filter(|_| more)
            .map(|(kind, id)| PageToken(format!("{}/{id}", kind.as_str())));
        let mut items = Vec::with_capacity(keys.len());
        for (kind, id) in keys {
            match self.read(kind, &id) {
                Ok(document) => items.extend(document),
                // One damaged file must not hide the others; `verify` reports it.
                Err(fault @ Fault::Damaged { .. }) => {
                    tracing::warn!("left out of a list: {fault}");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(Page { items, next })
    }

    /// A text that changes whenever a playlist or a synth does, even by hand. It
    /// is a digest of the metadata of their files, which are few.
    pub(crate) fn state(&self) -> Result<String> {
        let mut files = Vec::new();
        for kind in DocumentKind::SYNCED {
            for id in self.ids(kind)? {
                let path = self.store.layout().document(kind, &id);
                match fs::metadata(&path) {
                    Ok(found) => files.push((kind, id, Stamp::of(&found), inode(&found))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Fault::io("look at", &path)(error)),
                }
            }
        }
        files.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        let mut hasher = sha2::Sha256::new();
        for (kind, id, stamp, inode) in files {
            let (mtime, size) = (stamp.mtime, stamp.size);
            hasher.update(format!("{}/{id} {mtime} {size} {inode}\n", kind.as_str()));
        }
        Ok(hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        if !Document::is_valid_id(id) {
            return Ok(Outcome::Done);
        }
        self.database.write(|_| match self.read(kind, id)? {
            Some(stored) if stored.revision.operation != version => {
                Ok(Outcome::Conflict(Some(Box::new(stored))))
            }
            Some(_) => {
                self.store.files().remove([self.store.layout().document(kind, id).as_path()])?;
                Ok(Outcome::Done)
            }
            None => Ok(Outcome::Done),
        })
    }

    pub(crate) fn read(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let path = self.store.layout().document(kind, id);
        let Some(bytes) = self.store.files().read(&path)? else { return Ok(None) };
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| Fault::damaged(&path, error))?;
        if document.kind != kind || document.id != id {
            return Err(Fault::damaged(&path, "it holds another document than its name says"));
        }
        Ok(Some(document))
    }

    pub(crate) fn ids(&self, kind: DocumentKind) -> Result<Vec<String>> {
        let folder = self.store.layout().documents(kind);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            other => other.map_err(Fault::io("list", &folder))?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(Fault::io("list", &folder))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.filter(|id| Document::is_valid_id(id)).map(str::to_owned));
        }
        Ok(ids)
    }
}

// A file that is written anew is another file, even within one tick of the
// clock that dates files.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

fn parse_token(token: &PageToken) -> Result<(DocumentKind, String)> {
    let key = token.0.split_once('/').and_then(|(kind, id)| {
        let kind = DocumentKind::ALL.into_iter().find(|one| one.as_str() == kind)?;
        Document::is_valid_id(id).then(|| (kind, id.to_owned()))
    });
    key.ok_or_else(|| Fault::invalid(format_args!("`{}` is no page of documents", token.0)))
}

#[cfg(test)]
mod tests {
    use songrec_core::{Revision, Timestamp};
    use songrec_storage::StorageBackend;

    use super::*;
    use crate::LocalBackend;

    #[tokio::test]
    async fn only_playlists_and_synths_that_changed_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let library =
            LocalBackend::create(folder.path(), crate::LocalOptions::default()).await.unwrap();
        let cursor = library.maintenance().changes(None, 10).await.unwrap().cursor;
        let put = |kind| {
            let revision = Revision::first();
            let (updated_at, body) = (Timestamp::UNIX_EPOCH, serde_json::Value::Null);
            let document = Document {
                kind,
                id: "one".into(),
                revision,
                updated_at,
                body,
                deleted: false,
                history: None,
            };
            [PutDocument { document, mode: PutMode::Create }]
        };

        library.documents().put(&put(DocumentKind::Machine)).await.unwrap();
        library.documents().put(&put(DocumentKind::Library)).await.unwrap();
        assert!(!library.maintenance().changes(Some(&cursor), 10).await.unwrap().documents);

        library.documents().put(&put(DocumentKind::Playlist)).await.unwrap();
        let page = library.maintenance().changes(Some(&cursor), 10).await.unwrap();
        assert!(page.documents);
        assert!(!library.maintenance().changes(Some(&page.cursor), 10).await.unwrap().documents);
    }
}
