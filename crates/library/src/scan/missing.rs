//! Files that were known and are gone.

use std::path::PathBuf;

use songrec_core::{ScanItem, SongId, encode_path};
use songrec_local::{FileStatus, KnownFile, KnownOutcome};

use super::{LOOK_UP, Scan, blocking};
use crate::Result;

/// Tells the files below the scanned folders, or below those that changed, that were
/// known and are gone.
/// They stay known: a disk that is not mounted must not cost a library its
/// songs.
pub(super) async fn missing(scan: &Scan<'_>, caught_up: bool) -> Result<u64> {
    let mut missing = 0;
    let changed = scan.options.changed.as_ref().and_then(|changed| changed.only.as_ref());
    let folders: Vec<&PathBuf> = match changed {
        Some(only) => only.iter().collect(),
        None => scan.roots.iter().collect(),
    };
    for folder in folders {
        let folder = encode_path(folder);
        if changed.is_some() {
            // It may have been a file.
            let (known, path) = (scan.known.clone(), folder.clone());
            let file = blocking(move || known.get(&[path])).await??;
            missing +=
                report_missing(scan, file.into_iter().flatten().collect(), caught_up).await?;
        }
        let mut after = String::new();
        loop {
            let (known, number) = (scan.known.clone(), scan.number);
            let (below, from) = (folder.clone(), after.clone());
            let page = blocking(move || known.unseen(&below, number, &from, LOOK_UP)).await??;
            let Some(last) = page.last() else { break };
            after = last.path.clone();
            missing += report_missing(scan, page, caught_up).await?;
        }
    }
    Ok(missing)
}

async fn report_missing(scan: &Scan<'_>, page: Vec<KnownFile>, caught_up: bool) -> Result<u64> {
    let mut forget = Vec::new();
    let mut gone = Vec::new();
    for file in page {
        if songrec_core::decode_path(&file.path).exists() {
            continue;
        }
        match file.outcome {
            KnownOutcome::Song(id, status) => gone.push((file.path, id, status)),
            KnownOutcome::Failed(_) => forget.push(file.path),
        }
    }
    let is_sure = |status| caught_up && status == FileStatus::UpToDate;
    let unsure: Vec<SongId> =
        gone.iter().filter(|(_, _, status)| !is_sure(*status)).map(|(_, id, _)| *id).collect();
    let mut songs = scan.library.each_song(&unsure).await?.into_iter();
    let mut missing = 0;
    for (path, id, status) in gone {
        let still_named = is_sure(status) || {
            let stored = scan.library.stored_path(&songrec_core::decode_path(&path));
            match songs.next() {
                Some(Ok(Some(song))) => song.files.iter().any(|file| file.path == stored),
                // What cannot be read may well name it.
                Some(Err(_)) => true,
                Some(Ok(None)) | None => false,
            }
        };
        if still_named {
            missing += 1;
            scan.found(&ScanItem::Missing { id, path });
        } else {
            // Moved, and found at its new place.
            forget.push(path);
        }
    }
    let known = scan.known.clone();
    blocking(move || known.forget(&forget)).await??;
    Ok(missing)
}
