//! ID3v2 tags that no reader of tags survives.
//!
//! A chapter (`CHAP`, `CTOC`) holds frames of its own, among them chapters, if
//! somebody says so. Readers of tags call themselves for each, and a kilobyte of
//! chapters inside each other is the end of any thread's stack, and of the
//! process. And a frame may be compressed, which nobody does, but who wants a
//! megabyte to become gigabytes. So such tags are found before anybody reads
//! them, by going through their frames as the readers do, and hidden.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use memchr::memmem;

use crate::read_at::read_at;

/// Chapters hold a title and a picture, and tables of contents name chapters
/// by their ids; none of them holds another.
const DEEPEST: usize = 4;
/// So many chapters can be inside each other without harm, so that nobody has
/// to find out whether they are.
const HARMLESS: usize = 16;
/// More tags than any file has.
const MOST_TAGS: usize = 1_000;
/// The longest tag that is gone through.
const LONGEST_TAG: u64 = 64 << 20;

/// The ID3v2 tags of a file that are better not read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unreadable {
    /// Where those begin whose chapters are too deep inside each other.
    pub(crate) deep: Vec<u64>,
    /// Where those begin that hold compressed frames, or are beyond all
    /// measure.
    pub(crate) packed: Vec<u64>,
    /// Whether there are so many tags that it is no use to tell them apart.
    pub(crate) too_many: bool,
}

impl Unreadable {
    /// Looks for the tags in a part of a file, wherever they lie: tags are
    /// looked for by more than one program, and in odd places.
    pub(crate) fn of(file: &mut File, part: Range<u64>) -> io::Result<Self> {
        let mut found = Self::default();
        for start in beginnings(file, &part)? {
            let Some(tag) = Tag::at(file, start, part.end)? else { continue };
            if found.deep.len() + found.packed.len() == MOST_TAGS {
                found.too_many = true;
                break;
            }
            match tag.look(file)? {
                Look::Fine => {}
                Look::Packed => found.packed.push(start),
                Look::Deep => found.deep.push(start),
            }
        }
        Ok(found)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.deep.is_empty() && self.packed.is_empty() && !self.too_many
    }
}

// Where `ID3` stands, at most a little more often than there may be tags.
fn beginnings(file: &mut File, part: &Range<u64>) -> io::Result<Vec<u64>> {
    const WORD: &[u8] = b"ID3";
    let finder = memmem::Finder::new(WORD);
    let mut found = Vec::new();
    file.seek(SeekFrom::Start(part.start))?;
    let mut source = file.take(part.end.saturating_sub(part.start));
    let mut block = vec![0; 256 * 1024];
    let (mut at, mut kept) = (part.start, 0);
    loop {
        let read = match source.read(&mut block[kept..]) {
            Ok(0) => return Ok(found),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + read;
        // What was kept is too short to hold the word.
        found.extend(finder.find_iter(&block[..filled]).map(|place| at + place as u64));
        kept = filled.min(WORD.len() - 1);
        block.copy_within(filled - kept..filled, 0);
        at += (filled - kept) as u64;
    }
}

/// What a look at a tag shows, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    Fine,
    Packed,
    Deep,
}

/// An ID3v2 tag.
struct Tag {
    version: u8,
    flags: u8,
    /// What follows the header.
    inside: Range<u64>,
}

const UNSYNCHRONISED: u8 = 0x80;
const EXTENDED: u8 = 0x40;

impl Tag {
    fn at(file: &mut File, start: u64, end: u64) -> io::Result<Option<Self>> {
        let mut header = [0; 10];
        if read_at(file, start, &mut header)? < header.len() || start + 10 > end {
            return Ok(None);
        }
        let [_, _, _, version, _, flags, size @ ..] = header;
        let inside = start + 10..(start + 10 + synchsafe(size) as u64).min(end);
        // Version 2 knows neither chapters nor compression.
        Ok(matches!(version, 3 | 4).then_some(Self { version, flags, inside }))
    }

    fn look(&self, file: &mut File) -> io::Result<Look> {
        let length = self.inside.end - self.inside.start;
        if length > LONGEST_TAG {
            return Ok(Look::Packed);
        }
        let mut bytes = vec![0; length as usize];
        let read = read_at(file, self.inside.start, &mut bytes)?;
        bytes.truncate(read);
        if self.flags & UNSYNCHRONISED != 0 && self.version < 4 {
            bytes = synchronised(&bytes);
        }
        if self.flags & EXTENDED == 0 {
            return Ok(self.frames(&bytes, 0));
        }
        // How long the second header is, readers do not agree on.
        let Some(&size) = bytes.first_chunk() else { return Ok(Look::Fine) };
        let size = if self.version == 4 { synchsafe(size) } else { plain(size) };
        let starts = [size, size.saturating_add(4), 6, 8, 12, 14];
        let looks = starts.map(|start| self.frames(bytes.get(start..).unwrap_or_default(), 0));
        Ok(looks.into_iter().max().unwrap_or(Look::Fine))
    }

    /// Goes through frames, this deep inside of chapters.
    fn frames(&self, mut bytes: &[u8], depth: usize) -> Look {
        let mut worst = Look::Fine;
        while let Some((&[a, b, c, d, size @ .., _, flags], rest)) = bytes.split_first_chunk::<10>()
        {
            // Only padding follows.
            if a == 0 {
                break;
            }
            let name = [a, b, c, d];
            let size = if self.version == 4 { synchsafe(size) } else { plain(size) };
            let (inside, rest) = rest.split_at(size.min(rest.len()));
            bytes = rest;
            let packed = if self.version == 4 { 0x08 } else { 0x80 };
            if flags & packed != 0 && could_be_name(name) {
                worst = worst.max(Look::Packed);
            }
            let look = match &name {
                b"CHAP" | b"CTOC" if depth == DEEPEST => Look::Deep,
                b"CHAP" | b"CTOC" => self.chapter(name, flags, inside, depth),
                // Of these a reader may leave something, and go on in the
                // middle.
                b"TIPL" | b"TMCL" | b"IPLS" | b"RVA2" | b"ETCO" | b"OWNE" | [b'W', ..] => {
                    if are_harmless(inside) {
                        Look::Fine
                    } else {
                        Look::Deep
                    }
                }
                _ => Look::Fine,
            };
            worst = worst.max(look);
            if worst == Look::Deep {
                break;
            }
        }
        worst
    }

    fn chapter(&self, name: [u8; 4], flags: u8, inside: &[u8], depth: usize) -> Look {
        // What else may come before a chapter: who encrypted it, which group it
        // is of, how long it is. Nobody does that.
        let (extra, unsynchronised) = match self.version {
            4 => (0x4d, flags & 0x02 != 0 || self.flags & UNSYNCHRONISED != 0),
            _ => (0xe0, false),
        };
        if flags & extra != 0 {
            return if are_harmless(inside) { Look::Fine } else { Look::Deep };
        }
        let synchronised = if unsynchronised { synchronised(inside) } else { Vec::new() };
        let inside = if unsynchronised { &synchronised } else { inside };
        match frames_of_chapter(name, inside) {
            Some(frames) => self.frames(frames, depth + 1),
            // It is not as it should be, and readers give up.
            None => Look::Fine,
        }
    }
}

fn could_be_name(name: [u8; 4]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    // Some write names of version 2 into tags of version 3.
    name[..3].iter().all(is_letter) && (is_letter(&name[3]) || name[3] == 0)
}

// Whether so few chapters can be in there that it does not matter how deep.
fn are_harmless(bytes: &[u8]) -> bool {
    let words = [&b"CHAP"[..], b"CTOC"].map(|word| memmem::find_iter(bytes, word).count());
    words.iter().sum::<usize>() <= HARMLESS
}

/// The frames in a chapter, behind its id and what else comes first.
fn frames_of_chapter(name: [u8; 4], chapter: &[u8]) -> Option<&[u8]> {
    let after_text = |bytes: &'_ [u8]| memchr::memchr(0, bytes).map(|end| end + 1);
    let mut at = after_text(chapter)?;
    if name == *b"CHAP" {
        return chapter.get(at + 16..);
    }
    let count = *chapter.get(at + 1)?;
    at += 2;
    for _ in 0..count {
        at += after_text(chapter.get(at..)?)?;
    }
    chapter.get(at..)
}

/// A size of which each byte gives seven bits; readers ignore the eighth.
fn synchsafe(size: [u8; 4]) -> usize {
    size.iter().fold(0, |size, &byte| size << 7 | usize::from(byte & 0x7f))
}

fn plain(size: [u8; 4]) -> usize {
    size.iter().fold(0, |size, &byte| size << 8 | usize::from(byte))
}

/// Takes out the zeros that keep a tag from looking like sound.
fn synchronised(bytes: &[u8]) -> Vec<u8> {
    let mut after_full = false;
    let mut result = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if !(after_full && byte == 0) {
            result.push(byte);
        }
        after_full = byte == 0xff;
    }
    result
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unreadable(bytes: &[u8]) -> Unreadable {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Unreadable::of(&mut file, 0..bytes.len() as u64).unwrap()
    }

    fn deep(bytes: &[u8]) -> Vec<u64> {
        unreadable(bytes).deep
    }

    fn size(version: u8, number: usize) -> [u8; 4] {
        let bits = if version == 4 { 7 } else { 8 };
        [3, 2, 1, 0]
            .map(|place| (number >> (place * bits)) as u8 & if bits == 7 { 127 } else { 255 })
    }

    fn frame(version: u8, name: &[u8; 4], inside: &[u8]) -> Vec<u8> {
        [&name[..], &size(version, inside.len()), &[0, 0], inside].concat()
    }

    fn tag(version: u8, flags: u8, frames: &[u8]) -> Vec<u8> {
        [&[b'I', b'D', b'3', version, 0, flags], &size(4, frames.len())[..], frames].concat()
    }

    fn nested(version: u8, depth: usize) -> Vec<u8> {
        (0..depth).fold(Vec::new(), |inside, _| {
            frame(version, b"CTOC", &[&b"t\0\x03\0"[..], &inside].concat())
        })
    }

    #[test]
    fn chapters_inside_each_other_are_found_wherever_they_are() {
        for version in [3, 4] {
            for flags in [0, UNSYNCHRONISED] {
                let tag = tag(version, flags, &nested(version, 80));
                assert!(tag.len() < 1300);
                for before in [0, 5, 262_142, 262_143, 262_145] {
                    let bytes = [&vec![7; before][..], &tag, &[7; 99]].concat();
                    assert_eq!(deep(&bytes), [before as u64], "{before}");
                }
            }
        }
    }

    #[test]
    fn chapters_behind_what_breaks_the_rules_are_found_too() {
        let nested = nested(4, 80);
        let of_chapter = frame(4, b"CHAP", &[&b"c\0"[..], &[0; 16], &nested].concat());
        let cut = &tag(4, 0, &nested)[..1000];
        for frames in [
            [&frame(4, b"tit2", b"x")[..], &nested].concat(),
            [&b"TIT2\x80\x80\x80\x82\0\0\0x"[..], &nested].concat(),
            [&frame(4, b"TIT2", b"\0title")[..], &of_chapter].concat(),
        ] {
            assert_eq!(deep(&tag(4, 0, &frames)), [0]);
        }
        let people = frame(4, b"TIPL", &[&b"\0\0\0"[..], &nested].concat());
        assert_eq!(deep(&tag(4, 0, &people)), [0]);
        let extended = [&b"\0\0\0\x06\x01\0"[..], &nested].concat();
        assert_eq!(deep(&tag(4, EXTENDED, &extended)), [0]);
        assert_eq!(deep(cut), [0]);
        let many = unreadable(&tag(4, 0, &nested).repeat(MOST_TAGS + 1));
        assert!(many.too_many && many.deep.len() == MOST_TAGS);
    }

    #[test]
    fn compressed_frames_are_found() {
        for (version, flag) in [(3, 0x80), (4, 0x08)] {
            let mut packed = frame(version, b"TIT2", b"\0\0\x01\0x\x9cwhatever");
            packed[9] = flag;
            let chapter = [&b"c\0"[..], &[0; 16], &packed].concat();
            for frames in [
                packed.clone(),
                [&frame(version, b"TPE1", b"\0a")[..], &packed].concat(),
                frame(version, b"CHAP", &chapter),
            ] {
                assert_eq!(unreadable(&tag(version, 0, &frames)).packed, [0]);
            }
        }
        let plain = frame(4, b"TIT2", b"\0x\x9c");
        assert!(unreadable(&tag(4, 0, &plain)).is_nothing());
    }

    #[test]
    fn an_audio_book_is_read() {
        for version in [3, 4] {
            let text = frame(version, b"TIT2", b"\0CHAPTER ONE");
            let chapter = |number: usize| {
                let id = format!("CHAP{number}\0").into_bytes();
                frame(version, b"CHAP", &[&id[..], &[0; 16], &text].concat())
            };
            let names: Vec<u8> = (0..200).flat_map(|n| format!("CHAP{n}\0").into_bytes()).collect();
            let contents =
                frame(version, b"CTOC", &[&b"toc\0\x03\xc8"[..], &names, &text].concat());
            let words = b"\0eng\0".iter().copied().chain(b"CHAPTER TWO ".repeat(99));
            let words = frame(version, b"COMM", &words.collect::<Vec<u8>>());
            let chapters: Vec<u8> = (0..200).flat_map(chapter).collect();
            let frames = [contents, words, chapters, vec![0; 500]].concat();
            for flags in [0, UNSYNCHRONISED] {
                assert_eq!(deep(&tag(version, flags, &frames)), [] as [u64; 0]);
            }
        }
        assert_eq!(deep(&b"CHAPTER ".repeat(1000)), [] as [u64; 0]);
    }
}
