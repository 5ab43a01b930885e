//! Random histories, more of them than the contract has.

use songrec_emulator::Emulator;
use songrec_testkit::{conformance, run_case};

use crate::support::library;

/// How many histories; `SONGREC_TEST_HISTORIES` says otherwise, and may name
/// the first one too: `500` or `500@1000`.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("SONGREC_TEST_HISTORIES").unwrap_or_else(|_| "6".to_owned());
    let (count, first) = asked.split_once('@').unwrap_or((&asked, "0"));
    let (count, first): (u64, u64) = (count.parse().unwrap(), first.parse().unwrap());
    first..first + count
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed of the one that failed")]
fn histories_go_as_in_memory_whatever_their_seed() {
    run_case(async {
        for seed in seeds() {
            eprintln!("history {seed}");
            let (backend, _cloud) = library(Emulator::builder()).await;
            conformance::random_history(&backend, seed).await;
        }
    });
}
