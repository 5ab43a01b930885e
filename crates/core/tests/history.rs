//! Songs of several libraries: what they say of their writes, and what comes of
//! joining them.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use songrec_core::{
    AudioProperties, Digest, Edits, Field, Op, OperationId, Revision, SegmentId, Song, SongFile,
    Stamp, Timestamp, Version,
};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn fresh() -> Song {
    let mut song = Song::new(Digest::of(b"audio"), AudioProperties::default(), time(0));
    song.tags.title = Some("as the file says".into());
    song.tags.extra.insert("a.b\\c".into(), "odd".into());
    song.add_file(file("a.wav", 1));
    song
}

fn file(path: &str, size: u64) -> SongFile {
    SongFile { path: path.to_owned(), sha256: Digest::of(b"file"), size }
}

fn edited(song: &Song, field: &str, value: Option<&str>, at: i64) -> Song {
    let mut next = song.clone();
    next.edits.set(field.parse().unwrap(), value).unwrap();
    next.revise(song, time(at));
    next
}

fn joined(one: &Song, two: &Song) -> Song {
    one.saying(&one.version().join(&two.version())).unwrap()
}

// What somebody does to a song, at a moment of a clock of its own.
#[derive(Clone, Debug)]
enum Act {
    Set(usize, u8),
    Clear(usize),
    Reset(usize),
    Add(usize, u8),
    Take(usize, usize),
    Sort(usize),
    Retag(u8),
    File(u8),
    NoFile,
    Decide,
    Forget(u8),
    Touch,
}

const FIELDS: [Field; 4] = [Field::Title, Field::Year, Field::Genre, Field::Mood];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..2usize, 0..4u8).prop_map(|(field, value)| Act::Set(field, value)),
        (0..4usize).prop_map(Act::Clear),
        (0..4usize).prop_map(Act::Reset),
        (2..4usize, 0..5u8).prop_map(|(field, value)| Act::Add(field, value)),
        (2..4usize, 0..3usize).prop_map(|(field, place)| Act::Take(field, place)),
        (2..4usize).prop_map(Act::Sort),
        (0..3u8).prop_map(Act::Retag),
        (0..4u8).prop_map(Act::File),
        Just(Act::NoFile),
        Just(Act::Decide),
        (0..3u8).prop_map(Act::Forget),
        Just(Act::Touch),
    ]
}

fn done(song: &Song, act: &Act, at: i64) -> Song {
    let mut next = song.clone();
    let list = |song: &Song, field: &Field| {
        song.edits.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    match act {
        Act::Set(field, value) => {
            next.edits.set(FIELDS[*field].clone(), Some(&value.to_string())).unwrap();
        }
        Act::Clear(field) => next.edits.set(FIELDS[*field].clone(), None).unwrap(),
        Act::Reset(field) => drop(next.edits.reset(&FIELDS[*field])),
        Act::Add(field, value) => {
            let mut all = list(song, &FIELDS[*field]);
            let value = json!(format!("genre {value}"));
            if !all.contains(&value) {
                all.insert(all.len() / 2, value);
            }
            next.edits.set_value(FIELDS[*field].clone(), Value::Array(all));
        }
        Act::Take(field, place) => {
            let mut all = list(song, &FIELDS[*field]);
            if *place < all.len() {
                all.remove(*place);
                next.edits.set_value(FIELDS[*field].clone(), Value::Array(all));
            }
        }
        Act::Sort(field) => {
            let mut all = list(song, &FIELDS[*field]);
            if !all.is_empty() {
                all.sort_by_key(ToString::to_string);
                next.edits.set_value(FIELDS[*field].clone(), Value::Array(all));
            }
        }
        Act::Retag(value) => next.tags.album = Some(value.to_string()),
        Act::File(value) => next.add_file(file(&format!("{value}.wav"), u64::from(*value))),
        Act::NoFile => {
            if let Some(path) = song.files.last().map(|file| file.path.clone()) {
                next.remove_file(&path);
            }
        }
        Act::Decide => {
            if let Some(field) = song.conflicts.first().map(|one| one.field.clone()) {
                next.conflicts.retain(|one| one.field != field);
            }
        }
        Act::Forget(segment) => next.forget_segments(&[SegmentId::from_bytes([*segment; 16])]),
        Act::Touch => {}
    }
    let wanted: (Edits, _, _) = (next.edits.clone(), next.tags.clone(), next.files.clone());
    next.revise(song, time(at));
    assert_eq!((next.edits.clone(), next.tags.clone(), next.files.clone()), wanted, "{act:?}");
    next
}

// The songs of some libraries after a history of acts and joins.
fn songs() -> impl Strategy<Value = Vec<Song>> {
    let step = (0..3usize, 0..3usize, proptest::option::of(act()), -1_000..1_000i64);
    (any::<bool>(), proptest::collection::vec(step, 0..25)).prop_map(|(before, steps)| {
        let mut first = fresh();
        if before {
            first.history = None;
            first.edits.set(Field::Genre, Some("Techno, House")).unwrap();
            first.stamps.insert("edits.genre".into(), Stamp::after(Stamp::default(), time(5)));
        }
        let mut songs = vec![first; 3];
        for (one, two, act, at) in steps {
            match act {
                Some(act) => songs[one] = done(&songs[one], &act, at),
                None => songs[one] = joined(&songs[one], &songs[two]),
            }
        }
        songs
    })
}

fn values(version: &Version) -> BTreeSet<String> {
    let values = version.writes().iter().flat_map(|(op, write)| {
        let one =
            move |(key, value): &(String, Value)| format!("{op:?} {:?} {key} {value}", write.stamp);
        write.values.iter().map(one)
    });
    values.collect()
}

proptest! {
    #[test]
    fn a_song_says_its_version_and_survives_json(songs in songs()) {
        for song in &songs {
            let version = song.version();
            let again = song.saying(&version).unwrap();
            prop_assert_eq!(&again.edits, &song.edits);
            prop_assert_eq!((&again.tags, &again.files), (&song.tags, &song.files));
            prop_assert_eq!(values(&again.version()), values(&version));
            prop_assert!(again.version().agrees_with(&version));

            let json = serde_json::to_string(&again).unwrap();
            let read: Song = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read, &again);
        }
    }

    #[test]
    fn whoever_has_seen_the_same_says_the_same(songs in songs()) {
        let one = joined(&joined(&songs[0], &songs[1]), &songs[2]);
        let two = joined(&songs[1], &joined(&songs[2], &songs[0]));

        prop_assert!(one.version().agrees_with(&two.version()));
        let said = |song: &Song| {
            (song.edits.clone(), song.tags.clone(), song.files.clone(), song.conflicts.clone())
        };
        prop_assert_eq!(said(&one), said(&two));
        prop_assert_eq!(&one.history, &two.history);
        prop_assert_eq!(said(&joined(&one, &songs[0])), said(&one));
        for song in &songs {
            let version = song.version();
            if version.agrees_with(&one.version()) {
                prop_assert_eq!(said(song), said(&one));
            }
            // What is remembered of a song is enough to tell who has seen more.
            for other in songs.iter().map(Song::version) {
                prop_assert_eq!(song.seen().is_in(&other), other.includes(&version));
                let alike = values(&version) == values(&other) && version.seen() == other.seen();
                prop_assert!(alike || !version.agrees_with(&other));
            }
        }
    }
}

#[test]
fn two_who_did_not_know_each_other_are_both_heard_until_somebody_decides() {
    let base = fresh();
    let (one, two) =
        (edited(&base, "title", Some("early"), 1), edited(&base, "title", Some("late"), 2));

    let both = joined(&one, &two);

    assert_eq!(both.edits.get(&Field::Title), Some(&json!("late")));
    assert_eq!(both.conflicts.len(), 1);
    assert_eq!(
        (&both.conflicts[0].value, both.conflicts[0].field.clone()),
        (&json!("early"), Field::Title)
    );
    // Whoever writes the field has decided, by whatever clock.
    let decided = edited(&both, "title", Some("decided"), -500);
    assert!(decided.conflicts.is_empty());
    let end = joined(&joined(&decided, &one), &two);
    assert_eq!(end.edits.get(&Field::Title), Some(&json!("decided")));
    assert!(end.conflicts.is_empty());
}

#[test]
fn the_same_value_twice_is_no_conflict() {
    let base = fresh();
    let (one, two) = (edited(&base, "title", Some("x"), 1), edited(&base, "title", Some("x"), 2));

    let both = joined(&one, &two);

    assert!(both.conflicts.is_empty());
    let next = edited(&both, "title", Some("y"), 3);
    assert_eq!(joined(&next, &one).edits.get(&Field::Title), Some(&json!("y")));
    assert!(joined(&next, &two).conflicts.is_empty());
}

#[test]
fn a_deletion_takes_what_it_saw_and_nothing_else() {
    let base = fresh();
    let deletion = OperationId::random();
    let seen = edited(&base, "title", Some("seen"), 1);
    let unseen = edited(&base, "artist", Some("unseen"), 2);
    let mut scanned = base.clone();
    scanned.add_file(file("b.wav", 2));
    scanned.revise(&base, time(3));
    let tombstone = seen.deleted(deletion);

    for known in [&base, &seen, &scanned] {
        assert!(!tombstone.join(&known.version()).is_alive());
    }
    let kept = tombstone.join(&unseen.version());
    assert!(kept.is_alive());
    assert_eq!(unseen.saying(&kept).unwrap().edits.iter().count(), 2);

    // It holds everything, and a new life brings it back, everywhere.
    let revision = Revision { number: 7, operation: deletion };
    let back = seen.restored(revision, time(4)).unwrap();
    assert_eq!((back.revision.number, &back.edits), (8, &seen.edits));
    assert!(back.version().join(&tombstone).is_alive());
    // And a deleted song says that it is, wherever it is stored.
    let dead = seen.saying(&tombstone).unwrap();
    let dead: Song = serde_json::from_str(&serde_json::to_string(&dead).unwrap()).unwrap();
    assert!(!dead.version().is_alive());
}

#[test]
fn an_element_that_one_takes_and_one_that_another_adds_are_both_heard() {
    let base = edited(&fresh(), "genre", Some("Techno, House"), 0);
    let one = edited(&base, "genre", Some("Techno"), 1);
    let two = edited(&base, "genre", Some("Techno, House, Dub"), 2);

    let both = joined(&one, &two);

    assert_eq!(both.edits.get(&Field::Genre), Some(&json!(["Techno", "Dub"])));
    assert!(both.conflicts.is_empty());
}

#[test]
fn an_element_of_a_list_that_another_cleared_says_whose_it_is() {
    let base = edited(&fresh(), "genre", Some("Techno"), 0);
    let one = edited(&base, "genre", Some("Techno, Dub"), 1);
    let two = edited(&base, "genre", None, 2);
    let version = one.version().join(&two.version());

    let both = one.saying(&version).unwrap();

    assert_eq!(both.edits.get(&Field::Genre), Some(&json!(["Dub"])));
    assert_eq!(values(&both.version()), values(&version));
}

#[test]
fn what_the_file_says_again_is_no_value_that_comes_back() {
    let base = edited(&fresh(), "title", Some("x"), 0);
    let mut reset = base.clone();
    assert!(reset.edits.reset(&Field::Title));
    reset.revise(&base, time(1));

    assert!(joined(&reset, &base).edits.is_empty());
    assert!(joined(&base, &reset).edits.is_empty());
}

#[test]
fn libraries_of_before_that_agreed_need_no_word_to_agree_again() {
    let mut song = fresh();
    song.edits.set(Field::Title, Some("T")).unwrap();
    song.stamps.insert("edits.title".into(), Stamp::after(Stamp::default(), time(1)));
    song.history = None;
    let mut other = song.clone();
    other.revision.number += 3;
    assert!(song.version().agrees_with(&other.version()));

    // One was deleted, the other edited without knowing: the edit stays.
    let tombstone = song.deleted(OperationId::random());
    assert!(!tombstone.join(&other.version()).is_alive());
    let unseen = edited(&other, "artist", Some("A"), 9);
    assert!(tombstone.join(&unseen.version()).is_alive());
    // Also if it was made before.
    other.edits.set(Field::Artist, Some("A")).unwrap();
    other.stamps.insert("edits.artist".into(), Stamp::after(Stamp::default(), time(2)));
    assert!(tombstone.join(&other.version()).is_alive());
}

#[test]
fn what_two_libraries_of_before_said_alike_is_one_write() {
    let mut song = fresh();
    song.edits.set(Field::Title, Some("T")).unwrap();
    song.stamps.insert("edits.title".into(), Stamp::after(Stamp::default(), time(1)));
    song.history = None;
    let mut other = song.clone();
    other.revision = other.revision.next();

    let next = edited(&song, "title", Some("new"), 9);

    let both = joined(&next, &other);
    assert_eq!(both.edits.get(&Field::Title), Some(&json!("new")));
    assert!(both.conflicts.is_empty());
}

#[test]
fn segments_that_are_gone_stay_gone() {
    let base = fresh();
    let gone = SegmentId::random();
    let mut next = base.clone();
    next.forget_segments(&[gone]);
    assert!(!next.seen().is_in(&base.version()));
    next.revise(&base, time(1));

    let both = joined(&base, &next);

    assert_eq!(both.history.unwrap().gone().collect::<Vec<_>>(), [&gone.to_string()]);
    assert!(!base.version().includes(&next.version()));
}

#[test]
fn in_which_order_a_write_left_its_values_is_not_told() {
    let base = fresh();
    let title = ("edits.title".to_owned(), json!("T"));
    let year = ("edits.year".to_owned(), json!("1999"));
    let told = |values: [&(String, Value); 2]| {
        let mut version = base.version();
        let stamp = Stamp::after(version.last(), time(1));
        version.write(Op(1), stamp, [], values.map(Clone::clone).to_vec());
        base.saying(&version).unwrap().history
    };

    assert_eq!(told([&title, &year]), told([&year, &title]));
}

#[test]
fn a_history_is_small_and_a_damaged_one_is_refused() {
    let mut song = fresh();
    let length = |song: &Song| serde_json::to_string(song).unwrap().len();
    let begun = length(&song);
    for number in 0..20 {
        song = edited(&song, "title", Some(&format!("title {number}")), number);
    }
    let history = serde_json::to_string(&song.history).unwrap();
    assert!(history.len() < 21 * 11 + 150, "{} {history}", history.len());
    assert!(length(&song) < begun + 21 * 11 + 150);

    // Nor does a damaged one change what no write says.
    let mut json = serde_json::to_value(&song).unwrap();
    json["history"]["writes"][0] =
        json!([0, "0000000000000001", [], {"id": "x", "audio.codec": 3}]);
    let odd: Song = serde_json::from_value(json).unwrap();
    assert_eq!(odd.saying(&odd.version()).unwrap().id, song.id);

    let mut json = serde_json::to_value(&song).unwrap();
    for wrong in [json!({"seen": "????"}), json!({"seen": "", "rest": [0]}), json!({"seen": 3})] {
        json["history"] = wrong;
        assert!(serde_json::from_value::<Song>(json.clone()).is_err());
    }
}
