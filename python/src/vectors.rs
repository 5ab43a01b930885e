//! Vectors as arrays of NumPy.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{IntoPyDict, PyBytes, PyDict, PyList, PyTuple},
};
use songrec_core::{ModelSpec, SongId};
use songrec_library::{MappedPoints, Points};

use crate::{runtime, song::Song};

/// Values in memory that NumPy reads where they are.
///
/// By NumPy's array interface an array has this as its base, and so keeps it alive.
#[pyclass(frozen, name = "Memory", module = "songrec")]
struct Memory {
    values: Values,
    shape: Vec<usize>,
}

enum Values {
    Mapped(Arc<MappedPoints>),
    Own(Vec<f32>),
}

#[pymethods]
impl Memory {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // A file is little-endian everywhere; what a program made is as its machine is.
        let (start, order) = match &self.values {
            Values::Mapped(points) => (points.as_ptr().unwrap_or(std::ptr::dangling()), "<f4"),
            Values::Own(values) => {
                (values.as_ptr(), if cfg!(target_endian = "big") { ">f4" } else { "<f4" })
            }
        };
        let interface = PyDict::new(py);
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("typestr", order)?;
        interface.set_item("data", (start.addr(), true))?;
        interface.set_item("version", 3)?;
        Ok(interface)
    }
}

fn numpy<'py>(py: Python<'py>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("numpy")?.getattr(function)
}

fn array<'py>(py: Python<'py>, values: Values, shape: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
    numpy(py, "asarray")?.call1((Py::new(py, Memory { values, shape })?,))
}

/// An array of one dimension that has these values, uncopied.
pub(crate) fn own_array(py: Python<'_>, values: Vec<f32>) -> PyResult<Bound<'_, PyAny>> {
    let shape = vec![values.len()];
    array(py, Values::Own(values), shape)
}

/// The vectors of many songs, by one model.
///
/// `rows[i]` is the vector of the song with the id `ids[i]`: float32 values as the model
/// gave them. Nothing is copied where the file of the vectors has those of these songs and
/// no others, which `is_mapped` says: then `rows` is that file, mapped into memory and
/// read-only. Where it has others too, because a filter was given or songs were deleted, it
/// holds a copy of the rows, made when it is first asked for; `table` and `positions`
/// are without a copy in either case: `table[positions[i]]` is `rows[i]`.
///
/// The file stays readable when the library is closed. It is no snapshot: what is
/// written to the library shows in it, and where a song was deleted the row of another one
/// may come. `is_current` says whether that can have happened.
#[pyclass(frozen, module = "songrec")]
pub(crate) struct Vectors {
    spec: ModelSpec,
    points: Arc<MappedPoints>,
    table: Py<PyAny>,
    positions: Py<PyAny>,
    rows: PyOnceLock<Py<PyAny>>,
    ids: PyOnceLock<Py<PyList>>,
    places: OnceLock<HashMap<SongId, usize>>,
}

impl Vectors {
    pub(crate) fn of(py: Python<'_>, points: Points) -> PyResult<Self> {
        let spec = points.spec().clone();
        let mapped = runtime::wait(py, async move { points.mapped().await })?;
        let points = Arc::new(mapped);
        let shape = vec![points.len(), spec.dimension];
        let table = array(py, Values::Mapped(points.clone()), shape)?.unbind();
        let places = points.songs().iter();
        let places: Vec<u8> = places.flat_map(|(place, _)| (*place as u64).to_le_bytes()).collect();
        let positions = numpy(py, "frombuffer")?.call1((PyBytes::new(py, &places), "<i8"))?;
        Ok(Self {
            spec,
            points,
            table,
            positions: positions.unbind(),
            rows: PyOnceLock::new(),
            ids: PyOnceLock::new(),
            places: OnceLock::new(),
        })
    }

    fn song_ids(&self) -> impl ExactSizeIterator<Item = SongId> {
        self.points.songs().iter().map(|(_, song)| *song)
    }
}

#[pymethods]
impl Vectors {
    /// The ids of the songs, in the order of their rows.
    #[getter]
    fn ids(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        let make = || {
            let ids = self.song_ids().map(|id| id.to_string());
            Ok::<_, PyErr>(PyList::new(py, ids)?.unbind())
        };
        Ok(self.ids.get_or_try_init(py, make)?.clone_ref(py))
    }

    /// A row for each song, of shape (songs, dimension); read-only.
    #[getter]
    fn rows(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let make = || {
            if self.is_mapped() {
                return Ok(self.table.clone_ref(py));
            }
            let rows = self.table.bind(py).get_item(self.positions.bind(py))?;
            let unwritable = [("write", false)].into_py_dict(py)?;
            rows.call_method("setflags", (), Some(&unwritable))?;
            Ok::<_, PyErr>(rows.unbind())
        };
        Ok(self.rows.get_or_try_init(py, make)?.clone_ref(py))
    }

    /// Whether `rows` is the file itself, and no copy.
    #[getter]
    fn is_mapped(&self) -> bool {
        self.points.songs().len() == self.points.len()
    }

    /// Every row of the file, mapped and read-only; also those of songs that were not
    /// asked for, and places where a deleted song was.
    #[getter]
    fn table(&self, py: Python<'_>) -> Py<PyAny> {
        self.table.clone_ref(py)
    }

    /// Which row of `table` each song has.
    #[getter]
    fn positions(&self, py: Python<'_>) -> Py<PyAny> {
        self.positions.clone_ref(py)
    }

    /// Whether no vector was written to or removed from the library since.
    #[getter]
    fn is_current(&self, py: Python<'_>) -> bool {
        py.detach(|| self.points.is_current())
    }

    /// The model, such as `timbre@7`.
    #[getter]
    fn model(&self) -> &str {
        self.spec.name.as_str()
    }

    /// How its vectors are compared: `cosine`, `dot` or `euclidean`.
    #[getter]
    fn metric(&self) -> String {
        self.spec.metric.to_string()
    }

    /// How many values a vector has.
    #[getter]
    const fn dimension(&self) -> usize {
        self.spec.dimension
    }

    fn __len__(&self) -> usize {
        self.points.songs().len()
    }

    /// The vector of a song, given as a `Song` or its whole id.
    fn __getitem__<'py>(&self, song: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let id = match song.cast::<Song>() {
            Ok(song) => song.get().id(),
            Err(_) => song.extract()?,
        };
        let songs = || self.points.songs().iter().map(|(place, song)| (*song, *place)).collect();
        let places = self.places.get_or_init(songs);
        match id.parse().ok().and_then(|id: SongId| places.get(&id)) {
            Some(place) => self.table.bind(song.py()).get_item(place),
            None => Err(pyo3::exceptions::PyKeyError::new_err(id)),
        }
    }

    fn __repr__(&self) -> String {
        let (songs, model) = (self.points.songs().len(), &self.spec.name);
        format!("<Vectors {songs} x {} by {model}>", self.spec.dimension)
    }
}
