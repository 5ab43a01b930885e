//! Tempo and key of sounds that have them, and of sounds that do not.

use songrec_audio::{dsp::SAMPLE_RATE, features::extract};
use songrec_core::{Features, Key, Mode};

const RATE: f32 = SAMPLE_RATE as f32;
const TAU: f32 = std::f32::consts::TAU;

fn features(sound: &[f32]) -> Features {
    extract(sound, None).features
}

fn seconds(count: f32) -> Vec<f32> {
    vec![0.0; (count * RATE) as usize]
}

fn noise() -> impl FnMut() -> f32 {
    let mut state = 12_345u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Adds a sound, made from the time since its beginning, at a second.
fn put(sound: &mut [f32], at: f32, length: f32, mut value: impl FnMut(f32) -> f32) {
    let first = (at * RATE) as usize;
    for (n, out) in sound.iter_mut().skip(first).take((length * RATE) as usize).enumerate() {
        *out += value(n as f32 / RATE);
    }
}

fn click(sound: &mut [f32], at: f32) {
    put(sound, at, 0.08, |t| 0.6 * (TAU * 1100.0 * t).sin() * (-t * 90.0).exp());
}

fn kick(sound: &mut [f32], at: f32) {
    put(sound, at, 0.25, |t| {
        0.8 * (TAU * (50.0 + 60.0 * (-t * 30.0).exp()) * t).sin() * (-t * 14.0).exp()
    });
}

fn snare(sound: &mut [f32], at: f32) {
    let mut noise = noise();
    put(sound, at, 0.2, |t| (0.35 * noise() + 0.2 * (TAU * 190.0 * t).sin()) * (-t * 18.0).exp());
}

fn hat(sound: &mut [f32], at: f32) {
    let mut noise = noise();
    let mut before = 0.0;
    put(sound, at, 0.06, |t| {
        let (new, old) = (noise(), before);
        before = new;
        0.12 * (new - old) * (-t * 60.0).exp()
    });
}

/// Kick on the first and third beat of a bar, snare on the others, hats between.
fn backbeat(bpm: f32, length: f32) -> Vec<f32> {
    let mut sound = seconds(length);
    let eighth = 30.0 / bpm;
    for step in 0..(length / eighth) as usize {
        let at = 0.05 + step as f32 * eighth;
        hat(&mut sound, at);
        match step % 8 {
            0 | 4 => kick(&mut sound, at),
            2 | 6 => snare(&mut sound, at),
            _ => {}
        }
    }
    sound
}

/// A tone with overtones.
fn note(sound: &mut [f32], at: f32, length: f32, semitone: i32, level: f32) {
    let hz = 261.626 * (semitone as f32 / 12.0).exp2();
    put(sound, at, length, |t| {
        let tone: f32 = (1..5u8).map(|k| (TAU * hz * f32::from(k) * t).sin() / f32::from(k)).sum();
        level * tone * (-t * 1.5).exp()
    });
}

/// A cadence over a bass, again and again, a chord every two seconds.
fn cadence(sound: &mut [f32], tonic: i32, mode: Mode) {
    let thirds = if mode == Mode::Major { [4, 4, 4, 4] } else { [3, 3, 4, 3] };
    let bars = (sound.len() as f32 / RATE / 2.0) as usize;
    for (bar, (root, third)) in [0, 5, 7, 0].into_iter().zip(thirds).cycle().take(bars).enumerate()
    {
        let at = 2.0 * bar as f32;
        for tone in [0, third, 7] {
            note(sound, at, 1.9, tonic + root + tone, 0.08);
        }
        note(sound, at, 1.9, tonic + root - 24, 0.12);
    }
}

#[test]
fn clicks_have_their_tempo_from_60_to_200() {
    for bpm in (60..=200u8).step_by(7).map(f32::from) {
        let mut sound = seconds(24.0);
        let mut at = 0.1;
        while at < 23.9 {
            click(&mut sound, at);
            at += 60.0 / bpm;
        }

        let features = features(&sound);

        let found = features.bpm.expect("clicks are a beat");
        assert!((found / bpm - 1.0).abs() < 0.005, "{bpm}: {found}");
        assert_eq!(features.sure_key(), None, "{bpm}");
    }
}

#[test]
fn drums_have_a_tempo_and_no_key() {
    for bpm in [72.0, 96.0, 121.0, 138.0, 160.0] {
        let features = features(&backbeat(bpm, 20.0));

        let found = features.bpm.expect("drums are a beat");
        assert!((found / bpm - 1.0).abs() < 0.01, "{bpm}: {found}");
        assert!(features.bpm_confidence > Some(0.5), "{bpm}: {features:?}");
        assert_eq!(features.sure_key(), None, "{bpm}: {:?}", features.key_confidence);
    }
}

#[test]
fn a_cadence_with_drums_has_both() {
    for (tonic, mode) in [(0, Mode::Major), (3, Mode::Minor), (7, Mode::Major), (10, Mode::Minor)] {
        let mut sound = backbeat(120.0, 24.0);
        cadence(&mut sound, tonic, mode);

        let features = features(&sound);

        assert_eq!(features.sure_key(), Some(Key::new(tonic as u8, mode)), "{features:?}");
        assert!((features.bpm.expect("there are drums") / 120.0 - 1.0).abs() < 0.01);
    }
}

#[test]
fn broken_chords_are_eighths_and_not_five_to_a_beat() {
    // Of 150 beats a minute, all notes as loud; a new chord every four beats.
    let mut sound = seconds(40.0);
    for (bar, root) in [0, 5, 7, 9].into_iter().cycle().take(24).enumerate() {
        for step in 0..8 {
            let tone = [0, 4, 7, 12][step % 4];
            note(&mut sound, 0.05 + 0.2 * (8 * bar + step) as f32, 0.3, root + tone, 0.1);
        }
    }

    let found = features(&sound).bpm.expect("there are notes");

    assert!((found / 150.0 - 1.0).abs() < 0.01, "{found}");
}

#[test]
fn a_key_is_found_in_any_tuning() {
    for cents in [-45.0f32, -35.0, 30.0, 45.0] {
        let mut sound = seconds(16.0);
        cadence(&mut sound, 2, Mode::Major);
        // Faster or slower playback moves every pitch alike.
        let speed = (cents / 1200.0).exp2();
        let tuned: Vec<f32> = (0..(sound.len() as f32 / speed) as usize - 1)
            .map(|n| {
                let place = n as f32 * speed;
                let (at, share) = (place as usize, place.fract());
                sound[at] * (1.0 - share) + sound[(at + 1).min(sound.len() - 1)] * share
            })
            .collect();

        assert_eq!(features(&tuned).sure_key(), Some(Key::new(2, Mode::Major)), "{cents} cents");
    }
}

#[test]
fn held_and_single_sounds_have_no_tempo() {
    let mut one = seconds(1.5);
    note(&mut one, 0.02, 1.4, 0, 0.3);
    let mut hit = seconds(0.4);
    snare(&mut hit, 0.0);
    let mut held = seconds(20.0);
    for tone in [0, 7, 12] {
        let hz = 130.8 * (tone as f32 / 12.0).exp2();
        put(&mut held, 0.0, 20.0, |t| 0.1 * (TAU * hz * t).sin() * (0.2 + t.min(3.0)));
    }
    let mut hiss = noise();
    let hiss: Vec<f32> = (0..RATE as usize * 20).map(|_| 0.2 * hiss()).collect();

    for (name, sound) in [("note", one), ("hit", hit), ("held", held), ("hiss", hiss)] {
        let features = features(&sound);

        assert_eq!((features.bpm, features.bpm_confidence), (None, None), "{name}");
    }
}

#[test]
fn noise_and_drum_hits_have_no_key() {
    let mut hiss = noise();
    let hiss: Vec<f32> = (0..RATE as usize * 10).map(|_| 0.2 * hiss()).collect();
    let mut hit = seconds(0.4);
    snare(&mut hit, 0.0);

    assert_eq!(features(&hiss).sure_key(), None);
    assert_eq!(features(&hit).sure_key(), None);
    assert_eq!(features(&seconds(3.0)).sure_key(), None);
}

#[test]
fn a_tempo_that_changes_is_one_of_its_tempi() {
    let mut sound = backbeat(96.0, 20.0);
    sound.extend(backbeat(132.0, 20.0));

    let features = features(&sound);

    // Whichever is said; none is right as well.
    if let Some(bpm) = features.bpm {
        let near = |tempo: f32| (bpm / tempo - 1.0).abs() < 0.04;
        assert!(near(96.0) || near(132.0), "{bpm}");
    }
}
