//! Where audio is kept: how a store is opened, and what its errors mean.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    local::LocalFileSystem,
    memory::InMemory,
    prefix::PrefixStore,
};
use songrec_storage::{Error, ErrorKind, Result};

use super::{Blobs, upload::Room};
use crate::{client::Patience, config::BlobConfig};

/// How long the server may take for one answer, the sending of a part
/// included: 8 MiB in 5 minutes are 0.2 Mbit/s. A time for a whole request
/// would end long downloads.
const ANSWER: Duration = Duration::from_secs(300);

impl Blobs {
    pub(crate) fn open(config: &BlobConfig, patience: &Patience) -> Result<Self> {
        let place = config.url.trim_end_matches('/').to_owned();
        let invalid = |why: &str| {
            Error::new(ErrorKind::Invalid, "use", format_args!("`{place}`"), "the blob store")
                .because(why.to_owned())
                .with_hint("set it to `s3://bucket/prefix` or `file:///folder`")
        };
        let (patience, room) = (patience.clone(), Room::new());
        if let Some(rest) = config.url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(invalid("it has no bucket"));
            }
            let s3 = s3(config, bucket, &patience)
                .map_err(|error| failed_in(&place, "use", "the bucket", error))?;
            let store = Arc::new(PrefixStore::new(s3, prefix));
            let signer = Some(Arc::clone(&store));
            return Ok(Self { store, signer, place, patience, room });
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
        Ok(Self { store, signer: None, place, patience, room })
    }
}

fn s3(config: &BlobConfig, bucket: &str, patience: &Patience) -> object_store::Result<AmazonS3> {
    let options = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(10).min(patience.request))
        .with_timeout_disabled()
        .with_read_timeout(ANSWER);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region.as_deref().unwrap_or("us-east-1"))
        .with_checksum_algorithm(Checksum::SHA256)
        .with_client_options(options)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: patience.first_pause,
                max_backoff: patience.longest_pause,
                ..BackoffConfig::default()
            },
            max_retries: patience.attempts.saturating_sub(1),
            retry_timeout: patience.operation,
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
pub(super) fn failed_in(
    place: &str,
    operation: &'static str,
    subject: impl std::fmt::Display,
    error: object_store::Error,
) -> Error {
    use object_store::Error as Store;
    let (kind, hint) = match &error {
        Store::NotFound { .. } => (ErrorKind::NotFound, NO_BUCKET),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => (
            ErrorKind::Denied,
            "check the access key, its secret and the clock of this machine, and let the key read, \
             write, list and delete in the bucket",
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

pub(super) const NO_BUCKET: &str = "check the name of the bucket in `SONGREC_BLOBS`, and create it";
