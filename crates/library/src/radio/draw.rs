//! Which songs a queue has, and in which order: pure.

use std::collections::HashMap;

use songrec_core::{Digest, SongId};

/// A song that may be drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) song: SongId,
    /// As it is compared: without case and accents.
    pub(super) artist: Option<String>,
    pub(super) album: Option<String>,
    /// In seconds; 0 if it is not known.
    pub(super) duration: f64,
}

/// How songs are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// How many songs.
    pub(super) songs: usize,
    /// How long they play together at the least, in seconds.
    pub(super) seconds: Option<f64>,
    /// 0 to 1.
    pub(super) variety: f64,
    pub(super) seed: u64,
    /// Songs between two of one artist, at the least.
    pub(super) artist: usize,
    /// Songs between two of one album, at the least.
    pub(super) album: usize,
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawn {
    /// Numbers of candidates, in the order of the queue.
    pub(super) chosen: Vec<usize>,
    /// Candidates that would have come too near to a song of the same artist or album.
    pub(super) too_near: usize,
}

/// How many of the nearest songs take part in a draw of `songs`: these alone without
/// variety, and eight times as many with all of it.
pub(super) fn pool(songs: usize, variety: f64) -> usize {
    (songs as f64 * (1.0 + 7.0 * variety)).ceil() as usize
}

/// Draws from candidates, which come the most similar first. Without variety these are
/// taken in their order; with a variety of 1 the order is up to the seed, among as many
/// as take part. Of songs that do not fit yet, because of their artist or album, each is
/// looked at again after the next one that does.
///
/// The same candidates, rules and seed give the same queue.
pub(super) fn draw(candidates: &[Candidate], rules: &Rules) -> Drawn {
    let taking_part = pool(rules.songs, rules.variety).max(1);
    let key = |number: usize| {
        let rank = number as f64 / taking_part as f64;
        match number < taking_part {
            true => {
                let chance = chance(rules.seed, candidates[number].song);
                (1.0 - rules.variety) * rank + rules.variety * chance
            }
            // The others come after all that take part, for where these do not fit.
            false => 1.0 + rank,
        }
    };
    let keys: Vec<f64> = (0..candidates.len()).map(key).collect();
    let mut waiting: Vec<usize> = (0..candidates.len()).collect();
    waiting.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]).then(a.cmp(b)));
    let mut drawn = Drawn::default();
    let mut last = Last::default();
    let mut seconds = 0.0;
    while drawn.chosen.len() < rules.songs && rules.seconds.is_none_or(|wanted| seconds < wanted) {
        let fits = |number: &usize| last.allows(&candidates[*number], drawn.chosen.len(), rules);
        let Some(at) = waiting.iter().position(fits) else {
            drawn.too_near = waiting.len();
            break;
        };
        let number = waiting.remove(at);
        last.note(&candidates[number], drawn.chosen.len());
        seconds += candidates[number].duration;
        drawn.chosen.push(number);
    }
    drawn
}

/// Where the last song of each artist and album is.
#[derive(Default)]
struct Last<'a> {
    artists: HashMap<&'a str, usize>,
    albums: HashMap<&'a str, usize>,
}

impl<'a> Last<'a> {
    fn allows(&self, song: &Candidate, place: usize, rules: &Rules) -> bool {
        let is_far =
            |last: Option<&usize>, spacing: usize| last.is_none_or(|last| place - last > spacing);
        let of = |name: &Option<String>, all: &HashMap<&str, usize>, spacing| {
            name.as_deref().is_none_or(|name| is_far(all.get(name), spacing))
        };
        of(&song.artist, &self.artists, rules.artist) && of(&song.album, &self.albums, rules.album)
    }

    fn note(&mut self, song: &'a Candidate, place: usize) {
        self.artists.extend(song.artist.as_deref().map(|name| (name, place)));
        self.albums.extend(song.album.as_deref().map(|name| (name, place)));
    }
}

// A number from 0 to 1 that is a song's own for a seed, whoever else takes part.
fn chance(seed: u64, song: SongId) -> f64 {
    let bytes = [seed.to_le_bytes().as_slice(), song.as_bytes().as_slice()].concat();
    let digest = Digest::of(&bytes);
    let (head, _) = digest.0.split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_le_bytes(*head) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(songs: usize) -> Rules {
        Rules { songs, seconds: None, variety: 0.0, seed: 0, artist: 0, album: 0 }
    }

    fn candidates(names: &[(u8, u8)]) -> Vec<Candidate> {
        let one = |(number, (artist, album)): (usize, &(u8, u8))| {
            let mut id = [7; 16];
            id[..8].copy_from_slice(&(number as u64).to_le_bytes());
            // 0 stands for nobody.
            let name = |of: u8| (of > 0).then(|| of.to_string());
            Candidate {
                song: SongId::from_bytes(id),
                artist: name(*artist),
                album: name(*album),
                duration: 60.0 + f64::from(*album),
            }
        };
        names.iter().enumerate().map(one).collect()
    }

    proptest! {
        #[test]
        fn a_queue_keeps_its_rules(
            names in prop::collection::vec((0u8..6, 0u8..9), 0..120),
            songs in 0usize..40,
            variety in 0.0f64..=1.0,
            seed: u64,
            artist in 0usize..5,
            album in 0usize..5,
            minutes in prop::option::of(0.0f64..40.0),
        ) {
            let all = candidates(&names);
            let seconds = minutes.map(|minutes| minutes * 60.0);
            let rules = Rules { songs, seconds, variety, seed, artist, album };

            let drawn = draw(&all, &rules);

            prop_assert_eq!(&drawn, &draw(&all, &rules), "the same seed, the same queue");
            prop_assert!(drawn.chosen.len() <= songs.min(all.len()));
            let mut once = drawn.chosen.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), drawn.chosen.len(), "each song once");
            for (at, one) in drawn.chosen.iter().enumerate() {
                let (one, before) = (&all[*one], &drawn.chosen[..at]);
                let near = |spacing: usize| before.iter().rev().take(spacing).map(|n| &all[*n]);
                prop_assert!(one.artist.is_none() || near(artist).all(|o| o.artist != one.artist));
                prop_assert!(one.album.is_none() || near(album).all(|o| o.album != one.album));
            }
            let length = |chosen: &[usize]| chosen.iter().map(|n| all[*n].duration).sum::<f64>();
            let is_long = |chosen: &[usize]| seconds.is_some_and(|wanted| length(chosen) >= wanted);
            if let [begin @ .., _] = drawn.chosen.as_slice() {
                prop_assert!(!is_long(begin), "no song more than the time needs");
            }
            // It is short only if nothing is left, or nothing fits.
            let is_short = drawn.chosen.len() < songs && !is_long(&drawn.chosen);
            let left = all.len() - drawn.chosen.len();
            prop_assert_eq!(drawn.too_near, if is_short { left } else { 0 });
        }

        #[test]
        fn without_variety_the_most_similar_come_in_their_order(seed: u64, count in 0usize..50) {
            let all = candidates(&[(0, 0); 60]);
            let drawn = draw(&all, &Rules { seed, ..rules(count) });
            prop_assert_eq!(drawn.chosen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn variety_draws_from_farther_away_and_the_seed_decides() {
        let all = candidates(&[(0, 0); 200]);
        let with = |variety, seed| draw(&all, &Rules { variety, seed, ..rules(10) }).chosen;
        assert_ne!(with(1.0, 1), with(1.0, 2));
        let mean = |variety: f64| {
            let sums: usize = (0..50).map(|seed| with(variety, seed).iter().sum::<usize>()).sum();
            sums as f64 / 500.0
        };
        // All of 80 songs are as likely: 39.5 in the mean.
        assert!((mean(1.0) - 39.5).abs() < 3.0, "{}", mean(1.0));
        assert!(mean(0.0) < mean(0.3) && mean(0.3) < mean(0.7) && mean(0.7) < mean(1.0));
        assert!(with(1.0, 5).iter().all(|number| *number < 80));
    }
}
