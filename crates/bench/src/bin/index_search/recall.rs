//! How much of the truth is found of what `songrec similar` asks for.

use songrec_index::{Filter, Hit, Index, Key, Precision, Query, RowSet};

use crate::{Result, key, thread_cpu};

/// Rows whose neighbors are looked for.
const ASKED: usize = 500;
/// The most neighbors that are looked for.
const MOST: usize = 1000;
/// How many of them. `similar -k K` asks for six more than K, because some may
/// be copies; so 16 is what it asks for when nobody says how many.
const COUNTS: [usize; 20] =
    [1, 2, 3, 5, 7, 9, 10, 11, 13, 16, 17, 26, 50, 56, 100, 101, 106, 250, 506, 1000];
/// With filters and exclusions: `-k 1`, the usual number, and `-k 100`.
const FEW_COUNTS: [usize; 3] = [7, 16, 106];
/// Offsets, each with a count.
const OFFSETS: [(usize, usize); 4] = [(10, 16), (90, 16), (500, 16), (984, 16)];
/// A filter takes one row in so many.
const PARTS: [usize; 6] = [2, 5, 10, 30, 100, 1000];

/// What was missed, and the worst of it.
struct Tally {
    worst: f64,
}

pub(crate) fn measure(index: &Index, rows: usize) -> Result<()> {
    println!("{rows} x {}, {} lists", index.dimension(), index.lists());
    let asked = (0..ASKED.min(rows)).map(|i| key(i * rows / ASKED.min(rows)));
    let asked = asked
        .map(|key| Ok((key, index.get(&key)?.ok_or("a row is missing")?)))
        .collect::<Result<Vec<(Key, Vec<f32>)>>>()?;
    let mut tally = Tally { worst: 1.0 };
    let truth = truths(index, &asked, Filter::All, &[])?;
    for count in COUNTS {
        tally.one(index, &asked, &truth, &format!("k = {count}"), |query| query.k = count)?;
    }
    for (offset, count) in OFFSETS {
        let name = format!("k = {count} after {offset}");
        tally.one(index, &asked, &truth, &name, |query| {
            (query.k, query.offset) = (count, offset);
        })?;
    }
    for part in PARTS {
        // A multiplicative hash, so that the wanted are all over the file.
        let wanted = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let set = RowSet::new((0..rows).filter(|&i| wanted(i) % part as u64 == 0).map(key));
        let truth = truths(index, &asked, Filter::Rows(&set), &[])?;
        for count in FEW_COUNTS {
            let name = format!("k = {count} of one row in {part}");
            tally.one(index, &asked, &truth, &name, |query| {
                (query.k, query.filter) = (count, Filter::Rows(&set));
            })?;
        }
    }
    // Rows that are far from most of those that ask: another genre.
    let far: Vec<Key> = farthest(index, &asked[0].1, rows / 5)?;
    let set = RowSet::new(far);
    let truth = truths(index, &asked, Filter::Rows(&set), &[])?;
    for count in FEW_COUNTS {
        let name = format!("k = {count} of a fifth that is elsewhere");
        tally.one(index, &asked, &truth, &name, |query| {
            (query.k, query.filter) = (count, Filter::Rows(&set));
        })?;
    }
    let excluded: Vec<Key> = truths(index, &asked[..1], Filter::All, &[])?[0]
        .iter()
        .take(200)
        .map(|hit| hit.key)
        .collect();
    let truth = truths(index, &asked, Filter::All, &excluded)?;
    for count in FEW_COUNTS {
        let name = format!("k = {count} without 200 others");
        tally.excluding(index, &asked, &truth, &name, &excluded, |query| query.k = count)?;
    }
    println!("  the worst of all: {:.4}", tally.worst);
    Ok(())
}

fn farthest(index: &Index, from: &[f32], count: usize) -> Result<Vec<Key>> {
    let away: Vec<f32> = from.iter().map(|value| -value).collect();
    let query = Query { precision: Precision::Proved, ..Query::new(&away, count) };
    Ok(index.search(&query)?.into_iter().map(|hit| hit.key).collect())
}

fn truths(
    index: &Index,
    asked: &[(Key, Vec<f32>)],
    filter: Filter<'_>,
    excluded: &[Key],
) -> Result<Vec<Vec<Hit>>> {
    let truth = |(key, row): &(Key, Vec<f32>)| {
        let exclude = [&[*key], excluded].concat();
        let precision = Precision::Proved;
        let query = Query { filter, exclude: &exclude, precision, ..Query::new(row, MOST) };
        Ok(index.search(&query)?)
    };
    asked.iter().map(truth).collect()
}

impl Tally {
    fn one<'a>(
        &mut self,
        index: &Index,
        asked: &'a [(Key, Vec<f32>)],
        truth: &[Vec<Hit>],
        name: &str,
        ask: impl Fn(&mut Query<'a>),
    ) -> Result<()> {
        self.excluding(index, asked, truth, name, &[], ask)
    }

    fn excluding<'a>(
        &mut self,
        index: &Index,
        asked: &'a [(Key, Vec<f32>)],
        truth: &[Vec<Hit>],
        name: &str,
        excluded: &[Key],
        ask: impl Fn(&mut Query<'a>),
    ) -> Result<()> {
        let (mut hits, mut all, mut short) = (0, 0, 0);
        let mut cpu = 0.0;
        for ((key, row), truth) in asked.iter().zip(truth) {
            let mut query = Query::new(row, 1);
            ask(&mut query);
            let exclude = [&[*key], excluded].concat();
            let precision = Precision::Thorough;
            let query = Query { exclude: &exclude, precision, ..query };
            let before = thread_cpu();
            let found = index.search(&query)?;
            cpu += thread_cpu() - before;
            let page = truth.iter().skip(query.offset).take(query.k);
            let right =
                page.clone().filter(|hit| found.iter().any(|other| other.key == hit.key)).count();
            hits += right;
            all += page.len();
            short += usize::from(right < page.len());
        }
        let recall = hits as f64 / all.max(1) as f64;
        self.worst = self.worst.min(recall);
        println!(
            "  {name}: recall {recall:.4}, {:.1} % of queries miss one, mean CPU {:.0} µs",
            100.0 * short as f64 / asked.len() as f64,
            cpu * 1e6 / asked.len() as f64
        );
        Ok(())
    }
}
