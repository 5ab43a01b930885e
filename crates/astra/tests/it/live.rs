//! The contract over real services, when there are any.
//!
//! ```text
//! SONGREC_TEST_ASTRA_ENDPOINT=https://…  SONGREC_TEST_ASTRA_TOKEN=AstraCS:…
//! SONGREC_TEST_ASTRA_KEYSPACE=songrec_test
//! SONGREC_TEST_S3_BUCKET=my-bucket       SONGREC_TEST_S3_REGION=eu-west-1
//! SONGREC_TEST_S3_ACCESS_KEY=…           SONGREC_TEST_S3_SECRET_KEY=…
//! SONGREC_TEST_S3_ENDPOINT=https://…     (for others than Amazon)
//! cargo test -p songrec-astra --test it live -- --ignored --test-threads=1
//! ```
//!
//! The keyspace has to be one that nobody needs: **everything in its collections
//! is deleted** before each case. It is made if the token may. Objects go below
//! `songrec-test/` in the bucket and are deleted with them. What is left at the
//! end are empty collections; `live::clean_up` removes them too, and is worth a
//! run by itself when tests were interrupted. Without the S3 variables audio is
//! kept in memory, and only the Data API is tested.

use std::time::Duration;

use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_core::Job;
use songrec_storage::StorageBackend;
use songrec_testkit::run_case;

// Cases share the keyspace, also when the test runner runs several at once.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) struct Turn(#[expect(dead_code, reason = "held")] tokio::sync::MutexGuard<'static, ()>);

fn variable(name: &str) -> Option<String> {
    std::env::var(format!("SONGREC_TEST_{name}")).ok().filter(|value| !value.is_empty())
}

fn config() -> AstraConfig {
    let needed = |name: &str| variable(name).unwrap_or_else(|| panic!("set SONGREC_TEST_{name}"));
    let token = Secret::new(needed("ASTRA_TOKEN"));
    let mut config = AstraConfig::new(needed("ASTRA_ENDPOINT"), token);
    config.keyspace = needed("ASTRA_KEYSPACE");
    config.blobs = Some(match variable("S3_BUCKET") {
        None => BlobConfig::new("memory:"),
        Some(bucket) => BlobConfig {
            endpoint: variable("S3_ENDPOINT"),
            region: variable("S3_REGION"),
            access_key: variable("S3_ACCESS_KEY").map(Secret::new),
            secret_key: variable("S3_SECRET_KEY").map(Secret::new),
            session_token: variable("S3_SESSION_TOKEN").map(Secret::new),
            ..BlobConfig::new(format!("s3://{bucket}/songrec-test"))
        },
    });
    config
}

// Which collections songrec has made in the keyspace.
async fn collections(backend: &AstraBackend, keyspace: &str) -> Vec<String> {
    let keyspace = backend.client().keyspace(keyspace);
    let found = keyspace.collections().await.unwrap();
    let ours = |name: &String| {
        ["songs", "library"].contains(&name.as_str()) || name.starts_with("embeddings_")
    };
    found.into_iter().map(|one| one.name).filter(ours).collect()
}

async fn empty_library() -> (AstraBackend, Turn) {
    let turn = Turn(TURN.lock().await);
    let config = config();
    let backend = AstraBackend::connect(&config).unwrap();
    backend.init(false).await.unwrap();
    // The audio first: what no song names is collected.
    let keyspace = backend.client().keyspace(&config.keyspace);
    for name in collections(&backend, &config.keyspace).await {
        if name != "library" {
            keyspace.collection(name).delete_many(serde_json::json!({})).await.unwrap();
        }
    }
    backend.maintenance().collect_garbage(Duration::ZERO, &Job::silent()).await.unwrap();
    keyspace.collection("library").delete_many(serde_json::json!({})).await.unwrap();
    let backend = AstraBackend::connect(&config).unwrap();
    assert!(backend.init(false).await.unwrap().is_complete());
    (backend, turn)
}

songrec_testkit::conformance!(
    #[ignore = "needs SONGREC_TEST_ASTRA_*"]
    crate::live::empty_library()
);

#[test]
#[ignore = "needs SONGREC_TEST_ASTRA_*"]
fn a_doctor_finds_a_real_library_sound() {
    run_case(async {
        let (backend, _turn) = empty_library().await;

        let probes = backend.doctor().await;

        assert!(probes.iter().all(|probe| probe.kind.is_none()), "{probes:#?}");
    });
}

#[test]
#[ignore = "needs SONGREC_TEST_ASTRA_*, and removes what the other tests made"]
fn clean_up() {
    run_case(async {
        let (backend, _turn) = empty_library().await;
        let keyspace = config().keyspace;
        for name in collections(&backend, &keyspace).await {
            backend.client().keyspace(&keyspace).delete_collection(&name).await.unwrap();
        }
    });
}
