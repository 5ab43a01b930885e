//! What a scan did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::SynthsScanned;

/// What a scan did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScanReport {
    /// Songs that are new.
    pub added: u64,
    /// Songs whose file was retagged, or embedded by more models.
    pub updated: u64,
    /// Files that were known at another place.
    pub moved: u64,
    /// Files with audio that is known from another file, which is still there.
    pub duplicates: u64,
    /// Files that are as they were.
    pub unchanged: u64,
    /// Files whose song was forgotten, and which are left alone.
    pub forgotten: u64,
    /// Files that are known and were not found.
    pub missing: u64,
    /// Files that could not be read.
    pub failed: u64,
    /// Songs that a learned model did not embed, because it failed.
    #[serde(rename = "unheard")]
    pub unembedded: u64,
    /// Songs that were embedded and whose audio is cut off, damaged or silent.
    pub warned: u64,
    /// Files that were not looked at because they could not be read before.
    pub failed_before: u64,
    /// Audio files of formats that are not read, by the endings of their names.
    pub unread: BTreeMap<String, u64>,
    /// Files with synths.
    pub synths: SynthsScanned,
    /// How many files that were left out are listed, if somebody wanted a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// Whether the scan was ended early.
    pub interrupted: bool,
}

impl ScanReport {
    /// All files of songs that were found.
    pub const fn files(&self) -> u64 {
        self.added
            + self.updated
            + self.moved
            + self.duplicates
            + self.unchanged
            + self.forgotten
            + self.failed
            + self.failed_before
    }

    /// Counts what another part of the scan did.
    pub(super) fn add(&mut self, done: &Self) {
        self.added += done.added;
        self.updated += done.updated;
        self.moved += done.moved;
        self.duplicates += done.duplicates;
        self.unchanged += done.unchanged;
        self.forgotten += done.forgotten;
        self.failed += done.failed;
        self.unembedded += done.unembedded;
        self.warned += done.warned;
        self.failed_before += done.failed_before;
    }
}
