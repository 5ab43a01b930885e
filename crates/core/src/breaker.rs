//! A circuit breaker: not asking a server that keeps failing.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many requests have to fail one after the other.
    pub failures: u32,
    /// How long nothing is sent after that; then one request may try.
    pub rest: Duration,
    /// The rest doubles with each trial that fails, up to this.
    pub longest_rest: Duration,
}

/// Tells the time; tests move it by themselves.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// A clock that is asked for the time by calling `now`.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(Instant::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Whether calls go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All calls go through.
    Closed,
    /// None does, for some time.
    Open,
    /// One call tries whether the server is back.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// Sends requests while they succeed. After some failures in a row it sends
/// nothing for a while, so that neither the server nor its users wait for
/// nothing; then a single request tries, and its fate decides.
///
/// Requests that were on their way when another one failed, and fail as well,
/// are the same failure: a pause of the server that eight requests meet side
/// by side is one pause.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    clock: Clock,
    state: Mutex<Failures>,
}

#[derive(Debug)]
struct Failures {
    circuit: Circuit,
    // Failures that counted, ever.
    noticed: u64,
    // Nothing even listened when the last request failed.
    refused: bool,
    rest: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Circuit {
    Closed { failures: u32 },
    Open { since: Instant },
    // A trial is on its way; `since` is when the rest before it began.
    HalfOpen { since: Instant },
}

/// Why a [`Breaker`] lets no request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// After this time it is worth asking again.
    pub left: Duration,
    /// Nothing listened at the address, so that waiting rarely helps.
    pub refused: bool,
}

/// How long to wait for the fate of a trial before asking again.
const TRIAL: Duration = Duration::from_millis(100);

/// The right to send one request. If it is dropped without a result, the
/// request counts for nothing.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    // Failures that had been noticed when the request was sent.
    after: u64,
    is_trial: bool,
    has_result: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(options: BreakerOptions, clock: Clock) -> Self {
        let circuit = Circuit::Closed { failures: 0 };
        let state = Failures { circuit, noticed: 0, refused: false, rest: options.rest };
        Self { options, clock, state: Mutex::new(state) }
    }

    /// Whether requests are sent now.
    pub fn state(&self) -> BreakerState {
        let state = self.lock();
        match state.circuit {
            Circuit::Closed { .. } => BreakerState::Closed,
            Circuit::Open { since } if self.left(&state, since).is_zero() => BreakerState::HalfOpen,
            Circuit::Open { .. } => BreakerState::Open,
            Circuit::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// The right to send a request.
    ///
    /// # Errors
    ///
    /// While the server is left alone: how long, and why.
    pub fn admit(&self) -> Result<Permit<'_>, Rest> {
        let mut state = self.lock();
        let is_trial = match state.circuit {
            Circuit::Closed { .. } => false,
            Circuit::Open { since } => {
                let left = self.left(&state, since);
                if !left.is_zero() {
                    return Err(Rest { left, refused: state.refused });
                }
                state.circuit = Circuit::HalfOpen { since };
                true
            }
            // The trial decides; it ends after the time of a request.
            Circuit::HalfOpen { .. } => {
                return Err(Rest { left: TRIAL, refused: state.refused });
            }
        };
        Ok(Permit { breaker: self, after: state.noticed, is_trial, has_result: false })
    }

    fn left(&self, state: &Failures, since: Instant) -> Duration {
        state.rest.saturating_sub(self.clock.now().saturating_duration_since(since))
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The server answered, whatever it said. An answer to a request that was
    /// sent before the server was left alone changes nothing.
    pub fn answered(mut self) {
        self.has_result = true;
        let mut state = self.breaker.lock();
        if self.is_trial || matches!(state.circuit, Circuit::Closed { .. }) {
            state.circuit = Circuit::Closed { failures: 0 };
            state.rest = self.breaker.options.rest;
        }
    }

    /// The server did not answer, or failed; `refused` if nothing listened at
    /// its address.
    pub fn failed(mut self, refused: bool) {
        self.has_result = true;
        let options = &self.breaker.options;
        let now = self.breaker.clock.now();
        let mut state = self.breaker.lock();
        match state.circuit {
            // It was on its way when another one failed: that is one failure.
            Circuit::Closed { .. } if self.after != state.noticed => return,
            Circuit::Closed { failures } => {
                let failures = failures + 1;
                state.circuit = match failures >= options.failures {
                    true => Circuit::Open { since: now },
                    false => Circuit::Closed { failures },
                };
            }
            Circuit::HalfOpen { .. } if self.is_trial => {
                state.rest = (state.rest * 2).min(options.longest_rest);
                state.circuit = Circuit::Open { since: now };
            }
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => return,
        }
        state.noticed += 1;
        state.refused = refused;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.has_result || !self.is_trial {
            return;
        }
        // The trial was given up; the next request may be one.
        let mut state = self.breaker.lock();
        if let Circuit::HalfOpen { since } = state.circuit {
            state.circuit = Circuit::Open { since };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BreakerOptions = BreakerOptions {
        failures: 3,
        rest: Duration::from_secs(30),
        longest_rest: Duration::from_secs(100),
    };

    struct Fixture {
        breaker: Breaker,
        time: Arc<Mutex<Instant>>,
    }

    impl Fixture {
        fn new() -> Self {
            let time = Arc::new(Mutex::new(Instant::now()));
            let shown = time.clone();
            let clock = Clock::new(move || *shown.lock().unwrap());
            Self { breaker: Breaker::new(OPTIONS, clock), time }
        }

        fn wait(&self, seconds: u64) {
            *self.time.lock().unwrap() += Duration::from_secs(seconds);
        }

        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.breaker.admit().unwrap().failed(false);
            }
        }
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row() {
        let fixture = Fixture::new();
        let breaker = &fixture.breaker;

        fixture.fail(2);
        breaker.admit().unwrap().answered();
        fixture.fail(2);
        assert_eq!(breaker.state(), BreakerState::Closed, "a success begins the count anew");
        fixture.fail(1);

        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit().unwrap_err().left, Duration::from_secs(30));
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let fixture = Fixture::new();
        for _ in 0..2 {
            let together: Vec<_> = (0..8).map(|_| fixture.breaker.admit().unwrap()).collect();
            together.into_iter().for_each(|permit| permit.failed(false));
        }
        assert_eq!(fixture.breaker.state(), BreakerState::Closed);

        fixture.fail(1);

        assert_eq!(fixture.breaker.state(), BreakerState::Open);
    }

    #[test]
    fn after_thirty_seconds_a_single_call_decides() {
        let fixture = Fixture::new();
        let breaker = &fixture.breaker;
        fixture.fail(3);

        fixture.wait(29);
        assert_eq!(breaker.admit().unwrap_err().left, Duration::from_secs(1));
        fixture.wait(1);
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "one at a time");
        trial.failed(false);
        assert_eq!(breaker.admit().unwrap_err().left, Duration::from_secs(60), "it gets longer");

        fixture.wait(60);
        breaker.admit().unwrap().failed(false);
        assert_eq!(breaker.admit().unwrap_err().left, OPTIONS.longest_rest);
        fixture.wait(100);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.admit().unwrap().answered();
        assert_eq!(breaker.state(), BreakerState::Closed);
        fixture.fail(2);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_trial_that_was_given_up_lets_the_next_one_try() {
        let fixture = Fixture::new();
        fixture.fail(3);
        fixture.wait(30);

        drop(fixture.breaker.admit().unwrap());

        fixture.breaker.admit().unwrap().answered();
        assert_eq!(fixture.breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn late_answers_to_old_calls_change_nothing() {
        let fixture = Fixture::new();
        let old = [fixture.breaker.admit().unwrap(), fixture.breaker.admit().unwrap()];
        fixture.fail(3);
        let [succeeds, fails] = old;

        succeeds.answered();
        fixture.wait(30);
        fails.failed(false);

        assert_eq!(fixture.breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn a_rest_says_whether_anything_listened() {
        let fixture = Fixture::new();
        fixture.fail(2);
        fixture.breaker.admit().unwrap().failed(true);

        assert!(fixture.breaker.admit().unwrap_err().refused);
    }

    #[test]
    fn an_answer_makes_the_next_rest_short_again() {
        let fixture = Fixture::new();
        fixture.fail(3);
        fixture.wait(30);
        fixture.fail(1);
        fixture.wait(60);
        fixture.breaker.admit().unwrap().answered();

        fixture.fail(3);

        assert_eq!(fixture.breaker.admit().unwrap_err().left, OPTIONS.rest);
    }
}
