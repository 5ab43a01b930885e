//! The songs that a model has not embedded yet: `scan --missing`.

use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
};

use songrec_core::{Event, SongId};
use songrec_local::{FileStatus, KnownOutcome};
use songrec_storage::SongQuery;

use super::{LOOK_UP, Scan, blocking};
use crate::Result;

/// Names the file of each song that one of the models has not embedded, or
/// whose embedding is lost, or of which segments are wanted, so that only
/// these are looked at.
pub(super) async fn queue_unembedded(scan: &mut Scan<'_>, caught_up: bool) -> Result<()> {
    if !scan.options.missing {
        return Ok(());
    }
    // Far away a list of all songs is dear, and this machine knows which
    // songs its own files are; only what is lost is asked for. Elsewhere than
    // on Windows, absolute paths begin with `/`, and so can be gone through.
    let files = match scan.is_remote() && caught_up && !cfg!(windows) {
        true => unembedded_known_files(scan).await?,
        false => unembedded_files(scan).await?,
    };
    scan.named = Some(files);
    Ok(())
}

// Of the files that this machine knows.
async fn unembedded_known_files(scan: &Scan<'_>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut named = HashSet::new();
    let mut after = String::new();
    loop {
        let (known, number, from) = (scan.known.clone(), scan.number, after.clone());
        let page = blocking(move || known.unseen("", number, &from, LOOK_UP)).await??;
        let Some(last) = page.last() else { return Ok(files) };
        after.clone_from(&last.path);
        let of_songs: Vec<(String, SongId, FileStatus)> = page
            .into_iter()
            .filter_map(|file| match file.outcome {
                KnownOutcome::Song(id, status) => Some((file.path, id, status)),
                KnownOutcome::Failed(_) => None,
            })
            .collect();
        if scan.job.is_interrupted() {
            return Ok(files);
        }
        let unsure = |status| matches!(status, FileStatus::Unknown | FileStatus::Storing);
        let kept = of_songs.iter().filter(|file| file.2 != FileStatus::Deleted);
        let kept: BTreeSet<SongId> = kept.map(|file| file.1).collect();
        super::lost::look_for_lost_in_astra(scan, &Vec::from_iter(kept)).await?;
        let ids: Vec<SongId> =
            of_songs.iter().filter(|file| unsure(file.2)).map(|file| file.1).collect();
        let mut songs = scan.library.each_song(&ids).await?.into_iter();
        for (path, id, status) in of_songs {
            let status = match unsure(status).then(|| songs.next()).flatten() {
                None => status,
                Some(Ok(Some(song))) => super::status::status_of(scan, &song, &path),
                Some(Ok(None)) => FileStatus::Deleted,
                // The stage that looks at the file reports what is wrong.
                Some(Err(_)) => FileStatus::Stale,
            };
            let wanted = match status {
                FileStatus::Deleted => false,
                FileStatus::UpToDate => {
                    super::status::may_lack_segments(scan, id)
                        || !super::lost::lost_of(scan, id).is_empty()
                }
                FileStatus::Storing | FileStatus::Unknown | FileStatus::Stale => true,
            };
            let path = songrec_core::decode_path(&path);
            if wanted && path.is_file() && named.insert(id) {
                files.push(path);
            }
        }
    }
}

// Of the files that songs of the library name and that are on this machine.
async fn unembedded_files(scan: &Scan<'_>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut elsewhere = 0u64;
    let mut query = SongQuery { limit: 500, ..SongQuery::default() };
    loop {
        let page = scan.library.backend.songs().find(&query).await?;
        super::lost::look_for_lost(scan, &page.items).await?;
        let ids: Vec<SongId> = page.items.iter().map(|song| song.id).collect();
        super::lost::look_for_lost_in_astra(scan, &ids).await?;
        for song in page.items {
            if super::status::is_embedded(scan, &song)
                && !super::status::may_lack_segments(scan, song.id)
            {
                continue;
            }
            let mut paths = song.files.iter().map(|file| scan.library.file_path(&file.path));
            match paths.find(|path| path.is_file()) {
                Some(path) => files.push(path),
                None => elsewhere += 1,
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if elsewhere > 0 {
        let text = format!("{elsewhere} songs are left out: their files are not on this machine");
        scan.job.on(Event::Note { text: &text });
    }
    Ok(files)
}
