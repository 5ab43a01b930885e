//! What `similar` promises, over a library in memory.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{collections::BTreeMap, sync::Arc};

use songrec_core::{
    AudioProperties, Digest, Embedding, Filter, Metric, ModelSpec, OperationId, Song, SongSummary,
    Tags, Timestamp, Vector,
};
use songrec_library::{Config, Directories, Library, SimilarOptions, Sources};
use songrec_storage::{MemoryBackend, NewEmbedding, PutMode, StorageBackend, StorageBackendExt};

struct Fixture {
    library: Library,
    backend: Arc<MemoryBackend>,
    songs: Vec<Song>,
    _root: tempfile::TempDir,
}

// `count` songs on a quarter circle, so that song 0 is ever less similar to
// song 1, 2, 3 …; two songs to an artist.
async fn fixture(count: usize, tags: impl Fn(usize) -> Tags) -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let config = Config::load(Sources {
        directories: Directories::below(root.path()),
        working_folder: root.path().to_owned(),
        variables: BTreeMap::from([("SONGREC_MODEL".to_owned(), "circle@1".to_owned())]),
        file: None,
        no_files: true,
        flags: Vec::new(),
        host: String::new(),
    })
    .unwrap();
    let backend = MemoryBackend::new();
    let model = ModelSpec {
        name: "circle@1".parse().unwrap(),
        dimension: 2,
        metric: Metric::Cosine,
        description: String::new(),
    };
    backend.embeddings().put_model(&model).await.unwrap();
    let mut songs = Vec::new();
    for number in 0..count {
        let hash = Digest::of(format!("song {number}").as_bytes());
        let mut song = Song::new(hash, AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.audio.duration = 60.0 + number as f64 * 10.0;
        song.tags = tags(number);
        let angle = number as f32 / count as f32 * std::f32::consts::FRAC_PI_2;
        let vector = Vector::new(vec![angle.cos(), angle.sin()]).unwrap();
        let embedding = Embedding { song: song.id, model: model.name.clone(), vector };
        let new = NewEmbedding {
            embedding,
            summary: SongSummary::of(&song),
            operation: OperationId::random(),
        };
        let reference = backend.embeddings().put(&[new]).await.unwrap().remove(0);
        song.embeddings.insert(model.name.clone(), reference);
        backend.put_song(&song, PutMode::Create).await.unwrap();
        songs.push(song);
    }
    let backend = Arc::new(backend);
    let library = Library::new(backend.clone(), Arc::new(config), "test".to_owned(), None);
    Fixture { library, backend, songs, _root: root }
}

fn by_pairs(number: usize) -> Tags {
    Tags {
        title: Some(format!("Title {number}")),
        artist: Some(format!("Artist {}", number / 2)),
        genres: vec![if number.is_multiple_of(10) { "rare" } else { "common" }.to_owned()],
        ..Tags::default()
    }
}

impl Fixture {
    async fn similar(&self, options: SimilarOptions) -> (Vec<usize>, Option<String>) {
        let name = self.songs[0].id.to_string();
        let similar = songrec_library::similar(&self.library, &name, &options).await.unwrap();
        let number = |id| self.songs.iter().position(|song| song.id == id).unwrap();
        let numbers = similar.results.iter().map(|song| number(song.summary.id)).collect();
        (numbers, similar.shortfall.map(|shortfall| shortfall.to_string()))
    }
}

#[tokio::test]
async fn the_nearest_come_first_and_the_song_itself_not_at_all() {
    let fixture = fixture(20, by_pairs).await;

    let (found, shortfall) = fixture.similar(SimilarOptions { k: 3, ..Default::default() }).await;
    let (with_self, _) =
        fixture.similar(SimilarOptions { k: 3, include_self: true, ..Default::default() }).await;

    assert_eq!(found, [1, 2, 3]);
    assert_eq!(with_self, [0, 1, 2]);
    assert_eq!(shortfall, None);
}

#[tokio::test]
async fn a_page_is_full_however_few_songs_pass() {
    let fixture = fixture(200, by_pairs).await;
    let filter = Filter::parse_all(&["genre:rare"]).unwrap();

    let (rare, _) = fixture.similar(SimilarOptions { filter, ..Default::default() }).await;
    let (artists, shortfall) = fixture
        .similar(SimilarOptions { k: 90, max_per_artist: Some(1), ..Default::default() })
        .await;

    assert_eq!(rare, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    assert_eq!(artists.len(), 90);
    assert_eq!(artists[..3], [1, 2, 4]);
    assert_eq!(shortfall, None);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let fixture = fixture(50, by_pairs).await;
    let options =
        |offset| SimilarOptions { k: 7, offset, max_per_artist: Some(1), ..Default::default() };

    let (all, _) = fixture.similar(SimilarOptions { k: 21, ..options(0) }).await;
    let mut pages = Vec::new();
    for offset in [0, 7, 14] {
        pages.extend(fixture.similar(options(offset)).await.0);
    }

    assert_eq!(pages, all);
}

#[tokio::test]
async fn a_short_list_says_why() {
    let fixture = fixture(5, by_pairs).await;

    let (found, shortfall) = fixture.similar(SimilarOptions::default()).await;
    let filter = Filter::parse_all(&["genre:none"]).unwrap();
    let (none, why) = fixture.similar(SimilarOptions { filter, ..Default::default() }).await;

    assert_eq!(found.len(), 4);
    assert!(shortfall.unwrap().starts_with("only 4 found"), "says how many there are");
    assert!(none.is_empty());
    assert_eq!(why.unwrap(), "nothing found: 0 of 5 songs pass the filter");
}

#[tokio::test]
async fn a_threshold_is_on_similarity() {
    let fixture = fixture(10, by_pairs).await;
    let threshold = Some((9f64 / 20.0 * std::f64::consts::FRAC_PI_2).cos());

    let (found, _) = fixture.similar(SimilarOptions { threshold, ..Default::default() }).await;

    assert_eq!(found, [1, 2, 3, 4]);
}

#[tokio::test]
async fn many_copies_do_not_hide_what_is_behind_them() {
    let fixture = fixture(40, |number| Tags {
        title: Some(if number < 30 { "Same".to_owned() } else { format!("Other {number}") }),
        artist: Some("A".to_owned()),
        ..Tags::default()
    })
    .await;
    for song in &mut fixture.songs.clone() {
        let before = song.clone();
        let version = before.revision.operation;
        song.audio.duration = 60.0;
        song.revise(&before, Timestamp::UNIX_EPOCH);
        fixture.backend.put_song(song, PutMode::Replace(version)).await.unwrap();
    }

    let (found, _) = fixture.similar(SimilarOptions { k: 5, ..Default::default() }).await;

    assert_eq!(found, [30, 31, 32, 33, 34]);
}

#[tokio::test]
async fn copies_of_one_recording_are_listed_once() {
    let fixture = fixture(6, |number| Tags {
        title: Some(if number < 3 { "Same" } else { "Other" }.to_owned()),
        artist: Some("A".to_owned()),
        ..Tags::default()
    })
    .await;
    // The songs are ten seconds apart, so no two are copies; these are.
    let mut songs = fixture.songs.clone();
    for song in &mut songs {
        let before = song.clone();
        let version = before.revision.operation;
        song.audio.duration = 60.0;
        song.revise(&before, Timestamp::UNIX_EPOCH);
        fixture.backend.put_song(song, PutMode::Replace(version)).await.unwrap();
    }

    let (found, _) = fixture.similar(SimilarOptions::default()).await;
    let (all, _) = fixture.similar(SimilarOptions { all_copies: true, ..Default::default() }).await;

    assert_eq!(found, [3], "song 0's own copies are no news, and the others are one");
    assert_eq!(all, [1, 2, 3, 4, 5]);
}
