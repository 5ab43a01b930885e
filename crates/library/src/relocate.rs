//! Following files that were moved as a whole.

use std::path::{Path, PathBuf};

use serde::Serialize;
use songrec_core::{Event, Job, Song, SongFile, Work};
use songrec_storage::SongQuery;

use crate::{Error, Library, Result, hash::hash_file, paths::absolute, work::blocking};

/// What to rewrite.
#[derive(Clone, Debug)]
pub struct RelocateOptions {
    /// Where the files were.
    pub from: PathBuf,
    /// Where they are now.
    pub to: PathBuf,
    /// Believe a file of the right size, without reading it.
    pub by_size: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was rewritten.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Relocated {
    /// Files found at their new place.
    pub relocated: u64,
    /// Files that are not there, or are other files.
    pub not_found: Vec<String>,
    /// Whether the work was ended early.
    pub interrupted: bool,
}

/// Rewrites the paths of files that were moved from one folder to
/// another. Each is checked by its hash: what is not the same file keeps
/// its old path.
///
/// # Errors
///
/// When the new folder does not exist, or the backend's own.
pub async fn relocate(
    library: &Library,
    options: &RelocateOptions,
    job: &Job,
) -> Result<Relocated> {
    if !options.to.exists() {
        return Err(Error::not_found(format_args!("there is no `{}`", options.to.display()))
            .with_hint("name the folder in which the files are now"));
    }
    // The old folder may be gone, so links in it cannot be followed.
    let from = std::path::absolute(&options.from).unwrap_or_else(|_| options.from.clone());
    let to = absolute(&options.to);
    job.on(Event::started(Work::Relocating, None));
    let mut result = Relocated::default();
    let mut query = SongQuery { limit: 200, ..SongQuery::default() };
    // Songs are stored one after the other, so one that was cut off before
    // is the last that was stored of those that are there already.
    let mut last: Option<Song> = None;
    'pages: loop {
        let page = library.backend.songs().find(&query).await?;
        for song in &page.items {
            if job.is_interrupted() {
                result.interrupted = true;
                break 'pages;
            }
            let is_there = |file: &SongFile| library.file_path(&file.path).starts_with(&to);
            let is_later = last.as_ref().is_none_or(|last| last.updated_at <= song.updated_at);
            if is_later && song.files.iter().any(is_there) {
                last = Some(song.clone());
            }
            relocate_song(library, song, &from, &to, options, job, &mut result).await?;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if !options.dry_run {
        crate::edit::write_again(library, last.as_slice()).await?;
    }
    job.on(Event::Finished);
    Ok(result)
}

async fn relocate_song(
    library: &Library,
    song: &Song,
    from: &Path,
    to: &Path,
    options: &RelocateOptions,
    job: &Job,
    result: &mut Relocated,
) -> Result<()> {
    let mut moved: Vec<(String, String)> = Vec::new();
    for file in &song.files {
        let old = library.file_path(&file.path);
        let Ok(rest) = old.strip_prefix(from) else { continue };
        let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
        let (check, expected, by_size) = (new.clone(), file.clone(), options.by_size);
        if blocking(move || is_file(&check, &expected, by_size)).await? {
            moved.push((file.path.clone(), library.stored_path(&absolute(&new))));
            result.relocated += 1;
            job.on(Event::Advanced { item: &file.path, bytes: file.size });
        } else {
            result.not_found.push(file.path.clone());
            job.on(Event::Skipped { item: &file.path, reason: "not found at its new place" });
        }
    }
    if moved.is_empty() || options.dry_run {
        return Ok(());
    }
    crate::edit::update(library, song.id, |song| {
        let mut changed = false;
        for (old, new) in &moved {
            let Some(file) = song.files.iter().find(|file| file.path == *old).cloned() else {
                continue;
            };
            song.remove_file(old);
            song.add_file(SongFile { path: new.clone(), ..file });
            changed = true;
        }
        Ok(changed)
    })
    .await?;
    Ok(())
}

fn is_file(path: &Path, expected: &SongFile, by_size: bool) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    if !metadata.is_file() || metadata.len() != expected.size {
        return false;
    }
    by_size || hash_file(path).is_ok_and(|hash| hash == expected.sha256)
}
