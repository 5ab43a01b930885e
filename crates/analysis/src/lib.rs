//! What a set of vectors is like: clusters, outliers, maps, evaluation.
//!
//! Pure functions over borrowed [`Rows`]. Each takes what it needs of chance from a
//! seed and gives the same answer with one thread and with sixteen. Each takes a
//! [`Job`](songrec_core::Job), which it tells how it goes on and which may end it.

mod error;
mod evaluation;
mod rows;

pub use error::{Error, Result};
pub use evaluation::{
    Estimate, Evaluation, EvaluationOptions, NO_GROUP, PRECISION_AT, Pair, estimate, evaluate,
};
pub use rows::Rows;
