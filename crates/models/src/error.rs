//! Why a model cannot be used, or did not embed.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A model that could not be used: which model, which file, why, and what to
/// do next.
///
/// Cheap to clone, because one failed batch is the answer for many windows.
/// The message names model, file and reason; the cause, if a lower layer gave
/// one, is the [source](std::error::Error::source).
#[derive(Clone, Debug)]
pub struct ModelError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ModelErrorKind,
    model: String,
    file: Option<PathBuf>,
    reason: String,
    hint: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What a caller can do about a [`ModelError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// There is no such model, or a file of it is missing: add it.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// A description that cannot be read or makes no sense: correct it.
    Invalid,
    /// Files, revision or dimension are not those of the model. Vectors would
    /// be mixed up, so nothing is done.
    Mismatch,
    /// The engine cannot run this model, or the model cannot do what was
    /// asked, such as reading text: choose another.
    Unsupported,
    /// The engine is not installed or not built in.
    NoEngine,
    /// The disk failed.
    Io,
    /// The engine failed while it ran.
    Failed,
    /// Somebody else's machine does not answer now; later it may.
    Unavailable,
}

impl ModelError {
    /// An error about `model`, a model's name or what was given as one.
    pub fn new(model: impl fmt::Display, kind: ModelErrorKind, reason: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            model: model.to_string(),
            file: None,
            reason: reason.into(),
            hint: String::new(),
            source: None,
        }))
    }

    /// Names the file that is wrong.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.inner().file = Some(file.to_owned());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner().hint = hint.into();
        self
    }

    /// Keeps what a lower layer said.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner().source = Some(Arc::from(source.into()));
        self
    }

    /// What a caller can do.
    pub fn kind(&self) -> ModelErrorKind {
        self.0.kind
    }

    /// The model's name, or what was given as one.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// The file that is wrong, if it is one.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What a person can do about it; empty when there is nothing.
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { model, file, reason, .. } = &*self.0;
        match file {
            Some(file) => write!(f, "model `{model}`, file `{}`: {reason}", file.display()),
            None => write!(f, "model `{model}`: {reason}"),
        }
    }
}

impl std::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
