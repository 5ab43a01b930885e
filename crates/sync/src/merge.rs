//! One song out of two versions of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use songrec_core::{Conflict, Edits, Field, OperationId, Song, SongFile, Sources, Stamp, Tags};

use crate::{
    MergedField, Pair, Place, Rules,
    values::{Values, said_by},
};

/// What came of a merge.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Merged {
    /// The song; its revision and the facts it names are the caller's.
    pub(crate) song: Song,
    /// Fields that both sides had changed, and values that did not come
    /// through.
    pub(crate) fields: Vec<MergedField>,
}

/// What both sides last agreed on, as a merge looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    pub(crate) values: &'a Values,
    /// The number of the version on each side; zero if it is not known.
    pub(crate) numbers: Pair<u64>,
}

/// Makes one song of two.
///
/// A field that one side changed since `base` becomes that side's. One that
/// both changed becomes the later one's, and the other value is kept as a
/// conflict. Lists and files are merged element by element. A value that
/// differs from the base but was set before it comes from an old copy that was
/// restored: it replaces nothing, and is kept as a conflict. Without a base
/// everything that is said counts as changed.
///
/// The result is the same with the sides exchanged, but for who `fields` says
/// it was.
pub(crate) fn merge(
    before: Option<Before<'_>>,
    left: &Song,
    right: &Song,
    rules: &Rules,
) -> Merged {
    let before = before.filter(|_| rules.base);
    let base = before.map(|before| before.values);
    let of_side = |place| if place == Place::Left { left } else { right };
    let mut merging = Merging {
        base,
        sides: Pair { left: Values::of(left), right: Values::of(right) },
        operations: Pair { left: left.revision.operation, right: right.revision.operation },
        older: Pair::of(|place| {
            rules.old_values_do_not_return
                && before
                    .is_some_and(|before| of_side(place).revision.number <= before.numbers[place])
        }),
        rules,
        fields: Vec::new(),
        lost: Vec::new(),
    };
    let edits = merging.edits();
    let (tags, sources) = merging.said();
    let files = merging.files();
    let conflicts = merging.conflicts(&edits);
    let Merging { sides, fields, .. } = merging;
    let mut stamps = sides.left.stamps;
    for (name, stamp) in sides.right.stamps {
        let known = stamps.entry(name).or_insert(stamp);
        *known = (*known).max(stamp);
    }
    let added_at = match base.map(|base| base.added_at) {
        Some(before) if left.added_at == before => right.added_at,
        Some(before) if right.added_at == before => left.added_at,
        _ => left.added_at.min(right.added_at),
    };
    // What follows from the audio: a function of it and of the version that
    // worked it out, so which of two equals is taken matters to nobody, as
    // long as everybody takes the same.
    let derived = |song: &Song| {
        let version = song.features.as_ref().map(|features| features.version);
        (version, serde_json::to_string(&(&song.features, &song.audio)).unwrap_or_default())
    };
    let newer = if derived(left) >= derived(right) { left } else { right };
    let song = Song {
        format: left.format.max(right.format).max(Song::FORMAT),
        id: left.id,
        audio_hash: left.audio_hash,
        revision: left.revision,
        files,
        blob: None,
        audio: newer.audio.clone(),
        tags,
        sources,
        edits,
        features: newer.features.clone(),
        embeddings: BTreeMap::new(),
        added_at,
        updated_at: left.updated_at.max(right.updated_at),
        stamps,
        conflicts,
    };
    Merged { song, fields }
}

/// Whether `song` holds values that were set before those of `base`, as an old
/// copy does that was restored.
pub(crate) fn is_old(before: Before<'_>, place: Place, song: &Song) -> bool {
    let base = before.values;
    let fields = base.edits.iter().chain(song.edits.iter()).map(|(field, _)| field);
    song.revision.number <= before.numbers[place]
        || fields.into_iter().any(|field| {
            let name = format!("edits.{field}");
            song.edits.get(field) != base.edits.get(field)
                && song.stamps.get(&name) < base.stamps.get(&name)
        })
        // A resolved conflict leaves a stamp.
        || base.conflicts.iter().any(|entry| {
            !song.conflicts.iter().any(|one| same_entry(one, entry))
                && song.stamps.get(&resolved(&entry.field)) < Some(&entry.stamp)
        })
}

/// The name of the stamp that says when the conflicts of a field were last
/// decided.
pub(crate) fn resolved(field: &Field) -> String {
    format!("conflicts.{field}")
}

fn same_entry(left: &Conflict, right: &Conflict) -> bool {
    left.field == right.field && left.value == right.value
}

struct Merging<'a> {
    base: Option<&'a Values>,
    sides: Pair<Values>,
    operations: Pair<OperationId>,
    // Whether a whole version is from before the base. Not by its time: every
    // write counts on, whatever the clock says.
    older: Pair<bool>,
    rules: &'a Rules,
    fields: Vec<MergedField>,
    lost: Vec<Conflict>,
}

impl Merging<'_> {
    // The side whose version counts where nothing else decides.
    fn later(&self) -> Place {
        let of = |place: Place| (self.sides[place].updated_at, self.operations[place]);
        if of(Place::Left) >= of(Place::Right) { Place::Left } else { Place::Right }
    }

    fn edits(&mut self) -> Edits {
        let fields: BTreeSet<Field> = [Some(&self.sides.left), Some(&self.sides.right), self.base]
            .into_iter()
            .flatten()
            .flat_map(|values| values.edits.iter().map(|(field, _)| field.clone()))
            .collect();
        let mut edits = Edits::default();
        for field in fields {
            if let Some(value) = self.edit(&field) {
                edits.set_value(field, value);
            }
        }
        edits
    }

    fn edit(&mut self, field: &Field) -> Option<Value> {
        let name = format!("edits.{field}");
        let said = Pair::of(|place| self.sides[place].edits.get(field).cloned());
        if said.left == said.right {
            return said.left;
        }
        let stamp = Pair::of(|place| self.sides[place].stamps.get(&name).copied());
        let before = self.base.and_then(|base| base.edits.get(field).cloned());
        let set_before = self.base.and_then(|base| base.stamps.get(&name).copied());
        let changed = Pair::of(|place| said[place] != before);
        let old = Pair::of(|place| {
            self.rules.old_values_do_not_return && changed[place] && stamp[place] < set_before
        });
        let counts = Pair::of(|place| changed[place] && !old[place]);

        let (value, from) = match (counts.left, counts.right) {
            (true, false) => (said.left.clone(), Some(Place::Left)),
            (false, true) => (said.right.clone(), Some(Place::Right)),
            (false, false) => (before, None),
            (true, true) => {
                let of =
                    |place: Place| (stamp[place], said[place].as_ref().map(ToString::to_string));
                let later =
                    if of(Place::Left) >= of(Place::Right) { Place::Left } else { Place::Right };
                match elements(&before, &said, later) {
                    Some(all) => (Some(all), None),
                    None => (said[later].clone(), Some(later)),
                }
            }
        };
        let both_changed = changed.left && changed.right;
        let mut other = None;
        let mut kept = false;
        for place in Place::BOTH {
            let came_through = contains(value.as_ref(), said[place].as_ref());
            if !changed[place] || came_through || from.is_none() && counts[place] {
                continue;
            }
            other = Some(said[place].clone().unwrap_or(Value::Null));
            if let Some(lost) = &said[place] {
                kept = true;
                self.lost.push(Conflict {
                    field: field.clone(),
                    value: lost.clone(),
                    stamp: stamp[place].unwrap_or_default(),
                    operation: self.operations[place],
                });
            }
        }
        if both_changed || other.is_some() {
            self.fields.push(MergedField { field: name, value: value.clone(), from, other, kept });
        }
        value
    }

    // What files, names, folders and imports say, each for itself.
    fn said(&mut self) -> (Tags, Sources) {
        let said = Pair::of(|place| self.sides[place].said());
        let unsorted = self.is_unsorted();
        if said.left == said.right {
            let left = &self.sides.left;
            return (left.tags.clone(), Sources { unsorted, ..left.sources.clone() });
        }
        let before = self.base.map(Values::said).unwrap_or_default();
        let names: BTreeSet<String> =
            said.left.keys().chain(said.right.keys()).chain(before.keys()).cloned().collect();
        let older = self.older;
        let later = self.later();
        let mut merged = BTreeMap::new();
        for name in names {
            let was = before.get(&name).cloned();
            let now = Pair::of(|place| said[place].get(&name).cloned());
            let changed = Pair::of(|place| now[place] != was && !older[place]);
            let value = if now.left == now.right {
                now.left
            } else {
                match (changed.left, changed.right) {
                    (true, false) => now.left,
                    (false, true) => now.right,
                    // Both from before the base: what was agreed stays.
                    (false, false) => was,
                    (true, true) => {
                        let all = elements(&was, &now, later);
                        let from = all.is_none().then_some(later);
                        let value = all.or_else(|| now[later].clone());
                        let lost = now[later.other()].clone();
                        // Nothing said is nothing lost.
                        let other = from.and(lost).filter(|lost| Some(lost) != value.as_ref());
                        self.fields.push(MergedField {
                            field: name.clone(),
                            value: value.clone(),
                            from,
                            other,
                            kept: false,
                        });
                        value
                    }
                }
            };
            if let Some(value) = value {
                merged.insert(name, value);
            }
        }
        let (tags, sources) = said_by(merged);
        (tags, Sources { unsorted, ..sources })
    }

    // One side may have sorted what both had from a document of format 1.
    fn is_unsorted(&self) -> bool {
        let now = Pair::of(|place| self.sides[place].sources.unsorted);
        match self.base {
            _ if now.left == now.right => now.left,
            Some(base) => !base.sources.unsorted,
            None => true,
        }
    }

    fn files(&mut self) -> Vec<SongFile> {
        let by_path = |values: &Values| -> BTreeMap<String, SongFile> {
            values.files.iter().map(|file| (file.path.clone(), file.clone())).collect()
        };
        let said = Pair::of(|place| by_path(&self.sides[place]));
        let before = self.base.map(by_path).unwrap_or_default();
        let older = self.older;
        let later = self.later();
        let paths: BTreeSet<&String> =
            said.left.keys().chain(said.right.keys()).chain(before.keys()).collect();
        let mut files = Vec::new();
        for path in paths {
            let was = before.get(path);
            let now = Pair::of(|place| said[place].get(path));
            // An old copy adds what is not known; it changes and removes
            // nothing.
            let changed = Pair::of(|place| now[place] != was && !(older[place] && was.is_some()));
            let file = match (changed.left, changed.right) {
                (true, false) => now.left,
                (false, true) => now.right,
                (false, false) => was,
                // A file that is gone for one and new for the other is there.
                (true, true) => now[later].or(now[later.other()]),
            };
            files.extend(file.cloned());
        }
        files
    }

    fn conflicts(&mut self, edits: &Edits) -> Vec<Conflict> {
        let mut entries: BTreeMap<(String, String), Conflict> = BTreeMap::new();
        let old = self.sides.left.conflicts.iter().chain(&self.sides.right.conflicts);
        for entry in old.filter(|entry| !self.is_decided(entry)).chain(&self.lost) {
            if edits.get(&entry.field) == Some(&entry.value) {
                continue;
            }
            let key = (entry.field.to_string(), entry.value.to_string());
            match entries.get_mut(&key) {
                Some(known) if (known.stamp, known.operation) >= (entry.stamp, entry.operation) => {
                }
                Some(known) => *known = entry.clone(),
                None => drop(entries.insert(key, entry.clone())),
            }
        }
        entries.into_values().collect()
    }

    // Whether somebody who saw this entry took it away.
    fn is_decided(&self, entry: &Conflict) -> bool {
        let has = |values: &Values| values.conflicts.iter().any(|one| same_entry(one, entry));
        let seen = self.base.is_some_and(has);
        seen && Place::BOTH.into_iter().any(|place| {
            let side = &self.sides[place];
            let decided = side.stamps.get(&resolved(&entry.field)).copied().unwrap_or_default();
            !has(side) && decided >= entry.stamp && decided > Stamp::default()
        })
    }
}

// Whether everything that `part` says is said by `whole`.
fn contains(whole: Option<&Value>, part: Option<&Value>) -> bool {
    match (whole, part) {
        (Some(Value::Array(whole)), Some(Value::Array(part))) => {
            part.iter().all(|one| whole.contains(one))
        }
        _ => whole == part,
    }
}

// Two lists merged element by element, in the order of the later one; nothing
// if they are not both lists.
fn elements(before: &Option<Value>, now: &Pair<Option<Value>>, later: Place) -> Option<Value> {
    let list = |place: Place| now[place].as_ref().and_then(Value::as_array);
    let (first, second) = (list(later)?, list(later.other())?);
    let before = match before {
        None => &[][..],
        Some(before) => before.as_array()?,
    };
    let stays = |one: &&Value, other: &[Value]| other.contains(one) || !before.contains(one);
    let mut all: Vec<Value> = first.iter().filter(|one| stays(one, second)).cloned().collect();
    for one in second.iter().filter(|one| stays(one, first)) {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    Some(Value::Array(all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use songrec_core::{AudioProperties, Digest, Revision, Timestamp};

    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    // What somebody did to a song, at a moment of its own clock.
    #[derive(Clone, Debug)]
    enum Act {
        Set(usize, u8),
        Clear(usize),
        Reset(usize),
        AddTo(usize, u8),
        TakeFrom(usize),
        Retag(u8),
        Import(u8),
        AskFolder(u8),
        AddFile(u8),
        RemoveFile,
    }

    const FIELDS: [Field; 2] = [Field::Title, Field::Artist];
    const LISTS: [Field; 2] = [Field::Genre, Field::Mood];

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..2usize, any::<u8>()).prop_map(|(field, value)| Act::Set(field, value)),
            (0..2usize).prop_map(Act::Clear),
            (0..2usize).prop_map(Act::Reset),
            (0..2usize, 0..6u8).prop_map(|(field, value)| Act::AddTo(field, value)),
            (0..2usize).prop_map(Act::TakeFrom),
            any::<u8>().prop_map(Act::Retag),
            any::<u8>().prop_map(Act::Import),
            (0..4u8).prop_map(Act::AskFolder),
            (0..4u8).prop_map(Act::AddFile),
            Just(Act::RemoveFile),
        ]
    }

    fn acts() -> impl Strategy<Value = Vec<(Act, i64)>> {
        proptest::collection::vec((act(), -1_000..1_000i64), 0..6)
    }

    fn do_all(song: &Song, acts: &[(Act, i64)]) -> Song {
        let mut song = song.clone();
        for (act, at) in acts {
            let mut edited = None;
            match act {
                Act::Set(field, value) => {
                    edited = Some(FIELDS[*field].clone());
                    song.edits.set(FIELDS[*field].clone(), Some(&value.to_string())).unwrap();
                }
                Act::Clear(field) => {
                    edited = Some(FIELDS[*field].clone());
                    song.edits.set(FIELDS[*field].clone(), None).unwrap();
                }
                Act::Reset(field) => {
                    edited = Some(FIELDS[*field].clone());
                    song.edits.reset(&FIELDS[*field]);
                }
                Act::AddTo(field, value) => {
                    let field = LISTS[*field].clone();
                    let old = song.edits.get(&field).and_then(Value::as_array).cloned();
                    let mut all = old.unwrap_or_default();
                    let value = Value::from(value.to_string());
                    if !all.contains(&value) {
                        all.push(value);
                    }
                    song.edits.set_value(field.clone(), Value::Array(all));
                    edited = Some(field);
                }
                Act::TakeFrom(field) => {
                    let field = LISTS[*field].clone();
                    let old = song.edits.get(&field).and_then(Value::as_array).cloned();
                    if let Some(mut all) = old.filter(|all| !all.is_empty()) {
                        all.remove(0);
                        song.edits.set_value(field.clone(), Value::Array(all));
                        edited = Some(field);
                    }
                }
                Act::Retag(value) => song.tags.album = Some(value.to_string()),
                Act::Import(value) => {
                    let import = &mut song.sources.import;
                    import.title = Some(value.to_string());
                    import.extra.insert(format!("name.{}", value % 3), value.to_string());
                }
                Act::AskFolder(value) => song.sources.folder.genres = vec![value.to_string()],
                Act::AddFile(value) => song.add_file(SongFile {
                    path: format!("{value}.flac"),
                    sha256: Digest::of(&[*value]),
                    size: 1,
                }),
                Act::RemoveFile => {
                    if let Some(path) = song.files.first().map(|file| file.path.clone()) {
                        song.remove_file(&path);
                    }
                }
            }
            if let Some(field) = edited {
                let last = song.stamps.values().max().copied().unwrap_or_default();
                song.stamps.insert(format!("edits.{field}"), Stamp::after(last, time(*at)));
            }
            song.revise(time(*at));
        }
        song
    }

    fn fresh() -> Song {
        Song::new(Digest::of(b"audio"), AudioProperties::default(), time(0))
    }

    fn before(values: &Values, number: u64) -> Before<'_> {
        Before { values, numbers: Pair { left: number, right: number } }
    }

    proptest! {
        #[test]
        fn merging_equals_changes_nothing(first in acts(), then in acts()) {
            let base = do_all(&fresh(), &first);
            let song = do_all(&base, &then);
            let values = Values::of(&base);

            for known in [None, Some(before(&values, base.revision.number))] {
                let merged = merge(known, &song, &song, &Rules::default());

                prop_assert_eq!(Values::of(&merged.song), Values::of(&song));
                prop_assert_eq!(merged.fields, vec![]);
            }
        }

        #[test]
        fn what_one_side_did_alone_is_done(first in acts(), then in acts()) {
            let base = do_all(&fresh(), &first);
            let song = do_all(&base, &then);
            let values = Values::of(&base);
            let known = before(&values, base.revision.number);

            let merged = merge(Some(known), &song, &base, &Rules::default());
            prop_assert!(Values::of(&merged.song).say_the_same_as(&Values::of(&song)));
            prop_assert!(!is_old(known, Place::Left, &song) || then.is_empty());

            let merged = merge(Some(known), &base, &song, &Rules::default());
            prop_assert!(Values::of(&merged.song).say_the_same_as(&Values::of(&song)));
        }

        #[test]
        fn sides_can_be_exchanged(first in acts(), one in acts(), two in acts()) {
            let base = do_all(&fresh(), &first);
            let (left, right) = (do_all(&base, &one), do_all(&base, &two));
            let values = Values::of(&base);

            for known in [None, Some(before(&values, base.revision.number))] {
                let there = merge(known, &left, &right, &Rules::default()).song;
                let back = merge(known, &right, &left, &Rules::default()).song;

                prop_assert_eq!(Values::of(&there), Values::of(&back));
                prop_assert_eq!(there.features, back.features);
            }
        }

        #[test]
        fn every_new_value_is_shown_or_in_conflict(
            first in acts(), one in acts(), two in acts()
        ) {
            let base = do_all(&fresh(), &first);
            let (left, right) = (do_all(&base, &one), do_all(&base, &two));
            let values = Values::of(&base);
            let known = Some(before(&values, base.revision.number));

            let merged = merge(known, &left, &right, &Rules::default());

            let there = Values::of(&merged.song).holdings(true);
            let old = values.holdings(true);
            for side in [&left, &right] {
                for value in Values::of(side).holdings(true) {
                    // Of tags the later file counts, and the report says so.
                    let weak = value.starts_with("tags.") || value.ends_with("says");
                    // A file that was also removed or changed is there once.
                    let weak = weak || value.starts_with("files=");
                    prop_assert!(
                        weak || old.contains(&value) || there.contains(&value),
                        "{value} is gone: {:?}", merged.song
                    );
                }
            }
        }

        #[test]
        fn merging_again_changes_nothing(first in acts(), one in acts(), two in acts()) {
            let base = do_all(&fresh(), &first);
            let (left, right) = (do_all(&base, &one), do_all(&base, &two));
            let values = Values::of(&base);
            let known = Some(before(&values, base.revision.number));
            let mut merged = merge(known, &left, &right, &Rules::default()).song;
            merged.revision = Revision { number: 100, ..merged.revision };

            // One side has the merged version, the other still what went in.
            let input = Values::of(&left);
            let again = merge(
                Some(before(&input, left.revision.number)), &left, &merged, &Rules::default()
            );

            prop_assert!(Values::of(&again.song).say_the_same_as(&Values::of(&merged)));
        }

        #[test]
        fn an_old_copy_brings_no_value_back(first in acts(), then in acts()) {
            let old = do_all(&fresh(), &first);
            let base = do_all(&old, &then);
            let values = Values::of(&base);

            let known = Some(before(&values, base.revision.number));
            let merged = merge(known, &old, &base, &Rules::default()).song;

            prop_assert_eq!(merged.edits, base.edits);
            prop_assert_eq!(merged.tags, base.tags);
            prop_assert_eq!(merged.sources, base.sources);
        }
    }

    #[test]
    fn a_conflict_goes_when_somebody_decided_and_not_when_an_old_copy_lacks_it() {
        let mut base = do_all(&fresh(), &[(Act::Set(0, 1), 0)]);
        let stamp = Stamp::after(Stamp::default(), time(0));
        let operation = base.revision.operation;
        let entry = Conflict { field: Field::Title, value: "lost".into(), stamp, operation };
        base.conflicts.push(entry);
        let values = Values::of(&base);
        let known = Some(before(&values, base.revision.number));
        let mut decided = base.clone();
        decided.conflicts.clear();
        decided.revise(time(1));
        let mut old = decided.clone();
        let later = Stamp::after(stamp, time(1));
        decided.stamps.insert(resolved(&Field::Title), later);
        old.revision.number = 1;

        assert_eq!(merge(known, &decided, &base, &Rules::default()).song.conflicts, []);
        assert_eq!(merge(known, &old, &base, &Rules::default()).song.conflicts.len(), 1);
    }
}
