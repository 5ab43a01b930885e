/// What near means. Similarity is always higher when nearer, distance lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Similarity is the cosine of the angle, distance `1 − cosine`.
    Cosine,
    /// Similarity is the dot product, distance `1 − dot`: the same as cosine
    /// for unit vectors, and negative for long ones.
    Dot,
    /// Distance is the length `d` of the difference, similarity `1 / (1 + d²)`.
    Euclidean,
}

impl Metric {
    /// Similarity and distance of a row, from sums over both vectors.
    ///
    /// `score` orders the same way as similarity, but is what can be computed
    /// and compared fast: the cosine, the dot product, or minus `d²`.
    pub(crate) fn measure(self, score: f64) -> (f64, f64) {
        match self {
            Self::Cosine | Self::Dot => (score, 1.0 - score),
            Self::Euclidean => {
                let square = (-score).max(0.0);
                (1.0 / (1.0 + square), square.sqrt())
            }
        }
    }

    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Cosine => 0,
            Self::Dot => 1,
            Self::Euclidean => 2,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Cosine, Self::Dot, Self::Euclidean].into_iter().find(|metric| metric.code() == code)
    }
}
