//! The cache keeps every promise of what is behind it, asks it for nothing
//! twice, and survives damage, death and company.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::join_all, stream};
use songrec_cache::{Cache, Cached, CachedOptions};
use songrec_core::{BlobRef, Embedding, Job, ModelSpec, Song};
use songrec_storage::{
    BlobSource, ErrorKind, MemoryBackend, NearestQuery, Neighbor, PutMode, SongQuery,
    StorageBackend, StorageBackendExt, read_blob,
};
use songrec_testkit::{
    Alternating, Fault, Faulty, Opened, audio, delete, in_parallel, library_of, new_blob,
    new_embedding, put, retagged, run_case, song, temp_dir, tiny_model, vector,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

async fn open(
    inner: Arc<dyn StorageBackend>,
    folder: &Path,
    limit: u64,
    options: CachedOptions,
) -> Cached {
    Cached::new(inner, Cache::open(folder, limit).await.unwrap(), options)
}

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

// A library of some songs with embeddings behind a counter, and a cache of it.
struct Library {
    behind: Arc<Faulty<MemoryBackend>>,
    songs: Vec<Song>,
    cached: Cached,
    folder: TempDir,
}

async fn library() -> Library {
    let behind = Arc::new(Faulty::new(MemoryBackend::new()));
    let songs = library_of(30, 1).embedded_by(&tiny_model(), 2).store(&*behind).await.songs;
    let folder = temp_dir();
    let cached = open(behind.clone(), folder.path(), 64 * MIB, CachedOptions::default()).await;
    Library { behind, songs, cached, folder }
}

impl Library {
    // Another process with the same cache folder: nothing in memory yet.
    async fn anew(&self) -> Cached {
        open(self.behind.clone(), self.folder.path(), 64 * MIB, CachedOptions::default()).await
    }

    // How many requests `work` takes.
    async fn requests<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.behind.all_calls();
        let done = work.await;
        (done, self.behind.all_calls() - before)
    }

    async fn similar(&self, cached: &Cached, song: &Song) -> Vec<(Neighbor, Song)> {
        self.nearest(cached, song, 5).await
    }

    async fn nearest(&self, cached: &Cached, song: &Song, k: usize) -> Vec<(Neighbor, Song)> {
        let model = tiny_model().name;
        let song = cached.get_song(song.id).await.unwrap().unwrap();
        let embedded = cached.get_embedding(&model, song.id).await.unwrap().unwrap();
        let mut query = NearestQuery::new(model, embedded.embedding.vector, k);
        query.exclude.push(song.id);
        cached.nearest_songs(&query).await.unwrap()
    }
}

fn streamed(bytes: &Bytes) -> BlobSource {
    BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed())
}

async fn store(backend: &dyn StorageBackend, bytes: &Bytes) -> BlobRef {
    backend.blobs().put(&new_blob(bytes), streamed(bytes)).await.unwrap()
}

async fn read(backend: &dyn StorageBackend, blob: &BlobRef) -> Bytes {
    read_blob(backend.blobs().get(blob, None).await.unwrap().unwrap()).await.unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("v1/blobs"), folder.join("v1/embeddings")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn similar_costs_one_request_when_its_songs_are_known() {
    run_case(async {
        let library = library().await;
        let song = &library.songs[3];
        let expected = library.similar(&library.cached, song).await;

        let (found, requests) = library.requests(library.nearest(&library.cached, song, 4)).await;

        assert_eq!(requests, 1);
        assert_eq!(found, expected[..4]);
    });
}

#[test]
fn a_new_process_finds_embeddings_on_disk() {
    run_case(async {
        let library = library().await;
        let song = &library.songs[3];
        let expected = library.similar(&library.cached, song).await;
        let anew = library.anew().await;

        let (found, requests) = library.requests(library.similar(&anew, song)).await;

        // The song, the search, the hits; not the embedding.
        assert_eq!(requests, 3);
        assert_eq!(found, expected);
        assert_eq!(anew.cache().used().hits, 1);
    });
}

#[test]
fn nothing_known_is_asked_for_twice() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let model = tiny_model().name;
        let ids: Vec<_> = library.songs.iter().map(|song| song.id).collect();
        let page = SongQuery { limit: 30, ..SongQuery::default() };
        cached.songs().find(&page).await.unwrap();
        let expected = cached.embeddings().get(&model, &ids).await.unwrap();
        cached.embeddings().models().await.unwrap();

        let ((), requests) = library
            .requests(async {
                let songs = cached.songs().get(&ids).await.unwrap();
                assert_eq!(songs, library.songs.iter().cloned().map(Some).collect::<Vec<_>>());
                assert_eq!(cached.embeddings().get(&model, &ids).await.unwrap(), expected);
                assert_eq!(cached.embeddings().models().await.unwrap(), [tiny_model()]);
            })
            .await;

        assert_eq!(requests, 0);
        assert!(expected.iter().all(Option::is_some));
        // Only what is not known is asked for.
        let (_, requests) = library.requests(cached.songs().get(&[ids[0], song("?").id])).await;
        assert_eq!(requests, 1);
    });
}

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

#[tokio::test(start_paused = true)]
async fn a_search_is_asked_again_after_a_while_or_a_write() {
    let library = library().await;
    let (cached, song) = (&library.cached, &library.songs[0]);
    let searches = || library.behind.calls("embeddings.nearest");
    let found = library.similar(cached, song).await;
    assert_eq!((found.len(), searches()), (5, 1));

    let (again, requests) = library.requests(library.similar(cached, song)).await;
    assert_eq!((again, requests), (found.clone(), 0));

    // What this handle writes is seen at once.
    let gone = &found[0].1;
    cached.songs().delete(&[delete(gone.id)]).await.unwrap();
    let without = library.similar(cached, song).await;
    assert_eq!(searches(), 2);
    assert!(without.iter().all(|(_, other)| other.id != gone.id), "{without:?}");

    // What another one writes, when the answer is no longer fresh.
    let other = &without[0].1;
    library.behind.inner().songs().delete(&[delete(other.id)]).await.unwrap();
    tokio::time::advance(CachedOptions::default().fresh_for).await;
    let left = library.similar(cached, song).await;
    assert_eq!(searches(), 3);
    assert!(left.iter().all(|(_, song)| song.id != other.id), "{left:?}");

    // Another question is another search.
    let mut query = NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 3);
    let three = cached.embeddings().nearest(&query).await.unwrap();
    query.threshold = Some(three[1].similarity);
    assert_eq!(cached.embeddings().nearest(&query).await.unwrap().len(), 2);
}

// Handles that share answers as processes of one machine do.
impl Library {
    async fn process(&self) -> Cached {
        self.anew().await.sharing_answers("library")
    }

    async fn process_with(&self, options: CachedOptions) -> Cached {
        let cached = open(self.behind.clone(), self.folder.path(), 64 * MIB, options).await;
        cached.sharing_answers("library")
    }

    // What a process without memory finds, and how often the library was searched for it.
    async fn found_by(&self, process: Cached) -> (Vec<(Neighbor, Song)>, u64) {
        let before = self.behind.calls("embeddings.nearest");
        let found = self.similar(&process, &self.songs[0]).await;
        (found, self.behind.calls("embeddings.nearest") - before)
    }

    // The files of answers.
    fn answers(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("v1/searches");
        let libraries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = libraries.flat_map(|library| std::fs::read_dir(library).unwrap());
        let files = files.map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().len() == 64).collect()
    }
}

#[test]
fn the_next_process_is_answered_without_a_search() {
    run_case(async {
        let library = library().await;
        let (found, searches) = library.found_by(library.process().await).await;
        assert_eq!((found.len(), searches), (5, 1));

        let next = library.process().await;
        let (again, requests) = library.requests(library.similar(&next, &library.songs[0])).await;
        assert_eq!(again, found);
        assert_eq!(requests, 1, "the song itself; its embedding and the others are here");

        // Another library in the same cache, and another question.
        let other = library.anew().await.sharing_answers("other");
        assert_eq!(library.found_by(other).await, (found, 1));
        let before = library.behind.calls("embeddings.nearest");
        library.nearest(&library.process().await, &library.songs[0], 4).await;
        assert_eq!(library.behind.calls("embeddings.nearest"), before + 1);
    });
}

#[test]
fn the_list_of_models_is_known_to_the_next_process_until_one_writes() {
    run_case(async {
        let library = library().await;
        let models = library.process().await.embeddings().models().await.unwrap();

        let next = library.process().await;
        let (again, requests) = library.requests(next.embeddings().models()).await;
        assert_eq!((again.unwrap(), requests), (models, 0));

        let ninth = ModelSpec { name: "ninth@1".parse().unwrap(), ..tiny_model() };
        library.process().await.embeddings().put_model(&ninth).await.unwrap();
        let after = library.process().await.embeddings().models().await.unwrap();
        assert_eq!(after, [ninth, tiny_model()]);
    });
}

#[test]
fn a_write_of_any_process_outdates_the_answers_of_all() {
    run_case(async {
        let library = library().await;
        let (found, _) = library.found_by(library.process().await).await;

        let writer = library.process().await;
        writer.songs().delete(&[delete(found[0].1.id)]).await.unwrap();
        let (without, searches) = library.found_by(library.process().await).await;
        assert_eq!(searches, 1);
        assert!(without.iter().all(|(_, song)| song.id != found[0].1.id), "{without:?}");

        // A write that failed may have happened.
        assert_eq!(library.found_by(library.process().await).await.1, 0);
        library.behind.plan("songs.delete", [Some(Fault::After)]);
        writer.songs().delete(&[delete(without[0].1.id)]).await.unwrap_err();
        let (left, searches) = library.found_by(library.process().await).await;
        assert_eq!(searches, 1);
        assert!(left.iter().all(|(_, song)| song.id != without[0].1.id), "{left:?}");
    });
}

#[test]
fn while_anybody_writes_nothing_is_taken_from_the_answers_nor_kept() {
    run_case(async {
        let library = library().await;
        library.found_by(library.process().await).await;
        let cache = Cache::open(library.folder.path(), MIB).await.unwrap();

        // As one does who copies a library.
        let writing = cache.begin_shared_write("library").unwrap();
        for _ in 0..2 {
            assert_eq!(library.found_by(library.process().await).await.1, 1);
        }
        drop(writing);

        assert_eq!(library.found_by(library.process().await).await.1, 1, "it is outdated");
        assert_eq!(library.found_by(library.process().await).await.1, 0);
    });
}

#[test]
fn an_answer_is_not_used_when_it_is_no_longer_fresh() {
    run_case(async {
        let library = library().await;
        let fresh_for = Duration::from_millis(100);
        let options = CachedOptions { fresh_for, ..CachedOptions::default() };
        library.found_by(library.process_with(options).await).await;

        tokio::time::sleep(fresh_for).await;

        assert_eq!(library.found_by(library.process_with(options).await).await.1, 1);
        let never = CachedOptions { fresh_for: Duration::ZERO, ..CachedOptions::default() };
        assert_eq!(library.found_by(library.process_with(never).await).await.1, 1);
    });
}

#[test]
fn answers_that_are_damaged_or_gone_are_asked_for_again() {
    run_case(async {
        let library = library().await;
        let (found, _) = library.found_by(library.process().await).await;
        let answer = library.answers().remove(0);
        let whole = std::fs::read(&answer).unwrap();
        let hits = whole.iter().position(|byte| *byte == b'\n').unwrap();
        let damages: [&[u8]; 4] = [b"", b"\n", b"{\"turn\":\"1\"}\n", &whole[..hits - 3]];
        for damage in damages {
            std::fs::write(&answer, damage).unwrap();

            assert_eq!(library.found_by(library.process().await).await, (found.clone(), 1));
        }

        // Torn among the songs, only these are asked for.
        std::fs::write(&answer, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(library.found_by(library.process().await).await, (found.clone(), 0));

        std::fs::remove_dir_all(library.folder.path().join("v1/searches")).unwrap();
        assert_eq!(library.found_by(library.process().await).await, (found.clone(), 1));
        library.cached.cache().clear().await.unwrap();
        assert_eq!(library.found_by(library.process().await).await, (found, 1));
    });
}

#[test]
fn no_more_than_64_answers_are_kept() {
    run_case(async {
        let library = library().await;
        let process = library.process().await;
        for k in 1..=70 {
            library.nearest(&process, &library.songs[0], k).await;
        }

        assert_eq!(library.answers().len(), 64);
    });
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_is_seen_after_a_while() {
    let library = library().await;
    let one = &library.songs[0];
    let known = vec![tiny_model()];
    let ninth = ModelSpec { name: "ninth@1".parse().unwrap(), ..tiny_model() };
    assert_eq!(library.cached.get_song(one.id).await.unwrap().as_ref(), Some(one));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), known);
    let edited = retagged(one);
    library.behind.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    library.behind.embeddings().put_model(&ninth).await.unwrap();

    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(library.cached.get_song(one.id).await.unwrap().as_ref(), Some(one));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), known);

    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(library.cached.get_song(one.id).await.unwrap(), Some(edited));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), [ninth, tiny_model()]);
}

#[test]
fn own_writes_are_seen_at_once() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let one = cached.get_song(library.songs[0].id).await.unwrap().unwrap();

        let edited = retagged(&one);
        cached.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap().as_ref(), Some(&edited));

        // Also those whose answer was lost.
        let again = retagged(&edited);
        library.behind.plan("songs.put", [Some(Fault::After)]);
        let replace = [put(&again, PutMode::Replace(edited.revision.operation))];
        cached.songs().put(&replace).await.unwrap_err();
        assert_eq!(cached.get_song(one.id).await.unwrap(), Some(again));

        cached.songs().delete(&[delete(one.id)]).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap(), None);
    });
}

#[test]
fn a_lost_race_is_followed_by_a_fresh_read() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let old = cached.get_song(library.songs[0].id).await.unwrap().unwrap();
        let theirs = retagged(&old);
        library.behind.put_song(&theirs, PutMode::Replace(old.revision.operation)).await.unwrap();

        let ours = retagged(&old);
        let lost = cached.put_song(&ours, PutMode::Replace(old.revision.operation)).await;

        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(cached.get_song(old.id).await.unwrap(), Some(theirs));
    });
}

#[test]
fn a_changed_song_never_gets_its_old_embedding() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let model = tiny_model().name;
        let mut one = library.songs[0].clone();
        cached.get_song(one.id).await.unwrap();
        cached.get_embedding(&model, one.id).await.unwrap().unwrap();
        // Somebody takes the embedding away and, later, stores another one.
        let old = one.revision.operation;
        one.revise(&one.clone(), songrec_testkit::time(50));
        one.embeddings.clear();
        library.behind.put_song(&one, PutMode::Replace(old)).await.unwrap();
        let embedded = Embedding { song: one.id, model: model.clone(), vector: vector(&[9.0; 8]) };
        let new = [new_embedding(&one, embedded.clone())];
        let reference = library.behind.embeddings().put(&new).await.unwrap().remove(0);
        let old = one.revision.operation;
        one.revise(&one.clone(), songrec_testkit::time(51));
        one.embeddings.insert(model.clone(), reference);
        library.behind.put_song(&one, PutMode::Replace(old)).await.unwrap();

        // Whoever has the new song has the new embedding.
        cached.maintenance().changes(None, 100).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap(), Some(one.clone()));
        let stored = cached.get_embedding(&model, one.id).await.unwrap().unwrap();
        assert_eq!(stored.embedding, embedded);
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

// --- Several processes ---

const FOLDER: &str = "SONGREC_TEST_CACHE";
const LIMIT: u64 = 400_000;
const BLOBS: u64 = 40;

// Blobs of 10 to 49 kB, of which a dozen fit.
async fn blobs() -> (Arc<MemoryBackend>, Vec<(BlobRef, Bytes)>) {
    let behind = Arc::new(MemoryBackend::new());
    let mut blobs = Vec::new();
    for number in 0..BLOBS {
        let bytes = audio(10_000 + 1_000 * number as usize, number);
        blobs.push((store(&*behind, &bytes).await, bytes));
    }
    (behind, blobs)
}

/// Not a test: what a process does that others start, until it is killed.
#[test]
#[ignore = "is started by another test"]
fn a_process_reads_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    run_case(async {
        let (behind, blobs) = blobs().await;
        let cached = open(behind, folder.as_ref(), LIMIT, CachedOptions::default()).await;
        let mut at = std::process::id() as usize;
        loop {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (blob, bytes) = &blobs[(at >> 33) % blobs.len()];
            assert_eq!(read(&cached, blob).await, bytes);
        }
    });
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_reads_until_it_is_killed", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

// The bytes of the cache at a moment at which nobody makes room.
fn size(folder: &Path) -> u64 {
    let usage = File::options().read(true).write(true).open(folder.join("v1/usage"));
    let Ok(usage) = usage else { return 0 };
    usage.lock().unwrap();
    // A file may be published between the two looks: it counts once.
    let mut sizes = HashMap::new();
    let unfinished = std::fs::read_dir(folder.join("v1/temporary")).into_iter().flatten();
    for path in unfinished.map(|entry| entry.unwrap().path()).chain(files(folder)) {
        let name = path.file_name().unwrap().to_string_lossy().replace("blobs-", "");
        if let Ok(metadata) = path.metadata() {
            sizes.insert(name, metadata.len());
        }
    }
    sizes.values().sum()
}

#[test]
fn processes_that_are_killed_leave_a_cache_that_works() {
    let folder = temp_dir();
    let mut processes: Vec<Child> = (0..8).map(|_| start(folder.path())).collect();
    let begun = std::time::Instant::now();
    let (mut largest, mut killed) = (0, 0);
    while killed < 40 && begun.elapsed() < Duration::from_secs(60) {
        largest = size(folder.path()).max(largest);
        std::thread::sleep(Duration::from_millis(20));
        if largest > LIMIT / 2 {
            let one = &mut processes[killed % 8];
            assert!(one.try_wait().unwrap().is_none(), "it read something wrong");
            one.kill().unwrap();
            one.wait().unwrap();
            processes[killed % 8] = start(folder.path());
            killed += 1;
        }
    }
    for mut one in processes {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    largest = size(folder.path()).max(largest);

    assert!(killed >= 8, "only {killed} were killed");
    assert!(largest <= LIMIT, "{largest} bytes of {LIMIT}");
    run_case(async {
        let (behind, blobs) = blobs().await;
        let cached = open(behind, folder.path(), LIMIT, CachedOptions::default()).await;
        assert_eq!(cached.cache().info().await.unwrap().unfinished, 0, "leftovers of the dead");
        for (blob, bytes) in &blobs {
            assert_eq!(read(&cached, blob).await, bytes);
        }
        let (last, _) = blobs.last().unwrap();
        read(&cached, last).await;
        assert!(cached.cache().used().hits > 0);
        assert!(size(folder.path()) <= LIMIT);
    });
}
