//! The contract, over the emulator as it is and as it may be.

mod with_pages_of_fifty {
    use songrec_emulator::Emulator;

    songrec_testkit::conformance!(crate::support::library(Emulator::builder()));
}
