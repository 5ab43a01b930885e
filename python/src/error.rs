//! What went wrong, as an exception.

use pyo3::{create_exception, exceptions::PyException, prelude::*};
use songrec_library::{Error, ErrorKind};

use crate::hints::in_words;

create_exception!(
    songrec,
    SongrecError,
    PyException,
    "What went wrong: `code` is the exit code of the command line for it, `kind` its name, \
     `hint` what can be done, or None."
);

/// The exception class, with what one has that Python code raises itself.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<SongrecError>();
    class.setattr("code", ErrorKind::Failed.code())?;
    class.setattr("kind", ErrorKind::Failed.as_str())?;
    class.setattr("hint", module.py().None())?;
    module.add("SongrecError", class)
}

/// The exception for an error of the library.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let hint = error.hint().map(in_words);
    let mut text = error.in_one_line();
    if let Some(hint) = &hint {
        text = format!("{text}\nhint: {hint}");
    }
    let exception = SongrecError::new_err(text);
    let value = exception.value(py);
    let set = value
        .setattr("code", error.kind().code())
        .and_then(|()| value.setattr("kind", error.kind().as_str()))
        .and_then(|()| value.setattr("hint", hint));
    match set {
        Ok(()) => exception,
        Err(other) => other,
    }
}

/// The exception for a wrong request.
pub(crate) fn wrong(py: Python<'_>, message: impl std::fmt::Display) -> PyErr {
    raised(py, &Error::usage(message))
}
