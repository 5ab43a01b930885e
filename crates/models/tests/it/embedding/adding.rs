//! Models are added whole and right, or not at all.

use std::fs;

use songrec_models::{Description, Embedder, FrontEnd, ModelErrorKind, ModelFolder};
#[cfg(feature = "rten")]
use songrec_models::{EngineKind, OpenOptions};

use super::models::{engines, fixtures};

/// The committed CLAP as somebody exported it, without a description.
fn exported() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["clap_audio.onnx", "clap_text.onnx", "tokenizer.json"] {
        fs::copy(fixtures().join("clap-tiny@1").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn known(name: &str) -> Description {
    ModelFolder::description_for(Some(name), "nowhere".as_ref()).unwrap()
}

#[test]
fn a_known_model_is_added_listed_opened_verified_and_removed() {
    let Some(options) = engines().into_iter().next() else { return };
    let (from, home) = (exported(), tempfile::tempdir().unwrap());
    let models = ModelFolder::new(home.path().join("models"));
    assert!(models.list().unwrap().is_empty());

    let added = models.add(known("clap"), from.path(), &options).unwrap();
    let again = models.add(known("clap"), from.path(), &options).unwrap();

    let name = added.description.name.clone();
    assert_eq!((name.name(), name.revision().len()), ("clap", 8));
    assert!(added.notes.is_empty() && !added.was_there && again.was_there);
    let listed = models.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].as_ref().unwrap(), &added.description);
    let model = models.open("clap", &options).unwrap();
    assert_eq!(model.spec().name, name);
    assert!(model.reads_text());
    assert_eq!(models.verify(name.as_str(), &options).unwrap(), added.description);
    models.remove(&name).unwrap();
    assert_eq!(models.open("clap", &options).unwrap_err().kind(), ModelErrorKind::NotFound);
    assert_eq!(models.remove(&name).unwrap_err().kind(), ModelErrorKind::NotFound);
    assert_eq!(fs::read_dir(models.root()).unwrap().count(), 0);
}

#[test]
fn other_weights_get_another_revision() {
    let Some(options) = engines().into_iter().next() else { return };
    let (from, home) = (exported(), tempfile::tempdir().unwrap());
    let models = ModelFolder::new(home.path());
    let first = models.add(known("clap"), from.path(), &options).unwrap().description.name;

    // A byte of a weight near the end of the file.
    let path = from.path().join("clap_audio.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let second = models.add(known("clap"), from.path(), &options).unwrap().description.name;

    assert_ne!(first, second);
    let error = models.find("clap").unwrap_err();
    assert!(error.reason().contains(first.as_str()) && error.reason().contains(second.as_str()));
}

#[test]
fn other_windows_get_another_revision() {
    let Some(options) = engines().into_iter().next() else { return };
    let home = tempfile::tempdir().unwrap();
    let models = ModelFolder::new(home.path());
    let revision = |window| {
        let mut description = known("wav2vec2");
        description.windowing.window = window;
        description.windowing.hop = Some(2.0);
        let from = fixtures().join("wav2vec2-tiny@1");
        models.add(description, &from, &options).unwrap().description.name
    };

    assert_ne!(revision(10.0), revision(5.0));
}

#[test]
fn the_wrong_file_is_refused_by_name_and_leaves_nothing_behind() {
    let Some(options) = engines().into_iter().next() else { return };
    let home = tempfile::tempdir().unwrap();
    let models = ModelFolder::new(home.path());
    let refused = |description: Description, folder: &std::path::Path| {
        let error = models.add(description, folder, &options).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        error
    };

    // Wav2Vec2's file in CLAP's place.
    let from = exported();
    fs::copy(fixtures().join("wav2vec2-tiny@1/wav2vec2.onnx"), from.path().join("clap_audio.onnx"))
        .unwrap();
    let error = refused(known("clap"), from.path());
    assert_eq!(error.kind(), ModelErrorKind::Mismatch);
    assert!(error.to_string().contains("clap_audio.onnx"), "{error}");

    // Another dimension.
    let from = exported();
    let error = refused(Description { dimension: 768, ..known("clap") }, from.path());
    assert!(error.reason().contains("512") && error.reason().contains("768"), "{error}");

    // A spectrogram of another length.
    let mut description = known("clap");
    description.windowing.window = 7.0;
    let error = refused(description, from.path());
    assert!(error.reason().contains("1001") && error.reason().contains("701"), "{error}");

    // A file of other bytes than its description says.
    let mut description =
        ModelFolder::description_for(None, &fixtures().join("clap-tiny@1")).unwrap();
    description.audio.sha256 = Some(songrec_core::Digest::of(b"another"));
    let error = refused(description, from.path());
    assert!(error.reason().contains("SHA-256"), "{error}");

    // Not ONNX; cut off; missing.
    let path = from.path().join("clap_audio.onnx");
    let whole = fs::read(&path).unwrap();
    for bytes in [&b"not a model at all"[..], &whole[..whole.len() / 3], b""] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(refused(known("clap"), from.path()).kind(), ModelErrorKind::Mismatch);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(refused(known("clap"), from.path()).kind(), ModelErrorKind::NotFound);
    let error = ModelFolder::description_for(Some("clip"), from.path()).unwrap_err();
    assert!(error.hint().contains("clap-music"), "{}", error.hint());
}

#[test]
fn a_file_that_changed_after_it_was_added_is_not_used() {
    let Some(options) = engines().into_iter().next() else { return };
    let (from, home) = (exported(), tempfile::tempdir().unwrap());
    let models = ModelFolder::new(home.path());
    let name = models.add(known("clap"), from.path(), &options).unwrap().description.name;
    let folder = models.folder_of(&name);

    let tokenizer = folder.join("tokenizer.json");
    let text = fs::read_to_string(&tokenizer).unwrap();
    fs::write(&tokenizer, text.replace("</s>", "</S>")).unwrap();
    let model = models.open("clap", &options).unwrap();
    let error = model.embed_text(&["calm"]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Mismatch);
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    assert!(models.verify("clap", &options).is_err());

    let audio = folder.join("clap_audio.onnx");
    fs::copy(fixtures().join("clap-fused-tiny@1/clap_audio.onnx"), &audio).unwrap();
    assert_eq!(models.open("clap", &options).unwrap_err().kind(), ModelErrorKind::Mismatch);

    let other = home.path().join("clap@other");
    fs::rename(&folder, &other).unwrap();
    let error = models.open("clap@other", &options).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Mismatch);
    assert!(error.reason().contains(name.as_str()), "{error}");
}

#[test]
fn without_a_text_file_a_model_hears_but_cannot_read() {
    let Some(options) = engines().into_iter().next() else { return };
    let (from, home) = (exported(), tempfile::tempdir().unwrap());
    fs::remove_file(from.path().join("clap_text.onnx")).unwrap();
    let models = ModelFolder::new(home.path());

    let added = models.add(known("clap"), from.path(), &options).unwrap();

    assert!(added.notes[0].contains("clap_text.onnx"), "{:?}", added.notes);
    let model = models.open("clap", &options).unwrap();
    assert!(!model.reads_text());
    assert_eq!(model.embed_text(&["calm"]).unwrap_err().kind(), ModelErrorKind::Unsupported);
}

/// A description of the odd files, which lie in `odd`.
const ODD: &str = r#"
    name = "odd@1"
    kind = "wav2vec2"
    dimension = 8
    [listening]
    sample_rate = 16000
    window = 0.1
    normalize = false
    [front_end]
    kind = "samples"
    [audio]
    file = "frames.onnx"
    input = "waveform"
    output = "embedding"
"#;

#[test]
fn a_file_as_transformers_exports_it_is_understood() {
    for options in engines() {
        let home = tempfile::tempdir().unwrap();
        let models = ModelFolder::new(home.path());
        let description = Description::from_toml(ODD).unwrap();

        let added = models.add(description, &fixtures().join("odd"), &options).unwrap().description;

        assert_eq!(
            (&*added.audio.input, &*added.audio.output),
            ("input_values", "last_hidden_state")
        );
        assert_eq!(added.front_end, FrontEnd::NormalizedSamples);
        let model = models.open("odd", &options).unwrap();
        let window: Vec<f32> = (0..1_600).map(|n| if n % 8 < 4 { 0.3 } else { 0.1 }).collect();
        let embedded = model.embed(&[model.prepare(&window)]).unwrap();
        // Mean 0 and variance 1, and then the mean of all frames.
        let expected = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0];
        assert!(super::models::worst(embedded[0].values(), &expected) < 1e-4, "{embedded:?}");
    }
}

/// The name of an input says how Wav2Vec2 wants its samples; of another model
/// it says nothing.
#[test]
fn what_is_not_known_of_a_model_is_not_guessed() {
    let Some(options) = engines().into_iter().next() else { return };
    let home = tempfile::tempdir().unwrap();
    let text = ODD.replace("kind = \"wav2vec2\"", "kind = \"other\"");
    let description = Description::from_toml(&text).unwrap();

    let added = ModelFolder::new(home.path())
        .add(description, &fixtures().join("odd"), &options)
        .unwrap()
        .description;

    assert_eq!(added.front_end, FrontEnd::Samples);
}

#[cfg(feature = "rten")]
#[test]
fn rten_refuses_what_it_would_compute_wrongly() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("odd@1");
    fs::create_dir(&folder).unwrap();
    let bytes = fs::read(fixtures().join("odd/cubic.onnx")).unwrap();
    let digest = songrec_core::Digest::of(&bytes);
    fs::write(folder.join("frames.onnx"), bytes).unwrap();
    let text = ODD.replace("input = ", &format!("sha256 = \"{digest}\"\n    input = "));
    fs::write(folder.join("model.toml"), text).unwrap();
    let options = OpenOptions { engine: Some(EngineKind::Rten), ..OpenOptions::default() };

    let error = ModelFolder::new(home.path()).open("odd", &options).unwrap_err();

    assert_eq!(error.kind(), ModelErrorKind::Unsupported);
    assert!(error.reason().contains("`stretch`"), "{error}");
    assert!(error.hint().contains("ort"), "{}", error.hint());
}
