//! Text that must never be seen.

use std::fmt;

use serde::Deserialize;

/// A token, password or key.
///
/// It has no `Display` and is never serialized; `Debug` prints `Secret(..)`.
/// The one way out is [`Secret::expose`], so every use can be searched for.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`, without the white space that copying a token brings.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().to_owned())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is any text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(" AstraCS:id:word\n");

        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "AstraCS:id:word");
    }
}
