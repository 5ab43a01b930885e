//! One pair of libraries at a time.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

mod costs;
mod emptying;
mod migrating;
mod playlists;
mod segments;
mod songs;
mod stops;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use songrec_core::{Field, Job, Song, SongId};
use songrec_storage::{MemoryBackend, PutMode, StorageBackend, StorageBackendExt};
use songrec_sync::{Options, Replica, Report, SyncState, Syncer, check};
use songrec_testkit::time;

use crate::model::{Place as Library, Shaky};

// A library here, and one that is far away and counts its calls.
struct Two {
    own: Arc<Library>,
    shared: Arc<Library>,
    state: Option<SyncState>,
    /// What the last sync called far away, and how often.
    calls: BTreeMap<&'static str, u64>,
}

impl Two {
    fn new() -> Self {
        Self::of(MemoryBackend::new(), MemoryBackend::new())
    }

    fn of(own: MemoryBackend, shared: MemoryBackend) -> Self {
        let mut shared = Arc::into_inner(Library::new(shared, true)).unwrap();
        shared.page = usize::MAX;
        let state = Some(SyncState::in_memory().unwrap());
        let calls = BTreeMap::new();
        Self { own: Library::new(own, false), shared: Arc::new(shared), state, calls }
    }

    // Another machine at the same shared library.
    fn another(&self) -> Self {
        Self {
            own: Library::new(MemoryBackend::new(), false),
            shared: Arc::clone(&self.shared),
            state: Some(SyncState::in_memory().unwrap()),
            calls: BTreeMap::new(),
        }
    }

    fn own(&self) -> &MemoryBackend {
        &self.own.memory
    }

    fn shared(&self) -> &MemoryBackend {
        &self.shared.memory
    }

    async fn try_sync(&mut self, options: &Options) -> (songrec_sync::Result<Report>, u64) {
        let own = Shaky::new(Arc::clone(&self.own), 1, 0.0, Arc::new(Mutex::new(None)));
        let shared = Shaky::new(Arc::clone(&self.shared), 2, 0.0, Arc::new(Mutex::new(None)));
        let syncer = Syncer::new(
            Replica::new("own", own),
            Replica::new("shared", Arc::clone(&shared) as Arc<dyn StorageBackend>),
            self.state.take().unwrap(),
        );
        let report = syncer.run(options).await;
        self.state = Some(syncer.into_state());
        self.calls.clone_from(&shared.calls.lock().unwrap());
        (report, self.calls.values().sum())
    }

    async fn sync_with(&mut self, options: &Options) -> Report {
        let report = self.try_sync(options).await.0.unwrap();
        assert!(report.is_complete(), "{report:?}");
        report
    }

    async fn sync(&mut self) -> Report {
        self.sync_with(&Options::default()).await
    }

    async fn assert_equal(&self) {
        let left = Replica::new("own", Shaky::new(Arc::clone(&self.own), 1, 0.0, Arc::default()));
        let right =
            Replica::new("shared", Shaky::new(Arc::clone(&self.shared), 1, 0.0, Arc::default()));
        let found = check(&left, &right, true, &Job::silent()).await.unwrap();
        assert!(found.is_equal(), "{:?}", found.differences);
    }
}

async fn edit(library: &MemoryBackend, id: SongId, field: &str, value: &str, at: u64) -> Song {
    let before = library.get_song(id).await.unwrap().unwrap();
    let mut after = before.clone();
    after.edits.set(field.parse().unwrap(), Some(value)).unwrap();
    after.revise(&before, time(at));
    library.put_song(&after, PutMode::Replace(before.revision.operation)).await.unwrap();
    after
}

fn title(song: &Song) -> Option<&str> {
    song.edits.get(&Field::Title).and_then(|value| value.as_str())
}
