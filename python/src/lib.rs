//! The library in Python: the module `songrec`.
//!
//! A face of `songrec_library`, as the command line is one. `runtime` waits for work,
//! `error` and `hints` say what went wrong, `settings` opens; the others are what Python
//! sees: `library` has `song`s, which `matches` compares and `vectors` are arrays of, and
//! `work` takes long.

mod arguments;
mod error;
mod hints;
mod json;
mod library;
mod matches;
mod runtime;
mod settings;
mod song;
mod vectors;
mod work;

use pyo3::prelude::*;

/// Find songs that sound alike, in a library of your own.
#[pymodule]
mod songrec {
    #[pymodule_export]
    use crate::{
        library::{Library, create, open},
        matches::{Match, Matches},
        song::{Song, Songs},
        vectors::Vectors,
        work::{ScanReport, SyncReport},
    };

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::error::add_to(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
