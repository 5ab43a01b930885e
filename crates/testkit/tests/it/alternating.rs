//! Handles take turns.

use songrec_storage::{MemoryBackend, PutMode, StorageBackend, StorageBackendExt};
use songrec_testkit::{Alternating, put, run_case, song};

#[test]
fn every_call_goes_to_the_next_handle() {
    run_case(async {
        // Of two libraries, so that it shows who was called.
        let handles = Alternating::new([MemoryBackend::new(), MemoryBackend::new()]);
        let one = song("one");

        handles.songs().put(&[put(&one, PutMode::Create)]).await.unwrap();

        assert_eq!(handles.get_song(one.id).await.unwrap(), None);
        assert_eq!(handles.get_song(one.id).await.unwrap(), Some(one));
    });
}
