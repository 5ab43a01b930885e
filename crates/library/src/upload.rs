//! Taking in a file that somebody sent.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use songrec_core::{Hint, Job, Song, encode_path};

use crate::{
    Error, ErrorKind, Library, Named, Result, ScanItem, ScanOptions, find, scan, work::blocking,
};

/// The folder of a library for files that were sent.
const FOLDER: &str = "uploads";
/// Characters of a file's name that are kept, at the most.
const LONGEST_NAME: usize = 120;

/// What became of a file that was sent.
#[derive(Clone, Debug)]
pub enum Received {
    /// It is a new song of the library.
    New(ScanItem),
    /// The library has its audio already.
    There(Box<Song>),
}

/// Takes in the audio file at `file` under `name`, which somebody else chose. It is moved
/// to the folder `uploads` of the library, or of this machine's folders where the library
/// has none; of audio that the library has already nothing is kept.
///
/// # Errors
///
/// `Usage` if there is no audio in it; those of the library. Then nothing is left of it.
pub async fn receive(library: &Library, file: &Path, name: &str, job: &Job) -> Result<Received> {
    if let Named::Song(song) = find::resolve(library, &encode_path(file)).await? {
        return Ok(Received::There(song));
    }
    let folder = match library.root() {
        Some(root) => root.join(FOLDER),
        None => library.state_folder().join(FOLDER),
    };
    let (from, name) = (file.to_owned(), plain_name(name));
    let kept = blocking(move || keep(&from, &folder, &name)).await??;
    let received = scanned(library, &kept, job).await;
    if !matches!(received, Ok(Received::New(_))) {
        // A scan that runs at the same time may have seen it; it will see that it went.
        let _ = tokio::fs::remove_file(&kept).await;
    }
    received
}

async fn scanned(library: &Library, kept: &Path, job: &Job) -> Result<Received> {
    let items = Mutex::new(Vec::new());
    let on_item = |item: &ScanItem| {
        items.lock().unwrap_or_else(PoisonError::into_inner).push(item.clone());
    };
    let options =
        ScanOptions { paths: vec![kept.to_owned()], again: true, ..ScanOptions::default() };
    let report = scan(library, &options, job, &on_item).await?;
    let mut nothing = Error::new(ErrorKind::Failed, "the file was not taken in");
    for item in items.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match item {
            ScanItem::Added { .. } | ScanItem::Updated { .. } | ScanItem::Moved { .. } => {
                return Ok(Received::New(item));
            }
            ScanItem::Duplicate { id, .. } => {
                let song = find::song_by_id(library, &id.to_string()).await?;
                return Ok(Received::There(Box::new(song)));
            }
            ScanItem::Failed { reason, .. } => {
                nothing = Error::usage("the file cannot be read as audio")
                    .because(reason.to_string())
                    .with_hint(Hint::from(format_args!("songrec reads {}", crate::FORMATS)));
            }
            ScanItem::Missing { .. } | ScanItem::Unembedded { .. } | ScanItem::Warned { .. } => {}
        }
    }
    Err(if report.interrupted {
        Error::new(ErrorKind::Interrupted, "interrupted before the file was taken in")
    } else {
        nothing
    })
}

// Moves a file into a folder, under a name that nothing has there.
fn keep(file: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let failed = |error| Error::io("keep a file in", folder, error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut source = std::fs::File::open(file).map_err(failed)?;
    let mut copy = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::copy(&mut source, &mut copy).map_err(failed)?;
    copy.as_file().sync_all().map_err(failed)?;
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    for number in 1..10_000 {
        let number = if number == 1 { String::new() } else { format!(" ({number})") };
        let path = folder.join(format!("{stem}{number}{ending}"));
        match copy.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                copy = error.file;
            }
            Err(error) => return Err(failed(error.error)),
        }
    }
    Err(Error::new(ErrorKind::Failed, format_args!("too many files are called `{name}`"))
        .with_hint("send it under another name"))
}

/// A name that is a file's and nothing more: no folders, nothing that is hidden or
/// controls a terminal.
pub fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .map(|c| if c.is_control() || "<>:\"|?*".contains(c) { '_' } else { c })
        .take(LONGEST_NAME)
        .collect();
    match kept.trim().trim_start_matches('.').trim() {
        "" => "upload".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_elsewhere_names_no_folder() {
        for (sent, kept) in [
            ("kick.wav", "kick.wav"),
            ("../../etc/passwd", "passwd"),
            ("C:\\samples\\kick.wav", "kick.wav"),
            (".bashrc", "bashrc"),
            ("..", "upload"),
            ("", "upload"),
            ("a\u{1b}[2Jb\n.wav", "a_[2Jb_.wav"),
        ] {
            assert_eq!(plain_name(sent), kept, "{sent}");
        }
        assert_eq!(plain_name(&"ö".repeat(500)).chars().count(), LONGEST_NAME);
    }

    #[test]
    fn two_files_of_one_name_are_both_kept() {
        let folder = tempfile::tempdir().unwrap();
        let sent = folder.path().join("sent");
        std::fs::write(&sent, "x").unwrap();
        let uploads = folder.path().join("uploads");

        let first = keep(&sent, &uploads, "kick.wav").unwrap();
        let second = keep(&sent, &uploads, "kick.wav").unwrap();

        assert_eq!(first, uploads.join("kick.wav"));
        assert_eq!(second, uploads.join("kick (2).wav"));
    }
}
