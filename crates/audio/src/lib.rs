//! From a file to a song's facts.

mod analyze;
mod decode;
mod demux;
pub mod dsp;
mod error;
pub mod features;
mod file_name;
mod identity;
mod models;
mod opus;
mod resample;
mod source;
mod tags;
mod warning;

pub use analyze::{Analysis, Wanted, analyze};
pub use decode::{Block, Damage, Decoder, Shape};
pub use demux::Identity;
pub use error::{Error, FORMATS, Reason, Result};
pub use identity::identify;
pub use models::built_in_models;
pub use resample::Resampler;
pub use tags::read_tags;
pub use warning::Warning;
