//! Regions of songs that persons and programs named: patterns.
//!
//! A pattern is a segment of a song with a kind, a confidence, frequencies and features,
//! and keeps its id through all changes. A change writes another segment of the same
//! pattern and deletes the one that it was made from, so that two people who change one
//! at the same time lose nothing: the later change is shown, the other one beside it.

mod add;
mod change;
mod draft;
mod find;
mod shown;
mod similar;
mod store;

pub use add::{AddedPattern, PatternIntake};
pub use change::{PatternChange, edit_pattern, remove_patterns};
pub use draft::{LARGEST_METADATA, NewPattern};
pub use find::{
    KeptPattern, PatternOrder, PatternQuery, find_patterns, pattern, pattern_id, pattern_ids,
};
pub use shown::ShownPattern;
pub use similar::{
    PatternSubject, SimilarPattern, SimilarPatterns, SimilarPatternsOptions, similar_patterns,
};
