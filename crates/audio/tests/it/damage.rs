//! Whatever is in a file, there is a defined answer and never a panic.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use songrec_audio::{Analysis, Decoder, Error, Reason, Wanted, Warning, analyze, identify};
use songrec_core::WarningKind;

fn fixtures() -> Vec<PathBuf> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/formats"].iter().collect();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "sh"))
        .collect();
    files.sort();
    files
}

/// A WAVE file of float samples.
fn wave(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let frame = channels * 4;
    [
        b"RIFF",
        &(36 + data.len() as u32).to_le_bytes()[..],
        b"WAVEfmt \x10\0\0\0\x03\0",
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        b"\x20\0data",
        &(data.len() as u32).to_le_bytes(),
        &data,
    ]
    .concat()
}

fn sine(rate: u32, seconds: f64) -> Vec<f32> {
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate);
    (0..(f64::from(rate) * seconds) as u32).map(|n| (step * f64::from(n)).sin() as f32).collect()
}

/// What `bytes` are analyzed to, in a file of this name.
fn analyzed(name: &str, bytes: &[u8]) -> Result<Analysis, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    analyze(&path, &Wanted::default())
}

fn reason(name: &str, bytes: &[u8]) -> Reason {
    let error = analyzed(name, bytes).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert!(!error.hint().is_empty());
    error.reason().clone()
}

/// Decodes as far as it goes.
fn decode(path: &Path) -> Result<u64, Error> {
    let mut decoder = Decoder::open(path)?;
    let mut frames = 0;
    while let Some(block) = decoder.next_block()? {
        assert!(block.samples().iter().all(|sample| sample.is_finite()));
        frames += block.frames() as u64;
    }
    decoder.identity()?;
    Ok(frames)
}

#[test]
fn what_is_not_audio_says_so() {
    assert_eq!(reason("empty.mp3", b""), Reason::Empty);
    assert_eq!(reason("note.mp3", b"This is not an MP3 file."), Reason::NotAudio);
    assert_eq!(reason("zeros.wav", &[0; 100_000]), Reason::NotAudio);
    let text = "All work and no play makes Jack a dull boy. ".repeat(50_000);
    assert_eq!(reason("text.flac", text.as_bytes()), Reason::NotAudio);
    let picture = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &[7; 5_000][..]].concat();
    assert_eq!(reason("cover.png", &picture), Reason::NotAudio);
}

#[test]
fn what_holds_the_header_of_a_wav_is_no_wav() {
    // A WavPack block keeps the header of the file that it was made of.
    let wav = fixtures().into_iter().find(|path| path.ends_with("u8.wav")).unwrap();
    let wav = std::fs::read(wav).unwrap();
    let packed = [b"wvpk6%\0\0\x10\x04\0\0\x80>\0\0".as_slice(), &wav].concat();
    assert_eq!(reason("packed.wv", &packed), Reason::NotAudio);
    let monkeys = [b"MAC \x96\x0f\0\0".as_slice(), &wav].concat();
    assert_eq!(reason("packed.ape", &monkeys), Reason::NotAudio);
}

#[test]
fn noise_is_not_taken_for_music() {
    // MPEG frames begin with eleven set bits, which noise is full of.
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for round in 0..4 {
        let bytes: Vec<u8> = (0..1_000_000).map(|_| random()).collect();
        let found = reason("noise.mp3", &bytes);
        assert!(matches!(found, Reason::NotAudio | Reason::Corrupt), "{round}: {found:?}");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let of = |path: &Path| analyze(path, &Wanted::default()).unwrap_err().reason().clone();

    assert_eq!(of(folder.path()), Reason::NotAFile);
    assert_eq!(of(&folder.path().join("missing.wav")), Reason::NotFound);

    let large = folder.path().join("large.wav");
    fs::write(&large, wave(8_000, 1, &[0.5; 100])).unwrap();
    let wanted = Wanted { max_bytes: 100, ..Wanted::default() };
    let error = analyze(&large, &wanted).unwrap_err();
    assert_eq!(error.reason(), &Reason::TooLarge { bytes: 444, limit: 100 });
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wav");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());

    assert_eq!(identify(&pipe).unwrap_err().reason(), &Reason::NotAFile);
}

#[cfg(unix)]
#[test]
fn a_file_of_another_user_is_denied() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.wav");
    fs::write(&path, wave(8_000, 1, &[0.5; 100])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    if fs::read(&path).is_err() {
        assert_eq!(identify(&path).unwrap_err().reason(), &Reason::Denied);
    }
}

#[test]
fn very_short_files_have_answers() {
    assert_eq!(reason("none.wav", &wave(44_100, 2, &[])), Reason::Empty);

    for samples in [1, 10, 441, 2_000] {
        let analysis = analyzed("short.wav", &wave(44_100, 1, &sine(44_100, 1.0)[..samples]));
        let analysis = analysis.unwrap();
        assert_eq!(analysis.audio.frames, samples as u64);
        assert!(analysis.features.is_some());
        for vector in analysis.embeddings.values() {
            assert!(vector.values().iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn samples_that_are_no_numbers_are_silenced_and_counted() {
    let mut samples = sine(44_100, 1.0);
    samples[100] = f32::NAN;
    samples[101] = f32::INFINITY;
    samples[102] = f32::NEG_INFINITY;
    samples[103] = 1e30;

    let analysis = analyzed("nan.wav", &wave(44_100, 1, &samples)).unwrap();

    assert_eq!(analysis.warnings, [Warning::InvalidSamples { samples: 4 }]);
    let vector = analysis.embeddings.values().next().unwrap();
    assert!(vector.values().iter().all(|value| value.is_finite()));
}

#[test]
fn silence_is_a_song_with_a_warning() {
    for rate in [8_000, 44_100, 192_000] {
        let analysis = analyzed("silence.wav", &wave(rate, 2, &vec![0.0; rate as usize])).unwrap();
        assert!(analysis.warnings.contains(&Warning::Silent), "{:?}", analysis.warnings);
        assert_eq!(analysis.audio.warnings[0].kind, WarningKind::Silent);
        assert!(analysis.embeddings.is_empty(), "nothing is like silence");
    }
}

#[test]
fn any_number_of_channels_is_heard_as_their_mean() {
    let mono = sine(22_050, 0.5);
    let one = analyzed("1.wav", &wave(22_050, 1, &mono)).unwrap();
    for channels in [2u16, 3, 6, 8, 16] {
        // All of the sound is in the last channel, so many times louder.
        let samples: Vec<f32> = mono
            .iter()
            .flat_map(|&sample| {
                let silent = std::iter::repeat_n(0.0, usize::from(channels) - 1);
                silent.chain([sample * f32::from(channels)])
            })
            .collect();
        let many = analyzed("n.wav", &wave(22_050, channels, &samples)).unwrap();
        assert_eq!(many.audio.channels, u32::from(channels));
        for (model, vector) in &many.embeddings {
            // The mean of three or more is rounded differently, and the contrast of a sine
            // is that of its peak with what rounding leaves beside it.
            let most = if model.as_str() == "dsp47@2" { 0.1 } else { 5e-3 };
            for (a, b) in vector.values().iter().zip(one.embeddings[model].values()) {
                assert!((a - b).abs() < most, "{model}, {channels} channels: {a} {b}");
            }
        }
    }
}

#[test]
fn impossible_sample_rates_are_refused() {
    for rate in [1, 100, 4_000_000_000u32] {
        let mut bytes = wave(8_000, 1, &[0.5; 1000]);
        bytes[24..28].copy_from_slice(&rate.to_le_bytes());
        assert_eq!(reason("rate.wav", &bytes), Reason::UnsupportedRate(rate));
    }
}

#[test]
fn a_file_cut_off_gives_what_is_left_of_it() {
    for path in fixtures() {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Their index is at the end, and without it they are nothing.
        if matches!(name.as_str(), "aac.m4a" | "alac.m4a" | "alac.caf") {
            assert_eq!(reason(&name, &bytes[..bytes.len() * 2 / 3]), Reason::Corrupt);
            continue;
        }
        // So short that all of them is one page; see the next test.
        if name.ends_with(".ogg") || name.ends_with(".opus") {
            continue;
        }
        let cut = analyzed(&name, &bytes[..bytes.len() * 5 / 6]).unwrap();
        assert!(cut.audio.duration > 0.08, "{name}: {} s", cut.audio.duration);
        assert!(cut.audio.duration < 0.4, "{name}: {} s", cut.audio.duration);
    }
}

/// Whether a file says that something of it is missing.
fn is_cut(analysis: &Analysis) -> bool {
    let kinds: Vec<WarningKind> = analysis.audio.warnings.iter().map(|one| one.kind).collect();
    let said = analysis.warnings.iter().any(|one| matches!(one, Warning::Truncated { .. }));
    assert_eq!(said, kinds.contains(&WarningKind::Truncated), "{:?}", analysis.warnings);
    said
}

#[test]
fn a_file_cut_off_says_so_and_a_whole_one_does_not() {
    for path in fixtures() {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let whole = analyzed(&name, &bytes).unwrap();
        assert_eq!(whole.audio.warnings, [], "{name}");
        // An Ogg file this short is one page, which is there or is not.
        let is_of = |kind: &&str| Path::new(&name).extension().is_some_and(|end| end == *kind);
        let says_its_length =
            ["wav", "aif", "aiff", "flac"].iter().any(is_of) && name != "streamed.wav";
        if says_its_length {
            let cut = analyzed(&name, &bytes[..bytes.len() * 5 / 6]).unwrap();
            assert!(is_cut(&cut), "{name}: {:?}", cut.warnings);
        }
    }
    let ogg: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../examples/audio/pad/dusk-pad.ogg"].iter().collect();
    let ogg = fs::read(ogg).unwrap();
    assert!(!is_cut(&analyzed("whole.ogg", &ogg).unwrap()));
    assert!(is_cut(&analyzed("cut.ogg", &ogg[..ogg.len() * 2 / 3]).unwrap()));
}

#[test]
fn a_wave_file_says_how_much_of_it_is_missing() {
    let whole = wave(8_000, 1, &sine(8_000, 10.0));
    let cut = analyzed("cut.wav", &whole[..44 + (whole.len() - 44) * 7 / 100]).unwrap();
    let [Warning::Truncated { seconds: Some(seconds) }, ..] = cut.warnings[..] else {
        panic!("{:?}", cut.warnings)
    };
    assert!((seconds - 9.3).abs() < 0.01, "{seconds}");

    // Streams do not know their length, and some programs count a few bytes
    // that are not there.
    for (length, frames) in [(u32::MAX, 0), (0x7FFF_FFFF, 0), (0x7FFF_F000, 0), (0, 9), (0, 50)] {
        let mut bytes = whole.clone();
        let data = if length == 0 { (whole.len() - 44) as u32 + 4 * frames } else { length };
        bytes[40..44].copy_from_slice(&data.to_le_bytes());
        let analysis = analyzed("stream.wav", &bytes).unwrap();
        assert!(!is_cut(&analysis), "{data}: {:?}", analysis.warnings);
    }
}

#[test]
fn an_ogg_file_cut_off_keeps_its_whole_pages() {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../examples/audio/pad/dusk-pad.ogg"].iter().collect();
    let bytes = fs::read(&path).unwrap();
    let whole = decode(&path).unwrap();

    let cut = analyzed("cut.ogg", &bytes[..bytes.len() * 2 / 3]).unwrap();

    assert!(cut.audio.frames > whole / 3, "{} of {whole}", cut.audio.frames);
    assert!(cut.audio.frames < whole, "{} of {whole}", cut.audio.frames);
}

#[test]
fn a_wave_file_cut_anywhere_loses_nothing_before_the_cut() {
    let samples = sine(8_000, 0.5);
    let whole = wave(8_000, 1, &samples);
    for left in [1, 100, 1151, 1152, 1153, 3999] {
        let cut = analyzed("cut.wav", &whole[..44 + 4 * left]).unwrap();
        assert_eq!(cut.audio.frames, left as u64);
    }
}

/// Tries `bytes` and wants an answer in time, whatever it is.
fn survives(path: &Path, bytes: &[u8], context: &str) {
    fs::write(path, bytes).unwrap();
    let start = Instant::now();
    if let Err(error) = decode(path) {
        assert_ne!(error.reason(), &Reason::Io, "{context}: {error}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{context}: {:?}", start.elapsed());
}

#[test]
fn truncation_anywhere_is_survived() {
    const CUTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        let bytes = fs::read(&fixture).unwrap();
        let path = folder.path().join(fixture.file_name().unwrap());
        let ends = (0..CUTS).map(|cut| bytes.len() * cut / CUTS);
        // Headers deserve every byte.
        for end in (0..100).chain(ends).filter(|&end| end < bytes.len()) {
            survives(&path, &bytes[..end], &format!("{} cut at {end}", path.display()));
        }
    }
}

#[test]
fn damage_anywhere_is_survived() {
    const ROUNDS: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        let bytes = fs::read(&fixture).unwrap();
        let path = folder.path().join(fixture.file_name().unwrap());
        let mut state = bytes.len() as u64 | 1;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for round in 0..ROUNDS {
            let mut damaged = bytes.clone();
            // Half of the rounds hit the headers, where it hurts most.
            let reach = if round % 2 == 0 { bytes.len() } else { bytes.len().min(300) };
            for _ in 0..=round % 8 {
                damaged[random(reach)] = random(256) as u8;
            }
            survives(&path, &damaged, &format!("{} round {round}", path.display()));
        }
    }
}

/// An ID3v2 tag of one frame.
fn id3v2(frame: &[u8]) -> Vec<u8> {
    [b"ID3\x04\0\0", &synchsafe(frame.len())[..], frame].concat()
}

fn synchsafe(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (size >> shift) as u8 & 127)
}

/// Tables of contents inside each other.
fn nested_chapters(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inside, _| {
        let inside = [&b"t\0\x03\0"[..], &inside].concat();
        [b"CTOC", &synchsafe(inside.len())[..], &[0, 0], &inside].concat()
    })
}

#[test]
fn chapters_inside_each_other_cost_their_tag_and_nothing_else() {
    let fixture = |name: &str| {
        let path = fixtures().into_iter().find(|path| path.ends_with(name)).unwrap();
        fs::read(path).unwrap()
    };
    let chunk = |name: &[u8; 4], size: [u8; 4], inside: &[u8]| {
        [&name[..], &size, inside, &vec![0; inside.len() % 2]].concat()
    };
    // A kilobyte was enough for 2 MB of stack; more would end any thread.
    for depth in [80, 5_000] {
        let tag = id3v2(&nested_chapters(depth));
        let size = tag.len() as u32;
        let title = b"\x06\0\0\0\0\0\0\0Title\0behind";
        let footer = b"APETAGEX\xd0\x07\0\0\x34\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let ape = [&title[..], footer].concat();
        let mut wav = fixture("u8.wav");
        wav.extend(chunk(b"id3 ", size.to_le_bytes(), &tag));
        let mut aiff = fixture("s16.aiff");
        aiff.extend(chunk(b"ID3 ", size.to_be_bytes(), &tag));
        for (name, bytes, whole) in [
            ("low.mp3", [&tag[..], &fixture("low.mp3"), &ape].concat(), fixture("low.mp3")),
            ("cd.flac", [&tag[..], &fixture("cd.flac")].concat(), fixture("cd.flac")),
            ("adts.aac", [&tag[..], &fixture("adts.aac")].concat(), fixture("adts.aac")),
            ("u8.wav", wav, fixture("u8.wav")),
            ("s16.aiff", aiff, fixture("s16.aiff")),
        ] {
            let found = analyzed(name, &bytes).unwrap();

            assert_eq!(found.song, analyzed(name, &whole).unwrap().song, "{name}");
            let said = found.warnings.iter().any(|warning| matches!(warning, Warning::Tags { .. }));
            assert!(said, "{name}: {:?}", found.warnings);
        }
        assert_eq!(reason("tag.mp3", &tag), Reason::NotAudio);
    }
}

#[test]
fn a_compressed_frame_is_not_inflated() {
    // A few bytes that stand for a title, were they inflated.
    let packed = b"\x78\x9c\x63\xce\xcc\x4b\xcb\x49\x2c\x49\x4d\x01\x00\x0e\xfc\x03\x4b";
    let frame = [b"TIT2", &synchsafe(packed.len() + 4)[..], &[0, 9, 0, 0, 0, 9], packed].concat();
    let mp3 = fixtures().into_iter().find(|path| path.ends_with("low.mp3")).unwrap();

    let found = analyzed("low.mp3", &[id3v2(&frame), fs::read(mp3).unwrap()].concat()).unwrap();

    assert_eq!(found.tags.title, None);
    assert!(found.warnings.iter().any(|warning| matches!(warning, Warning::Tags { .. })));
}

/// An MP4 file with these sample tables in place of its own.
fn with_tables(mut mp4: Vec<u8>, tables: &[(&[u8; 4], Vec<u32>)]) -> Vec<u8> {
    let find = |mp4: &[u8], name: &[u8; 4]| mp4.windows(4).position(|four| four == name).unwrap();
    let size = |mp4: &[u8], at: usize| u32::from_be_bytes(mp4[at - 4..at].try_into().unwrap());
    for (name, words) in tables {
        let at = find(&mp4, name);
        let old = size(&mp4, at);
        let new = words.len() as u32 * 4 + 12;
        let inside = [0].iter().chain(words).flat_map(|word| word.to_be_bytes());
        mp4.splice(at + 4..at + old as usize - 4, inside);
        mp4[at - 4..at].copy_from_slice(&new.to_be_bytes());
        for parent in [b"moov", b"trak", b"mdia", b"minf", b"stbl"] {
            let at = find(&mp4, parent);
            let grown = size(&mp4, at) + new - old;
            mp4[at - 4..at].copy_from_slice(&grown.to_be_bytes());
        }
    }
    mp4
}

#[test]
fn an_index_that_names_the_same_audio_again_and_again_is_not_followed() {
    const TIMES: u32 = 300_000;
    let path = fixtures().into_iter().find(|path| path.ends_with("aac.m4a")).unwrap();
    let mp4 = fs::read(path).unwrap();
    let word = |name: &[u8; 4], number: usize| {
        let at = mp4.windows(4).position(|four| four == name).unwrap() + 4 * number;
        u32::from_be_bytes(mp4[at..at + 4].try_into().unwrap())
    };
    let (first, length) = (word(b"stco", 3), word(b"stsz", 4));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.m4a");
    for length in [length, 0] {
        // With no length for all, there is one for each: none.
        let lengths = std::iter::repeat_n(0, if length == 0 { TIMES as usize } else { 0 });
        let chunks = std::iter::once(TIMES).chain(std::iter::repeat_n(first, TIMES as usize));
        let tables = [
            (b"stts", vec![1, TIMES, 1024]),
            (b"stsc", vec![1, 1, 1, 1]),
            (b"stsz", [length, TIMES].into_iter().chain(lengths).collect()),
            (b"stco", chunks.collect()),
        ];
        fs::write(&path, with_tables(mp4.clone(), &tables)).unwrap();
        let mut packets = 0;
        let mut decoder = Decoder::open(&path).unwrap();
        while let Ok(Some(_)) = decoder.next_block() {
            packets += 1;
        }

        assert!(packets < TIMES / 4, "{packets} packets of {length} bytes");
    }
}
