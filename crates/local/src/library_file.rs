//! `songrec.json`: that a folder is a library, and of which kind.

use serde::{Deserialize, Serialize};
use songrec_core::Timestamp;
use uuid::Uuid;

use crate::{
    disk::NewFile,
    error::{Fault, Result},
    files::Files,
    layout::Layout,
};

/// What a library says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LibraryFile {
    /// The version of the layout.
    pub(crate) format: u64,
    pub(crate) id: Uuid,
    /// Whether it keeps copies of the audio, instead of knowing where it is.
    #[serde(default)]
    pub(crate) keeps_copies: bool,
    pub(crate) created_at: Timestamp,
}

// Read first, so that a newer format is not mistaken for damage.
#[derive(Deserialize)]
struct Version {
    format: u64,
}

impl LibraryFile {
    pub(crate) const FORMAT: u64 = 1;

    pub(crate) fn new(keeps_copies: bool) -> Self {
        let (format, id) = (Self::FORMAT, Uuid::new_v4());
        Self { format, id, keeps_copies, created_at: Timestamp::now() }
    }

    pub(crate) fn read(layout: &Layout, files: &Files) -> Result<Self> {
        let path = layout.library_file();
        let bytes = files.read(&path)?.ok_or_else(|| Fault::Missing(layout.root().to_owned()))?;
        let version: Version =
            serde_json::from_slice(&bytes).map_err(|error| Fault::damaged(&path, error))?;
        if version.format > Self::FORMAT {
            return Err(Fault::Newer { path, found: version.format, known: Self::FORMAT });
        }
        serde_json::from_slice(&bytes).map_err(|error| Fault::damaged(&path, error))
    }

    pub(crate) fn write(&self, layout: &Layout, files: &Files) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(Fault::invalid)?;
        files.store(&[NewFile { path: layout.library_file(), bytes }]).map(drop)
    }
}
