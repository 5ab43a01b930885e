//! What is kept in the cache of libraries that may only be read: catalogs and
//! indexes that are made again wherever they are missing.
//!
//! A folder for each such library, `libraries/ID-PLACE` in the cache's folder.
//! That of a library which nobody opens any more goes by itself, and so do those
//! that were opened least recently where all together take too much room.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use songrec_core::{Timestamp, decode_path};
use songrec_local::SPARE_NOTE;

use crate::{Config, Error, Result};

/// A library that was not opened for so long is not expected back.
const UNUSED: Duration = Duration::from_hours(24 * 30);
/// How folders begin that are being removed.
const REMOVING: &str = ".removing-";

/// What is kept of one library that may only be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpareFolder {
    /// Where it is kept.
    pub folder: PathBuf,
    /// The library, as far as that was noted.
    pub library: Option<PathBuf>,
    /// The number of files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// When the library was opened last.
    pub opened_at: Timestamp,
}

/// Where these folders lie.
pub(crate) fn spare_root(config: &Config) -> PathBuf {
    config.directories().cache.join("libraries")
}

/// What is kept of libraries that may only be read, the one that was opened last
/// first.
///
/// # Errors
///
/// When the cache's folder cannot be read.
pub fn spare_folders(config: &Config) -> Result<Vec<SpareFolder>> {
    let root = spare_root(config);
    folders_in(&root).map_err(|error| Error::io("list", &root, error))
}

/// Removes the folders of libraries that were not opened for a long time, and
/// then those that were opened least recently, until the others take no more
/// than `limit` bytes; gives those that are gone. Whoever opens such a library
/// again makes them again.
///
/// # Errors
///
/// When one cannot be removed.
pub fn remove_spare_folders(config: &Config, limit: u64) -> Result<Vec<SpareFolder>> {
    let root = spare_root(config);
    remove_in(&root, limit, false, SystemTime::now())
        .map_err(|error| Error::io("remove a part of", &root, error))
}

/// The same after a library was opened, whose own folder stays. What cannot be
/// removed now is tried again next time.
pub(crate) fn keep_spare_folders_small(root: &Path, limit: u64) {
    if let Err(error) = remove_in(root, limit, true, SystemTime::now()) {
        tracing::debug!("`{}` is not tidied: {error}", root.display());
    }
}

fn folders_in(root: &Path) -> std::io::Result<Vec<SpareFolder>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() && is_spare(&name.to_string_lossy()) {
            // One that goes away while it is looked at is gone.
            found.extend(look_at(&entry.path()).ok());
        }
    }
    found.sort_by(|one: &SpareFolder, other| {
        (other.opened_at, &one.folder).cmp(&(one.opened_at, &other.folder))
    });
    Ok(found)
}

// The id of a library, and eight digits of its place.
fn is_spare(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(id, place)| {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        id.len() == 36 && is_hex(&id.replace('-', "")) && place.len() == 8 && is_hex(place)
    })
}

fn look_at(folder: &Path) -> std::io::Result<SpareFolder> {
    let note = folder.join(SPARE_NOTE);
    // Before there was a note, the catalog tells it best.
    let dated = [note.clone(), folder.join("catalog.sqlite"), folder.to_owned()];
    let opened = dated.iter().find_map(|path| fs::metadata(path).ok()?.modified().ok());
    let (mut files, mut bytes) = (0, 0);
    count(folder, &mut files, &mut bytes)?;
    Ok(SpareFolder {
        folder: folder.to_owned(),
        library: fs::read_to_string(note).ok().map(|path| decode_path(&path)),
        files,
        bytes,
        opened_at: opened.and_then(|time| time.try_into().ok()).unwrap_or_default(),
    })
}

fn count(folder: &Path, files: &mut u64, bytes: &mut u64) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            count(&entry.path(), files, bytes)?;
        } else {
            *files += 1;
            *bytes += metadata.len();
        }
    }
    Ok(())
}

fn remove_in(
    root: &Path,
    limit: u64,
    keep_last: bool,
    now: SystemTime,
) -> std::io::Result<Vec<SpareFolder>> {
    let found = folders_in(root)?;
    let now = Timestamp::try_from(now).unwrap_or_default();
    let mut removed = Vec::new();
    let mut room = limit;
    for (number, one) in found.into_iter().enumerate() {
        let age = now.duration_since(one.opened_at);
        let is_used = age.unsigned_abs() < UNUSED || age.is_negative();
        let fits = one.bytes <= room;
        if (keep_last && number == 0) || (is_used && fits) {
            room = room.saturating_sub(one.bytes);
            continue;
        }
        // Whatever is smaller and older goes as well.
        room = 0;
        remove(root, &one.folder)?;
        removed.push(one);
    }
    // What somebody began to remove, and who is gone.
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(REMOVING) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(removed)
}

// Out of the way at once, so that nobody finds half of it.
fn remove(root: &Path, folder: &Path) -> std::io::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let away = root.join(format!("{REMOVING}{}-{name}", std::process::id()));
    match fs::rename(folder, &away) {
        // Somebody else was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.and_then(|()| fs::remove_dir_all(&away)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    // A folder of so many bytes, opened so many days ago.
    fn folder(root: &Path, number: u8, bytes: usize, days: u32) -> PathBuf {
        let name = format!("0f3b1e7a-5a0e-8d7b-9c42-0d6f3b1e7a55-{number:08x}");
        let folder = root.join(name);
        fs::create_dir_all(folder.join("index")).unwrap();
        fs::write(folder.join("index/rows"), vec![0; bytes]).unwrap();
        let note = folder.join(SPARE_NOTE);
        fs::write(&note, "").unwrap();
        let opened = fs::File::options().append(true).open(&note).unwrap();
        opened.set_modified(SystemTime::now() - DAY * days).unwrap();
        folder
    }

    fn removed(root: &Path, limit: u64, keep_last: bool) -> usize {
        remove_in(root, limit, keep_last, SystemTime::now()).unwrap().len()
    }

    #[test]
    fn what_nobody_opens_any_more_goes_and_then_the_least_recently_opened() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let [new, recent, old] =
            [(1, 1), (2, 9), (3, 31)].map(|(n, days)| folder(root, n, 100, days));
        let other = root.join("not-ours");
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(root.join(format!("{REMOVING}1-x"))).unwrap();

        assert_eq!(removed(root, 1 << 20, false), 1);
        assert!(!old.exists() && recent.exists() && new.exists());
        assert_eq!(fs::read_dir(root).unwrap().count(), 3, "and what was begun is finished");
        assert_eq!(removed(root, 150, true), 1);
        assert!(!recent.exists() && new.exists());
        assert_eq!(removed(root, 0, true), 0, "whoever opened it last uses it");
        assert_eq!(removed(root, 0, false), 1);
        assert!(!new.exists() && other.exists());
    }

    #[test]
    fn a_folder_of_before_is_as_old_as_its_catalog() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), 1, 10, 0);
        fs::remove_file(folder.join(SPARE_NOTE)).unwrap();
        let catalog = fs::File::create(folder.join("catalog.sqlite")).unwrap();
        catalog.set_modified(SystemTime::now() - DAY * 40).unwrap();

        let found = folders_in(root.path()).unwrap();

        assert_eq!((found[0].files, found[0].bytes, &found[0].library), (2, 10, &None));
        assert_eq!(removed(root.path(), 1 << 20, false), 1);
    }
}
