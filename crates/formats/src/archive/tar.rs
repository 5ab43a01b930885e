//! The headers of a tar file, of the few files that an archive has.

use std::fmt;

use songrec_core::Digest;

/// The size of headers, and what files are filled up to, in bytes.
pub(super) const BLOCK: usize = 512;
/// The size of the largest file that is believed, in bytes: a pebibyte.
const LARGEST: u64 = 1 << 50;

/// What a piece holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names of what is in a library")]
pub enum PieceKind {
    /// What the archive is; the first piece.
    Manifest,
    Songs,
    Trash,
    Vectors,
    Segments,
    Documents,
    Audio,
    /// How many pieces there are; the last one.
    End,
}

impl PieceKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Manifest,
        Self::Songs,
        Self::Trash,
        Self::Vectors,
        Self::Segments,
        Self::Documents,
        Self::Audio,
        Self::End,
    ];

    /// The name of the kind, which is a folder in the archive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Songs => "songs",
            Self::Trash => "trash",
            Self::Vectors => "vectors",
            Self::Segments => "segments",
            Self::Documents => "documents",
            Self::Audio => "audio",
            Self::End => "end",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Manifest | Self::End => "json",
            Self::Songs | Self::Trash | Self::Vectors | Self::Segments | Self::Documents => "jsonl",
            Self::Audio => "bin",
        }
    }
}

/// The name of a piece: `songs/000001-3f9a….jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceName {
    /// What it holds.
    pub kind: PieceKind,
    /// Its number in the archive, from 0.
    pub number: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

impl fmt::Display for PieceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, ending) = (self.kind.as_str(), self.kind.extension());
        write!(f, "{kind}/{:06}-{}.{ending}", self.number, self.sha256)
    }
}

impl PieceName {
    /// The piece that is called this; nothing for every other name.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('/')?;
        let kind = PieceKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let (number, rest) = rest.split_once('-')?;
        let (sha256, ending) = rest.split_once('.')?;
        let name_is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        if ending != kind.extension() || !name_is_digits || number.len() > 12 {
            return None;
        }
        let piece = Self { kind, number: number.parse().ok()?, sha256: sha256.parse().ok()? };
        // One way to write each.
        (piece.to_string() == name).then_some(piece)
    }
}

/// What a header says.
#[derive(Debug, PartialEq)]
pub(super) enum Header {
    Piece(PieceName, u64),
    /// The end of the tar file.
    Zeros,
    /// Something that no archive of ours has.
    Foreign(String),
}

/// The header of a file, as POSIX.1-1988 (ustar) has it.
pub(super) fn header(name: &PieceName, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.to_string().as_bytes());
    put(&mut block, 100, b"0000600\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    if size < 1 << 33 {
        put(&mut block, 124, format!("{size:011o}\0").as_bytes());
    } else {
        // Larger than eleven octal digits: base 256, as GNU tar does.
        put(&mut block, 128, &size.to_be_bytes());
        block[124] = 0x80;
    }
    put(&mut block, 136, b"00000000000\0");
    block[156] = b'0';
    put(&mut block, 257, b"ustar\x0000");
    let sum = checksum(&block);
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn checksum(block: &[u8; BLOCK]) -> u32 {
    let own = 148..156;
    let byte = |(at, byte): (usize, &u8)| if own.contains(&at) { 32 } else { u32::from(*byte) };
    block.iter().enumerate().map(byte).sum()
}

/// Reads a header; the error says why it is none.
pub(super) fn read_header(block: &[u8; BLOCK]) -> Result<Header, &'static str> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Header::Zeros);
    }
    if octal(&block[148..156]) != Some(u64::from(checksum(block))) {
        return Err("the header of a file has another checksum");
    }
    let text = |from: &[u8]| {
        let end = from.iter().position(|byte| *byte == 0).unwrap_or(from.len());
        String::from_utf8_lossy(&from[..end]).into_owned()
    };
    let (mut name, folder) = (text(&block[..100]), text(&block[345..500]));
    if !folder.is_empty() && block[257..263] == *b"ustar\0" {
        name = format!("{folder}/{name}");
    }
    match block[156] {
        b'0' | 0 => {}
        b'1' | b'2' => return Ok(Header::Foreign(format!("`{name}` is a link"))),
        _ => return Ok(Header::Foreign(format!("`{name}` is no plain file"))),
    }
    let size = match block[124] {
        0x80 if block[125..128] == [0; 3] => {
            u64::from_be_bytes(block[128..136].try_into().map_err(|_| "a size is cut off")?)
        }
        _ => octal(&block[124..136]).ok_or("a file has no size")?,
    };
    if size > LARGEST {
        return Err("a file is larger than any disk");
    }
    Ok(match PieceName::parse(&name) {
        Some(piece) => Header::Piece(piece, size),
        None => Header::Foreign(format!("`{name}` is no piece of a backup")),
    })
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

/// How many bytes fill a file of this size up.
pub(super) fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn piece() -> PieceName {
        PieceName { kind: PieceKind::Songs, number: 17, sha256: Digest::of(b"x") }
    }

    #[test]
    fn a_header_says_what_was_written() {
        for size in [0, 1, 511, 512, (1 << 33) - 1, 1 << 33, 1 << 40] {
            let read = read_header(&header(&piece(), size));
            assert_eq!(read, Ok(Header::Piece(piece(), size)));
        }
        assert_eq!(read_header(&[0; BLOCK]), Ok(Header::Zeros));
    }

    #[test]
    fn a_size_that_nothing_has_is_refused() {
        for size in [LARGEST + 1, u64::MAX - 511, u64::MAX] {
            assert!(read_header(&header(&piece(), size)).is_err(), "{size}");
        }
    }

    #[test]
    fn no_flipped_bit_makes_another_header() {
        let whole = header(&piece(), 700);
        for at in 0..BLOCK {
            for bit in 0..8 {
                let mut flipped = whole;
                flipped[at] ^= 1 << bit;
                let is_same = read_header(&flipped) == Ok(Header::Piece(piece(), 700));
                // What stands in the checksum's own padding says nothing.
                assert!(read_header(&flipped).is_err() || is_same, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn only_names_of_pieces_are_names() {
        let hash = Digest::of(b"x");
        assert_eq!(PieceName::parse(&piece().to_string()), Some(piece()));
        for name in [
            format!("../songs/000001-{hash}.jsonl"),
            format!("/songs/000001-{hash}.jsonl"),
            format!("songs/../000001-{hash}.jsonl"),
            format!("songs/1-{hash}.jsonl"),
            format!("songs/0000001-{hash}.jsonl"),
            format!("songs/+00001-{hash}.jsonl"),
            format!("songs/000001-{hash}.json"),
            format!("other/000001-{hash}.jsonl"),
            format!("songs/000001-{}.jsonl", hash.to_string().to_uppercase()),
            "songs/000001-.jsonl".to_owned(),
            String::new(),
        ] {
            assert_eq!(PieceName::parse(&name), None, "{name}");
        }
    }
}
