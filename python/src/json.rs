//! Documents as Python's own dictionaries and lists.

use pyo3::{prelude::*, sync::PyOnceLock};
use serde::Serialize;
use songrec_library::{Error, ErrorKind};

use crate::error::raised;

/// `document` as Python reads its JSON.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    document: &impl Serialize,
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let text = serde_json::to_string(document).map_err(|error| {
        let what = Error::new(ErrorKind::Failed, "a document could not be written as JSON");
        raised(py, &what.because(error))
    })?;
    LOADS.import(py, "json", "loads")?.call1((text,))
}
