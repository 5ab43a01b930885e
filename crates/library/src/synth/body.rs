//! What a synth says, as it is kept, and how it is edited: pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use songrec_core::{Digest, Timestamp};

use super::source::{self, Control, LARGEST_SOURCE, Read, SynthCategory};
use crate::{Error, ErrorKind, Result};

/// Characters of a name, at the most: what SuperCollider can send to its server.
const LONGEST_NAME: usize = 255;
/// Characters of notes, and bytes of what else is kept, at the most.
const LONGEST_NOTES: usize = 10_000;
const LARGEST_EXTRA: usize = 64 << 10;
/// Parents, at the most.
const MOST_PARENTS: usize = 1_000;
/// Bytes of a whole synth as text within a document, at the most: what every backend keeps.
const LARGEST: usize = 3 << 20;
/// The format that this version writes, and the latest that it can read.
const FORMAT: u32 = 1;

/// A synth as it is kept. What a later version says beside this stays when it is edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Synth {
    /// The version of this shape. A higher one is refused: it may mean something else.
    format: u32,
    /// What it is called: as its source says, unless somebody said something else.
    pub(super) name: String,
    /// The file that it was read from, as paths of songs are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file_path: Option<String>,
    /// The machine that has this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<String>,
    /// SHA-256 of the source.
    pub(super) file_hash: Digest,
    /// The whole file, if it defines this synth alone; else its definition.
    pub(super) source: String,
    pub(super) controls: Vec<Control>,
    pub(super) channels: Option<u16>,
    pub(super) gate: Option<bool>,
    pub(super) category: Option<SynthCategory>,
    /// What its source does not say for sure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unsure: Vec<SynthFact>,
    /// What a person said in place of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) edited: Vec<SynthFact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) extra: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parents: Vec<SynthLink>,
    pub(super) created_at: Timestamp,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// That a synth comes from another one, kept with the child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SynthLink {
    /// The id of the parent.
    pub parent: String,
    /// How the parent was called when this was said.
    pub name: String,
    /// How much of it the child has, from 0 to 1.
    pub weight: f64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl SynthLink {
    pub(super) fn new(parent: &str, name: &str, weight: f64) -> Self {
        let (parent, name) = (parent.to_owned(), name.to_owned());
        Self { parent, name, weight, other: Map::new() }
    }
}

/// Something that a source says of a synth, or a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SynthFact {
    /// Its name.
    Name,
    /// Its controls: there may be more.
    Controls,
    /// How many channels it plays.
    Channels,
    /// Whether it has a gate.
    Gate,
    /// What it is for.
    Category,
}

impl SynthFact {
    /// The fact in small letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Controls => "controls",
            Self::Channels => "channels",
            Self::Gate => "gate",
            Self::Category => "category",
        }
    }
}

/// The source of one synth, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) read: Read,
    /// The whole file, if it defines this synth alone; else its definition.
    pub(super) source: String,
}

impl Definition {
    /// All synths of a source.
    pub(super) fn all(text: &str, path: Option<&str>) -> Result<Vec<Self>, String> {
        let all = source::read(text, path)?;
        let is_only = all.len() == 1;
        let of = |read: Read| {
            let source = if is_only { text } else { &text[read.span.clone()] };
            Self { source: source.to_owned(), read }
        };
        Ok(all.into_iter().map(of).collect())
    }

    pub(super) fn hash(&self) -> Digest {
        Digest::of(self.source.as_bytes())
    }

    fn unsure(&self) -> Vec<SynthFact> {
        let read = &self.read;
        let facts = [
            (SynthFact::Name, read.name.is_some()),
            (SynthFact::Controls, read.controls_are_sure),
            (SynthFact::Channels, read.channels.is_some()),
            (SynthFact::Gate, read.gate.is_some()),
            (SynthFact::Category, read.category.is_some()),
        ];
        facts.into_iter().filter(|(_, sure)| !sure).map(|(fact, _)| fact).collect()
    }
}

impl Synth {
    /// A synth with a source. `name` is what it is called where the source does not say.
    pub(super) fn new(definition: &Definition, name: &str, now: Timestamp) -> Result<Self> {
        let mut synth = Self {
            format: FORMAT,
            name: String::new(),
            file_path: None,
            machine: None,
            file_hash: definition.hash(),
            source: definition.source.clone(),
            controls: Vec::new(),
            channels: None,
            gate: None,
            category: None,
            unsure: Vec::new(),
            edited: Vec::new(),
            notes: None,
            extra: Map::new(),
            parents: Vec::new(),
            created_at: now,
            other: Map::new(),
        };
        synth.follow(definition, name)?;
        Ok(synth)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its source.
    pub const fn file_hash(&self) -> &Digest {
        &self.file_hash
    }

    /// Has another source, or reads its own again. What a person said stays.
    pub(super) fn follow(&mut self, definition: &Definition, name: &str) -> Result<()> {
        let read = definition.read.clone();
        self.file_hash = definition.hash();
        self.source.clone_from(&definition.source);
        self.unsure = definition.unsure();
        self.controls = read.controls;
        (self.channels, self.gate) = (read.channels, read.gate);
        if !self.edited.contains(&SynthFact::Name) {
            self.name = checked_name(read.name.as_deref().unwrap_or(name))?;
        }
        if !self.edited.contains(&SynthFact::Category) {
            self.category = read.category;
        }
        self.unsure.retain(|fact| !self.edited.contains(fact));
        Ok(())
    }

    /// What its source says, as it was when it was read.
    pub(super) fn definition(&self) -> Result<Definition> {
        let all = Definition::all(&self.source, self.file_path.as_deref());
        all.ok().and_then(|all| all.into_iter().next()).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format_args!("the source of `{}` is none", self.name))
        })
    }

    /// The name in its source.
    pub(super) fn written_name(&self) -> Option<String> {
        self.definition().ok()?.read.name
    }

    pub(super) fn rename(&mut self, name: &str) -> Result<()> {
        self.name = checked_name(name)?;
        self.say(SynthFact::Name);
        Ok(())
    }

    pub(super) fn sort_into(&mut self, category: Option<SynthCategory>) {
        self.category = category;
        self.say(SynthFact::Category);
    }

    // Notes that a person said it.
    fn say(&mut self, fact: SynthFact) {
        self.edited.push(fact);
        self.edited.sort();
        self.edited.dedup();
        self.unsure.retain(|one| *one != fact);
    }

    /// Goes back to what the source says.
    pub(super) fn unsay(&mut self, fact: SynthFact) -> Result<()> {
        self.edited.retain(|one| *one != fact);
        let (definition, name) = (self.definition()?, self.name.clone());
        self.follow(&definition, &name)
    }

    pub(super) fn note(&mut self, notes: Option<&str>) -> Result<()> {
        let notes = notes.map(str::trim).filter(|notes| !notes.is_empty());
        if notes.is_some_and(|notes| notes.chars().count() > LONGEST_NOTES) {
            return Err(Error::usage("the notes are too long")
                .with_hint(format!("they have {LONGEST_NOTES} characters at the most")));
        }
        self.notes = notes.map(str::to_owned);
        Ok(())
    }

    pub(super) fn keep(&mut self, name: &str, value: Option<Value>) -> Result<()> {
        let name = name.trim();
        if name.is_empty() || name.chars().any(char::is_control) || name.len() > LONGEST_NAME {
            return Err(Error::usage(format_args!("`{name}` names no field to keep"))
                .with_hint("a field is such as `extra.author`"));
        }
        match value {
            Some(value) => self.extra.insert(name.to_owned(), value),
            None => self.extra.remove(name),
        };
        if Value::Object(self.extra.clone()).to_string().len() > LARGEST_EXTRA {
            return Err(Error::usage(format_args!("`{}` would keep too much", self.name))
                .with_hint(format!("what is kept beside a synth has {LARGEST_EXTRA} bytes")));
        }
        Ok(())
    }

    pub(super) fn link(&mut self, link: SynthLink) -> Result<()> {
        if self.parents.len() >= MOST_PARENTS {
            return Err(Error::usage(format_args!(
                "`{}` has {MOST_PARENTS} parents, and no synth has more",
                self.name
            )));
        }
        self.parents.push(link);
        Ok(())
    }

    /// What this one lacks and `other` has, which somebody else wrote of the same source.
    pub(super) fn take_from(&mut self, other: &Self) {
        for link in &other.parents {
            if !self.parents.iter().any(|known| known.parent == link.parent) {
                self.parents.push(link.clone());
            }
        }
        for (name, value) in &other.extra {
            self.extra.entry(name).or_insert_with(|| value.clone());
        }
        self.notes = self.notes.take().or_else(|| other.notes.clone());
        for fact in [SynthFact::Name, SynthFact::Category] {
            if other.edited.contains(&fact) && !self.edited.contains(&fact) {
                match fact {
                    SynthFact::Category => self.category = other.category,
                    _ => self.name.clone_from(&other.name),
                }
                self.say(fact);
            }
        }
        self.created_at = self.created_at.min(other.created_at);
    }

    /// The document's body.
    ///
    /// # Errors
    ///
    /// `Usage` if it is too large to be kept.
    pub(super) fn to_body(&self) -> Result<Value> {
        let body = serde_json::to_value(self).map_err(|error| {
            Error::new(ErrorKind::Failed, "could not write a synth").because(error)
        })?;
        // Some backends keep documents as texts within documents.
        let size = Value::String(body.to_string()).to_string().len();
        if size > LARGEST {
            return Err(Error::usage(format_args!(
                "`{}` would have {size} bytes, and a synth has {LARGEST} at the most",
                self.name
            )));
        }
        Ok(body)
    }

    /// The synth that a document's body is: it may come from elsewhere.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is none, or one of a later songrec.
    pub(super) fn of_body(id: &str, body: Value) -> Result<Self> {
        let damaged = |why: String| {
            Error::new(ErrorKind::Corrupt, format_args!("the synth `{id}` cannot be read"))
                .because(why)
                .with_hint("a newer songrec may have written it; it can be removed by its id")
        };
        let format = body["format"].as_u64();
        if format.is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(damaged(format!(
                "it has format {}, and this version knows {FORMAT}",
                format.unwrap_or_default()
            )));
        }
        let synth: Self =
            serde_json::from_value(body).map_err(|error| damaged(error.to_string()))?;
        checked_name(&synth.name).map_err(|error| damaged(error.to_string()))?;
        if synth.source.len() > LARGEST_SOURCE {
            return Err(damaged(format!("its source has {} bytes", synth.source.len())));
        }
        if synth.file_hash != Digest::of(synth.source.as_bytes()) {
            return Err(damaged("its source is not the one that it was read from".to_owned()));
        }
        if let Some(link) = synth.parents.iter().find(|link| weight(link.weight).is_err()) {
            return Err(damaged(format!("its link to `{}` has no weight", link.name)));
        }
        Ok(synth)
    }
}

/// A weight that a link can have.
pub(super) fn weight(weight: f64) -> Result<f64> {
    match (0.0..=1.0).contains(&weight) {
        true => Ok(weight),
        false => Err(Error::usage(format_args!("`{weight}` is no weight of a link"))
            .with_hint("a weight is from 0 to 1, such as 0.5")),
    }
}

fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    let wrong = |why: String| {
        Error::usage(format_args!("`{name}` is no name for a synth"))
            .because(why)
            .with_hint("a name is such as `softPad`")
    };
    if name.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    if name.chars().any(char::is_control) {
        return Err(wrong("it has control characters".to_owned()));
    }
    match name.chars().count() {
        length if length > LONGEST_NAME => {
            Err(wrong(format!("it has {length} characters, and may have {LONGEST_NAME}")))
        }
        _ => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOURCE: &str = "SynthDef(\\fatBass, { |gate = 1| Out.ar(0, Saw.ar(55) ! 2) })";

    fn synth(source: &str) -> Synth {
        let definition = &Definition::all(source, None).unwrap()[0];
        Synth::new(definition, "nameless", Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn what_a_person_said_stays_when_the_source_changes() {
        let mut synth = synth(SOURCE);
        synth.rename("mine").unwrap();
        synth.sort_into(None);

        let changed = SOURCE.replace("fatBass", "thinPad").replace("! 2", "! 3");
        synth.follow(&Definition::all(&changed, None).unwrap()[0], "x").unwrap();

        assert_eq!((synth.name(), synth.category, synth.channels), ("mine", None, Some(3)));
        assert_eq!(synth.edited, [SynthFact::Name, SynthFact::Category]);
        assert_eq!(synth.unsure, []);
        synth.unsay(SynthFact::Name).unwrap();
        synth.unsay(SynthFact::Category).unwrap();
        assert_eq!((synth.name(), synth.category), ("thinPad", Some(SynthCategory::Pad)));
    }

    #[test]
    fn what_is_unsure_is_said() {
        let synth = synth("SynthDef(name, graph)");
        assert_eq!(synth.name(), "nameless");
        let all = ["name", "controls", "channels", "gate", "category"];
        assert_eq!(json!(synth.unsure), json!(all));
    }

    #[test]
    fn what_a_later_version_says_beside_stays_and_what_is_no_synth_is_refused() {
        let mut body = synth(SOURCE).to_body().unwrap();
        body["later"] = json!({"a": 1});
        let read = Synth::of_body("x", body.clone()).unwrap();
        assert_eq!(read.to_body().unwrap(), body);

        let link = json!([{"parent": "synth_1", "name": "a", "weight": 2.0}]);
        for (field, value) in [
            ("format", json!(2)),
            ("name", json!("\u{1b}[31m")),
            ("name", json!(" ")),
            ("source", json!("another")),
            ("file_hash", json!("x")),
            ("parents", link),
            ("controls", json!(3)),
        ] {
            let mut body = body.clone();
            body[field] = value;
            let error = Synth::of_body("x", body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{field}");
        }
    }

    #[test]
    fn a_source_that_would_be_too_large_as_text_is_refused() {
        let source = format!("{SOURCE}// {}", "\u{1}".repeat(900_000));
        let error = synth(&source).to_body().unwrap_err();
        assert!(error.to_string().contains("bytes"), "{error}");
    }
}
