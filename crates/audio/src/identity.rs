//! What makes a song the same song.

use std::path::Path;

use crate::{
    demux::{Demuxer, Identity, Next},
    error::Result,
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
    let mut demuxer = Demuxer::open(path, u64::MAX)?;
    while !matches!(demuxer.next()?, Next::End) {}
    demuxer.identity()
}
