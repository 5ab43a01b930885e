//! A scan of what has changed alone.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What a scan looks at among all that it is to scan, because somebody has watched it.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The files and folders in which something may have changed, by absolute path;
    /// everything if nothing is said.
    pub only: Option<BTreeSet<PathBuf>>,
    /// Files that are being written, which a later scan reads.
    pub not_yet: BTreeSet<PathBuf>,
}

impl Changed {
    /// How many files and folders it is about.
    pub fn count(&self) -> u64 {
        self.only.as_ref().map_or(0, |only| only.len() as u64)
    }

    /// Whether a walk looks at `path`: at what has changed, what lies in it, and the
    /// folders on the way there.
    pub(super) fn is_meant(&self, path: &Path, is_folder: bool) -> bool {
        if !is_folder && self.not_yet.contains(path) {
            return false;
        }
        let Some(only) = &self.only else { return true };
        // What lies in a folder comes right after it.
        let leads_there =
            only.range(path.to_owned()..).next().is_some_and(|next| next.starts_with(path));
        leads_there || path.ancestors().any(|folder| only.contains(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_looks_at_what_has_changed_and_the_way_there() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        let changed = Changed {
            only: Some(paths(&["/m/a.x/one.wav", "/m/b", "/m/c/grows.wav"])),
            not_yet: paths(&["/m/c/grows.wav", "/m/b/late.wav", "/m/b/sub"]),
        };
        let all = [
            ("/m", true, true),
            ("/m/a", true, false),
            ("/m/a.x", true, true),
            ("/m/a.x/one.wav", false, true),
            ("/m/a.x/two.wav", false, false),
            ("/m/b", true, true),
            ("/m/b/deep/er.wav", false, true),
            ("/m/b/late.wav", false, false),
            ("/m/b/sub", true, true),
            ("/m/bb.wav", false, false),
            ("/m/c/grows.wav", false, false),
        ];
        for (path, is_folder, is_meant) in all {
            assert_eq!(changed.is_meant(Path::new(path), is_folder), is_meant, "{path}");
        }
        let all = Changed { only: None, not_yet: changed.not_yet };
        assert!(all.is_meant(Path::new("/m/bb.wav"), false));
        assert!(!all.is_meant(Path::new("/m/b/late.wav"), false));
    }
}
