//! Bytes on their way to the store.
//!
//! What is sent has to be held until it is acknowledged, because it may have
//! to be sent again. How much that is for all uploads together is bounded.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart, path::Path};
use sha2::{Digest as _, Sha256};
use songrec_core::{BlobRef, Digest};
use songrec_storage::{BlobSource, BlobStream, Error, ErrorKind, NewBlob, Result};
use tokio::{
    io::AsyncReadExt,
    sync::{Semaphore, SemaphorePermit},
};

use super::{Blobs, READ};

/// Bytes of an object that are sent in one piece.
const ONE_PIECE: u64 = 16 << 20;
/// Bytes of one part of a larger one, and how many are on their way at once.
const PART: u64 = 8 << 20;
const PARTS_AT_ONCE: usize = 3;
/// The most parts that S3 takes.
const PARTS: u64 = 10_000;
/// Bytes that all uploads hold together.
const HELD: u64 = 48 << 20;

/// The memory that uploads share.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Room {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(kibibytes(HELD) as usize))
    }

    async fn take(&self, bytes: u64) -> SemaphorePermit<'_> {
        let asked = kibibytes(bytes.min(HELD)).max(1);
        self.0.acquire_many(asked).await.expect("it is never closed")
    }
}

fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).expect("at most `HELD`")
}

impl Blobs {
    pub(crate) async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let key = key_of(blob);
        let path = Path::from(key.as_str());
        let incoming = Incoming {
            source: self.open_source(source, blob).await?,
            blob: *blob,
            hash: Sha256::new(),
            seen: 0,
        };
        if blob.size <= ONE_PIECE {
            let _room = self.room.take(blob.size).await;
            self.put_small(&path, incoming).await?;
        } else {
            let part = PART.max(blob.size.div_ceil(PARTS));
            let _room = self.room.take(part * (PARTS_AT_ONCE as u64 + 1)).await;
            self.put_large(&path, part, incoming).await?;
        }
        Ok(BlobRef { sha256: blob.sha256, size: blob.size, key: Some(key) })
    }

    // Checked before anything is sent.
    async fn put_small(&self, path: &Path, mut incoming: Incoming) -> Result<()> {
        let blob = incoming.blob;
        let mut pieces = Vec::new();
        while let Some(piece) = incoming.next(self).await? {
            pieces.push(piece);
        }
        incoming.check(self)?;
        match self.store.put(path, PutPayload::from_iter(pieces)).await {
            Ok(_) => Ok(()),
            Err(error) => self.unless_stored(path, &blob, error).await,
        }
    }

    async fn put_large(&self, path: &Path, part: u64, mut incoming: Incoming) -> Result<()> {
        let blob = incoming.blob;
        let upload = match self.store.put_multipart(path).await {
            Ok(upload) => upload,
            Err(error) => return self.unless_stored(path, &blob, error).await,
        };
        let mut upload = WriteMultipart::new_with_chunk_size(upload, part as usize);
        let sent = async {
            loop {
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(Stopped::Store)?;
                match incoming.next(self).await.map_err(Stopped::Source)? {
                    Some(piece) => upload.put(piece),
                    // Nothing is visible before the end, so wrong bytes never are.
                    None => return incoming.check(self).map_err(Stopped::Source),
                }
            }
        }
        .await;
        let error = match sent {
            Ok(()) => match upload.finish().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            },
            Err(stopped) => {
                // The bucket's own rule removes what cannot be aborted.
                if let Err(error) = upload.abort().await {
                    tracing::debug!("an upload could not be aborted: {error}");
                }
                match stopped {
                    Stopped::Source(error) => return Err(error),
                    Stopped::Store(error) => error,
                }
            }
        };
        self.unless_stored(path, &blob, error).await
    }

    // After any error the object itself says whether it is stored; its name is
    // never used for other bytes.
    async fn unless_stored(
        &self,
        path: &Path,
        blob: &NewBlob,
        error: object_store::Error,
    ) -> Result<()> {
        match self.store.head(path).await {
            Ok(meta) if meta.size == blob.size => Ok(()),
            _ => Err(self.failed("store", format_args!("blob `{}`", blob.sha256), error)),
        }
    }

    async fn open_source(&self, source: BlobSource, blob: &NewBlob) -> Result<BlobStream> {
        let path = match source {
            BlobSource::Stream(stream) => return Ok(stream),
            BlobSource::Path(path) => path,
        };
        let (place, subject) = (self.place.clone(), format!("blob `{}`", blob.sha256));
        let shown = path.display().to_string();
        let failed = move |error: std::io::Error| {
            Error::new(ErrorKind::Invalid, "store", &subject, &place)
                .because(format!("`{shown}` cannot be read: {error}"))
        };
        let file = tokio::fs::File::open(&path).await.map_err(&failed)?;
        let pieces = stream::try_unfold((file, failed), |(mut file, failed)| async move {
            let mut piece = BytesMut::with_capacity(READ);
            match file.read_buf(&mut piece).await {
                Ok(0) => Ok(None),
                Ok(_) => Ok(Some((piece.freeze(), (file, failed)))),
                Err(error) => Err(failed(error)),
            }
        });
        Ok(pieces.boxed())
    }
}

enum Stopped {
    Source(Error),
    Store(object_store::Error),
}

// Bytes on their way in, hashed as they pass.
struct Incoming {
    source: BlobStream,
    blob: NewBlob,
    hash: Sha256,
    seen: u64,
}

impl Incoming {
    async fn next(&mut self, blobs: &Blobs) -> Result<Option<Bytes>> {
        let Some(piece) = self.source.next().await.transpose()? else { return Ok(None) };
        self.hash.update(&piece);
        self.seen += piece.len() as u64;
        if self.seen > self.blob.size {
            return Err(self.wrong(blobs, format!("there are more than {} bytes", self.blob.size)));
        }
        Ok(Some(piece))
    }

    fn check(&mut self, blobs: &Blobs) -> Result<()> {
        let found = Digest(std::mem::take(&mut self.hash).finalize().into());
        if self.seen != self.blob.size {
            let why = format!("there are {} bytes, not {}", self.seen, self.blob.size);
            return Err(self.wrong(blobs, why));
        }
        match found == self.blob.sha256 {
            true => Ok(()),
            false => Err(self.wrong(blobs, format!("the bytes have the digest `{found}`"))),
        }
    }

    fn wrong(&self, blobs: &Blobs, why: String) -> Error {
        let subject = format!("blob `{}`", self.blob.sha256);
        Error::new(ErrorKind::Invalid, "store", subject, &blobs.place).because(why)
    }
}

fn key_of(blob: &NewBlob) -> String {
    format!("audio/{}/{}.{}", blob.sha256.shard(), blob.sha256, blob.operation.short())
}
