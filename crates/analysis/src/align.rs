//! Turning a new map so that it lies as the last one did.

use crate::{Error, Layout, Result};

/// Rounds of Jacobi rotations; three columns need some five.
const ROUNDS: usize = 60;

/// Moves, turns and if need be mirrors `new` so that the points of both maps lie as
/// near to each other as they can; lengths stay as they are.
///
/// `shared` pairs rows of `new` with those of `old`. This is the orthogonal Procrustes
/// problem (Schönemann 1966): the rotation is `U Vᵀ` of the singular value decomposition
/// of the covariance of both maps. Takes n steps.
///
/// With fewer shared rows than dimensions, what they leave open stays as near to `new`
/// as the arithmetic makes it; without any, the map stays as it is.
///
/// # Errors
///
/// When the dimensions differ, or a pair names a row that is not there.
pub fn align(new: &Layout, old: &Layout, shared: &[(usize, usize)]) -> Result<Layout> {
    if new.dimensions() != old.dimensions() {
        return Err(Error::Option {
            option: "the dimensions of the old map",
            value: old.dimensions().to_string(),
            expected: "those of the new one",
        });
    }
    if let Some(pair) = shared.iter().find(|pair| pair.0 >= new.len() || pair.1 >= old.len()) {
        return Err(Error::Option {
            option: "a shared row",
            value: format!("{} and {}", pair.0, pair.1),
            expected: "the numbers of a row of each map",
        });
    }
    match new.dimensions() {
        2 => Ok(turn::<2>(new.places(), old.places(), shared)),
        _ => Ok(turn::<3>(new.places(), old.places(), shared)),
    }
}

fn turn<const D: usize>(new: &[[f32; D]], old: &[[f32; D]], shared: &[(usize, usize)]) -> Layout {
    if shared.is_empty() {
        return Layout::of(new);
    }
    let new_mean = mean(shared.iter().map(|pair| new[pair.0]));
    let old_mean = mean(shared.iter().map(|pair| old[pair.1]));
    let mut covariance = [[0.0; D]; D];
    for &(a, b) in shared {
        for i in 0..D {
            for j in 0..D {
                covariance[i][j] +=
                    (f64::from(new[a][i]) - new_mean[i]) * (f64::from(old[b][j]) - old_mean[j]);
            }
        }
    }
    let rotation = nearest_rotation(covariance);
    let turned: Vec<[f32; D]> = new
        .iter()
        .map(|place| {
            std::array::from_fn(|j| {
                let along: f64 =
                    (0..D).map(|i| (f64::from(place[i]) - new_mean[i]) * rotation[i][j]).sum();
                (along + old_mean[j]) as f32
            })
        })
        .collect();
    Layout::of(&turned)
}

fn mean<const D: usize>(places: impl ExactSizeIterator<Item = [f32; D]>) -> [f64; D] {
    let count = places.len() as f64;
    places.fold([0.0; D], |mean, place| {
        std::array::from_fn(|axis| mean[axis] + f64::from(place[axis]) / count)
    })
}

/// `U Vᵀ` for the decomposition `U S Vᵀ` of `matrix`: the rotation or reflection
/// nearest to it. By one-sided Jacobi rotations (Hestenes 1958): the columns of
/// `matrix V` are turned until they are at right angles.
fn nearest_rotation<const D: usize>(matrix: [[f64; D]; D]) -> [[f64; D]; D] {
    let mut product = matrix;
    let mut v: [[f64; D]; D] = identity();
    for _ in 0..ROUNDS {
        let mut turned = false;
        for p in 0..D {
            for q in p + 1..D {
                let dot =
                    |a: usize, b: usize| -> f64 { product.iter().map(|row| row[a] * row[b]).sum() };
                let (pp, qq, pq) = (dot(p, p), dot(q, q), dot(p, q));
                if pq.abs() <= 1e-15 * (pp * qq).sqrt() || pq == 0.0 {
                    continue;
                }
                turned = true;
                let zeta = (qq - pp) / (2.0 * pq);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = c * t;
                for row in product.iter_mut().chain(&mut v) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
        if !turned {
            break;
        }
    }
    let u = completed(product);
    std::array::from_fn(|i| std::array::from_fn(|j| (0..D).map(|k| u[i][k] * v[j][k]).sum()))
}

/// The columns, which are at right angles, at length 1; those without a length replaced
/// by what is at right angles to all others.
fn completed<const D: usize>(mut columns: [[f64; D]; D]) -> [[f64; D]; D] {
    let length = |columns: &[[f64; D]; D], k: usize| -> f64 {
        columns.iter().map(|row| row[k] * row[k]).sum::<f64>().sqrt()
    };
    let longest = (0..D).map(|k| length(&columns, k)).fold(0.0, f64::max);
    let mut done = [false; D];
    for k in 0..D {
        let length = length(&columns, k);
        done[k] = length > longest * 1e-12;
        for row in &mut columns {
            row[k] = if done[k] { row[k] / length } else { 0.0 };
        }
    }
    for k in 0..D {
        if done[k] {
            continue;
        }
        // Of the axes that which the columns so far say least of.
        let said = |axis: usize| -> f64 { columns[axis].iter().map(|x| x * x).sum() };
        let axis = (0..D).min_by(|&a, &b| said(a).total_cmp(&said(b))).unwrap_or(0);
        let mut new = [0.0; D];
        new[axis] = 1.0;
        for other in 0..D {
            let dot = columns[axis][other];
            for (new, row) in new.iter_mut().zip(&columns) {
                *new -= dot * row[other];
            }
        }
        let length = new.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (row, new) in columns.iter_mut().zip(new) {
            row[k] = new / length;
        }
    }
    columns
}

fn identity<const D: usize>() -> [[f64; D]; D] {
    std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(a: &Layout, b: &Layout) -> f32 {
        a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_map_that_was_turned_moved_and_mirrored_lies_as_before() {
        for dimensions in [2, 3] {
            let values: Vec<f32> = (0..60).map(|i| ((i * i * 7) % 23) as f32 / 3.0).collect();
            let old = Layout::new(values.clone(), dimensions).unwrap();
            let (sin, cos) = 0.7_f32.sin_cos();
            let turned = values
                .chunks(dimensions)
                .flat_map(|place| {
                    let mut place = place.to_vec();
                    (place[0], place[1]) =
                        (cos * place[0] - sin * place[1] + 5.0, -sin * place[0] - cos * place[1]);
                    place
                })
                .collect();
            let new = Layout::new(turned, dimensions).unwrap();
            let shared: Vec<_> = (0..old.len()).step_by(2).map(|row| (row, row)).collect();

            let aligned = align(&new, &old, &shared).unwrap();

            assert!(far(&aligned, &old) < 1e-4, "{}", far(&aligned, &old));
        }
    }

    #[test]
    fn too_few_shared_rows_still_give_a_rotation() {
        let old = Layout::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 7.0], 3).unwrap();
        let new = Layout::new(vec![0.0, 1.0, 0.0, 9.0, 3.0, 2.0], 3).unwrap();
        let length = |map: &Layout| -> f32 {
            map.place(0).iter().zip(map.place(1)).map(|(a, b)| (a - b).powi(2)).sum()
        };

        for shared in [&[][..], &[(0, 0)], &[(0, 0), (1, 1)]] {
            let aligned = align(&new, &old, shared).unwrap();

            assert!((length(&aligned) - length(&new)).abs() < 1e-3);
        }
        assert!(align(&new, &old, &[(2, 0)]).is_err());
    }
}
