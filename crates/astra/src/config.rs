//! What has to be known to reach a library in Astra.

use std::{fmt, time::Duration};

use serde::Deserialize;
use songrec_core::{RetryPolicy, without_password};

use crate::{
    Secret,
    client::{Endpoint, InvalidEndpoint, Timeouts},
};

/// Where a library in Astra is, and how to get in.
///
/// Everything but the secrets can be read from a configuration file; they come
/// from the environment, and are put in afterwards.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AstraConfig {
    /// The address of the Data API: that of an Astra database, or of a
    /// self-hosted server.
    pub endpoint: String,
    /// The keyspace; `default` stands for `default_keyspace`, as Astra calls it.
    #[serde(default = "default_keyspace")]
    pub keyspace: String,
    /// The token: `AstraCS:…`, or what
    /// [`password_token`](crate::client::password_token) makes.
    #[serde(skip, default = "no_secret")]
    pub token: Secret,
    /// Where the audio is, if the library keeps audio.
    #[serde(default)]
    pub blobs: Option<BlobConfig>,
    /// How long to wait for one answer, in seconds.
    #[serde(default)]
    pub timeout_s: Option<f64>,
    /// All of the waiting, for programs that know better.
    #[serde(skip)]
    pub timeouts: Option<Timeouts>,
}

/// Where audio is kept.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobConfig {
    /// `s3://bucket/prefix`, `file:///folder`, or `memory:` for tests.
    pub url: String,
    /// The address of a server other than Amazon's, such as
    /// `http://127.0.0.1:9000`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region of the bucket; `us-east-1` if none is given.
    #[serde(default)]
    pub region: Option<String>,
    /// The access key. Without it every use of the bucket is an error that says
    /// so.
    #[serde(skip)]
    pub access_key: Option<Secret>,
    /// The secret key that belongs to it.
    #[serde(skip)]
    pub secret_key: Option<Secret>,
    /// The session token that belongs to temporary keys.
    #[serde(skip)]
    pub session_token: Option<Secret>,
    /// Whether keys are asked of the cloud that this machine is in, at its
    /// metadata address, if there are none. Otherwise nobody is asked.
    #[serde(default)]
    pub instance_role: bool,
}

impl BlobConfig {
    /// Audio at `url`, with nothing else said.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            instance_role: false,
        }
    }
}

/// The keyspace of a new Astra database.
pub const DEFAULT_KEYSPACE: &str = "default_keyspace";

impl AstraConfig {
    /// A library at `endpoint`, in the default keyspace, without audio.
    pub fn new(endpoint: impl Into<String>, token: Secret) -> Self {
        Self {
            endpoint: endpoint.into(),
            keyspace: default_keyspace(),
            token,
            blobs: None,
            timeout_s: None,
            timeouts: None,
        }
    }

    pub(crate) fn address(&self) -> Result<Endpoint, InvalidEndpoint> {
        self.endpoint.parse()
    }

    // CQL reserves `default`, so no keyspace can have that name.
    pub(crate) fn keyspace_name(&self) -> &str {
        match self.keyspace.as_str() {
            "default" | "" => DEFAULT_KEYSPACE,
            name => name,
        }
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        let standard = self.timeouts.clone().unwrap_or_default();
        match self.timeout_s.filter(|seconds| (0.01..=600.0).contains(seconds)) {
            None => standard,
            Some(seconds) => {
                let request = Duration::from_secs_f64(seconds);
                let total = standard.retry.total.max(request * 4);
                let retry = RetryPolicy { total, ..standard.retry };
                Timeouts { request, retry, ..standard }
            }
        }
    }
}

// Addresses are refused if they hold a password, but only when they are used.
impl fmt::Debug for AstraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AstraConfig")
            .field("endpoint", &without_password(&self.endpoint))
            .field("keyspace", &self.keyspace)
            .field("token", &self.token)
            .field("blobs", &self.blobs)
            .field("timeout_s", &self.timeout_s)
            .field("patience", &self.timeouts)
            .finish()
    }
}

impl fmt::Debug for BlobConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobConfig")
            .field("url", &without_password(&self.url))
            .field("endpoint", &self.endpoint.as_deref().map(without_password))
            .field("region", &self.region)
            .field("access_key", &self.access_key)
            .field("secret_key", &self.secret_key)
            .field("session_token", &self.session_token)
            .field("instance_role", &self.instance_role)
            .finish()
    }
}

fn default_keyspace() -> String {
    DEFAULT_KEYSPACE.to_owned()
}

fn no_secret() -> Secret {
    Secret::new("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_without_its_secrets() {
        let config: AstraConfig = serde_json::from_str(
            r#"{"endpoint": "http://127.0.0.1:8181", "keyspace": "default",
                "blobs": {"url": "s3://bucket/a", "region": "eu-west-1"}}"#,
        )
        .unwrap();

        assert_eq!(config.keyspace_name(), "default_keyspace");
        assert!(config.token.is_empty());
        let secret = r#"{"endpoint": "http://127.0.0.1:8181", "token": "AstraCS:x"}"#;
        assert!(serde_json::from_str::<AstraConfig>(secret).is_err(), "secrets are not for files");
    }

    #[test]
    fn a_configuration_does_not_show_its_secrets() {
        let mut config = AstraConfig::new("http://127.0.0.1:1", Secret::new("AstraCS:hush"));
        let mut blobs = BlobConfig::new("s3://key:murmur@bucket");
        blobs.secret_key = Some(Secret::new("whisper"));
        blobs.endpoint = Some("https://me:mumble@host".to_owned());
        config.blobs = Some(blobs);

        let shown = format!("{config:?}");

        for secret in ["hush", "whisper", "murmur", "mumble"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
