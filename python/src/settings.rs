//! The settings of a library that Python opens.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use pyo3::prelude::*;
use songrec_core::encode_path;
use songrec_library::{Config, Directories, Error, Result, SETTINGS, Setting, Sources};

use crate::error::raised;

/// A setting and its value.
pub(crate) type Set = (Setting, String);

/// The settings as the command line reads them here and now, with others that come before
/// all of these.
pub(crate) fn settings(
    py: Python<'_>,
    own: impl IntoIterator<Item = Set>,
    given: Option<BTreeMap<String, String>>,
) -> PyResult<Arc<Config>> {
    let host = py.import("socket")?.call_method0("gethostname")?.extract()?;
    read(own, given.unwrap_or_default(), host).map_err(|error| raised(py, &error))
}

fn read(
    own: impl IntoIterator<Item = Set>,
    given: BTreeMap<String, String>,
    host: String,
) -> Result<Arc<Config>> {
    let mut flags = Vec::new();
    for (key, value) in given {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return Err(Error::usage(format_args!("there is no setting `{key}`")).with_hint(
                "`songrec config show` at a terminal lists all, such as `search.model`",
            ));
        };
        flags.push((*setting, value, "settings"));
    }
    flags.extend(own.into_iter().map(|(setting, value)| (setting, value, "an argument")));
    let working_folder = std::env::current_dir()
        .map_err(|error| Error::usage("the working folder does not exist").because(error))?;
    // A variable whose name is not text cannot be one of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?, encode_path(Path::new(&value))))
        })
        .collect();
    Ok(Arc::new(Config::load(Sources {
        directories: Directories::of_user()?,
        working_folder,
        variables,
        file: None,
        no_files: false,
        flags,
        host,
    })?))
}
