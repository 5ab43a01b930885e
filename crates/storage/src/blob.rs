//! Audio bytes, as they go in and come out.

use std::{fmt, path::PathBuf};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};

use crate::Result;

/// Bytes on their way out of a backend, in pieces of at most a few MiB.
pub type BlobStream = BoxStream<'static, Result<Bytes>>;

/// Where the bytes of a new blob come from.
pub enum BlobSource {
    /// A file, which is read and never changed.
    Path(PathBuf),
    /// Bytes from elsewhere, such as another backend.
    Stream(BlobStream),
}

impl fmt::Debug for BlobSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// All bytes of a stream, for what is known to be small.
///
/// # Errors
///
/// The stream's own.
pub async fn read_blob(mut stream: BlobStream) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes.freeze())
}
