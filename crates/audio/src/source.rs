//! The bytes of a file as the demuxer should see them.
//!
//! Two things stand between a file and a demuxer. Tags that are not part of
//! the format (ID3, APE, Lyrics3) are cut off, so that a demuxer that looks
//! for frames cannot mistake a picture for sound, and retagging cannot change
//! what it finds. And lengths in RIFF and AIFF headers that point past the end
//! of the file (interrupted recordings, streams) are corrected on the way, so
//! that the last samples are not lost.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;
use symphonia::core::io::MediaSource;

use crate::{id3v2::Unreadable, read_at::read_at};

/// A window of a file that can hash the whole file while it is read.
pub(crate) struct Source {
    file: File,
    /// Where the operating system's cursor is.
    cursor: u64,
    /// The window, in the file.
    start: u64,
    end: u64,
    /// Where the demuxer is, in the file.
    position: u64,
    patches: Vec<Patch>,
    cut_off: bool,
    seekable: bool,
    missing: u64,
    ends_early: bool,
    hash: Option<FileHash>,
    /// How many bytes may still be read.
    left: u64,
}

/// Bytes to be read instead of those in the file.
#[derive(Debug, PartialEq)]
struct Patch {
    at: u64,
    bytes: Vec<u8>,
}

impl Patch {
    fn new(at: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self { at, bytes: bytes.into() }
    }
}

impl Source {
    /// The audio of `file`, whose length is `length`.
    pub(crate) fn new(mut file: File, length: u64, hash: Option<FileHash>) -> io::Result<Self> {
        let mut layout = layout(&mut file, length)?;
        let cut_off = !layout.patches.is_empty();
        let unreadable = Unreadable::of(&mut file, layout.start..layout.end)?;
        if unreadable.too_many {
            layout.end = layout.start;
        }
        // What is compressed the demuxer leaves alone, and so is left as it is.
        layout.hide(&mut file, &unreadable.deep)?;
        Ok(Self::with(file, layout, cut_off, hash))
    }

    /// All of `file`, whose length is `length`, as a reader of tags should see
    /// it; and whether there is something that it should not see.
    pub(crate) fn of_tags(mut file: File, length: u64) -> io::Result<(Self, bool)> {
        let mut all = Layout {
            start: 0,
            end: length,
            patches: Vec::new(),
            seekable: true,
            missing: 0,
            ends_early: false,
        };
        let unreadable = Unreadable::of(&mut file, 0..length)?;
        if unreadable.too_many {
            all.end = 0;
        }
        all.hide(&mut file, &unreadable.deep)?;
        all.hide(&mut file, &unreadable.packed)?;
        Ok((Self::with(file, all, false, None), !unreadable.is_nothing()))
    }

    fn with(file: File, layout: Layout, cut_off: bool, hash: Option<FileHash>) -> Self {
        let Layout { start, end, patches, seekable, missing, ends_early } = layout;
        // Nobody knows where the cursor is, and the first read puts it right.
        let cursor = u64::MAX;
        // Demuxers jump about, and read some parts many times; one that reads
        // more than this goes round in circles that the file has laid out.
        const MOST_TIMES: u64 = 200;
        const MOST_OF_SHORT: u64 = 1 << 30;
        let left = (end - start).saturating_mul(MOST_TIMES).saturating_add(MOST_OF_SHORT);
        Self {
            file,
            cursor,
            start,
            end,
            position: start,
            patches,
            cut_off,
            seekable,
            missing,
            ends_early,
            hash,
            left,
        }
    }

    /// Where the window begins, in the file.
    pub(crate) const fn begins_at(&self) -> u64 {
        self.start
    }

    /// The number of bytes a demuxer can see.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the file is shorter than it says.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Bytes of audio that the file says it has and that are not there.
    pub(crate) fn missing_bytes(&self) -> u64 {
        self.missing
    }

    /// Whether it does not end as its format has files end.
    pub(crate) fn ends_early(&self) -> bool {
        self.ends_early
    }

    fn patch(&self, at: u64, buffer: &mut [u8]) {
        let end = at + buffer.len() as u64;
        for patch in &self.patches {
            for (offset, &byte) in (patch.at..).zip(&patch.bytes) {
                if (at..end).contains(&offset) {
                    buffer[(offset - at) as usize] = byte;
                }
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let Some(left) = self.left.checked_sub(wanted as u64) else {
            // What readers take for damage, not for a disk that fails.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it leads round in circles"));
        };
        self.left = left;
        if self.cursor != self.position {
            self.cursor = self.file.seek(SeekFrom::Start(self.position))?;
        }
        let read = self.file.read(&mut buffer[..wanted])?;
        if let Some(hash) = &self.hash {
            hash.see(self.position, &buffer[..read]);
        }
        self.patch(self.position, &mut buffer[..read]);
        self.position += read as u64;
        self.cursor = self.position;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => self.start.checked_add(offset),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.end.checked_add_signed(delta),
        };
        match target {
            Some(position) if position >= self.start => {
                self.position = position;
                Ok(position - self.start)
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "seek before the start")),
        }
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len())
    }
}

/// SHA-256 of a whole file, of which most bytes are read by somebody else.
///
/// Takes what continues what it has seen and ignores the rest, so that a
/// demuxer may jump about; what is missing at the end is read then. A file
/// that is read from front to back is read once.
#[derive(Clone, Debug)]
pub(crate) struct FileHash(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    sha: Sha256,
    bytes: u64,
}

impl FileHash {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Seen { sha: Sha256::new(), bytes: 0 })))
    }

    fn see(&self, at: u64, bytes: &[u8]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Overlap with what was seen is skipped, a gap is left for the end.
        if let Some(new) = seen.bytes.checked_sub(at).and_then(|skip| bytes.get(skip as usize..)) {
            seen.sha.update(new);
            seen.bytes += new.len() as u64;
        }
    }

    /// The digest and length of `file`, after reading what was not seen.
    pub(crate) fn finish(&self, file: &mut File) -> io::Result<(Digest, u64)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(seen.bytes))?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            seen.sha.update(&buffer[..read]);
            seen.bytes += read as u64;
        }
        Ok((Digest(seen.sha.clone().finalize().into()), seen.bytes))
    }
}

/// Where the audio format lies in a file.
#[derive(Debug, PartialEq)]
struct Layout {
    start: u64,
    end: u64,
    patches: Vec<Patch>,
    /// Whether what the format says about places in the file can be believed.
    seekable: bool,
    /// Bytes of audio that the format says there are and that are not there.
    missing: u64,
    /// Whether the last thing in it is not what the format has last.
    ends_early: bool,
}

/// A 32-bit length that means "unknown", as programs write it that cannot go
/// back to the beginning: all ones, or the largest that is not negative, with
/// or without what is around the audio.
fn is_unknown(length: u32) -> bool {
    (0x7FFF_0000..=0x7FFF_FFFF).contains(&length) || length >= 0xFFFF_0000
}

impl Layout {
    /// Makes the ID3v2 tags at these places something that nobody looks for,
    /// with the chunks that they are in.
    fn hide(&mut self, file: &mut File, tags: &[u64]) -> io::Result<()> {
        for &at in tags {
            self.patches.push(Patch::new(at, *b"\0\0\0"));
            let Some(chunk) = at.checked_sub(8) else { continue };
            let mut name = [0; 4];
            read_at(file, chunk, &mut name)?;
            if name.eq_ignore_ascii_case(b"id3 ") {
                self.patches.push(Patch::new(chunk, *b"JUNK"));
            }
        }
        Ok(())
    }
}

fn layout(file: &mut File, length: u64) -> io::Result<Layout> {
    let start = leading_tags(file, length)?;
    let mut head = [0; 12];
    let known = read_at(file, start, &mut head)?;
    let whole = Layout {
        start,
        end: length,
        patches: Vec::new(),
        seekable: true,
        missing: 0,
        ends_early: false,
    };
    match &head[..known.min(4)] {
        b"RIFF" | b"RF64" | b"BW64" if &head[8..12] == b"WAVE" => wave(file, whole),
        b"FORM" if matches!(&head[8..12], b"AIFF" | b"AIFC") => aiff(file, whole),
        b"OggS" => ogg(file, whole),
        b"caff" => caf(file, whole),
        [0x1a, 0x45, 0xdf, 0xa3] => mkv(file, whole),
        _ if &head[4..8] == b"ftyp" => mp4(file, whole),
        _ => {
            let end = trailing_tags(file, start, length)?;
            Ok(Layout { end, ..whole })
        }
    }
}

/// The end of the ID3v2 tags at the beginning.
fn leading_tags(file: &mut File, length: u64) -> io::Result<u64> {
    let mut start = 0;
    loop {
        let mut header = [0; 10];
        let read = read_at(file, start, &mut header)?;
        let Some(size) = (read == 10).then(|| id3v2_size(&header, b"ID3")).flatten() else {
            return Ok(start);
        };
        if start + size >= length {
            return Ok(start);
        }
        start += size;
    }
}

/// The whole size of an ID3v2 tag, from its header or footer.
fn id3v2_size(header: &[u8; 10], magic: &[u8; 3]) -> Option<u64> {
    let size = &header[6..10];
    if !header.starts_with(magic) || header[3] == 0xff || size.iter().any(|&byte| byte >= 0x80) {
        return None;
    }
    let body = size.iter().fold(0, |size, &byte| size << 7 | u64::from(byte));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + body + footer)
}

/// The beginning of the ID3v1, ID3v2, APE and Lyrics3 tags at the end.
fn trailing_tags(file: &mut File, start: u64, length: u64) -> io::Result<u64> {
    const LONGEST: u64 = 128;
    let mut end = length;
    loop {
        let mut tail = [0; LONGEST as usize];
        let Some(at) = end.checked_sub(LONGEST).filter(|&at| at >= start) else {
            return Ok(end);
        };
        read_at(file, at, &mut tail)?;
        match trailing_tag(&tail).filter(|&size| size < end - start) {
            Some(size) => end -= size,
            None => return Ok(end),
        }
    }
}

/// The size of the tag that ends with these bytes.
fn trailing_tag(tail: &[u8; 128]) -> Option<u64> {
    if tail.starts_with(b"TAG") {
        return Some(128);
    }
    if tail[96..].starts_with(b"APETAGEX") {
        let word =
            |at: usize| u32::from_le_bytes(tail[96 + at..100 + at].try_into().expect("four bytes"));
        let header = if word(20) & 0x8000_0000 != 0 { 32 } else { 0 };
        return matches!(word(8), 1000 | 2000).then(|| u64::from(word(12)) + header);
    }
    if tail.ends_with(b"LYRICS200") {
        let size: u64 = std::str::from_utf8(&tail[113..119]).ok()?.parse().ok()?;
        return Some(size + 15);
    }
    id3v2_size(tail[118..].try_into().expect("ten bytes"), b"3DI")
}

/// A chunk of a RIFF or AIFF file; `at` is where its data begins.
struct Chunk {
    at: u64,
    length: u32,
}

/// Finds the first chunk called `wanted`.
fn find_chunk(
    file: &mut File,
    whole: &Layout,
    wanted: [u8; 4],
    word: fn([u8; 4]) -> u32,
) -> io::Result<Option<Chunk>> {
    // More chunks than any program writes; a damaged file may hold millions.
    const MOST_CHUNKS: usize = 1000;
    let mut at = whole.start + 12;
    for _ in 0..MOST_CHUNKS {
        let mut header = [0; 8];
        if read_at(file, at, &mut header)? < header.len() {
            break;
        }
        let length = word(header[4..].try_into().expect("four bytes"));
        at += 8;
        if header[..4] == wanted {
            return Ok(Some(Chunk { at, length }));
        }
        at += u64::from(length) + u64::from(length & 1);
    }
    Ok(None)
}

/// Corrects the lengths of a WAVE file that was cut off or streamed.
fn wave(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    let mut head = [0; 8];
    read_at(file, whole.start, &mut head)?;
    let [magic, riff] = [&head[..4], &head[4..]].map(|half| half.try_into().expect("four bytes"));
    let riff = u64::from(u32::from_le_bytes(riff));
    let Some(data) = find_chunk(file, &whole, *b"data", u32::from_le_bytes)? else {
        return Ok(whole);
    };
    let there = whole.end - data.at;
    let mut length = match data.length {
        u32::MAX => there,
        // A recorder that never came to write the lengths.
        0 if magic == *b"RIFF" && whole.start + 8 + riff != whole.end => there,
        length => u64::from(length),
    };
    if magic != *b"RIFF" {
        // Files beyond 4 GiB keep the length in a chunk of its own; the demuxer
        // knows only their 32-bit cousins.
        whole.patches.push(Patch::new(whole.start, *b"RIFF"));
        if let Some(sizes) = find_chunk(file, &whole, *b"ds64", u32::from_le_bytes)? {
            let mut long = [0; 8];
            read_at(file, sizes.at + 8, &mut long)?;
            length = u64::from_le_bytes(long);
        }
    }
    if !is_unknown(data.length) || magic != *b"RIFF" {
        whole.missing = length.saturating_sub(there);
    }
    let length = length.min(there);
    match u32::try_from(length) {
        Ok(short) if short == data.length => {}
        Ok(short) if short < u32::MAX => {
            whole.patches.push(Patch::new(data.at - 4, short.to_le_bytes()));
        }
        // To the demuxer this length means "until the end".
        _ => {
            whole.end = data.at + length;
            whole.patches.push(Patch::new(data.at - 4, u32::MAX.to_le_bytes()));
        }
    }
    if !whole.patches.is_empty() {
        let riff = u32::try_from(whole.end - whole.start - 8).unwrap_or(u32::MAX);
        whole.patches.push(Patch::new(whole.start + 4, riff.to_le_bytes()));
    }
    Ok(whole)
}

/// Corrects the lengths of an AIFF file that was cut off.
fn aiff(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    let Some(sound) = find_chunk(file, &whole, *b"SSND", u32::from_be_bytes)? else {
        return Ok(whole);
    };
    let there = u32::try_from(whole.end - sound.at).unwrap_or(u32::MAX);
    if there < sound.length {
        whole.missing = if is_unknown(sound.length) { 0 } else { u64::from(sound.length - there) };
        whole.patches.push(Patch::new(sound.at - 4, there.to_be_bytes()));
        let form = u32::try_from(whole.end - whole.start - 8).unwrap_or(u32::MAX);
        whole.patches.push(Patch::new(whole.start + 4, form.to_be_bytes()));
    }
    Ok(whole)
}

/// Corrects the length of the last box of an MP4 file that was cut off.
fn mp4(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    // More boxes than any file has at its top, fragmented ones aside, which
    // need no correction.
    const MOST_BOXES: usize = 1000;
    let mut at = whole.start;
    for _ in 0..MOST_BOXES {
        let mut header = [0; 16];
        if read_at(file, at, &mut header)? < 8 {
            break;
        }
        let [short, long] = [&header[..4], &header[8..]];
        let length = match u32::from_be_bytes(short.try_into().expect("four bytes")) {
            // Until the end of the file.
            0 => break,
            1 => u64::from_be_bytes(long.try_into().expect("eight bytes")),
            short => u64::from(short),
        };
        let there = whole.end - at;
        if length > there {
            let high = ((there >> 32) as u32).to_be_bytes();
            let low = (there as u32).to_be_bytes();
            if header[..4] == [0, 0, 0, 1] {
                whole.patches.push(Patch::new(at + 8, high));
                whole.patches.push(Patch::new(at + 12, low));
            } else {
                whole.patches.push(Patch::new(at, low));
            }
            break;
        }
        at += length.max(8);
    }
    Ok(whole)
}

/// Corrects the length of the last chunk of a CAF file that was cut off.
fn caf(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    const MOST_CHUNKS: usize = 1000;
    let mut at = whole.start + 8;
    for _ in 0..MOST_CHUNKS {
        let mut header = [0; 12];
        if read_at(file, at, &mut header)? < header.len() {
            break;
        }
        at += 12;
        let length = i64::from_be_bytes(header[4..].try_into().expect("eight bytes"));
        // A negative length means "until the end".
        let Ok(length) = u64::try_from(length) else { break };
        let there = whole.end - at;
        if length > there {
            if header[..4] == *b"data" {
                whole.missing = length - there;
            }
            whole.patches.push(Patch::new(at - 8, there.to_be_bytes()));
            break;
        }
        at += length;
    }
    Ok(whole)
}

/// Whether an Ogg file ends with the last page of its last stream.
fn ogg(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    /// No page is longer.
    const LONGEST_PAGE: u64 = 27 + 255 + 255 * 255;
    const LAST: u8 = 4;
    let from = whole.start.max(whole.end.saturating_sub(LONGEST_PAGE));
    let mut tail = vec![0; usize::try_from(whole.end - from).unwrap_or(0)];
    let read = read_at(file, from, &mut tail)?;
    tail.truncate(read);
    let pages = tail.windows(4).enumerate().filter(|(_, four)| *four == b"OggS");
    // What looks like a page in the middle of a packet is longer than the rest.
    let mut ends = pages.filter_map(|(at, _)| {
        let header = tail.get(at..at + 27)?;
        let segments = tail.get(at + 27..at + 27 + usize::from(header[26]))?;
        let body: usize = segments.iter().map(|&length| usize::from(length)).sum();
        let end = at + 27 + segments.len() + body;
        (end <= tail.len()).then_some((end, header[5] & LAST != 0))
    });
    let last = ends.next_back();
    whole.ends_early = !last.is_some_and(|(_, is_last)| is_last);
    Ok(whole)
}

/// Lets the one big element of an MKV file that was cut off last until the
/// end of the file.
fn mkv(file: &mut File, mut whole: Layout) -> io::Result<Layout> {
    const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
    let mut header = [0; 12];
    read_at(file, whole.start, &mut header)?;
    let Some((width, length)) = variable_length(&header[4..]) else { return Ok(whole) };
    let segment = whole.start + 4 + width as u64 + length;
    if read_at(file, segment, &mut header)? < header.len() || header[..4] != SEGMENT {
        return Ok(whole);
    }
    let Some((width, length)) = variable_length(&header[4..]) else { return Ok(whole) };
    if segment + 4 + width as u64 + length > whole.end {
        // Its own way to say that a length is not known.
        let unknown = (1u64 << (7 * width)) - 1;
        whole.ends_early = length != unknown;
        // All ones: a length that is not known.
        let mut unknown = vec![0xff; width];
        unknown[0] >>= width - 1;
        whole.patches.push(Patch::new(segment + 4, unknown));
        // The demuxer would look for the index, which is lost.
        whole.seekable = false;
    }
    Ok(whole)
}

/// Reads a length of one to eight bytes; says how many, and the length.
fn variable_length(bytes: &[u8]) -> Option<(usize, u64)> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..width)?;
    let start = u64::from(first) & (0xff >> width);
    Some((width, rest.iter().fold(start, |length, &byte| length << 8 | u64::from(byte))))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn seen(bytes: &[u8]) -> Vec<u8> {
        let mut source = Source::new(file(bytes), bytes.len() as u64, None).unwrap();
        let mut out = Vec::new();
        source.read_to_end(&mut out).unwrap();
        out
    }

    fn id3v2(body: usize) -> Vec<u8> {
        let size = [
            (body >> 21) as u8,
            (body >> 14) as u8 & 127,
            (body >> 7) as u8 & 127,
            body as u8 & 127,
        ];
        [b"ID3\x04\0\0", &size[..], &vec![0xff; body]].concat()
    }

    #[test]
    fn tags_around_the_audio_are_not_seen() {
        let audio = vec![7; 1000];
        let mut ape = b"APETAGEX\xd0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x80________".to_vec();
        let mut footer = ape.clone();
        footer[12..16].copy_from_slice(&(32u32 + 5).to_le_bytes());
        ape.extend_from_slice(b"value");
        ape.extend_from_slice(&footer);
        let lyrics = b"LYRICSBEGINhello000016LYRICS200";
        let id3v1 = [b"TAG", &[b' '; 125][..]].concat();

        for tail in [
            Vec::new(),
            id3v1.clone(),
            ape.clone(),
            [&ape[..], &id3v1].concat(),
            [&ape[..], lyrics, &id3v1].concat(),
        ] {
            let bytes = [&id3v2(300)[..], &id3v2(20), &audio, &tail].concat();
            assert_eq!(seen(&bytes), audio, "{} bytes at the end", tail.len());
        }
    }

    #[test]
    fn a_file_of_nothing_but_tags_is_left_alone() {
        let bytes = id3v2(300);
        assert_eq!(seen(&bytes), bytes);
    }

    fn wave_file(magic: &[u8], riff: u32, data: u32, samples: &[u8]) -> Vec<u8> {
        [magic, &riff.to_le_bytes(), b"WAVEfmt \x02\0\0\0\x01\0data", &data.to_le_bytes(), samples]
            .concat()
    }

    #[test]
    fn wave_lengths_past_the_end_are_corrected() {
        let samples = [1, 2, 3, 4, 5, 6];
        let right = wave_file(b"RIFF", 28, 6, &samples);
        assert_eq!(right.len(), 36);
        assert_eq!(seen(&right), right);
        for (riff, data) in [(0, 0), (0, 100), (u32::MAX, u32::MAX), (36, 14)] {
            let wrong = wave_file(b"RIFF", riff, data, &samples);
            assert_eq!(seen(&wrong), right, "RIFF {riff}, data {data}");
        }
    }

    #[test]
    fn who_reads_in_circles_is_stopped() {
        let mut source = Source::new(file(&[7; 1 << 20]), 1 << 20, None).unwrap();
        let mut buffer = vec![0; 1 << 20];
        source.left = 10 << 20;
        let rounds = std::iter::repeat_with(|| {
            source.seek(SeekFrom::Start(0))?;
            source.read_exact(&mut buffer)
        });

        let rounds: Vec<_> = rounds.take(12).collect();

        assert_eq!(rounds.iter().filter(|round| round.is_ok()).count(), 10);
        assert_eq!(rounds[11].as_ref().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_hash_of_scattered_reads_is_the_hash_of_the_file() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let hash = FileHash::new();
        let mut source = Source::new(file(&bytes), bytes.len() as u64, Some(hash.clone())).unwrap();
        let mut buffer = [0; 10_000];
        for at in [0, 5_000, 190_000, 12_000, 14_000, 100] {
            source.seek(SeekFrom::Start(at)).unwrap();
            source.read_exact(&mut buffer).unwrap();
        }

        let (digest, length) = hash.finish(&mut source.file).unwrap();

        assert_eq!((digest, length), (Digest::of(&bytes), bytes.len() as u64));
    }
}
