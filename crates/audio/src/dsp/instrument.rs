//! Guessing the instrument from the name of a file and from its sound.

/// Longer sounds, in seconds, are songs.
const LONGEST: f64 = 60.0;
/// No hat has a lower spectral centroid.
const DARKEST_HAT_HZ: f64 = 2000.0;

/// A guess: the instrument's name and how sure it is, 0 to 1.
pub(super) type Guess = (&'static str, f64);

/// What the guess from sound looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sound {
    pub(super) seconds: f64,
    /// Begins at once, has one onset and dies away.
    pub(super) one_shot: bool,
    pub(super) centroid_hz: f64,
    pub(super) flatness: f64,
    pub(super) salience: f64,
    pub(super) crossing_rate: f64,
}

/// Words in file names, most telling first: a word is an instrument if it is
/// one of the spellings, which may be followed by a number or a plural s.
const NAMES: &[(&str, &[&str])] = &[
    ("open_hat", &["oh", "ohh", "openhat", "openhh", "hho", "hhopen", "ophat"]),
    ("hat", &["hh", "hat", "hihat", "chh", "ch", "hhc", "closedhat", "hats"]),
    ("kick", &["kick", "kik", "bd", "bassdrum", "kickdrum"]),
    ("snare", &["snare", "sn", "sd", "snr", "rimshot", "rim", "sidestick"]),
    ("clap", &["clap", "cp", "clp", "handclap", "snap"]),
    ("cymbal", &["crash", "ride", "cymbal", "splash", "china"]),
    ("tom", &["tom", "toms", "floortom"]),
    (
        "percussion",
        &[
            "perc",
            "percussion",
            "conga",
            "bongo",
            "shaker",
            "tambourine",
            "tamb",
            "cowbell",
            "clave",
            "maraca",
            "triangle",
            "woodblock",
            "stick",
            "timbale",
            "guiro",
            "cabasa",
        ],
    ),
    ("vocal", &["vox", "vocal", "voice", "voc", "choir", "acapella", "chant"]),
    ("bass", &["bass", "sub", "808", "reese", "subbass"]),
    ("piano", &["piano", "rhodes", "keys", "epiano", "organ"]),
    ("guitar", &["guitar", "gtr", "gitar", "ukulele"]),
    ("strings", &["string", "strings", "violin", "cello", "viola", "orchestra"]),
    ("brass", &["brass", "horn", "trumpet", "trombone", "sax", "tuba"]),
    ("flute", &["flute", "clarinet", "oboe", "whistle", "woodwind"]),
    ("bell", &["bell", "glock", "marimba", "vibraphone", "xylophone", "kalimba"]),
    ("synth", &["synth", "lead", "pad", "arp", "pluck", "stab", "chord", "saw"]),
    ("fx", &["fx", "sfx", "riser", "sweep", "impact", "noise", "whoosh", "uplifter", "downlifter"]),
    ("drums", &["drum", "drums", "beat", "break", "breakbeat", "drumloop", "groove"]),
];

/// The short code of an instrument that has one: `bd` of `kick`.
pub fn code(instrument: &str) -> Option<&'static str> {
    Some(match instrument {
        "kick" => "bd",
        "snare" => "sn",
        "hat" => "hh",
        "open_hat" => "oh",
        "clap" => "cp",
        "percussion" => "perc",
        "bass" => "bass",
        "synth" => "synth",
        "fx" => "fx",
        "vocal" => "vox",
        _ => return None,
    })
}

/// The words of a file name in small letters; `OpenHat_01` has `open`, `hat`
/// and `01`, and also `openhat`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut joined: Vec<String> = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()) {
        let mut word = String::new();
        let mut kind: Option<(bool, bool)> = None;
        for c in part.chars() {
            let now = (c.is_numeric(), c.is_uppercase());
            let turns = kind.is_some_and(|(digit, upper)| digit != now.0 || (!upper && now.1));
            if turns && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.extend(c.to_lowercase());
            kind = Some(now);
        }
        if !word.is_empty() {
            words.push(word);
        }
        joined.push(part.to_lowercase());
    }
    // What is two words by its capitals may be one by its sense.
    let pairs: Vec<String> = words.windows(2).map(|pair| pair.concat()).collect();
    words.extend(pairs);
    words.extend(joined);
    words
}

/// The instrument that the words of a file name say.
fn by_name(words: &[String]) -> Option<&'static str> {
    let says = |word: &String, spelling: &str| {
        word.strip_prefix(spelling).is_some_and(|rest| {
            rest.is_empty() || rest == "s" || rest.chars().all(char::is_numeric)
        })
    };
    // "Open Hat" is two words of which one alone means something else.
    NAMES
        .iter()
        .find(|(_, spellings)| spellings.iter().any(|s| words.iter().any(|word| says(word, s))))
        .map(|(instrument, _)| *instrument)
}

/// The instrument that a short sound may be, and how well it fits.
fn by_sound(sound: &Sound) -> Option<Guess> {
    let Sound { seconds, one_shot, centroid_hz, flatness, salience, crossing_rate } = *sound;
    if !one_shot || seconds > 6.0 {
        return None;
    }
    let noisy = flatness > 0.05 || crossing_rate > 0.2;
    Some(if centroid_hz > 5000.0 && seconds > 1.2 {
        ("cymbal", 0.5)
    } else if centroid_hz > 4800.0 {
        (if seconds > 0.5 { "open_hat" } else { "hat" }, 0.55)
    } else if centroid_hz < 1100.0 && seconds < 1.2 && crossing_rate < 0.03 {
        ("kick", 0.55)
    } else if noisy && (1500.0..4800.0).contains(&centroid_hz) && seconds < 1.2 {
        ("snare", 0.4)
    } else if centroid_hz < 700.0 && salience > 0.6 {
        ("bass", 0.4)
    } else if centroid_hz < 1800.0 && seconds < 1.5 && salience > 0.4 {
        ("tom", 0.3)
    } else if salience > 0.75 {
        ("synth", 0.3)
    } else {
        ("percussion", 0.25)
    })
}

/// The instrument that the name of a sample says; absent for whole songs, whose
/// titles mean other things.
pub(super) fn named(name: Option<&str>, sound: &Sound) -> Option<&'static str> {
    let named = by_name(&words(name.filter(|_| sound.seconds <= LONGEST)?))?;
    // `Oh` and `Ch` name hats in drum kits and syllables elsewhere; a hat is
    // bright.
    let is_dark_hat = matches!(named, "hat" | "open_hat") && sound.centroid_hz < DARKEST_HAT_HZ;
    (!is_dark_hat).then_some(named)
}

/// The likeliest instrument of a sample; absent for whole songs, which have
/// many, and for long sounds that their names say nothing about. What it sounds
/// like is a rule of thumb, for builds without the network that hears it.
pub(super) fn guess(name: Option<&str>, sound: &Sound) -> Option<Guess> {
    if sound.seconds > LONGEST {
        return None;
    }
    let heard = by_sound(sound);
    let Some(named) = named(name, sound) else { return heard };
    // In a title, as those of longer files may be, words mean other things.
    let trust = if sound.seconds > 30.0 { 0.5 } else { 0.8 };
    let agrees = heard.is_some_and(|(instrument, _)| instrument == named);
    Some((named, if agrees { trust + 0.15 } else { trust }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Sound = Sound {
        seconds: 8.0,
        one_shot: false,
        centroid_hz: 2000.0,
        flatness: 0.01,
        salience: 0.5,
        crossing_rate: 0.05,
    };

    fn named(name: &str) -> Option<&'static str> {
        guess(Some(name), &LONG).map(|(instrument, _)| instrument)
    }

    #[test]
    fn names_say_the_instrument() {
        for (name, instrument) in [
            ("Kick_01", "kick"),
            ("bd808", "kick"),
            ("SNARE-tight", "snare"),
            ("OpenHat 3", "open_hat"),
            ("open hat", "open_hat"),
            ("HiHat closed", "hat"),
            ("hh03", "hat"),
            ("big_clap", "clap"),
            ("percLoop", "percussion"),
            ("FatBass", "bass"),
            ("synth lead", "synth"),
            ("riser_fx", "fx"),
            ("vox chop", "vocal"),
            ("Toms2", "tom"),
        ] {
            assert_eq!(named(name), Some(instrument), "{name}");
        }
    }

    #[test]
    fn words_inside_other_words_say_nothing() {
        for name in ["Chorale", "that thing", "Sunset", "kicker", "Basset hound", "", "12"] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn songs_have_no_one_instrument() {
        let song = Sound { seconds: 200.0, ..LONG };

        assert_eq!(guess(Some("Kick in the Door"), &song), None);
    }

    #[test]
    fn name_and_sound_that_agree_are_surer() {
        let kick =
            Sound { seconds: 0.4, one_shot: true, centroid_hz: 500.0, crossing_rate: 0.01, ..LONG };

        let both = guess(Some("kick"), &kick).unwrap();
        let name = guess(Some("clap"), &kick).unwrap();
        let sound = guess(Some("take 1"), &kick).unwrap();

        assert_eq!((both.0, name.0, sound.0), ("kick", "clap", "kick"));
        assert!(both.1 > name.1 && name.1 > sound.1);
    }
}
