//! Artist, title and track number from a file's name.

use std::path::Path;

use songrec_core::Tags;

use crate::text::clean;

/// What a file's name says.
#[derive(Debug, Default, PartialEq)]
struct Named {
    track: Option<u32>,
    artist: Option<String>,
    title: String,
}

/// The title, artist and track number that the name of a file says; any name
/// is at least a title. The file is not read. What of it counts beside tags,
/// [`Tags::complete_from_name`] says.
pub fn read_name(path: &Path) -> Tags {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    match stem.and_then(|stem| parse(&stem)) {
        Some(Named { track, artist, title }) => {
            Tags { track, artist, title: Some(title), ..Tags::default() }
        }
        None => Tags::default(),
    }
}

/// Reads names such as `Artist - Title`, `03 - Artist - Title`, `1-03 Title`,
/// `03. Title` and `artist_-_title`; any other name is a title.
fn parse(stem: &str) -> Option<Named> {
    let spaced = if stem.contains("_-_") { stem.replace('_', " ") } else { stem.to_owned() };
    let name = clean(&spaced.replace(" \u{2013} ", " - ").replace(" \u{2014} ", " - "))?;
    let (track, rest) = match track_number(&name) {
        Some((track, rest)) => (Some(track), rest),
        None => (None, name.as_str()),
    };
    let mut parts: Vec<&str> = rest.split(" - ").map(str::trim).filter(|p| !p.is_empty()).collect();
    let mut track = track;
    // `Artist - 03 - Title`
    if track.is_none()
        && parts.len() > 2
        && let Some(number) = parts[1].parse().ok().filter(|_| parts[1].len() <= 2)
    {
        track = Some(number);
        parts.remove(1);
    }
    let (artist, title) = match parts.as_slice() {
        [] => (None, name.clone()),
        [title] => (None, (*title).to_owned()),
        [artist, title @ ..] => (Some((*artist).to_owned()), title.join(" - ")),
    };
    Some(Named { track: track.filter(|&track| track > 0), artist, title })
}

/// Splits a track number off the beginning, where it is clear that it is one:
/// `808 kick` and `99 Luftballons` begin with a number that is part of them.
fn track_number(name: &str) -> Option<(u32, &str)> {
    // `1-03 Title`: disc and track.
    let after_disc = match name.as_bytes() {
        [b'1'..=b'9', b'-', b'0'..=b'9', b'0'..=b'9', b' ' | b'.', ..] => &name[2..],
        _ => name,
    };
    let digits = after_disc.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = after_disc.split_at(digits);
    let clear = after_disc.len() < name.len() || number.starts_with('0');
    if digits == 0 || digits > 3 || (digits == 3 && !clear) {
        return None;
    }
    let separated = ["- ", ". ", ") ", " - ", ".", "_"].iter().find_map(|s| rest.strip_prefix(s));
    let rest = match separated {
        Some(rest) => rest,
        None if clear => rest.strip_prefix(' ')?,
        None => return None,
    };
    let rest = rest.trim_start();
    rest.chars().any(char::is_alphabetic).then_some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(track: impl Into<Option<u32>>, artist: &str, title: &str) -> Option<Named> {
        let artist = (!artist.is_empty()).then(|| artist.to_owned());
        Some(Named { track: track.into(), artist, title: title.to_owned() })
    }

    #[test]
    fn names_people_give_files_are_understood() {
        for (name, expected) in [
            ("Björk - Jóga", named(None, "Björk", "Jóga")),
            ("03 - Björk - Jóga", named(3, "Björk", "Jóga")),
            ("03. Jóga", named(3, "", "Jóga")),
            ("03 Jóga", named(3, "", "Jóga")),
            ("3) Jóga", named(3, "", "Jóga")),
            ("1-03 Jóga", named(3, "", "Jóga")),
            ("Björk - 03 - Jóga", named(3, "Björk", "Jóga")),
            ("björk_-_jóga_live", named(None, "björk", "jóga live")),
            ("A – B — C", named(None, "A", "B - C")),
            ("99 Luftballons", named(None, "", "99 Luftballons")),
            ("808 kick", named(None, "", "808 kick")),
            ("1999", named(None, "", "1999")),
            ("1979 - Live", named(None, "1979", "Live")),
            ("kick_01", named(None, "", "kick_01")),
            ("Jay-Z", named(None, "", "Jay-Z")),
            (" - ", named(None, "", "-")),
            ("  ", None),
        ] {
            assert_eq!(parse(name), expected, "{name}");
        }
    }
}
