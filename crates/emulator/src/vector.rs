//! Vectors: their two written forms, the scores, and the exact search.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ApiError, Code, Result};
use crate::json::Value;

/// How near two vectors are, as Cassandra's index scores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Cosine,
    DotProduct,
    Euclidean,
}

impl Metric {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "cosine" => Some(Self::Cosine),
            "dot_product" => Some(Self::DotProduct),
            "euclidean" => Some(Self::Euclidean),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::DotProduct => "dot_product",
            Self::Euclidean => "euclidean",
        }
    }
}

/// A stored vector and what every comparison needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    values: Arc<[f32]>,
    norm: f32,
}

impl Vector {
    pub(crate) fn new(values: Vec<f32>) -> Self {
        let norm = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32;
        Self { values: values.into(), norm }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn values(&self) -> &Arc<[f32]> {
        &self.values
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.norm == 0.0
    }

    /// The similarity that the server calls `$similarity`: higher is nearer.
    pub(crate) fn similarity(&self, other: &Self, metric: Metric) -> f32 {
        match metric {
            Metric::Cosine => {
                let cosine = dot(&self.values, &other.values) / (self.norm * other.norm);
                f32::midpoint(1.0, cosine.clamp(-1.0, 1.0))
            }
            Metric::DotProduct => f32::midpoint(1.0, dot(&self.values, &other.values)),
            Metric::Euclidean => 1.0 / (1.0 + squared_distance(&self.values, &other.values)),
        }
    }
}

const LANES: usize = 16;

/// Sixteen partial sums let the compiler use vector registers, and lose less
/// than one long sum would.
fn fold(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 =
        a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| term(*x, *y)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(*x, *y);
        }
    }
    sums.iter().sum::<f32>() + tail
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| x * y)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| (x - y) * (x - y))
}

/// Reads `$vector` of a document or of a sort clause, in either form.
pub(crate) fn read(value: &Value) -> Result<Vec<f32>> {
    match value {
        Value::Array(values) if values.is_empty() => {
            Err(ApiError::new(Code::VectorEmpty, "a vector must not be empty"))
        }
        Value::Array(values) => values
            .iter()
            .map(|value| match value {
                Value::Number(number) => Ok(number.to_f64() as f32),
                other => Err(ApiError::new(
                    Code::VectorValue,
                    format!("a vector holds numbers, not {} {other}", other.kind()),
                )),
            })
            .collect(),
        Value::Object(object) => match object.single() {
            Some(("$binary", Value::String(text))) => read_binary(text),
            Some(("$binary", other)) => Err(ApiError::new(
                Code::BinaryVector,
                format!("`$binary` takes a base64 string, not {}", other.kind()),
            )),
            _ => Err(ApiError::new(
                Code::VectorType,
                format!("a vector written as an object has the one member `$binary`, not {value}"),
            )),
        },
        other => Err(ApiError::new(
            Code::VectorType,
            format!("a vector is an array of numbers or `$binary`, not {}", other.kind()),
        )),
    }
}

fn read_binary(text: &str) -> Result<Vec<f32>> {
    let bytes = STANDARD.decode(text).map_err(|problem| {
        ApiError::new(Code::BinaryVector, format!("`$binary` is not base64: {problem}"))
    })?;
    if bytes.is_empty() || bytes.len() % 4 != 0 {
        return Err(ApiError::new(
            Code::BinaryVector,
            format!("`$binary` has {} bytes; a vector has 4 per element", bytes.len()),
        ));
    }
    Ok(bytes.chunks_exact(4).map(|b| f32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// What the index refuses of a vector, on insert and on search.
pub(crate) fn check(vector: &Vector, dimension: usize, metric: Metric) -> Result<()> {
    if vector.len() != dimension {
        return Err(ApiError::new(
            Code::VectorLength,
            format!("the collection holds vectors of {dimension} elements, not {}", vector.len()),
        ));
    }
    if !vector.values.iter().all(|v| v.is_finite()) {
        return Err(ApiError::new(Code::Query, "a vector must not hold NaN or infinity"));
    }
    if metric == Metric::Cosine && vector.is_zero() {
        return Err(ApiError::new(
            Code::Query,
            "a zero vector has no direction to compare by cosine",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::parse;

    fn vector(values: &[f32]) -> Vector {
        Vector::new(values.to_vec())
    }

    #[test]
    fn similarities_follow_the_formulas() {
        let (a, b) = (vector(&[1.0, 0.0]), vector(&[0.0, 2.0]));

        assert_eq!(a.similarity(&a, Metric::Cosine), 1.0);
        assert_eq!(a.similarity(&b, Metric::Cosine), 0.5);
        assert_eq!(a.similarity(&vector(&[-3.0, 0.0]), Metric::Cosine), 0.0);
        assert_eq!(b.similarity(&b, Metric::DotProduct), 2.5);
        assert_eq!(a.similarity(&b, Metric::Euclidean), 1.0 / 6.0);
    }

    #[test]
    fn both_forms_read_the_same() {
        let array = read(&parse("[1, -2.5, 0.1]", 100).unwrap()).unwrap();
        let binary = read(&parse(r#"{"$binary":"P4AAAMAgAAA9zMzN"}"#, 100).unwrap()).unwrap();

        assert_eq!(array, binary);
    }

    #[test]
    fn bad_vectors_have_their_codes() {
        for (json, code) in [
            ("[]", Code::VectorEmpty),
            ("[1,\"2\"]", Code::VectorValue),
            ("\"[1]\"", Code::VectorType),
            ("{\"$date\":1}", Code::VectorType),
            ("{\"$binary\":1}", Code::BinaryVector),
            ("{\"$binary\":\"AAAA\"}", Code::BinaryVector),
            ("{\"$binary\":\"not base64\"}", Code::BinaryVector),
        ] {
            assert_eq!(read(&parse(json, 100).unwrap()).unwrap_err().code, code, "{json}");
        }
        let zero = vector(&[0.0, 0.0]);
        assert_eq!(check(&zero, 2, Metric::Cosine).unwrap_err().code, Code::Query);
        assert!(check(&zero, 2, Metric::Euclidean).is_ok());
        assert_eq!(check(&zero, 3, Metric::Euclidean).unwrap_err().code, Code::VectorLength);
        assert_eq!(
            check(&vector(&[f32::NAN]), 1, Metric::DotProduct).unwrap_err().code,
            Code::Query
        );
    }

    proptest! {
        #[test]
        fn scores_agree_with_sums_in_double_precision(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..200),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact = |f: fn(f64, f64) -> f64| -> f64 {
                a.iter().zip(&b).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum()
            };
            let dot = exact(|x, y| x * y);
            let norms = exact(|x, _| x * x).sqrt() * exact(|_, y| y * y).sqrt();
            prop_assume!(norms > 1e-3);
            let (x, y) = (Vector::new(a.clone()), Vector::new(b.clone()));
            prop_assert!((f64::from(x.similarity(&y, Metric::Cosine)) - f64::midpoint(1.0, dot / norms)).abs() < 1e-5);
            prop_assert!((f64::from(x.similarity(&y, Metric::DotProduct)) - f64::midpoint(1.0, dot)).abs() < 1e-4);
            let distance = exact(|x, y| (x - y) * (x - y));
            prop_assert!((f64::from(x.similarity(&y, Metric::Euclidean)) - 1.0 / (1.0 + distance)).abs() < 1e-5);
        }
    }
}
