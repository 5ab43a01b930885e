//! How a run ended.

use std::process::ExitCode;

use songrec_library::{Error, ErrorKind};

/// How a run ended, as its exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Done,
    FoundNothing,
    Usage,
    SomeFailed,
    NotFound,
    Temporary,
    Denied,
    Corrupt,
    Failed,
    NoLibrary,
    Locked,
    Guard,
    Interrupted,
}

pub(crate) const HELP: &str = "\
What the exit codes mean:

    0  done
    1  a search found nothing, or a check found differences
    2  wrong usage or configuration
    3  finished, but some items failed (--keep-going-ok turns it into 0)
    4  a named song or file does not exist
    5  temporary; trying again may help
    6  credentials or permissions
    7  what is stored is damaged, or from a newer version
    8  failed for another reason, such as a full disk
   10  there is no library yet
   11  another process holds what is needed
   12  a guard stopped it before anything was written, such as `--max-delete`
  130  interrupted

A code that is not listed means failure too.";

/// Each code and what it means, as [`HELP`] says it.
pub(crate) fn codes() -> impl Iterator<Item = (u8, &'static str)> {
    HELP.lines().filter_map(|line| {
        let (code, meaning) = line.trim_start().split_once("  ")?;
        Some((code.parse().ok()?, meaning))
    })
}

impl ExitStatus {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::FoundNothing => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::NotFound => 4,
            Self::Temporary => 5,
            Self::Denied => 6,
            Self::Corrupt => 7,
            Self::Failed => 8,
            Self::NoLibrary => 10,
            Self::Locked => 11,
            Self::Guard => 12,
            Self::Interrupted => 130,
        }
    }

    /// The status of an error, wherever in its chain the library's own is.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Error>())
            .map_or(Self::Failed, |error| Self::of_kind(error.kind()))
    }

    pub(crate) const fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Temporary => Self::Temporary,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::NoLibrary => Self::NoLibrary,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Guard => Self::Guard,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Failed => Self::Failed,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_with_its_code() {
        for kind in [
            ErrorKind::Usage,
            ErrorKind::NotFound,
            ErrorKind::Temporary,
            ErrorKind::Denied,
            ErrorKind::Corrupt,
            ErrorKind::NoLibrary,
            ErrorKind::Locked,
            ErrorKind::Guard,
            ErrorKind::Interrupted,
            ErrorKind::Failed,
        ] {
            assert_eq!(ExitStatus::of_kind(kind).code(), kind.code(), "{kind:?}");
        }
    }

    #[test]
    fn every_code_is_explained() {
        assert_eq!(codes().count(), 13);
        for status in [
            ExitStatus::Done,
            ExitStatus::FoundNothing,
            ExitStatus::Usage,
            ExitStatus::SomeFailed,
            ExitStatus::NotFound,
            ExitStatus::Temporary,
            ExitStatus::Denied,
            ExitStatus::Corrupt,
            ExitStatus::Failed,
            ExitStatus::NoLibrary,
            ExitStatus::Locked,
            ExitStatus::Guard,
            ExitStatus::Interrupted,
        ] {
            assert!(codes().any(|(code, _)| code == status.code()), "{status:?}");
        }
    }
}
