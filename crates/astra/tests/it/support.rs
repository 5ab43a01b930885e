//! A library in the emulator, with its audio in memory.

use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_emulator::{Builder, Emulator};

/// How to reach the library in `emulator`.
pub(crate) fn config(emulator: &Emulator) -> AstraConfig {
    let mut config = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
    config.blobs = Some(BlobConfig::new("memory:"));
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
