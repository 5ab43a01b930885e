//! What makes a song the same song.

use std::path::Path;

use crate::{
    demux::{Demuxer, Identified, Identity, Next},
    error::Result,
    opening::{Opening, is_for_others},
};

/// Reads `path` once and says what it is, without decoding it.
///
/// The audio hash is SHA-256 over the *encoded audio alone*:
///
/// - the data of the packets of the default audio track, in the order of the
///   file, one after the other: MPEG and ADTS frames (AAC without its ADTS
///   header), FLAC frames, Vorbis and Opus packets after the headers, the
///   samples of an MP4 or MKV track;
/// - for PCM and ADPCM, whose bytes do not say how they are to be played, the
///   sample bytes of the file preceded by one line, `CODEC RATE CHANNELS`, such
///   as `pcm_s16le 44100 2`.
///
/// Not part of it: tags and pictures of every kind, padding, Xing, Info and
/// VBRI frames (which some programs rewrite), seek tables, Ogg pages, the
/// order of boxes in an MP4 file, and the container: moving AAC from ADTS to
/// MP4 keeps the song. A file that is cut off is another song than the whole.
///
/// # Errors
///
/// Whatever keeps the file from being demuxed, and files without audio.
pub fn identify(path: &Path) -> Result<Identity> {
    identify_by(path, &Opening::default())
}

/// The same as `opening` says: a file that nothing here demuxes has the packets that
/// ffmpeg finds in its first audio track. Who *decodes* them does not matter, so that
/// the song of a file is the same with and without that program, as far as it is known
/// without.
///
/// # Errors
///
/// As [`identify`]; where `opening` ends it, [`Reason::Cancelled`](crate::Reason).
pub fn identify_by(path: &Path, opening: &Opening) -> Result<Identity> {
    Ok(identify_with(path, opening)?.identity)
}

pub(crate) fn identify_with(path: &Path, opening: &Opening) -> Result<Identified> {
    match (by_demuxer(path, opening), &opening.ffmpeg) {
        (Err(error), Some(ffmpeg)) if is_for_others(error.reason()) => {
            ffmpeg.identify(path, &opening.cancel).map_err(|other| error.or_else(other))
        }
        (identified, _) => identified,
    }
}

fn by_demuxer(path: &Path, opening: &Opening) -> Result<Identified> {
    let mut demuxer = Demuxer::open(path, opening.max_bytes)?;
    while !matches!(demuxer.next()?, Next::End) {}
    let identity = demuxer.identity()?;
    Ok(Identified { identity, audio_bytes: demuxer.audio_bytes() })
}
