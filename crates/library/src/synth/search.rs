//! Which synths a library has.

use serde::Serialize;
use songrec_core::fold;

use super::{ShownSynth, Synth, SynthCategory, UnreadableSynth, synths};
use crate::{Library, Result};

/// Which synths are asked for: those that pass everything that is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SynthQuery {
    /// Texts, each of which is in the name or the path of the file. Case and accents do
    /// not count.
    pub words: Vec<String>,
    /// What they are for.
    pub category: Option<SynthCategory>,
    /// Whether they have a gate; one of which that is not sure passes neither.
    pub gate: Option<bool>,
    /// How many of the first to leave out.
    pub offset: usize,
    /// How many, at the most.
    pub limit: usize,
}

impl SynthQuery {
    fn passes(&self, synth: &Synth) -> bool {
        let text = || {
            let path = synth.file_path.as_deref().unwrap_or_default();
            fold(&format!("{}\n{path}", synth.name))
        };
        (self.category.is_none() || self.category == synth.category)
            && (self.gate.is_none() || self.gate == synth.gate)
            && (self.words.is_empty() || {
                let text = text();
                self.words.iter().all(|word| text.contains(&fold(word)))
            })
    }

    /// Whether every synth passes.
    pub fn is_all(&self) -> bool {
        self.words.is_empty() && self.category.is_none() && self.gate.is_none()
    }
}

/// The synths that were asked for, by name.
#[derive(Clone, Debug, Serialize)]
pub struct FoundSynths {
    /// Those that pass, from the offset, as many as the limit.
    pub synths: Vec<ShownSynth>,
    /// How many pass in all.
    pub count: usize,
    /// Those that cannot be read, and so may pass or not.
    pub unreadable: Vec<UnreadableSynth>,
}

/// The synths that pass, in the order of their names. Reads all synths.
///
/// # Errors
///
/// Those of the library.
pub async fn find_synths(library: &Library, query: &SynthQuery) -> Result<FoundSynths> {
    let list = synths(library).await?;
    let passing: Vec<_> = list.synths.iter().filter(|kept| query.passes(&kept.synth)).collect();
    let shown = passing.iter().skip(query.offset).take(query.limit);
    Ok(FoundSynths {
        synths: shown.map(|kept| list.shown(kept)).collect(),
        count: passing.len(),
        unreadable: list.unreadable.clone(),
    })
}
