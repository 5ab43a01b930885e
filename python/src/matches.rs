//! Songs that sound alike.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pyo3::{
    prelude::*,
    types::{PyIterator, PyList, PyString, PyTuple},
};
use songrec_core::{Filter, Job, Vector};
use songrec_library::{
    Blend, Error, Example, Library, Result, Similar, SimilarOptions, SimilarSong, UNLIKE, by_words,
    find, looked_up, reading_model, reads_words, similar_to,
};

use crate::{
    arguments::{is_path, name, named_path, wrong_argument},
    hints::put_in_words,
    json::to_python,
    runtime,
    song::Song,
};

/// One song that sounds like what was asked about.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct Match {
    found: SimilarSong,
    song: Py<Song>,
}

#[pymethods]
impl Match {
    /// The song.
    #[getter]
    fn song(&self, py: Python<'_>) -> Py<Song> {
        self.song.clone_ref(py)
    }

    /// Counted from 1, the nearest.
    #[getter]
    const fn rank(&self) -> usize {
        self.found.rank
    }

    /// Higher is closer; by cosine, 1 is the same direction.
    #[getter]
    const fn similarity(&self) -> f64 {
        self.found.similarity
    }

    /// Lower is closer.
    #[getter]
    const fn distance(&self) -> f64 {
        self.found.distance
    }

    /// Why it is similar, one sentence each, if that was asked for.
    #[getter]
    fn reasons(&self) -> Vec<String> {
        let reasons = self.found.explanation.iter().flat_map(|explanation| &explanation.reasons);
        reasons.map(|reason| format!("{}: {}", reason.label, reason.description)).collect()
    }

    /// One of the `results` that `songrec similar --json` prints.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.found)
    }

    fn __repr__(&self) -> String {
        let SimilarSong { rank, similarity, summary, .. } = &self.found;
        format!("<Match {rank}: {similarity:.3} {:?}>", summary.title)
    }
}

/// The nearest songs, nearest first: a sequence of `Match`.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct Matches {
    similar: Similar,
    results: Py<PyList>,
}

impl Matches {
    fn of(py: Python<'_>, library: &Library, mut similar: Similar) -> PyResult<Self> {
        similar.notes.iter_mut().chain(&mut similar.shortfall).for_each(put_in_words);
        let matches = similar.results.iter().map(|found| {
            let song = Py::new(py, Song::of(library, found.summary.clone()))?;
            Py::new(py, Match { found: found.clone(), song })
        });
        let results = PyList::new(py, matches.collect::<PyResult<Vec<_>>>()?)?.unbind();
        Ok(Self { similar, results })
    }
}

#[pymethods]
impl Matches {
    /// The model that compared them.
    #[getter]
    fn model(&self) -> &str {
        self.similar.model.as_str()
    }

    /// How: `cosine`, `dot` or `euclidean`.
    #[getter]
    fn metric(&self) -> String {
        self.similar.metric.to_string()
    }

    /// What one should know of how they were found.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.similar.notes.iter().map(ToString::to_string).collect()
    }

    /// Why there are fewer than were asked for, or None.
    #[getter]
    fn shortfall(&self) -> Option<String> {
        self.similar.shortfall.as_ref().map(ToString::to_string)
    }

    /// The answer as `songrec similar --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.similar)
    }

    fn __len__(&self) -> usize {
        self.similar.results.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.results.bind(index.py()).as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.results.bind(py).try_iter()
    }

    fn __repr__(&self) -> String {
        if self.similar.results.is_empty() {
            return "<Matches 0>".to_owned();
        }
        let titles: Vec<_> =
            self.similar.results.iter().take(3).map(|one| one.summary.title.as_str()).collect();
        let more = if self.similar.results.len() > titles.len() { ", …" } else { "" };
        format!("<Matches {}: {}{more}>", self.similar.results.len(), titles.join(", "))
    }
}

/// What the results should be like, or unlike: a song, an audio file, a folder, a vector,
/// or several of them.
pub(crate) fn examples(given: &Bound<'_, PyAny>) -> PyResult<Vec<Example>> {
    if let Some(example) = named_example(given)? {
        return Ok(vec![example]);
    }
    let is_several = given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>();
    if is_several
        && let Some(first) = given.try_iter()?.next()
        && named_example(&first?)?.is_some()
    {
        return given.try_iter()?.map(|one| example(&one?)).collect();
    }
    Ok(vec![example(given)?])
}

/// The same of what the results should be unlike.
pub(crate) fn unlike(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Example>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let mut all = examples(given)?;
    all.iter_mut().for_each(|one| one.weight = UNLIKE);
    Ok(all)
}

fn example(given: &Bound<'_, PyAny>) -> PyResult<Example> {
    match named_example(given)? {
        Some(example) => Ok(example),
        None => Ok(Example::vector(vector(given)?)),
    }
}

fn named_example(given: &Bound<'_, PyAny>) -> PyResult<Option<Example>> {
    if is_path(given) {
        let path: PathBuf = given.extract()?;
        return Ok(Some(match path.is_dir() {
            true => Example::folder(path),
            false => Example::like(named_path(&path)),
        }));
    }
    let is_text = given.is_instance_of::<PyString>();
    if !is_text && !given.is_instance_of::<Song>() {
        return Ok(None);
    }
    let name = name(given)?;
    // Words may be the same as the name of a folder that happens to lie here.
    let is_folder = is_text && name.contains(std::path::is_separator) && Path::new(&name).is_dir();
    Ok(Some(if is_folder { Example::folder(name) } else { Example::like(name) }))
}

// What NumPy makes float32 values of.
fn vector(given: &Bound<'_, PyAny>) -> PyResult<Vector> {
    let py = given.py();
    let values = py.import("numpy")?.call_method1("asarray", (given, "float32"))?;
    let dimensions: usize = values.getattr("ndim")?.extract()?;
    if dimensions == 0 {
        let kind = given.get_type().name()?;
        return Err(crate::error::wrong(
            py,
            format_args!("`query` is of type {kind}: expected a song, a name, a path or a vector"),
        ));
    }
    if dimensions != 1 {
        let shape = values.getattr("shape")?;
        return Err(crate::error::wrong(
            py,
            format_args!("an array of shape {shape} is no vector: expected one dimension"),
        ));
    }
    let values: Vec<f32> = values.call_method0("tolist")?.extract()?;
    Vector::new(values).map_err(|error| wrong_argument(py, "query", error))
}

/// What a search for similar songs is asked, besides what to be like.
pub(crate) struct Asked {
    pub(crate) k: usize,
    pub(crate) filter: Filter,
    pub(crate) exclude: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) options: SimilarOptions,
}

/// The songs nearest to all examples together.
pub(crate) fn similar(
    py: Python<'_>,
    library: &Arc<Library>,
    examples: Vec<Example>,
    asked: Asked,
) -> PyResult<Matches> {
    let searched = library.clone();
    let found = runtime::wait(py, async move {
        let options = options(&searched, asked).await?;
        similar_to(&searched, &examples, &options).await
    })?;
    Matches::of(py, library, found)
}

/// The songs that sound like words say.
pub(crate) fn described(
    py: Python<'_>,
    library: &Arc<Library>,
    words: Vec<String>,
    unlike: Vec<String>,
    asked: Asked,
) -> PyResult<Matches> {
    let searched = library.clone();
    let found = runtime::wait(py, async move {
        let mut options = options(&searched, asked).await?;
        if options.model.is_none() && options.blend.is_none() {
            if !reads_words(&searched) {
                return by_words(&searched, &words, &unlike, &options).await;
            }
            options.model = Some(reading_model(&searched).await?.to_string());
        }
        let like = words.into_iter().map(Example::text);
        let examples: Vec<Example> =
            like.chain(unlike.into_iter().map(Example::not_text)).collect();
        similar_to(&searched, &examples, &options).await
    })?;
    Matches::of(py, library, found)
}

async fn options(library: &Library, asked: Asked) -> Result<SimilarOptions> {
    let Asked { k, filter, exclude, models, options } = asked;
    if options.threshold.is_some_and(|least| !least.is_finite()) {
        return Err(Error::usage("`threshold` is no number").with_hint("expected one such as 0.8"));
    }
    let excluded = find::songs(library, &exclude).await?;
    let (model, blend) = match models.as_slice() {
        [] => (None, None),
        [model] => (Some(model.clone()), None),
        several => (None, Some(blended(several)?)),
    };
    Ok(SimilarOptions {
        k,
        model,
        blend,
        filter: looked_up(library, filter, &Job::silent()).await?,
        exclude: excluded.iter().map(|song| song.id).collect(),
        ..options
    })
}

// Several models, each of which counts as much.
fn blended(models: &[String]) -> Result<Blend> {
    let text = models.join(",");
    text.parse().map_err(|error| Error::usage("`model` is wrong").because(error))
}
