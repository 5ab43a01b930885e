//! The files that a scan leaves out, and why: for its progress, and for a file that
//! lists them.

use std::{
    fmt,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use songrec_core::{Hint, encode_path};
use songrec_formats::csv::write_row;
use tempfile::NamedTempFile;

use crate::{Error, Result, decoding::Why};

/// How a file came to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkippedKind {
    /// It could not be read, or not be taken in.
    Failed,
    /// It could not be read before, did not change, and was not looked at.
    FailedBefore,
    /// Audio of a format that is not read.
    Unread,
    /// Its song was removed from the library.
    Forgotten,
}

impl SkippedKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::FailedBefore => "failed_before",
            Self::Unread => "unread",
            Self::Forgotten => "forgotten",
        }
    }
}

/// A line of a list.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: &'a str,
    kind: SkippedKind,
    reason: String,
    hint: Option<String>,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    JsonLines,
    Csv,
}

/// The names of the columns, and of the fields in JSON.
const COLUMNS: [&str; 4] = ["path", "kind", "reason", "hint"];

/// A file that lists what a scan leaves out, one line for each file, as it happens.
///
/// It is written beside its place and moved there by [`finish`](Self::finish), also
/// after an interrupted scan, so that what lies there is never half a list.
#[derive(Clone)]
pub struct SkippedList(Arc<Inner>);

struct Inner {
    path: PathBuf,
    format: Format,
    /// How a program words what can be done.
    worded: fn(&Hint) -> String,
    writing: Mutex<Writing>,
}

struct Writing {
    /// Nothing once it was moved to its place.
    file: Option<BufWriter<NamedTempFile>>,
    lines: u64,
    failed: Option<io::Error>,
}

impl SkippedList {
    /// Begins a list at `path`: JSON Lines or CSV, as its name ends. `worded` says how
    /// the program that shows it words a hint.
    ///
    /// # Errors
    ///
    /// `Usage` for another ending; when nothing can be written there.
    pub fn create(path: &Path, worded: fn(&Hint) -> String) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let format = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Format::JsonLines,
            Some("csv") => Format::Csv,
            _ => {
                return Err(Error::usage(format_args!(
                    "`{}` is no name for a list of files",
                    path.display()
                ))
                .because("its ending says how it is written, and is none that is known")
                .with_hint("end it with `.jsonl` for JSON Lines or `.csv` for a table"));
            }
        };
        if path.is_dir() {
            return Err(Error::usage(format_args!("`{}` is a folder", path.display()))
                .with_hint("name a file"));
        }
        let failed = |error| Error::io("write", path, error);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(".skipped-");
        let file = builder.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let mut file = BufWriter::new(file);
        if format == Format::Csv {
            write_row(&mut file, COLUMNS).map_err(failed)?;
        }
        let writing = Mutex::new(Writing { file: Some(file), lines: 0, failed: None });
        Ok(Self(Arc::new(Inner { path: path.to_owned(), format, worded, writing })))
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn add(&self, path: &Path, kind: SkippedKind, why: &Why) {
        self.line(&encode_path(path), kind, why);
    }

    pub(crate) fn line(&self, path: &str, kind: SkippedKind, why: &Why) {
        let worded = self.0.worded;
        let hint = why.hint.as_ref().map(worded);
        let line = Line { path, kind, reason: worded(&why.reason), hint };
        let mut writing = self.writing();
        if writing.failed.is_some() {
            return;
        }
        let Some(file) = &mut writing.file else { return };
        let written = match self.0.format {
            Format::JsonLines => serde_json::to_writer(&mut *file, &line)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n")),
            Format::Csv => {
                let hint = line.hint.as_deref().unwrap_or_default();
                write_row(file, [line.path, kind.as_str(), &line.reason, hint])
            }
        };
        match written {
            Ok(()) => writing.lines += 1,
            // A list that cannot be written stops no scan; `finish` says so.
            Err(error) => writing.failed = Some(error),
        }
    }

    /// Puts the list in its place, and says how many files are in it.
    ///
    /// # Errors
    ///
    /// When a line of it, or the whole, could not be written.
    pub fn finish(&self) -> Result<u64> {
        let path = &self.0.path;
        let failed = |error| Error::io("write", path, error);
        let mut writing = self.writing();
        if let Some(error) = writing.failed.take() {
            return Err(failed(error));
        }
        let Some(file) = writing.file.take() else { return Ok(writing.lines) };
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        // As a program makes any other file, and not for its owner alone.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            let mode = path.metadata().map_or(0o644, |there| there.permissions().mode());
            let permissions = std::fs::Permissions::from_mode(mode);
            file.as_file().set_permissions(permissions).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(writing.lines)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SkippedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SkippedList").field(&self.0.path).finish()
    }
}
