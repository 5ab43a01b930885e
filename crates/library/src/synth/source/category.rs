//! What a synth is for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    definition::Definition,
    token::comments,
    tree::{Arguments, Node},
};

/// What a synth is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SynthCategory {
    /// Low notes.
    Bass,
    /// A melody.
    Lead,
    /// Long chords.
    Pad,
    /// Drums and other percussion.
    Drum,
    /// Effects: what changes other sounds, and noises.
    Fx,
}

impl SynthCategory {
    /// Every category.
    pub const ALL: [Self; 5] = [Self::Bass, Self::Lead, Self::Pad, Self::Drum, Self::Fx];

    /// The category in small letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bass => "bass",
            Self::Lead => "lead",
            Self::Pad => "pad",
            Self::Drum => "drum",
            Self::Fx => "fx",
        }
    }

    // The words that say so, alone or at the end of another word.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Bass => &["bass", "sub", "reese", "subbass", "303"],
            Self::Lead => &["lead", "solo", "leads"],
            Self::Pad => &["pad", "pads", "drone", "strings", "choir", "atmosphere"],
            Self::Drum => &[
                "drum",
                "drums",
                "kick",
                "snare",
                "hat",
                "hihat",
                "hats",
                "clap",
                "tom",
                "cymbal",
                "rimshot",
                "perc",
                "percussion",
                "bd",
                "sd",
                "hh",
                "cowbell",
                "clave",
                "conga",
                "bongo",
                "tambourine",
                "shaker",
                "bassdrum",
                "kik",
                "ride",
                "808",
                "909",
            ],
            Self::Fx => &[
                "fx",
                "effect",
                "reverb",
                "verb",
                "delay",
                "echo",
                "chorus",
                "flanger",
                "phaser",
                "distortion",
                "compressor",
                "limiter",
                "riser",
                "sweep",
                "siren",
                "vocoder",
                "bitcrusher",
                "crusher",
            ],
        }
    }
}

impl fmt::Display for SynthCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SynthCategory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known =
            Self::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| {
            format!("`{text}` is no category of a synth: it is bass, lead, pad, drum or fx")
        })
    }
}

/// The category that a definition says: in its metadata, in a comment, in its name or the
/// name of its folder, or by working on what other synths play.
pub(super) fn category(
    text: &str,
    definition: &Definition<'_>,
    source: &str,
    path: Option<&str>,
) -> Option<SynthCategory> {
    definition
        .metadata
        .and_then(|nodes| in_metadata(source, nodes))
        .or_else(|| comments(text).into_iter().find_map(in_comment))
        .or_else(|| definition.name.as_deref().and_then(in_name))
        .or_else(|| in_folder(path?))
        .or_else(|| {
            let function = definition.function?;
            is_effect(source, &function.nodes).then_some(SynthCategory::Fx)
        })
}

// `metadata: (category: \bass)`, or the tag of one.
fn in_metadata(source: &str, nodes: &[Node]) -> Option<SynthCategory> {
    let event = nodes.iter().find_map(|node| node.group('('))?;
    let given = Arguments::of(source, event);
    ["category", "type", "tags", "tag"].into_iter().find_map(|name| {
        let said = given.get(usize::MAX, name)?;
        let inner = said.iter().filter_map(|node| node.group('[')).flat_map(|one| &one.nodes);
        only(said.iter().chain(inner).filter_map(Node::said).filter_map(|said| said.parse().ok()))
    })
}

// `// category: bass`.
fn in_comment(comment: &str) -> Option<SynthCategory> {
    comment.lines().find_map(|line| {
        let line = line.trim().trim_start_matches(['*', '@', '/', '-', ' ']);
        let (name, said) = line.split_once([':', '='])?;
        if !name.trim().eq_ignore_ascii_case("category") {
            return None;
        }
        said.trim().trim_matches(['\\', '"', '\'', '.', ',']).parse().ok()
    })
}

fn in_folder(path: &str) -> Option<SynthCategory> {
    let mut parts = path.rsplit(['/', '\\']);
    parts.next();
    parts.next().and_then(in_name)
}

// What one of the words of a name says, if they do not say different things.
fn in_name(name: &str) -> Option<SynthCategory> {
    let words = words(name);
    // A bass drum is no bass.
    let is_drum = words.windows(2).any(|pair| pair == ["bass", "drum"]);
    if is_drum {
        return Some(SynthCategory::Drum);
    }
    only(words.iter().filter_map(|word| {
        SynthCategory::ALL.into_iter().find(|one| {
            let is_meant =
                |known: &&&str| word == **known || word.strip_suffix('s') == Some(**known);
            one.words().iter().find(is_meant).is_some()
        })
    }))
}

// The one thing that is said, however often.
fn only(mut said: impl Iterator<Item = SynthCategory>) -> Option<SynthCategory> {
    let first = said.next()?;
    said.all(|other| other == first).then_some(first)
}

// The words of a name such as `fatBass_2` or `kick909`, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for letter in name.chars() {
        let begins = !before.is_alphanumeric()
            || before.is_numeric() != letter.is_numeric()
            || (before.is_lowercase() && letter.is_uppercase());
        if letter.is_alphanumeric() {
            match words.last_mut() {
                Some(word) if !begins => word.extend(letter.to_lowercase()),
                _ => words.push(letter.to_lowercase().collect()),
            }
        }
        before = letter;
    }
    words
}

// Whether it hears what is played on a bus, and makes no tone of its own.
fn is_effect(source: &str, nodes: &[Node]) -> bool {
    fn count(source: &str, nodes: &[Node], wanted: &dyn Fn(&str) -> bool) -> bool {
        nodes.iter().any(|node| match node {
            Node::Group(group) => count(source, &group.nodes, wanted),
            Node::Token(_) => node.class(source).is_some_and(wanted),
        })
    }
    let hears = |class: &str| matches!(class, "In" | "InFeedback");
    let plays = |class: &str| {
        ["Osc", "Saw", "Pulse", "Noise", "Impulse", "Dust", "PlayBuf", "BufRd", "Pluck", "Blip"]
            .iter()
            .any(|part| class.contains(part))
    };
    count(source, nodes, &hears) && !count(source, nodes, &plays)
}
