//! How long to wait for an answer, and for all attempts at one.

use std::time::Duration;

use songrec_core::RetryPolicy;

/// How long to wait for an answer, and for all attempts at one.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// For one answer.
    pub request: Duration,
    /// For the answer to a change of the schema, which is slow on Astra. Such an
    /// operation takes twice as much longer in all.
    pub schema: Duration,
    /// For an operation at an address where nothing listens: waiting longer
    /// rarely helps, and a caller that has a copy can show that meanwhile.
    pub refused: Duration,
    /// For the first sign of life of an endpoint: the first byte of the first
    /// answer, with all attempts until then. As long as any other operation
    /// if it is not given; a caller that only reads, and could read a copy, gives
    /// less.
    pub first_answer: Option<Duration>,
    /// How often a request is sent, and for how long in all.
    pub retry: RetryPolicy,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(15),
            schema: Duration::from_secs(60),
            refused: Duration::from_secs(2),
            first_answer: None,
            retry: RetryPolicy::default(),
        }
    }
}
