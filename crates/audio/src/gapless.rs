//! Where the sound of an MP4 file begins and ends.
//!
//! AAC encoders put a start-up before the first sample and padding behind the
//! last. The demuxer does not say how much; an edit list or a comment of
//! iTunes does.

use std::{fs::File, io, ops::Range};

use crate::read_at::read_at;

/// The part of the decoded samples that was put in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gapless {
    /// Samples per channel before the sound.
    pub(crate) skip: u64,
    /// Samples per channel of sound.
    pub(crate) length: u64,
}

/// What the MP4 file says about its first audio track; None for other files,
/// and where it says nothing that can be believed.
pub(crate) fn gapless(file: &mut File, length: u64) -> io::Result<Option<Gapless>> {
    let mut head = [0; 8];
    if read_at(file, 0, &mut head)? < head.len() || &head[4..] != b"ftyp" {
        return Ok(None);
    }
    let Some(moov) = find(file, 0..length, b"moov")? else { return Ok(None) };
    match from_comment(file, moov.clone())? {
        Some(found) => Ok(Some(found)),
        None => from_edit_list(file, moov),
    }
}

/// A box; its content lies at `inside`.
struct Mp4Box {
    kind: [u8; 4],
    inside: Range<u64>,
}

/// The boxes in a range, as far as they make sense.
fn boxes(file: &mut File, range: Range<u64>) -> io::Result<Vec<Mp4Box>> {
    // More than any box holds but the sample tables, which are not opened.
    const MOST: usize = 500;
    let mut found = Vec::new();
    let mut at = range.start;
    while found.len() < MOST && at + 8 <= range.end {
        let mut header = [0; 16];
        read_at(file, at, &mut header)?;
        let (size, header_length) = match u64::from(word(&header, 0)) {
            0 => (range.end - at, 8),
            1 => (u64::from(word(&header, 8)) << 32 | u64::from(word(&header, 12)), 16),
            size => (size, 8),
        };
        if size < header_length || size > range.end - at {
            break;
        }
        let kind = header[4..8].try_into().expect("four bytes");
        found.push(Mp4Box { kind, inside: at + header_length..at + size });
        at += size;
    }
    Ok(found)
}

fn find(file: &mut File, range: Range<u64>, kind: &[u8; 4]) -> io::Result<Option<Range<u64>>> {
    let found = boxes(file, range)?.into_iter().find(|inner| &inner.kind == kind);
    Ok(found.map(|inner| inner.inside))
}

/// Opens one box after the other.
fn descend(
    file: &mut File,
    mut range: Range<u64>,
    path: &[&[u8; 4]],
) -> io::Result<Option<Range<u64>>> {
    for kind in path {
        match find(file, range, kind)? {
            Some(inside) => range = inside,
            None => return Ok(None),
        }
    }
    Ok(Some(range))
}

/// The first bytes of a box.
fn content(file: &mut File, range: Range<u64>) -> io::Result<Vec<u8>> {
    const MOST: u64 = 256;
    let mut bytes = vec![0; (range.end - range.start).min(MOST) as usize];
    let read = read_at(file, range.start, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A big-endian word, 0 where there are too few bytes.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_be_bytes(word.try_into().expect("four bytes")))
}

/// `iTunSMPB`: hexadecimal numbers, the second is the start-up, the third the
/// padding, the fourth the length.
fn from_comment(file: &mut File, moov: Range<u64>) -> io::Result<Option<Gapless>> {
    let Some(mut meta) = descend(file, moov, &[b"udta", b"meta"])? else { return Ok(None) };
    // Version and flags come before the boxes.
    meta.start += 4;
    let Some(list) = find(file, meta, b"ilst")? else { return Ok(None) };
    for item in boxes(file, list)?.into_iter().filter(|item| &item.kind == b"----") {
        let Some(name) = find(file, item.inside.clone(), b"name")? else { continue };
        if content(file, name)?.get(4..) != Some(b"iTunSMPB") {
            continue;
        }
        let Some(data) = find(file, item.inside, b"data")? else { continue };
        let bytes = content(file, data)?;
        let text = String::from_utf8_lossy(bytes.get(8..).unwrap_or_default());
        let mut numbers =
            text.split_whitespace().skip(1).map_while(|word| u64::from_str_radix(word, 16).ok());
        let (skip, _padding, length) = (numbers.next(), numbers.next(), numbers.next());
        return Ok(skip.zip(length).map(|(skip, length)| Gapless { skip, length }).filter(likely));
    }
    Ok(None)
}

/// The edit list of the first audio track, if it is one cut.
fn from_edit_list(file: &mut File, moov: Range<u64>) -> io::Result<Option<Gapless>> {
    for track in boxes(file, moov.clone())?.into_iter().filter(|inner| &inner.kind == b"trak") {
        let Some(media) = find(file, track.inside.clone(), b"mdia")? else { continue };
        let Some(handler) = find(file, media.clone(), b"hdlr")? else { continue };
        if content(file, handler)?.get(8..12) != Some(b"soun") {
            continue;
        }
        let Some(edits) = descend(file, track.inside, &[b"edts", b"elst"])? else {
            return Ok(None);
        };
        let (Some(movie), Some(media)) = (find(file, moov, b"mvhd")?, find(file, media, b"mdhd")?)
        else {
            return Ok(None);
        };
        let movie_scale = time_scale(&content(file, movie)?);
        let media_scale = time_scale(&content(file, media)?);
        let edits = content(file, edits)?;
        let (duration, start) = match (edits.first(), word(&edits, 4)) {
            (Some(0), 1) => (u64::from(word(&edits, 8)), u64::from(word(&edits, 12))),
            (Some(1), 1) => (
                u64::from(word(&edits, 8)) << 32 | u64::from(word(&edits, 12)),
                u64::from(word(&edits, 16)) << 32 | u64::from(word(&edits, 20)),
            ),
            _ => return Ok(None),
        };
        let Some(scaled) = duration.checked_mul(u64::from(media_scale)) else { return Ok(None) };
        if movie_scale == 0 || media_scale == 0 {
            return Ok(None);
        }
        // Movies often count milliseconds: never cut off what may be sound.
        let length = scaled.div_ceil(u64::from(movie_scale));
        return Ok(Some(Gapless { skip: start, length }).filter(likely));
    }
    Ok(None)
}

/// Units per second in `mvhd` and `mdhd`, behind two times of 4 or 8 bytes.
fn time_scale(header: &[u8]) -> u32 {
    if header.first() == Some(&1) { word(header, 20) } else { word(header, 12) }
}

/// Whether this is an encoder's start-up, not an edit by hand.
fn likely(gapless: &Gapless) -> bool {
    // The longest in use, of HE-AAC, is 5,186.
    const LONGEST: u64 = 8_192;
    gapless.skip <= LONGEST && gapless.length > 0
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn boxed(kind: &[u8; 4], inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        [&(inside.len() as u32 + 8).to_be_bytes()[..], kind, &inside].concat()
    }

    fn found(moov: &[u8]) -> Option<Gapless> {
        let bytes = [boxed(b"ftyp", &[b"M4A "]), boxed(b"mdat", &[&[7; 99]]), moov.to_vec()];
        let bytes = bytes.concat();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        gapless(&mut file, bytes.len() as u64).unwrap()
    }

    fn comment(text: &str) -> Vec<u8> {
        let name = boxed(b"name", &[&[0; 4], b"iTunSMPB"]);
        let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()]);
        let item = boxed(b"----", &[&name, &data]);
        let meta = boxed(b"meta", &[&[0; 4], &boxed(b"ilst", &[&item])]);
        boxed(b"udta", &[&meta])
    }

    fn header(kind: &[u8; 4], scale: u32) -> Vec<u8> {
        boxed(kind, &[&[0; 12], &scale.to_be_bytes(), &[0; 8]])
    }

    fn track(handler: &[u8; 4], duration: u32, start: u32) -> Vec<u8> {
        let media = [header(b"mdhd", 44_100), boxed(b"hdlr", &[&[0; 8], handler, &[0; 12]])];
        let edit = [[0, 0, 0, 0], [0, 0, 0, 1], duration.to_be_bytes(), start.to_be_bytes()];
        let edits = boxed(b"edts", &[&boxed(b"elst", &[edit.as_flattened(), &[0, 1, 0, 0]])]);
        boxed(b"trak", &[&edits, &boxed(b"mdia", &[&media.concat()])])
    }

    #[test]
    fn a_comment_of_itunes_is_believed() {
        let comment = comment(" 00000000 00000840 000001CA 00000000003F31F6 00000000");
        let moov = boxed(b"moov", &[&header(b"mvhd", 1_000), &track(b"soun", 9, 9), &comment]);
        assert_eq!(found(&moov), Some(Gapless { skip: 0x840, length: 0x3f_31f6 }));
    }

    #[test]
    fn an_edit_list_counts_in_the_time_of_the_movie() {
        let video = track(b"vide", 5, 5);
        let moov = boxed(b"moov", &[&header(b"mvhd", 1_000), &video, &track(b"soun", 300, 1_024)]);
        assert_eq!(found(&moov), Some(Gapless { skip: 1_024, length: 13_230 }));
    }

    #[test]
    fn what_cannot_be_a_start_up_is_not_believed() {
        let edited = boxed(b"moov", &[&header(b"mvhd", 1_000), &track(b"soun", 300, 44_100)]);
        assert_eq!(found(&edited), None);
        let empty = boxed(b"moov", &[&header(b"mvhd", 1_000), &track(b"soun", 0, 1_024)]);
        assert_eq!(found(&empty), None);
        let timeless = boxed(b"moov", &[&header(b"mvhd", 0), &track(b"soun", 300, 1_024)]);
        assert_eq!(found(&timeless), None);
        assert_eq!(found(b"moovmoovmoov"), None);
    }
}
