//! What is written on a file: tags and art.

use std::{
    fs::File,
    io::{self, BufReader},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use lofty::{
    config::ParseOptions,
    file::{TaggedFile, TaggedFileExt},
    id3::v1::GENRES,
    picture::{Picture, PictureType},
    probe::Probe,
    tag::{ItemKey, Tag},
};
use songrec_core::{Art, Tags};

use crate::{ffmpeg::Ffmpeg, source::Source, text::clean};

/// The most values kept of a tag that may have several.
const MOST_VALUES: usize = 32;

/// Reads the tags of `path`; never fails, for a file whose tags are damaged
/// may still be music.
///
/// Where the file has several tags, the format's own comes first and the
/// others fill its gaps. What the file's name says is not among them; see
/// [`read_name`](crate::read_name). Texts are freed of control characters and
/// superfluous blanks, and cut at 1,000 characters.
///
/// The second value says why tags could not be read, if so.
pub fn read_tags(path: &Path) -> (Tags, Option<String>) {
    read_tags_by(path, None)
}

/// The same, where `ffmpeg` is asked of formats whose tags nothing here knows.
pub fn read_tags_by(path: &Path, ffmpeg: Option<&Ffmpeg>) -> (Tags, Option<String>) {
    match (read(path), ffmpeg) {
        (Ok((None, None)), Some(ffmpeg)) => (told(&ffmpeg.tags(path)), None),
        (read, _) => known(read),
    }
}

fn known(read: Result<(Option<TaggedFile>, Option<String>), String>) -> (Tags, Option<String>) {
    match read {
        Ok((file, problem)) => (file.as_ref().map(merged).unwrap_or_default(), problem),
        Err(problem) => (Tags::default(), Some(problem)),
    }
}

/// None if the format has no tags that are known here; and why some of them
/// were left out, if so.
fn read(path: &Path) -> Result<(Option<TaggedFile>, Option<String>), String> {
    let said = |error: io::Error| error.to_string();
    let read = |art| {
        let options = ParseOptions::new().read_properties(false).read_cover_art(art);
        let file = File::open(path).map_err(said)?;
        let length = file.metadata().map_err(said)?.len();
        let (source, is_hidden) = Source::of_tags(file, length).map_err(said)?;
        let problem = is_hidden.then(|| HIDDEN.to_owned());
        // Those who look for tags panic as well as those who read them.
        let tagged = catch_unwind(AssertUnwindSafe(|| {
            let probe = Probe::new(BufReader::new(source)).options(options);
            let probe = probe.guess_file_type().map_err(said)?;
            match probe.file_type() {
                Some(_) => probe.read().map(Some).map_err(|error| error.to_string()),
                None => Ok(None),
            }
        }))
        .map_err(|_| "the tags crashed their reader".to_owned())?;
        match (tagged, problem) {
            (Ok(tagged), problem) => Ok((tagged, problem)),
            (Err(_), Some(problem)) => Ok((None, Some(problem))),
            (Err(error), None) => Err(error),
        }
    };
    // A picture that is broken or too large should not cost the texts.
    read(true).or_else(|problem| match read(false) {
        Ok((Some(file), left_out)) => Ok((Some(file), left_out)),
        _ => Err(problem),
    })
}

/// What is said of a tag that nobody reads.
const HIDDEN: &str =
    "an ID3v2 tag is left out, for chapters inside of chapters or compressed frames";

/// The picture that [`read_tags`] says a file has: the front cover, or else the first one.
/// Nothing if there is none. It is not decoded, and has at most 16 MiB: larger ones are left
/// out, by the tags' reader.
///
/// # Errors
///
/// Why the tags could not be read.
pub fn read_artwork(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let (file, _) = read(path)?;
    Ok(file.as_ref().and_then(|file| Some(front(&by_importance(file))?.data().to_vec())))
}

/// The tags of a file, the format's own first.
fn by_importance(file: &TaggedFile) -> Vec<&Tag> {
    let first = file.primary_tag_type();
    let mut tags: Vec<&Tag> = file.tags().iter().collect();
    tags.sort_by_key(|tag| tag.tag_type() != first);
    tags
}

fn merged(file: &TaggedFile) -> Tags {
    let tags = by_importance(file);
    let texts = Texts(&tags);

    let mut found = Tags {
        title: texts.first(&[ItemKey::TrackTitle]),
        artist: texts.joined(&[ItemKey::TrackArtist, ItemKey::TrackArtists]),
        album: texts.first(&[ItemKey::AlbumTitle]),
        album_artist: texts.joined(&[ItemKey::AlbumArtist, ItemKey::AlbumArtists]),
        genres: distinct(texts.all(ItemKey::Genre).flat_map(|text| split(&text)).map(genre)),
        year: YEARS.iter().find_map(|&key| texts.all(key).find_map(|text| year(&text))),
        track: texts.number(ItemKey::TrackNumber),
        disc: texts.number(ItemKey::DiscNumber),
        bpm: [ItemKey::Bpm, ItemKey::IntegerBpm]
            .iter()
            .find_map(|&key| texts.all(key).find_map(|text| bpm(&text))),
        key: texts.all(ItemKey::InitialKey).find_map(|text| key(&text)),
        moods: distinct(texts.all(ItemKey::Mood).flat_map(|text| split(&text))),
        comment: texts.first(&[ItemKey::Comment, ItemKey::Description]),
        composer: texts.joined(&[ItemKey::Composer]),
        label: texts.first(&[ItemKey::Label, ItemKey::Publisher]),
        art: art(&tags),
        ..Tags::default()
    };
    for (name, key) in EXTRA {
        if let Some(text) = texts.first(&[key]) {
            found.extra.insert(name.to_owned(), text);
        }
    }
    found
}

/// Tags from names and values as ffmpeg gives them, the names in small letters.
fn told(pairs: &[(String, String)]) -> Tags {
    let texts = |names: &[&str]| {
        let named = |name: &&str| pairs.iter().find(|(known, _)| known == name);
        names.iter().filter_map(named).find_map(|(_, text)| clean(text))
    };
    let number = |name: &str| {
        let text = texts(&[name])?;
        text.split('/').next()?.trim().parse().ok().filter(|&number: &u32| number > 0)
    };
    let many = |name: &str| texts(&[name]).map(|text| split(&text)).unwrap_or_default();
    Tags {
        title: texts(&["title"]),
        artist: texts(&["artist", "author"]),
        album: texts(&["album"]),
        album_artist: texts(&["album_artist"]),
        genres: distinct(many("genre").into_iter().map(genre)),
        year: texts(&["date", "year", "creation_time"]).as_deref().and_then(year),
        track: number("track"),
        disc: number("disc"),
        bpm: texts(&["tbpm", "bpm"]).as_deref().and_then(bpm),
        key: texts(&["initialkey", "tkey"]).as_deref().and_then(key),
        moods: distinct(many("mood").into_iter()),
        comment: texts(&["comment", "description"]),
        composer: texts(&["composer"]),
        label: texts(&["label", "publisher"]),
        ..Tags::default()
    }
}

/// Where a year may stand, most telling first.
const YEARS: [ItemKey; 4] =
    [ItemKey::RecordingDate, ItemKey::Year, ItemKey::ReleaseDate, ItemKey::OriginalReleaseDate];

/// What else is kept.
const EXTRA: [(&str, ItemKey); 12] = [
    ("catalog_number", ItemKey::CatalogNumber),
    ("copyright", ItemKey::CopyrightMessage),
    ("isrc", ItemKey::Isrc),
    ("language", ItemKey::Language),
    ("license", ItemKey::License),
    ("musicbrainz_artist_id", ItemKey::MusicBrainzArtistId),
    ("musicbrainz_recording_id", ItemKey::MusicBrainzRecordingId),
    ("musicbrainz_release_group_id", ItemKey::MusicBrainzReleaseGroupId),
    ("musicbrainz_release_id", ItemKey::MusicBrainzReleaseId),
    ("musicbrainz_track_id", ItemKey::MusicBrainzTrackId),
    ("musicbrainz_work_id", ItemKey::MusicBrainzWorkId),
    ("remixer", ItemKey::Remixer),
];

/// The texts of several tags, the most important tag first.
struct Texts<'a>(&'a [&'a Tag]);

impl Texts<'_> {
    fn all(&self, key: ItemKey) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(move |tag| tag.get_strings(key)).filter_map(clean)
    }

    fn first(&self, keys: &[ItemKey]) -> Option<String> {
        keys.iter().find_map(|&key| self.all(key).next())
    }

    /// All values of the first tag that has one, as one text.
    fn joined(&self, keys: &[ItemKey]) -> Option<String> {
        keys.iter().find_map(|&key| {
            self.0.iter().find_map(|tag| {
                let texts = distinct(tag.get_strings(key).filter_map(clean));
                (!texts.is_empty()).then(|| texts.join("; "))
            })
        })
    }

    /// The number before the slash of texts like `3/12`.
    fn number(&self, key: ItemKey) -> Option<u32> {
        self.all(key)
            .find_map(|text| text.split('/').next()?.trim().parse().ok().filter(|&n| n > 0))
    }
}

/// Several values that a program has put into one text.
fn split(text: &str) -> Vec<String> {
    text.split([';', '\0']).flat_map(|part| part.split(" / ")).filter_map(clean).collect()
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.iter().any(|known| known.eq_ignore_ascii_case(&text)) {
            found.push(text);
        }
        if found.len() == MOST_VALUES {
            break;
        }
    }
    found
}

/// A genre by name, where old programs wrote `(17)` or `17`.
fn genre(text: String) -> String {
    let number = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (number, name) = number.unwrap_or((&text, ""));
    match number.parse().ok().and_then(|number: usize| GENRES.get(number)) {
        Some(known) if name.is_empty() => (*known).to_owned(),
        Some(_) => name.to_owned(),
        None => text,
    }
}

/// The first four digits in a row that may be a year.
fn year(text: &str) -> Option<i32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| digits.len() == 4)
        .find_map(|digits| digits.parse().ok().filter(|year| (1000..3000).contains(year)))
}

fn bpm(text: &str) -> Option<f32> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let bpm: f32 = number.replace(',', ".").parse().ok()?;
    (bpm.is_finite() && bpm > 0.0 && bpm < 1_000.0).then_some(bpm)
}

fn key(text: &str) -> Option<songrec_core::Key> {
    // Longer texts are no keys, whatever they begin with.
    const LONGEST_KEY: usize = 16;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (text.len() <= LONGEST_KEY && digits <= 2).then(|| text.parse().ok()).flatten()
}

/// The front cover, or else the first picture.
fn front<'a>(tags: &[&'a Tag]) -> Option<&'a Picture> {
    let pictures = || tags.iter().flat_map(|tag| tag.pictures());
    pictures()
        .find(|picture| picture.pic_type() == PictureType::CoverFront)
        .or_else(|| pictures().next())
}

fn art(tags: &[&Tag]) -> Option<Art> {
    let picture = front(tags)?;
    let media_type = picture.mime_type().map_or("application/octet-stream", |mime| mime.as_str());
    Some(Art {
        media_type: clean(media_type).unwrap_or_default(),
        size: picture.data().len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genres_are_split_named_and_listed_once() {
        let genres = |text: &str| distinct(split(text).into_iter().map(genre));
        assert_eq!(genres("Rock; Pop / rock"), ["Rock", "Pop"]);
        assert_eq!(genres("(17)"), ["Rock"]);
        assert_eq!(genres("17"), ["Rock"]);
        assert_eq!(genres("(4)Eurodisco"), ["Eurodisco"]);
        assert_eq!(genres("(999)"), ["(999)"]);
        assert_eq!(genres("R&B/Soul"), ["R&B/Soul"]);
    }

    #[test]
    fn numbers_are_found_in_what_people_write() {
        assert_eq!(year("2004-05-06"), Some(2004));
        assert_eq!(year("06.05.2004"), Some(2004));
        assert_eq!(year("20040506"), None);
        assert_eq!(year("0"), None);
        assert_eq!(bpm("127,5"), Some(127.5));
        assert_eq!(bpm("128 BPM"), Some(128.0));
        assert_eq!(bpm("NaN"), None);
        assert_eq!(bpm("0"), None);
        assert_eq!(key("F#m").map(|key| key.to_string()).as_deref(), Some("F#m"));
        assert_eq!(key("255m"), None);
        assert_eq!(key(&format!("C{}", "#".repeat(500))), None);
    }
}
