//! Whether everything is as it should be, and nothing is there for nothing.

use std::time::Duration;

use songrec_core::{Event, Hint, Job, Piece, Remedy, Scan, SongId, Work};
use songrec_storage::{Collected, Finding, Lost, VerifyOptions};

use crate::{Library, Result, scan::lost::LostEmbeddings};

/// Checks the library, and repairs what can be repaired without losing
/// anything. A repair also embeds songs again whose embeddings are lost or
/// damaged, as far as their files are on this machine; they keep everything
/// else.
///
/// When `job` is interrupted, gives what was found until then.
///
/// # Errors
///
/// When the check itself cannot be done; what it finds is no error.
pub async fn verify(library: &Library, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
    let mut findings = library.backend.maintenance().verify(options, job).await?;
    if options.repair {
        look_again_at(library, &findings)?;
        if !job.is_interrupted() {
            bring_back(library, &mut findings, job).await?;
        }
    }
    Ok(findings)
}

// The files of songs that were put aside are new to the next scan.
fn look_again_at(library: &Library, findings: &[Finding]) -> Result<()> {
    let aside = findings.iter().filter_map(|finding| match &finding.lost {
        Some(Lost::Song(song)) => Some(*song),
        Some(Lost::Embedding(..)) | None => None,
    });
    let aside: Vec<SongId> = aside.collect();
    if aside.is_empty() {
        return Ok(());
    }
    let known = crate::scan::known_files(library)?;
    let files = known.of_songs(&aside)?.into_iter().map(|(_, path)| path);
    Ok(known.forget(&files.collect::<Vec<_>>())?)
}

async fn bring_back(library: &Library, findings: &mut [Finding], job: &Job) -> Result<()> {
    let mut lost = LostEmbeddings::new();
    for finding in findings.iter() {
        if let Some(Lost::Embedding(song, model)) = &finding.lost {
            lost.entry(*song).or_default().insert(model.clone());
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let open = crate::scan::lost::embed_again(library, lost, job).await?;
    for finding in findings.iter_mut() {
        let Some(Lost::Embedding(song, model)) = &finding.lost else { continue };
        match open.get(&(*song, model.clone())) {
            None => {
                finding.problem.push_str("; it was embedded again");
                (finding.repaired, finding.hint) = (true, None);
            }
            Some(why) => {
                let scan = Remedy::Scan(Scan::ByModel(Some(model.to_string())));
                finding.hint = Some(Hint::of(
                    "it could not be embedded again: {}; scan a file of it with {}, or sync with a \
                     library that has it",
                    [Piece::from(why.as_str()), scan.into()],
                ));
            }
        }
    }
    Ok(())
}

/// Removes embeddings and copies of audio that no song names, none of them
/// younger than `min_age`. What a deleted song named stays as long as it
/// can be restored. When `job` is interrupted, gives what was removed until then.
///
/// # Errors
///
/// When the library cannot be read or written.
pub async fn collect_garbage(library: &Library, min_age: Duration, job: &Job) -> Result<Collected> {
    job.on(Event::started(Work::RemovingGarbage, None));
    let collected = library.backend.maintenance().collect_garbage(min_age, job).await;
    job.on(Event::Finished);
    Ok(collected?)
}

/// What [`collect_garbage`] would remove now.
///
/// # Errors
///
/// The backend's own.
pub async fn find_garbage(library: &Library, min_age: Duration, job: &Job) -> Result<Collected> {
    job.on(Event::started(Work::LookingForGarbage, None));
    let collected = library.backend.maintenance().find_garbage(min_age, job).await;
    job.on(Event::Finished);
    Ok(collected?)
}
