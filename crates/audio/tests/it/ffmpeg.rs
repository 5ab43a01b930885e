//! Files that an installed ffmpeg reads: by one that is a script, and by the real one
//! where there is one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stderr, reason = "what is left out is said")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use songrec_audio::{
    Decoder, Error, Ffmpeg, Opening, Reason, Wanted, analyze, identify, identify_by, read_tags_by,
};

/// A machine with an ffmpeg that answers with files of its own.
struct World {
    folder: tempfile::TempDir,
}

/// Packets that no demuxer here takes for audio.
const PACKETS: &[u8] = b"the packets of a song";

impl World {
    /// The script does `work` before it answers.
    fn with(work: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(world.path("packets"), PACKETS).unwrap();
        fs::write(world.path("samples"), au(8_000, 2, 16_000)).unwrap();
        fs::write(world.path("song.wma"), b"\x30\x26\xb2\x75 not for songrec").unwrap();
        let script = format!(
            "#!/bin/sh\nhere='{}'\nprintf '%s\\n' \"$@\" > \"$here/asked\"\n\
             case \"$*\" in *-version*) echo 'ffmpeg version 7.x of a test'; exit;; esac\n\
             echo \"Input #0, asf, from 'x':\" >&2\n{work}\n\
             case \"$*\" in\n\
             *framehash*) printf '#codec_id 0: wmav2\\n';;\n\
             *ffmetadata*) printf ';FFMETADATA1\\ntitle=A \\\\= B\\ntrack=3/9\\n[STREAM]\\n';;\n\
             *'-f data'*) cat \"$here/packets\";;\n\
             *'-f au'*) cat \"$here/samples\";;\nesac\n",
            world.folder.path().display()
        );
        fs::write(world.path("ffmpeg"), script).unwrap();
        fs::set_permissions(world.path("ffmpeg"), fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ffmpeg(&self) -> Arc<Ffmpeg> {
        // A program that was just written may still be open in another process.
        loop {
            match Ffmpeg::find(&self.path("ffmpeg")) {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                found => return Arc::new(found.unwrap()),
            }
        }
    }

    fn opening(&self) -> Opening {
        Opening::with(Some(self.ffmpeg()))
    }

    fn asked(&self) -> Vec<String> {
        fs::read_to_string(self.path("asked")).unwrap().lines().map(str::to_owned).collect()
    }
}

/// An AU file of a constant 0.25 as floats, without a length.
fn au(rate: u32, channels: u32, frames: u32) -> Vec<u8> {
    let mut bytes = b".snd".to_vec();
    for word in [32, u32::MAX, 6, rate, channels, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for _ in 0..frames * channels {
        bytes.extend(0.25f32.to_be_bytes());
    }
    bytes
}

fn frames(decoder: &mut Decoder) -> Result<usize, Error> {
    let mut frames = 0;
    while let Some(block) = decoder.next_block()? {
        assert!(block.samples().iter().all(|&sample| sample == 0.25));
        frames += block.frames();
    }
    Ok(frames)
}

#[test]
fn what_nothing_here_reads_ffmpeg_does() {
    let world = World::with("");
    let path = world.path("song.wma");

    assert_eq!(identify(&path).unwrap_err().reason(), &Reason::NotAudio);
    let wanted = Wanted { ffmpeg: Some(world.ffmpeg()), ..Wanted::default() };
    let analysis = analyze(&path, &wanted).unwrap();

    let audio = &analysis.audio;
    assert_eq!((audio.container.as_str(), audio.codec.as_str()), ("asf", "wmav2"));
    assert_eq!((audio.sample_rate, audio.channels, audio.frames), (8_000, 2, 16_000));
    assert_eq!(audio.bitrate, Some(PACKETS.len() as u32 * 8 / 2));
    assert_eq!(analysis.tags.title.as_deref(), Some("A = B"));
    assert_eq!(analysis.tags.track, Some(3));
    assert!(analysis.warnings.iter().all(songrec_audio::Warning::is_note), "{analysis:?}");
    let identity = identify_by(&path, &world.opening()).unwrap();
    assert_eq!(identity, analysis.identity);
    assert_eq!(identity.audio_hash.0[..], Sha256::digest(PACKETS)[..]);
    assert_eq!(identity.sha256.0[..], Sha256::digest(fs::read(&path).unwrap())[..]);
}

#[test]
fn the_program_gets_one_file_and_nothing_that_it_could_take_for_something_else() {
    let world = World::with("");
    // Relative, it would be an option, or a protocol.
    for name in ["-f.wma", "http:x.wma", "concat:a|b.wma", "pipe:0"] {
        fs::copy(world.path("song.wma"), world.path(name)).unwrap();
        let opening = world.opening();

        identify_by(&world.path(name), &opening).unwrap();

        let asked = world.asked();
        let after = |option: &str| {
            let at = asked.iter().position(|word| word == option).expect(option);
            asked[at + 1].clone()
        };
        assert_eq!(after("-i"), format!("file:{}", world.path(name).display()));
        assert_eq!(after("-protocol_whitelist"), "file");
        let demuxers = after("-format_whitelist");
        assert!(!demuxers.split(',').any(|name| ["hls", "concat", "dash", "sdp"].contains(&name)));
        assert!(asked.contains(&"-nostdin".to_owned()), "{asked:?}");
        assert_eq!(asked.last().unwrap(), "pipe:1");
    }
}

#[test]
fn what_is_built_in_is_not_asked_of_ffmpeg() {
    let world = World::with("exit 9");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/audio/bell");
    let file = fs::read_dir(examples).unwrap().next().unwrap().unwrap().path();

    let identity = identify_by(&file, &world.opening()).unwrap();

    assert_eq!(identity, identify(&file).unwrap());
    assert_eq!(world.asked(), ["-hide_banner", "-version"]);
}

#[test]
fn a_program_that_fails_leaves_the_reason_and_what_it_said_without_control_characters() {
    let world = World::with("printf '\\033[31mInvalid\\007 data\\n' >&2; exit 1");

    let error = identify_by(&world.path("song.wma"), &world.opening()).unwrap_err();

    assert_eq!(error.reason(), &Reason::NotAudio);
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(why, "ffmpeg: [31mInvalid data");
}

#[test]
fn a_program_that_says_much_is_heard_in_part_and_not_held_up() {
    let world = World::with("yes 'Error while decoding stream #0:0: x' | head -n 200000 >&2");
    let path = world.path("song.wma");

    let mut decoder = Decoder::open_with(&path, &world.opening()).unwrap();

    assert_eq!(frames(&mut decoder).unwrap(), 16_000);
    let packets = decoder.damage().corrupt_packets;
    assert!((100..1_000).contains(&packets), "16 KiB of lines: {packets}");
}

#[test]
fn a_program_that_gives_samples_without_end_is_held_up_and_ended() {
    let world = World::with("");
    let script = fs::read_to_string(world.path("ffmpeg")).unwrap();
    let endless = "*'-f au'*) echo $$ > \"$here/pid\"; cat \"$here/samples\"; exec cat /dev/zero;;";
    let script = script.replace("*'-f au'*) cat \"$here/samples\";;", endless);
    fs::write(world.path("ffmpeg"), script).unwrap();
    let opening = world.opening();

    let mut decoder = Decoder::open_with(&world.path("song.wma"), &opening).unwrap();
    for _ in 0..10 {
        assert!(decoder.next_block().unwrap().is_some());
    }
    let process =
        PathBuf::from("/proc").join(fs::read_to_string(world.path("pid")).unwrap().trim());
    if cfg!(target_os = "linux") {
        assert!(process.exists(), "it waits for more to be asked for");
    }
    drop(decoder);

    assert!(!process.exists());
}

#[test]
fn an_interrupt_ends_a_program_that_gives_nothing() {
    let world = World::with("");
    let opening = world.opening();
    let script = "#!/bin/sh\nexec sleep 600\n";
    fs::write(world.path("ffmpeg"), script).unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let opening = Opening { cancel: Some(cancel.clone()), ..opening };
    let path = world.path("song.wma");
    let started = Instant::now();

    let identifying = thread::spawn(move || identify_by(&path, &opening));
    cancel.store(true, Ordering::Relaxed);
    let error = identifying.join().unwrap().unwrap_err();

    assert_eq!(error.reason(), &Reason::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(300));
}

#[test]
fn packets_without_end_are_damage() {
    let world = World::with("");
    let script = fs::read_to_string(world.path("ffmpeg")).unwrap();
    let script = script.replace("cat \"$here/packets\"", "exec cat /dev/zero");
    fs::write(world.path("ffmpeg"), script).unwrap();

    let error = identify_by(&world.path("song.wma"), &world.opening()).unwrap_err();

    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("again and again"), "{why}");
}

#[test]
fn what_is_larger_than_allowed_no_program_sees() {
    let world = World::with("");
    let opening = Opening { max_bytes: 3, ..world.opening() };

    let error = Decoder::open_with(&world.path("song.wma"), &opening).unwrap_err();

    assert!(matches!(error.reason(), Reason::TooLarge { .. }), "{error}");
    assert_eq!(world.asked(), ["-hide_banner", "-version"]);
}

#[test]
fn another_program_is_no_ffmpeg() {
    let error = Ffmpeg::find(Path::new("/bin/echo")).unwrap_err();
    assert!(error.to_string().contains("it is no ffmpeg"), "{error}");
    let error = Ffmpeg::find(Path::new("/nowhere/ffmpeg")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

/// The ffmpeg of this machine; nothing where there is none.
fn real() -> Option<Arc<Ffmpeg>> {
    let found = Ffmpeg::find(Path::new("ffmpeg"));
    found.map(Arc::new).map_err(|_| eprintln!("skipped: there is no ffmpeg here")).ok()
}

// Two seconds of a tone; false where this ffmpeg cannot write that.
fn tone(path: &Path, more: &[&str]) -> bool {
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=440:r=44100:d=2"])
        .args(more)
        .args(["-metadata", "title=A tone"])
        .arg(path)
        .output();
    made.unwrap().status.success()
}

#[test]
fn the_real_one_reads_what_people_have() {
    let Some(ffmpeg) = real() else { return };
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { ffmpeg: Some(ffmpeg.clone()), ..Wanted::default() };
    // The file, how it is made, its container and its codec.
    let film = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=2", "-c:a", "ac3"];
    let kinds: [(&str, &[&str], &str, &str); 5] = [
        ("a.wma", &[], "asf", "wmav2"),
        ("a.wv", &[], "wv", "wavpack"),
        ("a.ac3", &[], "ac3", "ac3"),
        ("film.avi", &film, "avi", "ac3"),
        ("film.mkv", &film, "matroska", "ac3"),
    ];
    let mut songs = std::collections::BTreeMap::new();
    for (name, how, container, codec) in kinds {
        let path = folder.path().join(name);
        if !tone(&path, how) {
            eprintln!("skipped: this ffmpeg does not write {name}");
            continue;
        }
        let without = analyze(&path, &Wanted::default()).unwrap_err();
        let hopeless = matches!(without.reason(), Reason::NotAudio | Reason::UnsupportedCodec(_));
        assert!(hopeless, "{without}");

        let analysis = analyze(&path, &wanted).unwrap();

        let audio = &analysis.audio;
        assert_eq!((audio.container.as_str(), audio.codec.as_str()), (container, codec));
        assert_eq!((audio.sample_rate, audio.channels), (44_100, 1), "{name}");
        // Frames of a codec at the beginning and the end; wmav2 has 2048 samples.
        assert!((audio.duration - 2.0).abs() < 0.15, "{name}: {}", audio.duration);
        assert!(audio.bitrate.is_some_and(|rate| rate > 10_000), "{name}");
        assert!(!analysis.is_silent && analysis.embeddings.len() == 4, "{name}");
        let opening = Opening::with(Some(ffmpeg.clone()));
        assert_eq!(identify_by(&path, &opening).unwrap(), analysis.identity, "{name}");
        if name == "a.wma" {
            let (tags, _) = read_tags_by(&path, Some(&ffmpeg));
            assert_eq!(tags.title.as_deref(), Some("A tone"));
        }
        songs.insert(name, analysis.song);
    }
    // The packets make the song, whoever finds them, and in which container they are.
    if let (Some(bare), Some(avi), Some(mkv)) =
        (songs.get("a.ac3"), songs.get("film.avi"), songs.get("film.mkv"))
    {
        assert_eq!((bare, bare), (avi, mkv));
    }
}

#[test]
fn the_real_one_follows_no_list_to_other_files() {
    let Some(ffmpeg) = real() else { return };
    let folder = tempfile::tempdir().unwrap();
    let song = folder.path().join("a.ac3");
    if !tone(&song, &[]) {
        return;
    }
    let lists = [
        ("list.wma", format!("ffconcat version 1.0\nfile '{}'\n", song.display())),
        (
            "stream.wma",
            format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:{}\n#EXT-X-ENDLIST\n",
                song.display()
            ),
        ),
    ];
    for (name, text) in lists {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let opening = Opening::with(Some(ffmpeg.clone()));

        let error = identify_by(&path, &opening).unwrap_err();

        assert_eq!(error.reason(), &Reason::NotAudio, "{error:?}");
    }
}

#[test]
fn the_real_one_finds_no_audio_in_noise() {
    let Some(ffmpeg) = real() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.mp3");
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    fs::write(&path, noise).unwrap();

    let error = identify_by(&path, &Opening::with(Some(ffmpeg))).unwrap_err();

    assert_eq!(error.reason(), &Reason::NotAudio, "{error:?}");
}
