//! Blobs: the audio itself.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use songrec_core::{BlobRef, Digest, OperationId};

use crate::{BlobSource, BlobStream, Result};

/// The audio of songs, by the digest of its bytes.
///
/// ```
/// use bytes::Bytes;
/// use futures::{StreamExt, stream};
/// use songrec_core::{Digest, OperationId};
/// use songrec_storage::{BlobSource, MemoryBackend, NewBlob, StorageBackend, read_blob};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> songrec_storage::Result<()> {
/// let backend = MemoryBackend::new();
/// let bytes = Bytes::from_static(b"a whole file");
/// let (sha256, size) = (Digest::of(&bytes), bytes.len() as u64);
/// let blob = NewBlob { sha256, size, operation: OperationId::random() };
///
/// let source = BlobSource::Stream(stream::iter([Ok(bytes)]).boxed());
/// let reference = backend.blobs().put(&blob, source).await?;
///
/// let part = backend.blobs().get(&reference, Some(2..7)).await?;
/// assert_eq!(read_blob(part.expect("it was stored")).await?, "whole");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores a blob and gives the reference by which a song has to name it.
    /// Storing one again is a no-op.
    ///
    /// # Errors
    ///
    /// `Invalid` if the bytes do not have the size and digest they should;
    /// `Unsupported` if this library keeps no audio.
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef>;

    /// A part of a blob, or all of it; `None` if it is not there. Any file of
    /// a stored song that the backend can reach counts as a blob.
    ///
    /// # Errors
    ///
    /// `Invalid` for a range beyond the end. The bytes are as stored; a caller that
    /// takes them in for good compares the digest.
    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>>;

    /// An address at which anybody can get the blob for some time; `None` if
    /// the backend has no such addresses or no such blob.
    async fn url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>>;
}

/// A blob to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBlob {
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// The write, as for [`NewEmbedding::operation`](crate::NewEmbedding::operation).
    pub operation: OperationId,
}
