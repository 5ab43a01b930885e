//! Addresses without the secrets that people put into them.

use std::borrow::Cow;

/// Stands where a user and a password stood.
const HIDDEN: &str = "(hidden)";

/// `text` with the user and the password of every address in it hidden, for
/// whatever is printed, logged or shown: `https://me:secret@host/path` becomes
/// `https://(hidden)@host/path`. Text without any stays as it is.
///
/// ```
/// use songrec_core::without_password;
///
/// assert_eq!(without_password("at http://me:secret@host:1/x"), "at http://(hidden)@host:1/x");
/// assert_eq!(without_password("http://host/a@b"), "http://host/a@b");
/// ```
pub fn without_password(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        rest = match user_and_password(after) {
            Some(end) => {
                shown.push_str(HIDDEN);
                &after[end..]
            }
            None => after,
        };
    }
    if shown.contains(HIDDEN) {
        shown.push_str(rest);
        Cow::Owned(shown)
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether the address `text` holds a user or a password.
pub fn has_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, after)| user_and_password(after).is_some())
}

// Where the `@` is that ends user and password. A password that somebody typed
// may hold anything, so the last `@` before the path counts; a slash in it is
// only known by what comes before it, which is no port.
fn user_and_password(after: &str) -> Option<usize> {
    let end = after.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c));
    let address = &after[..end.unwrap_or(after.len())];
    let host = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = address[..host].rfind('@') {
        return Some(at);
    }
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let cut_short = address[..host].rsplit_once(':').is_some_and(|(_, text)| !is_port(text));
    let bracketed = address.starts_with('[');
    address.rfind('@').filter(|_| cut_short && !bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left() {
        for (text, shown) in [
            ("https://me:secret@host", "https://(hidden)@host"),
            ("https://secret@host/x", "https://(hidden)@host/x"),
            ("http://me:p@ss@host:8000/v1", "http://(hidden)@host:8000/v1"),
            ("http://me:p/ss@host", "http://(hidden)@host"),
            ("`http://a:b@c` and s3://d:e@f", "`http://(hidden)@c` and s3://(hidden)@f"),
            ("s3://key:secret@bucket/prefix", "s3://(hidden)@bucket/prefix"),
        ] {
            assert_eq!(without_password(text), shown);
            assert_eq!(
                without_password(shown).matches("hidden").count(),
                shown.matches("hidden").count()
            );
        }
    }

    #[test]
    fn what_has_none_stays() {
        for text in [
            "",
            "://",
            "http://host:80/a@b?c=d@e",
            "http://[::1]:80/a@b",
            "file:///music/me@home",
            "s3://bucket/me@home.mp3",
            "me@example.org",
        ] {
            assert_eq!(without_password(text), text);
            assert!(!has_password(text), "{text}");
        }
        assert!(has_password("http://me@host"));
    }
}
