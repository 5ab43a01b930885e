//! Sounds at the edge of what can be described, and sounds whose tempo, key and
//! level are known.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use proptest::prelude::*;
use songrec_audio::{
    BlockSink,
    dsp::{
        CLIP_SAMPLES, Extracted, Extractor, SAMPLE_RATE, Source, dsp45, dsp45_row, dsp45_scaler,
        dsp47, dsp47_plain,
    },
    features::extract,
};
use songrec_core::{Features, Key, Mode};

const RATE: f32 = SAMPLE_RATE as f32;

fn sine(hz: f32, level: f32, seconds: f32) -> Vec<f32> {
    (0..(seconds * RATE) as usize)
        .map(|n| level * (std::f32::consts::TAU * hz * n as f32 / RATE).sin())
        .collect()
}

fn noise(level: f32, count: usize) -> Vec<f32> {
    let mut state = 12_345u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            level * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

/// A decaying thump at every beat.
fn beats(bpm: f32, seconds: f32) -> Vec<f32> {
    let period = 60.0 / bpm;
    (0..(seconds * RATE) as usize)
        .map(|n| {
            let t = n as f32 / RATE % period;
            (std::f32::consts::TAU * 90.0 * t).sin() * (-t * 18.0).exp()
        })
        .collect()
}

/// Triads, a second each, of semitones above middle C.
fn chords(triads: &[[i32; 3]]) -> Vec<f32> {
    let note = |semitone: i32| 261.626 * 2f32.powf(semitone as f32 / 12.0);
    triads
        .iter()
        .flat_map(|triad| {
            let tones = triad.map(|semitone| sine(note(semitone), 0.2, 1.0));
            (0..tones[0].len()).map(move |n| tones.iter().map(|tone| tone[n]).sum::<f32>())
        })
        .collect()
}

/// Everything that is a number in features.
fn numbers(features: &Features) -> Vec<f32> {
    let text = serde_json::to_value(features).unwrap();
    fn collect(value: &serde_json::Value, out: &mut Vec<f32>) {
        match value {
            serde_json::Value::Number(number) => out.push(number.as_f64().unwrap() as f32),
            serde_json::Value::Array(values) => values.iter().for_each(|v| collect(v, out)),
            serde_json::Value::Object(values) => values.values().for_each(|v| collect(v, out)),
            // What JSON has for a number that is none.
            serde_json::Value::Null => out.push(f32::NAN),
            _ => {}
        }
    }
    let mut out = Vec::new();
    collect(&text, &mut out);
    out
}

/// Vectors of the right length, of numbers; features too.
fn assert_defined(found: &Extracted) {
    let raw = found.raw45.as_ref().unwrap();
    let groups = found.features.groups.as_ref().unwrap();
    for (vector, length) in
        [(dsp45(raw), 45), (dsp45_row(raw), 45), (dsp47(groups), 47), (dsp47_plain(groups), 47)]
    {
        assert_eq!(vector.len(), length);
        assert!(vector.iter().all(|value| value.is_finite()), "{vector:?}");
        assert!(vector.iter().any(|value| *value != 0.0));
    }
    assert!(numbers(&found.features).iter().all(|v| v.is_finite()), "{:?}", found.features);
}

#[test]
fn no_samples_have_no_vector_and_no_features() {
    let found = extract(&[], Some("kick"));

    assert_eq!(found, Extracted { raw45: None, features: Features::default() });
}

#[test]
fn silence_has_vectors_but_no_key_tempo_loudness_or_instrument() {
    let found = extract(&[0.0; 44_100], Some("kick"));

    assert_defined(&found);
    let features = found.features;
    assert_eq!((features.key, features.bpm, features.loudness_lufs), (None, None, None));
    assert_eq!((features.instrument, features.is_loop, features.peak_db), (None, None, None));
    assert_eq!((features.silence_start_s, features.silence_end_s), (Some(2.0), Some(2.0)));
    assert_eq!(features.rms, Some(0.0));
    assert!(features.moods.is_empty());
}

#[test]
fn clips_of_a_few_samples_are_described() {
    for count in [1, 2, 10, 220, 511, 512, 513, 2047, 2049] {
        assert_defined(&extract(&sine(1000.0, 0.5, 1.0)[..count], None));
    }
}

#[test]
fn clicks_offsets_and_square_waves_are_described() {
    let mut click = vec![0.0; 30_000];
    click[15_000] = 1.0;
    let square = sine(100.0, 1.0, 1.0).iter().map(|x| x.signum()).collect();
    for clip in [click, vec![1.0; 30_000], vec![-0.3; 5000], square] {
        assert_defined(&extract(&clip, None));
    }
}

#[test]
fn samples_that_are_no_numbers_count_as_silence() {
    let clean = sine(440.0, 0.5, 2.0);
    let mut silenced = clean.clone();
    let mut broken = clean;
    for (at, value) in [(0, f32::NAN), (7000, f32::INFINITY), (7001, -1e30), (44_099, f32::NAN)] {
        broken[at] = value;
        silenced[at] = 0.0;
    }

    assert_eq!(extract(&broken, None), extract(&silenced, None));
    assert_defined(&extract(&[f32::NAN; 3000], None));
}

#[test]
fn blocks_do_not_change_what_is_found() {
    let clip: Vec<f32> =
        beats(120.0, 4.0).iter().zip(chords(&[[0, 4, 7]; 4])).map(|(a, b)| a + b).collect();
    let whole = extract(&clip, Some("take"));
    for size in [1, 37, 512, 5000] {
        let source = Source { sample_rate: SAMPLE_RATE, channels: 1, name: Some("take".into()) };
        let mut extractor = Extractor::new(source);
        for block in clip.chunks(size) {
            extractor.push(block);
            extractor.push_decoded(block);
        }

        assert_eq!(extractor.finish(), whole, "blocks of {size}");
    }
}

#[test]
fn a_song_longer_than_a_clip_is_described_like_its_parts() {
    let second: Vec<f32> =
        beats(120.0, 2.0).iter().zip(noise(0.05, 44_100)).map(|(a, b)| a + b).collect();
    let long: Vec<f32> = second.iter().copied().cycle().take(CLIP_SAMPLES + 20 * 22_050).collect();
    let short = extract(&long[..30 * 22_050], None);

    let found = extract(&long, None);

    assert_defined(&found);
    let [short, long] = [short, found].map(|found| dsp45(&found.raw45.unwrap()));
    for (feature, (short, long)) in short.iter().zip(&long).enumerate() {
        // Ends weigh less in a longer song; in units of the corpus's deviation.
        assert!((short - long).abs() < 0.05, "feature {feature}: {short} {long}");
    }
}

#[test]
fn tempo_is_within_a_quarter_percent() {
    for bpm in [84.0, 97.3, 120.0, 128.0, 143.7] {
        let features = extract(&beats(bpm, 20.0), None).features;

        let found = features.bpm.unwrap();
        assert!((found / bpm - 1.0).abs() < 0.0025, "{bpm}: {found}");
        assert!(features.bpm_confidence.unwrap() > 0.5);
    }
}

#[test]
fn the_key_is_that_of_the_chords() {
    let major = [[0, 4, 7], [5, 9, 12], [7, 11, 14], [0, 4, 7]];
    let minor = [[0, 3, 7], [5, 8, 12], [7, 11, 14], [0, 3, 7]];
    for tonic in [0, 4, 9] {
        for (triads, mode) in [(major, Mode::Major), (minor, Mode::Minor)] {
            let moved = triads.map(|triad| triad.map(|semitone| semitone + tonic));

            let features = extract(&chords(&moved), None).features;

            assert_eq!(features.key, Some(Key::new(tonic as u8, mode)));
            assert!(features.key_confidence.unwrap() > 0.3);
        }
    }
}

#[test]
fn tuning_is_found_to_a_twentieth_of_a_semitone() {
    for cents in [-30.0f32, 0.0, 25.0] {
        let tuned = 440.0 * (cents / 1200.0).exp2();
        let clip: Vec<f32> =
            [0.5, 1.0, 1.5].iter().flat_map(|r| sine(tuned * r, 0.4, 1.0)).collect();
        // A pure fifth is two cents wide; the octaves are in tune.
        let found = extract(&clip, None).features.tuning_hz.unwrap();

        // Peaks between bins are placed by a parabola, a few cents aside.
        let error = 1200.0 * (found / tuned).log2();
        assert!(error.abs() < 5.0, "{cents}: {found} Hz");
    }
}

#[test]
fn silence_at_the_ends_is_measured() {
    let mut clip = vec![0.0; 22_050];
    clip.extend(sine(440.0, 0.3, 2.0));
    clip.extend([0.0; 33_075]);

    let features = extract(&clip, None).features;

    // To a hop of 23 ms.
    assert!((features.silence_start_s.unwrap() - 1.0).abs() < 0.025);
    assert!((features.silence_end_s.unwrap() - 1.5).abs() < 0.025);
}

#[test]
fn levels_and_spectrum_of_a_tone_are_its_own() {
    let features = extract(&sine(1000.0, 0.5, 3.0), None).features;

    assert!((features.peak_db.unwrap() + 6.02).abs() < 0.05);
    // A sine of half scale at 1 kHz in one channel: −3.01 − 6.02 LUFS.
    assert!((features.loudness_lufs.unwrap() + 9.03).abs() < 0.2);
    assert!((features.spectral_centroid_hz.unwrap() - 1000.0).abs() < 50.0);
    assert!(features.spectral_flatness.unwrap() < 1e-3);
    assert!(features.pitch_salience.unwrap() > 0.9);
    // Two changes of sign a period.
    assert!((features.zero_crossing_rate.unwrap() - 2000.0 / RATE).abs() < 0.002);

    let features = extract(&noise(0.5, 66_150), None).features;
    assert!(features.pitch_salience.unwrap() < 0.3);
    assert!(features.spectral_flatness.unwrap() > 0.4);
    assert!((features.spectral_centroid_hz.unwrap() - 5512.0).abs() < 150.0);
}

#[test]
fn loops_and_one_shots_are_told_apart() {
    let four_bars = beats(120.0, 8.0);
    let hit: Vec<f32> = beats(60.0, 0.9);
    let song = beats(120.0, 90.0);

    assert_eq!(extract(&four_bars, None).features.is_loop, Some(true));
    assert_eq!(extract(&hit, None).features.is_loop, Some(false));
    assert_eq!(extract(&song, None).features.is_loop, None);
    assert_eq!(extract(&four_bars, Some("bass one-shot hit")).features.is_loop, Some(false));
    assert_eq!(extract(&beats(120.0, 7.3), Some("Drum Loop 7")).features.is_loop, Some(true));
}

#[test]
fn a_name_and_a_sound_that_agree_make_a_surer_instrument() {
    let thump = beats(60.0, 0.6);

    let named = extract(&thump, Some("Kick_03")).features;
    let unnamed = extract(&thump, Some("take 4")).features;

    assert_eq!(named.instrument.as_deref(), Some("kick"));
    assert!(named.instrument_confidence > unnamed.instrument_confidence);
}

#[test]
fn the_shipped_scaler_brings_usual_sounds_near_zero() {
    assert_eq!(dsp45_scaler().features(), 45);
    let clip: Vec<f32> =
        beats(110.0, 8.0).iter().zip(chords(&[[0, 4, 7]; 8])).map(|(a, b)| 0.4 * a + b).collect();

    let vector = dsp45(&extract(&clip, None).raw45.unwrap());

    let size = vector.iter().map(|v| v.abs()).sum::<f32>() / 45.0;
    assert!((0.2..4.0).contains(&size), "{vector:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bit patterns, in any blocks, at any rate and number of channels.
    #[test]
    fn no_input_panics_or_makes_what_is_no_number(
        bits in prop::collection::vec(any::<u32>(), 1..4000),
        size in 1usize..3000,
        sample_rate in prop_oneof![Just(1u32), 8_000u32..192_000, any::<u32>()],
        channels in 0usize..10,
        name in ".{0,20}",
    ) {
        let samples: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let mut extractor = Extractor::new(Source { sample_rate, channels, name: Some(name) });
        for block in samples.chunks(size) {
            extractor.push(block);
        }
        // Whole frames.
        let whole = samples.len() - samples.len() % channels.max(1);
        extractor.push_decoded(&samples[..whole]);

        assert_defined(&extractor.finish());
    }

    /// Sounds between quiet and far too loud.
    #[test]
    fn any_level_is_described(
        level in -12.0f32..6.0,
        hz in 10.0f32..11_000.0,
        count in 1usize..9000,
        gap in 0usize..9000,
    ) {
        let mut clip = vec![0.0; gap];
        clip.extend(&sine(hz, 10f32.powf(level), 1.0)[..count]);

        assert_defined(&extract(&clip, None));
    }
}
