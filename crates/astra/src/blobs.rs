//! Audio as objects: in S3 and what speaks its language, in a folder, or in
//! memory.
//!
//! Names are `audio/<2 hex>/<sha256>.<8 hex of the operation>` and are never
//! used for other bytes, so that every upload is a plain overwrite: it can be
//! repeated, and no answer to it can be misread.

mod download;
mod http;
mod open;
mod upload;

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3, path::Path,
    prefix::PrefixStore, signer::Signer,
};
use songrec_core::{BlobRef, Digest};
use songrec_storage::{BlobStream, Error, ErrorKind, Result};

pub(crate) use self::open::open;
use self::{
    open::{NO_BUCKET, failed_in},
    upload::Room,
};
use crate::{client::Timeouts, hint::run_verify};

/// Bytes read from a file, or given on, at once.
const READ: usize = 1 << 20;
/// What is written to find out whether it comes back.
const PROBE: &[u8] = b"songrec";
/// The longest that S3 lets an address be valid.
const LONGEST_ADDRESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A place for audio.
#[derive(Debug)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<PrefixStore<AmazonS3>>>,
    place: String,
    timeouts: Timeouts,
    room: Room,
}

impl Blobs {
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn has_addresses(&self) -> bool {
        self.signer.is_some()
    }

    pub(crate) async fn get(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        let subject = format!("blob `{}`", blob.sha256);
        let Some(path) = self.find(blob).await? else { return Ok(None) };
        let mut options = GetOptions::default();
        if let Some(range) = range {
            // An empty range and one beyond the end are errors of no clear kind
            // to the store, so the size is asked for.
            if range.is_empty() || range.end > blob.size {
                let Some(size) = self.size(&path, &subject).await? else { return Ok(None) };
                if range.start > range.end || range.end > size {
                    let why = format!("bytes {}..{} of {size}", range.start, range.end);
                    return Err(
                        Error::new(ErrorKind::Invalid, "read", subject, &self.place).because(why)
                    );
                }
                if range.is_empty() {
                    return Ok(Some(stream::empty().boxed()));
                }
            }
            options.range = Some(range.into());
        }
        let end = match &options.range {
            Some(object_store::GetRange::Bounded(range)) => range.end,
            _ => 0,
        };
        match self.store.get_opts(&path, options).await {
            Ok(first) if first.meta.size == blob.size => {
                Ok(Some(self.download(path, subject, first)))
            }
            Ok(first) => Err(self.of_another_size(subject, first.meta.size, blob)),
            Err(object_store::Error::NotFound { .. }) => {
                self.check_bucket().await?;
                Ok(None)
            }
            // A range beyond the end of a damaged object has no clear kind.
            Err(error @ object_store::Error::Generic { .. }) if end > 0 => {
                match self.size(&path, &subject).await? {
                    Some(size) if size < end => Err(self.of_another_size(subject, size, blob)),
                    _ => Err(self.failed("read", &subject, error)),
                }
            }
            Err(error) => Err(self.failed("read", &subject, error)),
        }
    }

    // Nobody who asked for a song takes in what is larger or smaller than it.
    fn of_another_size(&self, subject: String, size: u64, blob: &BlobRef) -> Error {
        let why = format!("the object has {size} bytes, not {}", blob.size);
        Error::new(ErrorKind::Corrupt, "read", subject, &self.place)
            .because(why)
            .with_hint(run_verify())
    }

    pub(crate) async fn address(
        &self,
        blob: &BlobRef,
        valid_for: Duration,
    ) -> Result<Option<String>> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let subject = format!("blob `{}`", blob.sha256);
        let Some(path) = self.find(blob).await? else { return Ok(None) };
        if self.size(&path, &subject).await?.is_none() {
            return Ok(None);
        }
        let valid_for = valid_for.clamp(Duration::from_secs(1), LONGEST_ADDRESS);
        let address = signer.signed_url(reqwest::Method::GET, &path, valid_for).await;
        address
            .map(|address| Some(address.to_string()))
            .map_err(|error| self.failed("make an address of", &subject, error))
    }

    /// The size of a blob; `None` if it is not there.
    pub(crate) async fn size_of(&self, blob: &BlobRef) -> Result<Option<u64>> {
        let Some(path) = self.find(blob).await? else { return Ok(None) };
        self.size(&path, &format!("blob `{}`", blob.sha256)).await
    }

    async fn size(&self, path: &Path, subject: &str) -> Result<Option<u64>> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at", subject, error)),
        }
    }

    // A reference from another backend has no key; any blob of its digest will do.
    async fn find(&self, blob: &BlobRef) -> Result<Option<Path>> {
        if let Some(key) = &blob.key {
            return Ok(Some(Path::from(key.as_str())));
        }
        let folder = Path::from(format!("audio/{}", blob.sha256.shard()));
        let name = format!("{}.", blob.sha256);
        let mut listed = self.store.list(Some(&folder));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(|error| {
                self.failed("look for", format_args!("blob `{}`", blob.sha256), error)
            })?;
            if meta.location.filename().is_some_and(|found| found.starts_with(&name)) {
                return Ok(Some(meta.location));
            }
        }
        Ok(None)
    }

    /// Every blob, with its digest and its key.
    pub(crate) fn list(
        &self,
    ) -> impl futures::Stream<Item = Result<(Digest, ObjectMeta)>> + Send + use<'_> {
        self.store
            .list(Some(&Path::from("audio")))
            .map_err(|error| self.failed("list", "the blobs", error))
            .try_filter_map(|meta| async {
                let digest =
                    meta.location.filename().and_then(|name| name.split_once('.')?.0.parse().ok());
                Ok(digest.map(|digest| (digest, meta)))
            })
    }

    /// Whether an object is as it was listed, and was not stored again since.
    pub(crate) async fn is_still(&self, listed: &ObjectMeta) -> Result<bool> {
        match self.store.head(&listed.location).await {
            // A list may tell parts of seconds, which an answer's header cannot.
            Ok(now) => Ok(now.last_modified.timestamp() == listed.last_modified.timestamp()
                && now.size == listed.size),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("look at", format_args!("`{}`", listed.location), error)),
        }
    }

    /// Deletes a blob; nothing if it is not there.
    pub(crate) async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", format_args!("`{key}`"), error)),
        }
    }

    /// Says whether there is a `songrec.json`, and writes it if asked to.
    pub(crate) async fn label(&self, text: &str, write: bool) -> Result<bool> {
        self.check_bucket().await?;
        let path = Path::from("songrec.json");
        let found = self.size(&path, "`songrec.json`").await?.is_some();
        if write && !found {
            let payload = PutPayload::from(text.to_owned());
            self.store
                .put(&path, payload)
                .await
                .map_err(|error| self.failed("write", "`songrec.json`", error))?;
        }
        Ok(found)
    }

    // Whether the bucket is there. Only a list asks for it: of an object that
    // is missing the bucket may be missing too. But the store gives that error
    // no clear kind, unlike that of a look at an object.
    async fn check_bucket(&self) -> Result<()> {
        if self.signer.is_none() {
            // A folder was made when it was opened.
            return Ok(());
        }
        let mut listed = self.store.list_with_offset(None, &Path::from("zzzz"));
        let Some(Err(error)) = listed.next().await else { return Ok(()) };
        match self.store.head(&Path::from("songrec.json")).await {
            Err(object_store::Error::NotFound { .. })
                if matches!(error, object_store::Error::Generic { .. }) =>
            {
                let missing = Error::new(ErrorKind::NotFound, "use", "the bucket", &self.place);
                Err(missing.because("there is no such bucket").with_hint(NO_BUCKET))
            }
            Err(clearer) if !matches!(clearer, object_store::Error::NotFound { .. }) => {
                Err(self.failed("look at", "the bucket", clearer))
            }
            _ => Err(self.failed("list", "the bucket", error)),
        }
    }

    /// Writes, lists, reads and deletes something small.
    pub(crate) async fn try_out(&self) -> Result<()> {
        let folder = Path::from(format!("audio/probe-{:016x}", rand::random::<u64>()));
        let path = folder.clone().join("probe");
        let may_not = |operation| move |error| self.failed(operation, "a probe", error);
        self.store.put(&path, PutPayload::from_static(PROBE)).await.map_err(may_not("write"))?;
        let tried = async {
            let listed = self.store.list(Some(&folder)).try_next().await;
            let listed = listed.map_err(may_not("list"))?.is_some();
            let found = self.store.get(&path).await.map_err(may_not("read"))?;
            let bytes = match found.meta.size == PROBE.len() as u64 {
                true => found.bytes().await.map_err(may_not("read"))?,
                false => Bytes::new(),
            };
            Ok((listed, bytes))
        }
        .await;
        // Also what could not be read.
        let deleted = self.store.delete(&path).await.map_err(may_not("delete"));
        let (listed, bytes) = tried?;
        deleted?;
        if listed && bytes.as_ref() == PROBE {
            return Ok(());
        }
        let why =
            if listed { "other bytes came back than were written" } else { "it is not listed" };
        Err(Error::new(ErrorKind::Corrupt, "read", "a probe", &self.place)
            .because(why)
            .with_hint("use another server for the audio: this one does not keep what it is given"))
    }

    fn failed(
        &self,
        operation: &'static str,
        subject: impl std::fmt::Display,
        error: object_store::Error,
    ) -> Error {
        failed_in(&self.place, operation, subject, error)
    }
}
