//! How long to wait, and how often to try.

use std::time::Duration;

/// How long to wait, and how often to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// For one answer.
    pub request: Duration,
    /// For the answer to a change of the schema, which is slow on Astra.
    pub schema: Duration,
    /// For an operation with all its repetitions; a schema change takes as
    /// much longer as its answer does.
    pub operation: Duration,
    /// For an operation at an address where nothing listens: waiting longer
    /// rarely helps, and whoever has a copy can show that meanwhile.
    pub refused: Duration,
    /// For the first sign of life of an endpoint: the first byte of the first
    /// answer, with all repetitions until then. As long as any other operation
    /// if it is not said; who only reads, and could read a copy, says less.
    pub first_answer: Option<Duration>,
    /// How often to try at the most.
    pub attempts: usize,
    /// The pause before the second attempt; it doubles from there, and each is
    /// a random part of that.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(15),
            schema: Duration::from_secs(60),
            operation: Duration::from_secs(90),
            refused: Duration::from_secs(2),
            first_answer: None,
            attempts: 9,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(8),
        }
    }
}
