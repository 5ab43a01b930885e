//! From a file to a song's facts.

mod decode;
mod demux;
pub mod dsp;
mod error;
pub mod features;
mod file_name;
mod identity;
mod opus;
mod resample;
mod source;
mod tags;

pub use decode::{Block, Damage, Decoder, Shape};
pub use demux::Identity;
pub use error::{Error, Reason, Result};
pub use identity::identify;
pub use resample::Resampler;
pub use tags::read_tags;
