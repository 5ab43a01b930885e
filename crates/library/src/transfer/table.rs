//! Songs and vectors as one file that other programs read.

use std::{
    fmt,
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use songrec_core::{
    Event, Filter, Hint, Job, Metric, ModelName, ModelSpec, Remedy, SongId, SongSummary, Vector,
    Work, decode_path,
};
use songrec_formats::{
    csv,
    faiss::{FaissMetric, FlatWriter},
    npy::head_of,
    parquet::{Cell, Kind, TableWriter},
};
use songrec_storage::SongQuery;

use super::Exported;
use crate::{Error, ErrorKind, Library, Result};

/// How many songs are read at once.
const PAGE: usize = 500;
/// How long the head of a `.npy` file is at least: as long for any number of rows.
const NPY_HEAD: usize = 128;

/// A kind of file that songs or vectors are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A matrix of NumPy, with a row for each song, and the ids beside it.
    Npy,
    /// A table of songs in text.
    Csv,
    /// A table of songs, with their vectors if a model is named, in Apache Parquet.
    Parquet,
    /// A flat index of FAISS, and the ids beside it.
    Faiss,
    /// A list of files for players.
    M3u8,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Npy, Self::Csv, Self::Parquet, Self::Faiss, Self::M3u8];

    /// The name of the format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Faiss => "faiss",
            Self::M3u8 => "m3u8",
        }
    }

    /// Whether it holds vectors, and so is of one model.
    pub const fn is_of_vectors(self) -> bool {
        matches!(self, Self::Npy | Self::Faiss)
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is not `npy`, `csv`, `parquet`, `faiss` or `m3u8`"))
    }
}

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The kind of file.
    pub format: ExportFormat,
    /// The model of the vectors; of formats that need one the usual model, if none is
    /// named.
    pub model: Option<ModelName>,
    /// Replace the file if it is there.
    pub replace: bool,
}

/// Writes the songs that pass a filter, or their vectors, to one file. A file with rows of
/// vectors gets `FILE.ids.json` beside it: the ids, titles and paths of the songs, in the
/// order of the rows. Vectors are written as they are stored, but for FAISS under the
/// cosine, where they get the length 1: then the inner product is the cosine.
///
/// # Errors
///
/// When `file` is there and must not be replaced, when it cannot be written, and those
/// of the library; `NotFound` for a model that the library does not know.
pub async fn export_table(
    library: &Library,
    file: &Path,
    filter: &Filter,
    options: &TableOptions,
    job: &Job,
) -> Result<Exported> {
    let beside = ids_beside(file);
    let mut places = vec![file];
    if options.format.is_of_vectors() {
        places.push(&beside);
    }
    for place in places {
        if !options.replace && std::fs::symlink_metadata(place).is_ok() {
            return Err(Error::usage(format_args!("`{}` is there already", place.display()))
                .with_hint(Hint::of("{} replaces it", [Remedy::Replace])));
        }
    }
    let model = match (&options.model, options.format.is_of_vectors()) {
        (None, false) => None,
        (Some(name), _) => Some(model_of(library, name).await?),
        (None, true) => Some(model_of(library, &library.search_model().await?).await?),
    };
    let total = library.backend.songs().count(filter).await?;
    job.on(Event::started(Work::Exporting, Some(total)));
    let (unfinished, copy) = unfinished_beside(file)?;
    let failed = |error: std::io::Error| Error::io("write", file, error);
    let mut out = Out::begin(library, options.format, model.as_ref(), copy).map_err(failed)?;
    let mut exported = Exported::default();
    let mut query = SongQuery { filter: filter.clone(), limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend.songs().find_summaries(&query).await?;
        let vectors = vectors_of(library, model.as_ref(), &page.items).await?;
        for (summary, vector) in page.items.iter().zip(vectors) {
            let with_vector = vector.is_some();
            if out.song(summary, vector).map_err(failed)? {
                exported.songs += 1;
                exported.embeddings += u64::from(with_vector);
            }
            job.on(Event::Advanced { item: &summary.title, bytes: 0 });
        }
        if job.is_interrupted() {
            exported.interrupted = true;
            return Ok(exported);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    exported.left_out = total.saturating_sub(exported.songs);
    let ids = out.finish().map_err(failed)?;
    if let Some(ids) = ids {
        let text = serde_json::to_vec(&ids).expect("ids are plain data");
        let (unfinished, mut copy) = unfinished_beside(&beside)?;
        let failed = |error: std::io::Error| Error::io("write", &beside, error);
        copy.write_all(&text).map_err(failed)?;
        unfinished.persist(&beside).map_err(|error| failed(error.error))?;
    }
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist(file).map_err(|error| failed(error.error))?;
    job.on(Event::Finished);
    Ok(exported)
}

fn ids_beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".ids.json");
    file.with_file_name(name)
}

fn unfinished_beside(file: &Path) -> Result<(tempfile::NamedTempFile, File)> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".songrec-export-").suffix(".unfinished");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        // As other files of this user: a table is made to be shown around.
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let made =
        builder.tempfile_in(folder).map_err(|error| Error::io("write a file in", folder, error))?;
    let copy = made.reopen().map_err(|error| Error::io("write", file, error))?;
    Ok((made, copy))
}

async fn model_of(library: &Library, name: &ModelName) -> Result<ModelSpec> {
    let known = library.backend.embeddings().models().await?;
    let found = known.iter().find(|spec| spec.name == *name).cloned();
    found.ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|spec| format!("`{}`", spec.name)).collect();
        Error::new(ErrorKind::NotFound, format_args!("the library has no vectors of `{name}`"))
            .with_hint(match names.as_slice() {
                [] => "it has no vectors at all".to_owned(),
                names => format!("it has those of {}", names.join(", ")),
            })
    })
}

async fn vectors_of(
    library: &Library,
    model: Option<&ModelSpec>,
    songs: &[SongSummary],
) -> Result<Vec<Option<Vector>>> {
    let Some(spec) = model else { return Ok(vec![None; songs.len()]) };
    let ids: Vec<SongId> = songs.iter().map(|summary| summary.id).collect();
    let found = library.backend.embeddings().get(&spec.name, &ids).await?;
    Ok(found.into_iter().map(|one| one.map(|stored| stored.embedding.vector)).collect())
}

/// A row of the file beside rows of vectors.
#[derive(Debug, serde::Serialize)]
struct Row {
    id: SongId,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// A file that is being written.
enum Out<'a> {
    Npy { file: BufWriter<File>, dimension: usize, rows: Vec<Row>, library: &'a Library },
    Faiss { index: FlatWriter, metric: Metric, rows: Vec<Row>, library: &'a Library },
    Csv { file: BufWriter<File>, library: &'a Library },
    Parquet { table: TableWriter<BufWriter<File>>, with_vectors: bool, library: &'a Library },
    M3u8 { file: BufWriter<File>, library: &'a Library },
}

/// The columns of tables, of which `path` is last.
const COLUMNS: [(&str, Kind); 15] = [
    ("id", Kind::Text),
    ("title", Kind::Text),
    ("artist", Kind::Text),
    ("album", Kind::Text),
    ("genres", Kind::Text),
    ("year", Kind::Integer),
    ("bpm", Kind::Double),
    ("key", Kind::Text),
    ("moods", Kind::Text),
    ("instrument", Kind::Text),
    ("loop", Kind::Bool),
    ("duration", Kind::Double),
    ("codec", Kind::Text),
    ("size", Kind::Integer),
    ("path", Kind::Text),
];

impl<'a> Out<'a> {
    fn begin(
        library: &'a Library,
        format: ExportFormat,
        model: Option<&ModelSpec>,
        file: File,
    ) -> std::io::Result<Self> {
        let dimension = model.map_or(0, |spec| spec.dimension);
        let metric = model.map_or(Metric::Cosine, |spec| spec.metric);
        Ok(match format {
            ExportFormat::Npy => {
                let mut file = BufWriter::new(file);
                file.write_all(&head_of(&[0, dimension as u64], NPY_HEAD))?;
                Self::Npy { file, dimension, rows: Vec::new(), library }
            }
            ExportFormat::Faiss => {
                let of_faiss = match metric {
                    Metric::Cosine | Metric::DotProduct => FaissMetric::InnerProduct,
                    Metric::Euclidean => FaissMetric::L2,
                };
                let index = FlatWriter::new(file, dimension, of_faiss)?;
                Self::Faiss { index, metric, rows: Vec::new(), library }
            }
            ExportFormat::Csv => {
                let mut file = BufWriter::new(file);
                csv::write_row(&mut file, COLUMNS.map(|(name, _)| name))?;
                Self::Csv { file, library }
            }
            ExportFormat::Parquet => {
                let mut columns: Vec<(String, Kind)> =
                    COLUMNS.map(|(name, kind)| (name.to_owned(), kind)).into();
                if let Some(spec) = model {
                    columns.push((spec.name.as_str().to_owned(), Kind::Floats));
                }
                let table = TableWriter::new(BufWriter::new(file), columns)?;
                Self::Parquet { table, with_vectors: model.is_some(), library }
            }
            ExportFormat::M3u8 => {
                let mut file = BufWriter::new(file);
                file.write_all(b"#EXTM3U\n")?;
                Self::M3u8 { file, library }
            }
        })
    }

    // Says whether the song is in the file.
    fn song(&mut self, summary: &SongSummary, vector: Option<Vector>) -> std::io::Result<bool> {
        let row = |library: &Library| Row {
            id: summary.id,
            title: summary.title.clone(),
            path: path_of(library, summary).map(|path| path.display().to_string()),
        };
        match self {
            Self::Npy { file, rows, library, .. } => {
                let Some(vector) = vector else { return Ok(false) };
                file.write_all(&vector.to_le_bytes())?;
                rows.push(row(library));
            }
            Self::Faiss { index, metric, rows, library } => {
                let Some(vector) = vector else { return Ok(false) };
                match metric {
                    Metric::Cosine => index.add(&of_length_one(&vector))?,
                    Metric::DotProduct | Metric::Euclidean => index.add(vector.values())?,
                }
                rows.push(row(library));
            }
            Self::Csv { file, library } => {
                csv::write_row(file, cells(library, summary).into_iter().map(in_text))?;
            }
            Self::Parquet { table, with_vectors, library } => {
                let mut cells = cells(library, summary);
                if *with_vectors {
                    cells.push(Cell::Floats(vector.map(|one| one.values().to_vec())));
                }
                table.row(cells)?;
            }
            Self::M3u8 { file, library } => {
                let Some(path) = path_of(library, summary) else { return Ok(false) };
                let path = path.into_os_string().into_encoded_bytes();
                if path.contains(&b'\n') || path.contains(&b'\r') {
                    return Ok(false);
                }
                let one_line = |text: &str| text.replace(['\n', '\r'], " ");
                let artist = summary.artist.as_deref().map(|artist| format!("{artist} - "));
                let called = format!("{}{}", artist.unwrap_or_default(), summary.title);
                let seconds = match summary.duration {
                    known if known > 0.0 => known.round(),
                    _ => -1.0,
                };
                writeln!(file, "#EXTINF:{seconds},{}", one_line(&called))?;
                if path.starts_with(b"#") {
                    file.write_all(b"./")?;
                }
                file.write_all(&path)?;
                file.write_all(b"\n")?;
            }
        }
        Ok(true)
    }

    // The rows of a file that has rows of vectors.
    fn finish(self) -> std::io::Result<Option<Vec<Row>>> {
        match self {
            Self::Npy { file, dimension, rows, .. } => {
                let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(&head_of(&[rows.len() as u64, dimension as u64], NPY_HEAD))?;
                Ok(Some(rows))
            }
            Self::Faiss { index, rows, .. } => {
                index.finish()?;
                Ok(Some(rows))
            }
            Self::Csv { mut file, .. } | Self::M3u8 { mut file, .. } => {
                file.flush()?;
                Ok(None)
            }
            Self::Parquet { table, .. } => {
                table.finish()?;
                Ok(None)
            }
        }
    }
}

fn of_length_one(vector: &Vector) -> Vec<f32> {
    let norm = vector.norm();
    vector.values().iter().map(|value| (f64::from(*value) / norm) as f32).collect()
}

// The first file of a song, as a path of this machine.
fn path_of(library: &Library, summary: &SongSummary) -> Option<PathBuf> {
    let path = summary.path.as_deref()?;
    Some(match library.root() {
        Some(_) => library.file_path(path),
        None => decode_path(path),
    })
}

fn cells(library: &Library, summary: &SongSummary) -> Vec<Cell> {
    let list = |all: &[String]| (!all.is_empty()).then(|| all.join("; "));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let path = path_of(library, summary).map(|path| path.display().to_string());
    vec![
        Cell::Text(Some(summary.id.to_string())),
        Cell::Text(Some(summary.title.clone())),
        Cell::Text(summary.artist.clone()),
        Cell::Text(summary.album.clone()),
        Cell::Text(list(&summary.genres)),
        Cell::Integer(summary.year.map(i64::from)),
        Cell::Double(summary.bpm),
        Cell::Text(summary.key.map(|key| key.to_string())),
        Cell::Text(list(&summary.moods)),
        Cell::Text(summary.instrument.clone()),
        Cell::Bool(summary.is_loop),
        Cell::Double(Some(summary.duration)),
        Cell::Text(text(&summary.codec)),
        Cell::Integer(i64::try_from(summary.size).ok()),
        Cell::Text(path),
    ]
}

fn in_text(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => text.unwrap_or_default(),
        Cell::Integer(number) => number.map(|number| number.to_string()).unwrap_or_default(),
        Cell::Double(number) => number.map(|number| number.to_string()).unwrap_or_default(),
        Cell::Bool(truth) => truth.map(|truth| truth.to_string()).unwrap_or_default(),
        Cell::Floats(_) => String::new(),
    }
}
