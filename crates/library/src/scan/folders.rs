//! Genres that are named by the folders of files.

use std::path::Path;

use super::{Scan, ScanOptions};
use crate::{Library, keys};

/// Whether the folders of files are asked for genres.
pub(super) fn asks_folders(scan: &Scan<'_>) -> bool {
    folders_are_asked(scan.library, scan.options)
}

/// Whether a scan asks the folders of files for genres.
pub(super) fn folders_are_asked(library: &Library, options: &ScanOptions) -> bool {
    options.genre_from_folder || library.config.get(keys::SCAN_GENRE_FROM_FOLDER)
}

/// The genre that the folder of a file is called by.
pub(super) fn genre_of_folder(path: &Path) -> Option<String> {
    let folder = path.parent().and_then(Path::file_name)?;
    Some(folder.to_string_lossy().into_owned())
}
