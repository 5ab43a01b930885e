//! A backup brings back what was there, wherever it was kept, and what is damaged is
//! never taken for whole.
#![cfg(feature = "astra")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_core::{
    Document, DocumentKind, Field, Job, Segment, SegmentId, Silent, Song, SongId, SongSummary,
    Timestamp,
};
use songrec_emulator::Emulator;
use songrec_library::{
    Access, ArchiveReport, BackupOptions, Config, ErrorKind, Library, RestoreOptions, Restored,
    Restoring, backup_to_file, create_playlist, delete_playlist,
};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{
    ChangeState, PutMode, SegmentQuery, StorageBackend, StorageBackendExt, Tombstone,
};
use songrec_testkit::{delete, library_of, random_vector, temp_dir, tiny_model};

use crate::floor::config;

const SONGS: usize = 40;

struct Place {
    config: Arc<Config>,
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = temp_dir();
        let config = config(root.path());
        Self { config, root }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    // How a library in a folder is called.
    fn name(&self, folder: &str) -> String {
        self.file(folder).display().to_string()
    }

    fn library(&self, backend: Arc<dyn StorageBackend>, id: &str) -> Library {
        Library::new(backend, self.config.clone(), id.to_owned(), None)
    }

    async fn local(&self) -> (Library, Arc<dyn StorageBackend>) {
        let backend = LocalBackend::create(self.file("first"), LocalOptions::default()).await;
        let backend: Arc<dyn StorageBackend> = Arc::new(backend.unwrap());
        (self.library(backend.clone(), "first"), backend)
    }

    async fn open(&self, folder: &str) -> LocalBackend {
        LocalBackend::open(self.file(folder), &Silent).await.unwrap()
    }

    async fn backup(&self, library: &Library) -> PathBuf {
        let file = self.file("backup.songrec");
        let options = BackupOptions::default();
        let done = backup_to_file(library, &file, true, &options, &Job::silent()).await.unwrap();
        assert_eq!(done.left_out.len(), 0, "{done:?}");
        file
    }

    async fn restore(
        &self,
        file: &Path,
        to: &str,
        options: RestoreOptions,
    ) -> songrec_library::Result<(ArchiveReport, Option<Restored>)> {
        let job = Job::silent();
        let restoring = Restoring::open(file).await?;
        let (config, name) = (self.config.clone(), self.name(to));
        restoring.restore(config, &name, &options, Arc::new(Silent), &job).await
    }

    async fn look(&self, bytes: &[u8]) -> songrec_library::Result<ArchiveReport> {
        let input = Box::new(std::io::Cursor::new(bytes.to_vec()));
        Restoring::read(input, "test".to_owned()).await?.look(&Job::silent()).await
    }
}

// Songs with vectors, edits, segments, playlists and a trash.
async fn fill(library: &Library, backend: &dyn StorageBackend) -> Vec<Song> {
    let fixture = library_of(SONGS, 5).embedded_by(&tiny_model(), 6).store(backend).await;
    let mut songs = fixture.songs;
    let mut edited = backend.get_song(songs[0].id).await.unwrap().unwrap();
    let before = edited.clone();
    edited.edits.set(Field::Title, Some("Mine \u{202e} ü")).unwrap();
    edited.revise(&before, songrec_library::now());
    let mode = PutMode::Replace(before.revision.operation);
    backend.put_song(&edited, mode).await.unwrap();
    songs[0] = edited;
    let mut rng = StdRng::seed_from_u64(7);
    let segments: Vec<Segment> = (0..30)
        .map(|number| Segment {
            id: SegmentId::random(),
            song: songs[number % 7].id,
            start: 0.1 * number as f64,
            end: 0.1 * number as f64 + 0.3,
            frequencies: (number % 2 == 0).then_some((20.5, 440.1)),
            kind: "window".to_owned(),
            confidence: 0.7,
            model: tiny_model().name,
            vector: random_vector(&mut rng, &tiny_model()),
            created_at: Timestamp::UNIX_EPOCH,
            pattern: None,
        })
        .collect();
    backend.segments().put(&segments).await.unwrap();
    backend.songs().delete(&[delete(songs[3].id), delete(songs[4].id)]).await.unwrap();
    let shown: Vec<SongSummary> = songs[5..9].iter().map(SongSummary::of).collect();
    create_playlist(library, "Évening", &shown, None).await.unwrap();
    let gone = create_playlist(library, "Gone", &shown[..1], None).await.unwrap();
    delete_playlist(library, &gone.id, None).await.unwrap();
    songs
}

/// What a library holds, without the keys that a backend gives.
#[derive(Debug, PartialEq)]
struct Held {
    songs: BTreeMap<SongId, Song>,
    trash: BTreeMap<SongId, Tombstone>,
    documents: Vec<Document>,
    segments: Vec<Segment>,
    vectors: BTreeMap<SongId, Vec<f32>>,
}

async fn held(backend: &dyn StorageBackend) -> Held {
    let (mut songs, mut trash) = (BTreeMap::new(), BTreeMap::new());
    let mut cursor = None;
    loop {
        let page = backend.maintenance().changes(cursor.as_ref(), 100).await.unwrap();
        for change in page.changes {
            match change.state {
                ChangeState::Present(mut song) => {
                    song.embeddings.values_mut().for_each(|named| named.key = None);
                    songs.insert(song.id, *song);
                }
                ChangeState::Deleted(mut tombstone) => {
                    // The vectors of a deleted song are not kept.
                    tombstone.song.embeddings.clear();
                    trash.insert(tombstone.song.id, *tombstone);
                }
            }
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    let documents = backend.documents().list(&DocumentKind::SYNCED, None).await.unwrap().items;
    let all = SegmentQuery { limit: usize::MAX, ..SegmentQuery::default() };
    let mut segments = backend.segments().find(&all).await.unwrap();
    // Those of deleted songs went with them or did not; nobody asks for them.
    segments.retain(|segment| songs.contains_key(&segment.song));
    segments.sort_by_key(|segment| segment.id);
    let ids: Vec<SongId> = songs.keys().copied().collect();
    let vectors = backend.embeddings().get(&tiny_model().name, &ids).await.unwrap();
    let vectors = vectors.into_iter().flatten();
    let vectors =
        vectors.map(|one| (one.embedding.song, one.embedding.vector.values().to_vec())).collect();
    Held { songs, trash, documents, segments, vectors }
}

#[tokio::test]
async fn what_is_restored_is_what_was_there_wherever_it_was() {
    let place = Place::new();
    let emulator = Emulator::builder().start().await.unwrap();
    let mut settings = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
    settings.blobs = Some(BlobConfig::new("memory:"));
    let astra = AstraBackend::connect(&settings).unwrap();
    assert!(astra.init(false).await.unwrap().is_complete());
    let astra: Arc<dyn StorageBackend> = Arc::new(astra);
    let far = place.library(astra.clone(), "far");
    let (near, local) = place.local().await;
    for (library, backend, to) in [(&near, &local, "of-local"), (&far, &astra, "of-astra")] {
        fill(library, &**backend).await;
        let before = held(&**backend).await;
        assert_eq!((before.songs.len(), before.trash.len()), (SONGS - 2, 2));

        let file = place.backup(library).await;
        let (report, restored) = place.restore(&file, to, RestoreOptions::default()).await.unwrap();
        let (_, again) = place.restore(&file, to, RestoreOptions::default()).await.unwrap();

        assert!(report.whole, "{report:?}");
        let (restored, again) = (restored.unwrap(), again.unwrap());
        assert!(restored.is_new && restored.failed.is_empty(), "{restored:?}");
        assert_eq!((restored.songs.add, restored.trash), (SONGS as u64 - 2, 2), "{restored:?}");
        assert_eq!(held(&place.open(to).await).await, before, "{to}");
        assert_eq!((again.same, again.songs.total(), again.trash), (SONGS as u64 - 2, 0, 0));
        assert!(!again.is_new && again.documents == 0, "{again:?}");
    }
}

#[tokio::test]
async fn an_old_backup_undoes_nothing_and_brings_nothing_back() {
    let place = Place::new();
    let (library, backend) = place.local().await;
    let songs = fill(&library, &*backend).await;
    let file = place.backup(&library).await;
    // Since then one was edited, one deleted, one deleted and restored, one is new.
    let edit = |id: SongId, title: &'static str| {
        let backend = &backend;
        async move {
            let mut song = backend.get_song(id).await.unwrap().unwrap();
            let before = song.clone();
            song.edits.set(Field::Title, Some(title)).unwrap();
            song.revise(&before, songrec_library::now());
            let mode = PutMode::Replace(before.revision.operation);
            backend.put_song(&song, mode).await.unwrap();
        }
    };
    edit(songs[10].id, "newer").await;
    backend.songs().delete(&[delete(songs[11].id)]).await.unwrap();
    backend.songs().delete(&[delete(songs[12].id)]).await.unwrap();
    songrec_library::share::restore(&library, &[songs[12].id.to_string()]).await.unwrap();
    let now = held(&*backend).await;

    let (_, restored) = place.restore(&file, "first", RestoreOptions::default()).await.unwrap();

    let restored = restored.unwrap();
    assert_eq!(restored.songs.total(), 0, "{restored:?}");
    assert_eq!((restored.older, restored.deleted_since), (2, 1), "{restored:?}");
    assert_eq!(restored.same, SONGS as u64 - 5);
    assert_eq!(held(&*backend).await, now);
}

#[tokio::test]
async fn what_a_backup_knows_of_deletions_is_done_within_limits() {
    let place = Place::new();
    let (library, backend) = place.local().await;
    let songs = fill(&library, &*backend).await;
    let old = place.backup(&library).await;
    let copy = place.file("old.songrec");
    std::fs::copy(old, &copy).unwrap();
    place.restore(&copy, "second", RestoreOptions::default()).await.unwrap();
    let gone: Vec<_> = songs[10..25].iter().map(|song| delete(song.id)).collect();
    backend.songs().delete(&gone).await.unwrap();
    let new = place.backup(&library).await;

    let refused = place.restore(&new, "second", RestoreOptions::default()).await.unwrap_err();
    let untouched = held(&place.open("second").await).await.songs.len();
    let max_delete = "15".parse().unwrap();
    let options = RestoreOptions { max_delete, ..RestoreOptions::default() };
    let (_, done) = place.restore(&new, "second", options).await.unwrap();

    assert_eq!(refused.kind(), ErrorKind::Guard, "{refused}");
    assert_eq!(untouched, SONGS - 2);
    assert_eq!(done.unwrap().songs.delete, 15);
    assert_eq!(held(&place.open("second").await).await.trash.len(), 17);
}

#[tokio::test]
async fn a_file_that_is_there_stays_unless_it_may_go() {
    let place = Place::new();
    let (library, backend) = place.local().await;
    fill(&library, &*backend).await;
    let file = place.file("there.songrec");
    std::fs::write(&file, "precious").unwrap();
    let (options, job) = (BackupOptions::default(), Job::silent());
    let stopped = Job::silent();
    stopped.interrupt.set();

    let there = backup_to_file(&library, &file, false, &options, &job).await.unwrap_err();
    let cut = backup_to_file(&library, &file, true, &options, &stopped).await.unwrap_err();
    let kept = std::fs::read_to_string(&file).unwrap();
    let nowhere =
        backup_to_file(&library, &place.file("no/such"), false, &options, &job).await.unwrap_err();
    backup_to_file(&library, &file, true, &options, &job).await.unwrap();

    assert_eq!((there.kind(), cut.kind()), (ErrorKind::Usage, ErrorKind::Interrupted));
    assert!(cut.to_string().contains("was not written"), "{cut}");
    assert_eq!(kept, "precious");
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let names = std::fs::read_dir(place.root.path()).unwrap();
    let left = names.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().contains("unfinished")
    });
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn an_archive_that_is_not_whole_changes_nothing_unless_told() {
    let place = Place::new();
    let (library, backend) = place.local().await;
    fill(&library, &*backend).await;
    let before = held(&*backend).await;
    let bytes = std::fs::read(place.backup(&library).await).unwrap();
    let whole = place.look(&bytes).await.unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    let cut = place.file("cut.songrec");
    let (mut refused, mut restored_some) = (0, 0);
    for round in 0..24 {
        let mut broken = bytes.clone();
        if round % 2 == 0 {
            broken.truncate(rng.random_range(1..bytes.len()));
        } else {
            let at = rng.random_range(0..bytes.len());
            broken[at] ^= 1 << rng.random_range(0..8);
        }
        std::fs::write(&cut, &broken).unwrap();
        let to = format!("to-{round}");
        let (report, done) = match place.restore(&cut, &to, RestoreOptions::default()).await {
            Ok(done) => done,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                refused += 1;
                continue;
            }
        };
        if report.whole {
            // A byte that says nothing, such as one of the frame's own checksum of zeros.
            assert_eq!(report.contents, whole.contents);
            continue;
        }
        assert!(done.is_none() && !place.file(&to).exists(), "round {round}");
        assert!(report.cut || report.damage > 0, "round {round}");
        refused += 1;

        let options = RestoreOptions { keep_going: true, ..RestoreOptions::default() };
        let (report, done) = place.restore(&cut, &to, options).await.unwrap();

        let got = held(&place.open(&to).await).await;
        assert_eq!(done.unwrap().songs.add, report.contents.songs, "round {round}");
        restored_some += u32::from(!got.songs.is_empty());
        for (id, song) in &got.songs {
            let mut known = before.songs[id].clone();
            known.embeddings.retain(|model, _| song.embeddings.contains_key(model));
            assert_eq!(*song, known, "round {round}");
        }
        assert!(got.trash.iter().all(|(id, one)| before.trash[id] == *one), "round {round}");
        assert!(got.documents.iter().all(|one| before.documents.contains(one)));
        assert!(got.segments.iter().all(|one| before.segments.contains(one)));
    }
    assert!(refused > 18 && restored_some > 4, "{refused} refused, {restored_some} not empty");
    let left = std::fs::read_dir(place.root.path().join("cache/restore")).unwrap().count();
    assert_eq!(left, 0, "nothing is left in the cache folder");
}

#[tokio::test]
async fn what_is_no_backup_is_refused_in_words() {
    let place = Place::new();
    for bytes in [&b""[..], b"no archive", &[0; 4096]] {
        let error = place.look(bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.to_string(), "`test` is no backup");
    }
    let open =
        Library::open_named(place.config.clone(), "./nothing", Access::Direct, Arc::new(Silent));
    assert!(open.await.is_err());
}
