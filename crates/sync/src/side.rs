//! The two sides of a sync, and the library on each.

use std::{
    fmt,
    ops::{Index, IndexMut},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use songrec_storage::StorageBackend;

/// One of the two sides of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first one, usually on this machine.
    Left,
    /// The second one, usually shared with others.
    Right,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// The side in small letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The library of a side, with the name that people know it by.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The name, such as `local` or `cloud`.
    pub name: String,
    /// The library.
    pub backend: Arc<dyn StorageBackend>,
}

impl Replica {
    /// A library under the name that people know it by.
    pub fn new(name: impl Into<String>, backend: Arc<dyn StorageBackend>) -> Self {
        Self { name: name.into(), backend }
    }
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// The value of the left side.
    pub left: T,
    /// The value of the right side.
    pub right: T,
}

impl<T> Pair<T> {
    /// Makes a value for each side.
    pub fn of(mut make: impl FnMut(Side) -> T) -> Self {
        Self { left: make(Side::Left), right: make(Side::Right) }
    }
}

impl<T> Index<Side> for Pair<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

impl<T> IndexMut<Side> for Pair<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }
}
