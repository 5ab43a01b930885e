//! A machine without ONNX Runtime. A process loads that library once, so this
//! test has one of its own.
#![cfg(feature = "ort")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use songrec_models::{EngineKind, ModelErrorKind, ModelFolder, OpenOptions, RuntimeSearch};

#[test]
fn a_missing_runtime_is_an_error_that_says_where_it_was_looked_for() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("libonnxruntime.so");
    fs::write(&broken, "not a library").unwrap();
    let python = folder.path().join("python");
    let searches = [
        (RuntimeSearch::default(), "not set"),
        (
            RuntimeSearch {
                configured: Some("/nowhere/libonnxruntime.so".into()),
                ..RuntimeSearch::default()
            },
            "/nowhere/libonnxruntime.so",
        ),
        (
            RuntimeSearch { variable: Some(broken.clone()), ..RuntimeSearch::default() },
            "cannot be loaded",
        ),
        (
            RuntimeSearch { pythons: vec![python.clone()], ..RuntimeSearch::default() },
            python.to_str().unwrap(),
        ),
    ];
    for (search, named) in searches {
        let options =
            OpenOptions { engine: Some(EngineKind::Ort), search, ..OpenOptions::default() };

        let error = ModelFolder::new(&fixtures).open("clap-tiny@1", &options).unwrap_err();

        assert_eq!(error.kind(), ModelErrorKind::NoEngine);
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.hint().contains("pip install onnxruntime"), "{}", error.hint());
    }
}
