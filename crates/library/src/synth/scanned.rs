//! Synths in the files that a scan finds.

use std::path::PathBuf;

use serde::Serialize;
use songrec_core::{Event, Hint, ScanItem, encode_path};

use super::{
    IntakeMode, IntakeOptions, SynthFile, SynthIntake, TakenIn, TakenSynth,
    intake::{is_of_library, text_of},
    source::{self, NONE},
};
use crate::{Error, Job, Library, Result, work::blocking};

/// What a scan did with the synths that it found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SynthsScanned {
    /// Synths that are new.
    pub added: u64,
    /// Synths whose file has another source for them.
    pub updated: u64,
    /// Synths whose file is elsewhere.
    pub moved: u64,
    /// Synths that are as they were.
    pub unchanged: u64,
    /// Synths that were removed, and are left alone.
    pub forgotten: u64,
    /// Synths that could not be taken in, and files that could not be read.
    pub failed: u64,
    /// Files without a synth.
    pub without: u64,
}

impl SynthsScanned {
    /// Everything that was found.
    pub const fn found(&self) -> u64 {
        self.added + self.updated + self.moved + self.unchanged + self.forgotten + self.failed
    }
}

/// Takes in the synths of files that a scan found. Says of each file what became of it,
/// and to `failed` which could not be taken in.
pub(crate) async fn scan_files(
    library: &Library,
    files: Vec<PathBuf>,
    again: bool,
    dry_run: bool,
    job: &Job,
    failed: &(dyn Fn(&str, &Error) + Sync),
) -> Result<SynthsScanned> {
    let mut done = SynthsScanned::default();
    if files.is_empty() {
        return Ok(done);
    }
    let mode = IntakeMode::Scan { again };
    let options = IntakeOptions { mode, name: None, dry_run };
    let mut intake = SynthIntake::new(library, options).await?;
    let fail = |path: &str, error: &Error| {
        let reason = Hint::from(error.in_one_line());
        job.on(Event::Failed { item: path, reason: &reason });
        failed(path, error);
    };
    for path in files {
        if job.is_interrupted() {
            break;
        }
        let shown = encode_path(&path);
        let text = blocking(move || text_of(&path).map(|text| (path, text))).await?;
        let outcomes = match text {
            Ok((_, text)) if source_is_none(&text) => {
                done.without += 1;
                continue;
            }
            Ok((path, text)) => {
                let file = SynthFile { path: Some(library.stored_path(&path)), text };
                match intake.take_in(&file).await {
                    Err(error) if is_of_library(&error) => return Err(error),
                    Err(error) => vec![Err(error)],
                    Ok(outcomes) => outcomes,
                }
            }
            Err(error) => vec![Err(error)],
        };
        for outcome in outcomes {
            match outcome {
                Ok(taken) => count(&mut done, taken, &shown, job),
                Err(error) => {
                    done.failed += 1;
                    fail(&shown, &error);
                }
            }
        }
    }
    for (id, error) in intake.finish().await? {
        done.added -= 1;
        done.failed += 1;
        fail(&id, &error);
    }
    Ok(done)
}

fn source_is_none(text: &str) -> bool {
    source::read(text, None).is_err_and(|why| why == NONE)
}

fn count(done: &mut SynthsScanned, taken: TakenSynth, path: &str, job: &Job) {
    let (id, name, path) = (taken.synth.id, taken.synth.name, path.to_owned());
    let item = match taken.how {
        TakenIn::Added => {
            done.added += 1;
            ScanItem::SynthAdded { id, name, path }
        }
        TakenIn::Updated => {
            done.updated += 1;
            ScanItem::SynthUpdated { id, name, path }
        }
        TakenIn::Moved => {
            done.moved += 1;
            let from = taken.from.unwrap_or_default();
            ScanItem::SynthMoved { id, name, path, from }
        }
        TakenIn::Known => {
            done.unchanged += 1;
            return;
        }
        TakenIn::Forgotten => {
            done.forgotten += 1;
            return;
        }
    };
    job.on(Event::Scanned { item: &item });
}
