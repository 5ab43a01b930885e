//! The songs of a map by the kind that their color stands for.

use std::collections::HashMap;

use serde::Serialize;

use super::{MapColor, MapData, MapSong};

/// The class of a song without one.
pub const NO_CLASS: u16 = u16::MAX;
/// Ranges that numbers are put in.
const RANGES: usize = 12;

/// Songs of a map that have a color in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapClass {
    /// What they have in common, such as a genre, or a range such as `110 to 120`.
    pub name: String,
    /// How many there are.
    pub count: u64,
}

impl MapData {
    /// The classes of the songs, those of kinds with the most songs first and ranges
    /// from below, and for each song the number of its class, or [`NO_CLASS`]. Of more
    /// than 65,534 kinds the smallest have no class.
    pub fn classes(&self) -> (Vec<MapClass>, Vec<u16>) {
        match self.color {
            MapColor::Bpm | MapColor::Anomaly => self.ranges(),
            MapColor::Genre | MapColor::Instrument | MapColor::Cluster | MapColor::Key => {
                self.kinds()
            }
        }
    }

    fn kinds(&self) -> (Vec<MapClass>, Vec<u16>) {
        let named: HashMap<u32, &str> =
            self.clusters.iter().map(|(id, name)| (*id, name.as_str())).collect();
        let kind_of = |song: &MapSong| match self.color {
            MapColor::Genre => song.genre.as_deref().map(str::to_owned),
            MapColor::Instrument => song.instrument.as_deref().map(str::to_owned),
            MapColor::Key => song.key.map(|key| key.to_string()),
            MapColor::Cluster => song
                .cluster
                .map(|id| named.get(&id).map_or_else(|| id.to_string(), |name| (*name).to_owned())),
            MapColor::Bpm | MapColor::Anomaly => None,
        };
        let mut counts: HashMap<String, u64> = HashMap::new();
        for kind in self.songs.iter().flatten().filter_map(kind_of) {
            *counts.entry(kind).or_default() += 1;
        }
        let mut classes: Vec<MapClass> =
            counts.into_iter().map(|(name, count)| MapClass { name, count }).collect();
        classes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        classes.truncate(usize::from(NO_CLASS));
        let numbers: HashMap<&str, u16> =
            (0..).zip(&classes).map(|(number, class)| (class.name.as_str(), number)).collect();
        let class = |song: &Option<MapSong>| {
            let kind = song.as_ref().and_then(kind_of);
            kind.and_then(|kind| numbers.get(kind.as_str()).copied()).unwrap_or(NO_CLASS)
        };
        let of_songs = self.songs.iter().map(class).collect();
        (classes, of_songs)
    }

    fn ranges(&self) -> (Vec<MapClass>, Vec<u16>) {
        let number = |song: &MapSong| match self.color {
            MapColor::Bpm => song.bpm,
            _ => song.anomaly,
        };
        let mut numbers: Vec<f64> = self.songs.iter().flatten().filter_map(number).collect();
        numbers.sort_by(f64::total_cmp);
        // A single far one would take all ranges.
        let at = |part: f64| numbers.get((numbers.len() as f64 * part) as usize).copied();
        let (low, high) = (at(0.02).unwrap_or(0.0), at(0.98).unwrap_or(1.0));
        let step = ((high - low) / RANGES as f64).max(f64::MIN_POSITIVE);
        let digits = if self.color == MapColor::Bpm { 0 } else { 3 };
        let mut classes: Vec<MapClass> = (0..RANGES)
            .map(|range| {
                let (from, to) = (low + step * range as f64, low + step * (range + 1) as f64);
                MapClass { name: format!("{from:.digits$} to {to:.digits$}"), count: 0 }
            })
            .collect();
        let mut class = |song: &Option<MapSong>| {
            let Some(number) = song.as_ref().and_then(number) else { return NO_CLASS };
            let range = (((number - low) / step).max(0.0) as usize).min(RANGES - 1);
            classes[range].count += 1;
            range as u16
        };
        let of_songs = self.songs.iter().map(&mut class).collect();
        (classes, of_songs)
    }
}
