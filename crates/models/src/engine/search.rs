//! Where ONNX Runtime may lie on a machine.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use crate::error::{ModelError, ModelErrorKind};

/// Where ONNX Runtime is looked for, in this order: what is configured,
/// `ORT_DYLIB_PATH`, beside the program, the `onnxruntime` wheel of the active
/// Python, and the system's folders.
///
/// [`RuntimeSearch::default`] looks nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeSearch {
    /// A library file, or a folder with one, that the user configured. Then
    /// nothing else is looked at.
    pub configured: Option<PathBuf>,
    /// The value of `ORT_DYLIB_PATH`. Then nothing after it is looked at.
    pub variable: Option<PathBuf>,
    /// Folders that may hold the library, such as that of the program.
    pub folders: Vec<PathBuf>,
    /// Python environments: folders with `lib/python3.*/site-packages`.
    pub pythons: Vec<PathBuf>,
}

impl RuntimeSearch {
    /// What this process would find: reads the environment, the path of the
    /// program and the usual folders of the system.
    pub fn of_this_machine(configured: Option<PathBuf>) -> Self {
        let variable =
            |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let mut folders: Vec<PathBuf> =
            beside.iter().flat_map(|folder| [folder.clone(), folder.join("../lib")]).collect();
        folders.extend(SYSTEM_FOLDERS.iter().map(PathBuf::from));

        let mut pythons: Vec<PathBuf> =
            ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).collect();
        // The active Python is the first in `PATH`; links lead to the real one.
        let path = env::var_os("PATH").unwrap_or_default();
        for folder in env::split_paths(&path) {
            for name in ["python3", "python", "python.exe"] {
                let python = folder.join(name);
                if python.is_file() {
                    let real = python.canonicalize().unwrap_or_else(|_| python.clone());
                    pythons.extend([&python, &real].into_iter().filter_map(|file| prefix(file)));
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        pythons.retain(|python| seen.insert(python.clone()));
        Self { configured, variable: variable("ORT_DYLIB_PATH"), folders, pythons }
    }

    /// Library files that exist, the best first.
    pub fn candidates(&self) -> Vec<PathBuf> {
        if let Some(only) = self.configured.as_ref().or(self.variable.as_ref()) {
            // A relative path would be looked for beside the program.
            let only = std::path::absolute(only).unwrap_or_else(|_| only.clone());
            return if only.is_dir() { libraries(&only) } else { vec![only] };
        }
        let wheels = self.pythons.iter().flat_map(|python| site_packages(python));
        let wheels = wheels.map(|site| site.join("onnxruntime/capi"));
        let mut found: Vec<PathBuf> = self.folders.iter().flat_map(|f| libraries(f)).collect();
        let before_system = found
            .iter()
            .position(|path| SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder)))
            .unwrap_or(found.len());
        let wheels: Vec<PathBuf> = wheels.flat_map(|folder| libraries(&folder)).collect();
        found.splice(before_system..before_system, wheels);
        found
    }

    /// The first library file that exists, for `doctor`; whether it can be
    /// loaded shows only when it is.
    pub fn first(&self) -> Option<PathBuf> {
        self.candidates().into_iter().find(|path| path.is_file())
    }

    /// Why there is no ONNX Runtime: where it was looked for, and what to
    /// install.
    pub fn nothing_found(&self, model: impl fmt::Display, refused: &[String]) -> ModelError {
        let reason = if refused.is_empty() {
            format!("ONNX Runtime was not found; looked at {self}")
        } else {
            format!("ONNX Runtime cannot be used: {}; looked at {self}", refused.join("; "))
        };
        ModelError::new(model, ModelErrorKind::NoEngine, reason).with_hint(
            "install it with `pip install onnxruntime` (1.18 or newer), or name a library file in \
             `ORT_DYLIB_PATH`; or use the engine that is built in, `engine = \"rten\"`",
        )
    }
}

impl fmt::Display for RuntimeSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(configured) = &self.configured {
            return write!(f, "the configured `{}`", configured.display());
        }
        if let Some(variable) = &self.variable {
            return write!(f, "`ORT_DYLIB_PATH`, which is `{}`", variable.display());
        }
        f.write_str("`ORT_DYLIB_PATH`, which is not set")?;
        for folder in &self.folders {
            write!(f, ", `{}`", folder.display())?;
        }
        for python in &self.pythons {
            write!(f, ", the Python in `{}`", python.display())?;
        }
        Ok(())
    }
}

#[cfg(target_os = "macos")]
const SYSTEM_FOLDERS: &[&str] = &["/opt/homebrew/lib", "/usr/local/lib"];
#[cfg(target_os = "windows")]
const SYSTEM_FOLDERS: &[&str] = &[];
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
const SYSTEM_FOLDERS: &[&str] = &[
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
];

/// The environment that a Python program belongs to: the folder above `bin`.
fn prefix(python: &Path) -> Option<PathBuf> {
    let folder = python.parent()?;
    let bin = folder.file_name() == Some(OsStr::new("bin"))
        || folder.file_name() == Some(OsStr::new("Scripts"));
    Some(if bin { folder.parent()?.to_owned() } else { folder.to_owned() })
}

/// The folders in which a Python environment keeps its packages.
fn site_packages(python: &Path) -> Vec<PathBuf> {
    let mut found = vec![python.join("Lib/site-packages")];
    for lib in ["lib", "lib64"] {
        let entries = std::fs::read_dir(python.join(lib)).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3"))
            })
            .collect();
        versions.sort();
        for version in versions {
            found.push(version.join("site-packages"));
            found.push(version.join("dist-packages"));
        }
    }
    found
}

/// The ONNX Runtime libraries in a folder.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(is_library) && path.is_file())
        .collect();
    // The plain name first: it links to the version that is meant.
    found.sort_by_key(|path| path.as_os_str().len());
    found.truncate(1);
    found
}

fn is_library(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == "onnxruntime.dll"
        || name == "libonnxruntime.dylib"
        || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
        || name == "libonnxruntime.so"
        || name.starts_with("libonnxruntime.so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_of_a_python_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let capi = folder.path().join("lib/python3.12/site-packages/onnxruntime/capi");
        std::fs::create_dir_all(&capi).unwrap();
        for name in ["libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so"] {
            std::fs::write(capi.join(name), "").unwrap();
        }
        let search =
            RuntimeSearch { pythons: vec![folder.path().to_owned()], ..RuntimeSearch::default() };

        assert_eq!(search.candidates(), [capi.join("libonnxruntime.so.1.31.1")]);
    }

    #[test]
    fn what_is_configured_is_the_only_one_looked_at() {
        let search = RuntimeSearch {
            configured: Some("/nowhere/libonnxruntime.so".into()),
            variable: Some("/elsewhere".into()),
            folders: vec!["/usr/lib".into()],
            pythons: Vec::new(),
        };

        assert_eq!(search.candidates(), [PathBuf::from("/nowhere/libonnxruntime.so")]);
        assert_eq!(search.first(), None);
        let error = search.nothing_found("clap@1", &[]).to_string();
        assert!(error.contains("/nowhere") && !error.contains("/usr/lib"), "{error}");
    }
}
