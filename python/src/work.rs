//! What takes long: scanning and syncing.

use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::Value;
use songrec_library::{
    Config, Error, ErrorKind, Library, Result, ScanOptions, ScanReport as Scanned,
    share::{self, Direction, Libraries, Options},
};

use crate::{error::raised, hints::put_in_words, json::to_python, runtime};

/// What a scan did, in numbers of files.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct ScanReport(Scanned);

#[pymethods]
impl ScanReport {
    /// Songs that are new.
    #[getter]
    const fn added(&self) -> u64 {
        self.0.added
    }

    /// Songs whose file was retagged, or embedded by more models.
    #[getter]
    const fn updated(&self) -> u64 {
        self.0.updated
    }

    /// Files that were known at another place.
    #[getter]
    const fn moved(&self) -> u64 {
        self.0.moved
    }

    /// Files with audio that is known from another file, which is still there.
    #[getter]
    const fn duplicates(&self) -> u64 {
        self.0.duplicates
    }

    /// Files that are as they were.
    #[getter]
    const fn unchanged(&self) -> u64 {
        self.0.unchanged
    }

    /// Files that are known and were not found.
    #[getter]
    const fn missing(&self) -> u64 {
        self.0.missing
    }

    /// Files that could not be read.
    #[getter]
    const fn failed(&self) -> u64 {
        self.0.failed
    }

    /// Songs that a learned model did not embed, because it failed.
    #[getter]
    const fn unembedded(&self) -> u64 {
        self.0.unembedded
    }

    /// Everything, as in the summary that `songrec scan --json` prints.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __repr__(&self) -> String {
        let Scanned { added, updated, unchanged, failed, .. } = &self.0;
        format!(
            "<ScanReport: {added} added, {updated} updated, {unchanged} unchanged, {failed} failed>"
        )
    }
}

/// Scans, as `songrec scan` does. Reports each step to `progress`.
pub(crate) fn scan(
    py: Python<'_>,
    library: Arc<Library>,
    models: Vec<String>,
    options: ScanOptions,
    progress: Option<Py<PyAny>>,
) -> PyResult<ScanReport> {
    let report = runtime::work(py, progress, |job| async move {
        if options.paths.is_empty() && !options.failed && !options.missing {
            return Err(Error::usage("there is nothing to scan")
                .with_hint("name files or folders, or say `failed=True` or `missing=True`"));
        }
        if !options.dry_run {
            library.may_write()?;
        }
        let library = match models.is_empty() {
            true => (*library).clone(),
            false => library.scanning_by(&models)?,
        };
        songrec_library::scan(&library, &options, &job).await
    })?;
    Ok(ScanReport(report))
}

/// What a sync did, or with `dry_run` would do. The library that was asked is the left one,
/// the other one the right.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct SyncReport {
    /// As the command line prints it.
    document: Value,
    is_empty: bool,
    is_plan: bool,
}

impl SyncReport {
    fn part<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.document.get(name).unwrap_or(&Value::Array(Vec::new())))
    }
}

#[pymethods]
impl SyncReport {
    /// Whether nothing was or is to be written.
    #[getter]
    const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether this says what would be done.
    #[getter]
    const fn is_plan(&self) -> bool {
        self.is_plan
    }

    /// How many songs get what: for `left` and `right` the numbers of `add`, `update`,
    /// `merge`, `delete` and `restore`.
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, "counts")
    }

    /// The songs that something happens to, ten thousand at the most.
    #[getter]
    fn songs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, "songs")
    }

    /// What could not be done, each with its reason; the next sync tries again.
    #[getter]
    fn failed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, if self.is_plan { "refused" } else { "failed" })
    }

    /// Everything, as `songrec sync --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.document)
    }

    fn __repr__(&self) -> String {
        let written = |side: &str| -> u64 {
            let counts = self.document.pointer(&format!("/counts/{side}"));
            let counts = counts.and_then(Value::as_object).into_iter().flatten();
            counts.filter_map(|(_, count)| count.as_u64()).sum()
        };
        let plan = if self.is_plan { "plan of " } else { "" };
        format!("<SyncReport: {plan}{} left, {} right>", written("left"), written("right"))
    }
}

/// What a sync is asked.
pub(crate) struct SyncAsked {
    pub(crate) left: String,
    pub(crate) right: Option<String>,
    pub(crate) direction: String,
    pub(crate) max_delete: Option<u64>,
    pub(crate) audio: Option<String>,
    pub(crate) full: bool,
    pub(crate) adopt: bool,
    pub(crate) dry_run: bool,
}

/// Makes two libraries agree, as `songrec sync` does. Reports each step to `progress`.
pub(crate) fn sync(
    py: Python<'_>,
    config: Arc<Config>,
    asked: SyncAsked,
    progress: Option<Py<PyAny>>,
) -> PyResult<SyncReport> {
    let is_plan = asked.dry_run;
    let (document, is_empty) = runtime::work(py, progress, |job| async move {
        let (left, right) = (asked.left.clone(), asked.right.clone());
        let libraries = Libraries::open(config, Some(left), right, job.progress.clone()).await?;
        let options = options(libraries.config(), &asked)?;
        if is_plan {
            let mut plan = share::plan(&libraries, &options, &job).await?;
            plan.refused.iter_mut().filter_map(|one| one.hint.as_mut()).for_each(put_in_words);
            return Ok((serde_json::to_value(&plan), plan.is_empty()));
        }
        let mut report = share::sync(&libraries, &options, &job).await?;
        report.failed.iter_mut().filter_map(|one| one.hint.as_mut()).for_each(put_in_words);
        Ok((serde_json::to_value(&report), report.is_empty()))
    })?;
    let document = document.map_err(|error| {
        let what = Error::new(ErrorKind::Failed, "the report could not be written as JSON");
        raised(py, &what.because(error))
    })?;
    Ok(SyncReport { document, is_empty, is_plan })
}

fn options(config: &Config, asked: &SyncAsked) -> Result<Options> {
    let mut options = share::options(config)?;
    options.direction = match asked.direction.as_str() {
        "both" => Direction::Both,
        "push" => Direction::Push,
        "pull" => Direction::Pull,
        other => {
            return Err(Error::usage(format_args!("`{other}` is no direction"))
                .with_hint("expected `both`, `push` or `pull`"));
        }
    };
    if let Some(most) = asked.max_delete {
        options.max_delete = share::MaxDelete::Songs(most);
    }
    if let Some(audio) = &asked.audio {
        let audio = audio.parse();
        options.audio = audio.map_err(|error| Error::usage("`audio` is wrong").because(error))?;
    }
    (options.full, options.adopt) = (asked.full, asked.adopt);
    Ok(options)
}
