//! The right to write: the lock, and a connection to the catalog.

use rusqlite::Connection;
use songrec_core::SongId;

use crate::{
    catalog::{Catalog, RowKind},
    error::{Fault, Result},
    files::{Folder, Stamp, lock::Locked},
    store::Store,
};

/// The right to write, with a connection to write with. Each
/// [`commit`](Self::commit) is one transaction of the catalog; a change of a
/// library is several of them, in the order that
/// [`Publisher::store`](crate::publish::Publisher::store) gives.
pub(crate) struct Transaction<'a> {
    store: &'a Store,
    connection: &'a Connection,
    _lock: &'a Locked<'a>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(store: &'a Store, connection: &'a Connection, lock: &'a Locked<'a>) -> Self {
        Self { store, connection, _lock: lock }
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Runs a transaction.
    pub(crate) fn commit(&self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.store.files().step(|| {
            let transaction = self.connection.unchecked_transaction()?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// Marks songs whose rows in indexes and catalog may be wrong from now on.
    pub(crate) fn note_pending(&self, kind: RowKind, ids: &[SongId]) -> Result<()> {
        self.commit(|connection| Catalog::add_pending(connection, kind, ids.iter().copied()))
    }

    /// Notes that a shard is what the catalog thinks it is.
    pub(crate) fn note_shard(
        &self,
        connection: &Connection,
        folder: Folder,
        shard: u8,
    ) -> Result<()> {
        let path = self.store.layout().shard(folder, shard);
        let stamp = Stamp::at(&path).map_err(Fault::io("read", &path))?;
        Catalog::set_shard(connection, folder, shard, stamp)
    }
}
