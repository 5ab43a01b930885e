//! Finds, paging and sorting: checklist 3, 4 and 8.

use std::collections::HashSet;

use serde_json::{Value, json};
use songrec_emulator::{Emulator, Fault, Limits, Rule};

use crate::client::{Client, code};

async fn with_numbers(page_size: usize, count: i64) -> Client {
    let client = Client::with_collection(Emulator::builder().page_size(page_size)).await;
    client
        .insert((0..count).map(|i| json!({"_id": i, "half": i / 2, "even": i % 2 == 0})).collect())
        .await;
    client
}

#[tokio::test]
async fn a_scan_pages_through_everything_once_in_no_order() {
    let client = with_numbers(20, 130).await;

    let (ids, pages) = client.scan(json!({})).await;

    assert_eq!(pages, 7);
    assert_eq!(ids.iter().map(Value::to_string).collect::<HashSet<_>>().len(), 130);
    assert!(!ids.is_sorted_by_key(|id| id.as_i64()));
    assert_eq!(client.scan(json!({})).await.0, ids);
}

#[tokio::test]
async fn a_limit_counts_across_pages() {
    let client = with_numbers(20, 130).await;

    for (limit, expected_pages) in [(45, 3), (20, 1), (40, 2), (1_000, 7)] {
        let (ids, pages) = client.scan(json!({"options": {"limit": limit}})).await;
        assert_eq!((ids.len(), pages), (limit.min(130), expected_pages), "{limit}");
    }
}

#[tokio::test]
async fn a_scan_goes_on_behind_what_was_removed_and_added() {
    let client = with_numbers(10, 40).await;
    let first = client.c(json!({"find": {}})).await;
    let last = first["data"]["documents"][9]["_id"].clone();
    client.c(json!({"deleteOne": {"filter": {"_id": last}}})).await;

    let state = &first["data"]["nextPageState"];
    let (rest, _) = client.scan(json!({"options": {"pageState": state}})).await;

    assert_eq!(rest.len(), 30);
    let alias = client.c(json!({"find": {"options": {"pagingState": state}}})).await;
    assert_eq!(alias["data"]["documents"][0]["_id"], rest[0]);
    let bad = client.c(json!({"find": {"options": {"pageState": "AAAA"}}})).await;
    assert_eq!(code(&bad), "UNEXPECTED_DRIVER_ERROR");
}

#[tokio::test]
async fn an_empty_page_may_come_before_the_end() {
    let client = with_numbers(20, 30).await;
    client.emulator.faults().add(Rule::fault(Fault::EmptyPage).on("find").next(1).after(1));

    let (ids, pages) = client.scan(json!({})).await;

    assert_eq!((ids.len(), pages), (30, 3));
}

#[tokio::test]
async fn ids_are_answered_in_one_page() {
    let client = with_numbers(5, 130).await;
    let wanted: Vec<_> = (0..200).step_by(2).collect();

    let answer = client.c(json!({"find": {"filter": {"_id": {"$in": wanted}}}})).await;

    assert_eq!(answer["data"]["documents"].as_array().unwrap().len(), 65);
    assert_eq!(answer["data"]["nextPageState"], Value::Null);
}

#[tokio::test]
async fn a_sort_answers_one_page_and_skips() {
    let client = with_numbers(20, 60).await;
    let find = async |options: Value| {
        let answer = client.c(json!({"find": {"sort": {"half": -1}, "options": options}})).await;
        assert_eq!(answer["data"]["nextPageState"], Value::Null);
        let ids: Vec<_> = answer["data"]["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["_id"].as_i64().unwrap())
            .collect();
        ids
    };

    let first = find(json!({})).await;
    assert_eq!((first.len(), &first[..4]), (20, &[58, 59, 56, 57][..]));
    assert_eq!(find(json!({"skip": 2, "limit": 3})).await, [56, 57, 54]);
    assert_eq!(find(json!({"skip": 59})).await, [1]);
    let state =
        client.c(json!({"find": {"sort": {"half": 1}, "options": {"pageState": "x"}}})).await;
    assert_eq!(code(&state), "SORT_CLAUSE_INVALID");
}

#[tokio::test]
async fn too_many_matches_are_not_sorted() {
    let mut limits = Limits::default();
    limits.sort_documents = 30;
    let client = Client::with_collection(Emulator::builder().limits(limits)).await;
    client.insert((0..30).map(|i| json!({"_id": i})).collect()).await;
    let sorted =
        |command: &str, filter: Value| json!({command: {"filter": filter, "sort": {"_id": 1}}});

    for command in ["find", "findOne"] {
        let answer = client.c(sorted(command, json!({}))).await;
        assert_eq!(code(&answer), "OVERLOADED_SORT_ROW_LIMIT");
        let fewer = client.c(sorted(command, json!({"_id": {"$gt": 0}}))).await;
        assert!(fewer.get("errors").is_none(), "{fewer}");
    }
}

#[tokio::test]
async fn filters_agree_with_and_without_an_index() {
    // Beyond 500 documents the emulator builds indexes; answers are the same.
    let small = with_numbers(50, 100).await;
    let large = with_numbers(50, 100).await;
    large.insert((1_000..1_600).map(|i| json!({"_id": i, "other": i})).collect()).await;
    for filter in [
        json!({"half": 7}),
        json!({"half": {"$in": [3, 4, 99]}}),
        json!({"half": {"$gte": 40, "$lt": 44}, "even": true}),
        json!({"half": {"$gt": 47}}),
        json!({"$or": [{"half": 1}, {"half": 2}]}),
        json!({"$not": {"half": {"$gt": 5}}}),
    ] {
        let expected = small.scan(json!({"filter": filter})).await.0;
        assert!(!expected.is_empty());
        // Twice: the first call builds the index.
        for _ in 0..2 {
            assert_eq!(large.scan(json!({"filter": filter})).await.0, expected, "{filter}");
        }
    }
    // Kept up to date by updates and deletes.
    large
        .c(json!({"updateOne": {"filter": {"_id": 14}, "update": {"$set": {"half": 1_000}}}}))
        .await;
    large.c(json!({"deleteOne": {"filter": {"_id": 15}}})).await;
    assert_eq!(large.scan(json!({"filter": {"half": 7}})).await.0, [0_i64; 0]);
    assert_eq!(large.scan(json!({"filter": {"half": 1_000}})).await.0, [14]);
}

#[tokio::test]
async fn projections_shape_answers() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "a": {"b": 1, "c": 2}, "list": [1, 2, 3]})]).await;
    let find = async |projection: Value| {
        client.c(json!({"findOne": {"projection": projection}})).await["data"]["document"].clone()
    };

    assert_eq!(find(json!({"a.b": 1})).await, json!({"_id": 1, "a": {"b": 1}}));
    assert_eq!(find(json!({"a": 0, "_id": 0})).await, json!({"list": [1, 2, 3]}));
    assert_eq!(
        find(json!({"list": {"$slice": -1}, "a": 1})).await,
        json!({"_id": 1, "a": {"b": 1, "c": 2}, "list": [3]})
    );
    assert_eq!(find(json!({"*": 0})).await, json!({}));
    let mixed = client.c(json!({"findOne": {"projection": {"a": 1, "list": 0}}})).await;
    assert_eq!(code(&mixed), "UNSUPPORTED_PROJECTION_PARAM");
}

#[tokio::test]
async fn words_are_found_and_ranked() {
    let client = Client::with_collection(Emulator::builder()).await;
    client
        .insert(vec![
            json!({"_id": 1, "$lexical": "a slow song about the sea and other things"}),
            json!({"_id": 2, "$lexical": "sea, sea, sea"}),
            json!({"_id": 3, "$lexical": "a drum solo"}),
            json!({"_id": 4}),
        ])
        .await;
    let ids = async |find: Value| {
        let answer = client.c(json!({"find": find})).await;
        answer["data"]["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["_id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };

    assert_eq!(ids(json!({"sort": {"$lexical": "Sea"}})).await, [2, 1]);
    assert_eq!(ids(json!({"sort": {"$lexical": "sea"}, "options": {"limit": 1}})).await, [2]);
    assert_eq!(ids(json!({"filter": {"$lexical": {"$match": "sea song"}}})).await, [1]);
    let hidden = client.c(json!({"findOne": {"filter": {"_id": 3}}})).await;
    assert_eq!(hidden["data"]["document"], json!({"_id": 3}));
}

#[tokio::test]
async fn a_database_without_lexical_search_says_so() {
    let client = Client::with_collection(Emulator::builder().lexical(false)).await;

    let create =
        json!({"createCollection": {"name": "d", "options": {"lexical": {"enabled": true}}}});
    assert_eq!(code(&client.keyspace(create).await), "LEXICAL_FEATURE_NOT_ENABLED");
    let sort = client.c(json!({"find": {"sort": {"$lexical": "x"}}})).await;
    assert_eq!(code(&sort), "LEXICAL_NOT_ENABLED_FOR_COLLECTION");
}
