//! Not asking a server that keeps failing.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many calls have to fail one after the other.
    pub failures: u32,
    /// After this time one call may try again.
    pub rest: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { failures: 3, rest: Duration::from_secs(30) }
    }
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

/// Lets calls through while they succeed. When so many have failed in a row,
/// where calls that were on their way together and fail together are one, it lets none through for a while, so that neither the server nor its users
/// wait for nothing; then a single one may try, and decides.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    clock: Clock,
    state: Mutex<State>,
    // Every failure that counted, ever; changed with `state` locked.
    noticed: AtomicU64,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { since: Instant },
    // A trial is on its way; after it failed, the rest begins anew.
    HalfOpen { since: Instant },
}

/// The right to make one call. Dropped without a verdict, the call counts for
/// nothing.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    // How many failures there had been when the call began.
    after: u64,
    is_trial: bool,
    is_settled: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(options: BreakerOptions, clock: Clock) -> Self {
        Self {
            options,
            clock,
            state: Mutex::new(State::Closed { failures: 0 }),
            noticed: AtomicU64::new(0),
        }
    }

    /// Whether calls go through now.
    pub fn state(&self) -> BreakerState {
        match *self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { since } if self.rest_of(since).is_zero() => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// The right to make a call, or how long to wait for it.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Duration> {
        let mut state = self.lock();
        let is_trial = match *state {
            State::Closed { .. } => false,
            State::Open { since } => {
                let rest = self.rest_of(since);
                if !rest.is_zero() {
                    return Err(rest);
                }
                *state = State::HalfOpen { since };
                true
            }
            // The trial decides; it ends after a request's time at the latest.
            State::HalfOpen { .. } => return Err(Duration::ZERO),
        };
        let after = self.noticed.load(Ordering::SeqCst);
        Ok(Permit { breaker: self, after, is_trial, is_settled: false })
    }

    fn rest_of(&self, since: Instant) -> Duration {
        self.options.rest.saturating_sub(self.clock.now().saturating_duration_since(since))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The server answered as it should.
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        let mut state = self.breaker.lock();
        // An answer to a call from before the rest closes nothing.
        if self.is_trial || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
    }

    /// The server failed.
    pub(crate) fn failed(mut self) {
        self.is_settled = true;
        let mut state = self.breaker.lock();
        let now = self.breaker.clock.now();
        match &mut *state {
            // It was on its way when another one failed: that is one failure.
            State::Closed { .. } if self.after != self.breaker.noticed.load(Ordering::SeqCst) => {}
            State::Closed { failures } => {
                self.breaker.noticed.fetch_add(1, Ordering::SeqCst);
                *failures += 1;
                if *failures >= self.breaker.options.failures {
                    *state = State::Open { since: now };
                }
            }
            State::HalfOpen { .. } if self.is_trial => *state = State::Open { since: now },
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_settled || !self.is_trial {
            return;
        }
        // The trial was given up; the next call may be one.
        let mut state = self.breaker.lock();
        if let State::HalfOpen { since } = *state {
            *state = State::Open { since };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        breaker: Breaker,
        time: Arc<Mutex<Instant>>,
    }

    impl Fixture {
        fn new() -> Self {
            let time = Arc::new(Mutex::new(Instant::now()));
            let shown = time.clone();
            let clock = Clock::new(move || *shown.lock().unwrap());
            Self { breaker: Breaker::new(BreakerOptions::default(), clock), time }
        }

        fn wait(&self, seconds: u64) {
            *self.time.lock().unwrap() += Duration::from_secs(seconds);
        }

        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.breaker.admit().unwrap().failed();
            }
        }
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row() {
        let fixture = Fixture::new();
        let breaker = &fixture.breaker;

        fixture.fail(2);
        breaker.admit().unwrap().succeeded();
        fixture.fail(2);
        assert_eq!(breaker.state(), BreakerState::Closed, "a success begins the count anew");
        fixture.fail(1);

        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(30));
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let fixture = Fixture::new();
        for _ in 0..2 {
            let together: Vec<_> = (0..8).map(|_| fixture.breaker.admit().unwrap()).collect();
            together.into_iter().for_each(Permit::failed);
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
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(1));
        fixture.wait(1);
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "one at a time");
        trial.failed();
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(30), "the rest begins anew");

        fixture.wait(30);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.admit().unwrap().succeeded();
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

        fixture.breaker.admit().unwrap().succeeded();
        assert_eq!(fixture.breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn late_answers_to_old_calls_change_nothing() {
        let fixture = Fixture::new();
        let old = [fixture.breaker.admit().unwrap(), fixture.breaker.admit().unwrap()];
        fixture.fail(3);
        let [succeeds, fails] = old;

        succeeds.succeeded();
        fixture.wait(30);
        fails.failed();

        assert_eq!(fixture.breaker.state(), BreakerState::HalfOpen);
    }
}
