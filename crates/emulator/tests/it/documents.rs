//! Inserts, ids, limits, deletes and counts: checklist 5, 6 and 9.

use serde_json::json;
use songrec_emulator::{Emulator, Limits};

use crate::client::{Client, code};

#[tokio::test]
async fn a_document_comes_back_as_it_was_stored() {
    let client = Client::with_collection(Emulator::builder()).await;
    let text = r#"{"insertOne":{"document":{"z":1,"_id":"x","a":{"k":[1,{"d":{"$date":5}}]},"n":100.0,"big":12345678901234567890123}}}"#;
    let url = format!("{}/v1/default_keyspace/c", client.emulator.url());
    let post = |body: &str| {
        let request = client.http.post(&url).header("Token", &client.token);
        request.header("Content-Type", "application/json").body(body.to_owned()).send()
    };

    let inserted = post(text).await.unwrap().text().await.unwrap();
    let found = post(r#"{"findOne":{"filter":{"_id":"x"}}}"#).await.unwrap().text().await.unwrap();

    assert_eq!(inserted, r#"{"status":{"insertedIds":["x"]}}"#);
    // `_id` first, the rest in order; a fraction without need is stripped.
    assert_eq!(
        found,
        r#"{"data":{"document":{"_id":"x","z":1,"a":{"k":[1,{"d":{"$date":5}}]},"n":1E+2,"big":12345678901234567890123}}}"#
    );
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": "x"})]).await;

    let again = client.c(json!({"insertOne": {"document": {"_id": "x"}}})).await;

    assert_eq!(code(&again), "DOCUMENT_ALREADY_EXISTS");
    assert_eq!(again["status"], json!({"insertedIds": []}));
    assert_eq!(again["errors"][0]["scope"], "DOCUMENT");
}

#[tokio::test]
async fn an_ordered_insert_stops_and_an_unordered_one_goes_on() {
    let documents = json!([{"_id": 1}, {"_id": 2}, {"_id": 1}, {"$bad": 1}, {"_id": 3}]);
    let client = Client::with_collection(Emulator::builder()).await;

    let ordered = json!({"insertMany": {"documents": documents, "options": {"ordered": true}}});
    let answer = client.c(ordered).await;
    assert_eq!(answer["status"]["insertedIds"], json!([1, 2]));
    assert_eq!(code(&answer), "DOCUMENT_ALREADY_EXISTS");

    client.c(json!({"deleteMany": {}})).await;
    let answer = client.c(json!({"insertMany": {"documents": documents}})).await;
    assert_eq!(answer["status"]["insertedIds"], json!([1, 2, 3]));
    let codes: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| &e["errorCode"]).collect();
    assert_eq!(codes, ["DOCUMENT_ALREADY_EXISTS", "SHRED_BAD_FIELD_NAME"]);
}

#[tokio::test]
async fn responses_name_what_became_of_each_document() {
    let client = Client::with_collection(Emulator::builder()).await;
    let documents = json!([{"_id": 1}, {"_id": 1}, {"_id": 2}]);
    let insert = |ordered: bool| json!({"insertMany": {"documents": documents, "options": {"ordered": ordered, "returnDocumentResponses": true}}});

    let ordered = client.c(insert(true)).await;
    let unordered = client.c(insert(false)).await;

    assert_eq!(
        ordered["status"]["documentResponses"],
        json!([{"_id": 1, "status": "OK"}, {"_id": 1, "status": "ERROR", "errorsIdx": 0}, {"_id": 2, "status": "SKIPPED"}])
    );
    assert_eq!(
        unordered["status"]["documentResponses"],
        json!([
            {"_id": 1, "status": "ERROR", "errorsIdx": 0},
            {"_id": 1, "status": "ERROR", "errorsIdx": 0},
            {"_id": 2, "status": "OK"},
        ])
    );
    assert_eq!(unordered["errors"].as_array().unwrap().len(), 1);
    assert!(unordered["status"].get("insertedIds").is_none());
}

#[tokio::test]
async fn an_insert_has_one_to_a_hundred_documents() {
    let client = Client::with_collection(Emulator::builder()).await;
    let insert = |n: usize| json!({"insertMany": {"documents": vec![json!({}); n]}});

    assert_eq!(code(&client.c(insert(0)).await), "COMMAND_FIELD_VALUE_INVALID");
    assert_eq!(code(&client.c(insert(101)).await), "COMMAND_FIELD_VALUE_INVALID");
    assert_eq!(client.c(insert(100)).await["status"]["insertedIds"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn limits_are_checked_on_insert_and_on_update() {
    let mut limits = Limits::default();
    limits.string_bytes = 10;
    let client = Client::start(Emulator::builder().limits(limits)).await;
    client.create("c", json!({"indexing": {"deny": ["payload"]}})).await;
    let long = "a text of more than ten bytes";

    let refused = client.c(json!({"insertOne": {"document": {"t": long}}})).await;
    client.insert(vec![json!({"_id": 1, "payload": long, "t": "short"})]).await;
    let update = client
        .c(json!({"updateOne": {"filter": {"_id": 1}, "update": {"$set": {"t": long}}}}))
        .await;
    let denied = client.c(json!({"find": {"filter": {"payload": "x"}}})).await;
    let sorted = client.c(json!({"find": {"sort": {"payload": 1}}})).await;

    assert_eq!(code(&refused), "SHRED_DOC_LIMIT_VIOLATION");
    assert_eq!(code(&update), "SHRED_DOC_LIMIT_VIOLATION");
    assert_eq!(code(&denied), "FILTER_PATH_UNINDEXED");
    assert_eq!(code(&sorted), "SORT_CLAUSE_PATH_UNINDEXED");
}

#[tokio::test]
async fn paths_with_dots_are_escaped_in_commands_and_raw_in_documents() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "a.b": 1, "c&d": 2})]).await;

    let found = client
        .c(json!({"findOne": {"filter": {"a&.b": 1, "c&&d": 2}, "projection": {"a&.b": 1}}}))
        .await;
    let bad = client.c(json!({"findOne": {"filter": {"c&d": 2}}})).await;

    assert_eq!(found["data"]["document"], json!({"_id": 1, "a.b": 1}));
    assert_eq!(code(&bad), "FILTER_INVALID_EXPRESSION");
}

#[tokio::test]
async fn delete_many_takes_twenty_at_a_time_and_everything_without_a_filter() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert((0..45).map(|i| json!({"_id": i, "even": i % 2 == 0})).collect()).await;
    let delete = json!({"deleteMany": {"filter": {"even": true}}});

    assert_eq!(
        client.c(delete.clone()).await["status"],
        json!({"deletedCount": 20, "moreData": true})
    );
    assert_eq!(client.c(delete.clone()).await["status"], json!({"deletedCount": 3}));
    assert_eq!(client.c(delete).await["status"], json!({"deletedCount": 0}));
    assert_eq!(
        client.c(json!({"deleteMany": {"filter": {}}})).await["status"],
        json!({"deletedCount": -1})
    );
    assert_eq!(client.c(json!({"countDocuments": {}})).await["status"], json!({"count": 0}));
}

#[tokio::test]
async fn one_delete_is_one_document() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert((0..3).map(|i| json!({"_id": i, "rev": 1})).collect()).await;

    let guarded = client.c(json!({"deleteOne": {"filter": {"_id": 1, "rev": 2}}})).await;
    let deleted = client.c(json!({"deleteOne": {"filter": {"_id": 1}}})).await;
    let again = client.c(json!({"deleteOne": {"filter": {"_id": 1}}})).await;
    let last = client.c(json!({"findOneAndDelete": {"filter": {}, "sort": {"_id": -1}, "projection": {"rev": 1}}})).await;
    let none = client.c(json!({"findOneAndDelete": {"filter": {"_id": 9}}})).await;

    assert_eq!(guarded, json!({"status": {"deletedCount": 0}}));
    assert_eq!(deleted, json!({"status": {"deletedCount": 1}}));
    assert_eq!(again, json!({"status": {"deletedCount": 0}}));
    assert_eq!(
        last,
        json!({"data": {"document": {"_id": 2, "rev": 1}}, "status": {"deletedCount": 1}})
    );
    assert_eq!(none, json!({"data": {"document": null}, "status": {"deletedCount": 0}}));
}

#[tokio::test]
async fn counts_stop_at_a_thousand() {
    let client = Client::with_collection(Emulator::builder().late_estimates(false)).await;
    client.insert((0..1_000).map(|i| json!({"_id": i, "part": i % 4})).collect()).await;
    let count = async |filter| {
        client.c(json!({"countDocuments": {"filter": filter}})).await["status"].clone()
    };

    assert_eq!(count(json!({})).await, json!({"count": 1_000}));
    client.insert(vec![json!({"_id": "one more", "part": 0})]).await;
    assert_eq!(count(json!({})).await, json!({"count": 1_000, "moreData": true}));
    assert_eq!(count(json!({"part": 0})).await, json!({"count": 251}));
    let estimate = client.c(json!({"estimatedDocumentCount": {}})).await;
    assert_eq!(estimate, json!({"status": {"count": 1_001}}));
}
