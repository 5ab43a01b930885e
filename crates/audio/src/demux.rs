//! From a file to the encoded packets of its audio, and to its identity.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use songrec_core::{Digest, SongId};
use symphonia::{
    core::{
        codecs::audio::{
            AudioCodecParameters,
            well_known::{CODEC_ID_AAC, CODEC_ID_OPUS},
        },
        common::Limit,
        errors::Error as MediaError,
        formats::{
            FormatId, FormatOptions, FormatReader, Track, TrackType, probe::Hint, well_known::*,
        },
        io::MediaSourceStream,
        meta::MetadataOptions,
        packet::Packet,
    },
    default::{get_codecs, get_probe},
};

use crate::{
    error::{Error, Reason, Result},
    gapless::{Gapless, gapless},
    read_at::read_at,
    source::{FileHash, Source},
};

/// What a file is, apart from what is written on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the file's bytes.
    pub sha256: Digest,
    /// The file's length in bytes.
    pub size: u64,
    /// SHA-256 of the encoded audio alone; see [`identify`](crate::identify).
    pub audio_hash: Digest,
}

/// What a file is, and the bytes of its audio packets.
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    pub(crate) audio_bytes: u64,
}

impl Identity {
    /// The id of the song in the file.
    pub fn song(&self) -> SongId {
        SongId::from_audio_hash(&self.audio_hash)
    }
}

/// Reads the packets of a file's audio track, and hashes them and the file.
pub(crate) struct Demuxer {
    path: PathBuf,
    file: File,
    format: Box<dyn FormatReader>,
    track: Track,
    audio: Sha256,
    file_hash: FileHash,
    /// Bytes of audio packets so far.
    audio_bytes: u64,
    /// Bytes in which packets can lie.
    source_bytes: u64,
    /// Packets of all tracks so far, and their bytes.
    packets: u64,
    packet_bytes: u64,
    gapless: Option<Gapless>,
    cut_off: bool,
    /// Bytes that the container says it has and that are not there.
    missing_bytes: u64,
    ends_early: bool,
    damage: Option<String>,
}

/// Formats that are a row of frames without a container.
const BARE: [FormatId; 4] = [FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3, FORMAT_ID_ADTS];

/// What comes next in a file.
pub(crate) enum Next {
    Packet(Packet),
    /// Another stream follows; its packets need a new decoder.
    Restart,
    End,
}

impl Demuxer {
    /// Opens `path`, which must have at most `limit` bytes.
    pub(crate) fn open(path: &Path, limit: u64) -> Result<Self> {
        let io = |error| Error::io(path, error);
        // Asked before opening: opening a pipe would wait for its writer.
        let metadata = fs::metadata(path).map_err(io)?;
        let bytes = metadata.len();
        if !metadata.is_file() {
            return Err(Error::new(path, Reason::NotAFile));
        }
        if bytes == 0 {
            return Err(Error::new(path, Reason::Empty));
        }
        if bytes > limit {
            return Err(Error::new(path, Reason::TooLarge { bytes, limit }));
        }
        let mut file = File::open(path).map_err(io)?;
        let gapless = gapless(&mut file, bytes).map_err(io)?;
        let file_hash = FileHash::new();
        let view = file.try_clone().map_err(io)?;
        let source = Source::new(view, bytes, Some(file_hash.clone())).map_err(io)?;
        let mut begins = [0; 8];
        read_at(&mut file, source.begins_at(), &mut begins).map_err(io)?;
        if begins_as_others(&begins) {
            return Err(Error::new(path, Reason::NotAudio));
        }
        let source_bytes = source.len();
        let cut_off = source.is_cut_off();
        let (missing_bytes, ends_early) = (source.missing_bytes(), source.ends_early());
        let format = guard(|| probe(source)).map_err(|error| match error {
            MediaError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Error::io(path, error)
            }
            // Said by the probe itself when nothing matched.
            MediaError::Unsupported(what) if what.starts_with("core (probe)") => {
                Error::new(path, Reason::NotAudio)
            }
            // Of a file that was cut off before its index.
            MediaError::Unsupported(what) if what.contains("missing") => {
                Error::new(path, Reason::Corrupt).because(what)
            }
            MediaError::Unsupported(what) => {
                Error::new(path, Reason::UnsupportedCodec(what.to_owned()))
            }
            error => Error::new(path, Reason::Corrupt).because(error.to_string()),
        })?;
        let track = audio_track(&*format).ok_or_else(|| Error::new(path, Reason::NotAudio))?;
        let mut demuxer = Self {
            path: path.to_owned(),
            file,
            format,
            track,
            audio: Sha256::new(),
            file_hash,
            audio_bytes: 0,
            source_bytes,
            packets: 0,
            packet_bytes: 0,
            gapless,
            cut_off,
            missing_bytes,
            ends_early,
            damage: None,
        };
        demuxer.hash_parameters();
        Ok(demuxer)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The part of the decoded samples to be heard, where the decoder does not
    /// know it by itself.
    pub(crate) fn gapless(&self) -> Option<Gapless> {
        self.gapless.filter(|_| self.parameters().codec == CODEC_ID_AAC)
    }

    /// Samples per channel that the file says it has; 0 where it is a guess.
    pub(crate) fn promised_frames(&self) -> u64 {
        let bare = BARE.contains(&self.format.format_info().format);
        // Without an encoder's header the demuxer estimates from the bit rate.
        if bare && self.track.delay.is_none() { 0 } else { self.track.num_frames.unwrap_or(0) }
    }

    pub(crate) fn parameters(&self) -> &AudioCodecParameters {
        parameters(&self.track).expect("only audio tracks are chosen")
    }

    /// The container in small letters, such as `mp4`.
    pub(crate) fn container(&self) -> &'static str {
        container(self.format.format_info().format).unwrap_or(self.format.format_info().short_name)
    }

    /// The codec in small letters, such as `pcm_s16le`.
    pub(crate) fn codec(&self) -> String {
        codec_name(self.parameters())
    }

    /// The number of the audio track among those of the file, from 0.
    pub(crate) fn number_of_track(&self) -> usize {
        let audio = self.format.tracks().iter().filter(|track| parameters(track).is_some());
        audio.take_while(|track| track.id != self.track.id).count()
    }

    /// Bytes of audio packets so far.
    pub(crate) fn audio_bytes(&self) -> u64 {
        self.audio_bytes
    }

    /// Whether the file is shorter than it says.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// How much audio is missing, as far as the container says how many bytes of
    /// it there should be: as a share of what was read.
    pub(crate) fn missing_audio(&self) -> Option<f64> {
        (self.missing_bytes > 0 && self.audio_bytes > 0)
            .then(|| self.missing_bytes as f64 / self.audio_bytes as f64)
    }

    /// Whether the file does not end as its format has files end.
    pub(crate) fn ends_early(&self) -> bool {
        self.ends_early
    }

    /// Why reading ended before the end, if it did.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Whether the container is a mere row of frames, of which some can be
    /// "found" in any bytes, and so little was found that it is chance.
    pub(crate) fn found_by_chance(&self) -> bool {
        // Real files are nearly all frames; of noise less than a hundredth is.
        const LEAST_SHARE: u64 = 10;
        BARE.contains(&self.format.format_info().format)
            && self.audio_bytes < self.source_bytes / LEAST_SHARE
    }

    /// The next packet of the audio track.
    ///
    /// Damage ends the stream; what came before it stands.
    pub(crate) fn next(&mut self) -> Result<Next> {
        if self.damage.is_some() {
            return Ok(Next::End);
        }
        loop {
            let next = guard(|| self.format.next_packet());
            if let Ok(Some(packet)) = &next
                && self.is_repeated(packet)
            {
                self.damage = Some("the file says the same again and again".to_owned());
                return Ok(Next::End);
            }
            match next {
                Ok(Some(packet)) if packet.track_id == self.track.id => {
                    self.audio.update(&packet.data);
                    self.audio_bytes += packet.data.len() as u64;
                    return Ok(Next::Packet(packet));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Next::End),
                Err(MediaError::ResetRequired) => {
                    let Some(track) = audio_track(&*self.format) else { return Ok(Next::End) };
                    self.track = track;
                    self.hash_parameters();
                    return Ok(Next::Restart);
                }
                Err(MediaError::IoError(error))
                    if !matches!(
                        error.kind(),
                        // Demuxers report damage with these two kinds as well.
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::Other
                    ) =>
                {
                    return Err(Error::io(&self.path, error));
                }
                Err(error) => {
                    self.damage = Some(error.to_string());
                    return Ok(Next::End);
                }
            }
        }
    }

    /// Whether there are more packets than the file has room for: an index may
    /// name the same bytes, or none, as often as it likes.
    fn is_repeated(&mut self, packet: &Packet) -> bool {
        // Packets can come without the bytes that all of them begin with, and
        // those of samples without a header are cut by the demuxer.
        const SPARE: u64 = 1 << 20;
        self.packets += 1;
        self.packet_bytes += packet.data.len() as u64;
        self.packets > self.source_bytes + SPARE
            || self.packet_bytes > self.source_bytes.saturating_mul(2) + SPARE
    }

    /// The identity of the file, all of whose packets must have been read.
    pub(crate) fn identity(&mut self) -> Result<Identity> {
        if self.audio_bytes == 0 {
            let damaged = self.cut_off || self.damage.is_some();
            let reason = if damaged { Reason::Corrupt } else { Reason::Empty };
            return Err(Error::new(&self.path, reason));
        }
        if self.found_by_chance() {
            return Err(Error::new(&self.path, Reason::NotAudio));
        }
        let (sha256, size) =
            self.file_hash.finish(&mut self.file).map_err(|error| Error::io(&self.path, error))?;
        let audio_hash = Digest(self.audio.clone().finalize().into());
        Ok(Identity { sha256, size, audio_hash })
    }

    /// Samples without a header do not say how they are to be played, so that
    /// is part of what they are.
    fn hash_parameters(&mut self) {
        let parameters = parameters(&self.track).expect("only audio tracks are chosen");
        let codec = codec_name(parameters);
        if codec.starts_with("pcm") || codec.starts_with("adpcm") {
            let rate = parameters.sample_rate.unwrap_or(0);
            let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
            self.audio.update(format!("{codec} {rate} {channels}\n"));
        }
    }
}

/// How files begin that nothing here reads, and in which something is found all the same:
/// the header of the WAV that a lossless codec was given, or what looks like a frame of MP3.
const OF_OTHERS: [&[u8]; 11] = [
    b"wvpk",
    b"MAC ",
    b"OFR ",
    b"ajkg",
    b"tBaK",
    b"TTA1",
    b"TTA2",
    b"MPCK",
    b"MP+",
    b"LA02",
    // ASF, which is WMA.
    &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11],
];

// Whether a file that begins so is read by other programs, if at all.
fn begins_as_others(begins: &[u8]) -> bool {
    OF_OTHERS.iter().any(|other| begins.starts_with(other))
}

fn probe(source: Source) -> Result<Box<dyn FormatReader>, MediaError> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    // Tags are read elsewhere; here they would only cost memory.
    let tags = MetadataOptions::default()
        .limit_tag_bytes(Limit::Maximum(64 * 1024))
        .limit_visual_bytes(Limit::Maximum(0));
    get_probe().probe(&Hint::new(), stream, FormatOptions::default(), tags)
}

/// A decoder or demuxer that panics has met damage it did not foresee.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or(Err(MediaError::DecodeError("the damage crashed the decoder")))
}

fn audio_track(format: &dyn FormatReader) -> Option<Track> {
    format.default_track(TrackType::Audio).filter(|track| parameters(track).is_some()).cloned()
}

fn parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref().and_then(|parameters| parameters.audio())
}

fn container(format: FormatId) -> Option<&'static str> {
    Some(match format {
        FORMAT_ID_WAVE => "wav",
        FORMAT_ID_AIFF => "aiff",
        FORMAT_ID_CAF => "caf",
        FORMAT_ID_MP1 => "mp1",
        FORMAT_ID_MP2 => "mp2",
        FORMAT_ID_MP3 => "mp3",
        FORMAT_ID_ADTS => "adts",
        FORMAT_ID_OGG => "ogg",
        FORMAT_ID_FLAC => "flac",
        FORMAT_ID_ISOMP4 => "mp4",
        FORMAT_ID_MKV => "mkv",
        _ => return None,
    })
}

fn codec_name(parameters: &AudioCodecParameters) -> String {
    match get_codecs().get_audio_decoder(parameters.codec) {
        Some(decoder) => decoder.codec.info.short_name.to_owned(),
        None if parameters.codec == CODEC_ID_OPUS => "opus".to_owned(),
        None => parameters.codec.to_string(),
    }
}
