//! The directions in which rows vary most.

mod eigen;
mod turn;

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{Error, Result, Rows};

pub(crate) use turn::{Turned, turned};

/// Rows whose products one task sums.
const CHUNK: usize = 4096;
/// Rows that are transformed by one task.
const BLOCK: usize = 256;

/// Principal components of some rows (Pearson, 1901; Hotelling, 1933).
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// The mean of each column.
    pub mean: Vec<f64>,
    /// Unit vectors of the dimension of the rows, one after the other, those along which
    /// the rows vary most first. The value that is largest in magnitude is positive.
    pub components: Vec<f64>,
    /// The variance of the rows along each component, divided by `n − 1`.
    pub variance: Vec<f64>,
    /// The same as a part of the variance of all columns, from 0 to 1; 0 where no column
    /// varies.
    pub ratio: Vec<f64>,
}

impl Pca {
    /// Finds `count` components, as scikit-learn does with `svd_solver="full"`, up to
    /// rounding: the eigenvectors of the covariance, in float64. Along components whose variance
    /// is 0 any direction is as good.
    ///
    /// Takes O(`n·d²`) for the covariance and O(`d³`) for its eigenvectors. Memory: `5·d²`
    /// numbers.
    ///
    /// # Errors
    ///
    /// When there are fewer than two rows, `count` is 0 or above the number of rows or of
    /// columns, or the job is interrupted.
    pub fn fit(rows: Rows<'_>, count: usize, job: &Job) -> Result<Self> {
        rows.at_least(2)?;
        let dimension = rows.dimension();
        if count == 0 || count > dimension.min(rows.len()) {
            let expected = "1 to the number of rows and of columns";
            return Err(Error::Option { option: "count", value: count.to_string(), expected });
        }
        job.on(Event::started(Work::FindingComponents, None));
        let mean = mean(rows);
        let covariance = covariance(rows, &mean, job)?;
        let total: f64 = (0..dimension).map(|column| covariance[column * (dimension + 1)]).sum();
        let eigen = eigen::symmetric(covariance, dimension, job)?;

        let mut components = Vec::with_capacity(count * dimension);
        let mut variance = Vec::with_capacity(count);
        for (value, vector) in
            eigen.values.iter().zip(eigen.vectors.chunks_exact(dimension)).take(count)
        {
            let largest = vector.iter().copied().fold(0.0f64, |largest, value| {
                if value.abs() > largest.abs() { value } else { largest }
            });
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            components.extend(vector.iter().map(|value| sign * value));
            // Rounding may leave a little less than nothing.
            variance.push(value.max(0.0));
        }
        let ratio = variance.iter().map(|v| if total > 0.0 { v / total } else { 0.0 }).collect();
        job.on(Event::Finished);
        Ok(Self { mean, components, variance, ratio })
    }

    /// The number of components.
    pub const fn count(&self) -> usize {
        self.variance.len()
    }

    /// Where rows lie along the components: [`Self::count`] values for each, row after row.
    ///
    /// Takes O(`d`) for each of these values.
    ///
    /// # Errors
    ///
    /// When the rows have another dimension.
    pub fn transform(&self, rows: Rows<'_>) -> Result<Vec<f32>> {
        let dimension = self.mean.len();
        if rows.dimension() != dimension {
            return Err(Error::Dimension { expected: dimension, found: rows.dimension() });
        }
        let mut places = vec![0.0; rows.len() * self.count()];
        places
            .par_chunks_mut(BLOCK * self.count())
            .zip(rows.values().par_chunks(BLOCK * dimension))
            .for_each(|(places, rows)| {
                let mut centered = vec![0.0; dimension];
                for (row, places) in
                    rows.chunks_exact(dimension).zip(places.chunks_exact_mut(self.count()))
                {
                    center(row, &self.mean, &mut centered);
                    for (place, component) in
                        places.iter_mut().zip(self.components.chunks_exact(dimension))
                    {
                        *place = eigen::dot(&centered, component) as f32;
                    }
                }
            });
        Ok(places)
    }
}

fn center(row: &[f32], mean: &[f64], centered: &mut [f64]) {
    for ((centered, value), mean) in centered.iter_mut().zip(row).zip(mean) {
        *centered = f64::from(*value) - mean;
    }
}

fn mean(rows: Rows<'_>) -> Vec<f64> {
    let sums: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(CHUNK * rows.dimension())
        .map(|chunk| {
            let mut sums = vec![0.0; rows.dimension()];
            for row in chunk.chunks_exact(rows.dimension()) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            sums
        })
        .collect();
    let mut mean = vec![0.0; rows.dimension()];
    for sums in sums {
        mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum);
    }
    mean.iter_mut().for_each(|mean| *mean /= rows.len() as f64);
    mean
}

/// `d × d` values. Tasks share out its rows, and each goes through all rows in order, so
/// that the sums do not depend on the number of threads.
fn covariance(rows: Rows<'_>, mean: &[f64], job: &Job) -> Result<Vec<f64>> {
    /// Rows of the covariance that a task sums; columns of a tile.
    const TILE: usize = 8;
    /// Rows that are centered together.
    const GROUP: usize = 256;
    let dimension = rows.dimension();
    let wide = dimension.next_multiple_of(TILE);
    let mut covariance = vec![0.0; wide * wide];
    let mut centered = vec![0.0; GROUP * wide];
    for group in rows.values().chunks(GROUP * dimension) {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let count = group.len() / dimension;
        let centered = &mut centered[..count * wide];
        centered.par_chunks_mut(wide).zip(group.par_chunks(dimension)).for_each(|(to, row)| {
            center(row, mean, &mut to[..dimension]);
        });
        covariance.par_chunks_mut(TILE * wide).enumerate().for_each(|(tile, sums)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || add_products::<TILE>(centered, wide, tile * TILE, sums),
            );
        });
    }
    // What was left out is what was found on the other side.
    let scale = 1.0 / (rows.len() - 1) as f64;
    let mut whole = vec![0.0; dimension * dimension];
    for i in 0..dimension {
        for j in i..dimension {
            let value = covariance[i * wide + j] * scale;
            whole[i * dimension + j] = value;
            whole[j * dimension + i] = value;
        }
    }
    Ok(whole)
}

/// Adds to rows `first..first + TILE` of a matrix the products of these columns with
/// columns from `first`.
#[inline(always)]
fn add_products<const TILE: usize>(rows: &[f64], wide: usize, first: usize, sums: &mut [f64]) {
    const HALF: usize = 4;
    for from in (first..wide).step_by(TILE) {
        for half in (0..TILE).step_by(HALF) {
            let mut products = [[0.0f64; TILE]; HALF];
            for row in rows.chunks_exact(wide) {
                let (left, _) = row[first + half..].split_first_chunk::<HALF>().expect("padded");
                let (right, _) = row[from..].split_first_chunk::<TILE>().expect("padded");
                for (products, left) in products.iter_mut().zip(left) {
                    for (product, right) in products.iter_mut().zip(right) {
                        *product += left * right;
                    }
                }
            }
            for (row, products) in products.iter().enumerate() {
                let sums = &mut sums[(half + row) * wide + from..][..TILE];
                sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
            }
        }
    }
}
