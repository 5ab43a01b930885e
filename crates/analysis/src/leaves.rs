//! Rows in small balls, so that a search can leave out most of them.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Rows,
    distance::{self, PANEL, Panels},
};

/// The largest number of rows in a leaf.
const LARGEST: usize = 128;
/// Rows that say where a set of rows is cut in two.
const DECIDING: usize = 256;
/// Of so many first values leaves have balls of their own: if rows differ most in these, fewer
/// leaves are reached.
const HEAD: usize = 8;
/// More than float32 distances round away, as a part of them.
const SLACK: f32 = 1e-5;

/// Rows that lie close together.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Where they stand in the order of leaves.
    pub(crate) at: Range<usize>,
    /// Their panels.
    panels: Range<usize>,
    /// No row is farther from the center.
    radius: f32,
    /// The same for the first values alone.
    head_radius: f32,
}

/// Rows in leaves. A ball around a point is searched by comparing it with the leaves it
/// reaches, as a ball tree of one level (Omohundro, 1989): in many dimensions deeper ones
/// leave out no more.
#[derive(Debug)]
pub(crate) struct Leaves<'a> {
    rows: Rows<'a>,
    /// The number of each row, leaf after leaf.
    order: Vec<u32>,
    leaves: Vec<Leaf>,
    /// The points of leaves; each begins a panel.
    points: Panels,
    /// One after the other.
    centers: Vec<f32>,
    packed_centers: Panels,
    packed_heads: Panels,
}

/// What a search looks for.
pub(crate) trait Search {
    /// How far from query number `query` a row may be to be of interest; below 0 when
    /// none is.
    fn reach(&self, query: usize) -> f32;

    /// Whether the query is to be compared with the rows of a leaf that it reaches.
    fn wants(&mut self, _query: usize, _leaf: usize) -> bool {
        true
    }

    /// Takes the squared distances from a query to the rows of a leaf, in their order. Of
    /// one above the reach of all queries, some part that is above it as well may be given;
    /// where all are, nothing may be.
    fn take(&mut self, query: usize, leaf: usize, squared: &[f32]);
}

impl<'a> Leaves<'a> {
    /// Arranges rows, in O(`n·d·log n`). Memory: a copy of the rows.
    pub(crate) fn new(rows: Rows<'a>) -> Self {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let sizes = divide(rows, &mut order);
        let dimension = rows.dimension();
        let mut points = Panels::new([], dimension);
        let mut centers = Vec::with_capacity(sizes.len() * dimension);
        let mut leaves = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for size in sizes {
            let at = start..start + size;
            start = at.end;
            let members = &order[at.clone()];
            let center = mean(rows, members);
            let radius = |values: usize| {
                let squared = |row: &u32| {
                    distance::squared(&rows.row(*row as usize)[..values], &center[..values])
                };
                members.iter().map(squared).fold(0.0, f32::max).sqrt() * (1.0 + SLACK)
            };
            let (radius, head_radius) = (radius(dimension), radius(HEAD.min(dimension)));
            let first = points.count();
            members.iter().for_each(|row| points.push(rows.row(*row as usize)));
            points.fill();
            leaves.push(Leaf { at, panels: first..points.count(), radius, head_radius });
            centers.extend(center);
        }
        let packed_centers = Panels::new(centers.chunks_exact(dimension), dimension);
        let head = HEAD.min(dimension);
        let heads = centers.chunks_exact(dimension).map(|center| &center[..head]);
        let packed_heads = Panels::new(heads, head);
        Self { rows, order, leaves, points, centers, packed_centers, packed_heads }
    }

    /// Each leaf.
    pub(crate) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The numbers of the rows of a leaf.
    pub(crate) fn members(&self, leaf: usize) -> &[u32] {
        &self.order[self.leaves[leaf].at.clone()]
    }

    /// The point in the middle of a leaf.
    pub(crate) fn center(&self, leaf: usize) -> &[f32] {
        let dimension = self.rows.dimension();
        &self.centers[leaf * dimension..][..dimension]
    }

    /// Compares queries that lie around `center` with all leaves that they reach, nearer
    /// ones first.
    pub(crate) fn search(&self, queries: &[&[f32]], center: &[f32], search: &mut impl Search) {
        let width = self.packed_centers.width();
        // How far the rows of each leaf are at least.
        let mut at_least = vec![0.0; queries.len() * width];
        self.packed_centers.squared(queries, &mut at_least);
        let mut of_heads = vec![0.0; queries.len() * width];
        self.packed_heads.squared(queries, &mut of_heads);
        for (at_least, of_heads) in
            at_least.chunks_exact_mut(width).zip(of_heads.chunks_exact(width))
        {
            for ((at_least, of_head), leaf) in at_least.iter_mut().zip(of_heads).zip(&self.leaves) {
                let whole = at_least.sqrt() * (1.0 - SLACK) - leaf.radius;
                *at_least = whole.max(of_head.sqrt() * (1.0 - SLACK) - leaf.head_radius);
            }
        }
        let mut from_center = vec![0.0; width];
        self.packed_centers.squared(&[center], &mut from_center);
        let mut near: Vec<usize> = (0..self.leaves.len()).collect();
        near.sort_by(|l, r| from_center[*l].total_cmp(&from_center[*r]));

        let mut active = Vec::with_capacity(queries.len());
        let mut rows = Vec::with_capacity(queries.len());
        let mut reached = Vec::with_capacity(queries.len());
        let mut squared = vec![0.0; queries.len() * LARGEST.next_multiple_of(PANEL)];
        for leaf in near {
            let Leaf { at, panels, .. } = &self.leaves[leaf];
            active.clear();
            active.extend((0..queries.len()).filter(|query| {
                at_least[query * width + leaf] <= search.reach(*query) && search.wants(*query, leaf)
            }));
            if active.is_empty() {
                continue;
            }
            rows.clear();
            rows.extend(active.iter().map(|query| queries[*query]));
            reached.clear();
            reached.resize(rows.len(), false);
            let reach = active.iter().map(|query| search.reach(*query)).fold(0.0, f32::max);
            let limit = reach * reach * (1.0 + SLACK);
            self.points.squared_up_to(limit, panels.clone(), &rows, &mut squared, &mut reached);
            let stride = panels.len() * PANEL;
            for ((query, squared), _) in active
                .iter()
                .zip(squared.chunks_exact(stride))
                .zip(&reached)
                .filter(|(_, reached)| **reached)
            {
                search.take(*query, leaf, &squared[..at.len()]);
            }
        }
    }
}

fn mean(rows: Rows<'_>, members: &[u32]) -> Vec<f32> {
    let mut sums = vec![0.0f64; rows.dimension()];
    for row in members {
        let row = rows.row(*row as usize);
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.into_iter().map(|sum| (sum / members.len() as f64) as f32).collect()
}

/// Brings rows in an order in which those of a leaf stand together; gives the size of
/// each leaf.
fn divide(rows: Rows<'_>, part: &mut [u32]) -> Vec<usize> {
    if part.len() <= LARGEST {
        return if part.is_empty() { Vec::new() } else { vec![part.len()] };
    }
    let (left, right) = poles(rows, part);
    let mut sided: Vec<(f32, u32)> = part
        .par_iter()
        .map(|row| {
            let values = rows.row(*row as usize);
            (distance::squared(values, &left) - distance::squared(values, &right), *row)
        })
        .collect();
    let left_of = |(side, _): &&(f32, u32)| *side < 0.0;
    let mut middle = sided.iter().filter(left_of).count();
    // Neither a leaf for each outlier, nor ever deeper where rows are equal.
    if middle.min(part.len() - middle) < part.len() / 8 {
        middle = part.len() / 2;
    }
    sided.select_nth_unstable_by(middle, |l, r| l.0.total_cmp(&r.0).then(l.1.cmp(&r.1)));
    part.iter_mut().zip(&sided).for_each(|(row, (_, from))| *row = *from);
    let (left, right) = part.split_at_mut(middle);
    let (mut left, right) = rayon::join(|| divide(rows, left), || divide(rows, right));
    left.extend(right);
    left
}

/// Two points that some rows lie around: 2-means, started from two rows far apart.
fn poles(rows: Rows<'_>, part: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let step = part.len() / DECIDING.min(part.len());
    let some: Vec<u32> = part.iter().copied().step_by(step).collect();
    let farthest = |from: &[f32]| {
        let distance = |row: &u32| distance::squared(rows.row(*row as usize), from);
        let all = some.iter().map(|row| (distance(row), *row));
        let (_, row) = all.reduce(|l, r| if r.0 > l.0 { r } else { l }).expect("there are some");
        rows.row(row as usize).to_vec()
    };
    let mut left = farthest(&mean(rows, &some));
    let mut right = farthest(&left);
    for _ in 0..4 {
        let nearer_left = |row: &u32| {
            let values = rows.row(*row as usize);
            distance::squared(values, &left) < distance::squared(values, &right)
        };
        let (of_left, of_right): (Vec<u32>, Vec<u32>) =
            some.iter().partition(|row| nearer_left(row));
        if of_left.is_empty() || of_right.is_empty() {
            break;
        }
        (left, right) = (mean(rows, &of_left), mean(rows, &of_right));
    }
    (left, right)
}
