//! Synths: definitions for SuperCollider, kept with the library, and what each comes from.
//!
//! A synth has its source, and what the source says of it. Its id is made from the source
//! that it was first added with, so that two machines that add the same one mean one synth.
//! A link to a parent is kept with the child, and counts while both are there.

mod body;
mod change;
mod intake;
mod kept;
mod lineage;
mod link;
mod scanned;
mod search;
mod shown;
mod source;

pub use body::{Synth, SynthFact, SynthLink};
pub use change::{RemovedSynth, SynthChange, edit_synth, remove_synth};
pub use intake::{
    IntakeMode, IntakeOptions, SynthFile, SynthIntake, TakenIn, TakenSynth, read_synth_file,
};
pub use kept::{KeptSynth, SynthList, UnreadableSynth, synth_named, synths};
pub use lineage::{EndedLink, Lineage, NamedSynth, Relative, Way, synth_lineage};
pub use link::{LINK_WEIGHT, link_synths, unlink_synths};
pub use scanned::SynthsScanned;
pub(crate) use scanned::scan_files;
pub use search::{FoundSynths, SynthQuery, find_synths};
pub use shown::{ShownLink, ShownSynth, SynthWithSource};
pub use source::{Control, ControlRate, LARGEST_SOURCE, SynthCategory};
