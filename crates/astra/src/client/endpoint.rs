//! Where a Data API answers, and with what it is entered.

use std::{fmt, net::IpAddr, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Url;
use songrec_core::without_password;

use crate::Secret;

/// The address of a Data API, down to its version.
///
/// Read from what people have at hand: the endpoint of an Astra database, the
/// address of a self-hosted server, or the full path to either.
///
/// ```
/// use songrec_astra::client::Endpoint;
///
/// let astra: Endpoint =
///     "https://6f3b1e7a-5a0e-4d7b-9c42-0d6f3b1e7a55-us-east1.apps.astra.datastax.com".parse()?;
/// assert_eq!(astra.region(), Some("us-east1"));
/// assert!(astra.to_string().ends_with("/api/json/v1"));
///
/// let own: Endpoint = "http://127.0.0.1:8181".parse()?;
/// assert_eq!(own.to_string(), "http://127.0.0.1:8181/v1");
/// # Ok::<(), songrec_astra::client::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
}

const ASTRA_HOST: &str = ".apps.astra.datastax.com";
const DATABASE_ID_LENGTH: usize = 36;

impl Endpoint {
    /// The endpoint of an Astra database, from its id and region.
    ///
    /// # Errors
    ///
    /// When the two do not make a host name.
    pub fn astra(database: &str, region: &str) -> Result<Self, InvalidEndpoint> {
        format!("https://{database}-{region}{ASTRA_HOST}").parse()
    }

    /// Whether this is an Astra database, whose keyspaces are made through the
    /// DevOps API.
    pub fn is_astra(&self) -> bool {
        self.host().ends_with(ASTRA_HOST)
    }

    /// The id of the Astra database.
    pub fn database(&self) -> Option<&str> {
        self.host().get(..DATABASE_ID_LENGTH).filter(|_| self.is_astra())
    }

    /// The region of the Astra database.
    pub fn region(&self) -> Option<&str> {
        self.host().strip_suffix(ASTRA_HOST)?.get(DATABASE_ID_LENGTH + 1..)
    }

    /// Whether a token sent there can be read on the way: plain HTTP to
    /// another machine.
    pub fn is_exposed(&self) -> bool {
        self.base.scheme() == "http" && !self.is_here()
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(crate) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("checked on construction").extend(segments);
        url
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |why| InvalidEndpoint { text: without_password(text).into_owned(), why };
        let text = text.trim().trim_end_matches('/');
        let mut base = Url::parse(text).map_err(|_| invalid("it is not a URL"))?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err(invalid("it must begin with `https://`"));
        }
        let host = base.host_str().ok_or_else(|| invalid("it has no host name"))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(invalid(
                "user and password do not belong into it, but into `ASTRA_DB_USERNAME` and \
                 `ASTRA_DB_PASSWORD`",
            ));
        }
        let astra = host.ends_with(ASTRA_HOST);
        if astra && base.scheme() != "https" {
            return Err(invalid("Astra is only reached by `https://`"));
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        match path.as_str() {
            "" if astra => base.set_path("/api/json/v1"),
            "" => base.set_path("/v1"),
            "/api/json" => base.set_path("/api/json/v1"),
            _ => base.set_path(&path),
        }
        Ok(Self { base })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

/// A text that is not the address of a Data API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a Data API endpoint: {why}; expected one such as \
     `https://<database id>-<region>.apps.astra.datastax.com` or `http://127.0.0.1:8181`"
)]
pub struct InvalidEndpoint {
    text: String,
    why: &'static str,
}

/// The token of a self-hosted Data API, from a user and a password.
pub fn password_token(user: &str, password: &Secret) -> Secret {
    let encode = |text: &str| STANDARD.encode(text);
    Secret::new(format!("Cassandra:{}:{}", encode(user), encode(password.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_astra_endpoint_is_made_of_id_and_region() {
        let id = "6f3b1e7a-5a0e-4d7b-9c42-0d6f3b1e7a55";

        let endpoint = Endpoint::astra(id, "eu-west-1").unwrap();

        assert!(endpoint.is_astra());
        assert_eq!(endpoint.database(), Some(id));
        assert_eq!(endpoint.region(), Some("eu-west-1"));
        assert_eq!(endpoint.join(&["home", "songs"]).path(), "/api/json/v1/home/songs");
    }

    #[test]
    fn a_full_path_is_taken_as_it_is() {
        for text in ["http://localhost:1/v1/", "http://localhost:1/proxy/api/json/v1"] {
            let endpoint: Endpoint = text.parse().unwrap();

            assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
            assert!(!endpoint.is_astra());
        }
    }

    #[test]
    fn only_this_machine_is_here() {
        for (text, here) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:1", true),
            ("http://127.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();

            assert_eq!(endpoint.is_here(), here, "{text}");
            assert_eq!(endpoint.is_exposed(), !here, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in [
            "",
            "astra",
            "ftp://host",
            "https://user:word@host",
            "http://x.apps.astra.datastax.com",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();

            assert!(error.to_string().contains("http://127.0.0.1:8181"), "{text}");
            assert!(!format!("{error}{error:?}").contains("word@"), "{error}");
        }
    }

    #[test]
    fn plain_http_is_only_safe_at_home() {
        let exposed = |text: &str| text.parse::<Endpoint>().unwrap().is_exposed();

        assert!(exposed("http://db.example.org:8181"));
        assert!(!exposed("http://127.0.0.1:8181"));
        assert!(!exposed("https://db.example.org"));
    }

    #[test]
    fn user_and_password_make_a_token() {
        let token = password_token("cassandra", &Secret::new("pass"));

        assert_eq!(token.expose(), "Cassandra:Y2Fzc2FuZHJh:cGFzcw==");
    }
}
