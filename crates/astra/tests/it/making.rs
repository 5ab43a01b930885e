//! Making a library, and looking at one that is not as it should be.

use songrec_astra::{AstraBackend, InitState, client::Update};
use songrec_core::Remedy;
use songrec_emulator::Emulator;
use songrec_storage::{ErrorKind, StorageBackend};
use songrec_testkit::{run_case, tiny_model};

use crate::support::{config, library};

#[test]
fn a_look_changes_nothing_and_says_what_is_missing() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let mut config = config(&emulator);
        config.keyspace = "elsewhere".to_owned();
        let backend = AstraBackend::connect(&config).unwrap();

        for _ in 0..2 {
            let report = backend.init(true).await.unwrap();
            assert!(!report.is_complete());
            assert!(report.parts.iter().all(|part| part.state == InitState::Missing), "{report:?}");
        }
        let error = AstraBackend::open(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let init = Remedy::InitAstra { check: false };
        assert!(error.hint().unwrap().remedies().any(|remedy| *remedy == init));

        let made = backend.init(false).await.unwrap();
        assert!(made.parts.iter().all(|part| part.state == InitState::Made), "{made:?}");
        let again = backend.init(false).await.unwrap();
        assert!(again.parts.iter().all(|part| part.state == InitState::Present), "{again:?}");
        AstraBackend::open(&config).await.unwrap();
    });
}

#[test]
fn a_library_of_a_newer_version_is_refused() {
    run_case(async {
        let (backend, emulator) = library(Emulator::builder()).await;
        let keyspace = backend.client().keyspace("default_keyspace");
        let newer = Update::new(
            serde_json::json!({"_id": "schema"}),
            serde_json::json!({"$set": {"version": 99}}),
        );
        keyspace.collection("library").update_one(&newer).await.unwrap();

        for error in [
            AstraBackend::open(&config(&emulator)).await.unwrap_err(),
            backend.init(false).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Incompatible);
        }
    });
}

#[test]
fn a_collection_of_something_else_is_not_taken_over() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let backend = AstraBackend::connect(&config(&emulator)).unwrap();
        let keyspace = backend.client().keyspace("default_keyspace");
        let other = songrec_astra::client::CollectionSettings {
            name: "songs".to_owned(),
            options: serde_json::json!({"vector": {"dimension": 3}}),
        };
        keyspace.create_collection(&other).await.unwrap();

        let report = backend.init(false).await.unwrap();

        assert!(!report.is_complete());
        let different =
            |part: &&songrec_astra::InitPart| matches!(part.state, InitState::Different(_));
        assert_eq!(report.parts.iter().filter(different).count(), 1, "{report:?}");
        assert!(AstraBackend::open(&config(&emulator)).await.is_err());
    });
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_sound_library() {
    run_case(async {
        let (backend, _emulator) = library(Emulator::builder()).await;
        backend.embeddings().put_model(&tiny_model()).await.unwrap();

        let probes = backend.doctor().await;

        assert!(probes.len() > 5);
        assert!(probes.iter().all(|probe| probe.kind.is_none()), "{probes:#?}");
    });
}
