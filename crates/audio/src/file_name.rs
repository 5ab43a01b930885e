//! Artist, title and track number from a file's name.

use std::path::Path;

use songrec_core::{Tags, fold};

use crate::tags::clean;

/// What a file's name says.
#[derive(Debug, Default, PartialEq)]
struct Named {
    track: Option<u32>,
    artist: Option<String>,
    title: String,
}

/// Fills in the artist, title and track number that `tags` lack.
pub(crate) fn complete(tags: &mut Tags, path: &Path) {
    if tags.artist.is_some() && tags.title.is_some() {
        return;
    }
    let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy()) else { return };
    let Some(named) = parse(&stem) else { return };
    let same = |left: &str, right: &str| fold(left) == fold(right);
    match (&tags.artist, &tags.title) {
        // A known half of the name confirms the other.
        (None, Some(title)) => {
            if let Some(artist) = named.artist
                && same(&named.title, title)
            {
                tags.artist = Some(artist);
                tags.from_file_name = true;
            }
            return;
        }
        (Some(known), None) => {
            tags.title = match named.artist {
                Some(artist) if !same(&artist, known) => {
                    Some(format!("{artist} - {}", named.title))
                }
                _ => Some(named.title),
            };
        }
        _ => {
            tags.artist = named.artist;
            tags.title = Some(named.title);
        }
    }
    tags.from_file_name = true;
    tags.track = tags.track.or(named.track);
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

    fn completed(artist: Option<&str>, title: Option<&str>, name: &str) -> Tags {
        let owned = |text: &str| text.to_owned();
        let mut tags =
            Tags { artist: artist.map(owned), title: title.map(owned), ..Tags::default() };
        complete(&mut tags, Path::new(name));
        tags
    }

    #[test]
    fn the_name_fills_only_what_tags_lack() {
        let both = completed(None, None, "/music/02 - Nena - Irgendwie.mp3");
        assert_eq!(both.artist.as_deref(), Some("Nena"));
        assert_eq!(both.title.as_deref(), Some("Irgendwie"));
        assert_eq!(both.track, Some(2));
        assert!(both.from_file_name);

        let full = completed(Some("A"), Some("T"), "Nena - Irgendwie.mp3");
        assert_eq!((full.artist.as_deref(), full.from_file_name), (Some("A"), false));
    }

    #[test]
    fn half_known_names_are_matched_against_what_is_known() {
        let title = completed(Some("nena"), None, "Nena - Irgendwie.mp3");
        assert_eq!(title.title.as_deref(), Some("Irgendwie"));

        let other = completed(Some("Various"), None, "Nena - Irgendwie.mp3");
        assert_eq!(other.title.as_deref(), Some("Nena - Irgendwie"));

        let artist = completed(None, Some("irgendwie"), "Nena - Irgendwie.mp3");
        assert_eq!(artist.artist.as_deref(), Some("Nena"));

        let unknown = completed(None, Some("Other"), "Nena - Irgendwie.mp3");
        assert_eq!((unknown.artist, unknown.from_file_name), (None, false));
    }
}
