//! Audio as objects: in S3 and what speaks its language, in a folder, or in
//! memory.
//!
//! Names are `audio/<2 hex>/<sha256>.<8 hex of the operation>` and are never
//! used for other bytes, so that every upload is a plain overwrite: it can be
//! repeated, and no answer to it can be misread.

use std::{ops::Range, path::Path as FilePath, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    local::LocalFileSystem,
    memory::InMemory,
    path::Path,
    prefix::PrefixStore,
    signer::Signer,
};
use sha2::{Digest as _, Sha256};
use songrec_core::{BlobRef, Digest};
use songrec_storage::{BlobSource, BlobStream, Error, ErrorKind, NewBlob, Result};
use tokio::io::AsyncReadExt;

use crate::config::BlobConfig;

/// Bytes of an object that are sent in one piece.
const ONE_PIECE: usize = 16 << 20;
/// Bytes of one part of a larger one, and how many are on their way at once.
const PART: usize = 8 << 20;
const PARTS_AT_ONCE: usize = 3;
/// Bytes read from a file at once.
const READ: usize = 1 << 20;
/// The longest that S3 lets an address be valid.
const LONGEST_ADDRESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A place for audio.
#[derive(Debug)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<PrefixStore<AmazonS3>>>,
    place: String,
}

impl Blobs {
    pub(crate) fn open(config: &BlobConfig) -> Result<Self> {
        let place = config.url.trim_end_matches('/').to_owned();
        let invalid = |why: &str| {
            Error::new(ErrorKind::Invalid, "use", format_args!("`{place}`"), "the blob store")
                .because(why.to_owned())
                .with_hint("set it to `s3://bucket/prefix` or `file:///folder`")
        };
        if let Some(rest) = config.url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(invalid("it has no bucket"));
            }
            let s3 = s3(config, bucket)
                .map_err(|error| failed_in(&place, "use", "the bucket", error))?;
            let store = Arc::new(PrefixStore::new(s3, prefix));
            return Ok(Self { store: Arc::clone(&store) as _, signer: Some(store), place });
        }
        let store: Arc<dyn ObjectStore> = if let Some(folder) = config.url.strip_prefix("file://") {
            let folder = FilePath::new(folder);
            if !folder.is_absolute() {
                return Err(invalid("a folder has to be an absolute path, with three slashes"));
            }
            std::fs::create_dir_all(folder).map_err(|error| invalid(&error.to_string()))?;
            let local = LocalFileSystem::new_with_prefix(folder)
                .map_err(|error| failed_in(&place, "use", "the folder", error))?;
            Arc::new(local.with_fsync(true))
        } else if config.url.starts_with("memory:") {
            Arc::new(InMemory::new())
        } else {
            return Err(invalid("it begins with neither `s3://` nor `file://`"));
        };
        Ok(Self { store, signer: None, place })
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn has_addresses(&self) -> bool {
        self.signer.is_some()
    }

    pub(crate) async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let key = key_of(blob);
        let path = Path::from(key.as_str());
        let mut incoming = Incoming {
            source: self.open_source(source, blob).await?,
            blob: *blob,
            hash: Sha256::new(),
            seen: 0,
        };
        // Small ones are checked before anything is sent.
        let mut first = BytesMut::new();
        while first.len() <= ONE_PIECE {
            match incoming.next(self).await? {
                Some(piece) => first.extend_from_slice(&piece),
                None => {
                    incoming.check(self)?;
                    self.put_small(&path, first.freeze(), blob).await?;
                    return Ok(BlobRef { sha256: blob.sha256, size: blob.size, key: Some(key) });
                }
            }
        }
        self.put_large(&path, first.freeze(), incoming).await?;
        Ok(BlobRef { sha256: blob.sha256, size: blob.size, key: Some(key) })
    }

    async fn put_small(&self, path: &Path, bytes: Bytes, blob: &NewBlob) -> Result<()> {
        match self.store.put(path, PutPayload::from_bytes(bytes)).await {
            Ok(_) => Ok(()),
            Err(error) => self.unless_stored(path, blob, error).await,
        }
    }

    async fn put_large(&self, path: &Path, first: Bytes, mut incoming: Incoming) -> Result<()> {
        let blob = incoming.blob;
        let upload = match self.store.put_multipart(path).await {
            Ok(upload) => upload,
            Err(error) => return self.unless_stored(path, &blob, error).await,
        };
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        upload.put(first);
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

    pub(crate) async fn get(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        let subject = format!("blob `{}`", blob.sha256);
        let Some(path) = self.find(blob).await? else { return Ok(None) };
        let found = |result: object_store::Result<object_store::GetResult>| match result {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", &subject, error)),
        };
        let (place, about) = (self.place.clone(), subject.clone());
        let stream = |found: object_store::GetResult| {
            found
                .into_stream()
                .map_err(move |error| failed_in(&place, "read", &about, error))
                .map_ok(|bytes| stream::iter(pieces(bytes).map(Ok)))
                .try_flatten()
                .boxed()
        };
        let Some(range) = range else {
            return Ok(found(self.store.get(&path).await)?.map(stream));
        };
        // An empty range and one beyond the end are errors of no clear kind to
        // the store, so the size is asked for.
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
        let options = object_store::GetOptions { range: Some(range.into()), ..Default::default() };
        Ok(found(self.store.get_opts(&path, options).await)?.map(stream))
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

    /// Deletes a blob; nothing if it is not there.
    pub(crate) async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", format_args!("`{key}`"), error)),
        }
    }

    /// Says whether there is a `songrec.json`, and writes it if asked to.
    pub(crate) async fn label(&self, text: &str, write: bool) -> Result<bool> {
        let path = Path::from("songrec.json");
        // A list first: the only question that an absent bucket answers clearly.
        let mut listed = self.store.list(Some(&Path::from("audio")));
        if let Some(Err(error)) = listed.next().await {
            return Err(self.failed("list", "the bucket", error));
        }
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

    /// Writes, reads and deletes something small.
    pub(crate) async fn try_out(&self) -> Result<()> {
        let name = format!("audio/probe/{:016x}", rand::random::<u64>());
        let path = Path::from(name);
        let failed = |error| self.failed("write and read", "a probe", error);
        self.store.put(&path, PutPayload::from_static(b"songrec")).await.map_err(failed)?;
        let bytes = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        self.store.delete(&path).await.map_err(failed)?;
        match bytes.map_err(failed)?.as_ref() {
            b"songrec" => Ok(()),
            _ => Err(Error::new(ErrorKind::Corrupt, "read", "a probe", &self.place)
                .because("other bytes came back than were written")),
        }
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

// Some stores give a whole object at once.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(READ))))
}

fn key_of(blob: &NewBlob) -> String {
    format!("audio/{}/{}.{}", blob.sha256.shard(), blob.sha256, blob.operation.short())
}

fn s3(config: &BlobConfig, bucket: &str) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region.as_deref().unwrap_or("us-east-1"))
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(RetryConfig {
            retry_timeout: Duration::from_secs(120),
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &config.endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint.as_str()).with_allow_http(plain);
    }
    if let Some(key) = &config.access_key {
        builder = builder.with_access_key_id(key.expose());
    }
    if let Some(key) = &config.secret_key {
        builder = builder.with_secret_access_key(key.expose());
    }
    if let Some(token) = &config.session_token {
        builder = builder.with_token(token.expose());
    }
    builder.build()
}

// By kind, never by text: the kinds are all that the library promises.
fn failed_in(
    place: &str,
    operation: &'static str,
    subject: impl std::fmt::Display,
    error: object_store::Error,
) -> Error {
    use object_store::Error as Store;
    let (kind, hint) = match &error {
        Store::NotFound { .. } => {
            (ErrorKind::NotFound, "check the name of the bucket in `SONGREC_BLOBS`, and create it")
        }
        Store::PermissionDenied { .. } => {
            (ErrorKind::Denied, "let the access key read, write, list and delete in the bucket")
        }
        Store::Unauthenticated { .. } => (
            ErrorKind::Denied,
            "check the access key, the secret key and the clock of this machine",
        ),
        Store::NotSupported { .. } | Store::NotImplemented { .. } => {
            (ErrorKind::Unsupported, "use a server that speaks the whole of S3")
        }
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => {
            (ErrorKind::Invalid, "check `SONGREC_BLOBS`")
        }
        _ => (ErrorKind::Transient, "try again; check the address of the server and the network"),
    };
    Error::new(kind, operation, subject, place).because(error).with_hint(hint)
}
