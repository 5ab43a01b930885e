//! Which files can be left alone, because they and their songs are as they
//! were.

use std::{path::Path, sync::Arc};

use songrec_core::{
    Digest, Event, Hint, ModelName, Remedy, Scan as Again, Song, SongId, encode_path,
};
use songrec_local::{FileStatus, KnownFile, KnownOutcome, KnownStatus};
use songrec_models::{Batcher, built_in_models};

use super::{
    Candidate, FileToRead, Finding, Scan, ScanReport, SkippedKind, blocking,
    folders::genre_of_folder,
};
use crate::{Library, Result, decoding::Why};

/// Leaves out what is as it was.
pub(super) async fn leave_alone(
    scan: &Scan<'_>,
    candidates: Vec<Candidate>,
    caught_up: bool,
) -> Result<(Vec<FileToRead>, ScanReport)> {
    let paths: Vec<String> = candidates.iter().map(|one| encode_path(&one.path)).collect();
    let (known, asked) = (scan.known.clone(), paths.clone());
    let mut known = blocking(move || known.get(&asked)).await??;
    // Who wants something again wants it looked at, too.
    check_status(scan, &candidates, &mut known, caught_up && !scan.options.again).await?;
    let mut report = ScanReport::default();
    let (mut rest, mut seen) = (Vec::new(), Vec::new());
    for ((candidate, path), known) in candidates.into_iter().zip(paths).zip(known) {
        let held = match &known {
            Some(KnownFile { outcome: KnownOutcome::Song(id, _), .. }) => Some(*id),
            _ => None,
        };
        let was_cut_off = matches!(
            &known,
            Some(KnownFile { outcome: KnownOutcome::Song(_, FileStatus::Storing), .. })
        );
        let again = candidate.named || scan.options.again;
        let left_alone = match known.filter(|known| is_same(&candidate, known)) {
            None => false,
            Some(KnownFile { outcome: KnownOutcome::Failed(reason), .. }) => {
                let again = again || scan.options.failed;
                report.failed_before += u64::from(!again);
                if !again {
                    let hint = Hint::of("{} tries again", [Remedy::Scan(Again::Failed)]);
                    let why = Why { reason: reason.into(), hint: Some(hint) };
                    scan.list(&path, SkippedKind::FailedBefore, &why);
                }
                !again
            }
            Some(KnownFile { outcome: KnownOutcome::Song(_, status), .. }) => match status {
                FileStatus::UpToDate if held.is_some_and(|id| may_lack_segments(scan, id)) => false,
                FileStatus::UpToDate => {
                    report.unchanged += 1;
                    true
                }
                FileStatus::Deleted => {
                    report.forgotten += u64::from(!again);
                    if !again {
                        scan.list(&path, SkippedKind::Forgotten, &forgotten(&path));
                    }
                    !again
                }
                FileStatus::Storing | FileStatus::Unknown | FileStatus::Stale => false,
            },
        };
        if left_alone {
            scan.job.on(Event::Advanced { item: &path, bytes: candidate.size });
            seen.push(path);
        } else {
            rest.push(FileToRead { candidate, held, was_cut_off });
        }
    }
    let (known, number) = (scan.known.clone(), scan.number);
    blocking(move || known.mark_seen(&seen, number)).await??;
    Ok((rest, report))
}

// Why a file is left alone whose song was removed.
fn forgotten(path: &str) -> Why {
    let again = Remedy::Scan(Again::Path(path.to_owned()));
    Why {
        reason: "its song was removed from the library".into(),
        hint: Some(Hint::of("{} takes it in again", [again])),
    }
}

// Asks what the library holds of files of which nothing is known for sure.
async fn check_status(
    scan: &Scan<'_>,
    candidates: &[Candidate],
    known: &mut [Option<KnownFile>],
    caught_up: bool,
) -> Result<()> {
    let mut doubtful: Vec<(&mut FileStatus, SongId, &str)> = Vec::new();
    for (candidate, known) in candidates.iter().zip(known) {
        let Some(known) = known.as_mut().filter(|known| is_same(candidate, known)) else {
            continue;
        };
        if let KnownOutcome::Song(id, status) = &mut known.outcome
            && *status != FileStatus::Storing
            && (!caught_up || candidate.named || *status == FileStatus::Unknown)
        {
            doubtful.push((status, *id, &known.path));
        }
    }
    if doubtful.is_empty() {
        return Ok(());
    }
    let _hearing = scan.following.lock().await;
    let ids: Vec<SongId> = doubtful.iter().map(|(_, id, _)| *id).collect();
    let songs = scan.library.each_song(&ids).await?;
    let stored: Vec<Song> = songs.iter().flatten().flatten().cloned().collect();
    super::lost::look_for_lost(scan, &stored).await?;
    let mut known_statuses = Vec::new();
    for ((status, id, path), song) in doubtful.into_iter().zip(songs) {
        *status = match song {
            Ok(Some(song)) => status_of(scan, &song, path),
            Ok(None) => FileStatus::Deleted,
            // The stage that looks at the file reports what is wrong.
            Err(_) => FileStatus::Stale,
        };
        known_statuses.push(KnownStatus { path: path.to_owned(), song: id, status: *status });
    }
    let known = scan.known.clone();
    blocking(move || known.set_statuses(&known_statuses)).await??;
    Ok(())
}

/// What is left to do for a song whose file, at an absolute path, did not
/// change.
pub(super) fn status_of(scan: &Scan<'_>, song: &Song, path: &str) -> FileStatus {
    let path = songrec_core::decode_path(path);
    let stored = scan.library.stored_path(&path);
    let named = song.files.iter().any(|file| file.path == stored);
    // The first file speaks for all of them, and so does its folder.
    let speaks = song.files.first().is_some_and(|first| first.path == stored);
    let is_told = !super::folders::asks_folders(scan) || !speaks || says_its_folder(song, &path);
    match named && is_told && is_embedded(scan, song) {
        true => FileStatus::UpToDate,
        false => FileStatus::Stale,
    }
}

/// Whether the models of this scan, and the song's own features, have
/// nothing more to say of it.
pub(super) fn is_embedded(scan: &Scan<'_>, song: &Song) -> bool {
    let complete =
        song.features.as_ref().is_some_and(|f| f.version >= songrec_audio::dsp::FEATURES_VERSION);
    // A built-in model cannot embed a song that is silent, on no machine. That a song
    // has no vector at all says nothing: somebody may have dropped them.
    let is_built_in = |model: &ModelName| built_in_models().iter().any(|spec| spec.name == *model);
    complete
        && super::lost::lost_of(scan, song.id).is_empty()
        && scan.models.iter().all(|model| {
            song.embeddings.contains_key(model)
                || (is_built_in(model) && song.is_silent())
                || scan.memory.has(Finding::Nothing, model, song.id)
        })
}

/// Whether segments of a song are wanted, and this machine does not know
/// that they are kept.
pub(super) fn may_lack_segments(scan: &Scan<'_>, song: SongId) -> bool {
    let lacks =
        |batcher: &Arc<Batcher>| !scan.memory.has(Finding::Segments, &batcher.spec().name, song);
    scan.options.segments && scan.embedders.batchers().iter().any(lacks)
}

// Whether `song` has the genre that the folder of its file is called by.
fn says_its_folder(song: &Song, path: &Path) -> bool {
    song.sources.folder.genres.iter().eq(&genre_of_folder(path))
}

fn is_same(candidate: &Candidate, known: &KnownFile) -> bool {
    known.size == candidate.size && known.modified == candidate.modified
}

/// What a song has to have been embedded by, whether its folder is asked, and where
/// its paths are meant from: with any of it different, what was enough may not
/// be.
pub(super) fn standard(library: &Library, models: &[ModelName], asks_folders: bool) -> i64 {
    let mut names: Vec<&str> = models.iter().map(ModelName::as_str).collect();
    names.sort_unstable();
    let root = library.root().map(encode_path).unwrap_or_default();
    let text = format!("{} {} {root}", songrec_audio::dsp::FEATURES_VERSION, names.join(" "));
    let text = if asks_folders { format!("{text}\nfolders") } else { text };
    let [a, b, c, d, e, f, g, h, ..] = Digest::of(text.as_bytes()).0;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}
