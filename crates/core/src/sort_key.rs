//! The order in which people look for songs.

use crate::{Song, SongSummary, fold};

/// The longest place, in bytes; songs that agree so far are equal.
const LONGEST: usize = 900;

// Sorts before everything that is left of a folded text.
const END: char = '\u{1}';

/// Where `song`, whose summary is `summary`, stands among others, as on a shelf: by
/// artist, album, disc, track, title and path, each without case and accents,
/// and with 2 before 10. Places compare as texts do.
///
/// What has no artist stands behind all artists, what has no album behind the
/// albums, what has no track behind the tracks. What has neither artist nor
/// album is a sample, which is found by its path and not by its title.
pub fn sort_key(song: &Song, summary: &SongSummary) -> String {
    let tags = song.effective_tags();
    let is_sample = summary.artist.is_none() && summary.album.is_none();
    let mut place = String::new();
    for name in [summary.artist.as_deref(), summary.album.as_deref()] {
        push(&mut place, name);
    }
    for number in [tags.disc.unwrap_or(1), tags.track.unwrap_or(u32::MAX)] {
        push(&mut place, Some(&number.to_string()));
    }
    push(&mut place, Some(summary.title.as_str()).filter(|_| !is_sample));
    push(&mut place, summary.path.as_deref());
    if place.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| place.is_char_boundary(*end)).unwrap_or(0);
        place.truncate(end);
    }
    place
}

// What is not there stands behind what is.
fn push(place: &mut String, text: Option<&str>) {
    match text {
        Some(text) => {
            place.push('a');
            natural(place, &fold(text));
        }
        None => place.push('b'),
    }
    place.push(END);
}

// A number goes by how many digits it has first, so that 10 comes after 9.
fn natural(place: &mut String, text: &str) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if is_digit {
            let digits = run.trim_start_matches('0');
            place.push(char::from(b'0' + u8::try_from(digits.len()).unwrap_or(9).min(9)));
            place.push_str(digits);
        } else {
            place.push_str(run);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioProperties, Digest, SongFile, Tags, Timestamp};

    fn song(tags: Tags, path: &str) -> Song {
        let hash = Digest::of(path.as_bytes());
        let mut song = Song::new(hash, AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.tags = tags;
        song.add_file(SongFile { path: path.into(), sha256: hash, size: 1 });
        song
    }

    fn track(
        artist: &str,
        album: &str,
        disc: Option<u32>,
        track: Option<u32>,
        title: &str,
    ) -> Song {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let tags = Tags {
            artist: text(artist),
            album: text(album),
            disc,
            track,
            title: text(title),
            ..Tags::default()
        };
        song(tags, &format!("{title}.flac"))
    }

    #[test]
    fn songs_are_sorted_as_on_a_shelf() {
        let songs = [
            track("Air", "Moon Safari", None, Some(2), "Sexy Boy"),
            track("air", "Moon Safari", Some(1), Some(10), "Le voyage"),
            track("AIR", "Moon Safari", Some(2), Some(1), "Remix"),
            track("Air", "Talkie Walkie", None, Some(1), "Venus"),
            track("Air", "", None, None, "A single"),
            track("Air", "", None, None, "Single 2"),
            track("Air", "", None, None, "Single 10"),
            track("Air France", "A", None, Some(1), "First"),
            track("Björk", "Debut", None, Some(1), "Human Behaviour"),
            track("", "Sampler", None, Some(3), "Unknown"),
            song(Tags { title: Some("Z".into()), ..Tags::default() }, "a kit/kick 2.wav"),
            song(Tags { title: Some("Y".into()), ..Tags::default() }, "a kit/kick 10.wav"),
            song(Tags::default(), "B kit/kick 01.wav"),
        ];

        let places: Vec<String> =
            songs.iter().map(|song| sort_key(song, &SongSummary::of(song))).collect();

        assert!(places.is_sorted(), "{places:#?}");
        assert!(places.windows(2).all(|two| two[0] != two[1]), "{places:#?}");
    }

    #[test]
    fn a_place_is_never_too_long() {
        let long = track(&"ä".repeat(2_000), "x", None, None, "y");

        assert!(sort_key(&long, &SongSummary::of(&long)).len() <= LONGEST);
    }
}
