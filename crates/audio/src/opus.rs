//! Opus packets to samples.

use opus_pure::{OpusMSDecoder, packet};
use symphonia::core::{codecs::audio::AudioCodecParameters, packet::Packet};

/// Opus is always decoded at this rate, in Hz.
pub(crate) const RATE: u32 = 48_000;

/// An Opus stream in an Ogg, MKV or MP4 file.
pub(crate) struct OpusStream {
    decoder: OpusMSDecoder,
    channels: usize,
    /// What the stream asks its samples to be multiplied with.
    gain: f32,
    /// Samples that the encoder needs to start up, which are not played.
    skip: usize,
    samples: Vec<f32>,
}

impl OpusStream {
    /// None if the stream's header makes no sense, or asks for a mapping of
    /// channels that is not known.
    pub(crate) fn new(parameters: &AudioCodecParameters) -> Option<Self> {
        let Head { channels, family, pre_skip, gain } = Head::read(parameters)?;
        Some(Self {
            decoder: OpusMSDecoder::new(RATE as i32, channels, family).ok()?,
            channels,
            gain: 10f32.powf(f32::from(gain) / (20.0 * 256.0)),
            skip: usize::from(pre_skip),
            samples: vec![0.0; packet::MAX_PACKET_SAMPLES * channels],
        })
    }

    /// Decodes one packet and appends its interleaved samples to `output`.
    /// Says how many channels there are; None if the packet is damaged.
    pub(crate) fn decode(&mut self, packet: &Packet, output: &mut Vec<f32>) -> Option<usize> {
        let frames = packet::samples_48k(&packet.data).ok()?;
        let samples = self.samples.get_mut(..frames * self.channels)?;
        let frames = self.decoder.decode(&packet.data, frames, samples).ok()?;
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let end = frames.saturating_sub(packet.trim_end.get() as usize).max(skipped);
        let heard = &self.samples[skipped * self.channels..end * self.channels];
        output.extend(heard.iter().map(|sample| sample * self.gain));
        Some(self.channels)
    }
}

/// The identification header of RFC 7845, §5.1.
struct Head {
    channels: usize,
    /// How channels are made of streams.
    family: u8,
    pre_skip: u16,
    /// In 1/256 dB.
    gain: i16,
}

impl Head {
    fn read(parameters: &AudioCodecParameters) -> Option<Self> {
        let bytes = parameters.extra_data.as_deref().unwrap_or_default();
        let bytes = bytes.strip_prefix(b"OpusHead").unwrap_or(bytes);
        match *bytes {
            [_version, channels, skip0, skip1, _, _, _, _, gain0, gain1, family, ..] => {
                Some(Self {
                    channels: channels.into(),
                    family,
                    pre_skip: u16::from_le_bytes([skip0, skip1]),
                    gain: i16::from_le_bytes([gain0, gain1]),
                })
            }
            // Without a header a stream can only be plain.
            _ => {
                let channels = parameters.channels.as_ref()?.count();
                matches!(channels, 1 | 2).then_some(Self {
                    channels,
                    family: 0,
                    pre_skip: 0,
                    gain: 0,
                })
            }
        }
    }
}
