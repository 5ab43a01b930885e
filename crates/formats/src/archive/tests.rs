#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{io::Write, sync::OnceLock};

use proptest::prelude::*;
use songrec_core::Digest;

use super::{
    ArchiveError, ArchiveReader, ArchiveWriter, Found, Limits, PieceKind, PieceName,
    tar::{BLOCK, header, padding},
};

// Pieces of every size that matters, with bytes that do and do not get smaller.
fn pieces() -> Vec<(PieceKind, Vec<u8>)> {
    static MADE: OnceLock<Vec<(PieceKind, Vec<u8>)>> = OnceLock::new();
    MADE.get_or_init(make_pieces).clone()
}

fn make_pieces() -> Vec<(PieceKind, Vec<u8>)> {
    let noise = |count: usize| -> Vec<u8> {
        (0..count as u64).flat_map(|n| Digest::of(&n.to_le_bytes()).0).take(count).collect()
    };
    vec![
        (PieceKind::Manifest, b"{\"format\":1}".to_vec()),
        (PieceKind::Songs, b"one\ntwo\n".repeat(2_000)),
        (PieceKind::Vectors, noise(70_000)),
        (PieceKind::Segments, Vec::new()),
        (PieceKind::Audio, noise(300_000)),
        (PieceKind::Songs, noise(512)),
        (PieceKind::Documents, vec![0; 1_024]),
        (PieceKind::End, b"{}".to_vec()),
    ]
}

fn archive() -> Vec<u8> {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    MADE.get_or_init(make_archive).clone()
}

fn make_archive() -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (kind, bytes) in pieces() {
        writer.piece(kind, &bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// What is whole, what is damaged, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Read {
    whole: Vec<(PieceKind, Vec<u8>)>,
    numbers: Vec<u64>,
    damage: Vec<String>,
    is_cut: bool,
}

fn read(bytes: &[u8]) -> Read {
    try_read(bytes, Limits::default()).unwrap()
}

fn try_read(bytes: &[u8], limits: Limits) -> Result<Read, ArchiveError> {
    let mut reader = ArchiveReader::new(bytes, limits)?;
    let mut read = Read::default();
    let mut found = reader.find_next()?;
    loop {
        found = match found {
            Found::Piece(name, bytes) => {
                read.whole.push((name.kind, bytes));
                read.numbers.push(name.number);
                reader.find_next()?
            }
            Found::Large(name, _) => {
                let mut bytes = Vec::new();
                match reader.copy_large(&mut bytes)? {
                    Some(wrong) => wrong,
                    None => {
                        read.whole.push((name.kind, bytes));
                        read.numbers.push(name.number);
                        reader.find_next()?
                    }
                }
            }
            Found::Damage { what, .. } => {
                read.damage.push(what);
                assert!(read.damage.len() < 10_000, "it comes to no end");
                reader.find_next()?
            }
            Found::Cut { .. } => {
                read.is_cut = true;
                return Ok(read);
            }
            Found::End => return Ok(read),
        };
    }
}

#[test]
fn what_was_written_comes_back() {
    let found = read(&archive());

    assert_eq!(found, Read { whole: pieces(), numbers: (0..8).collect(), ..Read::default() });
}

#[test]
fn a_large_piece_that_nobody_wants_is_passed_over() {
    let bytes = archive();
    let mut reader = ArchiveReader::new(&bytes[..], Limits::default()).unwrap();
    let mut kinds = Vec::new();
    loop {
        match reader.find_next().unwrap() {
            Found::Piece(name, _) | Found::Large(name, _) => kinds.push(name.kind),
            Found::End => break,
            other => panic!("{other:?}"),
        }
    }
    let all: Vec<PieceKind> = pieces().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, all);
}

#[test]
fn wherever_it_is_cut_what_came_before_is_whole() {
    let (bytes, all) = (archive(), pieces());
    let mut most = 0;
    for end in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
        let found = read(&bytes[..end]);

        // The last frame may lack only what checks the zeros at the end.
        assert!(found.is_cut || found.whole.len() == all.len(), "cut at {end}");
        assert_eq!(found.whole, all[..found.whole.len()], "cut at {end}");
        assert!(found.damage.is_empty(), "cut at {end}: {found:?}");
        assert!(found.whole.len() >= most);
        most = found.whole.len();
    }
    assert!(most >= all.len() - 1);
}

/// Reads an archive of which one bit is turned over.
fn check_flipped(mut bytes: Vec<u8>, at: usize, bit: u32) {
    let all = pieces();
    bytes[at] ^= 1_u8 << bit;

    let found = read(&bytes);

    for (piece, number) in found.whole.iter().zip(&found.numbers) {
        assert_eq!(piece, &all[*number as usize], "byte {at}, bit {bit}");
    }
    let is_told = !found.damage.is_empty() || found.is_cut;
    assert!(found.whole.len() == all.len() || is_told, "byte {at}, bit {bit}");
    let told = found.damage;
    assert!(found.whole.len() + 2 >= all.len(), "byte {at}, bit {bit}: {told:?}");
}

// Every bit of a frame's own fields: a block that says it is longer takes the next
// frames for its own.
#[test]
fn a_flipped_bit_where_frames_begin_and_end_costs_at_most_a_piece_and_the_next() {
    let bytes = archive();
    let begins: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| bytes[*at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]))
        .collect();
    assert_eq!(begins.len(), pieces().len());
    for begin in begins {
        for at in begin.saturating_sub(8)..(begin + 24).min(bytes.len()) {
            (0..8).for_each(|bit| check_flipped(bytes.clone(), at, bit));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_flipped_bit_costs_at_most_a_piece_and_the_next(at in 0.0..1.0_f64, bit in 0..8_u32) {
        let bytes = archive();
        let at = ((bytes.len() as f64 * at) as usize).min(bytes.len() - 1);
        check_flipped(bytes, at, bit);
    }

    #[test]
    fn noise_is_no_archive_and_comes_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let found = read(&bytes);
        prop_assert!(found.is_cut && found.whole.is_empty());
    }
}

// Frames that begin every few bytes and fail late are not read again and again.
#[test]
fn frames_that_fail_late_are_read_about_twice() {
    // Window 128 KiB, then a block of 128 KiB as it is.
    let one = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x00, 0x00, 0x10];
    let bytes = one.repeat((16 << 20) / one.len());
    let mut reader = ArchiveReader::new(&bytes[..], Limits::default()).unwrap();
    while !matches!(reader.find_next().unwrap(), Found::Cut { .. }) {}

    let again = reader.read_again();

    assert!(again > 1 << 20, "{again}: nothing was looked through twice");
    assert!(again <= bytes.len() as u64 + (8 << 20), "{again}");
}

// One frame with these files as they are.
fn frame(files: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    for (header, bytes) in files {
        frame.write_all(header).unwrap();
        frame.write_all(bytes).unwrap();
        frame.write_all(&vec![0; padding(bytes.len() as u64)]).unwrap();
    }
    frame.finish().unwrap()
}

fn named(name: &str, kind: u8) -> Vec<u8> {
    let piece = PieceName { kind: PieceKind::Songs, number: 0, sha256: Digest::of(b"") };
    let mut block = header(&piece, 0);
    block[..100].fill(0);
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[156] = kind;
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

#[test]
fn what_is_no_piece_is_refused_by_name() {
    for (name, kind, says) in [
        ("../../home/x", b'0', "no piece"),
        ("/etc/passwd", b'0', "no piece"),
        ("songs/x", b'1', "a link"),
        ("songs/x", b'2', "a link"),
        ("songs", b'5', "no plain file"),
        ("x", b'x', "no plain file"),
        ("x", b'L', "no plain file"),
    ] {
        let mut bytes = frame(&[(named(name, kind), b"")]);
        bytes.extend(archive());

        let found = read(&bytes);

        assert_eq!(found.damage.len(), 1, "{name}: {found:?}");
        assert!(found.damage[0].contains(name) && found.damage[0].contains(says), "{found:?}");
        assert_eq!(found.whole, pieces());
    }
}

#[test]
fn a_size_that_lies_is_not_believed() {
    let piece = PieceName { kind: PieceKind::Songs, number: 0, sha256: Digest::of(b"abc") };
    for size in [2, 4, 600, Limits::default().piece + 1, u64::MAX >> 1, u64::MAX] {
        let mut bytes = frame(&[(header(&piece, size).to_vec(), b"abc")]);
        bytes.extend(archive());

        let found = read(&bytes);

        assert!(!found.damage.is_empty(), "{size}");
        assert!(found.whole.iter().all(|one| pieces().contains(one)), "{size}");
    }
}

#[test]
fn a_bomb_is_given_up() {
    let zeros = vec![0; 1 << 20];
    let piece = PieceName { kind: PieceKind::Audio, number: 0, sha256: Digest::of(b"") };
    let size = 64 << 20;
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 19).unwrap();
    frame.write_all(&header(&piece, size)).unwrap();
    for _ in 0..64 {
        frame.write_all(&zeros).unwrap();
    }
    let bytes = frame.finish().unwrap();
    let limits = Limits { free: 1 << 20, ratio: 100, ..Limits::default() };

    let error = try_read(&bytes, limits).unwrap_err();

    assert!(matches!(error, ArchiveError::Bomb { ratio: 100 }), "{error}");
    assert!(error.to_string().contains("100 times its length"), "{error}");
}

#[test]
fn a_frame_that_wants_much_memory_is_refused() {
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    frame.set_parameter(zstd::stream::raw::CParameter::WindowLog(27)).unwrap();
    frame.write_all(&[0; BLOCK]).unwrap();
    let mut bytes = frame.finish().unwrap();
    bytes.extend(archive());

    let found = read(&bytes);

    assert_eq!(found.damage.len(), 1, "{found:?}");
    assert_eq!(found.whole, pieces());
}
