//! Reading what changed in the library, so that nobody has to ask of every
//! file whether its song is as it was.

use std::collections::BTreeSet;

use songrec_local::{FileStatus, KnownFilesError, KnownOutcome, KnownStatus};
use songrec_storage::{ChangePage, ChangeState, Cursor, ErrorKind};
use tokio::sync::mpsc;

use super::{Scan, blocking};
use crate::Result;

/// Changes that are read at once.
const PAGE: usize = 100;
/// Pages that are read at a time from a library that is far away. Where there
/// are more before a scan, the songs of the files that are found are asked for,
/// which is cheaper.
const PAGES: usize = 20;
/// One more page is read after a scan for so many files that are known, so that
/// a large library is caught up with in a few scans.
const FILES_PER_PAGE: u64 = 500;
/// After how many songs of its own a scan reads on, while it goes on.
pub(super) const EVERY: u64 = 500;

/// When something is seen: before the scan, files that were arriving belong
/// to one that was cut off; afterwards, to this one.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    BeforeTheScan,
    Since,
}

/// Reads what changed since the last scan; says whether everything is
/// known that is to be known of the library's songs.
pub(super) async fn catch_up(scan: &Scan<'_>) -> Result<bool> {
    let known = scan.known.clone();
    // Without a place to read on from there is everything to be asked.
    if blocking(move || known.cursor()).await??.is_none() {
        return Ok(false);
    }
    // What cannot be seen is asked for.
    let done = follow(scan, at_most(scan, PAGES), Moment::BeforeTheScan).await;
    Ok(done.unwrap_or(false))
}

/// Reads what happened during the scan, its own songs among it; says
/// whether that was all.
pub(super) async fn catch_up_after(scan: &Scan<'_>) -> Result<bool> {
    let known = scan.known.clone();
    let files = blocking(move || known.count_songs()).await??;
    let more = usize::try_from(files / FILES_PER_PAGE).unwrap_or(usize::MAX);
    follow(scan, at_most(scan, PAGES.saturating_add(more)), Moment::Since).await
}

// Here, a change costs no more than to look at its song.
fn at_most(scan: &Scan<'_>, pages: usize) -> usize {
    if scan.is_remote() { pages } else { usize::MAX }
}

/// Reads on whenever some songs are stored, until no more will be.
pub(super) async fn follow_along(scan: &Scan<'_>, mut stored: mpsc::Receiver<()>) {
    while stored.recv().await.is_some() {
        if follow(scan, at_most(scan, PAGES), Moment::Since).await.is_err() {
            // The scan itself meets what is wrong, or the next one does.
            return;
        }
    }
}

/// Reads up to so many pages of changes; says whether those were all.
async fn follow(scan: &Scan<'_>, pages: usize, moment: Moment) -> Result<bool> {
    let known = scan.known.clone();
    let mut cursor = blocking(move || known.cursor()).await??.map(Cursor);
    for _ in 0..pages {
        if scan.job.is_interrupted() {
            return Ok(false);
        }
        let _hearing = scan.following.lock().await;
        let page = match scan.library.backend.maintenance().changes(cursor.as_ref(), PAGE).await {
            Err(error) if error.kind() == ErrorKind::CursorLost && cursor.is_some() => {
                // Songs may be gone that no change lists any more.
                let known = scan.known.clone();
                blocking(move || known.doubt()).await??;
                return Ok(false);
            }
            page => page?,
        };
        if moment == Moment::BeforeTheScan && scan.is_remote() && !scan.options.dry_run {
            complete(scan, &page).await?;
        }
        apply(scan, &page).await?;
        if !page.more {
            return Ok(true);
        }
        cursor = Some(page.cursor);
    }
    Ok(false)
}

// A scan that was cut off may have stored a song and not recorded it.
async fn complete(scan: &Scan<'_>, page: &ChangePage) -> Result<()> {
    let ids: Vec<_> = page.changes.iter().map(|change| change.song).collect();
    let known = scan.known.clone();
    let arriving = blocking(move || -> std::result::Result<_, KnownFilesError> {
        let paths: Vec<String> = known.of_songs(&ids)?.into_iter().map(|(_, path)| path).collect();
        let arriving =
            known.get(&paths)?.into_iter().flatten().filter_map(|file| match file.outcome {
                KnownOutcome::Song(id, FileStatus::Storing) => Some(id),
                KnownOutcome::Song(..) | KnownOutcome::Failed(_) => None,
            });
        Ok(arriving.collect::<BTreeSet<_>>())
    });
    let arriving = arriving.await??;
    let cut_off = page.changes.iter().filter_map(|change| match &change.state {
        ChangeState::Present(song) if arriving.contains(&change.song) => Some((**song).clone()),
        ChangeState::Present(_) | ChangeState::Deleted(_) => None,
    });
    crate::edit::write_again(scan.library, &cut_off.collect::<Vec<_>>()).await
}

async fn apply(scan: &Scan<'_>, page: &ChangePage) -> Result<()> {
    let known = scan.known.clone();
    let ids: Vec<_> = page.changes.iter().map(|change| change.song).collect();
    let files = blocking(move || known.of_songs(&ids)).await??;
    let mut files = files.into_iter().peekable();
    let mut known_statuses = Vec::new();
    for change in &page.changes {
        while let Some((song, path)) = files.next_if(|(song, _)| *song == change.song) {
            let status = match &change.state {
                ChangeState::Present(song) => super::status::status_of(scan, song, &path),
                ChangeState::Deleted(_) => FileStatus::Deleted,
            };
            known_statuses.push(KnownStatus { path, song, status });
        }
    }
    let (known, cursor) = (scan.known.clone(), page.cursor.0.clone());
    blocking(move || known.apply(&known_statuses, &cursor)).await??;
    Ok(())
}
