//! A part of a song, as a person writes it: `song.flac@1:20-1:35`.

use std::{fmt, ops::Range, str::FromStr};

use serde::Serialize;
use songrec_core::decode_path;

/// From where to where in a song, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Where it begins.
    pub start: f64,
    /// Where it ends, after it began.
    pub end: f64,
}

impl Part {
    /// `name` without the part at its end, if it has one. A file of that very
    /// name is a file.
    pub fn split(name: &str) -> (&str, Option<Self>) {
        if decode_path(name).exists() {
            return (name, None);
        }
        match name.rsplit_once('@') {
            Some((song, part)) if !song.is_empty() => match Self::parse(part) {
                Some(part) => (song, Some(part)),
                None => (name, None),
            },
            _ => (name, None),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let part = Self { start: seconds(start)?, end: seconds(end)? };
        (part.start < part.end).then_some(part)
    }

    /// As a range.
    pub const fn range(self) -> Range<f64> {
        self.start..self.end
    }
}

/// A text that is no part of a song.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a song: expected from where to where, such as `1:20-1:35`")]
pub struct InvalidPart(String);

impl FromStr for Part {
    type Err = InvalidPart;

    fn from_str(text: &str) -> Result<Self, InvalidPart> {
        Self::parse(text).ok_or_else(|| InvalidPart(text.to_owned()))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of a hit that lasts a twentieth of a second, tenths would leave nothing.
        let digits = if self.end - self.start < 1.0 { 3 } else { 1 };
        write!(f, "{}-{}", clock_to(digits, self.start), clock_to(digits, self.end))
    }
}

/// Seconds as a clock shows them, to the tenth: `1:20`, `0:07.5`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    clock_to(1, seconds)
}

// With so many digits behind the point at the most.
fn clock_to(digits: usize, seconds: f64) -> String {
    let scale = 10_u64.pow(digits as u32);
    let parts = (seconds.max(0.0) * scale as f64).round() as u64;
    let (whole, part) = (parts / scale, parts % scale);
    let part = format!(".{part:0digits$}");
    let part = part.trim_end_matches('0').trim_end_matches('.');
    match whole / 3600 {
        0 => format!("{}:{:02}{part}", whole / 60, whole % 60),
        hours => format!("{hours}:{:02}:{:02}{part}", whole / 60 % 60, whole % 60),
    }
}

// `95`, `95.5`, `1:35`, `1:02:03.5`.
fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    for (before, field) in text.trim().split(':').enumerate() {
        let is_number = !field.is_empty()
            && field.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && field.bytes().any(|b| b.is_ascii_digit());
        if !is_number || before == 3 {
            return None;
        }
        let value: f64 = field.parse().ok()?;
        // After hours or minutes, 60 and more is a slip.
        if before > 0 && value >= 60.0 {
            return None;
        }
        total = total * 60.0 + value;
    }
    (total.is_finite() && total < 1e7).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_two_times_after_the_name() {
        let part = |start, end| Some(Part { start, end });
        for (text, name, expected) in [
            ("song.flac@1:20-1:35", "song.flac", part(80.0, 95.0)),
            ("a@b@0-7.5", "a@b", part(0.0, 7.5)),
            ("3f9a@1:00:00-1:00:01", "3f9a", part(3600.0, 3601.0)),
            ("clap@1", "clap@1", None),
            ("song@1:35-1:20", "song@1:35-1:20", None),
            ("song@1:75-2:00", "song@1:75-2:00", None),
            ("song@-5", "song@-5", None),
            ("song@.-5", "song@.-5", None),
            ("@0-5", "@0-5", None),
            ("song@0:0:0:0-5", "song@0:0:0:0-5", None),
            ("song@nan-inf", "song@nan-inf", None),
        ] {
            assert_eq!(Part::split(text), (name, expected), "{text}");
        }
    }

    #[test]
    fn a_part_is_shown_as_it_is_written() {
        let shown = Part { start: 80.0, end: 3723.55 }.to_string();

        assert_eq!(shown, "1:20-1:02:03.6");
        assert_eq!((clock(7.5), clock(3599.99)), ("0:07.5".to_owned(), "1:00:00".to_owned()));
        let hit = Part { start: 0.3, end: 0.345 };
        assert_eq!(
            (hit.to_string().as_str(), hit.to_string().parse()),
            ("0:00.3-0:00.345", Ok(hit))
        );
        assert_eq!("1:20-1:30".parse(), Ok(Part { start: 80.0, end: 90.0 }));
        assert!("1:30-1:20".parse::<Part>().is_err());
    }
}
