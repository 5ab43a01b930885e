//! The committed models, the engines there are, and what is expected.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use serde::Deserialize;
use songrec_models::{
    Batcher, EngineKind, ModelFolder, OnnxModel, OpenOptions, RuntimeSearch, Wanted,
};

/// What PyTorch says of a model.
#[derive(Debug, Deserialize)]
pub(crate) struct Expected {
    /// The vector of each song, by kind of signal and seconds.
    pub(crate) songs: BTreeMap<String, Vec<f32>>,
    #[serde(default)]
    pub(crate) texts: Vec<ExpectedText>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ExpectedText {
    pub(crate) text: String,
    pub(crate) vector: Vec<f32>,
}

pub(crate) static EXPECTED: LazyLock<BTreeMap<String, Expected>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models")
}

pub(crate) fn models() -> ModelFolder {
    ModelFolder::new(fixtures())
}

/// How to open models in every engine there is. One that is missing is said to
/// be skipped: `cargo test -- --nocapture` shows it, and `.ci/run` refuses it.
pub(crate) fn engines() -> Vec<OpenOptions> {
    let search = RuntimeSearch::of_this_machine(None);
    let mut engines = Vec::new();
    if cfg!(feature = "rten") {
        engines.push(EngineKind::Rten);
    }
    if cfg!(feature = "ort") && search.first().is_some() {
        engines.push(EngineKind::Ort);
    } else {
        assert!(
            std::env::var_os("SONGREC_TEST_ORT").is_none(),
            "SONGREC_TEST_ORT is set, but ONNX Runtime was not found: {search}"
        );
        println!("SKIPPED: ONNX Runtime was not found, so `ort` is not tested: {search}");
    }
    let options = |engine| OpenOptions {
        engine: Some(engine),
        threads: Some(1),
        search: search.clone(),
        ..OpenOptions::default()
    };
    engines.into_iter().map(options).collect()
}

pub(crate) fn open(name: &str, options: &OpenOptions) -> OnnxModel {
    models().open(name, options).unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

pub(crate) fn batcher(name: &str, options: &OpenOptions) -> Arc<Batcher> {
    Arc::new(Batcher::new(Arc::new(open(name, options))))
}

/// Nothing but what learned models embed.
pub(crate) fn only(batchers: Vec<Arc<Batcher>>) -> Wanted {
    let sound = songrec_audio::Wanted {
        features: false,
        models: Vec::new(),
        ..songrec_audio::Wanted::default()
    };
    Wanted { sound, batchers, windows: false }
}

pub(crate) fn worst(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).fold(0.0, |worst, (l, r)| worst.max((l - r).abs()))
}
