//! Where audio is kept: how a store is opened, and what its errors mean.

use std::{path::Path as FilePath, sync::Arc};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    local::LocalFileSystem,
    memory::InMemory,
    prefix::PrefixStore,
};
use songrec_storage::{Error, ErrorKind, Result};

use songrec_core::{has_password, without_password};

use super::{
    Blobs,
    http::{Connector, NoKeys, Reason, Trouble, trouble},
    upload::Room,
};
use crate::{client::Timeouts, config::BlobConfig};

/// Opens the place that `config` names; asks nothing of it.
pub(crate) fn open(config: &BlobConfig, timeouts: &Timeouts) -> Result<Blobs> {
    let place = without_password(config.url.trim_end_matches('/')).into_owned();
    let invalid = |why: &str| {
        Error::new(ErrorKind::Invalid, "use", format_args!("`{place}`"), "the blob store")
            .because(why.to_owned())
            .with_hint("set it to `s3://bucket/prefix` or `file:///folder`")
    };
    if has_password(&config.url) {
        return Err(invalid("keys do not belong into it").with_hint(KEYS_ELSEWHERE));
    }
    let (timeouts, room) = (timeouts.clone(), Room::new());
    if let Some(rest) = config.url.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid("it has no bucket"));
        }
        if let Some(endpoint) = &config.endpoint {
            check_endpoint(endpoint)?;
        }
        let s3 = s3(config, bucket, &timeouts)
            .map_err(|error| failed_in(&place, "use", "the bucket", error))?;
        let store = Arc::new(PrefixStore::new(s3, prefix));
        let signer = Some(Arc::clone(&store));
        return Ok(Blobs { store, signer, place, timeouts, room });
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
    Ok(Blobs { store, signer: None, place, timeouts, room })
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    let wrong = |why: &str, hint: &str| {
        let shown = without_password(endpoint);
        Error::new(ErrorKind::Invalid, "use", format_args!("`{shown}`"), "the blob store")
            .because(why.to_owned())
            .with_hint(hint)
    };
    if has_password(endpoint) {
        return Err(wrong("keys do not belong into the address of a server", KEYS_ELSEWHERE));
    }
    let example = "set `SONGREC_BLOBS_ENDPOINT` to one such as `https://s3.example.org`";
    match reqwest::Url::parse(endpoint) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(()),
        _ => Err(wrong("it is not the address of a server", example)),
    }
}

fn s3(config: &BlobConfig, bucket: &str, timeouts: &Timeouts) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region.as_deref().unwrap_or("us-east-1"))
        .with_checksum_algorithm(Checksum::SHA256)
        .with_client_options(ClientOptions::new())
        .with_http_connector(Connector::new(timeouts))
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: timeouts.retry.first_pause,
                max_backoff: timeouts.retry.longest_pause,
                ..BackoffConfig::default()
            },
            max_retries: timeouts.retry.attempts.saturating_sub(1) as usize,
            retry_timeout: timeouts.retry.total,
        });
    if let Some(endpoint) = &config.endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint.as_str()).with_allow_http(plain);
    }
    match (&config.access_key, &config.secret_key) {
        (Some(key), Some(secret)) => {
            builder =
                builder.with_access_key_id(key.expose()).with_secret_access_key(secret.expose());
        }
        (None, None) if config.instance_role => {}
        (key, secret) => {
            let missing = match (key, secret) {
                (Some(_), _) => "there is an access key for the bucket, but no secret key",
                (None, Some(_)) => "there is a secret key for the bucket, but no access key",
                (None, None) => "there are no keys for the bucket",
            };
            builder = builder.with_credentials(Arc::new(NoKeys(missing)));
        }
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
    let hint = trouble(&error).map_or(hint, Trouble::hint);
    Error::new(kind, operation, subject, place).because(Reason::of(&error)).with_hint(hint)
}

pub(super) const NO_BUCKET: &str = "check the name of the bucket in `SONGREC_BLOBS`, and create it";
const KEYS_ELSEWHERE: &str = "set `SONGREC_BLOBS_ACCESS_KEY` and `SONGREC_BLOBS_SECRET_KEY` in \
                              `.env`, and leave them out of the address";
