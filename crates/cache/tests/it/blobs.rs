//! Files of the cache: kept, damaged, too large, forgotten.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{FutureExt, future::join_all};
use songrec_cache::{Cache, CachedOptions};
use songrec_core::{BlobRef, Job};
use songrec_storage::{ErrorKind, MemoryBackend, StorageBackend, StorageBackendExt, read_blob};
use songrec_testkit::{Fault, Faulty, audio, in_parallel, run_case, temp_dir, tiny_model};

use crate::world::{MIB, files, library, open, read, store};

#[test]
fn a_blob_is_downloaded_once() {
    run_case(async {
        let library = library().await;
        let bytes = audio(3 * MIB as usize + 5, 1);
        let blob = store(&*library.behind, &bytes).await;

        for cached in [&library.cached, &library.cached, &library.anew().await] {
            assert_eq!(read(cached, &blob).await, bytes);
            let part = cached.blobs().get(&blob, Some(1_000_000..2_500_000)).await.unwrap();
            assert_eq!(read_blob(part.unwrap()).await.unwrap(), bytes[1_000_000..2_500_000]);
        }

        assert_eq!(library.behind.calls("blobs.get"), 1);
    });
}

#[test]
fn many_who_want_a_blob_wait_for_one_download() {
    run_case(async {
        let library = library().await;
        let bytes = audio(500_000, 1);
        let blob = store(&*library.behind, &bytes).await;
        library.behind.plan("blobs.get", [Some(Fault::Delay(Duration::from_millis(50)))]);
        // As many tasks, in as many processes as handles.
        let mut handles = Vec::new();
        for _ in 0..8 {
            handles.push(library.anew().await);
        }

        let read = in_parallel(8, |number| {
            let (handle, blob) = (&handles[number], &blob);
            async move { join_all((0..10).map(|_| read(handle, blob))).await }.boxed()
        });

        assert!(read.iter().flatten().all(|read| *read == bytes));
        assert_eq!(library.behind.calls("blobs.get"), 1);
    });
}

#[test]
fn damaged_files_are_fetched_again() {
    run_case(async {
        let library = library().await;
        let model = tiny_model().name;
        let id = library.songs[0].id;
        let bytes = audio(100_000, 1);
        let blob = store(&*library.behind, &bytes).await;
        let expected = library.cached.get_embedding(&model, id).await.unwrap();
        assert_eq!(read(&library.cached, &blob).await, bytes);
        let damages: [fn(&Path); 3] = [
            |path| drop(File::create(path).unwrap()),
            |path| {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(file.metadata().unwrap().len() - 1).unwrap();
            },
            |path| OpenOptions::new().write(true).open(path).unwrap().write_all(b"?").unwrap(),
        ];
        for damage in damages {
            let kept = files(library.folder.path());
            assert_eq!(kept.len(), 2);
            kept.iter().for_each(|path| damage(path));
            let anew = library.anew().await;
            anew.get_song(id).await.unwrap();

            let (read, requests) = library.requests(read(&anew, &blob)).await;
            assert_eq!((read, requests), (bytes.clone(), 1));
            let (embedding, requests) = library.requests(anew.get_embedding(&model, id)).await;
            assert_eq!((embedding.unwrap(), requests), (expected.clone(), 1));

            assert_eq!(anew.cache().used().damaged, 2);
        }
    });
}

#[test]
fn a_torn_download_is_an_error_and_leaves_nothing() {
    run_case(async {
        let library = library().await;
        let bytes = audio(100_000, 1);
        let blob = store(&*library.behind, &bytes).await;
        library.behind.plan("blobs.get", [Some(Fault::Partial), Some(Fault::Before)]);

        for _ in 0..2 {
            let torn = library.cached.blobs().get(&blob, None).await;
            assert_eq!(torn.err().map(|error| error.kind()), Some(ErrorKind::Transient));
        }

        let held = library.cached.cache().info().await.unwrap();
        assert_eq!((held.bytes(), held.unfinished), (0, 0));
        assert_eq!(read(&library.cached, &blob).await, bytes);
    });
}

#[test]
fn a_blob_larger_than_the_limit_goes_straight_through() {
    run_case(async {
        let behind = Arc::new(Faulty::new(MemoryBackend::new()));
        let folder = temp_dir();
        let cached = open(behind.clone(), folder.path(), 1_000, CachedOptions::default()).await;
        let bytes = audio(1_001, 1);
        let blob = store(&*behind, &bytes).await;

        assert_eq!(read(&cached, &blob).await, bytes);

        assert_eq!(behind.calls("blobs.get"), 1);
        assert_eq!(cached.cache().info().await.unwrap().bytes(), 0);
    });
}

#[test]
fn wrong_bytes_from_behind_are_given_but_not_kept() {
    run_case(async {
        let library = library().await;
        let bytes = audio(1_000, 1);
        let stored = store(&*library.behind, &bytes).await;
        // The reference promises another size than what comes.
        for size in [999, 1_001] {
            let blob = BlobRef { size, ..stored.clone() };

            assert_eq!(read(&library.cached, &blob).await, bytes);

            assert_eq!(library.cached.cache().info().await.unwrap().bytes(), 0);
        }
    });
}

#[test]
fn whether_a_blob_is_stored_only_the_backend_knows() {
    run_case(async {
        let library = library().await;
        let bytes = audio(1_000, 1);
        let blob = store(&*library.behind, &bytes).await;
        read(&library.cached, &blob).await;

        library.behind.maintenance().collect_garbage(Duration::ZERO, &Job::silent()).await.unwrap();

        assert!(library.cached.blobs().get(&blob, Some(0..0)).await.unwrap().is_none());
        // What was collected through the handle is gone for it altogether.
        library.cached.maintenance().collect_garbage(Duration::ZERO, &Job::silent()).await.unwrap();
        assert!(library.cached.blobs().get(&blob, None).await.unwrap().is_none());
    });
}

#[test]
fn a_cache_that_cannot_be_written_is_only_slow() {
    run_case(async {
        let library = library().await;
        let bytes = audio(1_000, 1);
        let blob = store(&*library.behind, &bytes).await;
        // A file where the folders have to be.
        let root = library.folder.path().join("v1");
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::write(&root, b"in the way").unwrap();

        assert_eq!(read(&library.cached, &blob).await, bytes);
        let embedded = library.cached.get_embedding(&tiny_model().name, library.songs[0].id).await;
        assert!(embedded.unwrap().is_some());

        let error = Cache::open(library.folder.path(), 1).await.unwrap_err();
        assert!(error.hint().is_some(), "{error:?}");
        assert!(error.to_string().contains("could not open the cache"), "{error}");
    });
}

#[test]
fn a_cache_tells_what_it_holds_and_forgets_it() {
    run_case(async {
        let library = library().await;
        let ids: Vec<_> = library.songs.iter().map(|song| song.id).collect();
        library.cached.embeddings().get(&tiny_model().name, &ids).await.unwrap();
        let blobs = [audio(1_000, 1), audio(2_000, 2), audio(3_000, 3)];
        for bytes in &blobs {
            let blob = store(&*library.behind, bytes).await;
            read(&library.cached, &blob).await;
        }
        let cache = library.cached.cache();

        let held = cache.info().await.unwrap();
        assert_eq!((held.blobs.files, held.blobs.bytes), (3, 6_000));
        // Some songs sound the same: theirs is one file.
        assert_eq!(held.embeddings.bytes, held.embeddings.files * 32);
        assert!((20..30).contains(&held.embeddings.files));
        assert!(held.oldest.is_some());

        for path in files(library.folder.path()) {
            let old = path.to_string_lossy().contains("embeddings");
            let used = SystemTime::now() - Duration::from_secs(if old { 900 } else { 300 });
            OpenOptions::new().write(true).open(&path).unwrap().set_modified(used).unwrap();
        }
        let pruned = cache.prune(6_000).await.unwrap();
        assert_eq!(pruned.files, held.embeddings.files);
        assert_eq!(cache.info().await.unwrap().bytes(), 6_000);
        assert_eq!(cache.clear().await.unwrap().files, 3);
        assert_eq!(cache.info().await.unwrap().bytes(), 0);
    });
}
