//! What a SuperCollider source says of the synths in it.
//!
//! Nothing is run. What a program would have to be run for, such as a name that is put
//! together, is named as unsure.

mod category;
mod channels;
mod controls;
mod definition;
mod generators;
mod token;
mod tree;

use std::ops::Range;

pub use category::SynthCategory;
pub use controls::{Control, ControlRate};

use definition::Definition;

/// Bytes of a source, at the most.
pub const LARGEST_SOURCE: usize = 1 << 20;
/// Synths of one file, at the most.
const MOST: usize = 1_000;

/// What a source says of one synth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    /// Its name, where it is written down.
    pub(crate) name: Option<String>,
    /// Where its definition stands in the source, with what is called on it, in bytes.
    pub(crate) span: Range<usize>,
    /// What it can be told while it plays.
    pub(crate) controls: Vec<Control>,
    /// Whether these are all: they are read where the function is written in place.
    pub(crate) controls_are_sure: bool,
    /// How many channels it plays, where that is sure.
    pub(crate) channels: Option<u16>,
    /// Whether it is held by a gate, where that is sure.
    pub(crate) gate: Option<bool>,
    /// What it is for, where that is sure.
    pub(crate) category: Option<SynthCategory>,
}

/// The synths of a source, in their order. `path` is where it lies; the names of folders
/// say something of what is in them.
///
/// # Errors
///
/// In words, where it cannot be read at all, or defines none.
pub(crate) fn read(source: &str, path: Option<&str>) -> Result<Vec<Read>, String> {
    if source.len() > LARGEST_SOURCE {
        return Err(format!(
            "it has {} bytes, and a source has {LARGEST_SOURCE} at the most",
            source.len()
        ));
    }
    let nodes = tree::nodes(source).ok_or("its brackets nest too deep")?;
    let mut definitions = Vec::new();
    definition::find(source, &nodes, &mut definitions);
    if let Some(open) = definitions.iter().find(|definition| !definition.is_whole) {
        let line = source[..open.span.start].matches('\n').count() + 1;
        return Err(format!("the brackets of the SynthDef in line {line} do not close"));
    }
    if definitions.len() > MOST {
        return Err(format!("it has {} SynthDefs, and {MOST} are read", definitions.len()));
    }
    if definitions.is_empty() {
        return Err(NONE.to_owned());
    }
    let alone = definitions.len() == 1;
    Ok(definitions.iter().map(|definition| of(source, definition, alone, path)).collect())
}

/// What is said of a source without synths.
pub(crate) const NONE: &str = "it has no SynthDef";

fn of(source: &str, definition: &Definition<'_>, alone: bool, path: Option<&str>) -> Read {
    let function = definition.function;
    let (controls, controls_are_sure) = controls::read(source, definition);
    let has_gate = controls.iter().any(|control| control.name == "gate")
        || function.is_some_and(|function| controls::makes_gate(source, function));
    let text = if alone { source } else { &source[definition.span.clone()] };
    let channels = function.and_then(|function| channels::channels(source, function, &controls));
    Read {
        name: definition.name.clone(),
        span: definition.span.clone(),
        channels: channels.and_then(|channels| u16::try_from(channels).ok()),
        gate: (has_gate || controls_are_sure).then_some(has_gate),
        category: category::category(text, definition, source, path),
        controls,
        controls_are_sure,
    }
}

#[cfg(test)]
mod tests;
