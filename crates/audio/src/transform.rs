//! Fourier transforms in float64.
//!
//! rustfft is generic: all of its algorithms are compiled again for each crate and type
//! that makes a plan, which takes longer than all else in this crate. So plans in float64
//! are made here alone, and without instructions of one processor: they are made once, or
//! are nothing beside the network that comes behind them.

use std::sync::Arc;

use rustfft::{Fft, FftPlannerScalar};

/// A transform of `length` complex values, forward, without a scale.
pub fn plan_double(length: usize) -> Arc<dyn Fft<f64>> {
    FftPlannerScalar::new().plan_fft_forward(length)
}
