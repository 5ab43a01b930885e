//! How likely two points at some distance of a map are near each other.

/// Points at which the curve is fitted (McInnes, Healy & Melville 2018, reference
/// implementation).
const POINTS: usize = 300;

/// Rounds of Levenberg–Marquardt; some 20 are enough.
const ROUNDS: usize = 200;

/// `1 / (1 + a d^2b)`: 1 at distance 0, and falling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) a: f64,
    pub(super) b: f64,
}

impl Curve {
    /// The curve nearest, in squares, to one that is 1 up to `min_dist` and then falls
    /// as `exp(−(d − min_dist) / spread)`, from distance 0 to 3 `spread` (the same,
    /// section 3.2, by Levenberg 1944 and Marquardt 1963).
    pub(super) fn fit(min_dist: f64, spread: f64) -> Self {
        let wanted: Vec<(f64, f64)> = (0..POINTS)
            .map(|i| {
                let d = 3.0 * spread * i as f64 / (POINTS - 1) as f64;
                (d, if d < min_dist { 1.0 } else { (-(d - min_dist) / spread).exp() })
            })
            .collect();
        let error =
            |curve: Self| -> f64 { wanted.iter().map(|&(d, y)| (curve.at(d) - y).powi(2)).sum() };
        let mut best = Self { a: 1.0, b: 1.0 };
        let mut least = error(best);
        let mut damping = 1e-3;
        for _ in 0..ROUNDS {
            let (mut aa, mut ab, mut bb, mut ar, mut br) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for &(d, y) in wanted.iter().skip(1) {
                let power = d.powf(2.0 * best.b);
                let value = 1.0 / (1.0 + best.a * power);
                let by_a = -power * value * value;
                let by_b = 2.0 * best.a * d.ln() * by_a;
                let rest = y - value;
                (aa, ab, bb) = (aa + by_a * by_a, ab + by_a * by_b, bb + by_b * by_b);
                (ar, br) = (ar + by_a * rest, br + by_b * rest);
            }
            let (aa, bb) = (aa * (1.0 + damping), bb * (1.0 + damping));
            let determinant = aa * bb - ab * ab;
            let next = Self {
                a: best.a + (ar * bb - br * ab) / determinant,
                b: best.b + (br * aa - ar * ab) / determinant,
            };
            let now = error(next);
            if now.is_finite() && next.a > 0.0 && next.b > 0.0 && now < least {
                let gain = least - now;
                (best, least, damping) = (next, now, damping / 10.0);
                if gain < 1e-15 {
                    break;
                }
            } else {
                damping *= 10.0;
            }
        }
        best
    }

    fn at(self, distance: f64) -> f64 {
        1.0 / (1.0 + self.a * distance.powf(2.0 * self.b))
    }

    /// What pulls two points together, as a multiple of their difference, by the square
    /// of their distance (the same, appendix C). Negative.
    fn pull(self, square: f64) -> f64 {
        let power = square.powf(self.b);
        -2.0 * self.a * self.b * power / square / (1.0 + self.a * power)
    }

    /// What pushes them apart (the same).
    fn push(self, square: f64) -> f64 {
        2.0 * self.b / ((0.001 + square) * (1.0 + self.a * square.powf(self.b)))
    }
}

/// Bits of the mantissa that a table has entries for: 32 in each power of two, between
/// which a straight line is within 0.0003 of the curve.
const BITS: u32 = 5;

/// The least square of a distance that the table has; below it is taken for this one.
const LEAST: f32 = 1.0 / (1_u64 << 36) as f32;

/// The greatest one.
const MOST: f32 = (1_u64 << 36) as f32;

/// Pull and push of a curve for all squared distances, without powers: entries lie
/// at the leading bits of the float32 number, and between them is a line.
#[derive(Debug)]
pub(super) struct Forces {
    /// Value and slope of pull, value and slope of push.
    entries: Vec<[f32; 4]>,
}

impl Forces {
    pub(super) fn new(curve: Curve) -> Self {
        let entries = (first()..=MOST.to_bits() >> (23 - BITS))
            .map(|at| {
                let here = f64::from(f32::from_bits(at << (23 - BITS)));
                let next = f64::from(f32::from_bits((at + 1) << (23 - BITS)));
                let line = |f: fn(Curve, f64) -> f64| {
                    (
                        f(curve, here) as f32,
                        ((f(curve, next) - f(curve, here)) / (next - here)) as f32,
                    )
                };
                let (pull, push) = (line(Curve::pull), line(Curve::push));
                [pull.0, pull.1, push.0, push.1]
            })
            .collect();
        Self { entries }
    }

    #[inline(always)]
    fn entry(&self, square: f32) -> ([f32; 4], f32) {
        let bits = square.clamp(LEAST, MOST).to_bits();
        let at = bits >> (23 - BITS);
        let here = f32::from_bits(at << (23 - BITS));
        (self.entries[(at - first()) as usize], f32::from_bits(bits) - here)
    }

    /// See [`Curve::pull`].
    #[inline(always)]
    pub(super) fn pull(&self, square: f32) -> f32 {
        let (entry, past) = self.entry(square);
        entry[0] + entry[1] * past
    }

    /// See [`Curve::push`].
    #[inline(always)]
    pub(super) fn push(&self, square: f32) -> f32 {
        let (entry, past) = self.entry(square);
        entry[2] + entry[3] * past
    }
}

const fn first() -> u32 {
    LEAST.to_bits() >> (23 - BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_distances_give_the_usual_curve() {
        // What `scipy.optimize.curve_fit` gives umap-learn 0.5.12.
        for (min_dist, spread, a, b) in
            [(0.1, 1.0, 1.576_943, 0.895_061), (0.0, 1.0, 1.932_808, 0.790_495)]
        {
            let curve = Curve::fit(min_dist, spread);

            assert!((curve.a - a).abs() < 1e-4 && (curve.b - b).abs() < 1e-4, "{curve:?}");
        }
    }

    #[test]
    fn the_table_is_near_the_formulas() {
        let curve = Curve::fit(0.1, 1.0);
        let forces = Forces::new(curve);

        for i in -100..200 {
            let square = (f64::from(i) / 9.0).exp2();
            for (found, expected) in [
                (forces.pull(square as f32), curve.pull(square)),
                (forces.push(square as f32), curve.push(square)),
            ] {
                assert!((f64::from(found) / expected - 1.0).abs() < 1e-3, "{square}: {found}");
            }
        }
    }
}
