//! What the signal says.

use serde::{Deserialize, Serialize};

use crate::Key;

/// Named descriptors of one song's signal.
///
/// A value is absent where the signal does not define it: silence has no key.
/// Every value is finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// The version of the analysis; a higher one replaces a lower one.
    pub version: u32,
    /// Tempo in beats per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpm: Option<f32>,
    /// How likely the tempo is right, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpm_confidence: Option<f32>,
    /// The most likely key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// How likely the key is right, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_confidence: Option<f32>,
    /// Frequency of A4 in Hz that fits best, about 440.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuning_hz: Option<f32>,
    /// Integrated loudness in LUFS (EBU R 128, ITU-R BS.1770).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<f32>,
    /// Loudness range in LU (EBU Tech 3342).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness_range_lu: Option<f32>,
    /// Highest sample magnitude in dB relative to full scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_db: Option<f32>,
    /// Mean root-mean-square amplitude over frames, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rms: Option<f32>,
    /// Difference in dB between loud (95th percentile) and soft (10th
    /// percentile) frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_range_db: Option<f32>,
    /// Mean spectral centroid in Hz: how bright it sounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_centroid_hz: Option<f32>,
    /// Mean spectral bandwidth in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_bandwidth_hz: Option<f32>,
    /// Mean frequency in Hz below which 85 % of the magnitude lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_rolloff_hz: Option<f32>,
    /// Mean spectral flatness: 0 for a tone, 1 for white noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_flatness: Option<f32>,
    /// Mean share of samples at which the sign changes, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_crossing_rate: Option<f32>,
    /// How clearly pitched it is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch_salience: Option<f32>,
    /// Onsets per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset_rate: Option<f32>,
    /// Whether it is made to be repeated; absent for what is neither a loop
    /// nor a one-shot, such as a whole song.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_loop: Option<bool>,
    /// The likeliest instrument, such as `kick`: what the file's name says, and
    /// where that says nothing, what is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    /// How sure the guess is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument_confidence: Option<f32>,
    /// The instrument that the file's name says, whatever it sounds like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_instrument: Option<String>,
    /// The instrument that is heard, whatever the file is called; absent where the
    /// network is less sure than one half, and for whole pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_instrument: Option<String>,
    /// How probable that is, 0.5 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_instrument_probability: Option<f32>,
    /// How probable it is that a voice is heard above all else, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocal_probability: Option<f32>,
    /// How probable it is that it is made to be repeated, 0 (a one-shot) to 1 (a
    /// loop), by its length, onsets and edges alone; absent where these do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_probability: Option<f32>,
    /// Moods guessed from the sound, such as `dark` or `energetic`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moods: Vec<String>,
    /// Silence before the first sound, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_start_s: Option<f32>,
    /// Silence after the last sound, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_end_s: Option<f32>,
    /// The groups of values that explanations compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<FeatureGroups>,
}

impl Features {
    /// Guesses of instruments that are less sure than this were right in one
    /// case out of nine: they are no objects.
    pub const SURE_INSTRUMENT: f32 = 0.5;

    /// Guesses that are made of what is heard are stored from this probability on.
    pub const SURE_HEARD: f32 = 0.5;

    /// Keys that are less sure than this are as likely wrong as right; those of
    /// noises and drums are.
    pub const SURE_KEY: f32 = 0.5;

    /// The instrument, if the guess is sure enough to be shown and filtered by.
    pub fn sure_instrument(&self) -> Option<&str> {
        let is_sure = self.instrument_confidence.is_none_or(|sure| sure >= Self::SURE_INSTRUMENT);
        self.instrument.as_deref().filter(|_| is_sure)
    }

    /// The key, if it is sure enough to be shown and filtered by.
    pub fn sure_key(&self) -> Option<Key> {
        let is_sure = self.key_confidence.is_none_or(|sure| sure >= Self::SURE_KEY);
        self.key.filter(|_| is_sure)
    }
}

/// The six groups of the 47-value set, unscaled, as `explain` compares them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureGroups {
    /// Means of 20 mel-frequency cepstral coefficients: timbre.
    pub mfcc: Vec<f32>,
    /// Means of 12 pitch classes from C: harmony.
    pub chroma: Vec<f32>,
    /// Means of 7 bands of spectral contrast in dB: texture.
    pub spectral_contrast: Vec<f32>,
    /// Tempo in BPM, standard deviation of the gaps between beats in seconds,
    /// mean and standard deviation of onset strength.
    pub rhythm: Vec<f32>,
    /// Mean and standard deviation of the zero-crossing rate.
    pub zcr: Vec<f32>,
    /// Mean and standard deviation of the root-mean-square amplitude.
    pub rms: Vec<f32>,
}
