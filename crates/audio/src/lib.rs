//! From a file to a song's facts.
//!
//! [`analyze`] reads a file once and finds out all there is: what it is
//! ([`Identity`]), how its audio is stored, its tags, the song's features and
//! its embeddings by the [built-in models](built_in_models). What else needs the
//! samples implements [`BlockSink`] and is fed from the same decode
//! ([`analyze_into`]). The parts can be had alone: [`identify`] without
//! decoding, [`read_tags`], [`Decoder`] for the samples, [`Resampler`], and
//! [`dsp`] for what is computed from them.
//!
//! What is built in comes first; an installed [`Ffmpeg`] reads the rest, where
//! somebody names one in an [`Opening`].
//!
//! Everything is a stream: memory does not grow with the length of a song.
//! Damaged files give what is left of them, with [warnings](Warning); an
//! [`Error`] says that there is nothing, and why.

mod analyze;
mod built_in;
mod decode;
mod decoder;
mod demux;
pub mod dsp;
mod error;
pub mod features;
mod ffmpeg;
mod file_name;
mod gapless;
mod id3v2;
mod identity;
mod opening;
mod opus;
pub mod picture;
mod read_at;
mod real_transform;
mod resample;
mod simd;
mod sink;
mod source;
mod spectrogram;
mod tags;
mod text;
mod transform;
mod warning;
mod waveform;

pub use analyze::{Analysis, Values, Wanted, analyze, analyze_into};
pub use built_in::built_in_models;
pub use decode::{Block, Damage, Shape};
pub use decoder::Decoder;
pub use demux::Identity;
pub use error::{Error, FORMATS, Reason, Result};
pub use ffmpeg::Ffmpeg;
pub use file_name::read_name;
pub use identity::{identify, identify_by};
pub use opening::Opening;
pub use resample::Resampler;
pub use sink::BlockSink;
pub use spectrogram::{Spectrogram, spectrogram};
pub use tags::{read_artwork, read_tags, read_tags_by};
pub use transform::plan_double;
pub use warning::Warning;
pub use waveform::{Waveform, waveform};
