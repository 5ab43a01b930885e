//! Learned models, run for real: small ones with the inputs, outputs and
//! operators of the real ones, made by `tools/make_test_models.py` together
//! with what PyTorch and transformers say of the same signals.
#![cfg(any(feature = "rten", feature = "ort"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests may panic and say what they skip"
)]

mod adding;
mod models;
mod signal;

use std::{fs, path::Path, sync::Arc};

use songrec_core::{ModelName, Vector};
use songrec_models::{
    Batcher, Embedded, Embedder, ModelError, ModelErrorKind, Short, Wanted, Windowing, Windows,
    analyze,
};

use self::{
    models::{EXPECTED, batcher, engines, fixtures, only, open, worst},
    signal::{floats, signal, write_wav},
};

/// Analyzes a signal from a WAV file of the given rate.
fn embed(kind: &str, rate: u32, seconds: f64, wanted: &Wanted) -> Embedded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("song.wav");
    write_wav(&path, rate, &signal(kind, rate, seconds));
    analyze(&path, wanted).unwrap()
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn cosine(left: &Vector, right: &Vector) -> f64 {
    left.dot(right) / (left.norm() * right.norm())
}

#[test]
fn a_song_in_a_file_becomes_the_vector_that_pytorch_gives() {
    for options in engines() {
        for (model, expected) in &*EXPECTED {
            let batcher = batcher(model, &options);
            let rate = batcher.embedder().windowing().sample_rate;
            for (song, vector) in &expected.songs {
                let (kind, seconds) = song.split_once(' ').unwrap();
                let wanted = only(vec![batcher.clone()]);
                let embedded = embed(kind, rate, seconds.parse().unwrap(), &wanted);
                let got = &embedded.sound.embeddings[&name(model)];
                let worst = worst(got.values(), vector);
                assert!(worst < 1e-4, "{model}, {song}, {}: {worst}", batcher.embedder().engine());
            }
        }
    }
}

#[test]
fn a_text_becomes_the_vector_that_pytorch_gives() {
    for options in engines() {
        for (model, expected) in EXPECTED.iter().filter(|(_, expected)| !expected.texts.is_empty())
        {
            let model = open(model, &options);
            let texts: Vec<&str> = expected.texts.iter().map(|text| &*text.text).collect();

            let together = model.embed_text(&texts).unwrap();

            for (expected, together) in expected.texts.iter().zip(together) {
                let alone = model.embed_text(&[&expected.text]).unwrap().remove(0);
                for got in [together, alone] {
                    let worst = worst(got.values(), &expected.vector);
                    assert!(worst < 1e-4, "{}, `{}`: {worst}", model.engine(), expected.text);
                }
            }
        }
    }
}

/// A `.npy` file of float32.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header_text = String::from_utf8_lossy(&bytes[10..10 + header]);
    assert!(header_text.contains("'<f4'") && header_text.contains("'fortran_order': False"));
    bytes[10 + header..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn spectrograms_are_those_of_the_reference_extractor() {
    let Some(options) = engines().into_iter().next() else { return };
    for (model, scale, channels) in [("clap-tiny@1", "slaney", 1), ("clap-fused-tiny@1", "htk", 4)]
    {
        let model = open(model, &options);
        for (kind, seconds) in [
            ("noise", 10.0),
            ("sine", 10.0),
            ("quiet", 10.0),
            ("silence", 10.0),
            ("chirp", 10.0),
            ("music", 3.0),
        ] {
            let mut windows = Windows::new(model.windowing());
            let mut cut = Vec::new();
            windows.push(&floats(&signal(kind, 48_000, seconds)), |window| cut.push(window));
            windows.finish(|window| cut.push(window));
            let [window] = &*cut else { panic!("{} windows", cut.len()) };

            let spectrogram = model.prepare(&window.samples);

            assert_eq!(spectrogram.len(), channels * 1001 * 64);
            let expected = npy(&fixtures().join(format!("front-end/{scale}-{kind}.npy")));
            for channel in spectrogram.chunks_exact(1001 * 64) {
                let every_40th: Vec<f32> =
                    channel.chunks_exact(64).step_by(40).flatten().copied().collect();
                let worst = worst(&every_40th, &expected);
                assert!(worst < 1e-4, "{scale}, {kind}: {worst} dB");
            }
        }
    }
}

#[test]
fn two_runs_give_the_same_bits_and_threads_and_batches_do_not_matter() {
    for options in engines() {
        for model in ["clap-tiny@1", "wav2vec2-tiny@1"] {
            let vector = |threads| {
                let options =
                    songrec_models::OpenOptions { threads: Some(threads), ..options.clone() };
                let batcher = batcher(model, &options);
                embed("music", 44_100, 34.5, &only(vec![batcher]))
                    .sound
                    .embeddings
                    .remove(&name(model))
                    .unwrap()
            };
            let first = vector(1);
            assert_eq!(vector(1), first, "{model}, {:?}", options.engine);
            for threads in [2, 3] {
                let worst = worst(vector(threads).values(), first.values());
                assert!(
                    worst < 1e-5,
                    "{model}, {:?} with {threads} threads: {worst}",
                    options.engine
                );
            }

            let model = open(model, &options);
            let rate = model.windowing().sample_rate;
            let song = floats(&signal("music", rate, 50.0));
            let inputs: Vec<Vec<f32>> =
                song.chunks_exact(model.windowing().window).map(|w| model.prepare(w)).collect();
            let together = model.embed(&inputs).unwrap();
            for (input, together) in inputs.iter().zip(&together) {
                let alone = model.embed(std::slice::from_ref(input)).unwrap();
                assert!(worst(alone[0].values(), together.values()) < 1e-5);
            }
        }
    }
}

#[test]
fn windows_of_many_songs_at_once_do_not_mix() {
    let songs = [("music", 23.0), ("noise", 12.0), ("chirp", 3.0), ("sine", 31.0)];
    for options in engines() {
        let batcher = batcher("clap-tiny@1", &options);
        let wanted = only(vec![batcher.clone()]);
        let alone: Vec<_> = songs
            .iter()
            .map(|(kind, s)| embed(kind, 48_000, *s, &wanted).sound.embeddings)
            .collect();

        let together: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = songs
                .iter()
                .map(|(kind, s)| scope.spawn(|| embed(kind, 48_000, *s, &wanted).sound.embeddings))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });

        for (alone, together) in alone.iter().zip(&together) {
            let model = name("clap-tiny@1");
            assert!(worst(alone[&model].values(), together[&model].values()) < 1e-5);
        }
    }
}

#[test]
fn a_shift_by_a_second_changes_a_song_only_a_little() {
    let folder = tempfile::tempdir().unwrap();
    let (song, noise) = (folder.path().join("song.wav"), folder.path().join("noise.wav"));
    write_wav(&song, 48_000, &signal("song", 48_000, 60.0));
    write_wav(&noise, 48_000, &signal("noise", 48_000, 60.0));
    for options in engines().into_iter().take(1) {
        for model in ["clap-tiny@1", "wav2vec2-tiny@1"] {
            let whole = only(vec![batcher(model, &options)]);
            let mut shifted = whole.clone();
            shifted.sound.part = Some(1.0..60.0);
            let vector = |path, wanted| {
                analyze(path, wanted).unwrap().sound.embeddings.remove(&name(model)).unwrap()
            };

            let embedded = vector(&song, &whole);

            let later = cosine(&embedded, &vector(&song, &shifted));
            assert!(later >= 0.99, "{model}: {later}");
            // The model does tell sounds apart.
            let other = cosine(&embedded, &vector(&noise, &whole));
            assert!(1.0 - other > 10.0 * (1.0 - later), "{model}: {other} beside {later}");
        }
    }
}

#[test]
fn one_decode_serves_several_models_and_their_windows() {
    for options in engines().into_iter().take(1) {
        let batchers = vec![batcher("clap-tiny@1", &options), batcher("wav2vec2-tiny@1", &options)];
        let wanted = Wanted { batchers, windows: true, ..Wanted::default() };

        let embedded = embed("music", 44_100, 23.0, &wanted);

        assert_eq!(embedded.sound.embeddings.len(), 4 + 2);
        assert!(embedded.failed.is_empty() && embedded.sound.features.is_some());
        for model in ["clap-tiny@1", "wav2vec2-tiny@1"] {
            let windows = &embedded.windows[&name(model)];
            let times: Vec<(f64, f64)> = windows.iter().map(|w| (w.start, w.end)).collect();
            assert_eq!(times, [(0.0, 10.0), (10.0, 20.0), (13.0, 23.0)]);
            assert!(windows.iter().all(|w| (w.vector.norm() - 1.0).abs() < 1e-6));
        }
    }
}

#[test]
fn a_part_of_a_song_is_heard_as_if_it_were_the_song() {
    for options in engines().into_iter().take(1) {
        let batcher = batcher("wav2vec2-tiny@1", &options);
        let whole = Wanted { windows: true, ..only(vec![batcher]) };
        let mut wanted = whole.clone();
        wanted.sound.part = Some(4.0..9.0);
        let folder = tempfile::tempdir().unwrap();
        let (song, part) = (folder.path().join("song.wav"), folder.path().join("part.wav"));
        let samples = signal("chirp", 16_000, 12.0);
        write_wav(&song, 16_000, &samples);
        write_wav(&part, 16_000, &samples[4 * 16_000..9 * 16_000]);

        let of_song = analyze(&song, &wanted).unwrap();
        let alone = analyze(&part, &whole).unwrap();

        let model = name("wav2vec2-tiny@1");
        assert_eq!(of_song.sound.embeddings, alone.sound.embeddings);
        let window = &of_song.windows[&model][0];
        assert_eq!((window.start, window.end), (4.0, 9.0));
        assert_eq!(of_song.sound.audio.duration, 12.0);
    }
}

/// An embedder whose server is gone.
#[derive(Debug)]
struct Gone(songrec_core::ModelSpec, Windowing);

impl Embedder for Gone {
    fn spec(&self) -> &songrec_core::ModelSpec {
        &self.0
    }
    fn windowing(&self) -> &Windowing {
        &self.1
    }
    fn engine(&self) -> String {
        "http://localhost:1".to_owned()
    }
    fn batching(&self) -> songrec_models::Batching {
        songrec_models::Batching { inputs: 2, calls: 1 }
    }
    fn prepare(&self, window: &[f32]) -> Vec<f32> {
        window.to_vec()
    }
    fn embed(&self, _: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError> {
        Err(ModelError::new(&self.0.name, ModelErrorKind::Unavailable, "nobody answers"))
    }
    fn reads_text(&self) -> bool {
        false
    }
    fn embed_text(&self, _: &[&str]) -> Result<Vec<Vector>, ModelError> {
        unreachable!("it reads no text")
    }
}

#[test]
fn a_model_that_fails_takes_nothing_else_with_it() {
    let spec = songrec_core::ModelSpec {
        name: name("gone@1"),
        dimension: 4,
        metric: songrec_core::Metric::Cosine,
        description: String::new(),
    };
    let windowing = Windowing {
        sample_rate: 16_000,
        window: 1_600,
        hop: 1_600,
        short: Short::Keep,
        normalize: true,
    };
    let gone = Arc::new(Batcher::new(Arc::new(Gone(spec, windowing))));

    let embedded =
        embed("music", 16_000, 60.0, &Wanted { batchers: vec![gone], ..Wanted::default() });

    assert_eq!(embedded.failed[&name("gone@1")].kind(), ModelErrorKind::Unavailable);
    assert_eq!(embedded.sound.embeddings.len(), 4);
    assert!(embedded.sound.features.is_some());
}
