//! The bytes of a file as the demuxer should see them.
//!
//! Two things stand between a file and a demuxer. Tags that are not part of
//! the format (ID3, APE, Lyrics3) are cut off, so that a demuxer that looks
//! for frames cannot mistake a picture for sound, and retagging cannot change
//! what it finds. And lengths in RIFF and AIFF headers that point past the end
//! of the file (interrupted recordings, streams) are corrected on the way, so
//! that the last samples are not lost.

mod layout;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;
use symphonia::core::io::MediaSource;

use self::layout::{Layout, Patch, layout};
use crate::id3v2::Unreadable;

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
