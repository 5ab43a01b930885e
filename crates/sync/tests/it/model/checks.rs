//! What must hold after a history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use songrec_core::{Op, Song, SongId};
use songrec_storage::{ChangeState, MemoryBackend, StorageBackend, StorageBackendExt, Tombstone};
use songrec_sync::{MaxDelete, Options};

use super::{
    Kind, Names, Object, SEGMENT, SHARED, SONGS, World, audio_hash, deeds::summary, key, playlists,
    run, segments_of, songs_of, values_of,
};

/// So many rounds over all edges come to rest at the latest.
const MOST_ROUNDS: u64 = 12;

impl World {
    // ---- What must hold.

    /// Everybody syncs in quiet until nothing is left to do; then all must be
    /// equal, and everything that nobody took back who knew it must be there.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.everywhere().for_each(|place| run(place.land(None)));
        let (held, remembered) = (self.held(), self.remembered());
        let mut rng = StdRng::seed_from_u64(0);
        let faults = std::mem::replace(&mut self.setup.faults, false);
        for round in 0.. {
            if round == MOST_ROUNDS {
                return Err(format!("after {round} quiet rounds there is still something to do"));
            }
            let mut rests = true;
            for edge in self.edges.clone() {
                let (one, two) = self.who_syncs(edge, &mut rng);
                rests &= self.sync_in_quiet(one, (two, rng.random()), &mut rng)?;
            }
            if rests {
                break;
            }
        }
        for (one, two) in self.edges.clone() {
            for turned in [false, true] {
                if !self.sync_in_quiet(one, (two, turned), &mut rng)? {
                    return Err(format!("{one} has something to do again, turned: {turned}"));
                }
            }
        }
        self.setup.faults = faults;
        self.check_equal(&held)?;
        self.check_objects_of_songs(&held, &remembered)?;
        self.check_playlists()?;
        for (_, with) in self.edges.clone() {
            self.check_objects(with)?;
        }
        (0..self.machines.len()).try_for_each(|machine| self.check_objects(machine))
    }

    // Says whether nothing had to be done.
    fn sync_in_quiet(
        &mut self,
        one: usize,
        names: Names,
        rng: &mut StdRng,
    ) -> Result<bool, String> {
        let options =
            Options { max_delete: MaxDelete::Songs(1_000), adopt: true, ..Options::default() };
        let syncer = self.syncer(one, names, rng.random(), 0.0, Arc::default());
        let result = run(syncer.run(&options));
        self.machines[one].states.insert(names, syncer.into_state());
        let report = result.map_err(|error| format!("a quiet sync failed: {error:?}"))?;
        let (with, turned) = (self.name(names.0), if names.1 { " turned" } else { "" });
        self.log.push(format!("{one}: syncs in quiet with {with}{turned}: {}", summary(&report)));
        if !report.is_complete() {
            return Err(format!("a quiet sync left something: {:?}", report.failed));
        }
        Ok(report.is_empty() && report.waiting == 0)
    }

    // The writes that a deletion had seen which is remembered. If no library
    // has it any more, it may count or not.
    fn remembered(&self) -> BTreeSet<Op> {
        let states = self.machines.iter().flat_map(|machine| machine.states.values());
        let remembered = states.flat_map(|state| state.tombstones().unwrap());
        let seen = |tombstone: Tombstone| {
            tombstone.song.deleted(tombstone.revision.operation).seen().clone()
        };
        remembered.flat_map(seen).collect()
    }

    // The writes that some library has seen; the others went with a disk.
    fn held(&self) -> BTreeSet<Op> {
        let mut held = BTreeSet::new();
        for place in self.everywhere() {
            for change in run(place.memory.maintenance().changes(None, usize::MAX)).unwrap().changes
            {
                let version = match change.state {
                    ChangeState::Present(song) => song.version(),
                    ChangeState::Deleted(tombstone) => {
                        tombstone.song.deleted(tombstone.revision.operation)
                    }
                };
                held.extend(version.seen().iter().copied());
            }
        }
        held
    }

    fn check_equal(&self, held: &BTreeSet<Op>) -> Result<(), String> {
        let pictured =
            |library: &MemoryBackend| picture(library, &|segment| self.is_known(segment, held));
        let wanted = pictured(self.library(0));
        for at in (1..self.machines.len()).chain((0..self.shared.len()).map(|one| SHARED - one)) {
            let found = pictured(&self.place(at).memory);
            if found != wanted {
                let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
                for key in keys {
                    let (own, first) = (found.get(key), wanted.get(key));
                    if own != first {
                        let at = self.name(at);
                        return Err(format!("{at} and 0 differ in {key}:\n  {own:?}\n  {first:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    // A song is there exactly if somebody wanted it whom no deletion knew; and
    // it says exactly what nobody took back who knew it.
    fn check_objects_of_songs(
        &self,
        held: &BTreeSet<Op>,
        remembered: &BTreeSet<Op>,
    ) -> Result<(), String> {
        let known: BTreeSet<Op> = held.union(remembered).copied().collect();
        (0..SONGS).try_for_each(|number| {
            let checked = self.check_song(number, held);
            checked.or_else(|wrong| self.check_song(number, &known).map_err(|_| wrong))
        })
    }

    fn check_song(&self, number: u64, held: &BTreeSet<Op>) -> Result<(), String> {
        let objects: Vec<&Object> =
            self.objects.iter().filter(|object| held.contains(&object.op)).collect();
        let library = self.library(0);
        let id = SongId::from_audio_hash(&audio_hash(number));
        let of_song: Vec<&&Object> = objects.iter().filter(|object| object.song == id).collect();
        let known_by = |object: &Object, by: &dyn Fn(&Object) -> bool| {
            of_song.iter().any(|later| later.seen.contains(&object.op) && by(later))
        };
        let alive = of_song.iter().any(|object| {
            object.kind == Kind::Life && !known_by(object, &|later| later.kind == Kind::Deletion)
        });
        let song = run(library.get_song(id)).unwrap();
        if song.is_some() != alive {
            return Err(format!("song {} is there: {}", id.short(), !alive));
        }
        let Some(song) = song else { return Ok(()) };
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        for object in &of_song {
            for (field, value) in &object.wrote {
                let key = key(field, value);
                // Segments come before the songs that know of them, and
                // whoever deletes one has seen it.
                let is_over = if field == SEGMENT {
                    of_song.iter().any(|one| one.op != object.op && one.over.contains(&key))
                } else {
                    known_by(object, &|later| later.over.contains(&key))
                };
                if !is_over {
                    wanted.insert((field.clone(), value.clone()));
                }
            }
        }
        let mut found: BTreeSet<(String, String)> = visible(&song).into_iter().collect();
        let segments = segments_of(library, id).into_iter();
        let segments = segments.filter(|segment| self.is_known(segment, held));
        found.extend(segments.map(|segment| (SEGMENT.to_owned(), segment)));
        wanted.retain(|(field, value)| field != SEGMENT || self.is_known(value, held));
        if found != wanted {
            return Err(format!(
                "song {}: missing {:?}, not wanted {:?}",
                id.short(),
                wanted.difference(&found).collect::<Vec<_>>(),
                found.difference(&wanted).collect::<Vec<_>>()
            ));
        }
        Ok(())
    }

    // Segments lie beside songs, and come before them: where a sync died and the
    // disk that it read went, one is there of which no song knows, or is gone
    // and nobody knows why.
    fn is_known(&self, segment: &str, held: &BTreeSet<Op>) -> bool {
        let of_it = |object: &&Object| object.over.contains(&key(SEGMENT, segment));
        !self.lost.contains(segment)
            && self.objects.iter().filter(of_it).all(|object| held.contains(&object.op))
    }

    fn check_playlists(&self) -> Result<(), String> {
        let there = playlists(self.library(0)).into_iter();
        let there: BTreeSet<String> =
            there.map(|one| one.body["name"].as_str().unwrap().to_owned()).collect();
        match self.said.difference(&there).next() {
            None => Ok(()),
            Some(name) => Err(format!("`{name}`, the name of a playlist, is gone")),
        }
    }
}

// Everything that is said of a song, shown or in conflict.
fn visible(song: &Song) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (field, value) in song.edits.iter() {
        all.extend(values_of(Some(value)).into_iter().map(|one| (field.to_string(), one)));
    }
    for entry in &song.conflicts {
        let values = values_of(Some(&entry.value)).into_iter();
        all.extend(values.map(|one| (entry.field.to_string(), one)));
    }
    all.extend(song.files.iter().map(|file| ("files".to_owned(), file.path.clone())));
    all
}

// What a person sees of a library, with some of the segments.
pub(super) fn picture(
    library: &MemoryBackend,
    with_segment: &dyn Fn(&str) -> bool,
) -> BTreeMap<String, Value> {
    let mut picture = BTreeMap::new();
    for song in songs_of(library) {
        let conflicts: BTreeSet<String> =
            song.conflicts.iter().map(|entry| format!("{}={}", entry.field, entry.value)).collect();
        let mut segments = segments_of(library, song.id);
        segments.retain(|segment| with_segment(segment));
        let models: Vec<String> = song.embeddings.keys().map(ToString::to_string).collect();
        let said = json!({
            "edits": song.edits,
            "tags": song.tags,
            "files": song.files,
            "conflicts": conflicts,
            "models": models,
            "segments": segments,
        });
        picture.insert(format!("song {}", song.id.short()), said);
    }
    for document in playlists(library) {
        picture.insert(format!("playlist {}", document.id), document.body);
    }
    picture
}
