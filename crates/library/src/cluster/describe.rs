//! What the songs of a cluster have in common, and a name made of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use songrec_analysis::{Rows, squared_distance};
use songrec_core::SongId;

use super::Cluster;
use crate::attributes::{Attributes, SongAttributes, Text};

/// Songs nearest to the mean that are named for each cluster.
const TYPICAL: usize = 3;
/// From this part of its songs on a cluster is named by something.
const MOST: f64 = 0.5;
/// How much more common than in the whole library that has to be there.
const LIFT: f64 = 1.3;

/// Some of the rows that were grouped, with their clusters.
pub(super) struct Groups<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) ids: &'a [SongId],
    pub(super) labels: &'a [Option<u32>],
}

/// What the clusters are like, given those of all songs.
pub(super) fn describe(
    grouped: &Groups<'_>,
    all: &[(SongId, Option<u32>)],
    clusters: u32,
    attributes: &Attributes,
) -> Vec<Cluster> {
    let library = Counts::of(all.iter().filter_map(|(song, _)| attributes.of(*song)));
    let mut members: Vec<Vec<SongId>> = vec![Vec::new(); clusters as usize];
    for (song, cluster) in all {
        if let Some(cluster) = cluster {
            members[*cluster as usize].push(*song);
        }
    }
    let shapes = shapes(grouped, clusters);
    let mut taken = BTreeSet::new();
    let describe = |(id, (members, shape)): (usize, (Vec<SongId>, Shape))| {
        let counts = Counts::of(members.iter().filter_map(|song| attributes.of(*song)));
        let with_genre = counts.with_genre.max(1) as f64;
        let most = counts.genres.values().max();
        Cluster {
            id: id as u32,
            name: unique(names(&counts, &library, attributes), &mut taken),
            named_by_hand: false,
            size: members.len() as u64,
            purity: most.map(|most| *most as f64 / with_genre),
            genres: by_text(&counts.genres, attributes),
            tightness: shape.tightness,
            typical: shape.typical,
        }
    };
    members.into_iter().zip(shapes).enumerate().map(describe).collect()
}

struct Shape {
    tightness: f64,
    typical: Vec<SongId>,
}

fn shapes(grouped: &Groups<'_>, clusters: u32) -> Vec<Shape> {
    let dimension = grouped.rows.dimension();
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); clusters as usize];
    for (row, label) in grouped.labels.iter().enumerate() {
        if let Some(label) = label {
            of[*label as usize].push(row);
        }
    }
    let mean = |rows: &mut dyn Iterator<Item = usize>| {
        let (mut sum, mut count) = (vec![0.0f64; dimension], 0u64);
        for row in rows {
            count += 1;
            sum.iter_mut()
                .zip(grouped.rows.row(row))
                .for_each(|(sum, value)| *sum += f64::from(*value));
        }
        sum.into_iter().map(|sum| (sum / count.max(1) as f64) as f32).collect::<Vec<f32>>()
    };
    let spread = |rows: &[usize], mean: &[f32]| {
        let sum: f64 =
            rows.iter().map(|row| f64::from(squared_distance(grouped.rows.row(*row), mean))).sum();
        sum / rows.len().max(1) as f64
    };
    let everything: Vec<usize> = (0..grouped.rows.len()).collect();
    let whole = spread(&everything, &mean(&mut everything.iter().copied()));
    let shape = |rows: Vec<usize>| {
        let mean = mean(&mut rows.iter().copied());
        let mut nearest: Vec<(f32, SongId)> = rows
            .iter()
            .map(|row| (squared_distance(grouped.rows.row(*row), &mean), grouped.ids[*row]))
            .collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Shape {
            tightness: if whole > 0.0 { 1.0 - spread(&rows, &mean) / whole } else { 1.0 },
            typical: nearest.iter().take(TYPICAL).map(|(_, song)| *song).collect(),
        }
    };
    of.into_iter().map(shape).collect()
}

/// How often something is said of songs.
#[derive(Default)]
struct Counts {
    songs: u64,
    with_genre: u64,
    genres: HashMap<Text, u64>,
    moods: HashMap<Text, u64>,
    instruments: HashMap<Text, u64>,
    folders: HashMap<Text, u64>,
    keys: BTreeMap<String, u64>,
    loops: u64,
    tempos: Vec<f32>,
    durations: Vec<f32>,
}

impl Counts {
    fn of<'a>(songs: impl Iterator<Item = &'a SongAttributes>) -> Self {
        let mut counts = Self::default();
        for song in songs {
            counts.songs += 1;
            counts.with_genre += u64::from(!song.genres.is_empty());
            song.genres.iter().for_each(|text| *counts.genres.entry(*text).or_default() += 1);
            song.moods.iter().for_each(|text| *counts.moods.entry(*text).or_default() += 1);
            song.instrument
                .iter()
                .for_each(|text| *counts.instruments.entry(*text).or_default() += 1);
            song.folder.iter().for_each(|text| *counts.folders.entry(*text).or_default() += 1);
            if let Some(key) = song.key {
                *counts.keys.entry(key.to_string()).or_default() += 1;
            }
            counts.loops += u64::from(song.is_loop == Some(true));
            counts.tempos.extend(song.bpm);
            counts.durations.push(song.duration);
        }
        counts.tempos.sort_by(f32::total_cmp);
        counts.durations.sort_by(f32::total_cmp);
        counts
    }

    fn part(&self, count: u64) -> f64 {
        count as f64 / self.songs.max(1) as f64
    }

    // The commonest of some texts, if most songs have it and it is commoner than in
    // the whole library, or if nearly all have it.
    fn telling(
        &self,
        of: fn(&Self) -> &HashMap<Text, u64>,
        library: &Self,
        attributes: &Attributes,
    ) -> Option<Text> {
        let commonest = of(self)
            .iter()
            .max_by(|a, b| a.1.cmp(b.1).then(attributes.text(*b.0).cmp(attributes.text(*a.0))));
        let (text, count) = commonest?;
        let part = self.part(*count);
        let there = library.part(of(library).get(text).copied().unwrap_or_default());
        (part >= MOST && part >= LIFT * there).then_some(*text)
    }

    fn median_duration(&self) -> f32 {
        self.durations.get(self.durations.len() / 2).copied().unwrap_or_default()
    }
}

// Names for a cluster, each saying more than the one before.
fn names(counts: &Counts, library: &Counts, attributes: &Attributes) -> Vec<String> {
    let text = |text: Text| attributes.text(text).to_lowercase();
    let instrument = counts.telling(|counts| &counts.instruments, library, attributes).map(text);
    let genre = counts.telling(|counts| &counts.genres, library, attributes).map(text);
    let mood = counts.telling(|counts| &counts.moods, library, attributes).map(text);
    let folder = counts.telling(|counts| &counts.folders, library, attributes);
    let folder = folder.map(|folder| {
        let folder = attributes.text(folder);
        folder.rsplit('/').next().unwrap_or(folder).to_lowercase()
    });
    let loops = counts.part(counts.loops);
    let is_loops = loops >= 0.8 && loops >= LIFT * library.part(library.loops);
    let (here, there) = (counts.median_duration(), library.median_duration());
    let length = match there > 0.0 {
        true if here < there / 2.0 => Some("short"),
        true if here > there * 2.0 => Some("long"),
        _ => None,
    };
    let noun = instrument.or_else(|| genre.clone()).or(folder);
    let first = match (mood, noun, is_loops) {
        (Some(mood), Some(noun), _) => format!("{mood} {noun}"),
        (None, Some(noun), true) => format!("{noun} loops"),
        (None, Some(noun), false) => noun,
        (Some(mood), None, _) => format!("{mood} sounds"),
        (None, None, true) => "loops".to_owned(),
        (None, None, false) => format!("{} sounds", length.unwrap_or("mixed")),
    };
    let mut names = vec![first.clone()];
    let mut say_more = |more: &str| {
        let last: &String = names.last().expect("there is the first");
        if !last.contains(more) {
            let longer = format!("{last}, {more}");
            names.push(longer);
        }
    };
    if let Some(genre) = &genre {
        say_more(genre);
    }
    if let Some(tempo) = tempo(counts) {
        say_more(&tempo);
    }
    if let Some(length) = length {
        say_more(length);
    }
    let key = counts.keys.iter().max_by_key(|(_, count)| **count);
    if let Some((key, count)) = key
        && counts.part(*count) >= MOST
    {
        say_more(key);
    }
    names
}

// The tempo that nearly all songs of a cluster share, if most have one.
fn tempo(counts: &Counts) -> Option<String> {
    let tempos = &counts.tempos;
    if counts.part(tempos.len() as u64) < MOST {
        return None;
    }
    let at = |part: f64| tempos.get((tempos.len() as f64 * part) as usize).copied();
    let (low, high) = (at(0.1)?, at(0.9)?);
    let (low, high) = (low.round(), high.round());
    match high <= low * 1.15 {
        true if low == high => Some(format!("{low} BPM")),
        true => Some(format!("{low} to {high} BPM")),
        false => None,
    }
}

fn unique(names: Vec<String>, taken: &mut BTreeSet<String>) -> String {
    let last = names.last().cloned().unwrap_or_default();
    let free = names.into_iter().find(|name| !taken.contains(name));
    let name = free.unwrap_or_else(|| {
        let numbered = (2..).map(|number| format!("{last} {number}"));
        numbered.into_iter().find(|name| !taken.contains(name)).expect("numbers do not end")
    });
    taken.insert(name.clone());
    name
}

fn by_text(counts: &HashMap<Text, u64>, attributes: &Attributes) -> BTreeMap<String, u64> {
    counts.iter().map(|(text, count)| (attributes.text(*text).to_owned(), *count)).collect()
}

#[cfg(test)]
mod tests {
    use songrec_core::SongSummary;

    use super::*;

    fn attributes(
        genres: &[&str],
        instrument: Option<&str>,
        songs: std::ops::Range<u8>,
    ) -> Vec<SongSummary> {
        let of = |number: u8| SongSummary {
            genres: genres.iter().map(|genre| (*genre).to_owned()).collect(),
            instrument: instrument.map(str::to_owned),
            duration: 1.0,
            ..SongSummary::of(&songrec_core::Song::new(
                songrec_core::Digest::of(&[number]),
                songrec_core::AudioProperties::default(),
                songrec_core::Timestamp::UNIX_EPOCH,
            ))
        };
        songs.map(of).collect()
    }

    #[test]
    fn clusters_are_named_by_what_their_songs_share() {
        let mut all = attributes(&["techno"], Some("kick"), 0..10);
        all.extend(attributes(&["ambient"], None, 10..20));
        all.extend(attributes(&["ambient"], None, 20..30));
        let ids: Vec<SongId> = all.iter().map(|summary| summary.id).collect();
        let mut attributes = Attributes::default();
        all.into_iter().for_each(|summary| attributes.add(summary));
        let values: Vec<f32> =
            (0..30).flat_map(|i| [(i / 10) as f32 * 10.0, (i % 10) as f32]).collect();
        let labels: Vec<Option<u32>> = (0..30).map(|i| Some(i / 10)).collect();
        let labelled: Vec<_> = ids.iter().copied().zip(labels.iter().copied()).collect();
        let grouped = Groups { rows: Rows::new(&values, 2).unwrap(), ids: &ids, labels: &labels };

        let clusters = describe(&grouped, &labelled, 3, &attributes);

        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["kick", "ambient", "ambient 2"]);
        assert_eq!(clusters[1].genres, [("ambient".to_owned(), 10)].into());
        assert_eq!(clusters[1].purity, Some(1.0));
        // The mean of each is between its fifth and its sixth song.
        assert_eq!(clusters[0].typical[..2].len(), 2);
        assert!(clusters[0].typical[..2].iter().all(|id| ids[4..6].contains(id)));
        assert!((clusters[0].tightness - 0.89).abs() < 0.01, "{}", clusters[0].tightness);
    }
}
