//! Opus packets to samples.

use opus_decoder::OpusMultistreamDecoder;
use symphonia::core::{codecs::audio::AudioCodecParameters, packet::Packet};

/// Opus is always decoded at this rate, in Hz.
pub(crate) const RATE: u32 = 48_000;
/// The longest packet, 120 ms.
const LONGEST: usize = RATE as usize * 120 / 1000;

/// An Opus stream in an Ogg, MKV or MP4 file.
pub(crate) struct OpusStream {
    decoder: OpusMultistreamDecoder,
    channels: usize,
    /// What the stream asks its samples to be multiplied with.
    gain: f32,
    /// Samples that the encoder needs to start up and nobody should hear.
    skip: usize,
    samples: Vec<f32>,
}

impl OpusStream {
    /// None if the stream's header makes no sense.
    pub(crate) fn new(parameters: &AudioCodecParameters) -> Option<Self> {
        let head = Head::read(parameters)?;
        let decoder = OpusMultistreamDecoder::new(
            RATE,
            head.channels,
            head.streams,
            head.coupled,
            &head.mapping,
        )
        .ok()?;
        Some(Self {
            decoder,
            channels: head.channels,
            gain: 10f32.powf(f32::from(head.gain) / (20.0 * 256.0)),
            skip: usize::from(head.pre_skip),
            samples: vec![0.0; LONGEST * head.channels],
        })
    }

    /// Decodes one packet and appends its interleaved samples to `output`.
    /// Says how many channels there are; None if the packet is damaged.
    pub(crate) fn decode(&mut self, packet: &Packet, output: &mut Vec<f32>) -> Option<usize> {
        let frames = self.decoder.decode_float(&packet.data, &mut self.samples, false).ok()?;
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
    pre_skip: u16,
    /// In 1/256 dB.
    gain: i16,
    streams: usize,
    coupled: usize,
    mapping: Vec<u8>,
}

impl Head {
    fn read(parameters: &AudioCodecParameters) -> Option<Self> {
        let counted = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        let Some(bytes) = parameters.extra_data.as_deref() else {
            return Self::without_header(counted);
        };
        let bytes = bytes.strip_prefix(b"OpusHead").unwrap_or(bytes);
        let &[_version, channels, skip0, skip1, _, _, _, _, gain0, gain1, family, ref table @ ..] =
            bytes
        else {
            return Self::without_header(counted);
        };
        let channels = usize::from(channels);
        let (streams, coupled, mapping) = match family {
            0 => (1, channels.checked_sub(1)?, (0..channels as u8).collect()),
            _ => {
                let (&[streams, coupled], mapping) = table.split_first_chunk()?;
                (streams.into(), coupled.into(), mapping.get(..channels)?.to_vec())
            }
        };
        Some(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            gain: i16::from_le_bytes([gain0, gain1]),
            streams,
            coupled,
            mapping,
        })
    }

    fn without_header(channels: usize) -> Option<Self> {
        matches!(channels, 1 | 2).then(|| Self {
            channels,
            pre_skip: 0,
            gain: 0,
            streams: 1,
            coupled: channels - 1,
            mapping: (0..channels as u8).collect(),
        })
    }
}
