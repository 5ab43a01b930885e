//! The best way through layers of candidates: pure.

use std::collections::HashSet;

use songrec_core::{Key, SongId};

/// Ways that are followed at once.
const WIDTH: usize = 64;
/// How much two tempos may differ, as a part of the slower one.
const TEMPO: f64 = 0.06;

/// A song that may stand at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) song: SongId,
    /// How far it is from where the way should be there; lower is better.
    pub(super) distance: f64,
    pub(super) key: Option<Key>,
    pub(super) bpm: Option<f64>,
}

/// Whether two songs can be mixed: their keys are neighbors on the Camelot wheel, and
/// their tempos differ by no more than 6 %. What is not known fits nothing.
pub(super) fn mixes(a: &Step, b: &Step) -> bool {
    let keys = a.key.zip(b.key).is_some_and(|(a, b)| a.compatible().contains(&b));
    let tempos = a.bpm.zip(b.bpm).is_some_and(|(a, b)| {
        let (slow, fast) = (a.min(b), a.max(b));
        slow > 0.0 && fast / slow <= 1.0 + TEMPO
    });
    keys && tempos
}

/// A way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chain {
    /// Numbers of the layer and of the candidate in it, in the order of the way.
    pub(super) steps: Vec<(usize, usize)>,
    /// Layers of which no candidate fits.
    pub(super) skipped: usize,
}

/// The way from `first` to `last` through one candidate of each layer, without a song
/// twice, whose distances together are least, as far as 64 ways side by side find it. With
/// `mix` each song can be mixed with the next. A layer where nothing fits is passed over.
pub(super) fn chain(first: &Step, layers: &[Vec<Step>], last: &Step, mix: bool) -> Chain {
    let fits = |a: &Step, b: &Step| !mix || mixes(a, b);
    let mut ways = vec![Way { used: HashSet::from([first.song, last.song]), ..Way::default() }];
    for (number, layer) in layers.iter().enumerate() {
        let mut longer: Vec<Way> = Vec::new();
        for way in &ways {
            let end = way.end(layers).unwrap_or(first);
            for (at, step) in layer.iter().enumerate() {
                if !way.used.contains(&step.song) && fits(end, step) {
                    longer.push(way.with(number, at, step));
                }
            }
        }
        // Where some go on, those that cannot are worth less than any of them.
        longer.extend(ways.into_iter().map(Way::past));
        longer.sort_by(|a, b| a.skipped.cmp(&b.skipped).then(a.cost.total_cmp(&b.cost)));
        longer.truncate(WIDTH);
        ways = longer;
    }
    // The last step has to fit as well; a way may end earlier so that it does.
    let best = ways.into_iter().map(|way| way.ending(layers, first, |end| fits(end, last)));
    let best = best.min_by(|a, b| a.skipped.cmp(&b.skipped).then(a.cost.total_cmp(&b.cost)));
    let best = best.unwrap_or_default();
    Chain { steps: best.steps, skipped: best.skipped }
}

#[derive(Clone, Debug, Default)]
struct Way {
    steps: Vec<(usize, usize)>,
    used: HashSet<SongId>,
    cost: f64,
    skipped: usize,
}

impl Way {
    fn end<'a>(&self, layers: &'a [Vec<Step>]) -> Option<&'a Step> {
        self.steps.last().map(|(layer, at)| &layers[*layer][*at])
    }

    fn with(&self, layer: usize, at: usize, step: &Step) -> Self {
        let mut longer = self.clone();
        longer.steps.push((layer, at));
        longer.used.insert(step.song);
        longer.cost += step.distance;
        longer
    }

    fn past(mut self) -> Self {
        self.skipped += 1;
        self
    }

    fn ending(mut self, layers: &[Vec<Step>], first: &Step, fits: impl Fn(&Step) -> bool) -> Self {
        while !self.steps.is_empty() && !fits(self.end(layers).unwrap_or(first)) {
            self.steps.pop();
            self.skipped += 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(song: u8, distance: f64, key: u8, bpm: f64) -> Step {
        let names = ["C", "Am", "G", "Em", "F#", "Ebm"];
        let key = names.get(usize::from(key)).map(|name| name.parse().unwrap());
        Step { song: SongId::from_bytes([song; 16]), distance, key, bpm: Some(bpm) }
    }

    fn layers() -> impl Strategy<Value = Vec<Vec<Step>>> {
        let one = (2u8..30, 0.0f64..1.0, 0u8..7, 90.0f64..130.0);
        let step = one.prop_map(|(song, distance, key, bpm)| step(song, distance, key, bpm));
        prop::collection::vec(prop::collection::vec(step, 0..8), 0..10)
    }

    proptest! {
        #[test]
        fn a_way_keeps_its_rules(layers in layers(), mix: bool) {
            let (first, last) = (step(0, 0.0, 0, 120.0), step(1, 0.0, 1, 121.0));

            let found = chain(&first, &layers, &last, mix);

            prop_assert_eq!(&found, &chain(&first, &layers, &last, mix));
            prop_assert_eq!(found.steps.len() + found.skipped, layers.len());
            let way: Vec<&Step> = std::iter::once(&first)
                .chain(found.steps.iter().map(|(layer, at)| &layers[*layer][*at]))
                .chain([&last])
                .collect();
            let songs: HashSet<SongId> = way.iter().map(|one| one.song).collect();
            prop_assert_eq!(songs.len(), way.len(), "no song twice");
            prop_assert!(found.steps.is_sorted_by(|a, b| a.0 < b.0), "gradual");
            if mix && way.len() > 2 {
                prop_assert!(way.windows(2).all(|pair| mixes(pair[0], pair[1])));
            }
        }

        #[test]
        fn the_best_of_all_ways_is_found_where_they_are_few(
            costs in prop::collection::vec(prop::collection::vec(0.0f64..1.0, 1..4), 1..4),
        ) {
            // All songs differ: then the best way is the best of each layer.
            let mut song = 1;
            let layers: Vec<Vec<Step>> = costs
                .iter()
                .map(|layer| layer.iter().map(|cost| { song += 1; step(song, *cost, 0, 100.0) }).collect())
                .collect();
            let (first, last) = (step(0, 0.0, 0, 100.0), step(1, 0.0, 0, 100.0));
            let found = chain(&first, &layers, &last, false);
            for (layer, at) in found.steps {
                let least = costs[layer].iter().copied().fold(f64::MAX, f64::min);
                prop_assert_eq!(costs[layer][at], least);
            }
        }
    }

    #[test]
    fn a_detour_is_taken_where_the_nearest_cannot_be_mixed() {
        let (first, last) = (step(0, 0.0, 0, 120.0), step(1, 0.0, 3, 124.0));
        // From C by G to Em; the nearest in the middle is in F#.
        let layers = vec![vec![step(2, 0.1, 4, 120.0), step(3, 0.5, 2, 122.0)]];
        assert_eq!(chain(&first, &layers, &last, true).steps, [(0, 1)]);
        assert_eq!(chain(&first, &layers, &last, false).steps, [(0, 0)]);
        let none = vec![vec![step(2, 0.1, 4, 120.0)]];
        let way = chain(&first, &none, &last, true);
        assert_eq!((way.steps.len(), way.skipped), (0, 1));
        assert!(!mixes(&step(2, 0.0, 0, 100.0), &step(3, 0.0, 0, 106.1)));
        assert!(mixes(&step(2, 0.0, 0, 100.0), &step(3, 0.0, 0, 106.0)));
    }
}
