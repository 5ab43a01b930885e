//! When something was said, by clocks that may be wrong.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{InvalidId, Timestamp};

/// A moment of a hybrid logical clock: 48 bits of milliseconds since 1970 and
/// a 16-bit counter; written as 16 hexadecimal digits, so text sorts like time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp for something that happens now, later than `last` whatever
    /// the clock says.
    pub fn after(last: Self, now: Timestamp) -> Self {
        let clock = (now.as_millisecond().max(0).unsigned_abs() & 0xffff_ffff_ffff) << 16;
        Self(clock.max(last.0.saturating_add(1)))
    }
}

impl Stamp {
    /// The moment, to the millisecond.
    pub fn time(self) -> Timestamp {
        let millisecond = i64::try_from(self.0 >> 16).unwrap_or_default();
        Timestamp::from_millisecond(millisecond).unwrap_or_default()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Stamp {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let valid = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| valid)
            .map(Self)
            .ok_or_else(|| InvalidId::new(text, "a stamp of 16 hexadecimal digits"))
    }
}

impl TryFrom<String> for Stamp {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> Self {
        stamp.to_string()
    }
}
