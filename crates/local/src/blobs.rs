//! Audio: copies that the library keeps, and files of songs where they lie.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use sha2::{Digest as _, Sha256};
use songrec_core::{BlobRef, Digest};
use songrec_storage::{BlobSource, BlobStream, Error, NewBlob};

use crate::{
    blocking,
    catalog::song_rows,
    database::Database,
    error::{Fault, Result},
    store::Store,
};

/// How many bytes are read or written at a time.
const PIECE: usize = 1 << 20;

/// A blob on its way into the library.
#[derive(Debug)]
struct Incoming {
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
    kept: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            // Garbage collection removes what cannot be removed now.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Incoming {
    fn begin(database: &Database) -> Result<Self> {
        // Not `.tmp`: those are removed by the process that has the write lock, and
        // taking in a blob does not need it.
        let path = database.store().files().unfinished_path().with_extension("blob");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Fault::io("make", folder))?;
        }
        let file = File::create_new(&path).map_err(Fault::io("write", &path))?;
        Ok(Self { path, file, hash: Sha256::new(), size: 0, kept: false })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Fault::io("write", &self.path))
    }

    fn finish(mut self, store: &Store, blob: &NewBlob) -> Result<BlobRef> {
        let digest = Digest(self.hash.clone().finalize().into());
        if self.size != blob.size {
            return Err(Fault::invalid(format_args!(
                "{} bytes came instead of {}",
                self.size, blob.size
            )));
        }
        if digest != blob.sha256 {
            return Err(Fault::invalid(format_args!("the bytes that came have digest `{digest}`")));
        }
        store.files().finish(&self.path, &store.layout().blob(&blob.sha256))?;
        self.kept = true;
        Ok(reference(blob))
    }
}

fn reference(blob: &NewBlob) -> BlobRef {
    BlobRef { sha256: blob.sha256, size: blob.size, key: None }
}

/// The audio of a library.
pub(crate) struct Blobs<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Blobs<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    /// The reference of a blob that is there already. It becomes young again,
    /// so that it is not collected before its song comes.
    fn known(&self, blob: &NewBlob) -> Result<Option<BlobRef>> {
        if !self.store.library().keeps_copies {
            return Err(Fault::Unsupported(
                "this library keeps no copies of audio: it was made without".to_owned(),
            ));
        }
        let path = self.store.layout().blob(&blob.sha256);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == blob.size) {
            let young = File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()));
            return match young {
                Ok(()) => Ok(Some(reference(blob))),
                // Collected as garbage in between.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Fault::io("touch", &path)(error)),
            };
        }
        Ok(None)
    }

    fn put_file(&self, blob: &NewBlob, path: &Path) -> Result<BlobRef> {
        let mut incoming = Incoming::begin(self.database)?;
        let mut file = File::open(path).map_err(Fault::io("read", path))?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(Fault::io("read", path))? {
                0 => return incoming.finish(self.store, blob),
                count => incoming.add(&piece[..count])?,
            }
        }
    }

    /// The file with the bytes of a blob, open: a copy that the library keeps,
    /// or a file of a stored song.
    fn open(&self, blob: &BlobRef) -> Result<Option<(PathBuf, File)>> {
        let mut paths = vec![self.store.layout().blob(&blob.sha256)];
        let of_songs =
            self.database.read(|connection| song_rows::paths_of(connection, &blob.sha256))?;
        paths.extend(of_songs.iter().filter_map(|path| self.store.layout().audio_path(path)));
        for path in paths {
            // A file that cannot be read counts as one that is not there; the
            // next path may have the same bytes.
            let Ok(file) = File::open(&path) else { continue };
            if file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == blob.size) {
                return Ok(Some((path, file)));
            }
        }
        Ok(None)
    }
}

pub(crate) async fn put(
    database: &Arc<Database>,
    blob: &NewBlob,
    source: BlobSource,
) -> Result<BlobRef> {
    let wanted = *blob;
    if let Some(known) = on(database, move |database| Blobs::new(database).known(&wanted)).await? {
        return Ok(known);
    }
    let mut stream = match source {
        BlobSource::Path(path) => {
            return on(database, move |database| Blobs::new(database).put_file(&wanted, &path))
                .await;
        }
        BlobSource::Stream(stream) => stream,
    };
    let mut incoming = on(database, Incoming::begin).await?;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(Fault::Stream)?;
        if incoming.size + piece.len() as u64 > wanted.size {
            return Err(Fault::invalid(format_args!("more than {} bytes came", wanted.size)));
        }
        incoming = on(database, move |_| {
            incoming.add(&piece)?;
            Ok(incoming)
        })
        .await?;
    }
    on(database, move |database| incoming.finish(database.store(), &wanted)).await
}

pub(crate) async fn get(
    database: &Arc<Database>,
    blob: &BlobRef,
    range: Option<Range<u64>>,
) -> Result<Option<BlobStream>> {
    let wanted = blob.clone();
    let Some((path, file)) =
        on(database, move |database| Blobs::new(database).open(&wanted)).await?
    else {
        return Ok(None);
    };
    let range = range.unwrap_or(0..blob.size);
    if range.start > range.end || range.end > blob.size {
        return Err(Fault::invalid(format_args!(
            "bytes {}..{} of {}",
            range.start, range.end, blob.size
        )));
    }
    let database = Arc::clone(database);
    let pieces = stream::try_unfold((file, range), move |(file, range)| {
        let (database, path) = (Arc::clone(&database), path.clone());
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let subject = path.display().to_string();
            let location = database.store().layout().root().display().to_string();
            let read = on(&database, move |_| read_piece(file, range, &path)).await;
            let (bytes, file, rest) =
                read.map_err(|fault| fault.during("read", format_args!("`{subject}`"), location))?;
            Ok::<_, Error>(Some((bytes, (file, rest))))
        }
    });
    Ok(Some(pieces.boxed()))
}

fn read_piece(mut file: File, range: Range<u64>, path: &Path) -> Result<(Bytes, File, Range<u64>)> {
    let length = (range.end - range.start).min(PIECE as u64);
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(range.start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(Fault::io("read", path))?;
    Ok((bytes.into(), file, range.start + length..range.end))
}

async fn on<T: Send + 'static>(
    database: &Arc<Database>,
    work: impl FnOnce(&Database) -> Result<T> + Send + 'static,
) -> Result<T> {
    let database = Arc::clone(database);
    blocking::run(move || work(&database)).await
}
