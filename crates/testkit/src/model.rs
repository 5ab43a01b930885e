//! Models small enough to check by hand, and vectors for them.

use rand::{Rng, rngs::StdRng};
use songrec_core::{Metric, ModelSpec, Vector};

fn model(name: &str, dimension: usize, metric: Metric) -> ModelSpec {
    ModelSpec {
        name: name.parse().unwrap(),
        dimension,
        metric,
        description: format!("{dimension} numbers compared by {metric}"),
    }
}

/// `tiny@1`: 8 dimensions compared by cosine; what most cases use.
pub fn tiny_model() -> ModelSpec {
    model("tiny@1", 8, Metric::Cosine)
}

/// `loud.tiny@1.0`: 5 dimensions compared by dot product. The dots in its name
/// are there for backends to which a dot in a field name means something.
pub fn dot_model() -> ModelSpec {
    model("loud.tiny@1.0", 5, Metric::DotProduct)
}

/// `plain-tiny_2@1`: 3 dimensions by Euclidean distance.
pub fn euclidean_model() -> ModelSpec {
    model("plain-tiny_2@1", 3, Metric::Euclidean)
}

/// The vector of these values.
pub fn vector(values: &[f32]) -> Vector {
    Vector::new(values.to_vec()).unwrap()
}

/// A vector that `model` does not refuse, with elements between -1 and 1.
pub fn random_vector(rng: &mut StdRng, model: &ModelSpec) -> Vector {
    loop {
        let values = (0..model.dimension).map(|_| rng.random_range(-1.0..1.0)).collect();
        let vector = Vector::new(values).unwrap();
        if vector.norm() > 0.1 {
            return vector;
        }
    }
}
