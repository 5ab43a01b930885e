//! Vector search: checklist 10.

use serde_json::{Value, json};
use songrec_emulator::{Builder, Emulator};

use crate::client::{Client, binary, code};

async fn with_vectors(builder: Builder, metric: &str) -> Client {
    let client = Client::start(builder).await;
    client.create("c", json!({"vector": {"dimension": 2, "metric": metric}})).await;
    client
        .insert(vec![
            json!({"_id": "east", "$vector": [1, 0], "kind": "axis"}),
            json!({"_id": "north", "$vector": binary(&[0.0, 2.0]), "kind": "axis"}),
            json!({"_id": "west", "$vector": [-3, 0.0], "kind": "axis"}),
            json!({"_id": "diagonal", "$vector": [1.5, 1.5]}),
            json!({"_id": "none"}),
            json!({"_id": "null", "$vector": null}),
        ])
        .await;
    client
}

async fn nearest(client: &Client, find: Value) -> Vec<(String, f64)> {
    let answer = client.c(json!({"find": find})).await;
    assert_eq!(answer["data"]["nextPageState"], Value::Null, "{answer}");
    let documents = answer["data"]["documents"].as_array().unwrap();
    documents
        .iter()
        .map(|d| (d["_id"].as_str().unwrap().to_owned(), d["$similarity"].as_f64().unwrap()))
        .collect()
}

fn close(found: &[(String, f64)], expected: &[(&str, f64)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((name, score), (other, wanted)) in found.iter().zip(expected) {
        assert!(name == other && (score - wanted).abs() < 1e-6, "{found:?} {expected:?}");
    }
}

#[tokio::test]
async fn similarities_follow_the_formulas_of_the_metric() {
    let search = json!({"sort": {"$vector": [2, 0]}, "options": {"includeSimilarity": true}});
    let half = std::f64::consts::FRAC_1_SQRT_2 / 2.0;

    let cosine = with_vectors(Emulator::builder(), "cosine").await;
    close(
        &nearest(&cosine, search.clone()).await,
        &[("east", 1.0), ("diagonal", 0.5 + half), ("north", 0.5), ("west", 0.0)],
    );
    let dot = with_vectors(Emulator::builder(), "dot_product").await;
    close(
        &nearest(&dot, search.clone()).await,
        &[("diagonal", 2.0), ("east", 1.5), ("north", 0.5), ("west", -2.5)],
    );
    let euclidean = with_vectors(Emulator::builder(), "euclidean").await;
    close(
        &nearest(&euclidean, search).await,
        &[("east", 0.5), ("diagonal", 1.0 / 3.5), ("north", 1.0 / 9.0), ("west", 1.0 / 26.0)],
    );
}

#[tokio::test]
async fn a_filter_and_a_limit_narrow_the_search() {
    let client = with_vectors(Emulator::builder(), "cosine").await;
    let search = |filter: Value, limit: i64| json!({"filter": filter, "sort": {"$vector": binary(&[2.0, 0.0])}, "options": {"includeSimilarity": true, "limit": limit}});

    close(
        &nearest(&client, search(json!({"kind": "axis"}), 2)).await,
        &[("east", 1.0), ("north", 0.5)],
    );
    close(
        &nearest(&client, search(json!({"_id": {"$in": ["north", "none"]}}), 9)).await,
        &[("north", 0.5)],
    );
    let missing = client.scan(json!({"filter": {"$vector": {"$exists": false}}})).await.0;
    assert_eq!(missing.len(), 1);
}

#[tokio::test]
async fn vectors_come_back_in_the_form_they_were_written_if_asked_for() {
    let client = with_vectors(Emulator::builder(), "cosine").await;
    let get = async |id: &str, projection: Value| {
        client.c(json!({"findOne": {"filter": {"_id": id}, "projection": projection}})).await["data"]["document"].clone()
    };

    assert_eq!(get("north", json!({"*": 1})).await["$vector"], binary(&[0.0, 2.0]));
    assert_eq!(
        get("diagonal", json!({"$vector": 1})).await,
        json!({"_id": "diagonal", "$vector": [1.5, 1.5]})
    );
    assert_eq!(get("north", json!({})).await, json!({"_id": "north", "kind": "axis"}));
}

#[tokio::test]
async fn the_sort_vector_is_shown_on_request() {
    let client = with_vectors(Emulator::builder(), "cosine").await;
    let find =
        |sort: Value| json!({"find": {"sort": sort, "options": {"includeSortVector": true}}});

    let vector = client.c(find(json!({"$vector": binary(&[0.5, 0.25])}))).await;
    let plain = client.c(find(json!({}))).await;

    assert_eq!(vector["status"]["sortVector"], json!([0.5, 0.25]));
    assert_eq!(plain["status"], json!({"sortVector": null}));
}

#[tokio::test]
async fn one_document_is_found_changed_and_removed_by_vector() {
    let client = with_vectors(Emulator::builder(), "cosine").await;
    let sort = json!({"$vector": [0, 1]});

    let found =
        client.c(json!({"findOne": {"sort": sort, "options": {"includeSimilarity": true}}})).await;
    assert_eq!(
        found["data"]["document"],
        json!({"_id": "north", "kind": "axis", "$similarity": 1.0})
    );
    client.c(json!({"updateOne": {"filter": {}, "sort": sort, "update": {"$set": {"$vector": [1, -1]}}}})).await;
    let deleted = client.c(json!({"findOneAndDelete": {"filter": {}, "sort": sort}})).await;
    assert_eq!(deleted["data"]["document"]["_id"], "diagonal");
}

#[tokio::test]
async fn what_an_index_refuses_has_its_codes() {
    let client = with_vectors(Emulator::builder(), "cosine").await;
    client.create("plain", json!({})).await;
    let find = |find: Value| json!({"find": find});

    let insert = client.c(json!({"insertOne": {"document": {"$vector": [1, 2, 3]}}})).await;
    assert_eq!(code(&insert), "INVALID_VECTOR_LENGTH");
    let zero = client.c(json!({"insertOne": {"document": {"$vector": [0, 0]}}})).await;
    assert_eq!(code(&zero), "INVALID_DATABASE_QUERY");
    for (body, expected) in [
        (find(json!({"sort": {"$vector": [1]}})), "INVALID_VECTOR_LENGTH"),
        (find(json!({"sort": {"$vector": [0, 0]}})), "INVALID_DATABASE_QUERY"),
        (
            find(json!({"sort": {"$vector": [1, 2]}, "options": {"limit": 1001}})),
            "COMMAND_FIELD_VALUE_INVALID",
        ),
        (
            find(json!({"sort": {"$vector": [1, 2]}, "options": {"skip": 1}})),
            "COMMAND_FIELD_VALUE_INVALID",
        ),
        (find(json!({"sort": {"$vector": [1, 2], "a": 1}})), "SORT_CLAUSE_INVALID"),
        (find(json!({"filter": {"$vector": [1, 2]}})), "FILTER_INVALID_EXPRESSION"),
        (find(json!({"sort": {"$vectorize": "words"}})), "EMBEDDING_SERVICE_NOT_CONFIGURED"),
    ] {
        assert_eq!(code(&client.c(body.clone()).await), expected, "{body}");
    }
    let plain = client.on("plain", find(json!({"sort": {"$vector": [1, 2]}}))).await;
    assert_eq!(code(&plain), "VECTOR_SEARCH_NOT_SUPPORTED");
}

#[tokio::test]
async fn a_search_answers_a_thousand_at_most_and_may_miss_some() {
    let documents: Vec<_> =
        (0..1_100).map(|i| json!({"_id": format!("{i}"), "$vector": [1, i]})).collect();
    let search = json!({"sort": {"$vector": [1, 0]}, "options": {"includeSimilarity": true}, "projection": {"_id": 1}});
    let mut found = Vec::new();
    for missed in [0.0, 0.5] {
        let client = Client::start(Emulator::builder().missed_neighbors(missed)).await;
        client.create("c", json!({"vector": {"dimension": 2}})).await;
        client.insert(documents.clone()).await;
        let first = nearest(&client, search.clone()).await;
        assert_eq!(nearest(&client, search.clone()).await, first);
        assert!(first.is_sorted_by(|a, b| a.1 >= b.1));
        found.push(first.len());
    }
    assert_eq!(found, [1_000, 550]);
}

#[tokio::test]
async fn vectors_and_words_are_merged_and_reranked() {
    let client = Client::start(Emulator::builder().rerank(true)).await;
    client.create("c", json!({"vector": {"dimension": 2}})).await;
    client
        .insert(vec![
            json!({"_id": "both", "$vector": [1, 0], "$lexical": "sea song", "text": "a song"}),
            json!({"_id": "near", "$vector": [1, 0.1], "text": "nothing of that"}),
            json!({"_id": "words", "$lexical": "sea", "text": "a sea song"}),
            json!({"_id": "mute", "$vector": [1, 0.2]}),
        ])
        .await;
    let find = |sort: Value, options: Value| json!({"findAndRerank": {"sort": sort, "projection": {"_id": 1, "x": 1}, "options": options}});
    let hybrid = json!({"$hybrid": {"$vector": [1, 0], "$lexical": "sea"}});

    let answer = client
        .c(find(
            hybrid.clone(),
            json!({"rerankOn": "text", "rerankQuery": "sea song", "includeScores": true}),
        ))
        .await;

    let ids: Vec<_> =
        answer["data"]["documents"].as_array().unwrap().iter().map(|d| &d["_id"]).collect();
    assert_eq!(ids, ["words", "both", "near"]);
    assert_eq!(answer["data"]["nextPageState"], Value::Null);
    let scores = &answer["status"]["documentResponses"][1]["scores"];
    assert_eq!((&scores["$rerank"], &scores["$vector"]), (&json!(0.0), &json!(1.0)));
    assert_eq!((&scores["$vectorRank"], scores["$bm25Rank"].as_i64()), (&json!(1), Some(2)));
    assert!((scores["$rrf"].as_f64().unwrap() - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-12);
    for (sort, options, expected) in [
        (json!({"$hybrid": "sea"}), json!({}), "EMBEDDING_SERVICE_NOT_CONFIGURED"),
        (json!({"a": 1}), json!({}), "SORT_CLAUSE_INVALID"),
        (hybrid.clone(), json!({"rerankOn": "text"}), "MISSING_RERANK_QUERY_TEXT"),
        (hybrid.clone(), json!({"hybridLimits": 101}), "COMMAND_FIELD_VALUE_INVALID"),
        (hybrid, json!({"hybridLimits": {"$vector": 5, "x": 1}}), "COMMAND_FIELD_UNKNOWN"),
    ] {
        assert_eq!(code(&client.c(find(sort, options)).await), expected);
    }
}
