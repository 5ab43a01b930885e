//! Who may use the server, and how much.

use std::{fmt, path::PathBuf};

use sha2::{Digest, Sha256};

/// How a library is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// What clients have to present; nobody has to if there is none.
    pub token: Option<Token>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Names that clients may call this machine by, besides addresses of loopback and
    /// `localhost`, such as `studio.local`. Where it listens beyond loopback and none is
    /// named, clients with the token may call it anything.
    pub hosts: Vec<String>,
    /// Origins of other sites whose pages may use the server, such as
    /// `https://music.example`; none of them gets the cookie.
    pub origins: Vec<String>,
    /// The largest upload, in bytes.
    pub upload_limit: u64,
    /// The program that reads a file in a process of its own, as
    /// [`ScanOptions::examiner`](songrec_library::ScanOptions::examiner).
    pub examiner: Option<PathBuf>,
    /// The version of the program, which clients are told.
    pub version: &'static str,
}

/// 100 MiB.
const UPLOAD_LIMIT: u64 = 100 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            read_only: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            upload_limit: UPLOAD_LIMIT,
            examiner: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A secret that clients present. Never shown.
///
/// Invariant: at least 16 characters, none of them blank, all of ASCII.
#[derive(Clone)]
pub struct Token(String);

/// Fewer characters can be guessed.
const SHORTEST: usize = 16;

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It can be guessed.
    #[error("the token is too short: at least 16 characters are needed")]
    Short,
    /// It cannot be sent in a header.
    #[error("the token has characters other than letters, digits and signs of ASCII")]
    Characters,
}

impl Token {
    /// A token that clients present as `text`.
    ///
    /// # Errors
    ///
    /// When it is too short, or has characters that cannot be sent.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Characters);
        }
        if text.len() < SHORTEST {
            return Err(InvalidToken::Short);
        }
        Ok(Self(text.to_owned()))
    }

    /// A secret that nobody knows.
    pub(crate) fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether `text` is it, in a time that tells nothing of where they differ.
    pub(crate) fn is(&self, text: &str) -> bool {
        // Digests are equally long, whatever was presented.
        let (own, theirs) = (Sha256::digest(&self.0), Sha256::digest(text));
        own.iter().zip(&theirs).fold(0, |differ, (own, theirs)| differ | (own ^ theirs)) == 0
    }

    /// The text, for whoever has presented the right token.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_can_be_sent() {
        assert_eq!(Token::new("short").unwrap_err(), InvalidToken::Short);
        assert_eq!(Token::new("a token with blanks in it").unwrap_err(), InvalidToken::Characters);
        assert_eq!(Token::new("ein-längeres-Geheimnis").unwrap_err(), InvalidToken::Characters);

        let token = Token::new("0123456789abcdef").unwrap();

        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcdeF") && !token.is("") && !token.is("0123456789abcdef0"));
        assert!(!format!("{token:?}").contains("0123"));
    }
}
