//! `songrec.json`: marks a folder as a library, and records its kind.
//!
//! No other file identifies the library for sure, so there is a copy beside
//! it, and each has a checksum. The file counts as long as it is sound, whatever
//! the copy holds: who writes both writes the copy first, and an older songrec
//! writes the file alone. Where both are damaged the catalog still knows the id.

use std::path::Path;

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, Timestamp};
use uuid::Uuid;

use crate::{
    catalog::Catalog,
    error::{Fault, Result},
    files::Files,
    files::Layout,
    files::NewFile,
    files::names_in,
};

/// The content of `songrec.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LibraryFile {
    /// The version of the layout.
    pub(crate) format: u64,
    pub(crate) id: Uuid,
    /// Whether it keeps copies of the audio, instead of knowing where it is.
    #[serde(default)]
    pub(crate) keeps_copies: bool,
    pub(crate) created_at: Timestamp,
    /// The checksum of all that; libraries of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
}

/// What the file of a library and its copy gave.
#[derive(Debug)]
pub(crate) struct LibraryState {
    pub(crate) library: LibraryFile,
    /// What is wrong with the file or its copy.
    pub(crate) damage: Option<Fault>,
    /// Whether both are as they are written today.
    pub(crate) is_whole: bool,
}

// Read first, so that a newer format is not mistaken for damage.
#[derive(Deserialize)]
struct Version {
    format: u64,
}

impl LibraryFile {
    pub(crate) const FORMAT: u64 = 1;

    pub(crate) fn new(keeps_copies: bool) -> Self {
        Self::with_id(Uuid::new_v4(), keeps_copies)
    }

    fn with_id(id: Uuid, keeps_copies: bool) -> Self {
        let (format, created_at) = (Self::FORMAT, Timestamp::now());
        Self { format, id, keeps_copies, created_at, check: None }.checked()
    }

    /// The same as it is written today.
    fn checked(self) -> Self {
        Self { check: Some(self.sum()), ..self }
    }

    // Of a format that is known: a newer one has a checksum of its own kind.
    fn sum(&self) -> String {
        let Self { format: _, id, keeps_copies, created_at, check: _ } = self;
        let text = format!("{} {id} {keeps_copies} {created_at}", Self::FORMAT);
        Digest::of(text.as_bytes()).to_string()[..16].to_owned()
    }

    /// Reads the file; where it is damaged, its copy, or else the catalog.
    pub(crate) fn read(layout: &Layout, files: &Files) -> Result<LibraryState> {
        let path = layout.library_file();
        let bytes = files.read(&path)?.ok_or_else(|| Fault::Missing(layout.root().to_owned()))?;
        let copy = Self::read_copy(layout, files);
        match (Self::parse(&path, &bytes), copy) {
            // That is of who writes the copy first, and will write the file.
            (Ok(library), Err(Fault::Newer { .. })) => {
                Ok(LibraryState { library, damage: None, is_whole: true })
            }
            (Ok(library), copy) => {
                let library = library.checked();
                let is_same = |file: &Self| *file == library;
                let is_whole = serde_json::from_slice(&bytes).is_ok_and(|file| is_same(&file))
                    && matches!(&copy, Ok(Some(copy)) if is_same(copy));
                Ok(LibraryState { is_whole, damage: copy.err(), library })
            }
            (Err(Fault::Damaged { .. }), Err(newer @ Fault::Newer { .. })) => Err(newer),
            (Err(damage @ Fault::Damaged { .. }), copy) => {
                let known = copy.ok().flatten().or_else(|| Self::of_catalog(layout));
                match known {
                    Some(library) => {
                        Ok(LibraryState { library, damage: Some(damage), is_whole: false })
                    }
                    None => Err(Fault::Unidentified { path, why: damage.why() }),
                }
            }
            (Err(other), _) => Err(other),
        }
    }

    /// The library that a folder without its file was, by the copy or the catalog.
    pub(crate) fn recovered(layout: &Layout, files: &Files) -> Result<Option<Self>> {
        match Self::read_copy(layout, files) {
            Ok(Some(copy)) => Ok(Some(copy)),
            Err(newer @ Fault::Newer { .. }) => Err(newer),
            Ok(None) | Err(_) => Ok(Self::of_catalog(layout)),
        }
    }

    fn read_copy(layout: &Layout, files: &Files) -> Result<Option<Self>> {
        let path = layout.library_copy();
        let Some(bytes) = files.read(&path)? else { return Ok(None) };
        let copy = Self::parse(&path, &bytes)?;
        match copy.check {
            Some(_) => Ok(Some(copy)),
            None => Err(Fault::damaged(&path, "it has no checksum")),
        }
    }

    fn of_catalog(layout: &Layout) -> Option<Self> {
        let id = Catalog::library(layout.catalog()).ok()?;
        let keeps_copies = names_in(&layout.blobs()).is_ok_and(|names| !names.is_empty());
        Some(Self::with_id(id, keeps_copies))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let version: Version =
            serde_json::from_slice(bytes).map_err(|error| Fault::damaged(path, error))?;
        let document = serde_json::from_slice::<Self>(bytes);
        let is_as_written = |file: &Self| file.check.as_ref() == Some(&file.sum());
        if version.format > Self::FORMAT {
            // The checksum of a format that is known: the number alone changed.
            return match document {
                Ok(file) if is_as_written(&file) => Err(Fault::damaged(path, MISMATCH)),
                _ => Err(Fault::Newer {
                    path: path.to_owned(),
                    found: version.format,
                    known: Self::FORMAT,
                }),
            };
        }
        let file = document.map_err(|error| Fault::damaged(path, error))?;
        if file.format != Self::FORMAT || file.check.is_some() && !is_as_written(&file) {
            return Err(Fault::damaged(path, MISMATCH));
        }
        Ok(file)
    }

    /// Writes the file and its copy.
    pub(crate) fn write(&self, layout: &Layout, files: &Files) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(Fault::invalid)?;
        // The file last: with it the folder is a library.
        let paths = [layout.library_copy(), layout.library_file()];
        let new = paths.map(|path| NewFile { path, bytes: bytes.clone() });
        files.store(&new).map(drop)
    }
}

const MISMATCH: &str = "it does not match its checksum";
