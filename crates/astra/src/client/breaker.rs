//! Leaves an endpoint alone that does not answer.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Fails fast while an endpoint is dead: after some failures in a row nothing
/// is sent for a while; then one request tries, and its fate decides.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures: u32,
    rest: Duration,
    until: Option<Instant>,
    trying: bool,
}

/// So many failures in a row mean that the endpoint is dead.
const FAILURES: u32 = 8;
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

impl Breaker {
    pub(super) const fn new() -> Self {
        let state = State { failures: 0, rest: FIRST_REST, until: None, trying: false };
        Self { state: Mutex::new(state) }
    }

    /// Whether a request may be sent now.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.until {
            None => true,
            Some(until) if now < until || state.trying => false,
            Some(_) => {
                state.trying = true;
                // A probe whose caller went away must not keep all others out.
                state.until = Some(now + state.rest);
                true
            }
        }
    }

    /// Something answered, whatever it said.
    pub(super) fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { failures: 0, rest: FIRST_REST, until: None, trying: false };
    }

    /// Nothing answered.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        if state.trying {
            state.rest = (state.rest * 2).min(LONGEST_REST);
        }
        if state.failures >= FAILURES {
            state.until = Some(now + state.rest);
        }
        state.trying = false;
    }

    /// The probe was given up without an answer of either kind.
    pub(super) fn abandoned(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).trying = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_endpoint_is_left_alone_and_then_tried_once() {
        let (breaker, start) = (Breaker::new(), Instant::now());
        for _ in 0..FAILURES {
            assert!(breaker.admits(start));
            breaker.failed(start);
        }
        assert!(!breaker.admits(start));

        let later = start + FIRST_REST;
        assert!(breaker.admits(later), "one may try");
        assert!(!breaker.admits(later), "only one");

        breaker.failed(later);
        assert!(!breaker.admits(later + FIRST_REST), "the rest gets longer");
        assert!(breaker.admits(later + FIRST_REST * 2));
        breaker.answered();
        assert!(breaker.admits(later));
    }

    #[test]
    fn a_lost_probe_does_not_block_for_ever() {
        let (breaker, start) = (Breaker::new(), Instant::now());
        (0..FAILURES).for_each(|_| breaker.failed(start));
        assert!(breaker.admits(start + FIRST_REST));

        breaker.abandoned();

        assert!(breaker.admits(start + FIRST_REST * 3));
    }
}
