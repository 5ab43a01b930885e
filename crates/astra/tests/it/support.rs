//! A library in the emulator, with its audio in memory.

use std::time::Duration;

use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret, client::Patience};
use songrec_emulator::{Builder, Emulator, Fault, Names, Rule};

/// How to reach the library in `emulator`, with short pauses.
pub(crate) fn config(emulator: &Emulator) -> AstraConfig {
    let mut config = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
    config.blobs = Some(BlobConfig::new("memory:"));
    config.patience = Some(Patience {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        attempts: 25,
        ..Patience::default()
    });
    config
}

/// A new library in an emulator that `builder` describes.
pub(crate) async fn library(builder: Builder) -> (AstraBackend, Emulator) {
    let emulator = builder.start().await.unwrap();
    let backend = AstraBackend::connect(&config(&emulator)).unwrap();
    let report = backend.init(false).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    (backend, emulator)
}

/// The same where 30 % of all requests fail, in every way there is.
pub(crate) async fn faulty_library(builder: Builder) -> (AstraBackend, Emulator) {
    let (backend, emulator) = library(builder).await;
    emulator.faults().add(Rule::one_of(Fault::every_failure()).chance(0.3, 7));
    (backend, emulator)
}

/// The library that `SONGREC_TEST_EMULATOR` asks for.
pub(crate) async fn chosen_library() -> (AstraBackend, Emulator) {
    let builder = Emulator::builder();
    match std::env::var("SONGREC_TEST_EMULATOR").as_deref() {
        Ok("faulty") => faulty_library(builder).await,
        Ok("small") => library(builder.page_size(7).error_names(Names::Old)).await,
        Ok(other) => panic!("`{other}` is neither `small` nor `faulty`"),
        Err(_) => library(builder).await,
    }
}
