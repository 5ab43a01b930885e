//! Trying again what failed for a moment: how often, and after which pauses.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How often to try, and how long to wait before each further attempt.
///
/// Plain data: who makes the attempts also sleeps, with its own clock, and gives
/// the random numbers. Pauses grow exponentially and are spread at random, so
/// that clients that failed together do not come back together (Brooker, 2015,
/// "Exponential Backoff and Jitter").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often to try at the most, the first attempt included. 0 counts as 1.
    pub attempts: u32,
    /// The pause before the second attempt, before it is spread.
    pub first_pause: Duration,
    /// How many times longer each pause is than the one before.
    pub factor: u32,
    /// The longest pause, before it is spread.
    pub longest_pause: Duration,
    /// Each pause is multiplied by a number that is uniform between these two.
    pub spread: (f64, f64),
    /// How long all attempts and pauses may take: no pause begins that would not
    /// end before that.
    pub total: Duration,
    /// A server that asks for a longer pause than this is not asked again.
    pub longest_wait: Duration,
}

impl RetryPolicy {
    /// Pauses are what they are.
    pub const NO_SPREAD: (f64, f64) = (1.0, 1.0);
    /// Each pause is a random part of what it could be: "full jitter".
    pub const FULL_SPREAD: (f64, f64) = (0.0, 1.0);

    /// The pauses of one operation, all of them still ahead.
    pub fn start(self) -> Retries {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.first_pause.min(self.longest_pause))
            .with_factor(self.factor as f32)
            .with_max_delay(self.longest_pause)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
            .build();
        Retries { policy: self, pauses }
    }
}

/// For a server on the internet: nine attempts within 90 s, with full jitter.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 9,
            first_pause: Duration::from_millis(100),
            factor: 2,
            longest_pause: Duration::from_secs(8),
            spread: Self::FULL_SPREAD,
            total: Duration::from_secs(90),
            longest_wait: Duration::MAX,
        }
    }
}

/// An attempt that failed, and may succeed when it is repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The time since the first attempt began, pauses included.
    pub elapsed: Duration,
    /// How long the server asks to wait (`Retry-After`), if it does.
    pub asked: Option<Duration>,
    /// A shorter time for all attempts than that of the policy, if what failed
    /// makes long waiting pointless.
    pub total: Option<Duration>,
}

/// What is left of the attempts of one operation.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    // Before they are spread.
    pauses: ExponentialBackoff,
}

impl Retries {
    /// The pause before the next attempt, or nothing if there is none any more.
    /// `random` is uniform from 0 to 1; the same numbers give the same pauses.
    ///
    /// What the server asks for is a lower bound.
    pub fn after(&mut self, failed: FailedAttempt, random: f64) -> Option<Duration> {
        let policy = &self.policy;
        let asked = failed.asked.unwrap_or_default();
        let pause = self.pauses.next().filter(|_| asked <= policy.longest_wait)?;
        let (low, high) = policy.spread;
        let seconds = pause.as_secs_f64() * (low + (high - low) * random).max(0.0);
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).max(asked);
        let total = failed.total.map_or(policy.total, |total| total.min(policy.total));
        (failed.elapsed.saturating_add(pause) < total).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 6,
        first_pause: Duration::from_millis(100),
        factor: 3,
        longest_pause: Duration::from_secs(2),
        spread: RetryPolicy::NO_SPREAD,
        total: Duration::MAX,
        longest_wait: Duration::from_secs(60),
    };

    // The pauses in milliseconds after attempts that take no time, when the
    // random numbers are always `random`.
    fn pauses(policy: RetryPolicy, random: f64) -> Vec<u128> {
        let mut retries = policy.start();
        let mut elapsed = Duration::ZERO;
        std::iter::from_fn(|| {
            let pause = retries.after(FailedAttempt { elapsed, ..Default::default() }, random)?;
            elapsed += pause;
            Some(pause.as_millis())
        })
        .collect()
    }

    #[test]
    fn pauses_grow_by_the_factor_up_to_the_longest_one() {
        assert_eq!(pauses(POLICY, 0.5), [100, 300, 900, 2_000, 2_000]);
        assert_eq!(pauses(RetryPolicy { factor: 1, ..POLICY }, 0.5), [100; 5]);
    }

    #[test]
    fn there_are_as_many_attempts_as_the_policy_allows() {
        assert_eq!(pauses(RetryPolicy { attempts: 2, ..POLICY }, 0.0).len(), 1);
        assert_eq!(pauses(RetryPolicy { attempts: 1, ..POLICY }, 0.0).len(), 0);
        assert_eq!(pauses(RetryPolicy { attempts: 0, ..POLICY }, 0.0).len(), 0);
    }

    #[test]
    fn the_spread_is_linear_in_the_random_number() {
        let full = RetryPolicy { spread: RetryPolicy::FULL_SPREAD, attempts: 3, ..POLICY };
        assert_eq!(pauses(full, 0.0), [0, 0]);
        assert_eq!(pauses(full, 0.5), [50, 150]);
        let upward = RetryPolicy { spread: (1.0, 2.0), attempts: 3, ..POLICY };
        assert_eq!(pauses(upward, 0.25), [125, 375]);
    }

    #[test]
    fn no_pause_begins_that_would_end_after_the_total_time() {
        // 100 + 300 + 900 is 1,300 ms.
        assert_eq!(
            pauses(RetryPolicy { total: Duration::from_millis(1_301), ..POLICY }, 0.5).len(),
            3
        );
        assert_eq!(
            pauses(RetryPolicy { total: Duration::from_millis(1_300), ..POLICY }, 0.5).len(),
            2
        );
        let failed = FailedAttempt { total: Some(Duration::from_millis(50)), ..Default::default() };
        assert_eq!(POLICY.start().after(failed, 0.5), None, "a shorter time counts");
        let short = RetryPolicy { total: Duration::from_millis(50), ..POLICY };
        let failed = FailedAttempt { total: Some(Duration::from_secs(9)), ..Default::default() };
        assert_eq!(short.start().after(failed, 0.5), None, "and a longer one does not");
    }

    #[test]
    fn a_server_is_given_the_time_that_it_asks_for_unless_that_is_too_long() {
        let after = |seconds| {
            let asked = Some(Duration::from_secs(seconds));
            POLICY.start().after(FailedAttempt { asked, ..Default::default() }, 0.5)
        };
        assert_eq!(after(0), Some(Duration::from_millis(100)));
        assert_eq!(after(60), Some(Duration::from_secs(60)), "longer than the longest pause");
        assert_eq!(after(61), None);
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let extreme = RetryPolicy {
            attempts: u32::MAX,
            first_pause: Duration::MAX,
            factor: u32::MAX,
            longest_pause: Duration::MAX,
            ..POLICY
        };
        let mut retries = extreme.start();
        let failed = FailedAttempt { elapsed: Duration::MAX, ..Default::default() };

        assert_eq!(retries.after(failed, 0.5), None, "the time is over");
        assert_eq!(retries.after(failed, f64::MAX), None);
    }
}
