//! The vectors, the same ones each time.

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::Result;

/// How many times smaller the rank of `low-rank` vectors is than their length.
const FLAT: usize = 16;
/// How long their noise is, as a part of them.
const NOISE: f32 = 0.1;

/// Random vectors of one kind.
#[derive(Debug)]
pub struct Source {
    /// The values of each.
    pub dimension: usize,
    kind: Data,
}

#[derive(Debug)]
enum Data {
    Isotropic,
    /// Centers, each with how far its vectors are from it, and how many
    /// vectors the first ones have together, as a part of all.
    Clustered {
        centers: Vec<(Vec<f32>, f32)>,
        parts: Vec<f32>,
    },
    /// What spans them.
    LowRank(Vec<Vec<f32>>),
}

impl Source {
    /// Vectors for `rows` rows. DATA is `clustered` (unit vectors around 1,000 centers, or
    /// one for each hundred rows if there are fewer), `power-law` (the same, with clusters
    /// of very different sizes), `low-rank` (a sixteenth of the dimensions, and a little
    /// noise in all) or `isotropic`.
    ///
    /// # Errors
    ///
    /// When `data` is none of these.
    pub fn new(data: &str, rows: usize, dimension: usize) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(99);
        let count = (rows / 100).clamp(10, 1000);
        let kind = match data {
            "clustered" => clustered(count, dimension, |_| 1.0, &mut random),
            // Zipf's law: the largest has a seventh of all.
            "power-law" => clustered(count, dimension, |i| 1.0 / (i + 1) as f32, &mut random),
            "low-rank" => {
                let rank = (dimension / FLAT).max(2);
                Data::LowRank((0..rank).map(|_| gaussian(dimension, &mut random)).collect())
            }
            "isotropic" => Data::Isotropic,
            other => {
                return Err(format!(
                    "expected clustered, power-law, low-rank or isotropic, got `{other}`"
                )
                .into());
            }
        };
        Ok(Self { dimension, kind })
    }

    /// A vector of a set, always the same.
    pub fn vector(&self, set: u64, number: usize) -> Vec<f32> {
        let mut random = StdRng::seed_from_u64(set << 40 | number as u64);
        match &self.kind {
            Data::Isotropic => unit(gaussian(self.dimension, &mut random)),
            Data::Clustered { centers, parts } => {
                let place: f32 = random.random();
                let chosen = parts.partition_point(|&until| until < place);
                let (center, spread) = &centers[chosen.min(centers.len() - 1)];
                unit(center.iter().map(|value| value + spread * gauss(&mut random)).collect())
            }
            Data::LowRank(basis) => {
                let length = (basis.len() as f32).sqrt();
                let mut values: Vec<f32> =
                    (0..self.dimension).map(|_| NOISE * length * gauss(&mut random)).collect();
                for direction in basis {
                    let along = gauss(&mut random);
                    for (value, direction) in values.iter_mut().zip(direction) {
                        *value += along * direction;
                    }
                }
                unit(values)
            }
        }
    }
}

fn clustered(
    count: usize,
    dimension: usize,
    weight: impl Fn(usize) -> f32,
    random: &mut StdRng,
) -> Data {
    let centers = (0..count)
        .map(|_| {
            let center = unit(gaussian(dimension, random));
            (center, random.random_range(0.5..1.0) / (dimension as f32).sqrt())
        })
        .collect();
    let all: f32 = (0..count).map(&weight).sum();
    let parts = (0..count).scan(0.0, |sum, i| {
        *sum += weight(i) / all;
        Some(*sum)
    });
    Data::Clustered { centers, parts: parts.collect() }
}

fn gaussian(dimension: usize, random: &mut StdRng) -> Vec<f32> {
    (0..dimension).map(|_| gauss(random)).collect()
}

/// A normally distributed number (Box and Muller, 1958).
fn gauss(random: &mut StdRng) -> f32 {
    let (a, b): (f32, f32) = (random.random(), random.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= norm);
    values
}
