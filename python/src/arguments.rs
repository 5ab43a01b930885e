//! What Python code may give, in more than one form.

use std::path::{Path, PathBuf};

use pyo3::{prelude::*, types::PyString};
use songrec_core::{Filter, encode_path};
use songrec_library::{Error, Result, find::OrderBy};

use crate::{error::raised, song::Song};

/// One text or several: a filter, a model, words.
pub(crate) fn texts(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    match given {
        None => Ok(Vec::new()),
        Some(text) if text.is_instance_of::<PyString>() => Ok(vec![text.extract()?]),
        Some(several) => several.try_iter()?.map(|text| text?.extract()).collect(),
    }
}

/// One path or several.
pub(crate) fn paths(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<PathBuf>> {
    match given {
        None => Ok(Vec::new()),
        Some(path) if is_path(path) || path.is_instance_of::<PyString>() => {
            Ok(vec![path.extract()?])
        }
        Some(several) => several.try_iter()?.map(|path| path?.extract()).collect(),
    }
}

/// Whether it is an object that stands for a path, such as `pathlib.Path`.
pub(crate) fn is_path(given: &Bound<'_, PyAny>) -> bool {
    given.hasattr("__fspath__").unwrap_or(false)
}

/// An absolute path, as names of songs and libraries are written.
pub(crate) fn named_path(path: &Path) -> String {
    encode_path(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// The name by which the library finds what was given: a song, a path, or a name.
pub(crate) fn name(given: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(song) = given.cast::<Song>() {
        return Ok(song.get().id());
    }
    if is_path(given) {
        return Ok(named_path(&given.extract::<PathBuf>()?));
    }
    given.extract()
}

/// Terms such as `genre:techno`, all of which have to hold.
pub(crate) fn filter(given: Option<&Bound<'_, PyAny>>) -> PyResult<Filter> {
    let Some(given) = given else { return Ok(Filter::all()) };
    let terms = texts(Some(given))?;
    Filter::parse_all(&terms).map_err(|error| wrong_argument(given.py(), "filter", error))
}

/// An exception for an argument that does not mean anything.
pub(crate) fn wrong_argument(
    py: Python<'_>,
    name: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> PyErr {
    raised(py, &Error::usage(format_args!("`{name}` is wrong")).because(error))
}

/// How many are asked for.
///
/// # Errors
///
/// For less than one.
pub(crate) fn count(name: &str, given: i64) -> Result<usize> {
    match usize::try_from(given) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Error::usage(format_args!("`{name}` is {given}: expected 1 or more"))),
    }
}

/// What songs can be ordered by.
///
/// # Errors
///
/// For another word.
pub(crate) fn order(given: &str) -> Result<OrderBy> {
    Ok(match given {
        "id" => OrderBy::Id,
        "title" => OrderBy::Title,
        "artist" => OrderBy::Artist,
        "album" => OrderBy::Album,
        "year" => OrderBy::Year,
        "bpm" => OrderBy::Bpm,
        "duration" => OrderBy::Duration,
        "added" => OrderBy::Added,
        other => {
            return Err(Error::usage(format_args!("`{other}` is no order")).with_hint(
                "songs are sorted by id, title, artist, album, year, bpm, duration or added",
            ));
        }
    })
}
