//! What a sync may do, and how.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use songrec_core::ModelName;

use crate::Side;

/// What a sync may do, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which sides may be written.
    pub direction: Direction,
    /// How many songs may be deleted before nothing at all is done.
    pub max_delete: MaxDelete,
    /// How many batches are under way at once.
    pub jobs: usize,
    /// Which audio is carried to sides that keep audio.
    pub audio: AudioPolicy,
    /// The models whose embeddings are carried; `None` for all of them.
    pub models: Option<BTreeSet<ModelName>>,
    /// Compare everything once, instead of what changed.
    pub full: bool,
    /// Accept that a side is another library than it was, and compare all of
    /// it.
    pub adopt: bool,
    /// The most bytes of audio and embeddings per second.
    pub bandwidth: Option<u64>,
    /// The name of this machine, for the list of machines.
    pub machine: String,
    /// Whether this machine announces itself at the libraries. Not where one of them
    /// is there for this sync alone: nobody has to wait for a machine that never
    /// comes back.
    pub announces: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            direction: Direction::Both,
            max_delete: MaxDelete::Usual,
            jobs: 8,
            audio: AudioPolicy::All,
            models: None,
            full: false,
            adopt: false,
            bandwidth: None,
            machine: String::new(),
            announces: true,
        }
    }
}

/// Which sides may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// The right one only.
    Push,
    /// The left one only.
    Pull,
}

impl Direction {
    /// Whether a side may be written.
    pub(crate) fn may_write(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::Push => side == Side::Right,
            Self::Pull => side == Side::Left,
        }
    }
}

/// How many songs one sync may delete on one side. A sync that would delete more
/// does nothing and fails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MaxDelete {
    /// 10 songs, or 5 % of the songs there if that is more.
    #[default]
    Usual,
    /// This number of songs.
    Songs(u64),
    /// This percentage of the songs there.
    Percent(f64),
}

impl MaxDelete {
    /// How many songs may be deleted where there are `songs`.
    pub fn of(self, songs: u64) -> u64 {
        let share = |percent: f64| (songs as f64 * percent / 100.0) as u64;
        match self {
            Self::Usual => share(5.0).max(10),
            Self::Songs(most) => most,
            Self::Percent(percent) => share(percent),
        }
    }
}

impl FromStr for MaxDelete {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let invalid = || InvalidOption {
            text: text.to_owned(),
            expected: "a number of songs such as `10`, or a share such as `5%`",
        };
        match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Songs),
        }
        .ok_or_else(invalid)
    }
}

impl fmt::Display for MaxDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("10 songs or 5%"),
            Self::Songs(songs) => write!(f, "{songs}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Which audio is carried to a side that keeps audio. A song whose audio is not
/// carried names where the audio is, if a side keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioPolicy {
    /// All of it.
    #[default]
    All,
    /// None: references only.
    None,
    /// That of songs added in this number of last days.
    Recent(u32),
}

impl FromStr for AudioPolicy {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            "recent" => Ok(Self::Recent(30)),
            _ => text
                .strip_prefix("recent:")
                .and_then(|days| days.parse().ok())
                .map(Self::Recent)
                .ok_or_else(|| InvalidOption {
                    text: text.to_owned(),
                    expected: "`all`, `none`, `recent` (30 days) or `recent:DAYS`",
                }),
        }
    }
}

/// How a migration proves itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Every song and embedding, and every byte of audio.
    Full,
    /// Every song, and objects of some songs bit for bit.
    #[default]
    Sample,
    /// Not at all.
    None,
}

impl FromStr for Verify {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        match text {
            "full" => Ok(Self::Full),
            "sample" => Ok(Self::Sample),
            "none" => Ok(Self::None),
            _ => {
                Err(InvalidOption { text: text.to_owned(), expected: "`full`, `sample` or `none`" })
            }
        }
    }
}

/// A text that is not a value of an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct InvalidOption {
    text: String,
    expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_few_songs_is_ten() {
        assert_eq!(MaxDelete::Usual.of(3), 10);
        assert_eq!(MaxDelete::Usual.of(1_000), 50);
        assert_eq!("2.5%".parse::<MaxDelete>().unwrap().of(1_000), 25);
        assert_eq!("7".parse::<MaxDelete>().unwrap().of(1_000), 7);
        for wrong in ["", "%", "101%", "-1", "NaN%", "many"] {
            assert!(wrong.parse::<MaxDelete>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn audio_is_all_or_none_or_of_some_days() {
        assert_eq!("recent".parse(), Ok(AudioPolicy::Recent(30)));
        assert_eq!("recent:7".parse(), Ok(AudioPolicy::Recent(7)));
        assert!("recent:x".parse::<AudioPolicy>().is_err());
    }
}
