use proptest::prelude::*;
use serde_json::json;

use super::*;

// A world of libraries that hold one document each, and what was done to it.
#[derive(Clone, Debug)]
struct World {
    libraries: Vec<Version>,
    next: u64,
    // The write, its kind, and what its writer had seen.
    done: Vec<(Op, Kind, BTreeSet<Op>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Add,
    Title(u8),
    Tag(u8),
    Untag(u8),
    Delete,
    Restore,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize, Kind, i64),
    // Both get the join, or only one of them does.
    Sync(usize, usize, bool, bool),
    Copy(usize, usize),
    // What is worked out from the audio, by an analysis of a version.
    Hear(usize, u64, u8),
    RemoveForEver(usize, u8),
}

fn stamp(number: u64, skew: i64) -> Stamp {
    let millisecond = 1_000_000 + i64::try_from(number).unwrap() + skew;
    Stamp::after(Stamp::default(), crate::Timestamp::from_millisecond(millisecond).unwrap())
}

impl World {
    fn new(libraries: usize) -> Self {
        Self { libraries: vec![Version::new(); libraries], next: 0, done: Vec::new() }
    }

    fn may(&self, at: usize, kind: Kind) -> bool {
        let version = &self.libraries[at];
        match kind {
            Kind::Add => version.seen().is_empty(),
            Kind::Restore => !version.is_alive() && !version.seen().is_empty(),
            Kind::Title(_) | Kind::Tag(_) | Kind::Untag(_) | Kind::Delete => version.is_alive(),
        }
    }

    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Write(at, kind, skew) => {
                if !self.may(at, kind) {
                    return false;
                }
                self.next += 1;
                let op = Op::made_of(&self.next.to_string());
                let version = &mut self.libraries[at];
                self.done.push((op, kind, version.seen().clone()));
                let life = (LIFE.to_owned(), Value::Null);
                let tag = |tag: u8| format!("genre={tag}");
                let time = stamp(self.next, skew);
                match kind {
                    Kind::Add | Kind::Restore => version.write(op, time, [], vec![life]),
                    Kind::Title(value) => {
                        version.write(op, time, [], vec![life, ("title".into(), json!(value))]);
                    }
                    Kind::Tag(one) => {
                        version.write(op, time, [], vec![life, (tag(one), json!(null))])
                    }
                    Kind::Untag(one) => version.write(op, time, [tag(one).as_str()], vec![life]),
                    Kind::Delete => version.bury(op),
                }
            }
            Step::Sync(one, two, left, right) => {
                let joined = self.libraries[one].join(&self.libraries[two]);
                if left {
                    self.libraries[one] = joined.clone();
                }
                if right {
                    self.libraries[two] = joined;
                }
            }
            Step::Copy(from, to) => self.libraries[to] = self.libraries[from].clone(),
            Step::Hear(at, rank, value) => self.libraries[at].raise("audio", rank, json!(value)),
            Step::RemoveForEver(at, one) => {
                self.libraries[at].remove_for_ever([one.to_string()]);
            }
        }
        true
    }

    // Syncs along all pairs until nothing changes.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10, "it does not come to rest");
            let before = self.libraries.clone();
            for one in 0..self.libraries.len() {
                for two in one + 1..self.libraries.len() {
                    self.step(Step::Sync(one, two, true, true));
                }
            }
            if before == self.libraries {
                return;
            }
        }
    }

    fn check(&self) {
        let version = &self.libraries[0];
        for other in &self.libraries {
            assert_eq!(other, version);
            assert!(other.agrees_with(version) && other.includes(version));
        }
        let known: Vec<_> =
            self.done.iter().filter(|one| version.seen().contains(&one.0)).collect();
        let overwritten = |op: Op, by: &dyn Fn(Kind) -> bool| {
            known.iter().any(|(_, kind, seen)| seen.contains(&op) && by(*kind))
        };
        let lives = known.iter().any(|(op, kind, _)| {
            *kind != Kind::Delete && !overwritten(*op, &|kind| kind == Kind::Delete)
        });
        assert_eq!(version.is_alive(), lives);
        for (op, kind, _) in &known {
            let (key, over) = match *kind {
                Kind::Title(_) => {
                    let by = |kind| matches!(kind, Kind::Title(_));
                    ("title".to_owned(), overwritten(*op, &by))
                }
                Kind::Tag(one) => {
                    let by = |kind| kind == Kind::Tag(one) || kind == Kind::Untag(one);
                    (format!("genre={one}"), overwritten(*op, &by))
                }
                _ => continue,
            };
            assert_eq!(version.values(&key).any(|(_, of, _)| of == *op), !over, "{kind:?}");
        }
    }
}

fn step(libraries: usize) -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        2 => Just(Kind::Add),
        4 => any::<u8>().prop_map(Kind::Title),
        2 => (0..3u8).prop_map(Kind::Tag),
        1 => (0..3u8).prop_map(Kind::Untag),
        2 => Just(Kind::Delete),
        1 => Just(Kind::Restore),
    ];
    prop_oneof![
        4 => (0..libraries, kind, -50..50i64).prop_map(|(at, kind, skew)| Step::Write(at, kind, skew)),
        5 => (0..libraries, 0..libraries, any::<bool>(), any::<bool>())
            .prop_map(|(one, two, left, right)| Step::Sync(one, two, left, right)),
        1 => (0..libraries, 0..libraries).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => (0..libraries, 0..3u64, any::<u8>())
            .prop_map(|(at, rank, value)| Step::Hear(at, rank, value)),
        1 => (0..libraries, any::<u8>()).prop_map(|(at, one)| Step::RemoveForEver(at, one)),
    ]
}

fn world() -> impl Strategy<Value = World> {
    (2..6usize)
        .prop_flat_map(|libraries| {
            (Just(libraries), proptest::collection::vec(step(libraries), 0..60))
        })
        .prop_map(|(libraries, steps)| {
            let mut world = World::new(libraries);
            for step in steps {
                world.step(step);
            }
            world
        })
}

proptest! {
    #[test]
    fn a_join_is_commutative_associative_idempotent_and_only_grows(world in world()) {
        for a in &world.libraries {
            prop_assert_eq!(&a.join(a), a);
            for b in &world.libraries {
                let joined = a.join(b);
                prop_assert_eq!(&joined, &b.join(a));
                prop_assert!(joined.includes(a) && joined.includes(b));
                prop_assert_eq!(&joined.join(a), &joined);
                prop_assert_eq!(a.includes(b), &joined == a);
                prop_assert_eq!(a.agrees_with(b), a == b);
                for c in &world.libraries {
                    prop_assert_eq!(joined.join(c), a.join(&b.join(c)));
                }
            }
        }
    }

    #[test]
    fn every_history_comes_to_rest_and_keeps_what_nobody_overwrote(mut world in world()) {
        // What a copy took the place of is gone.
        let held: BTreeSet<Op> =
            world.libraries.iter().flat_map(|version| version.seen().iter().copied()).collect();
        world.done.retain(|(op, ..)| held.contains(op));
        world.settle();
        world.check();
    }
}

// Every history of so many steps of so many libraries, each pair in sync.
fn exhaust(libraries: usize, steps: usize) -> u64 {
    let mut all = Vec::new();
    for at in 0..libraries {
        for kind in [Kind::Add, Kind::Title(0), Kind::Delete, Kind::Restore] {
            all.push(Step::Write(at, kind, 0));
        }
        for other in at + 1..libraries {
            for (left, right) in [(true, true), (true, false), (false, true)] {
                all.push(Step::Sync(at, other, left, right));
            }
        }
    }
    fn go(world: &World, left: usize, all: &[Step]) -> u64 {
        if left == 0 {
            let mut world = world.clone();
            world.settle();
            world.check();
            return 1;
        }
        let next = |step: &Step| {
            let mut world = world.clone();
            // Each title is another one.
            let step = match *step {
                Step::Write(at, Kind::Title(_), skew) => {
                    Step::Write(at, Kind::Title(u8::try_from(world.next).unwrap()), skew)
                }
                other => other,
            };
            if world.step(step) { go(&world, left - 1, all) } else { 0 }
        };
        all.iter().map(next).sum()
    }
    go(&World::new(libraries), steps, &all)
}

#[test]
fn every_short_history_comes_to_rest() {
    assert_eq!(exhaust(2, 5), 6_001);
    assert_eq!(exhaust(3, 4), 23_760);
}

#[test]
fn every_history_of_five_steps_comes_to_rest() {
    assert_eq!(exhaust(3, 5), 313_527);
}

fn said(op: u64, moment: u64, value: u8) -> Version {
    let mut version = Version::new();
    version.write(Op(op), stamp(moment, 0), [], vec![("title".into(), json!(value))]);
    version
}

#[test]
fn of_values_that_did_not_know_each_other_the_later_comes_first() {
    let joined = said(2, 1, 7).join(&said(1, 2, 8));

    let values: Vec<_> = joined.values("title").map(|(.., value)| value.clone()).collect();

    assert_eq!(values, [8, 7]);
    assert_eq!(joined.shown()["title"].value, &values[0]);
}

#[test]
fn one_write_that_was_damaged_is_read_alike_by_all() {
    let (one, two) = (said(1, 1, 7), said(1, 2, 8));

    assert_eq!(one.join(&two), two.join(&one));
    assert_eq!(one.join(&two).values("title").count(), 1);
}
