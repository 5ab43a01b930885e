//! Samples that ffmpeg decodes.

use std::{fmt, path::Path, path::PathBuf};

use songrec_core::AudioProperties;

use super::{Cancel, Ffmpeg, Next, Probed, Running, of, why};
use crate::{
    decode::{Block, Damage, Shape, sanitize},
    error::{Error, Reason, Result},
    resample::RATES,
};

/// Longer than any recording, in seconds: what gives more samples than that goes
/// round in circles.
const LONGEST: u64 = 100 * 3600;
/// More channels than any recording has.
const MOST_CHANNELS: usize = 64;

/// Decodes one file, block by block.
///
/// The samples come as an AU file: its header says their rate and channels, and needs
/// no length, which nobody knows before the end.
pub(crate) struct Foreign {
    path: PathBuf,
    running: Running,
    probed: Probed,
    shape: Shape,
    /// Bytes that are not yet a whole frame.
    rest: Vec<u8>,
    samples: Vec<f32>,
    frames: u64,
    audio_bytes: Option<u64>,
    damage: Damage,
    ended: bool,
}

impl Foreign {
    /// Opens an audio track of `path`.
    pub(crate) fn open(
        ffmpeg: &Ffmpeg,
        path: &Path,
        track: usize,
        cancel: &Cancel,
    ) -> Result<Self> {
        let probed = ffmpeg.probe(path, track, cancel)?;
        let (shape, running, rest) =
            Self::begin(ffmpeg, path, track, cancel).map_err(|error| match error.reason() {
                Reason::NotAudio => {
                    Error::new(path, Reason::UnsupportedCodec(probed.codec.clone())).because(error)
                }
                _ => error,
            })?;
        Ok(Self {
            path: path.to_owned(),
            running,
            probed,
            shape,
            rest,
            samples: Vec::new(),
            frames: 0,
            audio_bytes: None,
            damage: Damage::default(),
            ended: false,
        })
    }

    /// Begins to decode, up to the first samples.
    pub(super) fn begin(
        ffmpeg: &Ffmpeg,
        path: &Path,
        track: usize,
        cancel: &Cancel,
    ) -> Result<(Shape, Running, Vec<u8>)> {
        const HEADER: usize = 24;
        let output =
            ["-c:a", "pcm_f32be", "-map_metadata", "-1", "-flags:a", "+bitexact", "-f", "au"];
        let mut running = ffmpeg.start(path, track, &output, cancel)?;
        let mut bytes = Vec::new();
        let end = loop {
            let word = |at: usize| {
                let word = bytes.get(at..at + 4)?;
                Some(u32::from_be_bytes(word.try_into().expect("four bytes")) as usize)
            };
            let start = word(4).map_or(HEADER, |start: usize| start.max(HEADER));
            if bytes.len() >= start
                && let (Some(rate), Some(channels)) = (word(16), word(20))
            {
                let is_au = bytes.starts_with(b".snd") && word(12) == Some(6);
                if !is_au || !(1..=MOST_CHANNELS).contains(&channels) {
                    break "it gave something else than samples".to_owned();
                }
                let sample_rate = u32::try_from(rate).unwrap_or(u32::MAX);
                if !RATES.contains(&sample_rate) {
                    return Err(Error::new(path, Reason::UnsupportedRate(sample_rate)));
                }
                bytes.drain(..start);
                return Ok((Shape { sample_rate, channels }, running, bytes));
            }
            if bytes.len() > Ffmpeg::MOST_TEXT {
                break "it gave something else than samples".to_owned();
            }
            match running.next().map_err(of(path))? {
                Next::Bytes(more) => bytes.extend_from_slice(&more),
                Next::End(status) => break why(&running.said(), Some(status)),
            }
        };
        Err(Error::new(path, Reason::NotAudio).because(end))
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Decodes the next samples; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        loop {
            let frame = self.shape.channels * size_of::<f32>();
            let whole = self.rest.len() / frame * frame;
            if whole > 0 {
                let floats = self.rest[..whole].chunks_exact(size_of::<f32>());
                self.samples.clear();
                self.samples.extend(
                    floats.map(|bytes| f32::from_be_bytes(bytes.try_into().expect("four bytes"))),
                );
                self.rest.drain(..whole);
                self.damage.invalid_samples += sanitize(&mut self.samples);
                self.frames += (whole / frame) as u64;
                if self.frames > LONGEST * u64::from(self.shape.sample_rate) {
                    self.ended = true;
                    self.damage.stopped = Some("it is longer than 100 hours".to_owned());
                }
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            match self.running.next().map_err(of(&self.path))? {
                Next::Bytes(bytes) => self.rest.extend_from_slice(&bytes),
                Next::End(status) => {
                    self.ended = true;
                    let said = self.running.said();
                    let packets = said.lines().filter(|line| is_of_a_packet(line)).count() as u64;
                    self.damage.corrupt_packets = packets;
                    if !status.success() {
                        self.damage.stopped = Some(format!("ffmpeg: {}", why(&said, Some(status))));
                    }
                    if self.frames == 0 {
                        let is_damaged = packets > 0 || !status.success();
                        let reason = if is_damaged { Reason::Corrupt } else { Reason::Empty };
                        return Err(
                            Error::new(&self.path, reason).because(why(&said, Some(status)))
                        );
                    }
                }
            }
        }
    }

    pub(crate) fn block(&self) -> Block<'_> {
        Block::new(&self.samples, self.shape)
    }

    pub(crate) fn properties(&self) -> AudioProperties {
        let duration = self.frames as f64 / f64::from(self.shape.sample_rate);
        let bits = self.audio_bytes.map(|bytes| bytes as f64 * 8.0);
        AudioProperties {
            container: self.probed.container.clone(),
            codec: self.probed.codec.clone(),
            sample_rate: self.shape.sample_rate,
            channels: self.shape.channels as u32,
            frames: self.frames,
            duration,
            bitrate: bits.filter(|_| duration > 0.0).map(|bits| (bits / duration).round() as u32),
            ..AudioProperties::default()
        }
    }

    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// The bytes of all packets, which the bit rate comes from.
    pub(crate) fn learn_size(&mut self, audio_bytes: u64) {
        self.audio_bytes = Some(audio_bytes);
    }
}

/// Whether a line tells of a packet that could not be decoded, in the words of all
/// versions since 4.
fn is_of_a_packet(line: &str) -> bool {
    line.starts_with("Error while decoding")
        || line.contains("Error submitting packet to decoder")
        || line.contains("Decoding error:")
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign")
            .field("path", &self.path)
            .field("shape", &self.shape)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}
