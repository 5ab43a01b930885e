//! A library in the emulator, with its audio in an S3 server.

use std::{ops::Deref, time::Duration};

use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret, client::Timeouts};
use songrec_core::RetryPolicy;
use songrec_emulator::{Builder, Emulator, Fault, Names, Rule};
use songrec_testkit::s3::{self, S3Server};

/// Both servers of a library.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) s3: S3Server,
}

// Most tests are about the Data API.
impl Deref for Cloud {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

/// How to reach the library in `emulator`, with short pauses, and with audio in
/// memory.
pub(crate) fn config(emulator: &Emulator) -> AstraConfig {
    let mut config = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
    config.blobs = Some(BlobConfig::new("memory:"));
    config.timeouts = Some(Timeouts {
        retry: RetryPolicy {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            attempts: 25,
            ..RetryPolicy::default()
        },
        ..Timeouts::default()
    });
    config
}

/// Audio in `s3`, with nothing wrong about it.
pub(crate) fn blobs(s3: &S3Server) -> BlobConfig {
    let mut blobs = BlobConfig::new(s3.blobs("my/library"));
    blobs.endpoint = Some(s3.endpoint());
    blobs.access_key = Some(Secret::new(S3Server::ACCESS_KEY));
    blobs.secret_key = Some(Secret::new(S3Server::SECRET_KEY));
    blobs
}

/// A new library in an emulator that `builder` describes.
pub(crate) async fn library(builder: Builder) -> (AstraBackend, Cloud) {
    let emulator = builder.start().await.unwrap();
    let s3 = S3Server::start();
    let mut config = config(&emulator);
    config.blobs = Some(blobs(&s3));
    let backend = AstraBackend::connect(&config).unwrap();
    let report = backend.init(false).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    (backend, Cloud { emulator, s3 })
}

/// The same where 30 % of all requests fail, in every way that either server
/// knows.
pub(crate) async fn faulty_library(builder: Builder) -> (AstraBackend, Cloud) {
    let (backend, cloud) = library(builder).await;
    cloud.faults().add(Rule::one_of(Fault::every_failure()).chance(0.3, 7));
    cloud.s3.fail(s3::Rule::one_of(&s3::Fault::every()).chance(0.3, 7));
    (backend, cloud)
}

/// The library that `SONGREC_TEST_EMULATOR` asks for.
pub(crate) async fn chosen_library() -> (AstraBackend, Cloud) {
    let builder = Emulator::builder();
    match std::env::var("SONGREC_TEST_EMULATOR").as_deref() {
        Ok("faulty") => faulty_library(builder).await,
        Ok("small") => library(builder.page_size(7).error_names(Names::Old)).await,
        Ok(other) => panic!("`{other}` is neither `small` nor `faulty`"),
        Err(_) => library(builder).await,
    }
}
