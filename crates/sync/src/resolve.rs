//! What is to be done about one song: pure, and all that a sync decides.

use std::slice;

use serde::{Deserialize, Serialize};
use songrec_core::{Card, Digest, OperationId, Revision, Song, Timestamp};
use songrec_storage::{PutMode, Tombstone};

use crate::{
    Action, MergedField, Pair, Place, Rules,
    merge::{Before, Merged, is_old, merge},
    values::{Base, Input, Refs, Values},
};

/// What is known of a song on one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As both sides last agreed, as far as is known.
    #[default]
    Same,
    Present(Box<Song>),
    Deleted(Box<Tombstone>),
    /// Looked for, and not there.
    Absent,
}

/// A write that was noted before it was sent, and may have landed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The version it makes.
    pub(crate) operation: OperationId,
    /// The versions that it was made of.
    pub(crate) inputs: Pair<Option<Input>>,
}

/// Everything that is known of one song.
pub(crate) struct Case<'a> {
    pub(crate) base: Option<&'a Base>,
    pub(crate) attempts: &'a [Attempt],
    pub(crate) states: &'a Pair<State>,
    /// The number of the tombstone that was purged there, if one was.
    pub(crate) purged: Pair<Option<u64>>,
    /// Whether a side is an older copy of itself, so that it may not know what
    /// both sides had agreed on.
    pub(crate) restored: Pair<bool>,
    /// Whether a side should also get the facts that only the other has.
    pub(crate) complete: bool,
    /// What each side lacks of what the other has.
    pub(crate) lacks: &'a Lacks<'a>,
    /// Whether the sides may have different segments of it.
    pub(crate) segments: bool,
}

/// Whether a side, that names these facts of a song, lacks what the other side
/// names.
pub(crate) type Lacks<'a> = dyn Fn(Place, &Refs, &Refs, &Song) -> bool + 'a;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Nothing,
    /// There is no such song any more.
    Forget,
    /// Both sides have it alike already.
    Agreed(Box<Base>),
    /// The song as it is on that side has to be read first.
    Fetch(Place),
    Write(Box<Write>),
}

/// What both sides have to become.
#[derive(Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) target: Target,
    pub(crate) steps: Pair<Option<Step>>,
    pub(crate) inputs: Pair<Option<Input>>,
    pub(crate) merged: Vec<MergedField>,
    pub(crate) note: Option<&'static str>,
    /// Nothing is to be told but facts that a side lacks.
    pub(crate) only_facts: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// The song, without the facts that each side names by itself.
    Song(Box<Song>),
    Deleted {
        revision: Revision,
        at: Timestamp,
        seen: Box<Values>,
        title: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Put(PutMode),
    Delete(OperationId),
}

impl Write {
    pub(crate) fn title(&self) -> String {
        match &self.target {
            Target::Song(song) => Card::of(song).title,
            Target::Deleted { title, .. } => title.clone(),
        }
    }

    pub(crate) fn operation(&self) -> OperationId {
        match &self.target {
            Target::Song(song) => song.revision.operation,
            Target::Deleted { revision, .. } => revision.operation,
        }
    }
}

/// The song of a side, as `resolve` sees it.
#[derive(Clone, Copy)]
enum View<'a> {
    /// As in the base; with the document if it was read.
    Same(Option<&'a Song>),
    Present(&'a Song),
    Deleted(&'a Tombstone),
    /// A tombstone of this number was there, and every machine had seen it.
    Purged(u64),
    /// It should be there and is not.
    Lost,
    /// Nothing is there, and nothing should be.
    Gone,
}

/// Decides what is to be done about a song.
pub(crate) fn resolve(case: &Case<'_>, rules: &Rules) -> Verdict {
    let landed = landed(case);
    let base = landed.as_ref().or(case.base);
    let views = Pair::of(|place| view(case, base, place, rules));
    let resolving = Resolving { case, base, rules };
    let Pair { left, right } = views;
    match resolving.pair(Place::Left, left, right) {
        Some(verdict) => verdict,
        None => resolving.pair(Place::Right, right, left).unwrap_or(Verdict::Nothing),
    }
}

// The base that takes the place of the agreed one when a write of ours turns
// out to have landed on one side: what the other side has was made from the
// version that went into the write, and the write has all of that.
fn landed(case: &Case<'_>) -> Option<Base> {
    for attempt in case.attempts {
        let has = Pair::of(|place| match &case.states[place] {
            State::Present(song) => song.revision.operation == attempt.operation,
            State::Deleted(tombstone) => tombstone.song.revision.operation == attempt.operation,
            State::Same | State::Absent => false,
        });
        let place = match (has.left, has.right) {
            (true, false) => Place::Left,
            (false, true) => Place::Right,
            // Both have it; `resolve` sees that by itself.
            (true, true) | (false, false) => continue,
        };
        let other = place.other();
        let Some(input) = &attempt.inputs[other] else { continue };
        let mut base = case.base.filter(|base| !base.deleted).cloned().unwrap_or_else(|| Base {
            deleted: false,
            revisions: Pair::default(),
            added: Pair { left: input.values.added_at, right: input.values.added_at },
            values: Values::default(),
            refs: Pair::default(),
            segments: Vec::new(),
        });
        base.values = input.values.clone();
        base.revisions[other] = Some(input.revision);
        base.revisions[place] = None;
        base.added[other] = input.values.added_at;
        return Some(base);
    }
    None
}

fn view<'a>(case: &'a Case<'_>, base: Option<&Base>, place: Place, rules: &Rules) -> View<'a> {
    let alive = base.filter(|base| !base.deleted);
    let version = base.and_then(|base| base.revisions[place]);
    match &case.states[place] {
        State::Same if alive.is_some() => View::Same(None),
        State::Same => View::Gone,
        State::Present(song) => {
            let known = alive.and(version);
            if known.is_some_and(|known| known.operation == song.revision.operation) {
                View::Same(Some(song))
            } else {
                View::Present(song)
            }
        }
        State::Deleted(tombstone) => match (alive.is_some(), version) {
            (false, Some(known)) if known.operation == tombstone.revision.operation => View::Gone,
            // The tombstone of an earlier life, in a copy that was restored.
            (true, Some(known))
                if rules.old_values_do_not_return && tombstone.revision.number <= known.number =>
            {
                View::Lost
            }
            _ => View::Deleted(tombstone),
        },
        State::Absent if alive.is_none() => View::Gone,
        State::Absent => match case.purged[place] {
            Some(number) if number > version.map_or(0, |version| version.number) => {
                View::Purged(number)
            }
            _ if rules.absence_is_no_deletion => View::Lost,
            _ => View::Purged(version.map_or(0, |version| version.number) + 1),
        },
    }
}

struct Resolving<'a> {
    case: &'a Case<'a>,
    base: Option<&'a Base>,
    rules: &'a Rules,
}

const OVERRULED: &str = "deleted on one side, but edited on the other: it stays";
const ADDED_AGAIN: &str = "deleted on one side, but added anew on the other: it stays";
const FIRST_SYNC: &str = "deleted on one side; a first sync deletes nothing, so it stays";
const LOST: &str = "one side had lost it without a trace; it is put back";
const ZOMBIE: &str = "an old copy of what both sides had deleted";

impl Resolving<'_> {
    // What is to be done if `one`, at `place`, is what says so; nothing if it
    // is for the other side to say.
    fn pair(&self, place: Place, one: View<'_>, two: View<'_>) -> Option<Verdict> {
        let other = place.other();
        let verdict = match (one, two) {
            (View::Same(one), View::Same(two)) => self.unchanged(place, one, two),
            (View::Present(song), View::Same(known)) => self.changed(place, song, known),
            (View::Present(song), View::Present(theirs)) => {
                // Asked twice, with the sides exchanged; once is enough.
                let songs = match place {
                    Place::Left => Pair { left: song, right: theirs },
                    Place::Right => Pair { left: theirs, right: song },
                };
                self.both(songs)
            }
            (View::Present(song), View::Deleted(tombstone)) => {
                self.against_deletion(place, song, tombstone)
            }
            (View::Present(song), View::Purged(number)) => match self.alive(place, song, None) {
                None => self.delete_here(place, song.revision.operation, song, number),
                Some(note) => {
                    let song = self.renewed(song, number, &[song.revision.operation]);
                    let versions = Pair::of(|at| (at == place).then_some(song.1));
                    self.put(song.0, versions, other, vec![], Some(note))
                }
            },
            (View::Present(song), View::Lost) => {
                self.copy(place, song, PutMode::Create, Action::Restore, Some(LOST))
            }
            (View::Present(song), View::Gone) => self.alone(place, song),
            // What was deleted in an old copy is not what the other side has.
            (View::Deleted(tombstone), View::Same(known)) if self.is_restored() => match known {
                None => Verdict::Fetch(other),
                Some(song) => self.against_deletion(other, song, tombstone),
            },
            (View::Deleted(tombstone), View::Same(_)) => {
                let base = self.base.expect("what is the same is the same as the base");
                let Some(version) = base.revisions[other] else {
                    // Landed there, but as which version has to be seen.
                    return Some(Verdict::Fetch(other));
                };
                self.delete(other, version.operation, tombstone)
            }
            (View::Deleted(one), View::Deleted(two)) => {
                let revisions = match place {
                    Place::Left => Pair { left: Some(one.revision), right: Some(two.revision) },
                    Place::Right => Pair { left: Some(two.revision), right: Some(one.revision) },
                };
                self.agreed_deletion(revisions, &one.song, Some(&two.song))
            }
            (View::Deleted(tombstone), View::Purged(_) | View::Lost | View::Gone) => {
                let known = self.base.filter(|base| base.deleted);
                let revisions = Pair::of(|at| {
                    if at == place {
                        Some(tombstone.revision)
                    } else {
                        known.and_then(|base| base.revisions[at])
                    }
                });
                self.agreed_deletion(revisions, &tombstone.song, None)
            }
            (View::Purged(number), View::Same(known)) => match known {
                None => Verdict::Fetch(other),
                Some(song) => self.delete_here(other, song.revision.operation, song, number),
            },
            (View::Lost, View::Same(known)) => match known {
                None => Verdict::Fetch(other),
                Some(song) => self.copy(other, song, PutMode::Create, Action::Restore, Some(LOST)),
            },
            (View::Purged(_) | View::Lost, View::Purged(_) | View::Lost | View::Gone) => {
                Verdict::Forget
            }
            (View::Gone, View::Gone) => Verdict::Nothing,
            (View::Same(_) | View::Purged(_) | View::Lost | View::Deleted(_) | View::Gone, _) => {
                return None;
            }
        };
        Some(verdict)
    }

    // A side that was restored did not see what was agreed on since, so that
    // cannot tell what it changed.
    fn before(&self) -> Option<Before<'_>> {
        if self.is_restored() {
            return None;
        }
        let base = self.base.filter(|base| !base.deleted)?;
        Some(Before { values: &base.values, numbers: Pair::of(|place| base.number(place)) })
    }

    fn is_restored(&self) -> bool {
        self.rules.restored_is_compared && (self.case.restored.left || self.case.restored.right)
    }

    fn unchanged(&self, place: Place, one: Option<&Song>, two: Option<&Song>) -> Verdict {
        let base = self.base.expect("what is the same is the same as the base");
        let other = place.other();
        // A copy of another library may name other facts for the same version.
        let mut refs = base.refs.clone();
        for (at, song) in [(place, one), (other, two)] {
            if let Some(song) = song {
                refs[at] = Refs::of(song);
            }
        }
        let as_it_is = || {
            if refs == base.refs {
                return Verdict::Nothing;
            }
            Verdict::Agreed(Box::new(Base { refs: refs.clone(), ..base.clone() }))
        };
        let (Some(one), Some(two)) = (one, two) else { return as_it_is() };
        let lacking =
            |at: Place, song: &Song| (self.case.lacks)(at, &refs[at], &refs[at.other()], song);
        if !self.case.complete || !lacking(place, two) && !lacking(other, one) {
            return as_it_is();
        }
        let (left, right) = if place == Place::Left { (one, two) } else { (two, one) };
        let mut verdict = self.merged(Pair { left, right }, None);
        if let Verdict::Write(write) = &mut verdict {
            write.only_facts = true;
        }
        verdict
    }

    // A song that only one side changed.
    fn changed(&self, place: Place, song: &Song, known: Option<&Song>) -> Verdict {
        let other = place.other();
        let base = self.base.expect("what is the same is the same as the base");
        let Some(version) = base.revisions[other] else { return Verdict::Fetch(other) };
        let is_old = self.before().is_none_or(|before| {
            self.rules.old_values_do_not_return && is_old(before, place, song)
        });
        if is_old {
            return match known {
                None => Verdict::Fetch(other),
                Some(known) => {
                    let songs = match place {
                        Place::Left => Pair { left: song, right: known },
                        Place::Right => Pair { left: known, right: song },
                    };
                    self.merged(songs, None)
                }
            };
        }
        // Numbers only grow, on every side: that is how an old copy is known.
        if song.revision.number <= version.number {
            let (next, own) =
                self.renewed(song, version.number, slice::from_ref(&song.revision.operation));
            let versions = Pair::of(|at| Some(if at == place { own } else { version }));
            return self.put(next, versions, place, vec![], None);
        }
        self.copy(place, song, PutMode::Replace(version.operation), Action::Update, None)
    }

    fn both(&self, songs: Pair<&Song>) -> Verdict {
        let revisions = Pair::of(|place| songs[place].revision);
        let same = revisions.left.operation == revisions.right.operation;
        let alike = || {
            let values = Pair::of(|place| Values::of(songs[place]));
            let incomplete = Place::BOTH.into_iter().any(|place| {
                let refs = Pair::of(|place| Refs::of(songs[place]));
                (self.case.lacks)(place, &refs[place], &refs[place.other()], songs[place.other()])
            });
            // When it was said counts too: a third side may say another thing in
            // between, and whoever said this last has to win everywhere.
            let same_stamps = songs.left.stamps == songs.right.stamps;
            values.left.say_the_same_as(&values.right) && same_stamps && !incomplete
        };
        // Both may have been stored again because segments came to them.
        let same_segments = same || !self.case.segments;
        if same && !self.case.complete || same_segments && alike() {
            return Verdict::Agreed(Box::new(Base {
                deleted: false,
                revisions: Pair::of(|place| Some(revisions[place])),
                added: Pair::of(|place| songs[place].added_at),
                values: Values::of(songs.left),
                refs: Pair::of(|place| Refs::of(songs[place])),
                segments: vec![],
            }));
        }
        self.merged(songs, None)
    }

    // Both sides become what was made of both.
    fn merged(&self, songs: Pair<&Song>, note: Option<&'static str>) -> Verdict {
        let Merged { song, fields } = merge(self.before(), songs.left, songs.right, self.rules);
        // One side may have everything already.
        for place in Place::BOTH {
            let (whole, part) = (songs[place], songs[place.other()]);
            let lacks = (self.case.lacks)(place, &Refs::of(whole), &Refs::of(part), part);
            if whole.revision.number > part.revision.number
                && Values::of(&song).say_the_same_as(&Values::of(whole))
                && (&song.stamps, &song.features) == (&whole.stamps, &whole.features)
                && whole.revision.operation != part.revision.operation
                && !lacks
                && !self.case.segments
            {
                let mode = PutMode::Replace(part.revision.operation);
                let mut verdict = self.copy(place, whole, mode, Action::Update, note);
                if let Verdict::Write(write) = &mut verdict {
                    write.merged = fields;
                }
                return verdict;
            }
        }
        let number = songs.left.revision.number.max(songs.right.revision.number);
        let operations = [songs.left.revision.operation, songs.right.revision.operation];
        let song = self.renewed(&song, number, &operations).0;
        Verdict::Write(Box::new(Write {
            target: Target::Song(Box::new(song)),
            steps: Pair::of(|place| {
                let version = songs[place].revision.operation;
                let how = How::Put(PutMode::Replace(version));
                Some(Step { action: Action::Merge, how })
            }),
            inputs: Pair::of(|place| Some(Input::of(songs[place]))),
            merged: fields,
            note,
            only_facts: false,
        }))
    }

    // `song` as the next version of everything that went into it. The
    // operation is made from what it does, so that doing it again is the same
    // write; given with the version that it replaces.
    fn renewed(&self, song: &Song, number: u64, from: &[OperationId]) -> (Song, Revision) {
        let known =
            self.base.map_or(0, |base| base.number(Place::Left).max(base.number(Place::Right)));
        let mut next = song.clone();
        let before = next.revision;
        next.blob = None;
        next.embeddings.clear();
        next.revision.number = number.max(known).max(song.revision.number) + 1;
        let mut from: Vec<String> = from.iter().map(ToString::to_string).collect();
        from.sort();
        next.revision.operation = OperationId::from_bytes([0; 16]);
        let what = serde_json::to_string(&(&from, &next)).unwrap_or_default();
        let what = format!("songrec sync {what}");
        next.revision.operation = if self.rules.merges_are_repeatable {
            operation_of(&what)
        } else {
            OperationId::random()
        };
        (next, before)
    }

    // The song of `place` as it is, for the other side.
    fn copy(
        &self,
        place: Place,
        song: &Song,
        mode: PutMode,
        action: Action,
        note: Option<&'static str>,
    ) -> Verdict {
        let step = Step { action, how: How::Put(mode) };
        Verdict::Write(Box::new(Write {
            target: Target::Song(Box::new(song.clone())),
            steps: Pair::of(|at| (at != place).then_some(step)),
            inputs: Pair::of(|at| (at == place).then(|| Input::of(song))),
            merged: vec![],
            note,
            only_facts: false,
        }))
    }

    // `song` for both sides: in place of a version where there is one, and
    // back again at `restored`.
    fn put(
        &self,
        song: Song,
        versions: Pair<Option<Revision>>,
        restored: Place,
        merged: Vec<MergedField>,
        note: Option<&'static str>,
    ) -> Verdict {
        Verdict::Write(Box::new(Write {
            steps: Pair::of(|place| {
                let (action, mode) = match versions[place] {
                    Some(version) => (Action::Update, PutMode::Replace(version.operation)),
                    None if place == restored => (Action::Restore, PutMode::Create),
                    None => (Action::Add, PutMode::Create),
                };
                Some(Step { action, how: How::Put(mode) })
            }),
            inputs: Pair::default(),
            target: Target::Song(Box::new(song)),
            merged,
            note,
            only_facts: false,
        }))
    }

    fn against_deletion(&self, place: Place, song: &Song, tombstone: &Tombstone) -> Verdict {
        let Some(note) = self.alive(place, song, Some(tombstone)) else {
            return self.delete(place, song.revision.operation, tombstone);
        };
        // What the deleter saw is newer than the base, and comes back too.
        let songs = match place {
            Place::Left => Pair { left: song, right: &tombstone.song },
            Place::Right => Pair { left: &tombstone.song, right: song },
        };
        let Merged { song: merged, fields } =
            merge(self.before(), songs.left, songs.right, self.rules);
        let number = tombstone.revision.number.max(song.revision.number);
        let from = [song.revision.operation, tombstone.revision.operation];
        let (merged, _) = self.renewed(&merged, number, &from);
        let versions = Pair::of(|at| (at == place).then_some(song.revision));
        self.put(merged, versions, place.other(), fields, Some(note))
    }

    // Why a song outlives its deletion on the other side, if it does.
    fn alive(
        &self,
        place: Place,
        song: &Song,
        tombstone: Option<&Tombstone>,
    ) -> Option<&'static str> {
        let Some(base) = self.base else { return Some(FIRST_SYNC) };
        // A deleter whose library had been restored had not seen the base.
        let old = tombstone.is_some() && self.is_restored() && self.case.restored[place.other()];
        let mut seen: Vec<&Values> = (!old).then_some(&base.values).into_iter().collect();
        let deleted = tombstone.map(|tombstone| Values::of(&tombstone.song));
        seen.extend(&deleted);
        let values = Values::of(song);
        let held = values.holdings(self.rules.conflicts_keep_alive);
        let unseen = if self.rules.unseen_values_keep_alive {
            held.into_iter()
                .any(|value| !seen.iter().any(|seen| seen.holdings(true).contains(&value)))
        } else {
            !values.say_the_same_as(&base.values)
        };
        if unseen {
            return Some(OVERRULED);
        }
        let lives = [base.added.left, base.added.right];
        let known = lives.contains(&song.added_at)
            || tombstone.is_some_and(|tombstone| tombstone.song.added_at == song.added_at);
        let tombstone = base.revisions[place].or(base.revisions[place.other()]);
        let restored = base.deleted
            && tombstone.is_none_or(|tombstone| song.revision.number > tombstone.number);
        (!known || restored).then_some(ADDED_AGAIN)
    }

    // A song where there was none, or where both had deleted it.
    fn alone(&self, place: Place, song: &Song) -> Verdict {
        let other = place.other();
        let Some(base) = self.base else {
            return self.copy(place, song, PutMode::Create, Action::Add, None);
        };
        if self.alive(place, song, None).is_none() {
            let revision =
                base.revisions[other].or(base.revisions[place]).unwrap_or(song.revision.next());
            return self.deletion(place, song.revision.operation, revision, song, ZOMBIE);
        }
        let known = base.number(Place::Left).max(base.number(Place::Right));
        if song.revision.number > known {
            return self.copy(place, song, PutMode::Create, Action::Restore, None);
        }
        let (next, version) = self.renewed(song, known, slice::from_ref(&song.revision.operation));
        let versions = Pair::of(|at| (at == place).then_some(version));
        self.put(next, versions, other, vec![], None)
    }

    // Deletes the song of `place` as `tombstone` says that it was deleted on
    // the other side.
    fn delete(&self, place: Place, version: OperationId, tombstone: &Tombstone) -> Verdict {
        let step = Step { action: Action::Delete, how: How::Delete(version) };
        Verdict::Write(Box::new(Write {
            target: Target::Deleted {
                revision: tombstone.revision,
                at: tombstone.deleted_at,
                seen: Box::new(Values::of(&tombstone.song)),
                title: Card::of(&tombstone.song).title,
            },
            steps: Pair::of(|at| (at == place).then_some(step)),
            inputs: Pair::default(),
            merged: vec![],
            note: None,
            only_facts: false,
        }))
    }

    // Deletes the song of `place`, whose tombstone on the other side is gone.
    fn delete_here(&self, place: Place, version: OperationId, song: &Song, number: u64) -> Verdict {
        let what = format!("songrec sync delete {} {version} {number}", song.id);
        let revision = Revision { number, operation: operation_of(&what) };
        let note = "deleted on the other side, long ago";
        self.deletion(place, version, revision, song, note)
    }

    fn deletion(
        &self,
        place: Place,
        version: OperationId,
        revision: Revision,
        song: &Song,
        note: &'static str,
    ) -> Verdict {
        let step = Step { action: Action::Delete, how: How::Delete(version) };
        Verdict::Write(Box::new(Write {
            target: Target::Deleted {
                revision,
                at: song.updated_at,
                seen: Box::new(Values::of(song)),
                title: Card::of(song).title,
            },
            steps: Pair::of(|at| (at == place).then_some(step)),
            inputs: Pair::default(),
            merged: vec![],
            note: Some(note),
            only_facts: false,
        }))
    }

    fn agreed_deletion(
        &self,
        revisions: Pair<Option<Revision>>,
        song: &Song,
        other: Option<&Song>,
    ) -> Verdict {
        let newer = other.filter(|other| other.updated_at > song.updated_at).unwrap_or(song);
        let older = other.unwrap_or(song);
        Verdict::Agreed(Box::new(Base {
            deleted: true,
            revisions,
            added: Pair { left: song.added_at, right: older.added_at },
            values: Values::of(newer),
            refs: Pair::default(),
            segments: vec![],
        }))
    }
}

/// The operation that does what a text says: always the same for the same.
pub(crate) fn operation_of(what: &str) -> OperationId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(what.as_bytes()).0[..16]);
    // A version-8 UUID: made from something, not random.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    OperationId::from_bytes(bytes)
}
