//! What a person may want to know about a file that could be read.

use std::fmt;

use serde::Serialize;
use songrec_core::{AudioWarning, Features, ModelName, WarningKind};

use crate::decode::Damage;

/// Something about a file that may make results worse than they could be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// Parts of the audio could not be decoded and were left out.
    CorruptPackets {
        /// How many packets.
        packets: u64,
    },
    /// Samples that are no numbers, infinite or absurdly large; they count as
    /// silence.
    InvalidSamples {
        /// How many samples.
        samples: u64,
    },
    /// Reading ended before the end of the file.
    Stopped {
        /// What the reader said.
        reason: String,
    },
    /// The file is shorter than it says.
    Truncated {
        /// What is missing, in seconds, where that is known.
        seconds: Option<f64>,
    },
    /// It is silent.
    Silent,
    /// Much of the file is silence before the first sound.
    SilenceAtStart {
        /// How long.
        seconds: f32,
    },
    /// Much of the file is silence after the last sound.
    SilenceAtEnd {
        /// How long.
        seconds: f32,
    },
    /// A single sound outside the half to five seconds that compare best.
    UnusualLength {
        /// How long the sound is.
        seconds: f64,
    },
    /// The tags could not be read.
    Tags {
        /// What their reader said.
        reason: String,
    },
    /// A model has no vector for this sound.
    NoEmbedding {
        /// The model.
        model: ModelName,
    },
}

impl Warning {
    /// Whether this is worth knowing but needs nobody to do anything.
    pub fn is_note(&self) -> bool {
        match self {
            Self::SilenceAtStart { .. }
            | Self::SilenceAtEnd { .. }
            | Self::UnusualLength { .. }
            | Self::NoEmbedding { .. } => true,
            Self::CorruptPackets { .. }
            | Self::InvalidSamples { .. }
            | Self::Stopped { .. }
            | Self::Truncated { .. }
            | Self::Silent
            | Self::Tags { .. } => false,
        }
    }

    pub(crate) fn of_damage(damage: &Damage, sample_rate: u32) -> Vec<Self> {
        let mut warnings = Vec::new();
        if damage.corrupt_packets > 0 {
            warnings.push(Self::CorruptPackets { packets: damage.corrupt_packets });
        }
        if damage.invalid_samples > 0 {
            warnings.push(Self::InvalidSamples { samples: damage.invalid_samples });
        }
        if let Some(reason) = &damage.stopped {
            warnings.push(Self::Stopped { reason: reason.clone() });
        }
        let seconds = damage.missing_frames as f64 / f64::from(sample_rate.max(1));
        if damage.missing_frames > 0 {
            warnings.push(Self::Truncated { seconds: Some(seconds) });
        } else if damage.ends_early {
            warnings.push(Self::Truncated { seconds: None });
        }
        warnings
    }

    /// The highest sample of what is silent: −100 dB, below the noise of any
    /// recording.
    pub(crate) const SILENCE: f32 = 1e-5;

    /// The part of it that is kept with the song: what is wrong with the audio
    /// itself.
    pub(crate) fn kept(&self) -> Option<AudioWarning> {
        let kind = match self {
            Self::CorruptPackets { .. } | Self::Stopped { .. } => WarningKind::Damaged,
            Self::InvalidSamples { .. } => WarningKind::Invalid,
            Self::Truncated { .. } => WarningKind::Truncated,
            Self::Silent => WarningKind::Silent,
            Self::Tags { .. } => WarningKind::Tags,
            Self::SilenceAtStart { .. }
            | Self::SilenceAtEnd { .. }
            | Self::UnusualLength { .. }
            | Self::NoEmbedding { .. } => return None,
        };
        Some(AudioWarning { kind, text: self.to_string() })
    }

    /// What the sound itself gives reason to say; `duration` is in seconds.
    pub(crate) fn of_sound(features: &Features, duration: f64) -> Vec<Self> {
        // Shorter silence, or a breath before a long song, changes nothing.
        let much =
            |silence: Option<f32>| silence.filter(|&s| s >= 0.5 && f64::from(s) >= 0.1 * duration);
        let mut warnings = Vec::new();
        if let Some(seconds) = much(features.silence_start_s) {
            warnings.push(Self::SilenceAtStart { seconds });
        }
        if let Some(seconds) = much(features.silence_end_s) {
            warnings.push(Self::SilenceAtEnd { seconds });
        }
        if features.is_loop == Some(false) && !(0.5..=5.0).contains(&duration) {
            warnings.push(Self::UnusualLength { seconds: duration });
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CorruptPackets { packets } => {
                write!(f, "{packets} damaged parts were left out")
            }
            Self::InvalidSamples { samples } => {
                write!(f, "{samples} samples are not numbers or absurdly loud; taken as silence")
            }
            Self::Stopped { reason } => write!(f, "read only up to a damaged place: {reason}"),
            Self::Truncated { seconds: Some(seconds) } => {
                write!(f, "{seconds:.1} s shorter than the file says; it may be cut off")
            }
            Self::Truncated { seconds: None } => {
                f.write_str("ends without the mark of an end; it may be cut off")
            }
            Self::Silent => f.write_str("silent: there is nothing to compare"),
            Self::SilenceAtStart { seconds } => {
                write!(f, "begins with {seconds:.1} s of silence; trimming it helps comparison")
            }
            Self::SilenceAtEnd { seconds } => {
                write!(f, "ends with {seconds:.1} s of silence; trimming it helps comparison")
            }
            Self::UnusualLength { seconds } => {
                write!(f, "{seconds:.2} s long; single sounds of 0.5 to 5 s compare best")
            }
            Self::Tags { reason } => write!(f, "the tags could not be read: {reason}"),
            Self::NoEmbedding { model } => write!(f, "`{model}` has no vector for this sound"),
        }
    }
}
