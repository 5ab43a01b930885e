//! Writing a whole library to an archive.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::{Read, Seek, Write},
    path::Path,
};

use futures::StreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use songrec_core::{
    BlobRef, Digest, DocumentKind, Event, Filter, Hint, Job, ModelName, ModelSpec, Remedy, Song,
    SongId, SongSummary, Work,
};
use songrec_formats::archive::{ArchiveWriter, PieceKind};
use songrec_storage::{
    ChangeState, ErrorKind as StorageTrouble, SegmentQuery, StoredEmbedding, Tombstone,
    document_text,
};

use super::{Contents, End, FORMAT, KIND, Manifest, VectorLine, VectorsOf};
use crate::{Error, ErrorKind, Library, Result, library::now};

/// Songs that are read at once, and stand together in an archive.
const PAGE: usize = 500;
/// Songs whose segments are read at once: a song may have hundreds.
const SEGMENTS_OF: usize = 50;
/// A piece ends with the line by which it has so many bytes.
const PIECE: usize = 256 << 10;
/// A document that is larger is left out: none of ours comes near.
const LARGEST: usize = 32 << 20;
/// Audio up to so many bytes is held in memory while it is compared with its hash.
const HELD: usize = 16 << 20;

/// What goes into a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupOptions {
    /// The audio of songs too, as far as it can be reached.
    pub audio: bool,
}

/// What went into a backup.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackedUp {
    /// How much of what.
    #[serde(flatten)]
    pub contents: Contents,
    /// The bytes of all audio files.
    pub audio_bytes: u64,
    /// The bytes of the archive.
    pub bytes: u64,
    /// What is stored and could not be read.
    pub left_out: Vec<NotBackedUp>,
    /// Songs whose audio is nowhere to be reached.
    pub without_audio: u64,
}

/// Something that did not get into a backup.
#[derive(Clone, Debug, Serialize)]
pub struct NotBackedUp {
    /// What.
    pub subject: String,
    /// Why, in words.
    pub reason: String,
}

/// Writes everything of a library to a file, which is there when it is whole and not
/// before, and which nobody but its owner may read.
///
/// # Errors
///
/// When `file` is there already and `replace` is false, when it cannot be written, and
/// those of the library; `Interrupted` when the end was asked for. Then the file is as
/// it was.
pub async fn backup_to_file(
    library: &Library,
    file: &Path,
    replace: bool,
    options: &BackupOptions,
    job: &Job,
) -> Result<BackedUp> {
    let there = || {
        Error::usage(format_args!("`{}` is there already", file.display()))
            .with_hint(Hint::of("{} replaces it", [Remedy::Replace]))
    };
    match std::fs::symlink_metadata(file) {
        Ok(found) if found.is_dir() => {
            return Err(Error::usage(format_args!("`{}` is a folder", file.display()))
                .with_hint("name a file in it"));
        }
        Ok(_) if !replace => return Err(there()),
        _ => {}
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let unfinished = tempfile::Builder::new()
        .prefix(".songrec-backup-")
        .suffix(".unfinished")
        .tempfile_in(folder)
        .map_err(|error| Error::io("write a file in", folder, error))?;
    let copy = unfinished.reopen().map_err(|error| Error::io("write", file, error))?;
    let mut done = match backup(library, Box::new(copy), options, job).await {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            let what = format_args!("interrupted; `{}` was not written", file.display());
            return Err(Error::new(ErrorKind::Interrupted, what));
        }
        done => done?,
    };
    let failed = |error: std::io::Error| Error::io("finish", file, error);
    unfinished.as_file().sync_all().map_err(failed)?;
    done.bytes = unfinished.as_file().metadata().map_err(failed)?.len();
    match replace {
        true => drop(unfinished.persist(file).map_err(|error| failed(error.error))?),
        // Somebody may have put it there meanwhile.
        false => match unfinished.persist_noclobber(file) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(there());
            }
            Err(error) => return Err(failed(error.error)),
        },
    }
    // What is not known to the folder is gone with the power.
    if cfg!(unix) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(done)
}

/// Writes everything of a library to `out`.
///
/// # Errors
///
/// When `out` cannot be written, and those of the library; `Interrupted` when the end
/// was asked for: what was written is no whole archive then, and says so.
pub async fn backup(
    library: &Library,
    out: Box<dyn Write + Send + Sync>,
    options: &BackupOptions,
    job: &Job,
) -> Result<BackedUp> {
    let models = library.backend.embeddings().models().await?;
    let songs = library.backend.songs().count(&Filter::all()).await?;
    let manifest = Manifest {
        kind: KIND.to_owned(),
        format: FORMAT,
        songrec: env!("CARGO_PKG_VERSION").to_owned(),
        library: library.id().to_owned(),
        made_at: now(),
        songs,
        audio: options.audio,
        models: models.clone(),
    };
    let mut writing = Writing {
        library,
        job,
        archive: ArchiveWriter::new(Counted { out, bytes: 0 }),
        models: models.into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        carried: HashSet::new(),
        done: BackedUp::default(),
        has_segments: false,
    };
    writing.piece(PieceKind::Manifest, &json(&manifest))?;
    job.on(Event::started(Work::Exporting, Some(songs)));
    let written = writing.all(options).await;
    job.on(Event::Finished);
    written?;
    let Writing { archive, mut done, .. } = writing;
    done.bytes = archive.finish().map_err(failed)?.bytes;
    Ok(done)
}

struct Writing<'a> {
    library: &'a Library,
    job: &'a Job,
    archive: ArchiveWriter<Counted>,
    models: BTreeMap<ModelName, ModelSpec>,
    /// Audio that is in the archive.
    carried: HashSet<Digest>,
    done: BackedUp,
    has_segments: bool,
}

/// What an archive goes to, and how many bytes went there.
struct Counted {
    out: Box<dyn Write + Send + Sync>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Of what vectors are.
#[derive(Clone, Copy)]
enum Of {
    Songs,
    Deleted,
}

impl Of {
    async fn read(
        self,
        library: &Library,
        model: &ModelName,
        ids: &[SongId],
    ) -> songrec_storage::Result<Vec<Option<StoredEmbedding>>> {
        let embeddings = library.backend.embeddings();
        match self {
            Self::Songs => embeddings.get(model, ids).await,
            Self::Deleted => embeddings.get_deleted(model, ids).await,
        }
    }
}

/// Lines on their way into pieces.
struct Lines {
    kind: PieceKind,
    text: String,
}

impl Writing<'_> {
    async fn all(&mut self, options: &BackupOptions) -> Result<()> {
        let any = SegmentQuery { limit: 1, ..SegmentQuery::default() };
        self.has_segments = !self.library.backend.segments().find(&any).await?.is_empty();
        let mut cursor = None;
        loop {
            let maintenance = self.library.backend.maintenance();
            let page = maintenance.changes(cursor.as_ref(), PAGE).await?;
            for one in page.unreadable {
                self.leave_out(format!("song `{}`", one.song), one.why.to_string());
            }
            let (mut songs, mut tombstones) = (Vec::new(), Vec::new());
            for change in page.changes {
                match change.state {
                    ChangeState::Present(song) => songs.push(*song),
                    ChangeState::Deleted(tombstone) => tombstones.push(*tombstone),
                }
            }
            self.songs(&songs, options).await?;
            self.tombstones(&tombstones).await?;
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        self.documents().await?;
        let (pieces, names) = self.archive.so_far();
        let end = End { pieces, names, contents: self.done.contents };
        self.piece(PieceKind::End, &json(&end))
    }

    fn may_go_on(&self) -> Result<()> {
        if self.job.is_interrupted() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted before it was whole"));
        }
        Ok(())
    }

    async fn songs(&mut self, songs: &[Song], options: &BackupOptions) -> Result<()> {
        if songs.is_empty() {
            return Ok(());
        }
        self.may_go_on()?;
        let mut lines = Lines::of(PieceKind::Songs);
        let mut written: Vec<&Song> = Vec::new();
        for song in songs {
            if self.line(&mut lines, || song.id.to_string(), &document_text(song, None))? {
                written.push(song);
                // What belongs to them comes before the next ones.
                if lines.text.is_empty() {
                    self.of_songs(&written, options).await?;
                    written.clear();
                }
            }
        }
        self.end(&mut lines)?;
        self.of_songs(&written, options).await
    }

    // What belongs to songs whose piece was written.
    async fn of_songs(&mut self, songs: &[&Song], options: &BackupOptions) -> Result<()> {
        self.done.contents.songs += songs.len() as u64;
        self.vectors(songs, Of::Songs).await?;
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        self.segments(&ids).await?;
        for song in songs {
            if options.audio {
                self.may_go_on()?;
                self.audio(song).await?;
            }
            let title = SongSummary::of(song).title;
            self.job.on(Event::Advanced { item: &title, bytes: 0 });
        }
        Ok(())
    }

    async fn vectors(&mut self, songs: &[&Song], of: Of) -> Result<()> {
        let mut by_model: BTreeMap<&ModelName, Vec<SongId>> = BTreeMap::new();
        for song in songs {
            for model in song.embeddings.keys() {
                by_model.entry(model).or_default().push(song.id);
            }
        }
        for (model, ids) in by_model {
            let Some(spec) = self.models.get(model).cloned() else {
                self.leave_out(format!("vectors of `{model}`"), "the model is not known".into());
                continue;
            };
            let head = text(&VectorsOf { model: spec });
            let mut lines = Lines::of(PieceKind::Vectors);
            for batch in ids.chunks(self.library.backend.capabilities().batch.max(1)) {
                let found = self.embeddings(model, batch, of).await?;
                for (id, found) in batch.iter().zip(found) {
                    let Some(stored) = found else { continue };
                    if lines.text.is_empty() {
                        lines.text = format!("{head}\n");
                    }
                    let line = text(&VectorLine::of(*id, &stored.embedding.vector));
                    let is_in = self.line(&mut lines, || format!("vector of `{id}`"), &line)?;
                    self.done.contents.embeddings += u64::from(is_in);
                }
            }
            self.end(&mut lines)?;
        }
        Ok(())
    }

    // One that is lost or damaged must not keep us from the others.
    async fn embeddings(
        &mut self,
        model: &ModelName,
        ids: &[SongId],
        of: Of,
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let all = match of.read(self.library, model, ids).await {
            Err(error) if is_of_one(&error) => {
                let mut all = Vec::with_capacity(ids.len());
                for id in ids {
                    all.push(match of.read(self.library, model, &[*id]).await {
                        Err(error) if is_of_one(&error) => {
                            let why = Error::from(error).in_one_line();
                            self.leave_out(format!("vector of `{id}` by `{model}`"), why);
                            None
                        }
                        found => found?.pop().flatten(),
                    });
                }
                return Ok(all);
            }
            found => found?,
        };
        for (id, found) in ids.iter().zip(&all) {
            if found.is_none() {
                let what = format!("vector of `{id}` by `{model}`");
                self.leave_out(what, "it is not there".to_owned());
            }
        }
        Ok(all)
    }

    async fn segments(&mut self, ids: &[SongId]) -> Result<()> {
        if !self.has_segments {
            return Ok(());
        }
        let mut lines = Lines::of(PieceKind::Segments);
        for ids in ids.chunks(SEGMENTS_OF) {
            let songs = ids.to_vec();
            let query = SegmentQuery { songs, limit: usize::MAX, ..SegmentQuery::default() };
            for segment in self.library.backend.segments().find(&query).await? {
                let what = || format!("segment `{}`", segment.id);
                let is_in = self.line(&mut lines, what, &text(&segment))?;
                self.done.contents.segments += u64::from(is_in);
            }
        }
        self.end(&mut lines)
    }

    async fn tombstones(&mut self, tombstones: &[Tombstone]) -> Result<()> {
        let mut lines = Lines::of(PieceKind::Trash);
        let mut written: Vec<&Song> = Vec::new();
        for tombstone in tombstones {
            let what = || format!("deleted song `{}`", tombstone.song.id);
            if self.line(&mut lines, what, &document_text(tombstone, None))? {
                written.push(&tombstone.song);
                // What belongs to them comes before the next ones.
                if lines.text.is_empty() {
                    self.of_deleted(&written).await?;
                    written.clear();
                }
            }
        }
        self.end(&mut lines)?;
        self.of_deleted(&written).await
    }

    // What a deleted song has again once it is restored.
    async fn of_deleted(&mut self, songs: &[&Song]) -> Result<()> {
        self.done.contents.deleted += songs.len() as u64;
        self.vectors(songs, Of::Deleted).await?;
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        self.segments(&ids).await
    }

    async fn documents(&mut self) -> Result<()> {
        let mut lines = Lines::of(PieceKind::Documents);
        let mut after = None;
        loop {
            self.may_go_on()?;
            let documents = self.library.backend.documents();
            let page = documents.list(&DocumentKind::SYNCED, after.as_ref()).await?;
            for document in page.items {
                let what = || format!("{} `{}`", document.kind.as_str(), document.id);
                let is_in = self.line(&mut lines, what, &text(&document))?;
                self.done.contents.documents += u64::from(is_in);
            }
            after = page.next;
            if after.is_none() {
                return self.end(&mut lines);
            }
        }
    }

    // The audio of a song, if it can be reached and is what the song says.
    async fn audio(&mut self, song: &Song) -> Result<()> {
        let of_files = song.files.iter().map(|file| BlobRef {
            sha256: file.sha256,
            size: file.size,
            key: None,
        });
        let mut asked = BTreeSet::new();
        let mut why = None;
        for blob in song.blob.iter().cloned().chain(of_files) {
            if self.carried.contains(&blob.sha256) {
                return Ok(());
            }
            if !asked.insert((blob.sha256, blob.key.clone())) {
                continue;
            }
            match self.audio_of(&blob).await? {
                Ok(()) => return Ok(()),
                Err(reason) => why = reason.or(why),
            }
        }
        self.done.without_audio += 1;
        if let Some(why) = why {
            self.leave_out(format!("audio of `{}`", song.id), why);
        }
        Ok(())
    }

    // The inner error says why there is none, if there is more to say than that.
    async fn audio_of(&mut self, blob: &BlobRef) -> Result<Result<(), Option<String>>> {
        let mut stream = match self.library.backend.blobs().get(blob, None).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return Ok(Err(None)),
            Err(error) if is_of_one(&error) => {
                return Ok(Err(Some(Error::from(error).in_one_line())));
            }
            Err(error) => return Err(error.into()),
        };
        // Held until it is known to be what it should be: a name with a hash is written
        // before the bytes.
        let mut held = tempfile::SpooledTempFile::new(HELD);
        let (mut hash, mut size) = (Sha256::new(), 0);
        let holding = |error| Error::io("hold audio in", &std::env::temp_dir(), error);
        while let Some(bytes) = stream.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) if is_of_one(&error) => {
                    return Ok(Err(Some(Error::from(error).in_one_line())));
                }
                Err(error) => return Err(error.into()),
            };
            hash.update(&bytes);
            size += bytes.len() as u64;
            held.write_all(&bytes).map_err(holding)?;
            self.may_go_on()?;
        }
        if Digest(hash.finalize().into()) != blob.sha256 {
            return Ok(Err(Some("the file is another one by now".to_owned())));
        }
        held.rewind().map_err(holding)?;
        self.archive.begin(PieceKind::Audio, blob.sha256, size).map_err(failed)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = held.read(&mut buffer).map_err(holding)?;
            if count == 0 {
                break;
            }
            self.archive.add(&buffer[..count]).map_err(failed)?;
            self.may_go_on()?;
        }
        self.archive.end().map_err(failed)?;
        self.carried.insert(blob.sha256);
        self.done.contents.audio += 1;
        self.done.audio_bytes += size;
        Ok(Ok(()))
    }

    // Adds a line; says whether it was written, and ends the piece if that is large.
    fn line(&mut self, lines: &mut Lines, what: impl Fn() -> String, line: &str) -> Result<bool> {
        if line.len() > LARGEST {
            self.leave_out(what(), format!("it has {} bytes", line.len()));
            return Ok(false);
        }
        lines.text.push_str(line);
        lines.text.push('\n');
        if lines.text.len() >= PIECE {
            self.end(lines)?;
        }
        Ok(true)
    }

    fn end(&mut self, lines: &mut Lines) -> Result<()> {
        if !lines.text.is_empty() {
            self.piece(lines.kind, lines.text.as_bytes())?;
            lines.text.clear();
        }
        Ok(())
    }

    fn piece(&mut self, kind: PieceKind, bytes: &[u8]) -> Result<()> {
        self.archive.piece(kind, bytes).map_err(failed)
    }

    fn leave_out(&mut self, subject: String, reason: String) {
        self.job.on(Event::Failed { item: &subject, reason: &reason.as_str().into() });
        self.done.left_out.push(NotBackedUp { subject, reason });
    }
}

impl Lines {
    const fn of(kind: PieceKind) -> Self {
        Self { kind, text: String::new() }
    }
}

fn is_of_one(error: &songrec_storage::Error) -> bool {
    let of_one = [
        StorageTrouble::Corrupt,
        StorageTrouble::Incompatible,
        StorageTrouble::NotFound,
        StorageTrouble::Invalid,
        StorageTrouble::Unsupported,
    ];
    of_one.contains(&error.kind())
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "could not write the backup").because(error)
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("documents are plain data")
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).expect("documents are plain data");
    text.push('\n');
    text.into_bytes()
}
