//! What a check has found so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use songrec_core::{Event, Hint, Job, ModelName, Remedy};
use songrec_storage::{Finding, Lost};

fn run_repair() -> Hint {
    Hint::of("run {}", [Remedy::Verify { repair: true, read_data: false }])
}

/// What is found, in the order that it is found in.
pub(super) struct Findings<'a> {
    pub(super) found: Vec<Finding>,
    /// Folders that files of songs are in, but which are not there, with the
    /// number of these files.
    pub(super) missing_folders: BTreeMap<PathBuf, u64>,
    /// Songs without audio here, of which another library has a copy.
    pub(super) elsewhere: u64,
    /// Songs that were imported without audio, which nobody has yet.
    pub(super) awaiting: u64,
    /// The models whose indexes are damaged and stay so: what they have is not
    /// compared with songs one by one.
    pub(super) unusable: BTreeSet<ModelName>,
    pub(super) repair: bool,
    pub(super) job: &'a Job,
}

impl Findings<'_> {
    pub(super) fn add(
        &mut self,
        subject: String,
        problem: String,
        repaired: bool,
        hint: impl Into<Hint>,
    ) {
        self.job.on(Event::Failed { item: &subject, reason: &problem.as_str().into() });
        let hint = (!repaired).then(|| hint.into());
        self.found.push(Finding { subject, problem, repaired, hint, lost: None });
    }

    /// Something that is made again of the song's audio.
    pub(super) fn add_lost(
        &mut self,
        subject: String,
        problem: String,
        repaired: bool,
        lost: Lost,
    ) {
        self.add(subject, problem, repaired, run_repair());
        if let Some(finding) = self.found.last_mut() {
            finding.lost = Some(lost);
        }
    }

    /// Something that a repair puts right.
    pub(super) fn add_repairable(&mut self, subject: String, problem: String) {
        self.add(subject, problem, self.repair, run_repair());
    }
}
