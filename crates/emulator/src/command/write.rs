//! Conditional writes, and what may happen to them on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::collection::{Collection, Condition};
use crate::database::Database;
use crate::document::Document;
use crate::error::Result;

/// What becomes of the writes of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Done,
    /// Accepted somewhere, confirmed nowhere: the next conditional write on the
    /// document finishes it.
    Later,
    /// Lost against other writers, every time.
    Lost,
    /// Every other write is done, the ones between are not.
    Partly,
    /// The first try is done and reported as lost, as when the driver repeats a
    /// write that timed out.
    DoneThenLost,
    /// The same, and every further try is lost.
    DoneThenAlwaysLost,
}

/// Does the writes of one request.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    fate: Fate,
    tried: AtomicUsize,
}

impl Writer {
    pub(crate) fn new(fate: Fate) -> Self {
        Self { fate, tried: AtomicUsize::new(0) }
    }

    pub(crate) fn compare_and_set(
        &self,
        database: &Database,
        collection: &Collection,
        seen: Seen<'_>,
        document: Option<Arc<Document>>,
    ) -> Result<bool> {
        let (key, condition) = (seen.key, seen.condition);
        let write =
            |document| collection.compare_and_set(&database.store, key, condition, document);
        let tried = self.tried.fetch_add(1, Ordering::Relaxed);
        let first = tried == 0;
        match self.fate {
            Fate::Done => write(document),
            Fate::Later => collection.leave_unsettled(key, condition, document).map(|()| true),
            Fate::Lost => Ok(false),
            Fate::Partly if tried.is_multiple_of(2) => write(document),
            Fate::Partly => Ok(true),
            Fate::DoneThenLost if !first => write(document),
            Fate::DoneThenAlwaysLost if !first => Ok(false),
            Fate::DoneThenLost | Fate::DoneThenAlwaysLost => write(document).map(|_| false),
        }
    }

    pub(crate) fn insert(
        &self,
        database: &Database,
        collection: &Collection,
        documents: &[Arc<Document>],
        ordered: bool,
    ) -> Result<Vec<bool>> {
        match self.fate {
            Fate::Later => {}
            Fate::Partly => {
                let every_other: Vec<_> = documents.iter().step_by(2).cloned().collect();
                collection.insert(&database.store, &every_other, ordered)?;
                return Ok(vec![true; documents.len()]);
            }
            Fate::Done | Fate::Lost | Fate::DoneThenLost | Fate::DoneThenAlwaysLost => {
                return collection.insert(&database.store, documents, ordered);
            }
        }
        for document in documents {
            collection.leave_unsettled(
                &document.key,
                Condition::Absent,
                Some(Arc::clone(document)),
            )?;
        }
        Ok(vec![true; documents.len()])
    }

    /// Emptying a collection is no conditional write: it is done or it is not.
    pub(crate) fn truncate(&self, database: &Database, collection: &Collection) -> Result<()> {
        match self.fate {
            Fate::Later | Fate::Lost | Fate::Partly => Ok(()),
            Fate::Done | Fate::DoneThenLost | Fate::DoneThenAlwaysLost => {
                collection.truncate(&database.store)
            }
        }
    }
}

/// The row as it was read, which the write depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) key: &'a crate::id::Key,
    pub(crate) condition: Condition,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(document: &'a Document) -> Self {
        Self { key: &document.key, condition: Condition::Version(document.version) }
    }

    pub(crate) fn absent(document: &'a Document) -> Self {
        Self { key: &document.key, condition: Condition::Absent }
    }
}
