//! Each rule that keeps songs whole, beside what happens without it.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::model::{
    Place as Library, Setup, Shaky,
    play::{history, play},
};
use futures::FutureExt;
use songrec_core::{
    Embedding, Event, Field, History, Job, OperationId, Progress, Silent, Song, SongId, Timestamp,
    Vector, Work,
};
use songrec_storage::{
    MemoryBackend, Outcome, PutMode, PutSong, StorageBackend, StorageBackendExt, VerifyOptions,
};
use songrec_sync::{Options, Replica, Report, Rules, SyncState, Syncer, machines, retire};
use songrec_testkit::{delete, new_embedding, purge, song, time, tiny_model};

const DAY: i64 = 24 * 60 * 60;

// A machine with a library, a state and a clock, at a shared library.
struct Machine {
    own: Arc<Library>,
    shared: Arc<Library>,
    state: Option<SyncState>,
    clock: Arc<AtomicI64>,
    rules: Rules,
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing waits here")
}

impl Machine {
    fn new(shared: &Arc<Library>, clock: &Arc<AtomicI64>, rules: Rules) -> Self {
        Self {
            own: Library::new(MemoryBackend::new(), false),
            shared: Arc::clone(shared),
            state: Some(SyncState::in_memory().unwrap()),
            clock: Arc::clone(clock),
            rules,
        }
    }

    // Syncs; dies at a call, if that is said. Nothing if it died.
    fn sync_until(&mut self, dies_at: Option<u64>, meanwhile: Arc<dyn Progress>) -> Option<Report> {
        let dies_at = Arc::new(Mutex::new(dies_at));
        let own = Shaky::new(Arc::clone(&self.own), 1, 0.0, Arc::clone(&dies_at));
        let shared = Shaky::new(Arc::clone(&self.shared), 2, 0.0, dies_at);
        let clock = Arc::clone(&self.clock);
        let state = self.state.take().unwrap();
        let syncer = Syncer::new(Replica::new("own", own), Replica::new("shared", shared), state)
            .with_rules(self.rules, Duration::from_secs(20 * DAY.unsigned_abs()))
            .with_clock(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap())
            .reporting_to(Job::reporting_to(meanwhile));
        let options = Options::default();
        let report = syncer.run(&options).now_or_never();
        self.state = Some(syncer.into_state());
        report.map(|report| report.unwrap())
    }

    fn sync(&mut self) -> Report {
        self.sync_until(None, Arc::new(Silent)).unwrap()
    }

    fn own(&self) -> &MemoryBackend {
        &self.own.memory
    }

    fn song(&self, id: SongId) -> Option<Song> {
        now(self.own().get_song(id)).unwrap()
    }

    fn add(&self, song: &Song) {
        now(self.own().put_song(song, PutMode::Create)).unwrap();
    }

    fn edit(&self, id: SongId, field: &str, value: &str, at: u64) {
        edit(self.own(), id, field, value, at);
    }

    fn title(&self, id: SongId) -> Option<String> {
        title(&self.song(id)?)
    }
}

fn title(song: &Song) -> Option<String> {
    song.edits.get(&Field::Title).and_then(|value| value.as_str()).map(str::to_owned)
}

fn edit(library: &MemoryBackend, id: SongId, field: &str, value: &str, at: u64) {
    let before = now(library.get_song(id)).unwrap().unwrap();
    let mut after = before.clone();
    after.edits.set(field.parse().unwrap(), Some(value)).unwrap();
    after.revise(&before, time(at));
    let mode = PutMode::Replace(before.revision.operation);
    now(library.put_song(&after, mode)).unwrap();
}

// Two machines that have the same song.
fn two(rules: Rules) -> (Machine, Machine, SongId) {
    let shared = Library::new(MemoryBackend::new(), true);
    let clock = Arc::new(AtomicI64::new(1_800_000_000));
    let mut one = Machine::new(&shared, &clock, rules);
    let mut two = Machine::new(&shared, &clock, rules);
    one.add(&song("x"));
    one.sync();
    two.sync();
    one.sync();
    (one, two, song("x").id)
}

// The promise holds with the rule, and does not without it.
fn needs(rule: &str, promise: impl Fn(Rules) -> bool) {
    assert!(promise(Rules::default()), "it does not hold at all");
    assert!(!promise(Rules::without(rule)), "it holds without `{rule}`");
}

// The promise holds, though no rule is there for it alone.
fn holds(promise: impl Fn(Rules) -> bool) {
    assert!(promise(Rules::default()), "it does not hold");
}

// Some random history goes wrong without the rule, and none with it.
fn some_history_needs(rule: &str, setup: Setup, seeds: std::ops::Range<u64>) {
    let without = Setup { rules: Rules::without(rule), ..setup };
    let wrong = seeds.into_iter().find(|seed| play(*seed, &history(*seed, 250), without).is_err());
    let seed = wrong.unwrap_or_else(|| panic!("all histories go well without `{rule}`"));
    if let Err(broken) = play(seed, &history(seed, 250), setup) {
        panic!("{broken}");
    }
}

#[test]
fn what_one_side_took_out_of_a_list_stays_out() {
    holds(|rules| {
        let (mut one, mut two, id) = two(rules);
        one.edit(id, "genre", "House, Techno", 1);
        one.sync();
        two.sync();
        one.edit(id, "genre", "House", 2);
        two.edit(id, "genre", "House, Techno, Dub", 3);
        one.sync();
        two.sync();

        let genres = two.song(id).unwrap().edits.get(&Field::Genre).cloned().unwrap();
        genres == serde_json::json!(["House", "Dub"])
    });
}

#[test]
fn only_what_the_deleter_had_not_seen_keeps_a_song_alive() {
    holds(|rules| {
        let (mut one, mut two, id) = two(rules);
        one.edit(id, "title", "seen", 1);
        one.sync();
        two.sync();
        now(one.own().songs().delete(&[delete(id)])).unwrap();
        one.sync();
        two.sync();

        two.song(id).is_none()
    });
}

#[test]
fn an_old_copy_of_a_song_does_not_undo_newer_edits() {
    holds(|rules| {
        let (mut one, _, id) = two(rules);
        let old = one.song(id).unwrap();
        one.edit(id, "title", "new", 1);
        one.sync();
        one.sync();
        // Somebody copies the old file of the song back, by hand.
        let current = one.song(id).unwrap();
        let mut back = old;
        back.revision.operation = songrec_testkit::operation("by hand");
        let mode = PutMode::Replace(current.revision.operation);
        let put = PutSong { song: back, mode, origin: None };
        assert_eq!(now(one.own().songs().put(&[put])).unwrap(), [Outcome::Done]);
        one.sync();

        one.title(id).as_deref() == Some("new")
    });
}

#[test]
fn what_a_side_lost_is_put_back_and_not_deleted_on_the_other() {
    holds(|rules| {
        let (mut one, two, id) = two(rules);
        // Both the song and its tombstone are gone.
        let deletion = delete(id);
        now(one.own().songs().delete(std::slice::from_ref(&deletion))).unwrap();
        now(one.own().songs().purge(&[purge(&deletion)])).unwrap();
        one.clock.fetch_add(31 * DAY, Ordering::Relaxed);
        one.sync();

        now(two.shared.memory.get_song(id)).unwrap().is_some() && one.song(id).is_some()
    });
}

#[test]
fn what_could_not_be_done_is_done_later() {
    some_history_needs("postponed_is_remembered", Setup::default(), 3..60);
}

#[test]
fn nothing_is_agreed_on_before_both_sides_have_it() {
    holds(|rules| {
        (0..20).all(|dies_at| {
            let (mut one, mut two, id) = two(rules);
            one.edit(id, "title", "new", 1);
            one.sync_until(Some(dies_at), Arc::new(Silent));
            one.sync();
            two.sync();

            two.title(id).as_deref() == Some("new")
        })
    });
}

#[test]
fn an_own_write_that_landed_unknown_is_no_conflict() {
    holds(|rules| {
        (0..20).all(|dies_at| {
            let (mut one, _, id) = two(rules);
            one.edit(id, "title", "first", 1);
            one.sync_until(Some(dies_at), Arc::new(Silent));
            // Whether that landed or not, the same person goes on.
            one.edit(id, "title", "second", 2);
            one.sync();

            let song = one.song(id).unwrap();
            title(&song).as_deref() == Some("second") && song.conflicts.is_empty()
        })
    });
}

// The song of two who embedded it otherwise, in the last bit.
fn embed(machine: &Machine, last_bit: f32) -> SongId {
    let (mut new, model) = (song("x"), tiny_model());
    new.revision.operation = OperationId::random();
    new.history = Some(History::begun(new.revision.operation, time(0)));
    now(machine.own().embeddings().put_model(&model)).unwrap();
    let vector = Vector::new(vec![1.0, last_bit, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    let embedding = Embedding { song: new.id, model: model.name.clone(), vector };
    let references = now(machine.own().embeddings().put(&[new_embedding(&new, embedding)]));
    new.embeddings.insert(model.name, references.unwrap()[0].clone());
    machine.add(&new);
    new.id
}

#[test]
fn a_library_that_is_copied_over_another_names_its_own_objects() {
    holds(|rules| {
        let here = Library::new(MemoryBackend::new(), true);
        let clock = Arc::new(AtomicI64::new(1_800_000_000));
        let mut one = Machine::new(&here, &clock, rules);
        one.sync();
        let there = Library::new(here.memory.fork(), true);
        let mut two = Machine::new(&there, &clock, rules);
        let id = embed(&one, 1.0);
        embed(&two, 2.0);
        one.sync();
        two.sync();
        // The first syncs with both, so that both have the same write of it.
        let remembered = one.state.replace(SyncState::in_memory().unwrap());
        one.shared = Arc::clone(&there);
        one.sync();
        let remembered = std::mem::replace(&mut one.state, remembered);
        one.shared = Arc::clone(&here);
        one.sync();
        let known = |library: &Library| now(library.memory.get_song(id)).unwrap().unwrap();
        assert_eq!(known(&here).revision.operation, known(&there).revision.operation);
        assert_ne!(known(&here).embeddings, known(&there).embeddings);

        one.state = remembered;
        one.shared = Library::new(here.memory.fork(), true);
        one.edit(id, "title", "new", 9);
        one.sync();

        let all = VerifyOptions::default();
        now(one.shared.memory.maintenance().verify(&all, &Job::silent())).unwrap().is_empty()
    });
}

#[test]
fn a_merge_that_is_repeated_is_the_same_write() {
    holds(|rules| {
        let merged = |turned| {
            // The same histories, whoever is named first.
            let (mut one, mut two, id) = two(rules);
            one.edit(id, "title", "one", 1);
            two.edit(id, "artist", "two", 2);
            for machine in [&one, &two] {
                // As if nothing were random.
                let song = machine.song(id).unwrap();
                let mut same = song.clone();
                let name = format!("{:?}", song.edits);
                same.revision.operation = songrec_testkit::operation(&name);
                same.history = Some(History::begun(same.revision.operation, time(3)));
                let mode = PutMode::Replace(song.revision.operation);
                now(machine.own().put_song(&same, mode)).unwrap();
            }
            one.sync();
            if turned {
                std::mem::swap(&mut two.own, &mut two.shared);
                two.state = Some(SyncState::in_memory().unwrap());
            }
            two.sync();
            two.song(id).unwrap().revision
        };
        merged(false) == merged(false) && merged(false) == merged(true)
    });
}

#[test]
fn nobody_sees_a_song_before_its_objects() {
    needs("facts_come_first", |rules| {
        (0..30).all(|dies_at| {
            let shared = Library::new(MemoryBackend::new(), true);
            let clock = Arc::new(AtomicI64::new(1_800_000_000));
            let mut one = Machine::new(&shared, &clock, rules);
            let mut new = song("x");
            let model = tiny_model();
            now(one.own().embeddings().put_model(&model)).unwrap();
            now(shared.memory.embeddings().put_model(&model)).unwrap();
            let vector = Vector::new(vec![1.0; model.dimension]).unwrap();
            let embedding = Embedding { song: new.id, model: model.name.clone(), vector };
            let references = now(one.own().embeddings().put(&[new_embedding(&new, embedding)]));
            new.embeddings.insert(model.name, references.unwrap()[0].clone());
            one.add(&new);
            one.sync_until(Some(dies_at), Arc::new(Silent));

            now(shared.memory.maintenance().verify(&VerifyOptions::default(), &Job::silent()))
                .unwrap()
                .is_empty()
        })
    });
}

#[test]
fn a_copied_machine_goes_on_under_a_name_of_its_own() {
    needs("sessions_are_fenced", |rules| {
        let (mut one, _, id) = two(rules);
        let mut copy = Machine::new(&one.shared, &one.clock, rules);
        copy.own = Library::new(one.own().fork(), false);
        copy.state = Some(one.state.as_ref().unwrap().fork().unwrap());
        one.edit(id, "title", "one", 1);
        one.sync();
        copy.edit(id, "artist", "copy", 2);
        copy.sync();

        now(machines(&one.shared.memory)).unwrap().len() == 3
    });
}

#[test]
fn a_retired_machine_comes_back_under_another_name() {
    needs("sessions_are_fenced", |rules| {
        let (mut one, _, id) = two(rules);
        let all = now(machines(&one.shared.memory)).unwrap();
        for machine in &all {
            now(retire(&one.shared.memory, &machine.id)).unwrap();
        }
        one.edit(id, "title", "back", 1);
        let report = one.sync();

        let active = now(machines(&one.shared.memory)).unwrap();
        report.full && active.iter().filter(|machine| !machine.retired).count() == 1
    });
}

#[test]
fn a_lost_answer_does_not_make_a_machine_a_stranger() {
    needs("sessions_are_a_set", |rules| {
        (0..30).all(|dies_at| {
            let (mut one, _, id) = two(rules);
            one.edit(id, "title", "first", 1);
            one.sync_until(Some(dies_at), Arc::new(Silent));
            one.edit(id, "artist", "second", 2);
            one.sync();

            now(machines(&one.shared.memory)).unwrap().len() == 2
        })
    });
}

#[test]
fn a_restored_library_gets_back_what_happened_since() {
    needs("restored_is_compared", |rules| {
        let (mut one, mut two, id) = two(rules);
        let backup = one.own().fork();
        two.edit(id, "title", "since", 1);
        two.sync();
        one.sync();
        one.own = Library::new(backup, false);
        // As many changes as the cursor knows of, so that it looks right.
        for number in 0..5 {
            one.add(&song(&number.to_string()));
        }
        one.sync();

        one.title(id).as_deref() == Some("since")
    });
}

#[test]
fn tombstones_wait_for_machines_that_are_away() {
    needs("purging_waits", |rules| {
        let (mut one, mut two, id) = two(rules);
        now(one.own().songs().delete(&[delete(id)])).unwrap();
        for _ in 0..4 {
            one.clock.fetch_add(25 * DAY, Ordering::Relaxed);
            one.sync();
        }
        let told = now(one.shared.memory.maintenance().changes(None, 10)).unwrap().changes.len();
        // When all have seen it, it goes.
        for _ in 0..4 {
            one.clock.fetch_add(2 * DAY, Ordering::Relaxed);
            two.sync();
            one.sync();
        }
        let left = now(one.shared.memory.maintenance().changes(None, 10)).unwrap().changes.len();

        two.song(id).is_none() && told == 1 && left == 0
    });
}

/// Changes a song after the look and the plan, before the write.
#[derive(Debug)]
struct BeforeTheWrite {
    shared: Arc<Library>,
    id: SongId,
}

impl Progress for BeforeTheWrite {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::Started { work: Work::Syncing, .. }) {
            edit(&self.shared.memory, self.id, "artist", "theirs", 2);
        }
    }
}

#[test]
fn what_changes_between_look_and_write_is_not_overwritten() {
    needs("versions_are_compared", |rules| {
        let (mut one, _, id) = two(rules);
        one.edit(id, "title", "mine", 1);
        let meanwhile = BeforeTheWrite { shared: Arc::clone(&one.shared), id };
        one.sync_until(None, Arc::new(meanwhile)).unwrap();

        let song = now(one.shared.memory.get_song(id)).unwrap().unwrap();
        song.edits.iter().count() == 2
    });
}
