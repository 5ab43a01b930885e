//! The model that ships with songrec, `timbre@7`: how a sound sounds.
//!
//! A network gets windows of a song ([`windows`]) as pictures ([`songrec_audio::picture`]) and says of
//! each a vector and a guess of its class. `models/timbre.md` is its card:
//! what it was trained on, how good it is, and what it is not.
//!
//! # The vector
//!
//! Three parts one after the other, then the whole scaled to length 1. A sound of five windows or
//! more, which is one of 6.88 s or more, is a piece:
//!
//! | values | what | length for a sound | for a piece |
//! | --- | --- | --- | --- |
//! | 96 | the mean of the windows' vectors | 2 | 0.7 |
//! | 192 | what tells pieces apart ([`piece`]): measured values and the windows' spectrum, weighted | 0 | 1 |
//! | 43 | those of `dsp45@1` that level does not move, of a short sound without the silence around it | 1 | 0.3 |
//!
//! So sounds are compared by the network above all, of which the cosine counts for 0.80, and pieces by
//! what is measured, of which it counts for 0.69. What a sound and a piece have in common
//! are the first and the last part. The card says what chose these numbers.
//!
//! # The revision
//!
//! The name is fixed, because it is a part of settings and of libraries; a test
//! holds the digests of the network and of the weights. Who changes them, the picture, the choice of
//! windows or the parts above changes the revision.

#[cfg(feature = "rten")]
mod classes;
#[cfg(feature = "rten")]
mod embedder;
#[cfg(feature = "rten")]
mod network;
#[cfg(feature = "rten")]
mod piece;
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
pub const TIMBRE: &str = "timbre@7";

/// Whether this build can compute [`TIMBRE`]: it needs the feature `rten`.
pub const HAS_TIMBRE: bool = cfg!(feature = "rten");

/// The model by which songs are compared if nobody says another one.
pub const DEFAULT_MODEL: &str = if HAS_TIMBRE { TIMBRE } else { "dsp45@1" };

/// The models that embed every song if nobody says others, with commas.
pub const SCAN_MODELS: &str = if HAS_TIMBRE { "timbre@7,dsp45@1" } else { "dsp45@1" };

/// Values of a vector: 96 of the network, 192 of pieces, 43 measured ones.
pub(crate) const DIMENSION: usize = 96 + 192 + 43;

/// The models that are a part of songrec, the default first.
pub fn built_in_models() -> &'static [ModelSpec] {
    static MODELS: LazyLock<Vec<ModelSpec>> = LazyLock::new(|| {
        let timbre = HAS_TIMBRE.then(|| ModelSpec {
            name: timbre(),
            dimension: DIMENSION,
            metric: Metric::Cosine,
            description: "how it sounds, by a network that was trained on instruments, beside \
                          measured values; pieces by what tells pieces apart"
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

/// At length 1; zeros stay zeros.
#[cfg(feature = "rten")]
fn unit(values: &[f64]) -> Vec<f32> {
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let length = if length > 0.0 { length } else { 1.0 };
    values.iter().map(|value| (value / length) as f32).collect()
}
