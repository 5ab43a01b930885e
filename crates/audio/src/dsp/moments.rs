//! Mean and standard deviation of values that come one by one.

/// Weighted sums of values and of their squares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    weight: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn push(&mut self, value: f64) {
        self.push_weighted(value, 1.0);
    }

    pub(super) fn push_weighted(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        self.sum += weight * value;
        self.squares += weight * value * value;
    }

    /// Adds the values of another.
    pub(super) fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The mean; zero of nothing.
    pub(super) fn mean(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// The population standard deviation; zero of nothing.
    pub(super) fn deviation(&self) -> f64 {
        if self.weight > 0.0 {
            (self.squares / self.weight - self.mean().powi(2)).max(0.0).sqrt()
        } else {
            0.0
        }
    }
}
