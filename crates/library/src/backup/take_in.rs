//! Reading an archive from its beginning to its end, whatever became of it.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use songrec_core::{Digest, Document, Embedding, Event, Job, Segment, Song, SongSummary, Work};
use songrec_formats::archive::{ArchiveError, ArchiveReader, Found, Limits, PieceKind, PieceName};
use songrec_storage::{Tombstone, read_document};
use tokio::sync::{mpsc, oneshot};

use super::{Contents, End, FORMAT, KIND, Manifest, VectorLine, VectorsOf, staging::Staging};
use crate::{Error, ErrorKind, Result, work::blocking};

/// Pieces that are read ahead.
const AHEAD: usize = 2;
/// How much that is wrong is listed; all of it is counted.
const LISTED: usize = 1000;

/// What an archive holds, and whether it is whole.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ArchiveReport {
    /// Whether all that was written is there, as it was written.
    pub whole: bool,
    /// What the archive says it is; nothing if that is damaged.
    pub manifest: Option<Manifest>,
    /// How much of it is whole.
    #[serde(flatten)]
    pub contents: Contents,
    /// Pieces that are whole.
    pub pieces: u64,
    /// The bytes of the archive.
    pub bytes: u64,
    /// Whether it ends before its last piece.
    pub cut: bool,
    /// How much is damaged, or is nothing that a backup holds.
    pub damage: u64,
    /// What; the first thousand.
    pub damaged: Vec<DamagedPart>,
}

/// Something in an archive that is not as it was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DamagedPart {
    /// About where, in bytes from the beginning of the archive.
    pub at: u64,
    /// The piece, where its name could be read.
    pub piece: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

/// What comes out of an archive.
enum Item {
    Piece(PieceName, Vec<u8>),
    /// Audio, and the way to say where it should be written to.
    Large(PieceName, u64, oneshot::Sender<Option<PathBuf>>),
    /// Audio was written where it should be.
    Written(PieceName),
    Damage(DamagedPart),
    Cut,
    End,
}

/// An archive that was begun to be read: what it is is known.
pub(super) struct Archive {
    items: mpsc::Receiver<(u64, Result<Item, ArchiveError>)>,
    name: String,
    /// The first item, where it is not the manifest.
    first: Option<Item>,
    pub(super) report: ArchiveReport,
    names: Sha256,
    next: u64,
    end: Option<End>,
}

impl Archive {
    /// Reads what an archive says it is. `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what is no archive of ours, or one of a later format.
    pub(super) async fn open(input: Box<dyn Read + Send>, name: String) -> Result<Self> {
        let (send, items) = mpsc::channel(AHEAD);
        // It ends when nobody takes its items any more.
        drop(tokio::task::spawn_blocking(move || read_all(input, &send)));
        let mut archive = Self {
            items,
            name,
            first: None,
            report: ArchiveReport::default(),
            names: Sha256::new(),
            next: 0,
            end: None,
        };
        loop {
            match archive.next_item().await? {
                Item::Piece(name, bytes) if name.kind == PieceKind::Manifest => {
                    archive.note(&name);
                    let manifest = archive.manifest(&bytes)?;
                    archive.report.manifest = Some(manifest);
                    return Ok(archive);
                }
                // Something may be whole behind it.
                Item::Damage(part) => archive.list(part),
                Item::Cut => {
                    let what = format_args!("`{}` is no backup", archive.name);
                    return Err(Error::new(ErrorKind::Corrupt, what)
                        .because("nothing in it is a whole piece of an archive")
                        .with_hint("a backup is a tar file in Zstandard that songrec made"));
                }
                other => {
                    archive.first = Some(other);
                    return Ok(archive);
                }
            }
        }
    }

    fn manifest(&self, bytes: &[u8]) -> Result<Manifest> {
        let failed =
            || Error::new(ErrorKind::Corrupt, format_args!("`{}` is no backup", self.name));
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| failed().because(error))?;
        if value["kind"] != KIND {
            return Err(failed().because("it says that it is something else"));
        }
        if let Some(format) = value["format"].as_u64().filter(|format| *format > FORMAT.into()) {
            let what = format_args!("`{}` is a backup of format {format}", self.name);
            return Err(Error::new(ErrorKind::Corrupt, what)
                .because(format!("this songrec knows formats up to {FORMAT}"))
                .with_hint("a newer songrec reads it"));
        }
        serde_json::from_value(value).map_err(|error| failed().because(error))
    }

    async fn next_item(&mut self) -> Result<Item> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let gone = || Error::new(ErrorKind::Failed, "reading the backup ended unexpectedly");
        let (at, item) = self.items.recv().await.ok_or_else(gone)?;
        self.report.bytes = at;
        item.map_err(|error| match error {
            ArchiveError::Io(error) => {
                Error::new(ErrorKind::Failed, format_args!("could not read `{}`", self.name))
                    .because(error)
            }
            error @ ArchiveError::Bomb { .. } => {
                Error::new(ErrorKind::Corrupt, format_args!("`{}` is refused", self.name))
                    .because(error)
            }
        })
    }

    // Remembers a piece that is whole, and notices if one before it is missing.
    fn note(&mut self, name: &PieceName) {
        self.report.pieces += 1;
        self.names.update(format!("{name}\n"));
        if name.number != self.next {
            let reason = match name.number > self.next {
                true => format!("{} pieces before it are missing", name.number - self.next),
                false => "it is out of its order".to_owned(),
            };
            self.damage(self.report.bytes, Some(name), reason);
        }
        self.next = name.number + 1;
    }

    fn damage(&mut self, at: u64, piece: Option<&PieceName>, reason: String) {
        let piece = piece.map(|piece| format!("{}/{:06}", piece.kind.as_str(), piece.number));
        self.list(DamagedPart { at, piece, reason });
    }

    fn list(&mut self, part: DamagedPart) {
        self.report.damage += 1;
        if self.report.damaged.len() < LISTED {
            self.report.damaged.push(part);
        }
    }

    /// Reads everything, and stages it if there is a place for it.
    ///
    /// # Errors
    ///
    /// When it cannot be read to its end, or cannot be staged. What is damaged is in
    /// the report.
    pub(super) async fn take_in(
        &mut self,
        mut staging: Option<&mut Staging>,
        job: &Job,
    ) -> Result<()> {
        let total = self.report.manifest.as_ref().map(|manifest| manifest.songs);
        job.on(Event::started(Work::Importing, total));
        loop {
            if job.is_interrupted() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted; nothing was changed"));
            }
            match self.next_item().await? {
                Item::Piece(name, bytes) => {
                    let before = self.names.clone();
                    self.note(&name);
                    self.piece(&name, &bytes, before, &mut staging, job).await?;
                }
                Item::Large(name, size, wanted) => {
                    // Where there is no place, it is only compared with its hash.
                    let place = staging.as_mut().and_then(|one| one.place_for(&name.sha256, size));
                    // Whoever reads has gone only if this goes too.
                    let _ = wanted.send(place);
                }
                Item::Written(name) => {
                    self.note(&name);
                    self.report.contents.audio += 1;
                    if let Some(staging) = &mut staging {
                        staging.take_audio(&name.sha256).await?;
                    }
                }
                Item::Damage(part) => self.list(part),
                Item::Cut => {
                    self.report.cut = true;
                    break;
                }
                Item::End => break,
            }
        }
        if let Some(staging) = staging {
            staging.flush().await?;
        }
        job.on(Event::Finished);
        self.report.whole = self.end.is_some() && !self.report.cut && self.report.damage == 0;
        Ok(())
    }

    async fn piece(
        &mut self,
        name: &PieceName,
        bytes: &[u8],
        before: Sha256,
        staging: &mut Option<&mut Staging>,
        job: &Job,
    ) -> Result<()> {
        let at = self.report.bytes;
        match name.kind {
            PieceKind::Manifest => {
                self.damage(at, Some(name), "there is another manifest".to_owned());
            }
            PieceKind::End => match serde_json::from_slice::<End>(bytes) {
                Ok(end) => {
                    let names = Digest(before.finalize().into());
                    if end.pieces != name.number || names != end.names && self.report.damage == 0 {
                        let reason = "the pieces are not those that were written".to_owned();
                        self.damage(at, Some(name), reason);
                    }
                    if end.contents != self.report.contents && self.report.damage == 0 {
                        let reason = "there is not as much as was written".to_owned();
                        self.damage(at, Some(name), reason);
                    }
                    self.end = Some(end);
                }
                Err(error) => self.damage(at, Some(name), error.to_string()),
            },
            PieceKind::Songs => {
                let mut songs = Vec::new();
                for (line, text) in lines(bytes) {
                    match read_document::<Song>(text, None) {
                        Ok(song) => songs.push(song),
                        Err(error) => self.line(name, line, error.to_string()),
                    }
                }
                self.report.contents.songs += songs.len() as u64;
                for song in &songs {
                    job.on(Event::Advanced { item: &SongSummary::of(song).title, bytes: 0 });
                }
                if let Some(staging) = staging {
                    staging.add_songs(songs).await?;
                }
            }
            PieceKind::Trash => {
                let mut tombstones = Vec::new();
                for (line, text) in lines(bytes) {
                    match read_document::<Tombstone>(text, None) {
                        Ok(tombstone) => tombstones.push(tombstone),
                        Err(error) => self.line(name, line, error.to_string()),
                    }
                }
                self.report.contents.deleted += tombstones.len() as u64;
                if let Some(staging) = staging {
                    staging.add_tombstones(tombstones).await?;
                }
            }
            PieceKind::Vectors => self.vectors(name, bytes, staging).await?,
            PieceKind::Segments => {
                let segments: Vec<Segment> =
                    self.documents(name, bytes, |segment: &Segment| segment.refusal());
                self.report.contents.segments += segments.len() as u64;
                if let Some(staging) = staging {
                    staging.add_segments(segments).await?;
                }
            }
            PieceKind::Documents => {
                let documents: Vec<Document> =
                    self.documents(name, bytes, |document: &Document| {
                        let is_one =
                            document.kind.is_synced() && Document::is_valid_id(&document.id);
                        (!is_one).then(|| "it is no document that users make".to_owned())
                    });
                self.report.contents.documents += documents.len() as u64;
                if let Some(staging) = staging {
                    staging.add_documents(documents).await?;
                }
            }
            // It comes as a large one.
            PieceKind::Audio => {}
        }
        Ok(())
    }

    async fn vectors(
        &mut self,
        name: &PieceName,
        bytes: &[u8],
        staging: &mut Option<&mut Staging>,
    ) -> Result<()> {
        let mut lines = lines(bytes);
        let head = lines.next().map(|(_, text)| serde_json::from_slice::<VectorsOf>(text));
        let spec = match head {
            Some(Ok(VectorsOf { model })) => model,
            Some(Err(error)) => {
                self.line(name, 1, error.to_string());
                return Ok(());
            }
            None => {
                self.line(name, 1, "the model is missing".to_owned());
                return Ok(());
            }
        };
        let mut vectors = Vec::new();
        for (line, text) in lines {
            let read = serde_json::from_slice::<VectorLine>(text)
                .map_err(|error| error.to_string())
                .and_then(|line| Ok((line.song, line.read()?)));
            match read {
                Ok((_, vector)) if vector.dimension() != spec.dimension => {
                    self.line(name, line, "its vector has another dimension".to_owned());
                }
                Ok((song, vector)) => {
                    vectors.push(Embedding { song, model: spec.name.clone(), vector });
                }
                Err(reason) => self.line(name, line, reason),
            }
        }
        self.report.contents.embeddings += vectors.len() as u64;
        if let Some(staging) = staging {
            staging.add_vectors(spec, vectors).await?;
        }
        Ok(())
    }

    // The documents of a piece that nothing is wrong with.
    fn documents<T: DeserializeOwned>(
        &mut self,
        name: &PieceName,
        bytes: &[u8],
        refuse: impl Fn(&T) -> Option<String>,
    ) -> Vec<T> {
        let mut documents = Vec::new();
        for (line, text) in lines(bytes) {
            let read = serde_json::from_slice::<T>(text).map_err(|error| error.to_string());
            match read.and_then(|one| refuse(&one).map_or(Ok(one), Err)) {
                Ok(document) => documents.push(document),
                Err(reason) => self.line(name, line, reason),
            }
        }
        documents
    }

    fn line(&mut self, name: &PieceName, line: usize, reason: String) {
        self.damage(self.report.bytes, Some(name), format!("line {line}: {reason}"));
    }
}

// The lines of a piece, with their numbers from 1.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines.filter(|(_, text)| !text.is_empty()).map(|(at, text)| (at + 1, text))
}

// Reads an archive on a thread of its own, until nobody wants more.
fn read_all(input: Box<dyn Read + Send>, items: &mpsc::Sender<(u64, Result<Item, ArchiveError>)>) {
    let mut reader = match ArchiveReader::new(input, Limits::default()) {
        Ok(reader) => reader,
        Err(error) => return drop(items.blocking_send((0, Err(error)))),
    };
    let mut ahead = None;
    loop {
        let found = match ahead.take() {
            Some(found) => Ok(found),
            None => reader.find_next(),
        };
        let at = reader.position();
        let (item, is_last) = match found {
            Ok(Found::Piece(name, bytes)) => (Ok(Item::Piece(name, bytes)), false),
            Ok(Found::Large(name, size)) => {
                let (answer, wanted) = oneshot::channel();
                if items.blocking_send((at, Ok(Item::Large(name, size, answer)))).is_err() {
                    return;
                }
                let Ok(place) = wanted.blocking_recv() else { return };
                match copy_large(&mut reader, place.as_deref()) {
                    Ok(None) => (Ok(Item::Written(name)), false),
                    Ok(Some(wrong)) => {
                        ahead = Some(wrong);
                        continue;
                    }
                    Err(error) => (Err(error), true),
                }
            }
            Ok(Found::Damage { at, piece, what }) => {
                let piece = piece.map(|one| format!("{}/{:06}", one.kind.as_str(), one.number));
                (Ok(Item::Damage(DamagedPart { at, piece, reason: what })), false)
            }
            Ok(Found::Cut { .. }) => (Ok(Item::Cut), true),
            Ok(Found::End) => (Ok(Item::End), true),
            Err(error) => (Err(error), true),
        };
        if items.blocking_send((at, item)).is_err() || is_last {
            return;
        }
    }
}

fn copy_large<R: Read>(
    reader: &mut ArchiveReader<R>,
    place: Option<&Path>,
) -> Result<Option<Found>, ArchiveError> {
    match place {
        Some(place) => {
            let mut file = std::fs::File::create(place)?;
            let wrong = reader.copy_large(&mut file)?;
            file.flush()?;
            Ok(wrong)
        }
        None => reader.copy_large(&mut std::io::sink()),
    }
}

/// Opens a file to read an archive from it.
pub(super) async fn open_file(path: &Path) -> Result<std::fs::File> {
    let path = path.to_owned();
    blocking(move || {
        let failed = |error| Error::io("read", &path, error);
        let file = std::fs::File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Error::usage(format_args!(
                "`{}` is a folder, and no backup",
                path.display()
            )));
        }
        Ok(file)
    })
    .await?
}
