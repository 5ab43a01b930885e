//! The embedding models that are built in.

use std::sync::LazyLock;

use songrec_core::{FeatureGroups, Metric, ModelName, ModelSpec, Vector};

use crate::dsp::{self, DSP45, DSP45_ROW, DSP47, DSP47_PLAIN, Raw45};

/// The models that [`analyze`](crate::analyze) can compute, the default first; of two
/// revisions the newer one first.
pub fn built_in_models() -> &'static [ModelSpec] {
    static MODELS: LazyLock<Vec<ModelSpec>> =
        LazyLock::new(|| MODELS_BUILT_IN.iter().map(|model| model.spec()).collect());
    &MODELS
}

/// One built-in model.
pub(crate) struct BuiltIn {
    name: &'static str,
    dimension: usize,
    description: &'static str,
    vector: fn(&ModelInput<'_>) -> Vec<f32>,
}

/// What the built-in models make their vectors of.
pub(crate) struct ModelInput<'a> {
    pub(crate) raw45: &'a Raw45,
    pub(crate) groups: &'a FeatureGroups,
}

const MODELS_BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: DSP45,
        dimension: 45,
        description: "timbre, harmony, rhythm and level, scaled by what is usual in music",
        vector: |input| dsp::dsp45(input.raw45),
    },
    BuiltIn {
        name: DSP47,
        dimension: 47,
        description: "six groups of features, each value scaled by what is usual in music",
        vector: |input| dsp::dsp47(input.groups),
    },
    BuiltIn {
        name: DSP45_ROW,
        dimension: 45,
        description: "the values of dsp45, each vector scaled by itself, as older libraries did",
        vector: |input| dsp::dsp45_row(input.raw45),
    },
    BuiltIn {
        name: DSP47_PLAIN,
        dimension: 47,
        description: "the values of dsp47@2 in their own units, of which loudness outweighs the others",
        vector: |input| dsp::dsp47_plain(input.groups),
    },
];

impl BuiltIn {
    pub(crate) fn find(name: &ModelName) -> Option<&'static Self> {
        const { &MODELS_BUILT_IN }.iter().find(|model| model.name == name.as_str())
    }

    fn spec(&self) -> ModelSpec {
        ModelSpec {
            name: self.name.parse().expect("built-in names are valid"),
            dimension: self.dimension,
            metric: Metric::Cosine,
            description: self.description.to_owned(),
        }
    }

    /// The model's vector; None for sounds that have no direction in it.
    pub(crate) fn embed(&self, input: &ModelInput<'_>) -> Option<Vector> {
        let vector = Vector::new((self.vector)(input)).ok()?;
        (!vector.is_zero() && vector.dimension() == self.dimension).then_some(vector)
    }
}
