//! Data in a folder survives; two servers do not share it.

use serde_json::{Value, json};
use songrec_emulator::{Emulator, StartError};

use crate::client::{Client, binary};

async fn all(client: &Client) -> Vec<Value> {
    let mut found = Vec::new();
    let mut body = json!({"find": {"projection": {"*": 1}}});
    loop {
        let answer = client.c(body.clone()).await;
        found.extend(answer["data"]["documents"].as_array().unwrap().clone());
        if answer["data"]["nextPageState"].is_null() {
            return found;
        }
        body["find"]["options"] = json!({"pageState": answer["data"]["nextPageState"]});
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Emulator::builder().data(folder.path().join("new")).token("t");
    let client = Client::start(builder()).await;
    client
        .create("c", json!({"vector": {"dimension": 2}, "indexing": {"deny": ["payload"]}}))
        .await;
    client.general(json!({"createKeyspace": {"name": "k2"}})).await;
    client.insert((0..150).map(|i| json!({"_id": i, "n": i, "$vector": binary(&[1.0, i as f32]), "payload": {"x": "y".repeat(9_000)}})).collect()).await;
    client
        .insert(vec![
            json!({"_id": {"$date": 5}, "$vector": [0.1, 2]}),
            json!({"_id": null}),
            json!({"_id": 2.5}),
        ])
        .await;
    client.c(json!({"deleteMany": {"filter": {"n": {"$lt": 10}}}})).await;
    client
        .c(json!({"updateMany": {"filter": {"n": 100}, "update": {"$set": {"seen": true}}}}))
        .await;
    let before = all(&client).await;
    let explained =
        client.keyspace(json!({"findCollections": {"options": {"explain": true}}})).await;
    let search = json!({"find": {"sort": {"$vector": [1, 90]}, "options": {"limit": 3, "includeSimilarity": true}}});
    let nearest = client.c(search.clone()).await;
    client.emulator.shutdown().await;

    let client = Client::start(builder()).await;

    assert_eq!(before.len(), 143);
    assert_eq!(all(&client).await, before);
    assert_eq!(
        client.keyspace(json!({"findCollections": {"options": {"explain": true}}})).await,
        explained
    );
    assert_eq!(client.c(search).await, nearest);
    assert_eq!(
        client.general(json!({"findKeyspaces": {}})).await["status"]["keyspaces"],
        json!(["default_keyspace", "k2"])
    );
    client.c(json!({"deleteMany": {}})).await;
    client.keyspace(json!({"deleteCollection": {"name": "c"}})).await;
    client.emulator.shutdown().await;

    let client = Client::with_collection(builder()).await;
    assert_eq!(all(&client).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let first = Client::start(Emulator::builder().data(folder.path())).await;

    let second = Emulator::builder().data(folder.path()).start().await;

    assert!(matches!(second, Err(StartError::Open(_))), "{second:?}");
    first.emulator.shutdown().await;
    Emulator::builder().data(folder.path()).start().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_damaged_is_told_from_one_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("emulator.sqlite"), vec![7; 4096]).unwrap();

    let damaged = Emulator::builder().data(folder.path()).start().await.unwrap_err();

    assert!(
        damaged.to_string().ends_with("is damaged, or is not the data of an emulator"),
        "{damaged}"
    );
    let folder = tempfile::tempdir().unwrap();
    let first = Emulator::builder().data(folder.path()).start().await.unwrap();
    let second = Emulator::builder().data(folder.path()).start().await.unwrap_err();
    assert!(second.to_string().ends_with("is in use by another emulator"), "{second}");
    first.shutdown().await;
}
