//! The front end and the networks against those that they were trained with.

use serde::Deserialize;
use songrec_audio::{
    BlockSink,
    dsp::DSP45_FEATURES,
    picture::{BANDS, COLUMNS, RATE, SAMPLES, picture},
};
use songrec_core::{Digest, Features, Vector};

use super::{
    TimbreOutput,
    classes::CLASSES,
    embedder::TimbreEmbedder,
    network::{NOTE, Network},
    piece::{self, Spectrum, WEIGHTS},
};

/// Written by `tools/train/timbre/export.py`, which has the same signal.
#[derive(Deserialize)]
struct Fixture {
    rate: u32,
    attack: usize,
    shape: [usize; 2],
    picture: Vec<f32>,
    vector: Vec<f32>,
    logits: Vec<f32>,
    spectrum: Vec<f64>,
    measures: Vec<f64>,
    piece: Vec<f32>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../models/timbre-fixture.json"))
        .expect("the fixture is what `export.py` writes")
}

// Three decaying sines, a silence, and a burst of a linear congruence.
fn signal() -> Vec<f32> {
    let count = 2 * RATE as usize;
    let mut sound = vec![0.0f64; count];
    for (hz, amplitude, decay) in [(220.0, 0.5, 0.4), (1375.5, 0.3, 0.15), (6001.0, 0.2, 0.05)] {
        for (at, sample) in sound.iter_mut().enumerate() {
            let time = at as f64 / f64::from(RATE);
            *sample +=
                amplitude * (std::f64::consts::TAU * hz * time).sin() * (-time / decay).exp();
        }
    }
    let mut state = 12_345u64;
    for sample in &mut sound[24_000..32_000] {
        state = (1_103_515_245 * state + 12_345) % (1 << 31);
        *sample += 0.1 * (state as f64 / f64::from(1u32 << 30) - 1.0);
    }
    let mut samples = vec![0.0; 1_000];
    samples.extend(sound.into_iter().map(|sample| sample as f32));
    samples
}

fn apart(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(l, r)| (l - r).abs()).fold(0.0, f32::max)
}

fn output_of(samples: &[f32], block: usize) -> Option<TimbreOutput> {
    let mut embedder = TimbreEmbedder::default();
    for block in samples.chunks(block) {
        embedder.push(block);
    }
    embedder.end();
    embedder.finish().expect("the network runs")
}

#[test]
fn the_picture_is_that_of_the_training() {
    let fixture = fixture();
    assert_eq!((fixture.rate, fixture.shape), (RATE, [BANDS, COLUMNS]));

    let picture = picture(&signal()[fixture.attack..]);

    let apart = apart(&picture, &fixture.picture);
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn the_network_says_what_it_said_in_pytorch() {
    let fixture = fixture();

    let output = output_of(&signal(), 1_152).unwrap();
    let answer = Network::get().unwrap().embed(&picture(&signal()[fixture.attack..])).unwrap();

    assert!(apart(&output.note, &fixture.vector) < 1e-3);
    assert!(apart(&answer.logits, &fixture.logits) < 1e-3);
    let raised: Vec<f32> = fixture.logits.iter().map(|logit| logit.exp()).collect();
    let sum: f32 = raised.iter().sum();
    let expected: Vec<f32> = raised.iter().map(|value| value / sum).collect();
    assert!(apart(&output.probabilities, &expected) < 1e-3);
    assert_eq!(output.spectrum, None, "a single sound is no piece");
}

#[test]
fn spectrum_and_piece_are_those_of_the_training() {
    let fixture = fixture();
    let mut spectrum = Spectrum::default();

    spectrum.add(&picture(&signal()[fixture.attack..]));
    let piece = piece::piece(&fixture.measures).unwrap();

    let values: Vec<f32> = spectrum.values().into_iter().map(|value| value as f32).collect();
    let expected: Vec<f32> = fixture.spectrum.iter().map(|value| *value as f32).collect();
    assert!(apart(&values, &expected) < 1e-4);
    assert!(apart(&piece, &fixture.piece) < 1e-5);
}

#[test]
fn the_classes_are_those_of_the_training() {
    #[derive(Deserialize)]
    struct Trained {
        classes: Vec<String>,
    }
    let trained: Trained =
        serde_json::from_str(include_str!("../../models/timbre-classes.json")).unwrap();

    assert_eq!(trained.classes, CLASSES.map(|(class, _)| class));
}

// The revision in the model's name is that of these files: with others the same
// song would get another vector under the same name.
#[test]
fn other_weights_need_another_revision() {
    assert_eq!(super::TIMBRE, "timbre@7");
    let digests = [NOTE, WEIGHTS].map(|file| Digest::of(file).to_string());
    assert_eq!(
        digests,
        [
            "3aaffa3a7d05cbc46064c2d068ccf381560d1dd1a4ebbd7dbaa01e37e5334209",
            "3647bfae8b62e5a411f000476c64e1be0dada461a2bb0b51c7e32fc911c599c3",
        ]
    );
    assert!(NOTE.len() + WEIGHTS.len() < 4 << 20);
}

#[test]
fn the_same_song_gives_the_same_bits_however_it_is_cut_and_on_any_thread() {
    let song: Vec<f32> = signal().into_iter().cycle().take(5 * SAMPLES).collect();
    let whole = output_of(&song, song.len()).unwrap();
    assert!(whole.spectrum.is_some());

    let threads: Vec<_> = [1_152, 100_000, 999]
        .into_iter()
        .map(|block| {
            let song = song.clone();
            std::thread::spawn(move || output_of(&song, block))
        })
        .collect();

    for thread in threads {
        assert!(thread.join().unwrap().unwrap() == whole);
    }
}

// A thread of a pool that waits takes up other work of the pool: it must not come
// back to the network while it waits for it.
#[test]
fn many_songs_in_a_pool_of_few_threads_come_to_an_end() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (done, all) = std::sync::mpsc::channel();
    for _ in 0..16 {
        let done = done.clone();
        pool.spawn(move || done.send(output_of(&signal(), 4_096)).unwrap());
    }
    drop(done);

    let first = output_of(&signal(), 4_096);

    for _ in 0..16 {
        let one = all.recv_timeout(std::time::Duration::from_secs(120)).expect("it hangs");
        assert_eq!(one, first);
    }
}

#[test]
fn the_level_does_not_count() {
    let quiet: Vec<f32> = signal().iter().map(|sample| sample * 0.5).collect();

    let (loud, quiet) = (output_of(&signal(), 4_096).unwrap(), output_of(&quiet, 4_096).unwrap());

    assert!(apart(&loud.note, &quiet.note) < 1e-4);
}

#[test]
fn of_a_sound_the_network_counts_for_more_than_the_values_and_the_level_for_nothing() {
    let sound = output_of(&signal(), 4_096).unwrap();
    let values: Vec<f32> = (0..45).map(|at| at as f32 - 20.0).collect();

    let vector = TimbreOutput::vector(Some(&sound), &values, &GROUPS).unwrap();

    assert_eq!(vector.dimension(), 331);
    assert!((length(&vector, NETWORK) / length(&vector, MEASURED) - 2.0).abs() < 1e-5);
    assert!((vector.norm() - 1.0).abs() < 1e-6);
    assert_eq!(length(&vector, PIECE), 0.0);
    assert_eq!(TimbreOutput::vector(Some(&sound), &louder(&values), &GROUPS).unwrap(), vector);
    let above_its_range = TimbreOutput::vector(None, &values, &GROUPS).unwrap();
    assert!(above_its_range.values()[..288].iter().all(|value| *value == 0.0));
}

#[test]
fn of_a_piece_what_tells_pieces_apart_counts_most_and_the_level_for_nothing() {
    let song: Vec<f32> = signal().into_iter().cycle().take(5 * SAMPLES).collect();
    let (song, sound) = (output_of(&song, 4_096).unwrap(), output_of(&signal(), 4_096).unwrap());
    let values: Vec<f32> = (0..45).map(|at| at as f32 - 20.0).collect();
    let vector = |of: Option<&TimbreOutput>, groups: &[f32]| {
        TimbreOutput::vector(of, &values, groups).unwrap()
    };

    let piece = vector(Some(&song), &GROUPS);
    let alone = vector(Some(&sound), &GROUPS);

    assert!((length(&piece, NETWORK) / length(&piece, PIECE) - 0.7).abs() < 1e-5);
    assert!((length(&piece, MEASURED) / length(&piece, PIECE) - 0.3).abs() < 1e-5);
    assert!((piece.norm() - 1.0).abs() < 1e-6);
    assert_eq!(TimbreOutput::vector(Some(&song), &louder(&values), &GROUPS).unwrap(), piece);
    // The 47 values and the spectrum count, and of a piece alone.
    assert!(vector(Some(&song), &[0.5; 47]) != piece);
    let other = TimbreOutput {
        spectrum: song.spectrum.map(|mut values| {
            values[0] += 0.1;
            values
        }),
        ..song
    };
    assert!(vector(Some(&other), &GROUPS) != piece);
    for short in [&alone, &vector(None, &GROUPS)] {
        assert_eq!(length(short, PIECE), 0.0);
    }
    assert_eq!(vector(Some(&sound), &[0.5; 47]), alone);
}

const NETWORK: std::ops::Range<usize> = 0..96;
const PIECE: std::ops::Range<usize> = 96..288;
const MEASURED: std::ops::Range<usize> = 288..331;

// The values of a louder copy.
fn louder(values: &[f32]) -> Vec<f32> {
    let is_level = |name: &str| ["mfcc 1 mean", "rms mean"].contains(&name);
    let louder = DSP45_FEATURES
        .iter()
        .zip(values)
        .map(|(name, value)| if is_level(name) { value + 3.0 } else { *value });
    louder.collect()
}

// Values of `dsp47@2`.
const GROUPS: [f32; 47] = {
    let mut groups = [1.0; 47];
    groups[0] = -3.0;
    groups
};

fn length(vector: &Vector, range: std::ops::Range<usize>) -> f32 {
    vector.values()[range].iter().map(|value| value * value).sum::<f32>().sqrt()
}

// What the network says of a sound of these classes, with probabilities.
fn said(classes: &[(&str, f32)]) -> Features {
    let mut probabilities = vec![0.0; CLASSES.len()];
    for (class, probability) in classes {
        let at = CLASSES.iter().position(|(name, _)| name == class).expect("a class");
        probabilities[at] = *probability;
    }
    let mut features = Features::default();
    TimbreOutput { note: Vec::new(), spectrum: None, probabilities }.describe(0.4, &mut features);
    features
}

#[test]
fn hats_are_one_instrument_until_an_open_one_is_sure() {
    let hat = said(&[("hat-closed", 0.35), ("hat-open", 0.3), ("shaker", 0.35)]);
    let open = said(&[("hat-closed", 0.3), ("hat-open", 0.6)]);

    assert_eq!(hat.heard_instrument.as_deref(), Some("hat"));
    assert!((hat.heard_instrument_probability.unwrap() - 0.65).abs() < 1e-3);
    assert_eq!(open.heard_instrument.as_deref(), Some("open_hat"));
    assert!(
        open.heard_instrument_probability < said(&[("hat-open", 0.9)]).heard_instrument_probability
    );
}

#[test]
fn silence_and_nothing_give_nothing() {
    assert_eq!(output_of(&[], 1), None);
    assert_eq!(output_of(&vec![0.0; 100_000], 1_000), None);
    assert_eq!(output_of(&vec![f32::NAN; 100_000], 1_000), None);
    // One sample is a sound, if a strange one.
    assert!(output_of(&[0.3], 1).is_some());
}
