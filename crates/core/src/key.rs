//! Musical keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Major or minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the musical terms")]
pub enum Mode {
    Major,
    Minor,
}

/// A musical key, such as `Am` or `F#`; written in that form.
///
/// Read from `A minor`, `a min`, `Am`, `Bb`, `B♭`, Camelot (`8A`) and Open Key
/// (`1m`, `1d`) notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    /// Semitones above C, 0 to 11.
    tonic: u8,
    mode: Mode,
}

const NAMES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

impl Key {
    /// The key on the tonic that is `semitones` above C, modulo an octave.
    pub const fn new(semitones: u8, mode: Mode) -> Self {
        Self { tonic: semitones % 12, mode }
    }

    /// Semitones of the tonic above C, 0 to 11.
    pub const fn tonic(self) -> u8 {
        self.tonic
    }

    /// Major or minor.
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// The key's place on the Camelot wheel, such as `8A` for A minor; keys
    /// one step apart mix well.
    pub fn camelot(self) -> String {
        let letter = if self.mode == Mode::Minor { 'A' } else { 'B' };
        format!("{}{letter}", self.wheel())
    }

    /// This key and those that mix well with it: one step round the Camelot
    /// wheel either way, and the relative major or minor.
    pub fn compatible(self) -> [Self; 4] {
        let other = match self.mode {
            Mode::Major => Self::new(self.tonic + 9, Mode::Minor),
            Mode::Minor => Self::new(self.tonic + 3, Mode::Major),
        };
        [self, Self::new(self.tonic + 7, self.mode), Self::new(self.tonic + 5, self.mode), other]
    }

    // Fifths from C major, which is 8B; A minor, its relative, is 8A.
    fn wheel(self) -> u8 {
        let major = match self.mode {
            Mode::Major => self.tonic,
            Mode::Minor => (self.tonic + 3) % 12,
        };
        (major * 7 + 7) % 12 + 1
    }

    fn from_wheel(number: u8, mode: Mode) -> Option<Self> {
        (1..=12)
            .contains(&number)
            .then(|| (0..12).map(|tonic| Self::new(tonic, mode)).find(|key| key.wheel() == number))
            .flatten()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minor = if self.mode == Mode::Minor { "m" } else { "" };
        f.pad(&format!("{}{minor}", NAMES[usize::from(self.tonic)]))
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        parse(text).ok_or_else(|| InvalidKey(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Key> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u8 = text[..split].parse().ok()?;
        return match &text[split..] {
            "A" | "a" => Key::from_wheel(number, Mode::Minor),
            "B" | "b" => Key::from_wheel(number, Mode::Major),
            // Open Key: 1d is C major, which is 8B.
            "m" | "M" if (1..=12).contains(&number) => {
                Key::from_wheel((number + 6) % 12 + 1, Mode::Minor)
            }
            "d" | "D" if (1..=12).contains(&number) => {
                Key::from_wheel((number + 6) % 12 + 1, Mode::Major)
            }
            _ => None,
        };
    }
    let mut chars = text.chars();
    let mut tonic: i8 = match chars.next()?.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let mut rest = chars.as_str();
    let letter = tonic;
    while let Some(sign) = rest.chars().next() {
        match sign {
            '#' | '♯' => tonic += 1,
            'b' | '♭' => tonic -= 1,
            _ => break,
        }
        rest = &rest[sign.len_utf8()..];
        // Beyond double sharps and flats there is no such note.
        if tonic.abs_diff(letter) > 2 {
            return None;
        }
    }
    let rest = rest.trim_matches([' ', '-', '_', ':']);
    let mode = match rest {
        "" | "M" => Mode::Major,
        "m" => Mode::Minor,
        word => match word.to_ascii_lowercase().as_str() {
            "maj" | "major" | "dur" => Mode::Major,
            "min" | "minor" | "moll" => Mode::Minor,
            _ => return None,
        },
    };
    Some(Key::new(tonic.rem_euclid(12).unsigned_abs(), mode))
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

/// A text that names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key: expected one such as `Am`, `F# minor`, `Bb` or `8A`")]
pub struct InvalidKey(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn every_key_survives_text_and_camelot() {
        for tonic in 0..12 {
            for mode in [Mode::Major, Mode::Minor] {
                let expected = Key::new(tonic, mode);

                assert_eq!(key(&expected.to_string()), expected);
                assert_eq!(key(&expected.camelot()), expected);
            }
        }
    }

    #[test]
    fn the_spellings_of_a_key_are_one_key() {
        for text in ["Am", "a minor", "A min", "8A", "1m", "A-moll"] {
            assert_eq!(key(text), Key::new(9, Mode::Minor), "{text}");
        }
        assert_eq!(key("Bb"), key("A#"));
        assert_eq!(key("Cb"), key("B"));
        assert!(format!("C{}", "#".repeat(500)).parse::<Key>().is_err());
        for text in ["", "H", "13A", "0A", "0m", "255m", "13d", "A blues", "bpm"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn compatible_keys_are_one_step_away() {
        let keys: Vec<_> = key("8A").compatible().iter().map(|key| key.camelot()).collect();

        assert_eq!(keys, ["8A", "9A", "7A", "8B"]);
    }
}
