//! What a person can do about what goes wrong with a library in Astra.
//!
//! The client knows the database alone, and says what can be done there.

use songrec_core::{Hint, Remedy};

use crate::client::{Error, Problem};

/// What a person can do about an error of the client.
pub(crate) fn hint_of(error: &Error) -> Hint {
    match error.problem() {
        Problem::Throttled => {
            Hint::of("wait a little, or do less at once with {}", [Remedy::FewerJobs])
        }
        Problem::NoKeyspace | Problem::NoCollection => no_library(),
        Problem::CollectionDiffers => Hint::of(
            "run {} to see the difference; use another keyspace, or delete the collection if \
             nothing in it is needed",
            [Remedy::InitAstra { check: true }],
        ),
        _ => error.hint().into(),
    }
}

/// What to do where there is no library.
pub(crate) fn no_library() -> Hint {
    let init = Remedy::InitAstra { check: false };
    Hint::of("run {}, and check `ASTRA_DB_KEYSPACE`", [init])
}

/// What to do where something that the library needs is missing.
pub(crate) fn run_init() -> Hint {
    Hint::of("run {}", [Remedy::InitAstra { check: false }])
}

/// What to do where something is damaged.
pub(crate) fn run_verify() -> Hint {
    Hint::of("run {}", [Remedy::Verify { repair: false, read_data: false }])
}

/// What to do where something is damaged that can be put right.
pub(crate) fn run_repair() -> Hint {
    Hint::of("run {}", [Remedy::Verify { repair: true, read_data: false }])
}
