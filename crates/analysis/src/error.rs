//! Why there is no answer.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// There are fewer rows than the work needs.
    #[error("{needed} rows or more are needed, and there are {found}")]
    TooFew {
        /// The smallest number of rows.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A value is not finite.
    #[error("row {row} holds a value that is not a finite number")]
    NotFinite {
        /// The first such row.
        row: usize,
    },
    /// A row is longer or shorter than what it is compared with.
    #[error("the row has {found} values; expected {expected}")]
    Dimension {
        /// The right number of values.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// There are not as many labels as rows.
    #[error("there are {found} labels; expected {expected}, one for each row")]
    Labels {
        /// The number of rows.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// There are fewer clusters than the work needs.
    #[error("{needed} clusters or more are needed, and there are {found}")]
    TooFewClusters {
        /// The smallest number of clusters.
        needed: usize,
        /// How many have a row.
        found: usize,
    },
    /// The nodes of a tree do not fit together.
    #[error("this is no tree: {reason}")]
    Tree {
        /// What does not fit.
        reason: &'static str,
    },
    /// A row of zeros has no direction, and no cosine to another one.
    #[error("row {row} is all zeros, which no angle can be measured to")]
    Zero {
        /// The first such row.
        row: usize,
    },
    /// An option has a value that means nothing.
    #[error("{option} is {value}; expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
}

/// The result of analysis.
pub type Result<T> = std::result::Result<T, Error>;
