//! Answers that processes share.

use std::{path::PathBuf, time::Duration};

use songrec_cache::{Cache, Cached, CachedOptions};
use songrec_core::{ModelSpec, Song};
use songrec_storage::{Neighbor, StorageBackend};
use songrec_testkit::{Fault, delete, run_case, tiny_model};

use crate::world::{Library, MIB, library, open};

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
