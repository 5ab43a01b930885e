//! Page states: where a scan stopped, in a form that clients cannot read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Result, refuse};
use crate::id::{Key, Kind};

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PageState {
    /// The last row of the page before.
    pub(crate) after: Option<Key>,
    /// What is left of the `limit`.
    pub(crate) remaining: Option<usize>,
}

const VERSION: u8 = 1;
/// The mask keeps the key from showing through the base64.
const MASK: u8 = 0xa5;

impl PageState {
    pub(crate) fn encode(&self) -> String {
        let remaining = self.remaining.map_or(u64::MAX, |n| n as u64);
        let mut bytes = vec![VERSION];
        bytes.extend(remaining.to_be_bytes());
        if let Some(key) = &self.after {
            bytes.push(key.kind() as u8);
            bytes.extend(key.text().as_bytes());
        }
        bytes.push(checksum(&bytes));
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= MASK.wrapping_add(i as u8);
        }
        STANDARD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self> {
        match Self::read(text) {
            Some(state) => Ok(state),
            None => refuse(Code::Driver, "the page state is not one that this server gave out"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut bytes = STANDARD.decode(text).ok()?;
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= MASK.wrapping_add(i as u8);
        }
        if checksum(bytes.get(..bytes.len().checked_sub(1)?)?) != bytes.pop()? {
            return None;
        }
        let (version, rest) = bytes.split_first()?;
        let (remaining, rest) = rest.split_at_checked(8)?;
        let remaining = u64::from_be_bytes(remaining.try_into().ok()?);
        let after = match rest.split_first() {
            None => None,
            Some((kind, text)) => {
                let kind = Kind::from_number(i64::from(*kind))?;
                Some(Key::from_parts(kind, std::str::from_utf8(text).ok()?.into()))
            }
        };
        let remaining =
            if remaining == u64::MAX { None } else { Some(usize::try_from(remaining).ok()?) };
        (*version == VERSION).then_some(Self { after, remaining })
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(17_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    #[test]
    fn a_state_is_read_back_and_shows_nothing() {
        for (after, remaining) in [(Some("song-1"), Some(7)), (Some("x"), None), (None, Some(0))] {
            let after = after.map(|id| Key::of(&Value::from(id)).unwrap());
            let state = PageState { after, remaining };
            let text = state.encode();
            assert_eq!(PageState::decode(&text).unwrap(), state);
            assert!(!text.contains("song"));
        }
    }

    #[test]
    fn a_changed_state_is_refused() {
        let state =
            PageState { after: Some(Key::of(&Value::from("song-1")).unwrap()), remaining: None };
        let text = state.encode();
        for bad in ["", "x", "AAAA", &text[..text.len() - 4], &text.replace(&text[3..4], "_")] {
            assert_eq!(PageState::decode(bad).unwrap_err().code, Code::Driver, "{bad}");
        }
    }
}
