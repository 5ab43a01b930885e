//! What people and machines do in a history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use futures::StreamExt;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use songrec_core::{
    AudioProperties, Digest, Document, DocumentKind, Embedding, Field, Job, OperationId, Segment,
    SegmentId, Song, SongFile, SongId, SongSummary, Timestamp, Vector, Version,
};
use songrec_storage::{
    BlobSource, ChangeState, DeleteSong, MemoryBackend, NewBlob, NewEmbedding, Outcome,
    PutDocument, PutMode, PutSong, StorageBackend, StorageBackendExt, Tombstone, VerifyOptions,
};
use songrec_sync::{
    Direction, MaxDelete, Options, Replica, Report, SyncState, Syncer, Verify, resolve_conflict,
    restore, retire,
};

use super::{
    Backup, DAY, FIELDS, Kind, Names, Object, Place, SEGMENT, SONGS, Shaky, World, audio_hash, key,
    model, now_or_dead, playlists, run, segments_of, values_of,
};

impl World {
    // ---- What people do.

    pub(super) fn add(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let number = rng.random_range(0..SONGS);
        let now = self.time(machine);
        let mut song = Song::new(audio_hash(number), AudioProperties::default(), now);
        let library = self.library(machine);
        if run(library.get_song(song.id)).unwrap().is_some() {
            return;
        }
        let path = format!("m{machine}/{number}-{unique}.flac");
        song.tags.title = Some(format!("song {number}"));
        song.add_file(SongFile { path: path.clone(), sha256: audio_hash(number), size: 4 });
        // Another machine embeds the last bit otherwise.
        let embedded = vec![number as f32, machine as f32];
        let vector = Vector::new(embedded).unwrap();
        let embedding = Embedding { song: song.id, model: model().name, vector };
        let new = NewEmbedding {
            summary: SongSummary::of(&song),
            operation: song.revision.operation,
            embedding,
        };
        let references = run(library.embeddings().put(&[new])).unwrap();
        song.embeddings.insert(model().name, references[0].clone());
        if rng.random_bool(0.3) {
            let bytes = bytes::Bytes::from(format!("audio {number}"));
            let new = NewBlob {
                sha256: Digest::of(&bytes),
                size: bytes.len() as u64,
                operation: song.revision.operation,
            };
            let stream = futures::stream::iter([Ok(bytes)]).boxed();
            song.blob = Some(run(library.blobs().put(&new, BlobSource::Stream(stream))).unwrap());
        }
        let put = PutSong { song: song.clone(), mode: PutMode::Create, origin: None };
        assert_eq!(run(library.songs().put(&[put])).unwrap(), [Outcome::Done]);
        self.note(None, &song, Kind::Life, vec![("files", path.clone())], &[]);
        self.log.push(format!("{machine}: adds {number} {path}"));
    }

    pub(super) fn choose(&self, machine: usize, rng: &mut StdRng) -> Option<Song> {
        self.songs(machine).choose(rng).cloned()
    }

    pub(super) fn replace(
        &mut self,
        machine: usize,
        before: &Song,
        mut after: Song,
        kind: Kind,
        wrote: Vec<(&str, String)>,
        over: &[String],
    ) {
        after.revise(before, self.time(machine));
        self.note(Some(&before.version()), &after, kind, wrote, over);
        let mode = PutMode::Replace(before.revision.operation);
        let put = PutSong { song: after, mode, origin: None };
        assert_eq!(run(self.library(machine).songs().put(&[put])).unwrap(), [Outcome::Done]);
    }

    pub(super) fn edit(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let name = *FIELDS.choose(rng).unwrap();
        let field: Field = name.parse().unwrap();
        let mut next = song.clone();
        let before = next.edits.get(&field).cloned();
        match (name, rng.random_range(0..10)) {
            (_, 0) => {
                next.edits.reset(&field);
            }
            (_, 1) => next.edits.set(field.clone(), None).unwrap(),
            ("genre", 2..=7) => {
                // One more, and perhaps one less.
                let mut all: Vec<Value> =
                    before.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
                if all.len() > 1 && rng.random() {
                    all.remove(0);
                }
                all.push(json!(unique));
                next.edits.set_value(field.clone(), Value::Array(all));
            }
            _ => next.edits.set(field.clone(), Some(unique)).unwrap(),
        }
        if next.edits.get(&field) == before.as_ref() {
            return;
        }
        let after = next.edits.get(&field).cloned();
        self.log.push(format!("{machine}: {} {name} = {after:?}", song.id.short()));
        let (was, is) = (values_of(before.as_ref()), values_of(after.as_ref()));
        // Whoever writes a field has decided about all that was seen of it. In
        // a list only what is new is said: what it kept, others may take away.
        let over: Vec<String> = match name {
            "genre" => {
                was.iter().filter(|one| !is.contains(one)).map(|one| key(name, one)).collect()
            }
            _ => vec![name.to_owned()],
        };
        let new = is.into_iter().filter(|one| name != "genre" || !was.contains(one));
        let wrote = new.map(|one| (name, one)).collect();
        self.replace(machine, &song, next, Kind::Life, wrote, &over);
    }

    pub(super) fn retag(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let mut next = song.clone();
        next.tags.album = Some(unique.to_owned());
        next.tags.genres = vec![unique.to_owned()];
        self.log.push(format!("{machine}: {} retagged {unique}", song.id.short()));
        self.replace(machine, &song, next, Kind::Found, vec![], &[]);
    }

    // Objects first, then the song that they belong to: only songs are told.
    pub(super) fn segment(&mut self, machine: usize, rng: &mut StdRng, seed: u64) {
        let Some(song) = self.choose(machine, rng) else { return };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let id = SegmentId::from_bytes(bytes);
        let segment = Segment {
            id,
            song: song.id,
            model: model().name,
            kind: "chorus".to_owned(),
            start: 1.0,
            end: 2.0,
            frequencies: None,
            confidence: 0.5,
            vector: Vector::new(vec![1.0, 2.0]).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            pattern: None,
        };
        run(self.library(machine).segments().put(&[segment])).unwrap();
        self.log.push(format!("{machine}: {} gets segment {id}", song.id.short()));
        let wrote = vec![(SEGMENT, id.to_string())];
        self.replace(machine, &song, song.clone(), Kind::Found, wrote, &[]);
    }

    pub(super) fn move_file(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let Some(file) = song.files.choose(rng).cloned() else { return };
        let mut next = song.clone();
        let path = format!("m{machine}/moved-{unique}.flac");
        next.remove_file(&file.path);
        next.add_file(SongFile { path: path.clone(), ..file.clone() });
        self.log.push(format!("{machine}: {} {} moves to {path}", song.id.short(), file.path));
        let over = [key("files", &file.path)];
        self.replace(machine, &song, next, Kind::Found, vec![("files", path)], &over);
    }

    pub(super) fn delete(&mut self, machine: usize, rng: &mut StdRng) {
        let Some(song) = self.choose(machine, rng) else { return };
        let operation = OperationId::random();
        let delete = DeleteSong {
            id: song.id,
            version: Some(song.revision.operation),
            operation,
            at: self.time(machine),
            origin: None,
            leaving: None,
        };
        assert_eq!(run(self.library(machine).songs().delete(&[delete])).unwrap(), [Outcome::Done]);
        self.log.push(format!("{machine}: deletes {}", song.id.short()));
        self.objects.push(Object {
            song: song.id,
            op: operation.into(),
            seen: song.version().seen().clone(),
            kind: Kind::Deletion,
            wrote: vec![],
            over: BTreeSet::new(),
        });
    }

    pub(super) fn undelete(&mut self, machine: usize, rng: &mut StdRng) {
        let library = self.library(machine);
        let changes = run(library.maintenance().changes(None, 1_000)).unwrap().changes;
        let deleted: Vec<Tombstone> = changes
            .into_iter()
            .filter_map(|change| match change.state {
                ChangeState::Deleted(tombstone) => Some(*tombstone),
                ChangeState::Present(_) => None,
            })
            .collect();
        if let Some(Tombstone { song, revision, .. }) = deleted.choose(rng) {
            run(restore(library, &[song.id], self.time(machine))).unwrap();
            let back = run(self.library(machine).get_song(song.id)).unwrap().unwrap();
            let known = song.deleted(revision.operation);
            self.note(Some(&known), &back, Kind::Life, vec![], &[]);
            self.log.push(format!("{machine}: restores {}", song.id.short()));
        }
    }

    // Deletes a segment, for ever.
    pub(super) fn unsegment(&mut self, machine: usize, rng: &mut StdRng) {
        let Some(song) = self.choose(machine, rng) else { return };
        let segments = segments_of(self.library(machine), song.id);
        let Some(id) = segments.iter().next() else { return };
        let gone: SegmentId = id.parse().unwrap();
        run(self.library(machine).segments().delete(&[gone])).unwrap();
        let mut next = song.clone();
        next.forget_segments(&[gone]);
        self.log.push(format!("{machine}: {} loses segment {id}", song.id.short()));
        self.replace(machine, &song, next, Kind::Found, vec![], &[key(SEGMENT, id)]);
    }

    pub(super) fn decide(&mut self, machine: usize, rng: &mut StdRng) {
        let songs = self.songs(machine);
        let with: Vec<&Song> = songs.iter().filter(|song| !song.conflicts.is_empty()).collect();
        let Some(song) = with.choose(rng) else { return };
        let entry = song.conflicts.choose(rng).unwrap();
        let taken = rng.random_bool(0.5).then_some(&entry.value);
        let name = entry.field.to_string();
        let library = self.library(machine);
        let now = self.time(machine);
        run(resolve_conflict(library, song.id, &entry.field, taken, now)).unwrap();
        self.log.push(format!("{machine}: {} decides {name}: {taken:?}", song.id.short()));
        let stays = values_of(taken.or(song.edits.get(&entry.field)));
        let after = run(self.library(machine).get_song(song.id)).unwrap().unwrap();
        let field = entry.field.to_string();
        let wrote = stays.into_iter().map(|one| (field.as_str(), one)).collect();
        self.note(Some(&song.version()), &after, Kind::Life, wrote, &[name]);
    }

    pub(super) fn playlist(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let library = self.library(machine);
        let id = format!("list-{}", rng.random_range(0..2));
        let ids = std::slice::from_ref(&id);
        let kind = DocumentKind::Playlist;
        let stored = run(library.documents().get(kind, ids)).unwrap().pop().flatten();
        let now = self.time(machine);
        if let Some(stored) = stored.as_ref().filter(|stored| !stored.deleted) {
            let seen = stored.body["name"].as_str().unwrap().to_owned();
            self.said.remove(&seen);
            if rng.random_bool(0.2) {
                let mode = PutMode::Replace(stored.revision.operation);
                let put = PutDocument { document: stored.deleted(now), mode };
                run(self.library(machine).documents().put(&[put])).unwrap();
                self.log.push(format!("{machine}: deletes playlist {id}"));
                return;
            }
        }
        let body = json!({ "name": unique });
        let document = match &stored {
            Some(stored) => stored.saying(body, now),
            None => Document::new(kind, id.clone(), body, now),
        };
        let mode = match &stored {
            Some(stored) => PutMode::Replace(stored.revision.operation),
            None => PutMode::Create,
        };
        let put = PutDocument { document, mode };
        assert_eq!(run(self.library(machine).documents().put(&[put])).unwrap(), [Outcome::Done]);
        self.said.insert(unique.to_owned());
        self.log.push(format!("{machine}: playlist {id} = {unique}"));
    }

    pub(super) fn note(
        &mut self,
        before: Option<&Version>,
        after: &Song,
        kind: Kind,
        wrote: Vec<(&str, String)>,
        over: &[String],
    ) {
        let written = wrote.iter().map(|(field, value)| key(field, value));
        self.objects.push(Object {
            song: after.id,
            op: after.revision.operation.into(),
            seen: before.map(|before| before.seen().clone()).unwrap_or_default(),
            kind,
            over: over.iter().cloned().chain(written).collect(),
            wrote: wrote.into_iter().map(|(field, value)| (field.to_owned(), value)).collect(),
        });
    }

    // ---- What machines do.

    // Either of two machines syncs them; a shared library does nothing.
    pub(super) fn who_syncs(&self, (one, two): (usize, usize), rng: &mut StdRng) -> (usize, usize) {
        if two < self.machines.len() && rng.random() { (two, one) } else { (one, two) }
    }

    pub(super) fn syncer(
        &mut self,
        machine: usize,
        (with, turned): Names,
        seed: u64,
        share: f64,
        dies_at: Arc<Mutex<Option<u64>>>,
    ) -> Syncer {
        let keep = if self.setup.purges { 25 * DAY } else { 100_000 * DAY };
        let keep = Duration::from_secs(keep.unsigned_abs());
        let one = &mut self.machines[machine];
        let state = one.states.remove(&(with, turned));
        let state = state.unwrap_or_else(|| SyncState::in_memory().unwrap());
        let (now, clock) = (self.now, Arc::clone(&one.clock));
        let (own, other) = (Arc::clone(self.place(machine)), Arc::clone(self.place(with)));
        // The own library is a disk: it does not lose answers, but its caller
        // may die.
        let own = Replica::new("own", Shaky::new(own, seed ^ 1, 0.0, Arc::clone(&dies_at)));
        let other = Replica::new("other", Shaky::new(other, seed ^ 2, share, dies_at));
        let (left, right) = if turned { (other, own) } else { (own, other) };
        Syncer::new(left, right, state).with_rules(self.setup.rules, keep).with_clock(move || {
            Timestamp::from_second(now + clock.load(Ordering::Relaxed)).unwrap()
        })
    }

    pub(super) fn sync(
        &mut self,
        machine: usize,
        with: usize,
        rng: &mut StdRng,
    ) -> Result<(), String> {
        let faulty = self.setup.faults && rng.random_bool(0.5);
        let share = if faulty { rng.random_range(0.0..0.5) } else { 0.0 };
        let dies = self.setup.faults && rng.random_bool(0.25);
        let dies_at = dies.then(|| rng.random_range(0..25));
        let dies_at = Arc::new(Mutex::new(dies_at));
        let direction = match rng.random_range(0..10) {
            0 => Direction::Push,
            1 => Direction::Pull,
            _ => Direction::Both,
        };
        let options = Options {
            direction,
            max_delete: MaxDelete::Songs(1_000),
            jobs: rng.random_range(1..3),
            full: rng.random_bool(0.03),
            adopt: true,
            machine: format!("machine {machine}"),
            ..Options::default()
        };
        let names = (with, rng.random());
        let syncer = self.syncer(machine, names, rng.random(), share, dies_at);
        let result = now_or_dead(syncer.run(&options));
        self.syncs += 1;
        let with_name = self.name(with);
        let text = match &result {
            None => {
                self.crashes += 1;
                "dies".to_owned()
            }
            Some(Err(error)) => format!("fails: {error}"),
            Some(Ok(report)) => summary(report),
        };
        let turned = if names.1 { " turned" } else { "" };
        self.log.push(format!("{machine}: syncs with {with_name} {direction:?}{turned}: {text}"));
        self.machines[machine].states.insert(names, syncer.into_state());
        self.check_objects(with)
    }

    // A reader elsewhere never sees a song whose objects cannot be had.
    pub(super) fn check_objects(&self, with: usize) -> Result<(), String> {
        let library = &self.place(with).memory;
        let findings =
            run(library.maintenance().verify(&VerifyOptions::default(), &Job::silent())).unwrap();
        match findings.first() {
            None => Ok(()),
            Some(finding) => Err(format!("{}: {}", finding.subject, finding.problem)),
        }
    }

    pub(super) fn back_up(&mut self, machine: usize) {
        let one = &self.machines[machine];
        let states = one.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        let backup =
            Backup { of: machine, library: one.library.memory.fork(), states: states.collect() };
        self.backups.push(backup);
        if self.backups.len() > 3 {
            self.backups.remove(0);
        }
        self.log.push(format!("{machine}: is backed up"));
    }

    pub(super) fn restore(&mut self, rng: &mut StdRng) {
        if !self.setup.restores || self.backups.is_empty() {
            return;
        }
        let at = rng.random_range(0..self.backups.len());
        let what = rng.random_range(0..3);
        let machine = self.backups[at].of;
        let backup = &self.backups[at];
        let library = backup.library.fork();
        let states = backup.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        let states = states.collect();
        if what != 1 {
            self.disk_goes(machine, &library);
            self.machines[machine].library = Place::new(library, false);
        }
        if what != 2 {
            self.machines[machine].states = states;
        }
        let what = ["library and state", "state", "library"][what];
        self.log.push(format!("{machine}: {what} restored from a backup"));
    }

    // The disk of one machine is copied to another, in place of what was
    // there.
    pub(super) fn copy_machine(&mut self, machine: usize, rng: &mut StdRng) {
        let to = rng.random_range(0..self.machines.len());
        if !self.setup.clones || to == machine {
            return;
        }
        let library = self.library(machine).fork();
        self.disk_goes(to, &library);
        let from = &self.machines[machine];
        let states = from.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        // A state with oneself makes no sense.
        let states = states.filter(|((with, _), _)| *with != to).collect();
        let library = Place::new(from.library.memory.fork(), false);
        self.machines[to].library = library;
        self.machines[to].states = states;
        self.backups.retain(|backup| backup.of != to);
        self.log.push(format!("{machine}: is copied to {to}"));
    }

    // What was only here is gone with the disk, and nobody can help it.
    pub(super) fn disk_goes(&mut self, machine: usize, instead: &MemoryBackend) {
        let names = |library: &MemoryBackend| -> BTreeSet<String> {
            // One that was merged holds others until they stand beside it.
            let beside = |one: Document| {
                let others = one.beside(&one.version());
                std::iter::once(one).chain(others)
            };
            let names = playlists(library).into_iter().flat_map(beside);
            names.map(|one| one.body["name"].as_str().unwrap().to_owned()).collect()
        };
        let here = names(self.library(machine));
        let mut elsewhere = names(instead);
        for other in self.everywhere().filter(|other| !Arc::ptr_eq(other, self.place(machine))) {
            elsewhere.extend(names(&other.memory));
        }
        self.said.retain(|said| !here.contains(said) || elsewhere.contains(said));
        let segments = |library: &MemoryBackend| -> BTreeSet<String> {
            let songs = (0..SONGS).map(|number| SongId::from_audio_hash(&audio_hash(number)));
            songs.flat_map(|song| segments_of(library, song)).collect()
        };
        let mut gone = segments(self.library(machine));
        let others = self.everywhere().filter(|other| !Arc::ptr_eq(other, self.place(machine)));
        for library in others.map(|other| &other.memory).chain([instead]) {
            for segment in segments(library) {
                gone.remove(&segment);
            }
        }
        self.lost.append(&mut gone);
    }

    // What is remembered of syncs is deleted, or comes from another machine.
    pub(super) fn lose_state(&mut self, machine: usize, rng: &mut StdRng) {
        let from = rng.random_range(0..self.machines.len());
        let states = if rng.random() {
            BTreeMap::new()
        } else {
            let states = self.machines[from].states.iter();
            let states = states.filter(|((with, _), _)| *with != machine);
            states.map(|(names, state)| (*names, state.fork().unwrap())).collect()
        };
        self.log.push(format!("{machine}: remembers {} syncs, of {from}", states.len()));
        self.machines[machine].states = states;
    }

    pub(super) fn retire(&mut self, rng: &mut StdRng) {
        let Some(shared) = self.shared.first().cloned() else { return };
        let machines = run(songrec_sync::machines(&shared.memory)).unwrap();
        if let Some(machine) = machines.choose(rng) {
            run(retire(&shared.memory, &machine.id)).unwrap();
            self.log.push(format!("machine {} ({}) is retired", machine.id, machine.name));
        }
    }

    pub(super) fn migrate(&mut self, machine: usize, rng: &mut StdRng) {
        let to = rng.random_range(0..self.machines.len());
        if to == machine || !self.setup.direct {
            return;
        }
        let left = Shaky::new(Arc::clone(&self.machines[machine].library), 1, 0.0, Arc::default());
        let right = Shaky::new(Arc::clone(&self.machines[to].library), 2, 0.0, Arc::default());
        let syncer = Syncer::new(
            Replica::new("from", left),
            Replica::new("to", right),
            SyncState::in_memory().unwrap(),
        );
        let options = Options::default();
        run(syncer.migrate(&options, Verify::None)).unwrap();
        self.log.push(format!("{machine}: is migrated to {to}"));
    }
}

pub(super) fn summary(report: &Report) -> String {
    let mut text = String::new();
    for work in &report.songs {
        let actions = (work.actions.left, work.actions.right);
        text.push_str(&format!(" {} {actions:?}", work.song.short()));
        if let Some(note) = &work.note {
            text.push_str(&format!(" ({note})"));
        }
    }
    for work in &report.documents {
        text.push_str(&format!(" {} {:?}", work.id, (work.actions.left, work.actions.right)));
    }
    for failure in &report.failed {
        text.push_str(&format!(" failed: {}", failure.reason));
    }
    if report.full {
        text.push_str(" full");
    }
    if report.purged > 0 {
        text.push_str(&format!(" purged {}", report.purged));
    }
    text
}
