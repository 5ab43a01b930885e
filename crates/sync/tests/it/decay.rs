//! A song that one side can no longer read: the others are carried, and it is
//! left as it is until somebody puts it aside.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use songrec_core::{Field, Job, Remedy, Song, SongId};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{MemoryBackend, PutMode, StorageBackend, StorageBackendExt, VerifyOptions};
use songrec_sync::{Options, Replica, Report, SyncState, Syncer, Verify, check};
use songrec_testkit::{library_of, retitled, song, temp_dir, tiny_model};

/// A library in files, and another one.
struct Two {
    folder: tempfile::TempDir,
    own: Arc<LocalBackend>,
    shared: Arc<MemoryBackend>,
    state: Option<SyncState>,
}

impl Two {
    async fn new() -> Self {
        let folder = temp_dir();
        let own = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
        let state = Some(SyncState::in_memory().unwrap());
        Self { folder, own: Arc::new(own), shared: Arc::new(MemoryBackend::new()), state }
    }

    fn replicas(&self) -> [Replica; 2] {
        [
            Replica::new("own", Arc::clone(&self.own) as Arc<dyn StorageBackend>),
            Replica::new("shared", Arc::clone(&self.shared) as Arc<dyn StorageBackend>),
        ]
    }

    fn syncer(&mut self) -> Syncer {
        let [own, shared] = self.replicas();
        Syncer::new(own, shared, self.state.take().unwrap())
    }

    async fn sync(&mut self, options: &Options) -> Report {
        let syncer = self.syncer();
        let report = syncer.run(options).await.unwrap();
        self.state = Some(syncer.into_state());
        report
    }

    fn path(&self, id: SongId) -> PathBuf {
        let name = id.to_string();
        self.folder.path().join("songs").join(&name[..2]).join(format!("{name}.json"))
    }
}

// As a disk does that forgets: the folder shows nothing of it.
fn flip(path: &Path, from: &str, to: &str) {
    let document = fs::read_to_string(path).unwrap();
    assert!(document.contains(from) && from.len() == to.len());
    fs::write(path, document.replacen(from, to, 1)).unwrap();
}

#[tokio::test]
async fn a_damaged_song_is_named_and_carried_nowhere() {
    let mut two = Two::new().await;
    let own: &dyn StorageBackend = &*two.own;
    let [damaged, fine] = ["a song that decays", "a song that does not"].map(song);
    for song in [&damaged, &fine] {
        own.put_song(song, PutMode::Create).await.unwrap();
    }
    let path = two.path(damaged.id);
    flip(&path, "that decays", "that dekays");
    let before = fs::read(&path).unwrap();

    let first = two.sync(&Options::default()).await;
    let again = two.sync(&Options::default()).await;
    let full = two.sync(&Options { full: true, ..Options::default() }).await;

    for report in [&first, &again, &full] {
        assert_eq!(report.failed.len(), 1, "{report:?}");
        assert_eq!(report.failed[0].subject, damaged.id.to_string());
        assert!(report.failed[0].reason.contains("checksum"), "{report:?}");
        let hint = report.failed[0].hint.as_ref().unwrap();
        assert!(
            hint.remedies().any(|one| matches!(one, Remedy::Verify { repair: true, .. })),
            "{hint}"
        );
    }
    assert_eq!(two.shared.get_song(damaged.id).await.unwrap(), None);
    assert_eq!(two.shared.get_song(fine.id).await.unwrap(), Some(fine));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_song_that_was_put_aside_comes_back_from_the_other_side() {
    let mut two = Two::new().await;
    library_of(5, 4).embedded_by(&tiny_model(), 5).store(&*two.own).await;
    let one = song("one that is known on both sides");
    let own: Arc<LocalBackend> = Arc::clone(&two.own);
    own.put_song(&one, PutMode::Create).await.unwrap();
    assert!(two.sync(&Options::default()).await.is_complete());
    let mut edited = retitled(&one, "edited there");
    edited.edits.set(Field::Mood, Some("dark")).unwrap();
    let shared = Arc::clone(&two.shared);
    shared.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    flip(&two.path(one.id), "known on both", "knowm on both");

    let refused = two.sync(&Options::default()).await;
    assert_eq!(refused.failed.len(), 1, "{refused:?}");
    assert_eq!(shared.get_song(one.id).await.unwrap(), Some(edited.clone()));
    let repair = VerifyOptions { repair: true, read_data: true };
    let found = own.maintenance().verify(&repair, &Job::silent()).await.unwrap();
    assert!(found.iter().all(|one| one.repaired), "{found:?}");
    let report = two.sync(&Options::default()).await;

    assert!(report.is_complete(), "{report:?}");
    let back = own.get_song(one.id).await.unwrap().unwrap();
    assert_eq!((back.edits, back.tags), (edited.edits, edited.tags));
    let [left, right] = two.replicas();
    let compared = check(&left, &right, true, &Job::silent()).await.unwrap();
    assert!(compared.is_equal(), "{:?}", compared.differences);
}

#[tokio::test]
async fn a_migration_copies_the_others() {
    let mut two = Two::new().await;
    let fixture = library_of(8, 6).store(&*two.own).await;
    let damaged = fixture.songs[3].id;
    flip(&two.path(damaged), &format!("\"format\":{}", Song::FORMAT), "\"format\":0");
    let syncer = two.syncer();

    let done = syncer.migrate(&Options::default(), Verify::None).await.unwrap();

    assert_eq!((done.copied, done.failed.len()), (7, 1), "{done:?}");
    assert_eq!(done.failed[0].subject, damaged.to_string());
}
