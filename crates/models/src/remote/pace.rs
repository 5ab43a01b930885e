//! Not asking a server more often than it allows.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What a server counts requests in.
const MINUTE: Duration = Duration::from_secs(60);

/// Lets a number of requests of this process through in any 60 s; the next ones wait.
///
/// The first ones go at once, which is what a person notices.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many; 0 is as many as there are.
    per_minute: usize,
    /// When the last of them may be sent, the first one first.
    sent: Mutex<VecDeque<Instant>>,
}

impl Pace {
    pub(super) fn new(per_minute: usize) -> Self {
        Self { per_minute, sent: Mutex::default() }
    }

    /// Takes the next place, and says how long after `now` it is. Who goes away meanwhile
    /// leaves it empty.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        if self.per_minute == 0 {
            return Duration::ZERO;
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let free = match sent.len() >= self.per_minute {
            true => sent.pop_front().map_or(now, |first| first + MINUTE),
            false => now,
        };
        let at = free.max(now);
        sent.push_back(at);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_requests_than_are_allowed() {
        let (pace, began) = (Pace::new(3), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        for now in [0, 0, 10, 10, 10, 10, 200] {
            sent.push(now + pace.wait(at(now)).as_secs());
        }

        assert_eq!(sent, [0, 0, 10, 60, 60, 70, 200]);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let (pace, now) = (Pace::new(0), Instant::now());

        assert!((0..1000).all(|_| pace.wait(now).is_zero()));
    }
}
