//! Songs by words, without a model that reads: the words are matched with what
//! songrec knows of each song.

use songrec_core::{
    Features, Hint, Key, Metric, Mode, ModelName, Piece, Remedy, Song, SongId, SongSummary, words,
};
use songrec_storage::SongQuery;

use crate::{
    Error, Library, Result,
    similar::{Query, Similar, SimilarOptions, SimilarSong, clap},
};

/// What is said in place of a model's name.
const NAME: &str = "words@1";
/// Words that say nothing of a sound.
const SILENT: [&str; 18] = [
    "a", "an", "the", "of", "with", "and", "in", "or", "very", "sound", "sounds", "sounding",
    "like", "sample", "samples", "some", "at", "that",
];
/// Songs read at once.
const READ: usize = 500;
/// The instrument counts as much as so many other words.
const INSTRUMENT: f64 = 2.0;

/// Something that is measured of every song, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quality {
    Brightness,
    Attack,
    Length,
    Noisiness,
    Movement,
    Loudness,
    Tempo,
}

/// What a word means.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// One of these instruments.
    Instrument(&'static [&'static str]),
    Much(Quality),
    Little(Quality),
    /// Made to be repeated, or not.
    Repeats(bool),
    Mode(Mode),
    Key(Key),
    /// In beats per minute.
    Bpm(f64),
    /// Nothing that is measured: it may be in a title, a path, a genre or a mood.
    Named,
}

const WORDS: &[(Meaning, &[&str])] = &[
    (Meaning::Instrument(&["kick"]), &["kick", "kicks", "bassdrum"]),
    (Meaning::Instrument(&["snare"]), &["snare", "snares", "rimshot"]),
    (Meaning::Instrument(&["clap"]), &["clap", "claps", "snap"]),
    (Meaning::Instrument(&["hat", "open_hat"]), &["hat", "hats", "hihat", "hihats"]),
    (Meaning::Instrument(&["cymbal"]), &["cymbal", "cymbals", "crash", "ride"]),
    (Meaning::Instrument(&["tom"]), &["tom", "toms"]),
    (
        Meaning::Instrument(&["percussion"]),
        &["percussion", "conga", "bongo", "shaker", "tambourine", "cowbell", "woodblock"],
    ),
    (
        Meaning::Instrument(&[
            "kick",
            "snare",
            "clap",
            "hat",
            "open_hat",
            "cymbal",
            "tom",
            "percussion",
            "drums",
        ]),
        &["drum", "drums"],
    ),
    (Meaning::Instrument(&["vocal"]), &["voice", "voices", "vocal", "vocals", "choir", "vox"]),
    (Meaning::Instrument(&["bass"]), &["bass", "sub", "basses"]),
    (Meaning::Instrument(&["piano"]), &["piano", "organ", "keys", "rhodes"]),
    (Meaning::Instrument(&["guitar"]), &["guitar", "guitars"]),
    (Meaning::Instrument(&["strings"]), &["strings", "string", "violin", "cello"]),
    (Meaning::Instrument(&["brass"]), &["brass", "trumpet", "horn", "trombone"]),
    (Meaning::Instrument(&["flute"]), &["flute", "clarinet", "woodwind", "oboe", "sax"]),
    (Meaning::Instrument(&["bell"]), &["bell", "bells", "marimba", "vibraphone", "glockenspiel"]),
    (Meaning::Instrument(&["synth"]), &["synth", "synths", "lead", "pad", "pads"]),
    (Meaning::Instrument(&["fx"]), &["fx", "riser", "effect", "impact", "sweep", "whoosh"]),
    (
        Meaning::Much(Quality::Brightness),
        &["bright", "crisp", "brilliant", "sharp", "airy", "high"],
    ),
    (Meaning::Little(Quality::Brightness), &["dark", "warm", "dull", "mellow", "deep", "low"]),
    (Meaning::Much(Quality::Attack), &["punchy", "hard", "percussive", "plucky", "snappy"]),
    (Meaning::Little(Quality::Attack), &["swelling", "smooth", "gentle", "flowing"]),
    (Meaning::Much(Quality::Length), &["long", "sustained", "endless"]),
    (Meaning::Little(Quality::Length), &["short", "tight", "brief"]),
    (Meaning::Much(Quality::Noisiness), &["noisy", "noise", "harsh", "gritty", "dirty", "rough"]),
    (Meaning::Little(Quality::Noisiness), &["clean", "pure", "tonal", "clear"]),
    (Meaning::Much(Quality::Movement), &["busy", "moving", "lively", "rhythmic"]),
    (Meaning::Little(Quality::Movement), &["static", "steady", "still", "calm", "sparse"]),
    (Meaning::Much(Quality::Loudness), &["loud", "big"]),
    (Meaning::Little(Quality::Loudness), &["quiet", "soft", "faint"]),
    (Meaning::Much(Quality::Tempo), &["fast", "quick"]),
    (Meaning::Little(Quality::Tempo), &["slow"]),
    (Meaning::Repeats(true), &["loop", "loops", "looped"]),
    (Meaning::Repeats(false), &["oneshot", "hit", "hits"]),
    (Meaning::Mode(Mode::Major), &["major"]),
    (Meaning::Mode(Mode::Minor), &["minor"]),
];

/// A word, what it means, and whether it is wanted.
#[derive(Clone, Debug, PartialEq)]
struct Wish {
    word: String,
    meaning: Meaning,
    wanted: bool,
}

/// What wishes look at, of one song.
struct Known {
    id: SongId,
    /// Of each wish.
    values: Vec<Value>,
}

#[derive(Clone, Copy)]
enum Value {
    /// How well it fits, 0 to 1.
    Fits(f64),
    /// To be compared with those of all other songs.
    Measured(f64),
    /// Not known of the song.
    Unknown,
}

/// Whether a model on this machine reads words.
pub fn reads_words(library: &Library) -> bool {
    library.models.list().into_iter().flatten().any(|model| model.reads_text)
}

/// The songs that fit `wanted` words and not `unwanted` ones, by what songrec knows
/// of them: the instrument that is heard or named, brightness, attack, length,
/// noisiness, movement, loudness, tempo and key. Words like `bright` mean brighter than
/// the other songs that pass the filter. What means nothing of that is looked for in
/// titles, paths, genres and moods. The similarity is the mean over the words, 0 to 1.
///
/// Reads every song that passes the filter.
///
/// # Errors
///
/// `Usage` without words, or when the library cannot be read.
pub async fn by_words(
    library: &Library,
    wanted: &[String],
    unwanted: &[String],
    options: &SimilarOptions,
) -> Result<Similar> {
    let mut wishes: Vec<Wish> = wanted.iter().flat_map(|text| wishes_of(text, true)).collect();
    if wishes.is_empty() {
        return Err(Error::usage("there are no words to sound like").with_hint(Hint::of(
            "describe a sound, such as {}",
            [Remedy::Describe("warm analogue pad")],
        )));
    }
    wishes.extend(unwanted.iter().flat_map(|text| wishes_of(text, false)));
    let mut known = Vec::new();
    let mut query =
        SongQuery { filter: options.filter.clone(), limit: READ, ..SongQuery::default() };
    loop {
        let page = library.backend.songs().find(&query).await?;
        let songs = page.items.iter().filter(|song| !song.is_silent());
        let songs = songs.filter(|song| !options.exclude.contains(&song.id));
        known.extend(songs.map(|song| Known::of(song, &wishes)));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let mut scored: Vec<(f64, SongId)> =
        scores(&known, &wishes).into_iter().zip(known.iter().map(|one| one.id)).collect();
    scored.retain(|(score, _)| options.threshold.is_none_or(|threshold| *score >= threshold));
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    let listed: Vec<(f64, SongId)> =
        scored.into_iter().skip(options.offset).take(options.k).collect();
    let ids: Vec<SongId> = listed.iter().map(|(_, id)| *id).collect();
    let songs = library.backend.songs().get(&ids).await?;
    let results = listed.iter().zip(songs).filter_map(|((score, _), song)| Some((*score, song?)));
    let results = results.enumerate().map(|(place, (similarity, song))| SimilarSong {
        rank: options.offset + place + 1,
        similarity,
        distance: 1.0 - similarity,
        summary: SongSummary::of(&song),
        copies_left_out: 0,
        parts: Vec::new(),
        beside: None,
        explanation: None,
    });
    let title = wanted.join(" ");
    Ok(Similar {
        query: Query { id: None, title, artist: None, duration: None },
        queries: Vec::new(),
        model: NAME.parse::<ModelName>().expect("it is a name"),
        blend: Vec::new(),
        metric: Metric::Cosine,
        results: results.collect(),
        notes: vec![said(&wishes)],
        shortfall: None,
    })
}

// What a person should know of how the songs were found.
fn said(wishes: &[Wish]) -> Hint {
    let of = |named: bool| -> Vec<String> {
        let meant = wishes.iter().filter(|wish| (wish.meaning == Meaning::Named) == named);
        meant.map(|wish| format!("`{}`", wish.word)).collect()
    };
    let mut parts = Vec::new();
    for (words, how) in [
        (of(false), "matched with what songrec knows of the sounds"),
        (of(true), "looked for in names"),
    ] {
        if !words.is_empty() {
            parts.push(format!("{} {how}", words.join(", ")));
        }
    }
    Hint::of(
        "no model here reads words: {}; {} adds one that does",
        [Piece::from(parts.join("; ")), clap().into()],
    )
}

fn wishes_of(text: &str, wanted: bool) -> Vec<Wish> {
    let words = words(text);
    let mut wishes = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).map(String::as_str);
        at += 1;
        let (word, meaning) = match (word.parse::<f64>(), next) {
            (Ok(bpm), Some("bpm")) if bpm.is_finite() && bpm > 0.0 => {
                at += 1;
                (format!("{word} bpm"), Meaning::Bpm(bpm))
            }
            (_, Some(mode @ ("major" | "minor"))) if word.len() == 1 => {
                let ending = if mode == "minor" { "m" } else { "" };
                match format!("{}{ending}", word.to_uppercase()).parse() {
                    Ok(key) => {
                        at += 1;
                        (format!("{word} {mode}"), Meaning::Key(key))
                    }
                    Err(_) => continue,
                }
            }
            _ if SILENT.contains(&word.as_str()) => continue,
            _ => (word.clone(), meaning_of(word)),
        };
        wishes.push(Wish { word, meaning, wanted });
    }
    wishes
}

fn meaning_of(word: &str) -> Meaning {
    let meant = WORDS.iter().find(|(_, spellings)| spellings.contains(&word));
    meant.map_or(Meaning::Named, |(meaning, _)| meaning.clone())
}

impl Known {
    fn of(song: &Song, wishes: &[Wish]) -> Self {
        let summary = SongSummary::of(song);
        let features = song.features.clone().unwrap_or_default();
        let values = wishes.iter().map(|wish| value(wish, song, &summary, &features)).collect();
        Self { id: song.id, values }
    }
}

fn value(wish: &Wish, song: &Song, summary: &SongSummary, features: &Features) -> Value {
    let yes = |is_so: bool| Value::Fits(f64::from(u8::from(is_so)));
    let measured = |value: Option<f64>| value.map_or(Value::Unknown, Value::Measured);
    match &wish.meaning {
        Meaning::Instrument(instruments) => {
            let is_it = |instrument: &Option<String>| {
                instrument.as_deref().is_some_and(|name| instruments.contains(&name))
            };
            // Either opinion will do: who asks for a kick wants what sounds like one.
            yes(is_it(&summary.instrument) || is_it(&features.heard_instrument))
        }
        Meaning::Much(quality) | Meaning::Little(quality) => measured(match quality {
            Quality::Brightness => features.spectral_centroid_hz.map(f64::from),
            Quality::Noisiness => features.spectral_flatness.map(f64::from),
            Quality::Movement => features.onset_rate.map(f64::from),
            Quality::Loudness => features.loudness_lufs.map(f64::from),
            Quality::Tempo => summary.bpm,
            Quality::Length => Some(song.audio.duration),
            // How much the strength of onsets swings.
            Quality::Attack => features
                .groups
                .as_ref()
                .and_then(|groups| groups.rhythm.get(3))
                .map(|swing| f64::from(*swing)),
        }),
        Meaning::Repeats(repeats) => {
            summary.is_loop.map_or(Value::Unknown, |is| yes(is == *repeats))
        }
        Meaning::Mode(mode) => summary.key.map_or(Value::Unknown, |key| yes(key.mode() == *mode)),
        Meaning::Key(wanted) => summary.key.map_or(Value::Unknown, |key| yes(key == *wanted)),
        // Half a semitone of a turntable's speed is as good as right.
        Meaning::Bpm(wanted) => summary.bpm.map_or(Value::Unknown, |bpm| {
            Value::Fits(1.0 / (1.0 + ((bpm / wanted).log2() / 0.04).powi(2)))
        }),
        Meaning::Named => {
            yes(summary.words().iter().any(|known| known.starts_with(wish.word.as_str())))
        }
    }
}

// How well each song fits all wishes, 0 to 1.
fn scores(known: &[Known], wishes: &[Wish]) -> Vec<f64> {
    // Of what is compared, the values of all songs in order.
    let ordered: Vec<Vec<f64>> = (0..wishes.len())
        .map(|at| {
            let mut values: Vec<f64> = known
                .iter()
                .filter_map(|one| match one.values[at] {
                    Value::Measured(value) => Some(value),
                    Value::Fits(_) | Value::Unknown => None,
                })
                .collect();
            values.sort_by(f64::total_cmp);
            values
        })
        .collect();
    let score = |one: &Known| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for ((wish, value), ordered) in wishes.iter().zip(&one.values).zip(&ordered) {
            let fits = match *value {
                Value::Fits(fits) => fits,
                Value::Measured(value) => {
                    let share = share_below(ordered, value);
                    if matches!(wish.meaning, Meaning::Little(_)) { 1.0 - share } else { share }
                }
                // Neither for it nor quite against it.
                Value::Unknown => 0.25,
            };
            let weight =
                if matches!(wish.meaning, Meaning::Instrument(_)) { INSTRUMENT } else { 1.0 };
            sum += weight * if wish.wanted { fits } else { 1.0 - fits };
            weights += weight;
        }
        sum / weights
    };
    known.iter().map(score).collect()
}

// The share of values that are lower, those that are equal counted by half.
fn share_below(ordered: &[f64], value: f64) -> f64 {
    let below = ordered.partition_point(|other| *other < value);
    let up_to = ordered.partition_point(|other| *other <= value);
    (below + up_to) as f64 / 2.0 / ordered.len() as f64
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Digest, Timestamp};

    use super::*;

    fn song(seed: u8, instrument: &str, hz: f32) -> Song {
        let mut song =
            Song::new(Digest::of(&[seed]), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.features = Some(Features {
            heard_instrument: Some(instrument.to_owned()),
            spectral_centroid_hz: Some(hz),
            ..Features::default()
        });
        song
    }

    fn best(text: &str, songs: &[Song]) -> usize {
        let wishes = wishes_of(text, true);
        let known: Vec<Known> = songs.iter().map(|song| Known::of(song, &wishes)).collect();
        let scores = scores(&known, &wishes);
        (0..songs.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn words_are_what_is_measured() {
        let songs = [
            song(1, "synth", 900.0),
            song(2, "synth", 5_000.0),
            song(3, "kick", 300.0),
            song(4, "hat", 9_000.0),
        ];

        assert_eq!(best("a warm, dark pad", &songs), 0);
        assert_eq!(best("bright synth", &songs), 1);
        assert_eq!(best("dark", &songs), 2);
        assert_eq!(best("bright drums", &songs), 3);
    }

    #[test]
    fn tempo_and_key_are_understood_and_the_rest_is_looked_for_in_names() {
        let meanings = |text| -> Vec<Meaning> {
            wishes_of(text, true).into_iter().map(|wish| wish.meaning).collect()
        };

        assert_eq!(
            meanings("loop in A minor at 128bpm"),
            [Meaning::Repeats(true), Meaning::Key("Am".parse().unwrap()), Meaning::Bpm(128.0)]
        );
        assert_eq!(meanings("in the minor"), [Meaning::Mode(Mode::Minor)]);
        assert_eq!(meanings("analogue"), [Meaning::Named]);
        assert!(meanings("a sound of the").is_empty());
    }

    #[test]
    fn no_word_has_two_meanings() {
        let mut spellings: Vec<&str> =
            WORDS.iter().flat_map(|(_, words)| *words).copied().collect();
        let count = spellings.len();
        spellings.sort_unstable();
        spellings.dedup();

        assert_eq!(spellings.len(), count);
        assert!(SILENT.iter().all(|word| !spellings.contains(word)));
    }
}
