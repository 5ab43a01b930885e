//! The model that ships with songrec, `timbre@4`: how a sound sounds.
//!
//! A network gets windows of a song ([`windows`]) as pictures ([`songrec_audio::picture`]) and says of
//! each a vector, a guess of its class and a description. `models/timbre.md` is its card:
//! what it was trained on, how good it is, and what it is not.
//!
//! # The vector
//!
//! Two parts, of the network and of measured values, one after the other, then the whole
//! scaled to length 1:
//!
//! | values | what | length |
//! | --- | --- | --- |
//! | 96 | the mean of the windows' vectors | 1.25 · √½ where there are five windows or more, else 1.25 |
//! | 64 | what the second network makes of mean and deviation of the windows' descriptions | 1.25 · √½, or 0 |
//! | 43 | those of `dsp45@1` that level does not move, of a short sound without the silence around it | √½ where there are five windows or more, else 1 |
//! | 47 | those of `dsp47@2` | √½, or 0 |
//!
//! So the cosine of two sounds is a mean of that of the network and that of the
//! measured values, of which the network's counts for 0.61. A sound of fewer than five
//! windows and one of more have neither music nor the 47 in common: they are at most 0.71
//! alike. The card says what chose these numbers.
//!
//! # The revision
//!
//! The name is fixed, because it is a part of settings and of libraries; a test
//! holds the digests of both files. Who changes them, the picture, the choice of
//! windows or the parts above changes the revision.

#[cfg(feature = "rten")]
mod classes;
#[cfg(feature = "rten")]
mod embedder;
#[cfg(feature = "rten")]
mod network;
#[cfg(feature = "rten")]
mod sounding;
#[cfg(all(test, feature = "rten"))]
mod tests;
#[cfg(feature = "rten")]
mod windows;

use std::sync::LazyLock;

use songrec_core::{Metric, ModelName, ModelSpec};

#[cfg(feature = "rten")]
pub(crate) use self::{
    embedder::{TimbreEmbedder, TimbreOutput},
    sounding::Sounding,
};

/// The name of the model that ships with songrec.
pub const TIMBRE: &str = "timbre@4";

/// Whether this build can compute [`TIMBRE`]: it needs the feature `rten`.
pub const HAS_TIMBRE: bool = cfg!(feature = "rten");

/// The model by which songs are compared if nobody says another one.
pub const DEFAULT_MODEL: &str = if HAS_TIMBRE { TIMBRE } else { "dsp45@1" };

/// The models that embed every song if nobody says others, with commas.
pub const SCAN_MODELS: &str = if HAS_TIMBRE { "timbre@4,dsp45@1" } else { "dsp45@1" };

/// Values of a vector: 96 of single sounds, 64 of music, 43 and 47 measured ones.
pub(crate) const DIMENSION: usize = 96 + 64 + 43 + 47;

/// The models that are a part of songrec, the default first.
pub fn built_in_models() -> &'static [ModelSpec] {
    static MODELS: LazyLock<Vec<ModelSpec>> = LazyLock::new(|| {
        let timbre = HAS_TIMBRE.then(|| ModelSpec {
            name: timbre(),
            dimension: DIMENSION,
            metric: Metric::Cosine,
            description: "how it sounds, by a network that was trained on instruments and pieces, \
                          beside values of dsp45 and dsp47"
                .to_owned(),
        });
        timbre.into_iter().chain(songrec_audio::built_in_models().iter().cloned()).collect()
    });
    &MODELS
}

/// The name as a [`ModelName`].
pub(crate) fn timbre() -> ModelName {
    TIMBRE.parse().expect("built-in names are valid")
}
