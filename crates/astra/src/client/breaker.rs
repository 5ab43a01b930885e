//! Leaves an endpoint alone that does not answer.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Sends nothing while an endpoint is dead: after some failures in a row
/// nothing is sent for a while; then one request tries, and its fate decides.
///
/// Requests that were on their way when another one failed, and fail as well,
/// are the same failure: a pause of the server that eight requests meet side by
/// side is one pause.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures: u32,
    // Every one that counted, ever.
    noticed: u64,
    refused: bool,
    rest: Duration,
    until: Option<Instant>,
    trying: bool,
}

/// A request that was let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    // How many failures there had been when it was sent.
    after: u64,
    // It is the one that tries whether the endpoint is back.
    is_trial: bool,
}

/// Why nothing is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// After this time it is worth asking again.
    pub(super) left: Duration,
    /// Nothing listened there, so that waiting rarely helps.
    pub(super) refused: bool,
}

/// So many failures in a row mean that the endpoint is dead.
const FAILURES: u32 = 8;
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How long to wait for the fate of a request that tries.
const TRIAL: Duration = Duration::from_millis(100);

impl State {
    const fn closed(noticed: u64) -> Self {
        Self { failures: 0, noticed, refused: false, rest: FIRST_REST, until: None, trying: false }
    }
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self { state: Mutex::new(State::closed(0)) }
    }

    /// Whether a request may be sent now.
    pub(super) fn admit(&self, now: Instant) -> Result<Admission, Rest> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = state.until else {
            return Ok(Admission { after: state.noticed, is_trial: false });
        };
        if now < until || state.trying {
            let left = until.saturating_duration_since(now).max(TRIAL);
            return Err(Rest { left, refused: state.refused });
        }
        state.trying = true;
        // A trial whose caller went away must not keep all others out.
        state.until = Some(now + state.rest);
        Ok(Admission { after: state.noticed, is_trial: true })
    }

    /// Something answered, whatever it said.
    pub(super) fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::closed(state.noticed);
    }

    /// Nothing answered; `refused` if nothing even listened.
    pub(super) fn failed(&self, request: Admission, now: Instant, refused: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if request.after != state.noticed && !request.is_trial {
            return;
        }
        state.failures += 1;
        state.noticed += 1;
        state.refused = refused;
        if request.is_trial {
            state.trying = false;
            state.rest = (state.rest * 2).min(LONGEST_REST);
        }
        if state.failures >= FAILURES {
            state.until = Some(now + state.rest);
        }
    }

    /// A request was given up without an answer of either kind.
    pub(super) fn abandoned(&self, request: Admission) {
        if request.is_trial {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    // One request after the other, each of which fails; when the last one did.
    fn fail(breaker: &Breaker, times: u32, start: Instant) -> Instant {
        (0..times).fold(start, |now, _| {
            let request = breaker.admit(now).unwrap();
            breaker.failed(request, now + MOMENT, false);
            now + MOMENT * 2
        })
    }

    #[test]
    fn a_dead_endpoint_is_left_alone_and_then_tried_once() {
        let breaker = Breaker::new();
        let dead = fail(&breaker, FAILURES, Instant::now());
        assert!(breaker.admit(dead).unwrap_err().left <= FIRST_REST);

        let later = dead + FIRST_REST;
        let trial = breaker.admit(later).expect("one may try");
        assert!(breaker.admit(later).is_err(), "only one");

        breaker.failed(trial, later, false);
        assert!(breaker.admit(later + FIRST_REST).is_err(), "the rest gets longer");
        breaker.admit(later + FIRST_REST * 2).unwrap();
        breaker.answered();
        breaker.admit(later).unwrap();
    }

    #[test]
    fn what_fails_together_is_one_failure() {
        let (breaker, mut now) = (Breaker::new(), Instant::now());
        for _ in 1..FAILURES {
            let together: Vec<_> = (0..16).map(|_| breaker.admit(now).unwrap()).collect();
            now += Duration::from_secs(15);
            together.into_iter().for_each(|request| breaker.failed(request, now, false));
            now += MOMENT;
        }
        breaker.admit(now).expect("seven pauses are not eight");

        let request = breaker.admit(now).unwrap();
        breaker.failed(request, now, false);

        assert!(breaker.admit(now).is_err());
    }

    #[test]
    fn a_late_failure_does_not_lengthen_the_rest() {
        let (breaker, start) = (Breaker::new(), Instant::now());
        let late = breaker.admit(start).unwrap();
        let dead = fail(&breaker, FAILURES, start + MOMENT);
        let trial = breaker.admit(dead + FIRST_REST).unwrap();

        breaker.failed(late, dead + FIRST_REST, false);
        assert!(breaker.admit(dead + FIRST_REST).is_err(), "the trial is still on its way");
        breaker.answered();

        assert!(!late.is_trial && trial.is_trial);
        breaker.admit(dead).unwrap();
    }

    #[test]
    fn a_lost_trial_does_not_block_for_ever() {
        let breaker = Breaker::new();
        let dead = fail(&breaker, FAILURES, Instant::now());
        let trial = breaker.admit(dead + FIRST_REST).unwrap();

        breaker.abandoned(trial);

        breaker.admit(dead + FIRST_REST * 3).unwrap();
    }

    #[test]
    fn who_is_refused_is_told_so() {
        let (breaker, mut now) = (Breaker::new(), Instant::now());
        for _ in 0..FAILURES {
            let request = breaker.admit(now).unwrap();
            now += MOMENT;
            breaker.failed(request, now, true);
            now += MOMENT;
        }

        assert!(breaker.admit(now).unwrap_err().refused);
    }
}
