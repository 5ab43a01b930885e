//! A library, and how it is opened.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::prelude::*;
use songrec_core::{Job, SongSummary};
use songrec_library::{
    InitOptions, Library as Opened, ScanOptions, ShownSong, SimilarOptions, clusters_of,
    find::{self, Listing, Order, Selection},
    keys, looked_up, points, vector_of,
};

use crate::{
    arguments::{count, name, named_path, order, texts, wrong_argument},
    error::{raised, wrong},
    json::to_python,
    matches::{Asked, Matches, described, examples, similar},
    runtime::{self, wait, work},
    song::{Song, Songs, closed},
    vectors::{Vectors, own_array},
    work::{ScanReport, SyncAsked, SyncReport, scan, sync},
};

/// A library of songs. `songrec.open` opens one.
///
/// May be used by several threads at once; each waits without Python's lock. Errors are
/// `SongrecError`. Use it in a `with` statement, or call `close`.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct Library {
    opened: Mutex<Option<Arc<Opened>>>,
    /// How settings name it.
    name: String,
    place: String,
}

/// Opens a library: the local one in the folder `path`, the one that the configuration calls
/// `name` (`astra` is that in the cloud), or the one that `songrec` at a terminal would open
/// here and now. `settings` come before all others, such as `{"search.model": "timbre@7"}`.
#[pyfunction]
#[pyo3(signature = (path=None, *, name=None, settings=None))]
pub(crate) fn open(
    py: Python<'_>,
    path: Option<PathBuf>,
    name: Option<String>,
    settings: Option<BTreeMap<String, String>>,
) -> PyResult<Library> {
    let own = match (&path, name) {
        (Some(_), Some(_)) => return Err(wrong(py, "`path` and `name` exclude each other")),
        (Some(path), None) => vec![
            (keys::STORAGE_BACKEND.setting(), "local".to_owned()),
            (keys::LIBRARY.setting(), named_path(path)),
        ],
        (None, Some(name)) => vec![(keys::STORAGE_BACKEND.setting(), name)],
        (None, None) => Vec::new(),
    };
    let config = crate::settings::settings(py, own, settings)?;
    let name = config.get(keys::STORAGE_BACKEND).to_owned();
    let opened = wait(py, async move { Opened::open(config, runtime::silent()).await })?;
    Ok(Library::of(opened, name))
}

/// Makes a local library in the folder `path`, or opens the one that is there. With
/// `keep_copies` it keeps a copy of every audio file.
#[pyfunction]
#[pyo3(signature = (path, *, keep_copies=false, settings=None))]
pub(crate) fn create(
    py: Python<'_>,
    path: PathBuf,
    keep_copies: bool,
    settings: Option<BTreeMap<String, String>>,
) -> PyResult<Library> {
    let own = [
        (keys::STORAGE_BACKEND.setting(), "local".to_owned()),
        (keys::LIBRARY.setting(), named_path(&path)),
    ];
    let config = crate::settings::settings(py, own, settings)?;
    let options = InitOptions { keep_copies };
    let (opened, _) =
        wait(py, async move { Opened::init(config, &path, options, runtime::silent()).await })?;
    Ok(Library::of(opened, "local".to_owned()))
}

impl Library {
    fn of(opened: Opened, name: String) -> Self {
        let place = opened.place().to_owned();
        // Other settings may mean another folder by `local`.
        let name = opened.root().map_or(name, named_path);
        Self { opened: Mutex::new(Some(Arc::new(opened))), name, place }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, py: Python<'_>) -> PyResult<Arc<Opened>> {
        self.slot().clone().ok_or_else(|| raised(py, &closed()))
    }
}

impl Drop for Library {
    // The last one to let go of a library may write to the disk, for which nobody who
    // collects garbage should wait; in a fork there is nothing of it.
    fn drop(&mut self) {
        if let Some(opened) = self.slot().take() {
            runtime::drop_aside(opened);
        }
    }
}

#[pymethods]
impl Library {
    /// What stays the same for as long as the library exists.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.opened(py)?.id().to_owned())
    }

    /// Where it is: a folder, or an address.
    #[getter]
    fn place(&self) -> &str {
        &self.place
    }

    /// Whether it is reached through a network.
    #[getter]
    fn is_remote(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.opened(py)?.is_remote())
    }

    #[getter]
    fn is_closed(&self) -> bool {
        self.slot().is_none()
    }

    /// Lets go of the library. What other threads began goes on to its end; arrays stay
    /// readable. Closing it again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // In a fork it stays as it is: there is nobody to let go of it.
        let runtime = runtime::runtime(py)?;
        if let Some(opened) = self.slot().take() {
            py.detach(|| {
                let _inside = runtime.enter();
                drop(opened);
            });
        }
        Ok(())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.opened(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let state = if self.is_closed() { "closed, " } else { "" };
        format!("<Library {state}{:?}>", self.place)
    }

    /// The one song that `name` means: an id, the beginning of one, a path, or words of its
    /// title, artist or file name.
    fn song(&self, py: Python<'_>, #[pyo3(from_py_with = name)] name: String) -> PyResult<Song> {
        let library = self.opened(py)?;
        let searched = library.clone();
        let song = wait(py, async move { find::song(&searched, &name).await })?;
        Ok(Song::of(&library, SongSummary::of(&song)))
    }

    /// The whole document of a song, as `songrec show --json` prints it.
    fn document<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = name)] song: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let library = self.opened(py)?;
        let (song, cluster) = wait(py, async move {
            let songs = [find::song(&library, &song).await?];
            let clusters = clusters_of(&library, &songs).await?;
            let [song] = songs;
            Ok((song, clusters.into_iter().next().flatten()))
        })?;
        to_python(py, &ShownSong::of(&song, cluster.as_ref()))
    }

    /// The songs that pass `filter`, one term such as `genre:techno` or several that all have
    /// to hold; read as they are asked for. `sort` is one of `id`, `title`, `artist`,
    /// `album`, `year`, `bpm`, `duration` and `added`.
    #[pyo3(signature = (filter=None, *, sort="id", descending=false, limit=None))]
    fn songs(
        &self,
        py: Python<'_>,
        filter: Option<&Bound<'_, PyAny>>,
        sort: &str,
        descending: bool,
        limit: Option<i64>,
    ) -> PyResult<Songs> {
        let library = self.opened(py)?;
        let asked = crate::arguments::filter(filter)?;
        let order = Order { by: in_python(py, order(sort))?, descending };
        let limit = limit.map(|limit| in_python(py, count("limit", limit))).transpose()?;
        let looking = library.clone();
        let filter = wait(py, async move { looked_up(&looking, asked, &Job::silent()).await })?;
        let selection = Selection { filter, missing: None };
        let limit = limit.unwrap_or(usize::MAX);
        Songs::read(py, library, Listing { selection, order, skip: 0, limit })
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Songs> {
        self.songs(py, None, "id", false, None)
    }

    /// How many songs pass `filter`.
    #[pyo3(signature = (filter=None))]
    fn count(&self, py: Python<'_>, filter: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let library = self.opened(py)?;
        let asked = crate::arguments::filter(filter)?;
        wait(py, async move {
            let filter = looked_up(&library, asked, &Job::silent()).await?;
            find::count(&library, &Selection { filter, missing: None }).await
        })
    }

    /// The songs with all these words, each of which begins a word of the title, the artist,
    /// the album, a genre, a mood, the instrument or the path; terms of filters may be
    /// among them. A list of words may hold some with blanks.
    #[pyo3(signature = (words, *, filter=None, sort="artist", limit=50))]
    fn search(
        &self,
        py: Python<'_>,
        words: &Bound<'_, PyAny>,
        filter: Option<&Bound<'_, PyAny>>,
        sort: &str,
        limit: i64,
    ) -> PyResult<Vec<Song>> {
        let library = self.opened(py)?;
        let words = match texts(Some(words))? {
            words if words.len() == 1 => words[0].split_whitespace().map(str::to_owned).collect(),
            words => words,
        };
        let asked = songrec_core::Filter::of_words(&words)
            .map_err(|error| wrong_argument(py, "words", error))?
            .and(crate::arguments::filter(filter)?);
        if asked.is_all() {
            return Err(wrong(py, "there is no word to search for"));
        }
        let order = Order { by: in_python(py, order(sort))?, descending: false };
        let limit = in_python(py, count("limit", limit))?;
        let searched = library.clone();
        let found = wait(py, async move {
            let filter = looked_up(&searched, asked, &Job::silent()).await?;
            let selection = Selection { filter, missing: None };
            let mut list = find::List::new(&searched, Listing { selection, order, skip: 0, limit });
            let mut found = Vec::new();
            while let Some(page) = list.next().await? {
                found.extend(page);
            }
            Ok(found)
        })?;
        Ok(found.into_iter().map(|summary| Song::of(&library, summary)).collect())
    }

    /// The `k` songs that sound most like `query`: a `Song`, a name as `song` takes it, any
    /// audio file (a `pathlib.Path`, or a text that is the path of one; a part of it is
    /// `song.flac@1:20-1:35`), a folder, a vector (what NumPy makes a one-dimensional array
    /// of), or a list of these, which then count together. The results are unlike
    /// `unlike`, if that is given.
    ///
    /// `model` is the model to compare by, with or without its revision, or several that
    /// count equally; `metric` is `cosine`, `dot` or `euclidean`. `explain` adds the
    /// reasons.
    #[pyo3(signature = (query, *, k=10, filter=None, unlike=None, model=None, metric=None,
        threshold=None, offset=0, exclude=None, include_self=false, all_copies=false,
        max_per_artist=None, max_per_album=None, explain=false))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn similar(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: i64,
        filter: Option<&Bound<'_, PyAny>>,
        unlike: Option<&Bound<'_, PyAny>>,
        model: Option<&Bound<'_, PyAny>>,
        metric: Option<&str>,
        threshold: Option<f64>,
        offset: usize,
        exclude: Option<&Bound<'_, PyAny>>,
        include_self: bool,
        all_copies: bool,
        max_per_artist: Option<usize>,
        max_per_album: Option<usize>,
        explain: bool,
    ) -> PyResult<Matches> {
        let library = self.opened(py)?;
        let mut all = examples(query)?;
        all.extend(crate::matches::unlike(unlike)?);
        let metric = metric.map(str::parse).transpose();
        let options = SimilarOptions {
            metric: metric.map_err(|error| wrong_argument(py, "metric", error))?,
            threshold,
            offset,
            max_per_artist,
            max_per_album,
            include_self,
            all_copies,
            explain,
            ..SimilarOptions::default()
        };
        let asked = Asked {
            k: in_python(py, count("k", k))?,
            filter: crate::arguments::filter(filter)?,
            exclude: names(exclude)?,
            models: texts(model)?,
            options,
        };
        similar(py, &library, all, asked)
    }

    /// The `k` songs that sound like `words` say, such as `warm dark pad`, and not like
    /// `unlike`: by a model that reads, or where there is none by what was measured.
    #[pyo3(signature = (words, *, k=10, filter=None, unlike=None, model=None, threshold=None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn describe(
        &self,
        py: Python<'_>,
        words: &Bound<'_, PyAny>,
        k: i64,
        filter: Option<&Bound<'_, PyAny>>,
        unlike: Option<&Bound<'_, PyAny>>,
        model: Option<&Bound<'_, PyAny>>,
        threshold: Option<f64>,
    ) -> PyResult<Matches> {
        let library = self.opened(py)?;
        let asked = Asked {
            k: in_python(py, count("k", k))?,
            filter: crate::arguments::filter(filter)?,
            exclude: Vec::new(),
            models: texts(model)?,
            options: SimilarOptions { threshold, ..SimilarOptions::default() },
        };
        described(py, &library, texts(Some(words))?, texts(unlike)?, asked)
    }

    /// The vectors of all songs that pass `filter`, by `model`, or by the one that searches
    /// use; see `Vectors`. The file is read once, to compare it with its checksums; from a
    /// library that is far away they are fetched first, which `progress` is told of.
    #[pyo3(signature = (model=None, *, filter=None, progress=None))]
    fn vectors(
        &self,
        py: Python<'_>,
        model: Option<String>,
        filter: Option<&Bound<'_, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vectors> {
        let library = self.opened(py)?;
        let asked = crate::arguments::filter(filter)?;
        let found = work(py, progress, |job| async move {
            let model = match model {
                Some(model) => Some(songrec_library::find_model(&library, &model).await?.name),
                None => None,
            };
            let filter = looked_up(&library, asked, &job).await?;
            points(&library, model.as_ref(), &filter, &job).await
        })?;
        match found {
            Some(points) => Vectors::of(py, points),
            // Nobody but Ctrl-C interrupts, and that is an exception by now.
            None => Err(wrong(py, "the vectors were not read to the end")),
        }
    }

    /// The vector of one song as an array, by `model`, or by the one that searches use.
    #[pyo3(signature = (song, model=None))]
    fn vector<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = name)] song: String,
        model: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let library = self.opened(py)?;
        let vector = wait(py, async move {
            let song = find::song(&library, &song).await?;
            Ok(vector_of(&library, &song, model.as_deref()).await?.1)
        })?;
        own_array(py, vector.into())
    }

    /// The library in numbers, as `songrec stats --json` prints it.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let library = self.opened(py)?;
        let stats =
            wait(py, async move { find::stats(&library, &songrec_core::Filter::all()).await })?;
        to_python(py, &stats)
    }

    /// Takes in the audio files in `paths`, as far as they are new or changed; files that
    /// cannot be read are counted. It may be repeated, and goes on where it was
    /// interrupted. Ctrl-C ends it after the files that are being read; what was taken in
    /// stays.
    ///
    /// `progress` is called with each event, a dictionary; it is called on this thread. An
    /// exception in it ends the scan and comes out of here.
    #[pyo3(signature = (paths=None, *, models=None, exclude=None, genre_from_folder=false,
        failed=false, missing=false, segments=false, again=false, dry_run=false,
        progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn scan(
        &self,
        py: Python<'_>,
        paths: Option<&Bound<'_, PyAny>>,
        models: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        genre_from_folder: bool,
        failed: bool,
        missing: bool,
        segments: bool,
        again: bool,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<ScanReport> {
        let library = self.opened(py)?;
        let options = ScanOptions {
            paths: crate::arguments::paths(paths)?,
            exclude: texts(exclude)?,
            genre_from_folder,
            failed,
            missing,
            segments,
            again,
            dry_run,
            // Which program there is that reads a file for songrec this module cannot know.
            examiner: None,
            changed: None,
            skipped: None,
        };
        scan(py, library, texts(models)?, options, progress)
    }

    /// Makes this library and `other` agree: a `Library`, a folder (`pathlib.Path`, or a text
    /// with a separator), a name from the configuration, or the one that is configured to be
    /// synced with. `direction` is `both`, `push` (only the other one is written) or
    /// `pull`. If more than `max_delete` songs would be deleted nothing is done, and the
    /// exception has the code 12. With `dry_run` the report is a plan.
    #[pyo3(signature = (other=None, *, direction="both", max_delete=None, audio=None,
        full=false, adopt=false, dry_run=false, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn sync(
        &self,
        py: Python<'_>,
        other: Option<&Bound<'_, PyAny>>,
        direction: &str,
        max_delete: Option<u64>,
        audio: Option<String>,
        full: bool,
        adopt: bool,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<SyncReport> {
        let library = self.opened(py)?;
        let right = match other {
            None => None,
            Some(other) => Some(match other.cast::<Self>() {
                Ok(other) => other.get().name.clone(),
                Err(_) => name(other)?,
            }),
        };
        let asked = SyncAsked {
            left: self.name.clone(),
            right,
            direction: direction.to_owned(),
            max_delete,
            audio,
            full,
            adopt,
            dry_run,
        };
        sync(py, library.shared_config(), asked, progress)
    }
}

fn names(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.is_instance_of::<Song>() || given.is_instance_of::<pyo3::types::PyString>() {
        return Ok(vec![name(given)?]);
    }
    given.try_iter()?.map(|one| name(&one?)).collect()
}

fn in_python<T>(py: Python<'_>, result: songrec_library::Result<T>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}
