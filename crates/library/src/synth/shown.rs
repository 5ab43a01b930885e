//! What is shown of a synth.

use serde::Serialize;
use serde_json::{Map, Value};
use songrec_core::{Digest, OperationId, Timestamp};

use super::{Control, KeptSynth, SynthCategory, SynthFact, SynthList, kept::OtherVersion};

/// What lists show of a synth: everything but its source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownSynth {
    /// Its id.
    pub id: String,
    /// The write that left it as it is: whoever changes it may say which they have seen.
    pub version: OperationId,
    /// Its name.
    pub name: String,
    /// The file that it was read from.
    pub file_path: Option<String>,
    /// The machine that has this file.
    pub machine: Option<String>,
    /// SHA-256 of its source.
    pub file_hash: Digest,
    /// What it can be told while it plays.
    pub controls: Vec<Control>,
    /// How many channels it plays, where that is sure.
    pub channels: Option<u16>,
    /// Whether it has a gate, where that is sure.
    pub gate: Option<bool>,
    /// What it is for, where that is sure.
    pub category: Option<SynthCategory>,
    /// What its source does not say for sure.
    pub unsure: Vec<SynthFact>,
    /// What a person said in place of the source.
    pub edited: Vec<SynthFact>,
    /// What a person wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// What else is kept.
    pub extra: Map<String, Value>,
    /// What it comes from.
    pub parents: Vec<ShownLink>,
    /// The ids of other synths with the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<String>,
    /// The id of the synth that this is another version of, with another source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A parent, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownLink {
    /// Its id.
    pub id: String,
    /// Its name; of one that is gone, that which it had.
    pub name: String,
    /// How much of it the child has, from 0 to 1.
    pub weight: f64,
    /// Whether it is gone: the link counts again when it comes back.
    pub missing: bool,
}

impl ShownSynth {
    pub(super) fn of(list: &SynthList, kept: &KeptSynth) -> Self {
        let synth = &kept.synth;
        let parents = synth.parents.iter().map(|link| {
            let parent = list.get(&link.parent);
            ShownLink {
                id: link.parent.clone(),
                name: parent.map_or(&link.name, |parent| &parent.synth.name).clone(),
                weight: link.weight,
                missing: parent.is_none(),
            }
        });
        Self {
            id: kept.id.clone(),
            version: kept.version,
            name: synth.name.clone(),
            file_path: synth.file_path.clone(),
            machine: synth.machine.clone(),
            file_hash: synth.file_hash,
            controls: synth.controls.clone(),
            channels: synth.channels,
            gate: synth.gate,
            category: synth.category,
            unsure: synth.unsure.clone(),
            edited: synth.edited.clone(),
            notes: synth.notes.clone(),
            extra: synth.extra.clone(),
            parents: parents.collect(),
            namesakes: list.namesakes(&kept.id, &synth.name).map(|one| one.id.clone()).collect(),
            beside: kept.beside().map(str::to_owned),
            created_at: synth.created_at,
            updated_at: kept.updated_at,
        }
    }
}

impl SynthList {
    /// What is shown of one of them.
    pub fn shown(&self, kept: &KeptSynth) -> ShownSynth {
        ShownSynth::of(self, kept)
    }
}

/// A synth with its source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SynthWithSource {
    /// What lists show of it.
    #[serde(flatten)]
    pub shown: ShownSynth,
    /// Its source.
    pub source: String,
    /// What it is as well, as another library has it, until somebody changes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ShownSynth>,
}

impl SynthWithSource {
    /// A synth of the list.
    pub fn of(list: &SynthList, kept: &KeptSynth) -> Self {
        let said = |other: &OtherVersion| {
            let said = KeptSynth { synth: other.synth.clone(), ..kept.clone() };
            let (id, version) = (other.document.id.clone(), other.document.revision.operation);
            let updated_at = other.document.updated_at;
            list.shown(&KeptSynth { id, version, updated_at, ..said })
        };
        Self {
            shown: list.shown(kept),
            source: kept.synth.source.clone(),
            others: kept.others.iter().map(said).collect(),
        }
    }
}
