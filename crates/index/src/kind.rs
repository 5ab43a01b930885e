/// Which lists an index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// What is faster for the number of rows.
    #[default]
    Auto,
    /// One list of all rows.
    Flat,
    /// Many lists of rows that are near each other.
    Ivf,
}

impl Kind {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Auto => 0,
            Self::Flat => 1,
            Self::Ivf => 2,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Auto, Self::Flat, Self::Ivf].into_iter().find(|kind| kind.code() == code)
    }
}
