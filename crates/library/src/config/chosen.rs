//! Which library the settings mean, and which they could have meant.

use std::path::{Path, PathBuf};

use songrec_core::{decode_path, encode_path};
use songrec_local::LocalBackend;

use super::{
    Config, Key, NamedLibrary, Origin,
    keys::{LIBRARY, STORAGE_BACKEND},
};
use crate::paths::absolute;

/// What a library remembers of the one that it was cloned from: `sync.remote`
/// and a table of `[libraries]`, without secrets. It lies in its folder.
pub const REMOTE_FILE: &str = "remote.toml";

const WHERE_YOU_ARE: &str = "where you are";
/// The name of the local library.
const LOCAL: &str = "local";

/// Which library is used, where it could have been another one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The library that is used: a folder, or a name.
    pub used: String,
    /// Why.
    pub because: String,
    /// The library that is not.
    pub other: String,
    /// Why it could have been.
    pub other_because: String,
}

impl Config {
    /// After flags and variables, the library that the working folder lies in
    /// is the one that is meant, whatever the files say. A flag that names a
    /// folder means that folder, whatever else says that another kind is used.
    pub(super) fn choose(&mut self, working_folder: &Path) {
        if let Some(flag @ Origin::Flag(_)) = self.origin(LIBRARY).cloned()
            && !matches!(self.origin(STORAGE_BACKEND), Some(Origin::Flag(_)))
            && self.get(STORAGE_BACKEND) != LOCAL
        {
            self.values.insert(STORAGE_BACKEND.name(), (vec![LOCAL.to_owned()], flag));
        }
        self.prefer_the_library_around(working_folder);
    }

    fn prefer_the_library_around(&mut self, working_folder: &Path) {
        let Some(around) = library_around(working_folder) else { return };
        let origin = Origin::WorkingFolder(around.clone());
        self.around = Some(around.clone());
        let is_weaker = |origin: Option<&Origin>| {
            matches!(origin, None | Some(Origin::Default | Origin::File(..)))
        };
        if is_weaker(self.origin(LIBRARY)) {
            let value = (vec![encode_path(&around)], origin.clone());
            if let Some(before) = self.values.insert(LIBRARY.name(), value) {
                self.overruled.insert(LIBRARY.name(), before);
            }
        }
        if is_weaker(self.origin(STORAGE_BACKEND))
            && self.get(STORAGE_BACKEND) != LOCAL
            && !self.is_given(LIBRARY)
        {
            let value = (vec![LOCAL.to_owned()], origin);
            if let Some(before) = self.values.insert(STORAGE_BACKEND.name(), value) {
                self.overruled.insert(STORAGE_BACKEND.name(), before);
            }
        }
    }

    fn is_flag<V>(&self, key: Key<V>) -> bool {
        matches!(self.origin(key), Some(Origin::Flag(_)))
    }

    // Whether a flag or a variable says so.
    fn is_given<V>(&self, key: Key<V>) -> bool {
        matches!(self.origin(key), Some(Origin::Flag(_) | Origin::Variable(_) | Origin::DotEnv(..)))
    }

    /// The folder of the local library that is used where the working folder
    /// lies in none, and what says so.
    pub fn usual_library(&self) -> (PathBuf, Origin) {
        let set = self.overruled.get(LIBRARY.name()).or_else(|| self.values.get(LIBRARY.name()));
        match set {
            Some((values, origin)) if !matches!(origin, Origin::WorkingFolder(_)) => {
                (values.first().map(|text| decode_path(text)).unwrap_or_default(), origin.clone())
            }
            _ => (self.directories().library.clone(), Origin::Default),
        }
    }

    /// Which library is used, if another one could have been meant as well:
    /// the one that the working folder lies in, or the usual one. Nothing if a
    /// flag says it.
    pub fn chosen(&self) -> Option<Chosen> {
        let around = self.around.as_ref()?;
        if self.is_flag(LIBRARY) || self.is_flag(STORAGE_BACKEND) {
            return None;
        }
        let of_around = WHERE_YOU_ARE.to_owned();
        let around_name = around.display().to_string();
        let name = self.get(STORAGE_BACKEND);
        if name != LOCAL {
            return Some(Chosen {
                used: name.to_owned(),
                because: self.origin(STORAGE_BACKEND).map(Origin::to_string).unwrap_or_default(),
                other: around_name,
                other_because: of_around,
            });
        }
        if let Some((values, origin)) = self.overruled.get(STORAGE_BACKEND.name()) {
            return Some(Chosen {
                used: around_name,
                because: of_around,
                other: values.join(","),
                other_because: origin.to_string(),
            });
        }
        self.chosen_local()
    }

    /// The same of the local library, also where another kind is used.
    pub fn chosen_local(&self) -> Option<Chosen> {
        let around = self.around.as_ref().filter(|_| !self.is_flag(LIBRARY))?;
        let of_around = WHERE_YOU_ARE.to_owned();
        let around_name = around.display().to_string();
        let used = local_root(self);
        let (usual, origin) = self.usual_library();
        if absolute(&used) != *around {
            return Some(Chosen {
                used: used.display().to_string(),
                because: self.origin(LIBRARY).unwrap_or(&Origin::Default).to_string(),
                other: around_name,
                other_because: of_around,
            });
        }
        let is_another = absolute(&usual) != *around && is_library(&usual);
        is_another.then(|| Chosen {
            used: around_name,
            because: of_around,
            other: usual.display().to_string(),
            other_because: match origin {
                Origin::Default => "the usual one".to_owned(),
                origin => origin.to_string(),
            },
        })
    }
}

impl NamedLibrary {
    // Whether two tables mean the same place.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        let place = |library: &Self| {
            let Self { kind, path, endpoint, keyspace, .. } = library;
            (kind.clone(), path.clone(), endpoint.clone(), keyspace.clone())
        };
        place(self) == place(other)
    }
}

// The nearest folder at or above this one that is a library.
fn library_around(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| is_library(folder)).map(absolute)
}

/// The folder of the local library: the one that a flag or a variable says,
/// else the nearest one at or above the working folder, else the one in the
/// configuration, else the user's own.
pub fn local_root(config: &Config) -> PathBuf {
    config.get(LIBRARY).unwrap_or_else(|| config.directories().library.clone())
}

/// Whether a folder is a local library.
pub fn is_library(folder: &Path) -> bool {
    LocalBackend::is_library(folder)
}
