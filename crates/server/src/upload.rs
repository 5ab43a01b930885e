//! Files that clients send: private, counted as they come, and gone with the request.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use axum::{
    RequestExt,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::Field},
    http::header,
};
use songrec_library::plain_name;
use tokio::io::AsyncWriteExt;

use crate::{
    input::{PATIENCE, is_of_type},
    problem::{Problem, Result},
    server::Shared,
};

/// How long an upload may take as a whole.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Fields beside the file, and bytes of one of them.
const FIELDS: usize = 200;
const FIELD_LIMIT: usize = 64 << 10;

/// The beginning of the names of the folders that uploads lie in.
const PREFIX: &str = "songrec-upload-";
/// A folder that is younger may belong to a server that has not locked it yet.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// A file that was sent, with the fields beside it.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Where it is for the time being.
    pub(crate) path: PathBuf,
    /// What its sender calls it, without folders.
    pub(crate) name: String,
    /// How many bytes it has.
    size: u64,
    /// The names and values of the other fields, in their order.
    pub(crate) fields: Vec<(String, String)>,
    /// Only this user may look into it; it goes, with the file, when the upload goes.
    _folder: PrivateFolder,
}

/// A folder for one upload. It is locked for as long as it is used, so that what a
/// killed server left can be told from what another one is receiving.
#[derive(Debug)]
struct PrivateFolder {
    folder: tempfile::TempDir,
    // None where a folder cannot be opened as a file, as on Windows.
    _lock: Option<File>,
}

impl PrivateFolder {
    fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = File::open(folder.path()).ok().filter(|file| file.try_lock().is_ok());
        Ok(Self { folder, _lock: lock })
    }
}

/// Removes the uploads in `folder`, that for temporary files, of servers that were killed.
///
/// Costs a look at each entry of `folder`. What cannot be removed, such as what
/// belongs to others, stays.
pub(crate) fn remove_abandoned(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let is_upload = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Of a symbolic link this says no.
        if !is_upload || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let age = age.ok().and_then(|modified| modified.elapsed().ok());
        let Ok(lock) = File::open(entry.path()) else { continue };
        if age.is_some_and(|age| age >= ABANDONED_AFTER) && lock.try_lock().is_ok() {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::debug!("an upload to a server that was killed is removed"),
                Err(error) => tracing::debug!("an upload of before stays: {error}"),
            }
        }
    }
}

impl FromRequest<Shared> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Shared) -> Result<Self> {
        let limit = server.options.upload_limit;
        let upload = Self::of_at_most(limit, request, server).await?;
        match upload.size {
            0 => Err(Problem::new("unreadable_audio", "the file is empty")),
            _ => Ok(upload),
        }
    }
}

impl Upload {
    /// A file with at most `limit` bytes.
    pub(crate) async fn of_at_most(
        limit: u64,
        mut request: Request,
        server: &Shared,
    ) -> Result<Self> {
        let limit = limit.min(server.options.upload_limit);
        if !is_of_type(request.headers(), "multipart/form-data") {
            return Err(Problem::new("wrong_content_type", "an upload has to be multipart")
                .tip("send `multipart/form-data` with the file in the part `file`"));
        }
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        // Besides the file there are fields, and what parts them.
        let room = (FIELDS * FIELD_LIMIT) as u64;
        if length.is_some_and(|length| length > limit.saturating_add(room)) {
            return Err(too_large(limit, server));
        }
        DefaultBodyLimit::disable().apply(&mut request);
        let multipart = request.extract::<Multipart, _>().await;
        let multipart = multipart.map_err(|error| Problem::invalid(error.body_text()))?;
        receive(multipart, limit, server).await
    }

    /// The upload, if it is nothing but a file.
    pub(crate) fn alone(self) -> Result<Self> {
        match self.fields.first() {
            None => Ok(self),
            Some((name, _)) => Err(Problem::invalid(format!("there is no field `{name}`")).tip(
                "send the part `file` alone; `PATCH /api/v1/songs/{id}` changes a song afterwards",
            )),
        }
    }
}

fn too_large(limit: u64, server: &Shared) -> Problem {
    let problem = Problem::new("too_large", format!("this upload may have {limit} bytes"));
    match limit < server.options.upload_limit {
        true => problem,
        false => problem.tip("`songrec serve --max-upload SIZE` allows more"),
    }
}

async fn receive(mut multipart: Multipart, limit: u64, server: &Shared) -> Result<Upload> {
    let failed = |error: std::io::Error| {
        tracing::warn!("an upload could not be kept: {error}");
        Problem::new("failed", format!("the upload could not be kept: {error}"))
    };
    let folder = PrivateFolder::new().map_err(failed)?;
    let deadline = Instant::now() + LONGEST;
    let mut file = None;
    let mut fields = Vec::new();
    while let Some(field) = in_time(deadline, multipart.next_field()).await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            if fields.len() == FIELDS {
                return Err(Problem::new("too_large", format!("more than {FIELDS} fields")));
            }
            fields.push((name, text(field, deadline).await?));
            continue;
        }
        if file.is_some() {
            return Err(Problem::invalid("there are two parts `file`").tip("send one file"));
        }
        let called = plain_name(field.file_name().unwrap_or("upload"));
        let path = folder.folder.path().join(&called);
        let mut target = tokio::fs::File::create_new(&path).await.map_err(failed)?;
        let size = copy(field, &mut target, limit, server, deadline).await?;
        target.flush().await.map_err(failed)?;
        file = Some((path, called, size));
    }
    let (path, name, size) = file.ok_or_else(|| {
        Problem::invalid("there is no part `file`").tip("send the file in a part of that name")
    })?;
    Ok(Upload { path, name, size, fields, _folder: folder })
}

// Writes the file as it comes.
async fn copy(
    mut field: Field<'_>,
    target: &mut tokio::fs::File,
    limit: u64,
    server: &Shared,
    deadline: Instant,
) -> Result<u64> {
    let mut bytes = 0;
    while let Some(piece) = in_time(deadline, field.chunk()).await? {
        bytes += piece.len() as u64;
        server.figures.uploaded(piece.len() as u64);
        if bytes > limit {
            return Err(too_large(limit, server));
        }
        target.write_all(&piece).await.map_err(|error| {
            Problem::new("failed", format!("the upload could not be kept: {error}"))
        })?;
    }
    Ok(bytes)
}

async fn text(mut field: Field<'_>, deadline: Instant) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(deadline, field.chunk()).await? {
        if bytes.len() + piece.len() > FIELD_LIMIT {
            return Err(Problem::new("too_large", format!("a field may have {FIELD_LIMIT} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Problem::invalid("a field is not UTF-8"))
}

// The next part of the body, unless it keeps the server waiting.
async fn in_time<T>(
    deadline: Instant,
    next: impl Future<Output = std::result::Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T> {
    let left = deadline.saturating_duration_since(Instant::now()).min(PATIENCE);
    match tokio::time::timeout(left, next).await {
        Ok(Ok(next)) => Ok(next),
        Ok(Err(error)) => Err(Problem::invalid(format!("the upload ended early: {error}"))),
        Err(_) => Err(Problem::new("too_slow", "the upload took too long")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_killed_server_left_goes_and_what_is_being_received_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str, age: u64| {
            let path = temporary.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("song.wav"), b"RIFF").unwrap();
            let open = File::open(&path).unwrap();
            open.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            open
        };
        folder("songrec-upload-killed", 100);
        folder("songrec-upload-begun", 1);
        folder("of-somebody-else", 100);
        let received = folder("songrec-upload-received", 100);
        received.try_lock().unwrap();
        let elsewhere = temporary.path().join("of-somebody-else");
        std::os::unix::fs::symlink(elsewhere, temporary.path().join("songrec-upload-link"))
            .unwrap();

        remove_abandoned(temporary.path());

        let mut left: Vec<_> = fs::read_dir(temporary.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "of-somebody-else",
                "songrec-upload-begun",
                "songrec-upload-link",
                "songrec-upload-received"
            ]
        );
    }
}
