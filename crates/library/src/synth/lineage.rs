//! What synths come from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{KeptSynth, SynthLink, SynthList};

/// Which way is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To what a synth comes from.
    Up,
    /// To what comes from it.
    Down,
}

/// What a synth comes from, and what comes from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// The synth that was asked for.
    pub synth: NamedSynth,
    /// What it comes from, the nearest first; missing if it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<Vec<Relative>>,
    /// What comes from it, the nearest first; missing if it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Vec<Relative>>,
    /// Synths that come from each other in a circle, each of which comes from the next one:
    /// two libraries may have made the links of one.
    pub cycles: Vec<Vec<NamedSynth>>,
}

/// A synth by its id and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamedSynth {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl NamedSynth {
    fn of(kept: &KeptSynth) -> Self {
        Self { id: kept.id.clone(), name: kept.synth.name.clone() }
    }
}

/// A link, seen from the synth that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Relative {
    /// The id of the synth that is farther away.
    pub id: String,
    /// Its name; of one that is gone, that which it had.
    pub name: String,
    /// The id of the synth that is nearer.
    pub of: String,
    /// How much of the parent the child has, from 0 to 1.
    pub weight: f64,
    /// How many links away it is, from 1.
    pub depth: usize,
    /// Whether it is gone.
    pub missing: bool,
}

/// A link that counts no more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndedLink {
    /// The child.
    pub child: NamedSynth,
    /// The parent.
    pub parent: NamedSynth,
    /// How much of it the child had.
    pub weight: f64,
}

/// The links of a synth, in the directions that are asked for. Each link is named once,
/// also where synths come from each other in a circle.
pub fn synth_lineage(list: &SynthList, kept: &KeptSynth, ways: &[Way]) -> Lineage {
    let graph = Graph::of(list);
    let mut met = BTreeSet::from([kept.id.as_str()]);
    let mut look = |way: Way| {
        ways.contains(&way).then(|| {
            let found = graph.relatives(kept, way);
            met.extend(found.iter().filter_map(|one| Some(list.get(&one.id)?.id.as_str())));
            found
        })
    };
    let (up, down) = (look(Way::Up), look(Way::Down));
    let cycles = graph.cycles();
    let is_met = |cycle: &Vec<&KeptSynth>| cycle.iter().any(|one| met.contains(one.id.as_str()));
    let named = |cycle: Vec<&KeptSynth>| cycle.into_iter().map(NamedSynth::of).collect();
    let cycles = cycles.into_iter().filter(is_met).map(named).collect();
    Lineage { synth: NamedSynth::of(kept), up, down, cycles }
}

/// The links that end if a synth goes.
pub(super) fn ended_links(list: &SynthList, id: &str) -> Vec<EndedLink> {
    let all = list
        .synths
        .iter()
        .flat_map(|child| list.links(child).map(move |(link, parent)| (child, link, parent)));
    let is_meant = |(child, _, parent): &(&KeptSynth, &SynthLink, &KeptSynth)| {
        child.id == id || parent.id == id
    };
    let ended = |(child, link, parent): (&KeptSynth, &SynthLink, &KeptSynth)| EndedLink {
        child: NamedSynth::of(child),
        parent: NamedSynth::of(parent),
        weight: link.weight,
    };
    all.filter(is_meant).map(ended).collect()
}

/// Synths, and the links between those that are there.
pub(super) struct Graph<'a> {
    by_id: BTreeMap<&'a str, &'a KeptSynth>,
    children: BTreeMap<&'a str, Vec<(&'a SynthLink, &'a KeptSynth)>>,
}

impl<'a> Graph<'a> {
    pub(super) fn of(list: &'a SynthList) -> Self {
        let by_id = list.synths.iter().map(|kept| (kept.id.as_str(), kept)).collect();
        let mut children: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for child in &list.synths {
            for link in &child.synth.parents {
                children.entry(&link.parent).or_default().push((link, child));
            }
        }
        Self { by_id, children }
    }

    fn parents(&self, kept: &'a KeptSynth) -> impl Iterator<Item = &'a KeptSynth> + '_ {
        kept.synth.parents.iter().filter_map(|link| self.by_id.get(link.parent.as_str()).copied())
    }

    // All links in one direction, the nearest first.
    fn relatives(&self, from: &'a KeptSynth, way: Way) -> Vec<Relative> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([from.id.as_str()]);
        let mut waiting = VecDeque::from([(from, 1)]);
        while let Some((of, depth)) = waiting.pop_front() {
            let links: Vec<(&SynthLink, Option<&KeptSynth>)> = match way {
                Way::Up => {
                    let there = |link: &'a SynthLink| self.by_id.get(link.parent.as_str()).copied();
                    of.synth.parents.iter().map(|link| (link, there(link))).collect()
                }
                Way::Down => {
                    let children = self.children.get(of.id.as_str());
                    children
                        .into_iter()
                        .flatten()
                        .map(|(link, kept)| (*link, Some(*kept)))
                        .collect()
                }
            };
            for (link, kept) in links {
                found.push(Relative {
                    id: kept.map_or(&link.parent, |kept| &kept.id).clone(),
                    name: kept.map_or(&link.name, |kept| &kept.synth.name).clone(),
                    of: of.id.clone(),
                    weight: link.weight,
                    depth,
                    missing: kept.is_none(),
                });
                if let Some(kept) = kept.filter(|kept| seen.insert(&kept.id)) {
                    waiting.push_back((kept, depth + 1));
                }
            }
        }
        found
    }

    // A circle out of every group of synths that come from each other.
    fn cycles(&self) -> Vec<Vec<&'a KeptSynth>> {
        // Whatever comes from nothing that is left is in no circle.
        let mut left: BTreeMap<&str, usize> = self
            .by_id
            .values()
            .map(|kept| (kept.id.as_str(), self.parents(kept).count()))
            .collect();
        let mut free: Vec<&str> =
            left.iter().filter(|(_, parents)| **parents == 0).map(|(id, _)| *id).collect();
        while let Some(id) = free.pop() {
            left.remove(id);
            for (_, child) in self.children.get(id).into_iter().flatten() {
                if let Some(parents) = left.get_mut(child.id.as_str()) {
                    *parents -= 1;
                    if *parents == 0 {
                        free.push(&child.id);
                    }
                }
            }
        }
        // What is left has a parent that is left, so that whoever goes up comes to a circle.
        let mut cycles = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for id in left.keys() {
            let mut way: Vec<&KeptSynth> = Vec::new();
            let mut at = self.by_id.get(id).copied();
            while let Some(kept) = at.filter(|kept| seen.insert(&kept.id)) {
                way.push(kept);
                at = self.parents(kept).find(|parent| left.contains_key(parent.id.as_str()));
            }
            let begin = at.and_then(|at| way.iter().position(|kept| kept.id == at.id));
            cycles.extend(begin.map(|begin| way.split_off(begin)));
        }
        cycles
    }

    // How `from` comes from `to`, by way of which synths.
    pub(super) fn way_up(&self, from: &'a KeptSynth, to: &str) -> Option<Vec<&'a KeptSynth>> {
        let mut before: BTreeMap<&str, &KeptSynth> = BTreeMap::new();
        let mut waiting = VecDeque::from([from]);
        while let Some(at) = waiting.pop_front() {
            if at.id == to {
                let mut way = vec![at];
                while let Some(last) = way.last()
                    && last.id != from.id
                    && let Some(nearer) = before.get(last.id.as_str())
                {
                    way.push(nearer);
                }
                way.reverse();
                return Some(way);
            }
            for parent in self.parents(at) {
                if parent.id != from.id && !before.contains_key(parent.id.as_str()) {
                    before.insert(&parent.id, at);
                    waiting.push_back(parent);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use songrec_core::{Document, DocumentKind, Timestamp};

    use super::{
        super::{Synth, body::Definition},
        *,
    };

    // Synths with the parents that each has.
    fn list(all: &[(&str, &[&str])]) -> SynthList {
        let kept = |(name, parents): &(&str, &[&str])| {
            let source = format!("SynthDef(\\{name}, {{ Out.ar(0, Saw.ar) }})");
            let definition = &Definition::all(&source, None).unwrap()[0];
            let mut synth = Synth::new(definition, name, Timestamp::UNIX_EPOCH).unwrap();
            for parent in *parents {
                synth.link(SynthLink::new(parent, parent, 0.5)).unwrap();
            }
            let body = synth.to_body().unwrap();
            let document = Document::new(DocumentKind::Synth, *name, body, Timestamp::UNIX_EPOCH);
            KeptSynth::of(&document).unwrap()
        };
        SynthList { synths: all.iter().map(kept).collect(), ..SynthList::default() }
    }

    fn names(relatives: &[Relative]) -> Vec<(String, String, usize)> {
        relatives.iter().map(|one| (one.id.clone(), one.of.clone(), one.depth)).collect()
    }

    fn of(id: &str, near: &str, depth: usize) -> (String, String, usize) {
        (id.to_owned(), near.to_owned(), depth)
    }

    #[test]
    fn every_link_is_named_once_the_nearest_first() {
        let list = list(&[("a", &[]), ("b", &["a"]), ("c", &["a", "gone"]), ("d", &["b", "c"])]);

        let lineage = synth_lineage(&list, list.get("d").unwrap(), &[Way::Up]);
        assert_eq!(
            names(&lineage.up.unwrap()),
            [
                of("b", "d", 1),
                of("c", "d", 1),
                of("a", "b", 2),
                of("a", "c", 2),
                of("gone", "c", 2)
            ]
        );
        assert_eq!((lineage.down, lineage.cycles), (None, vec![]));
        let below = synth_lineage(&list, list.get("a").unwrap(), &[Way::Down]).down.unwrap();
        assert_eq!(
            names(&below),
            [of("b", "a", 1), of("c", "a", 1), of("d", "b", 2), of("d", "c", 2)]
        );
        let ended: Vec<String> =
            ended_links(&list, "b").into_iter().map(|one| one.child.id + &one.parent.id).collect();
        assert_eq!(ended, ["ba", "db"]);
    }

    #[test]
    fn circles_are_named_and_end() {
        let list = list(&[
            ("a", &["c"]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("d", &["c"]),
            ("e", &["e"]),
            ("f", &[]),
        ]);

        let lineage = synth_lineage(&list, list.get("d").unwrap(), &[Way::Up, Way::Down]);
        let ids: Vec<&str> = lineage.cycles[0].iter().map(|one| one.id.as_str()).collect();
        assert_eq!((lineage.cycles.len(), ids), (1, vec!["a", "c", "b"]));
        assert_eq!(lineage.up.unwrap().len(), 4);
        let alone = synth_lineage(&list, list.get("e").unwrap(), &[Way::Up]);
        assert_eq!(json!(alone.cycles), json!([[{"id": "e", "name": "e"}]]));
        let none = synth_lineage(&list, list.get("f").unwrap(), &[Way::Up, Way::Down]);
        assert_eq!((none.cycles, none.up), (vec![], Some(vec![])));
    }

    #[test]
    fn a_long_line_does_not_overflow() {
        let names: Vec<String> = (0..2_000).map(|number| format!("s{number:05}")).collect();
        let mut all: Vec<(&str, Vec<&str>)> =
            names.windows(2).map(|pair| (pair[0].as_str(), vec![pair[1].as_str()])).collect();
        all.push((names.last().unwrap(), vec![]));
        let all: Vec<(&str, &[&str])> =
            all.iter().map(|(name, parents)| (*name, parents.as_slice())).collect();
        let list = list(&all);

        let lineage = synth_lineage(&list, list.get("s00000").unwrap(), &[Way::Up]);
        assert_eq!(lineage.up.unwrap().last().unwrap().depth, 1_999);
        assert_eq!(
            Graph::of(&list).way_up(list.get("s00000").unwrap(), "s01999").unwrap().len(),
            2_000
        );
    }
}
