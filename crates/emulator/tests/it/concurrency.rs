//! Many writers on one document: each step happens once.

use std::sync::Arc;

use serde_json::json;
use songrec_emulator::Emulator;

use crate::client::{Client, code};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_inserts_exactly_one_wins() {
    let client = Arc::new(Client::with_collection(Emulator::builder()).await);
    for round in 0..20 {
        let attempts: Vec<_> = (0..8)
            .map(|i| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    client.c(json!({"insertOne": {"document": {"_id": round, "by": i}}})).await
                })
            })
            .collect();
        let mut won = 0;
        for attempt in attempts {
            let answer = attempt.await.unwrap();
            if answer["status"]["insertedIds"] == json!([round]) {
                won += 1;
            } else {
                assert_eq!(code(&answer), "DOCUMENT_ALREADY_EXISTS");
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarded_updates_count_every_step_once() {
    let client = Arc::new(Client::with_collection(Emulator::builder()).await);
    client.insert(vec![json!({"_id": "x", "rev": 0, "sum": 0})]).await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let mut won = 0_i64;
                for _ in 0..30 {
                    let found = client.c(json!({"findOne": {"filter": {"_id": "x"}}})).await;
                    let rev = &found["data"]["document"]["rev"];
                    let update = json!({"updateOne": {"filter": {"_id": "x", "rev": rev}, "update": {"$inc": {"rev": 1, "sum": 1}}}});
                    let answer = client.c(update).await;
                    won += answer["status"]["modifiedCount"].as_i64().unwrap_or(0);
                }
                won
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += writer.await.unwrap();
    }

    let found = client.c(json!({"findOne": {"filter": {"_id": "x"}}})).await;

    assert!(won >= 30, "{won}");
    assert_eq!(
        (found["data"]["document"]["rev"].as_i64(), found["data"]["document"]["sum"].as_i64()),
        (Some(won), Some(won))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unguarded_increments_add_up_or_say_that_they_failed() {
    let client = Arc::new(Client::with_collection(Emulator::builder()).await);
    client.insert(vec![json!({"_id": "x", "n": 0})]).await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let mut done = 0;
                for _ in 0..30 {
                    let answer = client.c(json!({"updateOne": {"filter": {"_id": "x"}, "update": {"$inc": {"n": 1}}}})).await;
                    if answer.get("errors").is_none() {
                        assert_eq!(answer["status"], json!({"matchedCount": 1, "modifiedCount": 1}));
                        done += 1;
                    } else {
                        assert_eq!(code(&answer), "FAILED_CONCURRENT_OPERATIONS");
                    }
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for writer in writers {
        done += writer.await.unwrap();
    }

    let found = client.c(json!({"findOne": {}})).await;

    assert_eq!(found["data"]["document"]["n"], json!(done));
}
