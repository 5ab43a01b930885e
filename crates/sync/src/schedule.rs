//! What a sync does only once in a while, with the time at which it last did.

use std::time::Duration;

use songrec_core::Timestamp;

use crate::{Result, Side, SyncState};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that a sync does once in a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chore {
    /// Comparing all songs, though nothing asks for it.
    FullPass,
    /// Announcing this machine at a library that it only reads.
    Announcement(Side),
    /// Checking how far the purging of tombstones is.
    PurgeRound(Side),
}

impl Chore {
    // The name under which the state keeps the time.
    const fn name(self) -> &'static str {
        match self {
            Self::FullPass => "full_at",
            Self::Announcement(Side::Left) => "said_left",
            Self::Announcement(Side::Right) => "said_right",
            Self::PurgeRound(Side::Left) => "rounds_at_left",
            Self::PurgeRound(Side::Right) => "rounds_at_right",
        }
    }

    const fn interval(self) -> Duration {
        match self {
            Self::FullPass => DAY.saturating_mul(30),
            Self::Announcement(_) | Self::PurgeRound(_) => DAY,
        }
    }

    /// Whether it was never done, or too long ago. It is also due if the clock
    /// went back by as much.
    pub(crate) fn is_due(self, state: &SyncState, now: Timestamp) -> bool {
        let Ok(Some(last)) = state.meta::<Timestamp>(self.name()) else { return true };
        now.duration_since(last).unsigned_abs() >= self.interval()
    }

    /// Remembers that it was done.
    pub(crate) fn note_done(self, state: &SyncState, now: Timestamp) -> Result<()> {
        state.set_meta(self.name(), &now)
    }
}
