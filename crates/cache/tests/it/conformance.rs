//! The contract, through a cache with room, without, and through two in turn.

use std::{sync::Arc, time::Duration};

use songrec_cache::{Cached, CachedOptions};
use songrec_storage::{MemoryBackend, StorageBackend};
use songrec_testkit::{Alternating, Opened, temp_dir};
use tempfile::TempDir;

use crate::world::{MIB, open};

mod alone {
    use super::*;

    async fn cached() -> (Cached, TempDir) {
        let folder = temp_dir();
        let inner = Arc::new(MemoryBackend::new());
        let cached = open(inner, folder.path(), 64 * MIB, CachedOptions::default()).await;
        (cached.sharing_answers("library"), folder)
    }

    songrec_testkit::conformance!(cached());
}

mod without_room {
    use super::*;

    // Everything goes straight through, or is forgotten at once.
    async fn cached() -> (Cached, TempDir) {
        let folder = temp_dir();
        let options =
            CachedOptions { songs: 1, embeddings: 1, searches: 1, ..CachedOptions::default() };
        (open(Arc::new(MemoryBackend::new()), folder.path(), 40, options).await, folder)
    }

    songrec_testkit::conformance!(cached());
}

mod in_turn {
    use super::*;

    // Two handles that remember no songs, of one library and one folder.
    struct Two(Alternating<Cached>, #[expect(dead_code, reason = "lives as long")] TempDir);

    impl Opened<Two> for Two {
        fn backend(&self) -> &dyn StorageBackend {
            &self.0
        }
    }

    async fn cached() -> Two {
        let folder = temp_dir();
        let inner = Arc::new(MemoryBackend::new());
        let options = CachedOptions { fresh_for: Duration::ZERO, ..CachedOptions::default() };
        let mut handles = Vec::new();
        for _ in 0..2 {
            handles.push(open(inner.clone(), folder.path(), 64 * MIB, options).await);
        }
        Two(Alternating::new(handles), folder)
    }

    songrec_testkit::conformance!(cached());
}
