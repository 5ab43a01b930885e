//! What a library remembers of the one that it was cloned from.

use std::{io::Write, path::Path};

use songrec_core::{decode_path, encode_path};

#[cfg(feature = "astra")]
use crate::keys;
use crate::{Config, Error, Library, NamedLibrary, REMOTE_FILE, Result, paths::absolute};

const HEAD: &str = "\
# Which library `songrec sync` makes this one agree with, written by `songrec
# clone`. Secrets do not belong here: they come from the environment, from the
# configuration, or from a `.env` in this folder or beside it.
";

/// How a library is called that has no name of its own.
const ORIGIN: &str = "origin";

#[derive(serde::Serialize)]
struct Remembered {
    sync: Sync,
    libraries: std::collections::BTreeMap<String, NamedLibrary>,
}

#[derive(serde::Serialize)]
struct Sync {
    remote: String,
}

/// Remembers, in the folder of this local library, where the library called
/// `name` is: it is the one that this one is synced with from now on,
/// wherever that is done. No secret is written. Done again with the same
/// library, it changes nothing.
///
/// # Errors
///
/// `Usage` if another library is remembered already. A folder that cannot
/// be written as text is not remembered, which is logged.
pub fn remember_remote(library: &Library, name: &str) -> Result<()> {
    let Some(root) = library.root() else { return Ok(()) };
    let (called, table) = whereabouts(&library.config, name)?;
    let remembered = Remembered {
        sync: Sync { remote: called.clone() },
        libraries: [(called, table.clone())].into(),
    };
    let text = match toml::to_string(&remembered) {
        Ok(text) => text,
        // A folder whose name is not text.
        Err(error) => {
            tracing::warn!(
                "where it was cloned from is not remembered, so a sync has to be told: {error}"
            );
            return Ok(());
        }
    };
    let (path, text) = (root.join(REMOTE_FILE), format!("{HEAD}\n{text}"));
    match std::fs::read_to_string(&path) {
        Ok(known) if known == text => {}
        Ok(known) if remotes(&known) == remotes(&text) => {}
        Ok(_) => {
            return Err(Error::usage(format_args!(
                "`{}` is a clone of another library",
                root.display()
            ))
            .because(format!("`{}` says of which", path.display()))
            .with_hint("clone into another folder, or sync the two by name"));
        }
        Err(_) => write_whole(&path, &text)?,
    }
    #[cfg(feature = "astra")]
    {
        let is_own = match library.config.library(name) {
            Some(named) => named.project_file.is_none(),
            None => library.config.project_file(keys::ASTRA_ENDPOINT).is_none(),
        };
        if let Some(endpoint) = table.endpoint.as_deref().filter(|_| is_own) {
            crate::open::trust(&library.config, endpoint);
        }
    }
    Ok(())
}

// What a remembered text says, whatever its comments.
fn remotes(text: &str) -> Option<toml::Table> {
    text.parse().ok()
}

/// By which name and table a library can be found from anywhere.
fn whereabouts(config: &Config, name: &str) -> Result<(String, NamedLibrary)> {
    let local = |path: &Path| {
        let path = absolute(path);
        let table =
            NamedLibrary { kind: "local".to_owned(), path: Some(path), ..NamedLibrary::default() };
        (ORIGIN.to_owned(), table)
    };
    if let Some(named) = config.library(name) {
        let path = named.path.as_deref().map(absolute);
        // The name of a variable is not for others to choose.
        let table = NamedLibrary { path, token_variable: None, ..named.clone() };
        return Ok((name.to_owned(), table));
    }
    match name {
        #[cfg(feature = "astra")]
        "astra" => Ok((name.to_owned(), crate::open::astra_table(config)?)),
        "local" => Ok(local(&crate::local_root(config))),
        folder => Ok(local(&decode_path(folder))),
    }
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::io("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error)).map(drop)
}

/// The name of a local library in a folder, for what takes names.
pub fn folder_name(folder: &Path) -> String {
    // With a separator in it.
    encode_path(&Path::new(".").join(folder))
}
