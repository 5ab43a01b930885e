//! Short forms of a row: an 8-bit code, and a 1-bit code with a second bit.
//!
//! All are of the *turned* row: of length one if the index's metric is the
//! cosine, then rotated, which keeps every dot product. The 8-bit code rounds
//! each coordinate. The 1-bit code keeps the signs of the difference from the
//! centroid of the row's list, and two numbers that make an unbiased estimate
//! of it (RaBitQ: Gao and Long, SIGMOD 2024). The second bit of a coordinate
//! says whether the difference is large, which makes the estimate twice as
//! good; it is only looked at where the first leaves a row a chance.

use crate::Metric;
use crate::kernel::{Kernels, Shape};
use crate::layout::{Fixed, array};
use crate::rotate::{Rotation, padded};

/// The value of a byte of zero.
const ZERO: i32 = 128;

/// Standard error of the 1-bit estimate, as a part of `scale` × the distance
/// of query and centroid: √(1 − 2/π), from the angle between a random vector
/// and its signs.
pub(crate) const ERROR: f32 = 0.602_81;

/// The same with both bits, for which a coordinate is ±½ or ±1½ standard
/// deviations: √(E v² − (E v g)²) of a normal g and its v.
pub(crate) const ERROR_OF_BOTH: f32 = 0.324_9;
/// Where ½ ends and 1½ begins, so that the error is least.
const LARGE: f32 = 0.9957;

/// What single precision loses when a vector is turned, with room to spare;
/// relative to the product of the lengths.
const TURNED: f32 = 1e-5;

/// Makes codes of rows.
#[derive(Clone, Debug)]
pub(crate) struct Coder {
    rotation: Rotation,
    unit: bool,
    /// How many coordinates a turned row has.
    pub(crate) len: usize,
}

/// The 8-bit form of a row, as it lies in [`crate::layout::File::Codes`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) code: &'a [u8],
    /// What one step of a byte is worth.
    pub(crate) scale: f32,
    /// How far the code is from the turned row.
    pub(crate) error: f32,
    /// The length of the row.
    pub(crate) norm: f32,
}

impl<'a> Record<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (code, rest) = bytes.split_at_checked(bytes.len().checked_sub(16)?)?;
        let float = |at| f32::from_le_bytes(array(rest, at));
        Some(Self { code, scale: float(0), error: float(4), norm: float(8) })
    }

    /// The turned row, as far as the code tells.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> + Clone {
        let scale = self.scale;
        self.code.iter().map(move |&byte| (i32::from(byte) - ZERO) as f32 * scale)
    }
}

/// The 1-bit form of a row in a list, and its second bits.
///
/// With `s` and `t` of ±1 for the bits of a coordinate, the row is estimated as
/// `s`, or with both as `s + t / 2`. So `t` is `s` where the coordinate is far
/// from the centroid's, and `−s` where it is near.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bits {
    pub(crate) first: Plane,
    pub(crate) second: Plane,
}

/// A bit for each coordinate, and what makes an estimate of it and those
/// before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane {
    /// The first coordinate is in the lowest place.
    pub(crate) bits: Vec<u8>,
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

impl Plane {
    /// Of a row that is √`square` from its centroid `c`, and `v` what the bits
    /// stand for: `along` is its product with their difference, `signed` that
    /// of it and `c`, `product` that of the difference and `c`.
    fn new(bits: Vec<u8>, square: f32, along: f32, signed: f32, product: f32) -> Self {
        let scale = if along > 0.0 { square / along } else { 0.0 };
        let shift = product - scale * signed;
        if square.is_finite() && scale.is_finite() && shift.is_finite() {
            Self { bits, scale, shift }
        } else {
            // Too long to compute with: always looked at in full.
            Self { bits, scale: 0.0, shift: f32::INFINITY }
        }
    }
}

impl Coder {
    pub(crate) fn new(fixed: &Fixed) -> Self {
        Self {
            rotation: Rotation::new(fixed.dimension, fixed.seed),
            unit: fixed.metric == Metric::Cosine,
            len: padded(fixed.dimension),
        }
    }

    /// The 8-bit form.
    pub(crate) fn encode(&self, row: &[f32]) -> Vec<u8> {
        let norm = Kernels::get().dot(row, row).sqrt();
        let unit = self.unit && norm > 0.0;
        let turned = if unit {
            self.rotation.apply(row.iter().map(|&value| (f64::from(value) / norm) as f32))
        } else {
            self.rotation.apply(row.iter().copied())
        };
        encode_turned(&turned, norm as f32)
    }

    /// The bits of a row in the list around `centroid`.
    pub(crate) fn bits(&self, record: &Record<'_>, centroid: &[f32]) -> Bits {
        const LANES: usize = 16;
        let codes = record.code.as_chunks::<LANES>().0;
        let centroids = centroid.as_chunks::<LANES>().0;
        let coordinate = |code: u8, c: f32| (i32::from(code) - ZERO) as f32 * record.scale - c;

        let mut first = vec![0; self.len / 8];
        // Sums of |r|, r², ±c and c r, where r is row minus centroid.
        let mut sums = [[0.0_f32; LANES]; 4];
        for ((codes, centroids), bits) in
            codes.iter().zip(centroids).zip(first.as_chunks_mut::<2>().0)
        {
            let mut mask = 0_u16;
            for i in 0..LANES {
                let c = centroids[i];
                let r = coordinate(codes[i], c);
                sums[0][i] += r.abs();
                sums[1][i] += r * r;
                sums[2][i] += if r >= 0.0 { c } else { -c };
                sums[3][i] += c * r;
                mask |= u16::from(r >= 0.0) << i;
            }
            *bits = mask.to_le_bytes();
        }
        let [absolute, square, signed, product] = sums.map(|sums| sums.iter().sum::<f32>());
        // What is not a number is found out at the end.
        let square = if record.error.is_finite() { square } else { f32::NAN };

        let mut second = vec![0; self.len / 8];
        // Sums of v r and c v, where v is what both bits stand for.
        let mut sums = [[0.0_f32; LANES]; 2];
        let large = LARGE * (square / self.len as f32).sqrt();
        for ((codes, centroids), bits) in
            codes.iter().zip(centroids).zip(second.as_chunks_mut::<2>().0)
        {
            let mut mask = 0_u16;
            for i in 0..LANES {
                let c = centroids[i];
                let r = coordinate(codes[i], c);
                let far = r.abs() > large;
                let size = if far { 1.5 } else { 0.5 };
                sums[0][i] += size * r.abs();
                sums[1][i] += if r >= 0.0 { size * c } else { -size * c };
                mask |= u16::from((r >= 0.0) == far) << i;
            }
            *bits = mask.to_le_bytes();
        }
        let [along, signed_both] = sums.map(|sums| sums.iter().sum::<f32>());
        Bits {
            first: Plane::new(first, square, absolute, signed, product),
            second: Plane::new(second, square, along, signed_both, product),
        }
    }

    /// A query, ready to be compared with codes.
    pub(crate) fn point(&self, index: Metric, asked: Metric, vector: &[f32]) -> Point {
        let norm = Kernels::get().dot(vector, vector).sqrt();
        let by = if asked == Metric::Cosine { norm } else { 1.0 };
        let turned =
            self.rotation.apply(vector.iter().map(|&value| (f64::from(value) / by) as f32));
        let square = if asked == Metric::Cosine { 1.0 } else { norm * norm } as f32;
        let shape = match (index, asked) {
            (Metric::Cosine, Metric::Cosine) | (Metric::Dot | Metric::Euclidean, Metric::Dot) => {
                Shape::Plain
            }
            (Metric::Cosine, Metric::Dot) => Shape::Times,
            (Metric::Cosine, Metric::Euclidean) => Shape::TimesSquare(square),
            (Metric::Dot | Metric::Euclidean, Metric::Cosine) => Shape::Over,
            (Metric::Dot | Metric::Euclidean, Metric::Euclidean) => Shape::Square(square),
        };
        Point::new(turned, square, shape, self.unit)
    }
}

/// The nearest whole number. Unlike `round`, not a call on processors without
/// an instruction for it.
#[inline(always)]
fn nearest(value: f32) -> i32 {
    (value + 0.5_f32.copysign(value)) as i32
}

/// The 8-bit form of values that are turned already.
pub(crate) fn encode_turned(turned: &[f32], norm: f32) -> Vec<u8> {
    let greatest = turned.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    let scale = greatest / 127.0;
    let finite = norm.is_finite() && turned.iter().all(|value| value.is_finite());
    let mut bytes = vec![ZERO as u8; turned.len() + 16];
    let (mut error, mut square) = (0.0_f64, 0.0_f64);
    let usable = finite && scale.is_normal();
    for (byte, &value) in bytes.iter_mut().zip(turned) {
        let mut rounded = 0;
        if usable {
            rounded = nearest(value / scale);
            *byte = (rounded + ZERO) as u8;
        }
        error += (f64::from(value) - f64::from(rounded as f32 * scale)).powi(2);
        square += f64::from(value).powi(2);
    }
    let error = if finite {
        // A little more than it is, because it serves as a bound.
        (error.sqrt() * 1.000_01 + square.sqrt() * f64::from(TURNED)) as f32
    } else {
        f32::INFINITY
    };
    let rest = turned.len();
    let scale = if usable { scale } else { 0.0 };
    bytes[rest..rest + 4].copy_from_slice(&scale.to_le_bytes());
    bytes[rest + 4..rest + 8].copy_from_slice(&error.to_le_bytes());
    bytes[rest + 8..rest + 12].copy_from_slice(&norm.to_le_bytes());
    bytes[rest + 12..].fill(0);
    bytes
}

/// A query, turned, and in the forms that the kernels compare with.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) shape: Shape,
    /// The square of its length.
    pub(crate) square: f32,
    pub(crate) length: f32,
    unit: bool,
    /// In 16 bits, as two times 8: `coarse × high + fine × low`.
    high: Vec<i8>,
    low: Vec<i8>,
    coarse: f64,
    fine: f64,
    high_sum: i32,
    low_sum: i32,
    /// How far that is from the turned query.
    rounded: f32,
    /// In five bits, as the table of the 1-bit kernel, and what its sums mean.
    pub(crate) table: Vec<u8>,
    pub(crate) step: f32,
    pub(crate) bias: f32,
    /// One over the root of the number of coordinates: the part of an error
    /// in any direction that is along the query, usually.
    pub(crate) share: f32,
    /// Whether all that is finite, so that codes can be used at all.
    pub(crate) usable: bool,
}

impl Point {
    fn new(turned: Vec<f32>, square: f32, shape: Shape, unit: bool) -> Self {
        let greatest = turned.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
        let usable = square.is_finite()
            && turned.iter().all(|value| value.is_finite())
            && (greatest / 127.0 / 254.0).is_normal();
        let coarse = greatest / 127.0;
        let fine = coarse / 254.0;
        let (mut high, mut low) = (vec![0; turned.len()], vec![0; turned.len()]);
        let mut rounded = 0.0_f64;
        if usable {
            for ((high, low), &value) in high.iter_mut().zip(&mut low).zip(&turned) {
                *high = nearest(value / coarse) as i8;
                let rest = value - f32::from(*high) * coarse;
                *low = nearest(rest / fine) as i8;
                let missed = f64::from(value)
                    - f64::from(*high) * f64::from(coarse)
                    - f64::from(*low) * f64::from(fine);
                rounded += missed * missed;
            }
        }
        let sum = |values: &[i8]| values.iter().map(|&value| i32::from(value)).sum();
        let (table, step, bias) = table(&turned, if usable { greatest } else { 0.0 });
        Self {
            shape,
            square,
            length: square.sqrt(),
            unit,
            high_sum: sum(&high),
            low_sum: sum(&low),
            high,
            low,
            coarse: coarse.into(),
            fine: fine.into(),
            rounded: rounded.sqrt() as f32,
            share: 1.0 / (turned.len() as f32).sqrt(),
            table,
            step,
            bias,
            usable,
        }
    }

    /// The dot product of the turned query with an 8-bit code.
    pub(crate) fn product(&self, kernels: &Kernels, record: &Record<'_>) -> f32 {
        let (high, low) = kernels.bytes(record.code, &self.high, &self.low);
        let high = self.coarse * f64::from(high - ZERO * self.high_sum);
        let low = self.fine * f64::from(low - ZERO * self.low_sum);
        (f64::from(record.scale) * (high + low)) as f32
    }

    /// The dot product of the turned query with the ±1 of some bits.
    pub(crate) fn signed(&self, kernels: &Kernels, bits: &[u8]) -> f32 {
        let sum = 2 * kernels.masked(bits, &self.high) - self.high_sum;
        self.coarse as f32 * sum as f32
    }

    /// How far at most [`Self::product`] is from the truth, and how far it is
    /// to be expected to be (one standard error).
    pub(crate) fn doubt(&self, record: &Record<'_>) -> (f32, f32) {
        let length = if self.unit { 1.0 } else { record.norm };
        let rounding = TURNED * self.length * (length + record.error);
        let most = self.length * record.error + self.rounded * (length + record.error) + rounding;
        let usual = self.length * record.error * self.share;
        (most, usual + rounding)
    }
}

/// The table for [`Kernels::bits`], and the step and bias that make a dot
/// product with the signs of its sums.
///
/// A coordinate is one of 32 levels; a set bit adds the level, a bit that is
/// not set the level of the opposite value.
fn table(turned: &[f32], greatest: f32) -> (Vec<u8>, f32, f32) {
    const LEVELS: f32 = 31.0;
    let step = 2.0 * greatest / LEVELS;
    let level = |value: f32| {
        if step > 0.0 {
            nearest((value + greatest) / step).clamp(0, LEVELS as i32) as u8
        } else {
            0
        }
    };
    let mut table = vec![0; turned.len() / 16 * 128];
    for (values, table) in turned.as_chunks::<16>().0.iter().zip(table.as_chunks_mut::<128>().0) {
        let levels = values.map(level);
        for (four, levels) in levels.as_chunks::<4>().0.iter().enumerate() {
            let mut sums = [0_u8; 16];
            for (bit, &level) in levels.iter().enumerate() {
                for (bits, sum) in sums.iter_mut().enumerate() {
                    *sum += if bits >> bit & 1 == 1 { level } else { LEVELS as u8 - level };
                }
            }
            // Four, eight or twelve: low bits of the first byte, high bits of
            // the first, low of the second, high of the second.
            let at = four % 2 * 64 + four / 2 * 32;
            table[at..at + 16].copy_from_slice(&sums);
            table[at + 16..at + 32].copy_from_slice(&sums);
        }
    }
    (table, step, -LEVELS / 2.0 * step * turned.len() as f32)
}

#[cfg(test)]
mod tests {
    use rand::prelude::*;

    use super::*;
    use crate::Kind;
    use crate::kernel::GROUP;

    fn coder(dimension: usize, metric: Metric, seed: u64) -> Coder {
        Coder::new(&Fixed { dimension, metric, kind: Kind::Auto, seed })
    }

    #[test]
    fn an_8_bit_product_is_within_its_bound() {
        let mut random = StdRng::seed_from_u64(2);
        let kernels = Kernels::get();
        for (metric, asked) in [
            (Metric::Cosine, Metric::Cosine),
            (Metric::Dot, Metric::Dot),
            (Metric::Euclidean, Metric::Euclidean),
            (Metric::Cosine, Metric::Euclidean),
            (Metric::Dot, Metric::Cosine),
        ] {
            for dimension in [3, 45, 512, 768] {
                let coder = coder(dimension, metric, 3);
                for _ in 0..50 {
                    let mut vector = || -> Vec<f32> {
                        let scale = random.random_range(0.1..9.0);
                        (0..dimension)
                            .map(|i| random.random_range(-scale..scale) + (i % 3) as f32)
                            .collect()
                    };
                    let (row, query) = (vector(), vector());
                    let bytes = coder.encode(&row);
                    let record = Record::decode(&bytes).unwrap();
                    let point = coder.point(metric, asked, &query);

                    let (factor, term) = point.shape.line(record.norm);
                    let found = f64::from(factor * point.product(kernels, &record) + term);
                    let (most, usual) = point.doubt(&record);

                    let dot = kernels.dot(&row, &query);
                    let truth = match asked {
                        Metric::Cosine => {
                            dot / (kernels.dot(&row, &row) * kernels.dot(&query, &query)).sqrt()
                        }
                        Metric::Dot => dot,
                        Metric::Euclidean => -kernels.square(&row, &query),
                    };
                    // The term is computed in single precision.
                    let room = 1e-5 * (1.0 + f64::from(term.abs()));
                    assert!(usual <= most);
                    assert!(
                        (found - truth).abs() <= f64::from(factor * most) + room,
                        "{metric:?} {asked:?} {dimension}: {found} {truth} {most}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_estimate_is_unbiased_and_as_wrong_as_it_says() {
        let mut random = StdRng::seed_from_u64(4);
        let kernels = Kernels::get();
        let mut gauss = |mean: f32| -> Vec<f32> {
            (0..256)
                .map(|_| mean + (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0)
                .collect()
        };
        let mut errors = [Vec::new(), Vec::new()];
        // The promise is over rotations, so one will not do.
        for seed in 0..60 {
            let coder = coder(256, Metric::Cosine, seed);
            let middle = coder.encode(&gauss(0.5));
            let middle = Record::decode(&middle).unwrap();
            let centroid: Vec<f32> = middle.values().collect();
            let point = coder.point(Metric::Cosine, Metric::Cosine, &gauss(0.5));
            let to_middle = point.product(kernels, &middle);
            let length: f32 = centroid.iter().map(|value| value * value).sum();
            let distance = (1.0 + length - 2.0 * to_middle).sqrt();
            for _ in 0..40 {
                let bytes = coder.encode(&gauss(0.5));
                let record = Record::decode(&bytes).unwrap();
                let bits = coder.bits(&record, &centroid);
                let mut codes = vec![0; coder.len / 8 * GROUP];
                for (column, byte) in bits.first.bits.iter().enumerate() {
                    codes[column * GROUP] = *byte;
                }
                let mut sums = [0; GROUP];
                kernels.bits(&codes, &point.table, &mut sums);

                let sum = point.step * sums[0] as f32 + point.bias;
                let both = sum + 0.5 * point.signed(kernels, &bits.second.bits);
                let truth = point.product(kernels, &record);
                for ((plane, sum, error), errors) in
                    [(&bits.first, sum, ERROR), (&bits.second, both, ERROR_OF_BOTH)]
                        .into_iter()
                        .zip(&mut errors)
                {
                    let found = to_middle + plane.scale * sum + plane.shift;
                    errors.push((found - truth) / (error * plane.scale * distance));
                }
            }
        }

        for errors in errors {
            let mean = errors.iter().sum::<f32>() / errors.len() as f32;
            let spread = (errors.iter().map(|e| e * e).sum::<f32>() / errors.len() as f32).sqrt();
            assert!(mean.abs() < 0.1, "{mean}");
            // √(1 − ½²), because only what is across the row is estimated and
            // half of query and row lie along each other here, both being
            // random points seen from a third; and a little for the five bits
            // of the query.
            assert!((0.8..0.95).contains(&spread), "{spread}");
        }
    }

    #[test]
    fn rows_too_long_to_compute_with_are_never_passed_over() {
        let coder = coder(64, Metric::Dot, 3);
        let bytes = coder.encode(&[3e38; 64]);
        let record = Record::decode(&bytes).unwrap();

        let bits = coder.bits(&record, &[0.0; 64]);

        assert_eq!(record.error, f32::INFINITY);
        assert_eq!(bits.first.shift, f32::INFINITY);
        assert_eq!(bits.second.shift, f32::INFINITY);
    }
}
