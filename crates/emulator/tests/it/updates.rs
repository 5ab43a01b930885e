//! Updates, replacements, upserts: checklist 5, 7 and 8.

use serde_json::{Value, json};
use songrec_emulator::Emulator;

use crate::client::{Client, code};

fn status(matched: i64, modified: i64) -> Value {
    json!({"matchedCount": matched, "modifiedCount": modified})
}

#[tokio::test]
async fn compare_and_set_is_won_once() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": "x", "rev": 1})]).await;
    let update = json!({"updateOne": {"filter": {"_id": "x", "rev": 1}, "update": {"$set": {"a": 1}, "$inc": {"rev": 1}}}});

    assert_eq!(client.c(update.clone()).await, json!({"status": status(1, 1)}));
    assert_eq!(client.c(update).await, json!({"status": status(0, 0)}));
    let found = client.c(json!({"findOne": {"filter": {"_id": "x"}}})).await;
    assert_eq!(found["data"]["document"], json!({"_id": "x", "rev": 2, "a": 1}));
}

#[tokio::test]
async fn an_update_without_effect_modifies_nothing() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "a": {"x": 1, "y": 2}})]).await;
    let set = async |value: Value| {
        client
            .c(json!({"updateOne": {"filter": {"_id": 1}, "update": {"$set": {"a": value}}}}))
            .await["status"]
            .clone()
    };
    let replace = async |replacement: Value| {
        client
            .c(json!({"findOneAndReplace": {"filter": {"_id": 1}, "replacement": replacement}}))
            .await["status"]
            .clone()
    };

    assert_eq!(set(json!({"x": 1, "y": 2})).await, status(1, 0));
    assert_eq!(replace(json!({"a": {"x": 1, "y": 2}})).await, status(1, 0));
    assert_eq!(set(json!({"y": 2, "x": 1})).await, status(1, if is_ordered() { 1 } else { 0 }));
    assert_eq!(replace(json!({"a": 1})).await, status(1, 1));
}

/// Whether this build of `serde_json` keeps the order of members; the
/// workspace decides.
fn is_ordered() -> bool {
    json!({"y": 1, "x": 2}).as_object().unwrap().keys().next().unwrap() == "y"
}

#[tokio::test]
async fn find_one_and_update_answers_before_or_after() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "n": 1}), json!({"_id": 2, "n": 5})]).await;
    let update = async |options: Value| {
        client.c(json!({"findOneAndUpdate": {"filter": {"n": {"$gt": 0}}, "sort": {"n": -1}, "update": {"$inc": {"n": 1}}, "projection": {"n": 1, "_id": 0}, "options": options}})).await
    };

    assert_eq!(
        update(json!({})).await,
        json!({"data": {"document": {"n": 5}}, "status": status(1, 1)})
    );
    assert_eq!(
        update(json!({"returnDocument": "AFTER"})).await["data"]["document"],
        json!({"n": 7})
    );
    assert_eq!(
        code(&update(json!({"returnDocument": "now"})).await),
        "COMMAND_FIELD_VALUE_INVALID"
    );
    let none = client
        .c(json!({"findOneAndUpdate": {"filter": {"_id": 9}, "update": {"$set": {"a": 1}}}}))
        .await;
    assert_eq!(none, json!({"data": {"document": null}, "status": status(0, 0)}));
}

#[tokio::test]
async fn a_replacement_keeps_the_id() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "a": 1})]).await;
    let replace = async |replacement: Value, options: Value| {
        client.c(json!({"findOneAndReplace": {"filter": {"_id": 1}, "replacement": replacement, "options": options}})).await
    };

    let after = replace(json!({"b": 2}), json!({"returnDocument": "after"})).await;
    assert_eq!(after, json!({"data": {"document": {"_id": 1, "b": 2}}, "status": status(1, 1)}));
    assert_eq!(
        replace(json!({"_id": 1, "c": 3}), json!({})).await["data"]["document"],
        json!({"_id": 1, "b": 2})
    );
    assert_eq!(
        code(&replace(json!({"_id": 2}), json!({})).await),
        "DOCUMENT_REPLACE_DIFFERENT_DOCID"
    );
}

#[tokio::test]
async fn an_upsert_inserts_what_filter_and_update_say() {
    let client = Client::with_collection(Emulator::builder()).await;
    let upsert = |filter: Value, update: Value| json!({"updateOne": {"filter": filter, "update": update, "options": {"upsert": true}}});

    let answer = client
        .c(upsert(
            json!({"_id": "x", "kind": "song", "n": {"$gt": 5}}),
            json!({"$set": {"a": 1}, "$setOnInsert": {"b": 2}}),
        ))
        .await;
    assert_eq!(
        answer,
        json!({"status": {"upsertedId": "x", "matchedCount": 0, "modifiedCount": 0}})
    );
    let found = client.c(json!({"findOne": {"filter": {"_id": "x"}}})).await;
    assert_eq!(found["data"]["document"], json!({"_id": "x", "kind": "song", "a": 1, "b": 2}));

    // `$setOnInsert` may name the `_id`.
    let answer =
        client.c(upsert(json!({"kind": "none"}), json!({"$setOnInsert": {"_id": "y"}}))).await;
    assert_eq!(answer["status"]["upsertedId"], "y");
    // An existing document at another revision: lost, and no error.
    let answer = client.c(upsert(json!({"_id": "x", "rev": 3}), json!({"$inc": {"rev": 1}}))).await;
    assert_eq!(answer, json!({"status": status(0, 0)}));
    let answer =
        client.c(upsert(json!({"_id": {"$in": ["p", "q"]}}), json!({"$set": {"a": 1}}))).await;
    assert_eq!(code(&answer), "FILTER_INVALID_EXPRESSION");

    let replaced = client.c(json!({"findOneAndReplace": {"filter": {"_id": "z"}, "replacement": {"a": 1}, "options": {"upsert": true, "returnDocument": "after"}}})).await;
    assert_eq!(replaced["data"]["document"], json!({"_id": "z", "a": 1}));
    let before = client.c(json!({"findOneAndUpdate": {"filter": {"_id": "w"}, "update": {"$set": {"a": 1}}, "options": {"upsert": true}}})).await;
    assert_eq!(
        (&before["data"]["document"], &before["status"]["upsertedId"]),
        (&Value::Null, &json!("w"))
    );
}

#[tokio::test]
async fn update_many_handles_one_page_a_call() {
    let client = Client::with_collection(Emulator::builder().page_size(20)).await;
    client.insert((0..50).map(|i| json!({"_id": i, "n": 0})).collect()).await;
    let (mut matched, mut modified, mut calls) = (0, 0, 0);
    let mut body =
        json!({"updateMany": {"filter": {"n": {"$lt": 100}}, "update": {"$inc": {"n": 1}}}});

    loop {
        let answer = client.c(body.clone()).await;
        let status = &answer["status"];
        calls += 1;
        matched += status["matchedCount"].as_i64().unwrap();
        modified += status["modifiedCount"].as_i64().unwrap();
        if status["moreData"] != json!(true) {
            assert!(status.get("nextPageState").is_none());
            break;
        }
        body["updateMany"]["options"]["pageState"] = status["nextPageState"].clone();
    }

    assert_eq!((matched, modified, calls), (50, 50, 3));
    let twice = client.c(json!({"countDocuments": {"filter": {"n": {"$ne": 1}}}})).await;
    assert_eq!(twice["status"]["count"], 0);
    let upsert = client.c(json!({"updateMany": {"filter": {"_id": 99}, "update": {"$set": {"n": 7}}, "options": {"upsert": true}}})).await;
    assert_eq!(upsert["status"], json!({"upsertedId": 99, "matchedCount": 0, "modifiedCount": 0}));
}

#[tokio::test]
async fn an_update_that_cannot_be_done_changes_nothing() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1, "s": "text", "n": 1})]).await;

    let answer = client
        .c(json!({"updateOne": {"filter": {"_id": 1}, "update": {"$inc": {"n": 1, "s": 1}}}}))
        .await;

    assert_eq!(code(&answer), "UNSUPPORTED_UPDATE_OPERATION_TARGET");
    let found = client.c(json!({"findOne": {"filter": {"_id": 1}}})).await;
    assert_eq!(found["data"]["document"]["n"], 1);
}
