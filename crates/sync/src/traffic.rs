//! Calls and bytes between two libraries, counted and reported.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use songrec_core::{Event, Progress};

use crate::{Pair, Side};

/// The traffic is reported no more often than this, which looks steady.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Counts calls and bytes, and reports them now and then.
#[derive(Debug)]
pub(crate) struct Traffic {
    requests: Pair<AtomicU64>,
    /// Bytes of embeddings and audio, also of those that had to be sent again.
    bytes: AtomicU64,
    progress: Arc<dyn Progress>,
    began: Instant,
    /// When the traffic was last reported, in milliseconds since `began`.
    reported: AtomicU64,
}

impl Traffic {
    pub(crate) fn reporting_to(progress: Arc<dyn Progress>) -> Self {
        Self {
            requests: Pair::default(),
            bytes: AtomicU64::new(0),
            progress,
            began: Instant::now(),
            reported: AtomicU64::new(0),
        }
    }

    pub(crate) fn count_from_zero(&self) {
        for side in Side::BOTH {
            self.requests[side].store(0, Ordering::Relaxed);
        }
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Counts a call to a library.
    pub(crate) fn request(&self, side: Side) {
        self.requests[side].fetch_add(1, Ordering::Relaxed);
        self.report();
    }

    /// Counts bytes that went over.
    pub(crate) fn bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.report();
    }

    /// The calls that each side got.
    pub(crate) fn requests(&self) -> Pair<u64> {
        Pair::of(|side| self.requests[side].load(Ordering::Relaxed))
    }

    fn report(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reported = self.reported.load(Ordering::Relaxed);
        let is_due = u128::from(now.saturating_sub(reported)) >= REPORT_EVERY.as_millis();
        // Of several callers at once, one reports.
        let reports = is_due
            && self
                .reported
                .compare_exchange(reported, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if reports {
            let Pair { left, right } = self.requests();
            let bytes = self.bytes.load(Ordering::Relaxed);
            self.progress.on(Event::Carried { bytes, requests: left + right });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Reported(Mutex<Vec<(u64, u64)>>);

    impl Progress for Reported {
        fn on(&self, event: Event<'_>) {
            if let Event::Carried { bytes, requests } = event {
                self.0.lock().unwrap().push((bytes, requests));
            }
        }
    }

    #[test]
    fn traffic_is_reported_now_and_then() {
        let reported = Arc::new(Reported::default());
        let mut traffic = Traffic::reporting_to(reported.clone());
        traffic.request(Side::Left);
        traffic.bytes(7);
        assert_eq!(*reported.0.lock().unwrap(), []);

        // Some time later.
        traffic.began = Instant::now().checked_sub(REPORT_EVERY).unwrap();
        traffic.request(Side::Right);
        traffic.bytes(1);

        assert_eq!(*reported.0.lock().unwrap(), [(7, 2)]);
        assert_eq!(traffic.requests(), Pair { left: 1, right: 1 });
        traffic.count_from_zero();
        assert_eq!(traffic.requests(), Pair { left: 0, right: 0 });
    }
}
