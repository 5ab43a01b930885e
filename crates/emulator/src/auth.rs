//! Who may ask: tokens in their two forms.

use std::fmt;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Result, refuse};

/// What a request must carry. Any one of several does.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Token(String),
    User { name: String, password: String },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

impl Credential {
    /// A fresh token in the form of Astra's.
    pub(crate) fn random() -> Self {
        let hex = |n: usize| -> String {
            (0..n).map(|_| format!("{:02x}", rand::random::<u8>())).collect()
        };
        Self::Token(format!("AstraCS:{}:{}", hex(12), hex(32)))
    }

    /// What a client sends in the `Token` header.
    pub(crate) fn token(&self) -> String {
        match self {
            Self::Token(token) => token.clone(),
            Self::User { name, password } => {
                format!("Cassandra:{}:{}", STANDARD.encode(name), STANDARD.encode(password))
            }
        }
    }

    fn accepts(&self, token: &str) -> bool {
        match self {
            Self::Token(own) => own == token,
            Self::User { name, password } => {
                let Some((n, p)) = token.strip_prefix("Cassandra:").and_then(|t| t.split_once(':'))
                else {
                    return false;
                };
                let is = |text: &str, own: &str| {
                    STANDARD.decode(text).is_ok_and(|t| t == own.as_bytes())
                };
                is(n, name) && is(p, password)
            }
        }
    }
}

/// Checks the token of a request.
pub(crate) fn check(headers: &HeaderMap, credentials: &[Credential]) -> Result<()> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = header("token")
        .or_else(|| header("x-cassandra-token"))
        .or_else(|| header("authorization").and_then(|value| value.strip_prefix("Bearer ")));
    match token.map(str::trim).filter(|token| !token.is_empty()) {
        None => refuse(Code::MissingToken, "send the application token in the `Token` header"),
        Some(token) if credentials.iter().any(|credential| credential.accepts(token)) => Ok(()),
        Some(_) => refuse(Code::Unauthenticated, "the token is not one of this database"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn tokens_are_compared_in_both_forms() {
        let user = Credential::User { name: "cassandra".into(), password: "pass:word".into() };
        let credentials = [Credential::Token("AstraCS:a:b".into()), user.clone()];
        let code = |headers| check(&headers, &credentials).err().map(|e| e.code);

        assert_eq!(code(HeaderMap::new()), Some(Code::MissingToken));
        assert_eq!(code(with("token", " ")), Some(Code::MissingToken));
        assert_eq!(code(with("token", "AstraCS:a:b")), None);
        assert_eq!(code(with("x-cassandra-token", "AstraCS:a:b")), None);
        assert_eq!(code(with("authorization", "Bearer AstraCS:a:b")), None);
        assert_eq!(code(with("token", &user.token())), None);
        for wrong in ["AstraCS:a:c", "Cassandra:x", "Cassandra:!:!", "Cassandra:Y2Fzc2FuZHJh:eA=="]
        {
            assert_eq!(code(with("token", wrong)), Some(Code::Unauthenticated), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Credential::random();
        assert!(!format!("{token:?}").contains("AstraCS"));
        assert_ne!(token, Credential::random());
    }
}
