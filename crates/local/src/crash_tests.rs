//! A disk that dies, and what must hold after.
//!
//! Each write is let do `n` steps for `n` in `0..`, dying before the last one,
//! after it, or halfway through it; then, in some of the runs, everything is
//! lost that was not synced. The library is opened again, and must be as it
//! was before or as it should be, song by song, and the same as one whose
//! catalog and indexes are built anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use songrec_core::{
    Document, DocumentKind, Embedding, Field, Filter, Job, Metric, ModelSpec, Revision, Segment,
    SegmentId, Silent, Song, SongId, SongSummary, Vector,
};
use songrec_storage::{
    ChangeState, DeleteSong, NearestQuery, NearestSegments, Neighbor, PurgeSong, PutDocument,
    PutMode, PutSong, SegmentQuery, SongQuery, VerifyOptions,
};

use crate::{
    catalog::{Catalog, RowKind},
    database::Database,
    documents::Documents,
    embeddings::Embeddings,
    error::Result,
    files::disk::{Disk, RealDisk, Stamp},
    files::file_system::FileSystem,
    files::{Folder, Layout},
    index_rows::IndexRows,
    options::{IndexKind, LocalOptions},
    segments::Segments,
    songs::Songs,
    verify::Verifier,
};

/// How a disk dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Before,
    After,
    /// A file is written by half.
    Halfway,
}

/// What the disk keeps of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loses {
    /// Only the process died.
    Nothing,
    /// As above, and so fast after the last change that the time of a folder
    /// says nothing.
    NothingAtOnce,
    /// The power was cut.
    Unsynced,
}

/// How the files of a batch get onto the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    Each,
    /// All by one sync of the file system.
    AtOnce,
    /// As above, but the file system says that it could not keep all of it.
    AtOnceInVain,
}

#[derive(Debug)]
struct MortalDisk {
    steps: AtomicU64,
    lives_for: u64,
    death: Death,
    sync: Sync,
    dead: AtomicBool,
    unsynced: Mutex<Vec<Undo>>,
    /// Files whose bytes are not on the disk, wherever they were moved since.
    spoiled: Mutex<BTreeSet<PathBuf>>,
}

/// How to get back to what is on the disk for sure.
#[derive(Debug)]
struct Undo {
    folder: PathBuf,
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl MortalDisk {
    fn new(lives_for: u64, death: Death, sync: Sync) -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicU64::new(0),
            lives_for,
            death,
            sync,
            dead: AtomicBool::new(false),
            unsynced: Mutex::default(),
            spoiled: Mutex::default(),
        })
    }

    fn live<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let died = || Err(io::Error::other("the disk died"));
        if self.dead.load(Ordering::SeqCst) {
            return died();
        }
        if self.steps.fetch_add(1, Ordering::SeqCst) < self.lives_for {
            return run();
        }
        self.dead.store(true, Ordering::SeqCst);
        if self.death == Death::After {
            run()?;
        }
        died()
    }

    fn will_change(&self, folder: &Path, paths: &[&Path]) {
        let files = paths.iter().map(|path| (path.to_path_buf(), fs::read(path).ok())).collect();
        let undo = Undo { folder: folder.to_owned(), files };
        self.unsynced.lock().unwrap().push(undo);
    }

    fn lose_unsynced(&self) {
        // The disk may have the name of a file and half of its bytes.
        for path in self.spoiled.lock().unwrap().iter() {
            if let Ok(bytes) = fs::read(path) {
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let spoiled = self.spoiled.lock().unwrap();
        for undo in self.unsynced.lock().unwrap().drain(..).rev() {
            for (path, before) in undo.files {
                // Names get there in any order, and this one did.
                if spoiled.contains(&path) {
                    continue;
                }
                match before {
                    Some(bytes) => fs::write(path, bytes).unwrap(),
                    None if path.is_dir() => fs::remove_dir_all(path).unwrap(),
                    None => drop(fs::remove_file(path)),
                }
            }
        }
    }
}

impl Disk for MortalDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is dead"));
        }
        RealDisk.read(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
        let halfway = Death::Halfway == self.death;
        self.will_change(path.parent().unwrap(), &[path]);
        self.live(|| RealDisk.write(path, bytes)).inspect_err(|_| {
            if halfway {
                let _ = fs::write(path, &bytes[..bytes.len() / 2]);
            }
        })
    }

    fn write_unsynced(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
        self.spoiled.lock().unwrap().insert(path.to_owned());
        self.write(path, bytes)
    }

    fn file_system_of(&self, folder: &Path, _: usize) -> Option<FileSystem> {
        (self.sync != Sync::Each).then(|| FileSystem::of(folder).ok()).flatten()
    }

    fn sync_file_system(&self, system: &FileSystem) -> io::Result<()> {
        self.live(|| match self.sync {
            Sync::AtOnceInVain => Err(io::Error::other("something was not written")),
            Sync::Each | Sync::AtOnce => Ok(()),
        })?;
        self.spoiled.lock().unwrap().clear();
        self.unsynced.lock().unwrap().retain(|undo| !system.holds(&undo.folder));
        Ok(())
    }

    fn sync(&self, path: &Path) -> io::Result<Stamp> {
        self.live(|| RealDisk.sync(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.will_change(to.parent().unwrap(), &[to]);
        self.live(|| RealDisk.rename(from, to))?;
        let mut spoiled = self.spoiled.lock().unwrap();
        if spoiled.remove(from) {
            spoiled.insert(to.to_owned());
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.will_change(path.parent().unwrap(), &[path]);
        self.live(|| RealDisk.remove(path))?;
        self.spoiled.lock().unwrap().remove(path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.will_change(path.parent().unwrap(), &[path]);
        self.live(|| RealDisk.create_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.live(|| RealDisk.sync_dir(path))?;
        self.unsynced.lock().unwrap().retain(|undo| undo.folder != path);
        Ok(())
    }

    fn step(&self, run: &mut dyn FnMut()) -> io::Result<()> {
        self.live(|| {
            run();
            Ok(())
        })
    }

    fn width(&self) -> usize {
        1
    }
}

/// A song with its summary and its vectors.
type Whole = (Song, SongSummary, Vec<Vec<f32>>);

/// Everything that can be asked of a library.
#[derive(Debug, PartialEq)]
struct Answers {
    songs: BTreeMap<SongId, Whole>,
    deleted: BTreeMap<SongId, Song>,
    nearest: Vec<Neighbor>,
    by_file: Vec<Vec<SongId>>,
    filtered: Vec<u64>,
    segments: Vec<Segment>,
    nearest_segments: Vec<SegmentId>,
    documents: Vec<Document>,
}

impl Answers {
    fn of(db: &Database) -> Self {
        let page = SongQuery { limit: 1_000, ..SongQuery::default() };
        let summaries = Songs::new(db).find_summaries(&page).unwrap().items;
        let ids: Vec<SongId> = summaries.iter().map(|summary| summary.id).collect();
        let mut songs = BTreeMap::new();
        for (summary, song) in summaries.into_iter().zip(Songs::new(db).get(&ids).unwrap()) {
            let song = song.expect("what is listed is stored");
            let mut vectors = Vec::new();
            for model in song.embeddings.keys() {
                let stored = Embeddings::new(db).get(model, &[song.id]).unwrap().pop().unwrap();
                let stored = stored.expect("what a song names is stored");
                assert!(song.names(model, &stored.reference));
                vectors.push(stored.embedding.vector.values().to_vec());
            }
            songs.insert(song.id, (song, summary, vectors));
        }
        let (mut deleted, mut event) = (BTreeMap::new(), BTreeSet::new());
        for change in Songs::new(db).changes(None, 1_000).unwrap().changes {
            match change.state {
                ChangeState::Present(song) => {
                    assert!(event.insert(song.id));
                    assert_eq!(*song, songs[&song.id].0, "changes tell what is stored");
                }
                ChangeState::Deleted(tombstone) => {
                    deleted.insert(change.song, tombstone.song);
                }
            }
        }
        assert_eq!(event, songs.keys().copied().collect(), "changes tell every song");
        let nearest = NearestQuery::new(model().name, vector(1), 100);
        let among = SegmentQuery { model: Some(model().name), ..SegmentQuery::default() };
        let nearest_segments = NearestSegments {
            vector: vector(3),
            among,
            k: 100,
            threshold: None,
            metric: None,
            exclude: vec![],
        };
        let paths = (0..9).map(|n| songrec_storage::Lookup::Path(format!("{n}.wav")));
        let filters = ["new", "genre:*", "title:edited"];
        let every = SegmentQuery { limit: 1_000, ..SegmentQuery::default() };
        let found = Segments::new(db).nearest(&nearest_segments).unwrap();
        Self {
            songs,
            deleted,
            nearest: Embeddings::new(db).nearest(&nearest).unwrap(),
            by_file: Songs::new(db).lookup(&paths.collect::<Vec<_>>()).unwrap(),
            filtered: filters
                .map(|text| Songs::new(db).count(&Filter::parse_all(&[text]).unwrap()).unwrap())
                .to_vec(),
            segments: Segments::new(db).find(&every).unwrap(),
            nearest_segments: found.into_iter().map(|one| one.segment.id).collect(),
            documents: Documents::new(db).list(&DocumentKind::ALL, None).unwrap().items,
        }
    }
}

fn model() -> ModelSpec {
    ModelSpec {
        name: "tiny@1".parse().unwrap(),
        dimension: 3,
        metric: Metric::Cosine,
        description: String::new(),
    }
}

fn vector(n: u8) -> Vector {
    Vector::new(vec![f32::from(n) + 1.0, 1.0, -f32::from(n)]).unwrap()
}

// A song with the operation of its write made of `n`, so that writing it again
// is the same write.
fn song(n: u8) -> Song {
    let mut song = songrec_testkit::song(&format!("song {n}"));
    song.files.clear();
    song.add_file(songrec_core::SongFile {
        path: format!("{n}.wav"),
        sha256: songrec_core::Digest::of(&[n]),
        size: 1,
    });
    song.revision =
        Revision { number: 1, operation: songrec_core::OperationId::from_bytes([n; 16]) };
    song
}

fn embedded(mut song: Song, n: u8) -> (Song, Embedding) {
    let embedding = Embedding { song: song.id, model: model().name, vector: vector(n) };
    song.embeddings.insert(model().name, embedding.reference());
    (song, embedding)
}

fn edited(song: &Song) -> Song {
    let mut edited = song.clone();
    edited.edits.set(Field::Title, Some("edited")).unwrap();
    edited.revision.number += 1;
    edited.revision.operation = songrec_core::OperationId::from_bytes([200; 16]);
    edited
}

fn segment(n: u8, of: &Song) -> Segment {
    Segment {
        id: SegmentId::from_bytes([n; 16]),
        song: of.id,
        start: f64::from(n),
        end: f64::from(n) + 1.0,
        frequencies: Some((20.0, 2_000.0)),
        kind: "window".to_owned(),
        confidence: 0.5,
        model: model().name,
        vector: vector(n),
        created_at: songrec_core::Timestamp::UNIX_EPOCH,
        // Both forms of the file are met.
        pattern: (n % 2 == 1).then(|| songrec_core::Pattern {
            id: SegmentId::from_bytes([n; 16]),
            source: Some("a program".to_owned()),
            metadata: serde_json::Map::new(),
            changed_at: songrec_core::Timestamp::UNIX_EPOCH,
        }),
    }
}

fn document(n: u8) -> Document {
    Document {
        kind: DocumentKind::Playlist,
        id: format!("list-{n}"),
        revision: Revision { number: 1, operation: songrec_core::OperationId::from_bytes([n; 16]) },
        updated_at: songrec_core::Timestamp::UNIX_EPOCH,
        body: serde_json::json!({ "songs": [n] }),
        deleted: false,
        history: None,
    }
}

fn put(db: &Database, songs: &[(Song, Embedding)], mode: PutMode) -> Result<()> {
    let embeddings: Vec<_> = songs
        .iter()
        .map(|(song, embedding)| songrec_testkit::new_embedding(song, embedding.clone()))
        .collect();
    Embeddings::new(db).put(&embeddings)?;
    let puts: Vec<_> =
        songs.iter().map(|(song, _)| PutSong { song: song.clone(), mode, origin: None }).collect();
    let outcomes = Songs::new(db).put(&puts)?;
    assert!(outcomes.iter().all(songrec_storage::Outcome::is_done), "{outcomes:?}");
    Ok(())
}

const DELETION: songrec_core::OperationId = songrec_core::OperationId::from_bytes([100; 16]);

fn delete(db: &Database, songs: &[Song]) -> Result<()> {
    let deletes: Vec<_> = songs
        .iter()
        .map(|song| DeleteSong {
            id: song.id,
            version: None,
            operation: DELETION,
            at: songrec_core::Timestamp::UNIX_EPOCH,
            origin: None,
            leaving: None,
        })
        .collect();
    Songs::new(db).delete(&deletes).map(drop)
}

const COPIES: LocalOptions = LocalOptions { keeps_copies: true, index: IndexKind::Auto };

// In memory where that can be had: what matters here is the order of steps,
// and thousands of libraries wait for a disk long.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        songrec_testkit::temp_dir()
    }
}

/// A library with songs 0 to 3, of which 3 is deleted, segments of 0 and 1 and
/// a document.
fn prepare(root: &Path) {
    let db = Database::create(root, Arc::new(RealDisk), COPIES).unwrap();
    Songs::new(&db).put_model(&model()).unwrap();
    let songs: Vec<_> = (0..4).map(|n| embedded(song(n), n)).collect();
    put(&db, &songs, PutMode::Create).unwrap();
    delete(&db, &[song(3)]).unwrap();
    let segments: Vec<_> = (0..4).map(|n| segment(n, &song(n % 2))).collect();
    Segments::new(&db).put(&segments).unwrap();
    let put = PutDocument { document: document(0), mode: PutMode::Create };
    Documents::new(&db).put(&[put]).unwrap();
}

// Copies a library with its times, so that it looks as if nothing happened.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            set_time(&to, fs::metadata(entry.path()).unwrap().modified().unwrap());
        }
    }
    set_time(to, fs::metadata(from).unwrap().modified().unwrap());
}

fn set_time(path: &Path, time: std::time::SystemTime) {
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

// Makes every folder look as the catalog knows it.
fn hide_changes(root: &Path) {
    let catalog = Catalog::new(root.join("catalog.sqlite"));
    let Ok(opened) = catalog.take() else { return };
    let layout = Layout::new(root);
    for folder in Folder::ALL {
        for (shard, mtime) in Catalog::shards(&opened.connection, folder).unwrap_or_default() {
            let time = std::time::UNIX_EPOCH
                + std::time::Duration::from_nanos(u64::try_from(mtime).unwrap());
            if layout.shard(folder, shard).is_dir() {
                set_time(&layout.shard(folder, shard), time);
            }
        }
    }
}

/// Lets `work` die at every step in every way, on libraries that are damaged
/// first, and looks at what is left.
fn survives(damage: Option<&dyn Fn(&Path)>, work: impl Fn(&Database) -> Result<()>) {
    survives_on(Sync::Each, damage, work);
}

fn survives_on(sync: Sync, damage: Option<&dyn Fn(&Path)>, work: impl Fn(&Database) -> Result<()>) {
    let template = folder();
    prepare(template.path());
    let before = Answers::of(&open(template.path(), Arc::new(RealDisk)).unwrap());
    let fresh = || {
        let folder = folder();
        copy(template.path(), folder.path());
        if let Some(damage) = damage {
            damage(folder.path());
        }
        folder
    };
    let after = {
        let folder = fresh();
        let db = open(folder.path(), Arc::new(RealDisk)).unwrap();
        work(&db).unwrap();
        Answers::of(&db)
    };
    let mut deaths = 0;
    let ways = [
        (Death::Before, Loses::NothingAtOnce),
        (Death::Before, Loses::Unsynced),
        (Death::After, Loses::Nothing),
        (Death::After, Loses::NothingAtOnce),
        (Death::After, Loses::Unsynced),
        (Death::Halfway, Loses::Nothing),
    ];
    for (death, loses) in ways {
        for lives_for in 0.. {
            let folder = fresh();
            let disk = MortalDisk::new(lives_for, death, sync);
            let died = {
                let opened = open(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
                opened.and_then(|db| work(&db))
            };
            let is_dead = disk.dead.load(Ordering::SeqCst);
            assert_eq!(died.is_err(), is_dead, "{died:?}");
            match loses {
                Loses::Nothing => {}
                Loses::NothingAtOnce => hide_changes(folder.path()),
                Loses::Unsynced => disk.lose_unsynced(),
            }
            let name = format!("{sync:?}, {death:?}, loses {loses:?}, step {lives_for}");
            if !is_dead {
                let db = open(folder.path(), Arc::new(RealDisk)).unwrap();
                assert_eq!(Answers::of(&db), after, "{name}: what was done stays done");
            }
            if damage.is_none() {
                check(folder.path(), &name, [&before, &after]);
            }
            let db = open(folder.path(), Arc::new(RealDisk)).unwrap();
            work(&db).unwrap_or_else(|fault| panic!("{name}: again: {fault}"));
            assert_eq!(Answers::of(&db), after, "{name}: after another run");
            drop(db);
            if damage.is_some() {
                check(folder.path(), &name, [&before, &after]);
            }
            if !is_dead {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 20, "died only {deaths} times");
}

fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Database> {
    Database::open(root, disk, COPIES, None, &Silent)
}

fn check(root: &Path, name: &str, [before, after]: [&Answers; 2]) {
    let db = open(root, Arc::new(RealDisk)).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    let left = Answers::of(&db);
    for id in before.songs.keys().chain(after.songs.keys()) {
        let now = left.songs.get(id);
        let allowed = [before.songs.get(id), after.songs.get(id)];
        assert!(allowed.contains(&now), "{name}: song {id} is {now:?}");
    }
    let known = |id: &SongId| before.songs.contains_key(id) || after.songs.contains_key(id);
    assert!(left.songs.keys().all(known), "{name}");
    let nearest: BTreeSet<SongId> = left.nearest.iter().map(|hit| hit.song).collect();
    let named: BTreeSet<SongId> = left
        .songs
        .values()
        .filter(|(song, _, _)| !song.embeddings.is_empty())
        .map(|(song, _, _)| song.id)
        .collect();
    assert_eq!(nearest, named, "{name}: the index has what songs name");
    assert!(db.store().unfinished().unwrap().is_empty(), "{name}: nothing is left over");
    let found = Verifier::new(&db)
        .verify(&VerifyOptions { repair: false, read_data: true }, &Job::silent())
        .unwrap();
    let found: Vec<_> = found.iter().filter(|one| !one.problem.contains(".wav`")).collect();
    assert!(found.is_empty(), "{name}: {found:?}");
    drop(db);

    fs::remove_file(root.join("catalog.sqlite")).unwrap();
    fs::remove_dir_all(root.join("index")).unwrap();
    let rebuilt = Answers::of(&open(root, Arc::new(RealDisk)).unwrap());
    assert_eq!(rebuilt, left, "{name}: built from the files");
}

#[test]
fn storing_a_batch_survives_every_death() {
    let new: Vec<_> = (4..6).map(|n| embedded(song(n), n)).collect();
    let mut restored = embedded(song(3), 3).0;
    restored.revision.operation = songrec_core::OperationId::from_bytes([50; 16]);

    survives(None, |db| {
        put(db, &new, PutMode::Create)?;
        let mode = PutMode::Create;
        Songs::new(db).put(&[PutSong { song: restored.clone(), mode, origin: None }]).map(drop)
    });
}

#[test]
fn a_batch_that_is_synced_at_once_survives_every_death() {
    let new: Vec<_> = (4..6).map(|n| embedded(song(n), n)).collect();
    let old = embedded(song(0), 0).0;
    let put = PutSong {
        song: edited(&old),
        mode: PutMode::Replace(old.revision.operation),
        origin: None,
    };

    survives_on(Sync::AtOnce, None, |db| {
        crate::crash_tests::put(db, &new, PutMode::Create)?;
        delete(db, &[song(1)])?;
        Songs::new(db).put(std::slice::from_ref(&put)).map(drop)
    });
    survives_on(Sync::AtOnceInVain, None, |db| {
        Songs::new(db).put(std::slice::from_ref(&put)).map(drop)
    });
}

#[test]
fn editing_survives_every_death() {
    let (first, second) = (embedded(song(0), 0).0, embedded(song(1), 1).0);
    let mut silent = edited(&second);
    silent.embeddings.clear();

    survives(None, |db| {
        let puts = [(&first, edited(&first)), (&second, silent.clone())].map(|(old, new)| {
            let mode = PutMode::Replace(old.revision.operation);
            PutSong { song: new, mode, origin: None }
        });
        Songs::new(db).put(&puts).map(drop)
    });
}

#[test]
fn deleting_survives_every_death() {
    survives(None, |db| {
        delete(db, &[song(0), song(1)])?;
        Songs::new(db).purge(&[PurgeSong { id: song(3).id, deletion: DELETION }])
    });
}

#[test]
fn segments_and_documents_survive_every_death() {
    survives(None, |db| {
        Segments::new(db).put(&[segment(10, &song(0)), segment(11, &song(2))])?;
        let gone = [segment(1, &song(1)), segment(3, &song(1))].map(|one| one.id);
        Segments::new(db).delete(&gone)?;
        let put = PutDocument { document: document(1), mode: PutMode::Create };
        Documents::new(db).put(&[put]).map(drop)
    });
}

#[test]
fn building_the_catalog_survives_every_death() {
    let damage = |root: &Path| fs::remove_file(root.join("catalog.sqlite")).unwrap();

    survives(Some(&damage), |db| {
        Songs::new(db).put_model(&model())?;
        db.build_again(&Silent)?;
        put(db, &[embedded(song(4), 4)], PutMode::Create)
    });
}

#[test]
fn repairing_survives_every_death() {
    let damage = |root: &Path| {
        let db = open(root, Arc::new(RealDisk)).unwrap();
        db.write(|transaction| {
            let connection = transaction.connection();
            let stale = "UPDATE song SET card = replace(card, 'song 0', 'other'), mtime = 1";
            connection.execute(stale, [])?;
            let tiny = Catalog::model(connection, &model().name)?.unwrap();
            let rows = IndexRows::new(transaction).open(&tiny, RowKind::Song)?;
            rows.remove(&[*song(1).id.as_bytes()])?;
            rows.put(&[([77; 16], vector(7))])
        })
        .unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        fs::write(root.join("tmp/left.tmp"), "left").unwrap();
    };

    survives(Some(&damage), |db| {
        let options = VerifyOptions { repair: true, read_data: true };
        Verifier::new(db).verify(&options, &Job::silent()).map(drop)
    });
}
