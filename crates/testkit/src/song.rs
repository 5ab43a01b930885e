//! Songs out of nothing.

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use songrec_core::{
    Art, AudioProperties, AudioWarning, Digest, Embedding, FeatureGroups, Features, Field, History,
    Key, Mode, OperationId, Song, SongFile, SongId, SongSummary, Sources, Stamp, Tags, Timestamp,
    WarningKind, encode_path,
};
use songrec_storage::{DeleteSong, NewBlob, NewEmbedding, PurgeSong, PutMode, PutSong};

/// A plain song: the same for the same seed, down to its operation.
pub fn song(seed: &str) -> Song {
    let mut song = song_with_hash(Digest::of(seed.as_bytes()));
    song.add_file(SongFile {
        path: format!("music/{seed}.flac"),
        sha256: Digest::of(format!("file {seed}").as_bytes()),
        size: 4_000_000 + seed.len() as u64,
    });
    song.tags.title = Some(seed.to_owned());
    song
}

/// A song of nothing but audio with this hash, which decides about its id.
pub fn song_with_hash(audio_hash: Digest) -> Song {
    let audio = AudioProperties {
        container: "flac".into(),
        codec: "flac".into(),
        sample_rate: 44_100,
        channels: 2,
        bit_depth: Some(16),
        frames: 441_000,
        duration: 10.0,
        bitrate: Some(700_000),
        warnings: Vec::new(),
    };
    let mut song = Song::new(audio_hash, audio, time(0));
    song.revision.operation = operation(&audio_hash.to_string());
    song.history = Some(History::begun(song.revision.operation, time(0)));
    song
}

/// The next version of `song`, with another artist; a new write every time.
pub fn retagged(song: &Song) -> Song {
    let mut next = song.clone();
    next.tags.artist = Some(format!("Artist {}", OperationId::random().short()));
    next.revise(song, time(song.revision.number));
    next
}

/// The next version of `song`, with this title, whatever was edited.
pub fn retitled(song: &Song, title: &str) -> Song {
    let mut next = song.clone();
    next.edits.reset(&Field::Title);
    next.tags.title = Some(title.to_owned());
    next.revise(song, time(song.revision.number));
    next
}

/// A moment, to the nanosecond: documents say when in full.
pub fn time(number: u64) -> Timestamp {
    let seconds = 1_700_000_000 + i64::try_from(number).unwrap();
    Timestamp::new(seconds, 123_456_789).unwrap()
}

/// The operation that is made from `seed`.
pub fn operation(seed: &str) -> OperationId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(format!("operation {seed}").as_bytes()).0[..16]);
    // A version-4 UUID, as real operations are.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    OperationId::from_bytes(bytes)
}

/// `song` to be stored as `mode` says.
pub fn put(song: &Song, mode: PutMode) -> PutSong {
    PutSong { song: song.clone(), mode, origin: None }
}

/// The deletion of a song, whatever its version; a new one every time.
pub fn delete(id: SongId) -> DeleteSong {
    DeleteSong {
        id,
        version: None,
        operation: OperationId::random(),
        at: time(9),
        origin: None,
        leaving: None,
    }
}

/// Forgets the tombstone that a deletion left.
pub fn purge(deletion: &DeleteSong) -> PurgeSong {
    PurgeSong { id: deletion.id, deletion: deletion.operation }
}

/// `embedding` to be stored for `song`; a new write every time.
pub fn new_embedding(song: &Song, embedding: Embedding) -> NewEmbedding {
    NewEmbedding { embedding, summary: SongSummary::of(song), operation: OperationId::random() }
}

/// Bytes that differ everywhere, so that a piece in the wrong place shows.
pub fn audio(length: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; length];
    rand::RngCore::fill_bytes(&mut StdRng::seed_from_u64(seed), &mut bytes);
    bytes.into()
}

/// A blob of these bytes, to be stored.
pub fn new_blob(bytes: &[u8]) -> NewBlob {
    NewBlob {
        sha256: Digest::of(bytes),
        size: bytes.len() as u64,
        operation: OperationId::random(),
    }
}

/// Texts that something on the way to a disk, a database or a network could
/// take for something else.
pub fn odd_texts() -> Vec<String> {
    [
        "",
        " ",
        "'; DROP TABLE songs; --",
        "100%_sure",
        "\"quoted\" 'twice' `thrice`",
        "back\\slash \\n \\u0000",
        "$set",
        "{\"$gt\": \"\"}",
        "a.b..c",
        "&amp;<br>",
        "line\nbreak\r\ttab",
        "nul\0inside",
        "Björk — Jóga",
        "Bjo\u{308}rk",
        "日本語のタイトル",
        "👩🏽‍🎤🎵",
        "مرحبا بالعالم",
        "\u{202e}right to left",
        "\u{feff}mark",
        "İstanbul ıI ß ŒÆ ﬁ",
        "null",
        "true",
        "NaN",
        "-0",
        "1e400",
        "../../etc/passwd",
        "con",
        "\u{10fffe}",
    ]
    .map(str::to_owned)
    .into()
}

const TITLES: [&str; 14] = [
    "Deep Kick 01",
    "deep kick 01",
    "Jóga",
    "Joga",
    "Straße nach Norden",
    "One More Time",
    "one-more-time (remix)",
    "日本の歌",
    "50% Off_Beat",
    "Warm Pad C#",
    "Ærø",
    "It's \"Fine\"",
    "Kick_Snare_120bpm",
    "   ",
];
const ARTISTS: [&str; 9] = [
    "Björk",
    "bjork",
    "Daft Punk",
    "Earth, Wind & Fire",
    "Sigur Rós",
    "AC/DC",
    "!!!",
    "Motörhead",
    "Łona",
];
const ALBUMS: [&str; 5] = ["Homogenic", "Discovery", "Álbum", "100% Pure", "discovery"];
const GENRES: [&str; 9] =
    ["Techno", "House", "Drum & Bass", "drum-and-bass", "Électro", "rock", "Rock", "R&B", "!!!"];
const MOODS: [&str; 5] = ["dark", "energetic", "Warm", "laid back", "melancholic"];
const INSTRUMENTS: [&str; 5] = ["kick", "snare", "Pad", "electric bass", "hi-hat"];
const FOLDERS: [&str; 6] =
    ["drums/Kicks", "Müsic/50%_off", "a'b", "/mnt/other disk", "deep/er/and/deeper", "日本"];

// One of `values` in `share` of the cases.
fn maybe(rng: &mut StdRng, share: f64, values: &[&str]) -> Option<String> {
    rng.random_bool(share).then(|| (*values.choose(rng).unwrap()).to_owned())
}

fn some(rng: &mut StdRng, most: usize, values: &[&str]) -> Vec<String> {
    let count = rng.random_range(0..=most);
    values.choose_multiple(rng, count).map(|one| (*one).to_owned()).collect()
}

fn random_key(rng: &mut StdRng) -> Key {
    let mode = if rng.random() { Mode::Major } else { Mode::Minor };
    Key::new(rng.random_range(0..12), mode)
}

/// A song with tags, features, edits and files as they are found in the wild:
/// values are often missing, often equal or nearly so, and sometimes odd.
pub fn random_song(rng: &mut StdRng) -> Song {
    let mut hash = [0; 32];
    rng.fill(&mut hash);
    let mut song = song_with_hash(Digest(hash));
    let duration =
        if rng.random() { rng.random_range(0.05..20.0) } else { rng.random_range(20.0..900.0) };
    song.audio.duration = duration;
    song.audio.frames = (duration * 44_100.0) as u64;
    for kind in [WarningKind::Truncated, WarningKind::Damaged, WarningKind::Silent] {
        if rng.random_bool(0.1) {
            song.audio.warnings.push(AudioWarning { kind, text: "as it was embedded".into() });
        }
    }
    song.added_at = time(rng.random_range(0..40));
    song.updated_at = song.added_at;
    song.tags = random_tags(rng);
    if rng.random_bool(0.3) {
        song.sources = random_sources(rng);
    }
    song.features = rng.random_bool(0.8).then(|| random_features(rng));
    for number in 0..[0, 1, 1, 1, 2].choose(rng).copied().unwrap() {
        let folder = FOLDERS.choose(rng).unwrap();
        let name = TITLES.choose(rng).unwrap().replace('/', "_");
        let mut path = format!("{folder}/{name} {}-{number}.wav", song.id.short());
        if rng.random_bool(0.1) {
            path.push_str(&not_utf8());
        }
        song.add_file(SongFile {
            path,
            sha256: Digest::of(&hash[number..]),
            size: rng.random_range(0..9_000_000_000),
        });
    }
    if rng.random_bool(0.3) {
        random_edits(rng, &mut song);
    }
    song
}

// The escaped form of bytes that no text can hold.
#[cfg(unix)]
fn not_utf8() -> String {
    use std::os::unix::ffi::OsStrExt;
    encode_path(std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff\xfe.wav")))
}

#[cfg(not(unix))]
fn not_utf8() -> String {
    encode_path(std::path::Path::new("\u{10ff80}.wav"))
}

fn random_tags(rng: &mut StdRng) -> Tags {
    let mut tags = Tags {
        title: maybe(rng, 0.8, &TITLES),
        artist: maybe(rng, 0.7, &ARTISTS),
        album: maybe(rng, 0.5, &ALBUMS),
        album_artist: maybe(rng, 0.2, &ARTISTS),
        genres: some(rng, 3, &GENRES),
        year: rng.random_bool(0.6).then(|| rng.random_range(1990..2000)),
        track: rng.random_bool(0.5).then(|| rng.random_range(1..20)),
        disc: None,
        bpm: rng.random_bool(0.3).then(|| rng.random_range(60..180) as f32),
        key: rng.random_bool(0.3).then(|| random_key(rng)),
        moods: some(rng, 2, &MOODS),
        instrument: None,
        is_loop: None,
        comment: maybe(rng, 0.2, &["ripped", "see http://example.com/?a=1&b=2"]),
        composer: None,
        label: None,
        from_file_name: rng.random_bool(0.1),
        art: rng.random_bool(0.1).then(|| Art { media_type: "image/jpeg".into(), size: 12_345 }),
        extra: std::collections::BTreeMap::new(),
    };
    if rng.random_bool(0.2) {
        let texts = odd_texts();
        tags.extra.insert("isrc".into(), texts.choose(rng).unwrap().clone());
        tags.extra.insert("replaygain.track$gain".into(), "-6.5 dB".into());
    }
    tags
}

fn random_sources(rng: &mut StdRng) -> Sources {
    let title = |rng: &mut StdRng| maybe(rng, 0.8, &TITLES);
    Sources {
        import: if rng.random() {
            Tags { instrument: maybe(rng, 0.3, &INSTRUMENTS), ..random_tags(rng) }
        } else {
            Tags::default()
        },
        folder: Tags { genres: some(rng, 1, &GENRES), ..Tags::default() },
        file_name: Tags { title: title(rng), artist: title(rng), ..Tags::default() },
        unsorted: rng.random_bool(0.1),
    }
}

fn random_features(rng: &mut StdRng) -> Features {
    let mut share = || Some(rng.random_range(0.0..1.0f32));
    let mut features = Features {
        version: 1,
        bpm_confidence: share(),
        key_confidence: share(),
        rms: share(),
        spectral_flatness: share(),
        zero_crossing_rate: share(),
        ..Features::default()
    };
    features.bpm = rng.random_bool(0.7).then(|| rng.random_range(100.0..130.0));
    features.key = rng.random_bool(0.5).then(|| random_key(rng));
    features.loudness_lufs = Some(rng.random_range(-40.0..0.0));
    features.is_loop = rng.random_bool(0.5).then(|| rng.random());
    features.instrument = maybe(rng, 0.4, &INSTRUMENTS);
    features.instrument_confidence = features.instrument.as_ref().map(|_| rng.random());
    features.moods = some(rng, 2, &MOODS);
    features.groups = rng.random_bool(0.1).then(|| FeatureGroups {
        mfcc: (0..20).map(|_| rng.random_range(-200.0..200.0)).collect(),
        chroma: (0..12).map(|_| rng.random_range(0.0..1.0)).collect(),
        ..FeatureGroups::default()
    });
    features
}

fn random_edits(rng: &mut StdRng, song: &mut Song) {
    let year = rng.random_range(1990..2000).to_string();
    let key = random_key(rng).to_string();
    let choices = [
        (Field::Title, *TITLES.choose(rng).unwrap()),
        (Field::Artist, *ARTISTS.choose(rng).unwrap()),
        (Field::Genre, "House, drum & bass"),
        (Field::Mood, "dark"),
        (Field::Year, year.as_str()),
        (Field::Bpm, "119.96"),
        (Field::Key, key.as_str()),
        (Field::Instrument, "snare"),
        (Field::Loop, "yes"),
        (Field::Extra("preview_url".into()), "https://example.com/$x"),
    ];
    for (field, text) in choices.choose_multiple(rng, 3) {
        let name = format!("edits.{field}");
        song.edits.set(field.clone(), rng.random_bool(0.8).then_some(*text)).unwrap();
        song.stamps.insert(name, Stamp::after(Stamp::default(), song.added_at));
    }
}
