//! The audio of songs, where the library has a place for it.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use songrec_core::BlobRef;
use songrec_storage::{BlobSource, BlobStore, BlobStream, NewBlob, Result};

use crate::shared::Shared;

/// The copies of audio of a library.
#[derive(Debug)]
pub(crate) struct Audio {
    shared: Arc<Shared>,
}

impl Audio {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }
}

#[async_trait]
impl BlobStore for Audio {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        self.shared.place_of_audio("store")?.put(blob, source).await
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        match &self.shared.blobs {
            Some(blobs) => blobs.get(blob, range).await,
            None => Ok(None),
        }
    }

    async fn url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        match &self.shared.blobs {
            Some(blobs) => blobs.address(blob, valid_for).await,
            None => Ok(None),
        }
    }
}
