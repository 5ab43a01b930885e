//! How this server behaves where servers differ.

use crate::error::Names;
use crate::limits::Limits;
use crate::settings::Features;

/// The configuration that commands see.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) features: Features,
    pub(crate) names: Names,
    /// The part of the neighbours that a vector search misses, 0 to 1, as an
    /// approximate index would.
    pub(crate) missed_neighbors: f64,
    /// Estimated counts are those of the start.
    pub(crate) late_estimates: bool,
    /// A full page has a page state even if nothing comes after it.
    pub(crate) empty_last_pages: bool,
}
