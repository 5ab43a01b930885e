//! Songs.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use pyo3::{basic::CompareOp, prelude::*};
use songrec_core::SongSummary;
use songrec_library::{
    Error, ErrorKind, Library, Result,
    find::{List, Listing},
};
use tokio::sync::{Mutex, mpsc};

use crate::{json::to_python, runtime};

/// One song, as it was when it was read: what people said of it, before what its file says,
/// before what was measured.
///
/// Two songs are equal if they have the same id, which is made of the audio.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct Song {
    summary: SongSummary,
    file: Option<PathBuf>,
}

impl Song {
    pub(crate) fn of(library: &Library, summary: SongSummary) -> Self {
        let file = summary.path.as_deref().map(|path| library.file_path(path));
        Self { summary, file }
    }
}

#[pymethods]
impl Song {
    /// The id, such as `3f9ab1c2-5d6e-8f70-a1b2-c3d4e5f60718`.
    #[getter]
    pub(crate) fn id(&self) -> String {
        self.summary.id.to_string()
    }

    /// The title, or the file's name where there is none.
    #[getter]
    fn title(&self) -> &str {
        &self.summary.title
    }

    #[getter]
    fn artist(&self) -> Option<&str> {
        self.summary.artist.as_deref()
    }

    #[getter]
    fn album(&self) -> Option<&str> {
        self.summary.album.as_deref()
    }

    #[getter]
    fn genres(&self) -> Vec<String> {
        self.summary.genres.clone()
    }

    #[getter]
    fn moods(&self) -> Vec<String> {
        self.summary.moods.clone()
    }

    #[getter]
    fn year(&self) -> Option<i32> {
        self.summary.year
    }

    /// Beats per minute.
    #[getter]
    fn bpm(&self) -> Option<f64> {
        self.summary.bpm
    }

    /// The musical key, such as `F#m`.
    #[getter]
    fn key(&self) -> Option<String> {
        self.summary.key.map(|key| key.to_string())
    }

    #[getter]
    fn instrument(&self) -> Option<&str> {
        self.summary.instrument.as_deref()
    }

    /// Whether it is a loop, and not a one-shot; None where that is not known.
    #[getter]
    fn is_loop(&self) -> Option<bool> {
        self.summary.is_loop
    }

    /// In seconds.
    #[getter]
    fn duration(&self) -> f64 {
        self.summary.duration
    }

    /// The path of its first file, as the library has it: relative to the folder of a local
    /// library where it is below that.
    #[getter]
    fn path(&self) -> Option<&str> {
        self.summary.path.as_deref()
    }

    /// The same as a `pathlib.Path` on this machine, which need not be there.
    #[getter]
    fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// The codec, such as `mp3`.
    #[getter]
    fn codec(&self) -> &str {
        &self.summary.codec
    }

    /// The size of the audio in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.summary.size
    }

    /// The names of the models that embedded it.
    #[getter]
    fn models(&self) -> Vec<String> {
        self.summary.models.iter().map(ToString::to_string).collect()
    }

    /// What is wrong with its audio, such as `truncated`.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.summary.warnings.clone()
    }

    /// The song as `songrec ls --json` prints it; what is not known is left out.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.summary)
    }

    fn __repr__(&self) -> String {
        let by = self.summary.artist.as_deref().map(|artist| format!(" by {artist}"));
        let id = self.summary.id.short();
        format!("<Song {id} {:?}{}>", self.summary.title, by.unwrap_or_default())
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, compare: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = self.summary.id == other.get().summary.id;
        let answer = match compare {
            CompareOp::Eq => same,
            CompareOp::Ne => !same,
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
                return Ok(py.NotImplemented());
            }
        };
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(&self) -> isize {
        let (high, _) = self.summary.id.as_bytes().split_at(8);
        isize::from_le_bytes(high.try_into().unwrap_or_default())
    }
}

/// Pages that are read ahead.
const AHEAD: usize = 1;

/// The songs of a library, read a thousand at a time as they are asked for.
#[pyclass(frozen, module = "songrec")]
#[derive(Debug)]
pub(crate) struct Songs {
    library: Arc<Library>,
    pages: Arc<Mutex<mpsc::Receiver<Result<Vec<SongSummary>>>>>,
    /// What was read and not yet asked for.
    read: std::sync::Mutex<VecDeque<SongSummary>>,
}

impl Songs {
    /// Reads begin at once, on a thread of their own.
    pub(crate) fn read(py: Python<'_>, library: Arc<Library>, listing: Listing) -> PyResult<Self> {
        let (send, receive) = mpsc::channel(AHEAD);
        let reading = library.clone();
        runtime::runtime(py)?.spawn(async move {
            let mut list = List::new(&reading, listing);
            while let Some(page) = list.next().await.transpose() {
                let failed = page.is_err();
                if send.send(page).await.is_err() || failed {
                    break;
                }
            }
        });
        let pages = Arc::new(Mutex::new(receive));
        Ok(Self { library, pages, read: std::sync::Mutex::default() })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<SongSummary>> {
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl Songs {
    const fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Song>> {
        loop {
            if let Some(summary) = self.waiting().pop_front() {
                return Ok(Some(Song::of(&self.library, summary)));
            }
            let pages = self.pages.clone();
            let next = async move {
                // Of two threads that go through one list, each gets other songs.
                let mut pages = pages.lock().await;
                pages.recv().await.transpose()
            };
            let Some(page) = runtime::wait(py, next)? else { return Ok(None) };
            self.waiting().extend(page);
        }
    }
}

/// There is no library any more to ask.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Usage, "the library is closed").with_hint("`songrec.open` opens it again")
}
