//! What `similar` promises of several models, and of several songs.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{collections::BTreeMap, sync::Arc};

use songrec_core::{
    AudioProperties, Digest, Embedding, Metric, ModelSpec, OperationId, Song, SongSummary,
    Timestamp, Vector,
};
use songrec_library::{
    Config, Directories, ErrorKind, Example, Library, Similar, SimilarOptions, Sources,
};
use songrec_storage::{MemoryBackend, NewEmbedding, PutMode, StorageBackend, StorageBackendExt};
use songrec_testkit::Faulty;

/// A library in memory that counts what it is asked.
struct Fixture {
    backend: Arc<Faulty<MemoryBackend>>,
    library: Library,
    songs: Vec<Song>,
    _root: tempfile::TempDir,
}

/// Songs at these angles, in degrees, one for each model; `None` where a model
/// did not embed a song.
async fn fixture(models: &[&str], angles: &[&[Option<f32>]]) -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let config = Config::load(Sources {
        directories: Directories::below(root.path()),
        working_folder: root.path().to_owned(),
        variables: BTreeMap::from([("SONGREC_MODEL".to_owned(), models[0].to_owned())]),
        file: None,
        no_files: true,
        flags: Vec::new(),
        host: String::new(),
    })
    .unwrap();
    let backend = Arc::new(Faulty::new(MemoryBackend::new()));
    let specs: Vec<ModelSpec> = models
        .iter()
        .map(|name| ModelSpec {
            name: name.parse().unwrap(),
            dimension: 2,
            metric: Metric::Cosine,
            description: String::new(),
        })
        .collect();
    for spec in &specs {
        backend.embeddings().put_model(spec).await.unwrap();
    }
    let mut songs = Vec::new();
    for (number, angles) in angles.iter().enumerate() {
        let hash = Digest::of(format!("song {number}").as_bytes());
        let mut song = Song::new(hash, AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.tags.title = Some(format!("Title {number}"));
        for (spec, angle) in specs.iter().zip(*angles) {
            let Some(angle) = angle.map(f32::to_radians) else { continue };
            let vector = Vector::new(vec![angle.cos(), angle.sin()]).unwrap();
            let embedding = Embedding { song: song.id, model: spec.name.clone(), vector };
            let new = NewEmbedding {
                embedding,
                summary: SongSummary::of(&song),
                operation: OperationId::random(),
            };
            let reference = backend.embeddings().put(&[new]).await.unwrap().remove(0);
            song.embeddings.insert(spec.name.clone(), reference);
        }
        backend.put_song(&song, PutMode::Create).await.unwrap();
        songs.push(song);
    }
    let library = Library::new(backend.clone(), Arc::new(config), "test".to_owned(), None);
    Fixture { backend, library, songs, _root: root }
}

impl Fixture {
    fn example(&self, number: usize) -> Example {
        Example::like(self.songs[number].id.to_string())
    }

    async fn blended(&self, blend: &str) -> Similar {
        let options = SimilarOptions { blend: Some(blend.parse().unwrap()), ..Default::default() };
        songrec_library::similar_to(&self.library, &[self.example(0)], &options).await.unwrap()
    }

    fn numbers(&self, similar: &Similar) -> Vec<usize> {
        let number = |id| self.songs.iter().position(|song| song.id == id).unwrap();
        similar.results.iter().map(|song| number(song.summary.id)).collect()
    }
}

/// To `a` song 1 is the nearest to song 0, to `b` song 2 is.
const CROSSED: &[&[Option<f32>]] =
    &[&[Some(0.0), Some(0.0)], &[Some(10.0), Some(50.0)], &[Some(50.0), Some(10.0)]];

#[tokio::test]
async fn the_weights_decide_which_model_has_its_way() {
    let fixture = fixture(&["a@1", "b@1"], CROSSED).await;

    let by_a = fixture.blended("a=0.6,b=0.4").await;
    let by_b = fixture.blended("a=0.4,b=0.6").await;

    assert_eq!(fixture.numbers(&by_a), [1, 2]);
    assert_eq!(fixture.numbers(&by_b), [2, 1]);
    let cosine = |degrees: f64| degrees.to_radians().cos();
    let expected = 0.6 * cosine(10.0) + 0.4 * cosine(50.0);
    assert!((by_a.results[0].similarity - expected).abs() < 1e-6, "{by_a:?}");
}

#[tokio::test]
async fn a_name_without_revision_means_the_newest_that_is_a_part_of_songrec() {
    let ours = fixture(&["dsp47@1", "dsp47@2"], CROSSED).await;
    let others = fixture(&["a@1", "a@2"], CROSSED).await;
    let options = SimilarOptions { blend: Some("a=1".parse().unwrap()), ..Default::default() };

    let newest = ours.blended("dsp47=1").await;
    let error = songrec_library::similar_to(&others.library, &[others.example(0)], &options)
        .await
        .unwrap_err();

    assert_eq!(newest.model.as_str(), "dsp47@2");
    assert_eq!(ours.numbers(&newest), [2, 1]);
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn weights_are_shares_of_one() {
    let fixture = fixture(&["a@1", "b@1"], CROSSED).await;

    let shares = fixture.blended("a=0.6,b=0.4").await;
    let numbers = fixture.blended("a=3,b=2").await;

    assert_eq!(shares.blend, numbers.blend);
    for (left, right) in shares.results.iter().zip(&numbers.results) {
        assert!((left.similarity - right.similarity).abs() < 1e-12);
    }
}

#[tokio::test]
async fn a_model_that_did_not_hear_a_result_is_made_up_for_and_named() {
    let angles: &[&[Option<f32>]] =
        &[&[Some(0.0), Some(0.0)], &[Some(60.0), None], &[Some(70.0), Some(5.0)]];
    let fixture = fixture(&["a@1", "b@1"], angles).await;

    let similar = fixture.blended("a=0.5,b=0.5").await;

    assert_eq!(fixture.numbers(&similar), [2, 1]);
    assert!((similar.results[1].similarity - 0.5).abs() < 1e-6, "a alone: {similar:?}");
    assert_eq!(similar.results[1].parts[1].similarity, None);
    assert!(
        similar.notes[0].to_string().contains("1 of 2 were not embedded by `b@1`"),
        "{similar:?}"
    );
}

#[tokio::test]
async fn a_model_that_did_not_hear_the_query_is_left_out_and_named() {
    let angles: &[&[Option<f32>]] =
        &[&[None, Some(0.0)], &[Some(0.0), Some(40.0)], &[Some(0.0), Some(20.0)]];
    let fixture = fixture(&["a@1", "b@1"], angles).await;

    let similar = fixture.blended("a=0.9,b=0.1").await;

    assert_eq!(similar.model.as_str(), "b@1", "the next one finds the candidates");
    assert_eq!(fixture.numbers(&similar), [2, 1]);
    assert!(similar.notes[0].to_string().contains("`a@1` is left out"), "{similar:?}");
}

#[tokio::test]
async fn nobody_having_heard_the_query_is_an_error() {
    let fixture = fixture(&["a@1", "b@1"], &[&[None, None], &[Some(0.0), Some(0.0)]]).await;
    let options = SimilarOptions { blend: Some("a=1,b=1".parse().unwrap()), ..Default::default() };

    let error = songrec_library::similar_to(&fixture.library, &[fixture.example(0)], &options)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_threshold_is_on_the_score_of_all_models() {
    let fixture = fixture(&["a@1", "b@1"], CROSSED).await;
    let options = SimilarOptions {
        blend: Some("a=0.5,b=0.5".parse().unwrap()),
        // Both songs score (cos 10 + cos 50) / 2 = 0.814.
        threshold: Some(0.82),
        ..Default::default()
    };

    let none = songrec_library::similar_to(&fixture.library, &[fixture.example(0)], &options)
        .await
        .unwrap();
    let lower = SimilarOptions { threshold: Some(0.81), ..options };
    let both =
        songrec_library::similar_to(&fixture.library, &[fixture.example(0)], &lower).await.unwrap();

    assert!(none.results.is_empty(), "{none:?}");
    assert_eq!(both.results.len(), 2);
}

/// On a remote library each of these is one request, and every further model
/// costs two more: its vector of the query, and those of the candidates.
#[tokio::test]
async fn a_blended_search_asks_a_fixed_number_of_questions() {
    let angles: Vec<[Option<f32>; 3]> =
        (0..500).map(|at| [Some(at as f32 / 6.0), Some(at as f32 / 7.0), None]).collect();
    let angles: Vec<&[Option<f32>]> = angles.iter().map(<[_; 3]>::as_slice).collect();
    let fixture = fixture(&["a@1", "b@1", "c@1"], &angles).await;
    let calls = || {
        ["embeddings.nearest", "songs.get", "embeddings.get", "embeddings.models"]
            .map(|operation| fixture.backend.calls(operation))
    };

    let mut before = calls();
    let mut asked = || {
        let after = calls();
        let asked: Vec<u64> =
            after.iter().zip(before).map(|(after, before)| after - before).collect();
        before = after;
        asked
    };
    fixture.blended("a").await;
    let one = asked();
    fixture.blended("a=0.6,b=0.4").await;
    let two = asked();
    fixture.blended("a=0.5,b=0.4,c=0.1").await;
    let three = asked();

    // `songs.get`: the query and the hits.
    assert_eq!(one, [1, 2, 1, 1]);
    assert_eq!(two, [1, 2, 3, 1]);
    // `c` did not embed the query, and is not asked about the candidates.
    assert_eq!(three, [1, 2, 4, 1]);
}

#[tokio::test]
async fn several_songs_are_asked_about_together() {
    let at = |degrees: f32| [Some(degrees)];
    let angles = [0.0, 40.0, 1.0, 20.0, 39.0].map(at);
    let angles: Vec<&[Option<f32>]> = angles.iter().map(<[_; 1]>::as_slice).collect();
    let fixture = fixture(&["a@1"], &angles).await;
    let options = SimilarOptions::default();

    let both = [fixture.example(0), fixture.example(1)];
    let even = songrec_library::similar_to(&fixture.library, &both, &options).await.unwrap();
    let [first, mut second] = both;
    second.weight = 0.01;
    let uneven =
        songrec_library::similar_to(&fixture.library, &[first, second], &options).await.unwrap();

    assert_eq!(fixture.numbers(&even)[0], 3, "halfway between: {even:?}");
    assert_eq!(fixture.numbers(&even).len(), 3, "the songs themselves are no news");
    assert_eq!(fixture.numbers(&uneven)[0], 2, "{uneven:?}");
    assert_eq!(even.queries.len(), 2);
}

#[tokio::test]
async fn a_song_to_be_unlike_turns_the_results_away() {
    let at = |degrees: f32| [Some(degrees)];
    let angles = [0.0, 30.0, 15.0, -15.0].map(at);
    let angles: Vec<&[Option<f32>]> = angles.iter().map(<[_; 1]>::as_slice).collect();
    let fixture = fixture(&["a@1"], &angles).await;
    let unlike = Example::unlike(fixture.songs[1].id.to_string());

    let examples = [fixture.example(0), unlike];
    let similar =
        songrec_library::similar_to(&fixture.library, &examples, &SimilarOptions::default())
            .await
            .unwrap();

    assert_eq!(fixture.numbers(&similar), [3, 2]);
}

#[tokio::test]
async fn a_model_can_be_named_without_its_revision_while_there_is_one() {
    let fixture = fixture(&["a@1", "b@1", "b@2"], &[&[Some(0.0); 3], &[Some(1.0); 3]]).await;
    let id = fixture.songs[0].id.to_string();
    let by = |model: &str| SimilarOptions { model: Some(model.to_owned()), ..Default::default() };

    let found = songrec_library::similar(&fixture.library, &id, &by("a")).await.unwrap();
    let several = songrec_library::similar(&fixture.library, &id, &by("b")).await.unwrap_err();
    let exact = songrec_library::similar(&fixture.library, &id, &by("b@2")).await.unwrap();
    let none = songrec_library::similar(&fixture.library, &id, &by("c")).await.unwrap_err();
    let twice = SimilarOptions { blend: Some("a=1,a@1=1".parse().unwrap()), ..Default::default() };
    let twice = songrec_library::similar(&fixture.library, &id, &twice).await.unwrap_err();

    assert_eq!(found.model.as_str(), "a@1");
    assert_eq!(exact.model.as_str(), "b@2");
    assert_eq!(several.kind(), ErrorKind::Usage, "{several}");
    assert_eq!(none.kind(), ErrorKind::NotFound, "{none}");
    assert_eq!(twice.kind(), ErrorKind::Usage, "{twice}");
}
