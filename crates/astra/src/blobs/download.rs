//! Bytes on their way from the store.
//!
//! A download that breaks goes on where it was, as long as every attempt gets
//! further: how long it takes in all does not matter.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectStore, path::Path};
use songrec_core::{FailedAttempt, Retries, RetryPolicy};
use songrec_storage::{BlobStream, Error, ErrorKind};
use tokio::io::AsyncReadExt;

use super::{Blobs, READ, open::failed_in};

/// A server that sends nothing for so long has forgotten us.
const STALLED: Duration = Duration::from_secs(60);

type Pieces = BoxStream<'static, object_store::Result<Bytes>>;

struct Download {
    store: Arc<dyn ObjectStore>,
    path: Path,
    place: String,
    subject: String,
    // That of the first answer: the rest has to be of the same object.
    tag: Option<String>,
    rest: Range<u64>,
    pieces: Option<Pieces>,
    // Received, and not given on yet.
    piece: Bytes,
    retry_policy: RetryPolicy,
    // Of the failures since the last piece came.
    retries: Retries,
}

impl Blobs {
    /// The bytes of `first`, the answer to a request for `path`.
    pub(super) fn download(&self, path: Path, subject: String, first: GetResult) -> BlobStream {
        // How long it takes in all does not matter.
        let retry_policy = RetryPolicy { total: Duration::MAX, ..self.timeouts.retry };
        let download = Download {
            store: Arc::clone(&self.store),
            path,
            place: self.place.clone(),
            subject,
            tag: first.meta.e_tag.clone(),
            rest: first.range.clone(),
            pieces: Some(pieces(first)),
            piece: Bytes::new(),
            retry_policy,
            retries: retry_policy.start(),
        };
        stream::try_unfold(download, |mut download| async move {
            let piece = download.next().await?;
            Ok(piece.map(|piece| (piece, download)))
        })
        .boxed()
    }
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if !self.piece.is_empty() {
                // Some stores give a whole object at once.
                return Ok(Some(self.piece.split_to(self.piece.len().min(READ))));
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            let Some(pieces) = &mut self.pieces else {
                self.reopen().await?;
                continue;
            };
            let error = match tokio::time::timeout(STALLED, pieces.next()).await {
                Ok(Some(Ok(mut piece))) => {
                    let left =
                        usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
                    piece.truncate(left);
                    self.rest.start += piece.len() as u64;
                    self.retries = self.retry_policy.start();
                    self.piece = piece;
                    continue;
                }
                Ok(Some(Err(error))) => self.failed(error),
                Ok(None) => self.broken("the server ended it too early"),
                Err(_) => self.broken("the server sent nothing for a minute"),
            };
            self.pieces = None;
            self.wait_after(error).await?;
        }
    }

    async fn reopen(&mut self) -> Result<(), Error> {
        tracing::debug!(subject = self.subject, at = self.rest.start, "the download goes on");
        let options = GetOptions {
            range: Some(self.rest.clone().into()),
            if_match: self.tag.clone(),
            ..GetOptions::default()
        };
        match self.store.get_opts(&self.path, options).await {
            Ok(found) if found.range == self.rest && found.meta.e_tag == self.tag => {
                self.pieces = Some(pieces(found));
                Ok(())
            }
            Ok(_) => Err(self.broken("the server gave another part of it, or another object")),
            Err(error) => {
                let error = self.failed(error);
                if error.kind() == ErrorKind::Transient {
                    return self.wait_after(error).await;
                }
                Err(error)
            }
        }
    }

    // After too many failures in a row without a byte between them, the error.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        let pause = self.retries.after(FailedAttempt::default(), rand::random());
        let Some(pause) = pause else { return Err(error) };
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn failed(&self, error: object_store::Error) -> Error {
        failed_in(&self.place, "read", &self.subject, error)
    }

    fn broken(&self, why: &str) -> Error {
        Error::new(ErrorKind::Transient, "read", &self.subject, &self.place)
            .because(why.to_owned())
            .with_hint("try again; check the network")
    }
}

// Files are read in larger pieces than the store would.
fn pieces(found: GetResult) -> Pieces {
    let range = found.range.clone();
    match found.payload {
        GetResultPayload::Stream(pieces) => pieces,
        GetResultPayload::File(file, path) => {
            let failed = move |source: std::io::Error| object_store::Error::Generic {
                store: "folder",
                source: format!("`{}` cannot be read: {source}", path.display()).into(),
            };
            let begin = async move {
                use tokio::io::AsyncSeekExt;
                let mut file = tokio::fs::File::from_std(file);
                match file.seek(std::io::SeekFrom::Start(range.start)).await {
                    Ok(_) => Ok((file.take(range.end - range.start), failed)),
                    Err(error) => Err(failed(error)),
                }
            };
            let pieces = stream::once(begin).flat_map(|begun| match begun {
                Err(error) => stream::once(async { Err(error) }).boxed(),
                Ok(begun) => stream::try_unfold(begun, |(mut file, failed)| async move {
                    let mut piece = BytesMut::with_capacity(READ);
                    match file.read_buf(&mut piece).await {
                        Ok(0) => Ok(None),
                        Ok(_) => Ok(Some((piece.freeze(), (file, failed)))),
                        Err(error) => Err(failed(error)),
                    }
                })
                .boxed(),
            });
            pieces.boxed()
        }
    }
}
