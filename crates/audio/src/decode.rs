//! From a file to samples, block by block, by the decoders that are built in.

use std::{fmt, ops::Range, path::Path};

use serde::Serialize;
use songrec_core::AudioProperties;
use symphonia::{
    core::{
        codecs::audio::{
            AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS,
        },
        errors::Error as MediaError,
        packet::Packet,
    },
    default::get_codecs,
};

use crate::{
    demux::{Demuxer, Identity, Next, guard},
    error::{Error, Reason, Result},
    gapless::Gapless,
    opus::{self, OpusStream},
    resample::{RATES, Resampler},
    simd::vectorized,
};

/// Beyond this, a sample is not sound but damage or a wrong sample format. Far
/// above the ±32768 of files that keep 16-bit values as floats, and low enough
/// that no sum of squares overflows.
const LOUDEST: f32 = 1e6;

/// Containers count whole packets, and count what encoders put before the
/// first sample; up to so many frames more than there are mean nothing.
const UNCERTAIN_FRAMES: u64 = 8192;

/// Where samples or bytes are counted exactly, up to so many frames more than
/// there are mean nothing.
const MISCOUNTED_FRAMES: u64 = 64;

/// Decodes the audio of one file by what is built in; see
/// [`Decoder`](crate::Decoder).
pub(crate) struct Native {
    demuxer: Demuxer,
    codec: Codec,
    /// What is known of the file before its first sample.
    properties: AudioProperties,
    shape: Option<Shape>,
    /// The samples of the current block, interleaved.
    samples: Vec<f32>,
    /// Samples per channel still to be skipped, and then to be given.
    gapless: Option<Gapless>,
    /// For streams that change their shape on the way.
    adapter: Option<Adapter>,
    damage: Damage,
    frames: u64,
    ended: bool,
}

/// How samples lie in time and space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// In Hz.
    pub sample_rate: u32,
    /// The number of channels.
    pub channels: usize,
}

/// Samples that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    samples: &'a [f32],
    shape: Shape,
}

impl<'a> Block<'a> {
    /// Whole frames of one shape.
    pub(crate) fn new(samples: &'a [f32], shape: Shape) -> Self {
        Self { samples, shape }
    }

    /// The samples, interleaved: whole frames of one sample per channel.
    pub fn samples(&self) -> &'a [f32] {
        self.samples
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.shape.channels
    }

    /// In Hz.
    pub fn sample_rate(&self) -> u32 {
        self.shape.sample_rate
    }

    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.shape.channels
    }

    /// Some of its frames.
    ///
    /// # Panics
    ///
    /// If they are not all in it.
    pub fn part(&self, frames: Range<usize>) -> Self {
        let channels = self.shape.channels;
        Self { samples: &self.samples[frames.start * channels..frames.end * channels], ..*self }
    }

    /// Replaces `mono` by the mean of all channels.
    pub fn mono_into(&self, mono: &mut Vec<f32>) {
        mono.clear();
        match self.shape.channels {
            1 => mono.extend_from_slice(self.samples),
            2 => mono.extend(self.samples.chunks_exact(2).map(|frame| (frame[0] + frame[1]) * 0.5)),
            channels => {
                let scale = 1.0 / channels as f32;
                let frames = self.samples.chunks_exact(channels);
                mono.extend(frames.map(|frame| frame.iter().sum::<f32>() * scale));
            }
        }
    }
}

/// What was wrong with a file whose audio could be decoded all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Packets that could not be decoded and were left out.
    pub corrupt_packets: u64,
    /// Samples that were not numbers, or infinite, or absurdly large; they are
    /// taken as silence.
    pub invalid_samples: u64,
    /// Why reading ended before the end of the file.
    pub stopped: Option<String>,
    /// Samples per channel that the file promises and does not have.
    pub missing_frames: u64,
    /// Whether the file does not end as its format has files end.
    pub ends_early: bool,
}

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(OpusStream),
}

impl Native {
    /// Opens `path` if it has at most `limit` bytes.
    pub(crate) fn open_up_to(path: &Path, limit: u64) -> Result<Self> {
        let demuxer = Demuxer::open(path, limit)?;
        let codec = Codec::new(demuxer.parameters())
            .ok_or_else(|| Error::new(path, Reason::UnsupportedCodec(demuxer.codec())))?;
        let name = demuxer.codec();
        let properties = AudioProperties {
            container: demuxer.container().to_owned(),
            bit_depth: bit_depth(demuxer.parameters(), &name),
            codec: name,
            ..AudioProperties::default()
        };
        Ok(Self {
            gapless: demuxer.gapless(),
            properties,
            demuxer,
            codec,
            shape: None,
            samples: Vec::new(),
            adapter: None,
            damage: Damage::default(),
            frames: 0,
            ended: false,
        })
    }

    /// The shape of all blocks, known after the first of them.
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// Decodes the next samples; false at the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read any further, and at the end when nothing
    /// was decoded.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        while !self.ended {
            match self.demuxer.next()? {
                Next::Packet(packet) => self.decode(&packet)?,
                Next::Restart => self.restart(),
                Next::End => self.end()?,
            }
            if !self.samples.is_empty() && self.shape.is_some() {
                self.damage.invalid_samples += sanitize(&mut self.samples);
                self.frames += self.block().frames() as u64;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was decoded last.
    ///
    /// # Panics
    ///
    /// Before anything was.
    pub(crate) fn block(&self) -> Block<'_> {
        Block { samples: &self.samples, shape: self.shape.expect("something was decoded") }
    }

    /// The number of the audio track among those of the file.
    pub(crate) fn track(&self) -> usize {
        self.demuxer.number_of_track()
    }

    /// What the file holds, after the last block.
    pub(crate) fn properties(&self) -> AudioProperties {
        let Shape { sample_rate, channels } =
            self.shape.unwrap_or(Shape { sample_rate: 0, channels: 0 });
        let duration =
            if sample_rate > 0 { self.frames as f64 / f64::from(sample_rate) } else { 0.0 };
        let bits = self.demuxer.audio_bytes() as f64 * 8.0;
        AudioProperties {
            sample_rate,
            channels: channels as u32,
            frames: self.frames,
            duration,
            bitrate: (duration > 0.0).then(|| (bits / duration).round() as u32),
            ..self.properties.clone()
        }
    }

    /// What was wrong, after the last block.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// What the file is, after the last block.
    ///
    /// # Errors
    ///
    /// When the file cannot be read to its end.
    pub(crate) fn identity(&mut self) -> Result<Identity> {
        self.demuxer.identity()
    }

    fn decode(&mut self, packet: &Packet) -> Result<()> {
        let samples = &mut self.samples;
        samples.clear();
        let decoded = match &mut self.codec {
            Codec::Symphonia(decoder) => guard(|| {
                let buffer = decoder.decode(packet)?;
                buffer.copy_to_vec_interleaved(samples);
                Ok(Some((buffer.spec().rate(), buffer.num_planes())))
            }),
            Codec::Opus(stream) => {
                guard(|| Ok(stream.decode(packet, samples).map(|channels| (opus::RATE, channels))))
            }
        };
        let Ok(Some((sample_rate, channels))) = decoded else {
            self.damage.corrupt_packets += 1;
            samples.clear();
            let gave_up = !matches!(
                decoded,
                Ok(_) | Err(MediaError::DecodeError(_) | MediaError::IoError(_))
            );
            if gave_up {
                self.restart();
            }
            return Ok(());
        };
        if samples.is_empty() {
            return Ok(());
        }
        let shape = Shape { sample_rate, channels };
        if let Some(gapless) = &mut self.gapless {
            let frames = samples.len() / channels;
            let skipped = frames.min(usize::try_from(gapless.skip).unwrap_or(usize::MAX));
            gapless.skip -= skipped as u64;
            let given = gapless.length.min((frames - skipped) as u64);
            gapless.length -= given;
            samples.truncate((skipped + given as usize) * channels);
            samples.drain(..skipped * channels);
        }
        match self.shape {
            None if !RATES.contains(&sample_rate) => {
                Err(Error::new(self.demuxer.path(), Reason::UnsupportedRate(sample_rate)))
            }
            None => {
                self.shape = Some(shape);
                Ok(())
            }
            Some(first) => {
                self.adapt(shape, first);
                Ok(())
            }
        }
    }

    /// Brings the samples of a changed stream into the shape of the first.
    fn adapt(&mut self, shape: Shape, first: Shape) {
        if self.adapter.as_ref().is_some_and(|adapter| adapter.from != shape) {
            self.adapter = None;
        }
        if shape == first {
            return;
        }
        if !RATES.contains(&shape.sample_rate) {
            self.damage.corrupt_packets += 1;
            self.samples.clear();
            return;
        }
        let adapter = self.adapter.get_or_insert_with(|| Adapter::new(shape, first));
        adapter.adapt(&mut self.samples);
    }

    /// Another stream begins, or the decoder gave up on this one.
    fn restart(&mut self) {
        self.samples.clear();
        match Codec::new(self.demuxer.parameters()) {
            Some(codec) => self.codec = codec,
            None => self.damage.stopped = Some("a stream of another codec follows".to_owned()),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.samples.clear();
        if let Some(mut adapter) = self.adapter.take() {
            adapter.finish(&mut self.samples);
        }
        if let Some(damage) = self.demuxer.damage() {
            self.damage.stopped = Some(damage.to_owned());
        }
        let path = self.demuxer.path();
        if self.frames == 0 && self.samples.is_empty() {
            let damaged = self.damage.corrupt_packets > 0
                || self.damage.stopped.is_some()
                || self.demuxer.is_cut_off();
            let reason = if damaged { Reason::Corrupt } else { Reason::Empty };
            let error = Error::new(path, reason);
            return Err(match self.damage.stopped.take() {
                Some(stopped) => error.because(stopped),
                None => error,
            });
        }
        if self.demuxer.found_by_chance() {
            return Err(Error::new(path, Reason::NotAudio));
        }
        let codec = &self.properties.codec;
        let is_exact = codec == "flac" || codec.starts_with("pcm_");
        let uncertain = if is_exact { MISCOUNTED_FRAMES } else { UNCERTAIN_FRAMES };
        let missing = self.demuxer.promised_frames().saturating_sub(self.frames);
        if missing > uncertain {
            self.damage.missing_frames = missing;
        }
        // Some programs count a header or a byte of padding in.
        let cut =
            self.demuxer.missing_audio().map_or(0, |share| (self.frames as f64 * share) as u64);
        if cut > MISCOUNTED_FRAMES {
            self.damage.missing_frames = self.damage.missing_frames.max(cut);
        }
        self.damage.ends_early = self.demuxer.ends_early();
        Ok(())
    }
}

impl Codec {
    fn new(parameters: &AudioCodecParameters) -> Option<Self> {
        if parameters.codec == CODEC_ID_OPUS {
            return OpusStream::new(parameters).map(Self::Opus);
        }
        // A damaged header may ask for more memory than there is, and to be
        // refused it would end the process.
        const LONGEST_PACKET: u64 = 1 << 20;
        if parameters.max_frames_per_packet.is_some_and(|frames| frames > LONGEST_PACKET) {
            return None;
        }
        let options = AudioDecoderOptions::default();
        guard(|| get_codecs().make_audio_decoder(parameters, &options)).ok().map(Self::Symphonia)
    }
}

/// Brings a stream from one shape into another.
struct Adapter {
    from: Shape,
    to: Shape,
    resamplers: Vec<Resampler>,
}

impl Adapter {
    fn new(from: Shape, to: Shape) -> Self {
        let resampler = || Resampler::new(from.sample_rate, to.sample_rate);
        Self { from, to, resamplers: std::iter::repeat_with(resampler).take(to.channels).collect() }
    }

    fn adapt(&mut self, samples: &mut Vec<f32>) {
        let from = self.from.channels;
        let channels = self.to.channels;
        let mut mono = Vec::new();
        Block { samples, shape: self.from }.mono_into(&mut mono);
        let mut planes = vec![Vec::new(); channels];
        for (channel, (plane, resampler)) in planes.iter_mut().zip(&mut self.resamplers).enumerate()
        {
            if from == channels {
                let own: Vec<f32> = samples.iter().skip(channel).step_by(from).copied().collect();
                resampler.push(&own, plane);
            } else {
                resampler.push(&mono, plane);
            }
        }
        interleave(&planes, samples);
    }

    /// The rest of the last stream.
    fn finish(&mut self, samples: &mut Vec<f32>) {
        let mut planes = vec![Vec::new(); self.to.channels];
        for (plane, resampler) in planes.iter_mut().zip(&mut self.resamplers) {
            resampler.finish(plane);
        }
        interleave(&planes, samples);
    }
}

fn interleave(planes: &[Vec<f32>], samples: &mut Vec<f32>) {
    samples.clear();
    for frame in 0..planes.first().map_or(0, Vec::len) {
        samples.extend(planes.iter().map(|plane| plane[frame]));
    }
}

/// Silences what is no sample, and says how many there were.
pub(crate) fn sanitize(samples: &mut [f32]) -> u64 {
    // As integers the bits of magnitudes are in order, with infinity and NaN
    // above all, and their maximum is found without a branch.
    let magnitude = |sample: f32| sample.to_bits() & 0x7fff_ffff;
    let highest = vectorized(
        #[inline(always)]
        || samples.iter().fold(0, |highest, &sample| magnitude(sample).max(highest)),
    );
    if highest <= LOUDEST.to_bits() {
        return 0;
    }
    let mut invalid = 0;
    for sample in samples.iter_mut().filter(|sample| magnitude(**sample) > LOUDEST.to_bits()) {
        *sample = 0.0;
        invalid += 1;
    }
    invalid
}

/// Bits per sample of codecs that keep every sample.
fn bit_depth(parameters: &AudioCodecParameters, codec: &str) -> Option<u32> {
    match codec {
        "flac" => parameters.bits_per_sample,
        "alac" => {
            let mut configuration = parameters.extra_data.as_deref()?;
            // Older files wrap the decoder's configuration in boxes.
            while matches!(configuration.get(4..8), Some(b"frma" | b"alac")) {
                configuration = configuration.get(12..)?;
            }
            configuration.get(5).copied().map(u32::from)
        }
        // The names end like `pcm_s24le`.
        pcm if pcm.starts_with("pcm_") => {
            let digits: String = pcm.chars().filter(char::is_ascii_digit).collect();
            let coded = digits.parse().ok();
            parameters.bits_per_sample.filter(|&bits| bits > 0).or(coded)
        }
        _ => None,
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native")
            .field("path", &self.demuxer.path())
            .field("shape", &self.shape)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}
