//! The machines that take part in syncing a library. Each has a document of its
//! own in every library that it syncs; from these it is known whether a machine
//! was copied or restored, and which deletions all machines have seen.

mod announce;
mod fence;
mod identity;
mod libraries;
mod records;
mod rounds;

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use songrec_core::{Document, DocumentKind, Timestamp};
use songrec_storage::{Outcome, PutDocument, PutMode, Result, StorageBackend};

pub(crate) use announce::{Announcer, News};
pub(crate) use fence::{Fence, Fences, fence};
pub(crate) use libraries::KnownLibraries;
pub(crate) use records::LIBRARY;

/// A machine that takes part in syncing a library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Its id; another one after it was restored from a backup or copied.
    pub id: String,
    /// The name it gave itself.
    pub name: String,
    /// When it last announced itself, by its own clock.
    pub last_seen: Timestamp,
    /// The last round of purging whose deletions it has seen.
    pub round: u64,
    /// Whether it no longer counts: deleted songs do not wait for it.
    pub retired: bool,
    /// The version of the program.
    pub version: String,
}

/// What the document of a machine says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct MachineBody {
    name: String,
    round: u64,
    retired: bool,
    version: String,
}

/// The machines that take part in syncing a library.
///
/// # Errors
///
/// If the library cannot be read.
pub fn machines(backend: &dyn StorageBackend) -> BoxFuture<'_, Result<Vec<Machine>>> {
    Box::pin(async move {
        let mut machines = BTreeMap::new();
        let mut after = None;
        loop {
            let page = backend.documents().list(&[DocumentKind::Machine], after.as_ref()).await?;
            for document in page.items {
                let machine = machine_of(&document);
                machines.insert(document.id, machine);
            }
            after = page.next;
            if after.is_none() {
                return Ok(machines.into_values().collect());
            }
        }
    })
}

fn machine_of(document: &Document) -> Machine {
    let body: MachineBody = serde_json::from_value(document.body.clone()).unwrap_or_default();
    Machine {
        id: document.id.clone(),
        name: body.name,
        last_seen: document.updated_at,
        round: body.round,
        retired: body.retired,
        version: body.version,
    }
}

/// Makes a machine count no longer: deleted songs are not kept for it. If it
/// comes back, it compares everything once and goes on under a new id. Nothing
/// if there is no such machine.
///
/// # Errors
///
/// If the library cannot be read or written.
pub fn retire<'a>(
    backend: &'a dyn StorageBackend,
    machine: &'a str,
) -> BoxFuture<'a, Result<Option<Machine>>> {
    Box::pin(async move {
        let ids = [machine.to_owned()];
        loop {
            let read = backend.documents().get(DocumentKind::Machine, &ids).await?.pop().flatten();
            let Some(mut document) = read else { return Ok(None) };
            let version = document.revision.operation;
            document.body["retired"] = json!(true);
            document.revision = document.revision.next();
            let machine = machine_of(&document);
            let put = PutDocument { document, mode: PutMode::Replace(version) };
            if backend.documents().put(&[put]).await?.iter().all(Outcome::is_done) {
                return Ok(Some(machine));
            }
        }
    })
}
