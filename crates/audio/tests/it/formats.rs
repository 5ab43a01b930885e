//! Every format is decoded to the sound that was put into it.
//!
//! `fixtures/formats/make.sh` made the files: 0.3 s of 440 Hz at 0.5 left and
//! 660 Hz at 0.25 right, fading out by e⁻³ a second.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{f64::consts::TAU, path::PathBuf};

use songrec_audio::{Decoder, identify};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/formats", name].iter().collect()
}

struct Expected {
    name: &'static str,
    container: &'static str,
    codec: &'static str,
    rate: u32,
    channels: u32,
    bits: Option<u32>,
    /// Samples before and after the 0.3 s that the format cannot tell from
    /// sound.
    extra: u64,
    /// The least signal-to-noise ratio in dB.
    snr: f64,
}

const fn lossless(
    name: &'static str,
    container: &'static str,
    codec: &'static str,
    (rate, channels, bits): (u32, u32, u32),
) -> Expected {
    // What rounding to so many bits leaves, less a margin for small signals.
    let snr = if bits > 24 { 130.0 } else { 6.0 * bits as f64 - 20.0 };
    Expected { name, container, codec, rate, channels, bits: Some(bits), extra: 0, snr }
}

const fn lossy(
    name: &'static str,
    container: &'static str,
    codec: &'static str,
    (rate, channels): (u32, u32),
    (extra, snr): (u64, f64),
) -> Expected {
    Expected { name, container, codec, rate, channels, bits: None, extra, snr }
}

const FILES: &[Expected] = &[
    lossless("s16.wav", "wav", "pcm_s16le", (44_100, 2, 16)),
    lossless("u8.wav", "wav", "pcm_u8", (8_000, 2, 8)),
    lossless("s24.wav", "wav", "pcm_s24le", (8_000, 1, 24)),
    lossless("s32.wav", "wav", "pcm_s32le", (8_000, 2, 32)),
    lossless("f32.wav", "wav", "pcm_f32le", (8_000, 2, 32)),
    lossless("f64.wav", "wav", "pcm_f64le", (8_000, 1, 64)),
    lossless("eight.wav", "wav", "pcm_s16le", (8_000, 8, 16)),
    lossless("streamed.wav", "wav", "pcm_s16le", (8_000, 2, 16)),
    lossless("rate192k.flac", "flac", "flac", (192_000, 1, 16)),
    lossless("s16.aiff", "aiff", "pcm_s16be", (8_000, 2, 16)),
    lossless("f32.aifc", "aiff", "pcm_f32be", (8_000, 2, 32)),
    lossless("cd.flac", "flac", "flac", (44_100, 2, 16)),
    lossless("s24.flac", "flac", "flac", (48_000, 1, 24)),
    lossless("flac.ogg", "ogg", "flac", (44_100, 2, 16)),
    lossless("flac.mka", "mkv", "flac", (44_100, 2, 16)),
    lossless("alac.m4a", "mp4", "alac", (44_100, 2, 16)),
    lossless("alac.caf", "caf", "alac", (44_100, 2, 16)),
    lossless("s16.caf", "caf", "pcm_s16be", (8_000, 2, 16)),
    lossy("alaw.wav", "wav", "pcm_alaw", (8_000, 2), (0, 30.0)),
    lossy("mulaw.wav", "wav", "pcm_mulaw", (8_000, 2), (0, 30.0)),
    lossy("adpcm_ms.wav", "wav", "adpcm_ms", (8_000, 2), (700, 20.0)),
    lossy("adpcm_ima.wav", "wav", "adpcm_ima_wav", (8_000, 2), (700, 20.0)),
    lossy("cbr.mp3", "mp3", "mp3", (44_100, 2), (0, 20.0)),
    lossy("vbr.mp3", "mp3", "mp3", (44_100, 2), (0, 20.0)),
    lossy("low.mp3", "mp3", "mp3", (8_000, 1), (0, 15.0)),
    lossy("layer2.mp2", "mp2", "mp2", (48_000, 2), (1152, 20.0)),
    lossy("vorbis.ogg", "ogg", "vorbis", (44_100, 2), (0, 15.0)),
    lossy("vorbis.mka", "mkv", "vorbis", (44_100, 2), (1024, 15.0)),
    lossy("stereo.opus", "ogg", "opus", (48_000, 2), (0, 15.0)),
    lossy("mono.opus", "ogg", "opus", (48_000, 1), (0, 8.0)),
    lossy("opus.webm", "mkv", "opus", (48_000, 2), (960, 15.0)),
    lossy("adts.aac", "adts", "aac", (44_100, 2), (2048, 10.0)),
    lossy("aac.m4a", "mp4", "aac", (44_100, 2), (0, 10.0)),
    lossy("faststart.m4a", "mp4", "aac", (44_100, 2), (0, 10.0)),
];

/// Decodes a file as a whole, one vector per channel.
fn decode(name: &str) -> (Vec<Vec<f32>>, Decoder) {
    let mut decoder = Decoder::open(&fixture(name)).unwrap();
    let mut channels: Vec<Vec<f32>> = Vec::new();
    while let Some(block) = decoder.next_block().unwrap() {
        channels.resize_with(block.channels(), Vec::new);
        for (at, channel) in channels.iter_mut().enumerate() {
            channel.extend(block.samples().iter().skip(at).step_by(block.channels()));
        }
    }
    (channels, decoder)
}

/// The sound that was put in; one channel is what ffmpeg mixes of two.
fn wanted(channel: usize, expected: &Expected, frames: usize) -> Vec<f64> {
    (0..frames)
        .map(|n| {
            let t = n as f64 / f64::from(expected.rate);
            let fade = (-3.0 * t).exp();
            let left = 0.5 * fade * (TAU * 440.0 * t).sin();
            let right = 0.25 * fade * (TAU * 660.0 * t).sin();
            match (expected.channels, channel % 2) {
                (1, _) => (left + right) / 2.0,
                (_, 0) => left,
                _ => right,
            }
        })
        .collect()
}

/// The signal-to-noise ratio in dB at the best of the allowed delays and at
/// the best level, for mixing to one channel is done differently by programs.
fn snr(embedded: &[f32], wanted: &[f64], most_delay: usize) -> f64 {
    (0..=most_delay)
        .map(|delay| {
            let pairs = || wanted.iter().zip(&embedded[delay..]).map(|(&w, &h)| (w, f64::from(h)));
            let energy: f64 = pairs().map(|(w, _)| w * w).sum();
            let level = pairs().map(|(w, h)| w * h).sum::<f64>() / energy;
            let noise: f64 = pairs().map(|(w, h)| (h / level - w).powi(2)).sum();
            10.0 * (energy / noise).log10()
        })
        .fold(f64::MIN, f64::max)
}

#[test]
fn every_format_is_decoded_to_its_sound() {
    for expected in FILES {
        let name = expected.name;
        let (channels, decoder) = decode(name);
        let properties = decoder.properties();
        let whole = u64::from(expected.rate) * 3 / 10;

        assert_eq!(properties.container, expected.container, "{name}");
        assert_eq!(properties.codec, expected.codec, "{name}");
        assert_eq!(properties.sample_rate, expected.rate, "{name}");
        assert_eq!(properties.channels, expected.channels, "{name}");
        let bits = properties.bit_depth.filter(|_| !expected.codec.ends_with("law"));
        assert_eq!(bits, expected.bits, "{name}");
        let frames = properties.frames;
        assert!((whole..=whole + expected.extra).contains(&frames), "{name}: {frames} frames");
        assert!((properties.duration - 0.3).abs() < 0.1, "{name}: {} s", properties.duration);
        assert!(properties.bitrate.is_some_and(|rate| rate > 10_000), "{name}");
        assert_eq!(decoder.damage(), &Default::default(), "{name}");
        for (at, embedded) in channels.iter().enumerate() {
            assert_eq!(embedded.len() as u64, frames, "{name}");
            let wanted = wanted(at, expected, whole as usize);
            let got = snr(embedded, &wanted, (frames - whole) as usize);
            assert!(got > expected.snr, "{name}, channel {at}: {got:.1} dB");
        }
    }
}

#[test]
fn every_file_in_the_folder_is_tested() {
    let mut there: Vec<_> = std::fs::read_dir(fixture(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "make.sh")
        .collect();
    there.sort();
    let mut tested: Vec<_> = FILES.iter().map(|file| file.name).collect();
    tested.sort_unstable();
    assert_eq!(there, tested);
}

#[test]
fn identifying_and_decoding_agree() {
    for expected in FILES {
        let (_, mut decoder) = decode(expected.name);
        let identity = identify(&fixture(expected.name)).unwrap();
        assert_eq!(decoder.identity().unwrap(), identity, "{}", expected.name);
        let bytes = std::fs::read(fixture(expected.name)).unwrap();
        assert_eq!(identity.sha256, songrec_core::Digest::of(&bytes), "{}", expected.name);
        assert_eq!(identity.size, bytes.len() as u64, "{}", expected.name);
    }
}

#[test]
fn the_same_stream_in_another_container_is_the_same_song() {
    for names in [
        &["aac.m4a", "faststart.m4a", "adts.aac"][..],
        &["cd.flac", "flac.ogg", "flac.mka"],
        &["vorbis.ogg", "vorbis.mka"],
        &["stereo.opus", "opus.webm"],
        &["alac.m4a", "alac.caf"],
        &["s16.aiff", "s16.caf"],
    ] {
        let songs: Vec<_> =
            names.iter().map(|name| identify(&fixture(name)).unwrap().song()).collect();
        assert!(songs.windows(2).all(|pair| pair[0] == pair[1]), "{names:?}: {songs:?}");
    }
}

#[test]
fn streams_chained_one_after_the_other_are_heard_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chained.ogg");
    // The second is of another codec, rate and number of channels.
    for (second, tolerance) in [("vorbis.ogg", 0), ("flac.ogg", 0), ("mono.opus", 2)] {
        let bytes = ["vorbis.ogg", second].map(|name| std::fs::read(fixture(name)).unwrap());
        std::fs::write(&path, bytes.concat()).unwrap();

        let mut decoder = Decoder::open(&path).unwrap();
        while let Some(block) = decoder.next_block().unwrap() {
            assert_eq!((block.channels(), block.sample_rate()), (2, 44_100));
        }

        let frames = decoder.properties().frames;
        assert!(frames.abs_diff(2 * 13_230) <= tolerance, "and {second}: {frames}");
        assert_eq!(decoder.damage(), &Default::default(), "and {second}");
    }
}

#[test]
fn different_audio_is_a_different_song() {
    let mut songs: Vec<_> =
        FILES.iter().map(|file| identify(&fixture(file.name)).unwrap().song()).collect();
    songs.sort_unstable();
    songs.dedup();
    // Eight of the files hold a stream that another holds too; see above.
    assert_eq!(songs.len(), FILES.len() - 8);
}
