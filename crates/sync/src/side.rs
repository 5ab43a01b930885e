//! The two libraries that are made to agree.

use std::{
    fmt,
    ops::{Index, IndexMut},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use songrec_storage::StorageBackend;

/// One of the two libraries, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The first one, usually on this machine.
    Left,
    /// The second one, usually shared with others.
    Right,
}

impl Place {
    /// Both places.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// The place in small letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A library that takes part, with the name that people know it by.
#[derive(Clone, Debug)]
pub struct Side {
    /// The name, such as `local` or `cloud`.
    pub name: String,
    /// The library.
    pub backend: Arc<dyn StorageBackend>,
}

impl Side {
    /// A library under the name that people know it by.
    pub fn new(name: impl Into<String>, backend: Arc<dyn StorageBackend>) -> Self {
        Self { name: name.into(), backend }
    }
}

/// One thing for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// What is at the left.
    pub left: T,
    /// What is at the right.
    pub right: T,
}

impl<T> Pair<T> {
    /// A pair of what `make` gives for each place.
    pub fn of(mut make: impl FnMut(Place) -> T) -> Self {
        Self { left: make(Place::Left), right: make(Place::Right) }
    }
}

impl<T> Index<Place> for Pair<T> {
    type Output = T;

    fn index(&self, place: Place) -> &T {
        match place {
            Place::Left => &self.left,
            Place::Right => &self.right,
        }
    }
}

impl<T> IndexMut<Place> for Pair<T> {
    fn index_mut(&mut self, place: Place) -> &mut T {
        match place {
            Place::Left => &mut self.left,
            Place::Right => &mut self.right,
        }
    }
}
