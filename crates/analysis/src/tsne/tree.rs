//! What pushes points apart, by the tree of Barnes & Hut (1986).

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Points for which the tree is walked once, and that are computed together.
const GROUP: usize = 16;

/// Points of a cell that has no parts.
const LEAF: usize = 8;

/// Groups of a task.
const TASK: usize = 16;

/// Points in a tree of squares or cubes, in the order of a Z curve (Morton 1966).
#[derive(Debug)]
pub(super) struct Tree<const D: usize> {
    /// Points in the order of the tree.
    places: Vec<[f32; D]>,
    /// The number of each of them.
    order: Vec<u32>,
    /// Cells, each before its parts.
    cells: Vec<Cell<D>>,
}

#[derive(Debug)]
struct Cell<const D: usize> {
    /// The mean of its points.
    center: [f32; D],
    count: f32,
    /// The square of its width.
    square: f32,
    /// The cell that follows when its parts are left out.
    next: u32,
    /// Its points, if these are to be looked at one by one.
    points: Option<(u32, u32)>,
}

/// What pushes each point, in order, and the sum of all similarities.
#[derive(Debug)]
pub(super) struct Pushes<const D: usize> {
    pub(super) of: Vec<[f32; D]>,
    pub(super) sum: f64,
}

impl<const D: usize> Tree<D> {
    /// How often a side of the whole is halved at most.
    const LEVELS: u32 = 48 / D as u32;

    /// Takes `n log n` steps.
    pub(super) fn new(places: &[[f32; D]]) -> Self {
        let mut low = [f32::INFINITY; D];
        let mut high = [f32::NEG_INFINITY; D];
        for place in places {
            for axis in 0..D {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let width = (0..D).map(|axis| high[axis] - low[axis]).fold(f32::MIN_POSITIVE, f32::max);
        let parts = (1_u64 << Self::LEVELS) as f64 / f64::from(width) * (1.0 - 1e-9);
        let mut keys: Vec<(u64, u32)> = places
            .par_iter()
            .zip(0..places.len() as u32)
            .map(|(place, number)| {
                let cell = |axis: usize| (f64::from(place[axis] - low[axis]) * parts) as u64;
                (interleaved(std::array::from_fn::<u64, D, _>(cell), Self::LEVELS), number)
            })
            .collect();
        keys.par_sort_unstable();
        let mut tree = Self {
            places: keys.iter().map(|&(_, number)| places[number as usize]).collect(),
            order: keys.iter().map(|key| key.1).collect(),
            cells: Vec::with_capacity(places.len()),
        };
        let keys: Vec<u64> = keys.iter().map(|key| key.0).collect();
        tree.grow(&keys, 0, Self::LEVELS, width);
        tree
    }

    /// Appends the cell of points from `first` on, whose keys agree above `level`, with
    /// its parts, and gives the sum of its points.
    fn grow(&mut self, keys: &[u64], first: usize, level: u32, width: f32) -> [f64; D] {
        let number = self.cells.len();
        self.cells.push(Cell {
            center: [0.0; D],
            count: keys.len() as f32,
            square: width * width,
            next: 0,
            points: None,
        });
        let mut sum = [0.0; D];
        if keys.len() <= LEAF || level == 0 {
            for place in &self.places[first..first + keys.len()] {
                for axis in 0..D {
                    sum[axis] += f64::from(place[axis]);
                }
            }
            // More points than that lie in one spot, and are one.
            if keys.len() <= LEAF {
                self.cells[number].points = Some((first as u32, (first + keys.len()) as u32));
            }
        } else {
            let mut at = 0;
            while at < keys.len() {
                let shift = D as u32 * (level - 1);
                let part = keys[at] >> shift;
                let end = at + keys[at..].partition_point(|key| key >> shift == part);
                let of_part = self.grow(&keys[at..end], first + at, level - 1, width / 2.0);
                for axis in 0..D {
                    sum[axis] += of_part[axis];
                }
                at = end;
            }
        }
        let next = self.cells.len() as u32;
        let cell = &mut self.cells[number];
        cell.next = next;
        cell.center = std::array::from_fn(|axis| (sum[axis] / keys.len() as f64) as f32);
        sum
    }

    /// What pushes each point away from all others: the sum of `q² (y − y')`, where `q` is
    /// `1 / (1 + |y − y'|²)` (van der Maaten 2014, section 4.2). A cell counts as one
    /// point where its width is below `theta` times its distance; that is measured from
    /// the box around sixteen points, so it is stricter than for each of them.
    ///
    /// `stop` is asked a few thousand times a second; `None` if it said so.
    pub(super) fn pushes(&self, theta: f32, stop: &(dyn Fn() -> bool + Sync)) -> Option<Pushes<D>> {
        let parts = self
            .places
            .par_chunks(GROUP * TASK)
            .map(|points| {
                if stop() {
                    return None;
                }
                let mut pushes = Vec::with_capacity(points.len());
                let mut sum = 0.0;
                let mut seen = Vec::new();
                for group in points.chunks(GROUP) {
                    seen.clear();
                    self.look(group, theta, &mut seen);
                    let found = pulp::Arch::new().dispatch(Group { points: group, seen: &seen });
                    for (push, similarity) in found.into_iter().take(group.len()) {
                        pushes.push(push);
                        sum += f64::from(similarity);
                    }
                }
                Some((pushes, sum))
            })
            .collect::<Option<Vec<_>>>()?;
        let mut of = vec![[0.0; D]; self.places.len()];
        let mut sum = 0.0;
        let mut order = self.order.iter();
        for (pushes, part) in parts {
            sum += part;
            for (push, &number) in pushes.into_iter().zip(&mut order) {
                of[number as usize] = push;
            }
        }
        // Each point is among those that it saw, at a similarity of 1.
        Some(Pushes { of, sum: sum - self.places.len() as f64 })
    }

    /// What a group of points sees: points and cells, and of how many points each is.
    fn look(&self, group: &[[f32; D]], theta: f32, seen: &mut Vec<([f32; D], f32)>) {
        let mut low = group[0];
        let mut high = group[0];
        for place in group {
            for axis in 0..D {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let mut at = 0;
        while let Some(cell) = self.cells.get(at) {
            let mut square = 0.0;
            for axis in 0..D {
                let outside =
                    (low[axis] - cell.center[axis]).max(cell.center[axis] - high[axis]).max(0.0);
                square += outside * outside;
            }
            let is_small = cell.square < theta * theta * square;
            let is_whole = cell.next as usize == at + 1;
            match cell.points {
                Some((first, end)) if !is_small => {
                    let points = &self.places[first as usize..end as usize];
                    seen.extend(points.iter().map(|&place| (place, 1.0)));
                }
                None if !is_small && !is_whole => {
                    at += 1;
                    continue;
                }
                _ => seen.push((cell.center, cell.count)),
            }
            at = cell.next as usize;
        }
    }
}

/// The bits of all coordinates, the highest of each first.
fn interleaved<const D: usize>(cell: [u64; D], levels: u32) -> u64 {
    let mut key = 0;
    for level in (0..levels).rev() {
        for coordinate in cell {
            key = key << 1 | (coordinate >> level & 1);
        }
    }
    key
}

/// Points of a group, and what they see.
struct Group<'a, const D: usize> {
    points: &'a [[f32; D]],
    seen: &'a [([f32; D], f32)],
}

impl<const D: usize> WithSimd for Group<'_, D> {
    /// What pushes each point, and its similarities.
    type Output = [([f32; D], f32); GROUP];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let mut places = [[0.0_f32; GROUP]; D];
        for (lane, point) in self.points.iter().enumerate() {
            for axis in 0..D {
                places[axis][lane] = point[axis];
            }
        }
        let mut pushes = [[0.0_f32; GROUP]; D];
        let mut sums = [0.0_f32; GROUP];
        for (place, count) in self.seen {
            let mut differences = [[0.0_f32; GROUP]; D];
            let mut q = [1.0_f32; GROUP];
            for axis in 0..D {
                for lane in 0..GROUP {
                    differences[axis][lane] = places[axis][lane] - place[axis];
                    q[lane] += differences[axis][lane] * differences[axis][lane];
                }
            }
            for lane in 0..GROUP {
                q[lane] = 1.0 / q[lane];
                let similarity = count * q[lane];
                sums[lane] += similarity;
                q[lane] *= similarity;
            }
            for axis in 0..D {
                for lane in 0..GROUP {
                    pushes[axis][lane] += q[lane] * differences[axis][lane];
                }
            }
        }
        std::array::from_fn(|lane| (std::array::from_fn(|axis| pushes[axis][lane]), sums[lane]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_up<const D: usize>(count: usize) -> Vec<[f32; D]> {
        (0..count)
            .map(|i| {
                std::array::from_fn(|axis| {
                    let x = ((i * (31 + axis * 17) + axis) % 257) as f32 / 9.0;
                    x + ((i * 7919) % 1009) as f32 / 1009.0
                })
            })
            .collect()
    }

    fn check<const D: usize>(places: &[[f32; D]]) {
        let found = Tree::new(places).pushes(0.5, &|| false).unwrap();

        let mut sum = 0.0;
        let (mut wrong, mut length) = (0.0, 0.0);
        for (i, a) in places.iter().enumerate() {
            let mut push = [0.0; D];
            for (_, b) in places.iter().enumerate().filter(|&(j, _)| j != i) {
                let d: [f64; D] = std::array::from_fn(|x| f64::from(a[x]) - f64::from(b[x]));
                let q = 1.0 / (1.0 + d.iter().map(|d| d * d).sum::<f64>());
                sum += q;
                for axis in 0..D {
                    push[axis] += q * q * d[axis];
                }
            }
            for (push, &found) in push.iter().zip(&found.of[i]) {
                wrong += (push - f64::from(found)).powi(2);
                length += push.powi(2);
            }
        }
        assert!((found.sum / sum - 1.0).abs() < 0.005, "{} {sum}", found.sum);
        assert!((wrong / length).sqrt() < 0.02, "{wrong} of {length}");
    }

    #[test]
    fn pushes_are_near_those_of_all_pairs() {
        check::<2>(&made_up(1500));
        check::<3>(&made_up(1500));
    }

    #[test]
    fn points_in_one_spot_push_nobody_and_end() {
        let places = vec![[1.5, 2.5]; 100];

        let found = Tree::new(&places).pushes(0.5, &|| false).unwrap();

        assert!((found.sum - 9900.0).abs() < 0.1);
        assert!(found.of.iter().flatten().all(|x| x.abs() < 1e-3));
    }
}
