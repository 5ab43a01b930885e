//! What a sync costs.

use songrec_core::Job;
use songrec_storage::{MemoryBackend, PutMode, StorageBackend, VerifyOptions};
use songrec_sync::{Options, SyncState};
use songrec_testkit::{library_of, new_embedding, put, random_vector, song, tiny_model};

use super::{Two, edit};

pub(super) async fn idle_costs(songs: usize) {
    let library = MemoryBackend::new();
    library_of(songs, 1).store(&library).await;
    let mut two = Two::of(library.fork(), library);
    two.sync().await;
    two.sync().await;

    let (report, calls) = two.try_sync(&Options::default()).await;

    assert!(report.unwrap().is_empty());
    assert_eq!(calls, 1, "with {songs} songs");
}

#[tokio::test]
async fn nothing_to_do_costs_one_call() {
    idle_costs(10).await;
    idle_costs(2_000).await;
}

#[tokio::test]
#[ignore = "takes a minute; `just soak` runs it"]
async fn nothing_to_do_costs_one_call_at_a_hundred_thousand_songs() {
    idle_costs(100_000).await;
}

#[tokio::test]
async fn one_song_changed_here_costs_eight_calls_at_most() {
    let mut two = Two::new();
    library_of(300, 1).embedded_by(&tiny_model(), 2).store(two.own()).await;
    two.sync().await;
    two.sync().await;
    let first = songrec_storage::SongQuery { limit: 1, ..Default::default() };
    let id = two.own().songs().find(&first).await.unwrap().items[0].id;

    edit(two.own(), id, "title", "new", 1).await;
    let (report, calls) = two.try_sync(&Options::default()).await;
    assert_eq!(report.unwrap().counts.right.update, 1);
    assert!(calls <= 8, "{calls} calls for an edit");

    let mut new = song("new");
    let mut rng = rand::SeedableRng::seed_from_u64(5);
    let vector = random_vector(&mut rng, &tiny_model());
    let embedding = songrec_core::Embedding { song: new.id, model: tiny_model().name, vector };
    let references = two.own().embeddings().put(&[new_embedding(&new, embedding)]).await.unwrap();
    new.embeddings.insert(tiny_model().name, references[0].clone());
    two.own().songs().put(&[put(&new, PutMode::Create)]).await.unwrap();
    let (report, calls) = two.try_sync(&Options::default()).await;
    assert_eq!(report.unwrap().counts.right.add, 1);
    assert!(calls <= 10, "{calls} calls for a new song with an embedding");

    // And then there is nothing to do, for one call.
    assert_eq!(two.try_sync(&Options::default()).await.1, 1);
}

#[tokio::test]
async fn pulling_costs_a_call_for_each_page_and_a_few() {
    let mut one = Two::new();
    library_of(5, 1).store(one.own()).await;
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    let mut costs = Vec::new();
    for (round, count) in [1usize, 100, 2_500].into_iter().enumerate() {
        library_of(count, 10 + round as u64).store(one.own()).await;
        one.sync().await;
        one.sync().await;

        let (report, calls) = two.try_sync(&Options::default()).await;

        assert_eq!(report.unwrap().counts.left.add, count as u64);
        costs.push(calls - count.div_ceil(1_000) as u64);
        two.sync().await;
    }
    assert!(costs.iter().all(|more| *more <= 8), "{costs:?} calls beside the pages");
}

#[tokio::test]
async fn a_sync_of_which_nothing_is_remembered_reads_what_differs_and_no_more() {
    let mut one = Two::new();
    let songs = library_of(1_200, 1).embedded_by(&tiny_model(), 2).store(one.own()).await.songs;
    one.sync().await;
    edit(one.own(), songs[3].id, "title", "new here", 1).await;
    edit(one.shared(), songs[5].id, "title", "new there", 2).await;
    one.state = Some(SyncState::in_memory().unwrap());

    let (report, calls) = one.try_sync(&Options::default()).await;

    let report = report.unwrap();
    assert_eq!((report.counts.left.update, report.counts.right.update), (1, 1), "{report:?}");
    let named = |call: &str| one.calls.get(call).copied().unwrap_or_default();
    assert_eq!(
        (named("maintenance.changes"), named("maintenance.summaries"), named("songs.get")),
        (0, 2, 1)
    );
    assert!(calls <= 14, "{:?}", one.calls);
    // What is known of the others is enough to write them.
    edit(one.own(), songs[9].id, "title", "later", 3).await;
    edit(one.shared(), songs[11].id, "title", "later", 4).await;
    let (report, _) = one.try_sync(&Options::default()).await;
    let report = report.unwrap();
    assert_eq!((report.counts.left.update, report.counts.right.update), (1, 1), "{report:?}");
    assert!(
        one.shared()
            .maintenance()
            .verify(&VerifyOptions::default(), &Job::silent())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(one.try_sync(&Options::default()).await.1, 1);
}
