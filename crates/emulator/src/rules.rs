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
}
