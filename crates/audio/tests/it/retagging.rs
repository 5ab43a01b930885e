//! Whatever is written on a file, it stays the same song, and what is written
//! on it can be read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use lofty::{
    config::WriteOptions,
    picture::{MimeType, Picture, PictureType},
    prelude::{Accessor, ItemKey, TagExt},
    tag::{Tag, TagType},
};
use songrec_audio::{Decoder, identify, read_artwork, read_name, read_tags};
use songrec_core::Tags;

/// A copy of a fixture, to write on.
fn copy(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    let fixture: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/formats", name].iter().collect();
    std::fs::copy(fixture, &path).unwrap();
    path
}

/// A tag with everything in it, and a picture that looks like MPEG frames.
fn full(kind: TagType) -> Tag {
    let mut tag = Tag::new(kind);
    tag.set_title("Jóga".to_owned());
    tag.set_artist("Björk".to_owned());
    tag.set_album("Homogenic".to_owned());
    tag.set_genre("Electronic".to_owned());
    tag.set_track(3);
    tag.insert_text(ItemKey::RecordingDate, "1997-09-22".to_owned());
    tag.insert_text(ItemKey::Year, "1997".to_owned());
    for (key, text) in [
        (ItemKey::AlbumArtist, "Björk G."),
        (ItemKey::InitialKey, "Am"),
        (ItemKey::IntegerBpm, "104"),
        (ItemKey::Bpm, "104"),
        (ItemKey::Mood, "Calm"),
        (ItemKey::Composer, "Sjón"),
        (ItemKey::Isrc, "GBAAN9700001"),
        (ItemKey::Comment, "Live\nversion"),
    ] {
        tag.insert_text(key, text.to_owned());
    }
    tag.push_picture(
        Picture::unchecked(picture())
            .pic_type(PictureType::CoverFront)
            .mime_type(MimeType::Jpeg)
            .build(),
    );
    tag
}

// Bytes that a search for MP3 frames would stumble over.
fn picture() -> Vec<u8> {
    let mut picture = [0xff, 0xfb, 0x90, 0x64, 0, 0, 0, 0].repeat(5_000);
    picture[..4].copy_from_slice(&[0xff, 0xd8, 0xff, 0xe0]);
    picture
}

fn frames(path: &Path) -> u64 {
    let mut decoder = Decoder::open(path).unwrap();
    while decoder.next_block().unwrap().is_some() {}
    decoder.properties().frames
}

const TAGGED: &[(&str, &[TagType])] = &[
    ("cbr.mp3", &[TagType::Id3v2]),
    ("cbr.mp3", &[TagType::Ape]),
    ("cbr.mp3", &[TagType::Id3v1]),
    ("vbr.mp3", &[TagType::Id3v2, TagType::Ape, TagType::Id3v1]),
    ("layer2.mp2", &[TagType::Id3v2, TagType::Ape, TagType::Id3v1]),
    ("cd.flac", &[TagType::VorbisComments]),
    ("s16.wav", &[TagType::RiffInfo]),
    ("s16.wav", &[TagType::Id3v2]),
    ("f32.wav", &[TagType::RiffInfo, TagType::Id3v2]),
    ("s16.aiff", &[TagType::Id3v2]),
    ("s16.aiff", &[TagType::AiffText]),
    ("vorbis.ogg", &[TagType::VorbisComments]),
    ("stereo.opus", &[TagType::VorbisComments]),
    ("aac.m4a", &[TagType::Mp4Ilst]),
    ("faststart.m4a", &[TagType::Mp4Ilst]),
    ("alac.m4a", &[TagType::Mp4Ilst]),
    ("adts.aac", &[TagType::Id3v2]),
    ("adts.aac", &[TagType::Id3v1]),
];

#[test]
fn retagging_keeps_the_song() {
    for (name, kinds) in TAGGED {
        let folder = tempfile::tempdir().unwrap();
        let path = copy(&folder, name);
        let before = identify(&path).unwrap();
        let length = frames(&path);

        for &kind in *kinds {
            full(kind).save_to_path(&path, WriteOptions::new()).unwrap();

            let after = identify(&path).unwrap();
            assert_eq!(after.audio_hash, before.audio_hash, "{name} with {kind:?}");
            assert_ne!(after.sha256, before.sha256, "{name} with {kind:?}");
            assert_eq!(frames(&path), length, "{name} with {kind:?}");
        }
        for &kind in *kinds {
            kind.remove_from_path(&path, WriteOptions::new()).unwrap();

            let after = identify(&path).unwrap();
            assert_eq!(after.audio_hash, before.audio_hash, "{name} without {kind:?}");
        }
    }
}

#[test]
fn what_is_written_is_read() {
    for (name, kinds) in TAGGED {
        let folder = tempfile::tempdir().unwrap();
        let path = copy(&folder, name);
        full(kinds[0]).save_to_path(&path, WriteOptions::new()).unwrap();

        let (tags, problem) = read_tags(&path);

        let context = format!("{name} with {:?}", kinds[0]);
        assert_eq!(problem, None, "{context}");
        assert_eq!(tags.title.as_deref(), Some("Jóga"), "{context}");
        assert_eq!(tags.artist.as_deref(), Some("Björk"), "{context}");
        assert!(!tags.from_file_name, "{context}");
        if kinds[0] == TagType::AiffText {
            continue;
        }
        assert_eq!(tags.album.as_deref(), Some("Homogenic"), "{context}");
        assert_eq!(tags.year, Some(1997), "{context}");
        assert_eq!(tags.genres, ["Electronic"], "{context}");
        assert_eq!(tags.track, Some(3), "{context}");
        if matches!(kinds[0], TagType::Id3v1 | TagType::RiffInfo) {
            continue;
        }
        assert_eq!(tags.album_artist.as_deref(), Some("Björk G."), "{context}");
        // The reader knows no names for these two in APE tags.
        if kinds[0] != TagType::Ape {
            assert_eq!(tags.bpm, Some(104.0), "{context}");
            assert_eq!(tags.key.map(|key| key.to_string()).as_deref(), Some("Am"), "{context}");
        }
        assert_eq!(tags.moods, ["Calm"], "{context}");
        assert_eq!(tags.composer.as_deref(), Some("Sjón"), "{context}");
        assert_eq!(tags.comment.as_deref(), Some("Live version"), "{context}");
        assert_eq!(tags.extra.get("isrc").map(String::as_str), Some("GBAAN9700001"), "{context}");
        // Nor does it take pictures from APE tags.
        if kinds[0] == TagType::Ape {
            continue;
        }
        let art = tags.art.unwrap_or_else(|| panic!("no art in {context}"));
        assert_eq!((art.media_type.as_str(), art.size), ("image/jpeg", 40_000), "{context}");
        assert_eq!(read_artwork(&path).unwrap().unwrap(), picture(), "{context}");
    }
}

#[test]
fn the_name_speaks_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let from = copy(&folder, "cbr.mp3");
    let path = folder.path().join("07 - Björk - Jóga.mp3");
    std::fs::rename(from, &path).unwrap();

    let (tags, problem) = read_tags(&path);

    let expected = Tags {
        title: Some("Jóga".to_owned()),
        artist: Some("Björk".to_owned()),
        track: Some(7),
        ..Tags::default()
    };
    assert_eq!((tags, problem), (Tags::default(), None));
    assert_eq!(read_name(&path), expected);
}

#[test]
fn a_damaged_tag_does_not_cost_the_song() {
    let folder = tempfile::tempdir().unwrap();
    let path = copy(&folder, "cbr.mp3");
    let audio = std::fs::read(&path).unwrap();
    let before = identify(&path).unwrap();
    // A tag whose frames make no sense.
    let mut bytes = b"ID3\x04\0\xff\0\0\x02\0".to_vec();
    bytes.extend([0xaa; 256]);
    bytes.extend(&audio);
    let damaged = folder.path().join("A - B.mp3");
    std::fs::write(&damaged, bytes).unwrap();

    let (tags, _) = read_tags(&damaged);

    assert_eq!(tags, Tags::default());
    assert_eq!(identify(&damaged).unwrap().audio_hash, before.audio_hash);
}
