//! Checklist 11: keyspaces and collections.

use serde_json::json;
use songrec_emulator::{Emulator, Limits};

use crate::client::{Client, code};

#[tokio::test]
async fn keyspaces_come_and_go() {
    let client = Client::start(Emulator::builder()).await;
    let ok = json!({"status": {"ok": 1}});

    let options = json!({"replication": {"class": "SimpleStrategy", "replication_factor": 1}});
    assert_eq!(
        client.general(json!({"createKeyspace": {"name": "k2", "options": options}})).await,
        ok
    );
    assert_eq!(client.general(json!({"createKeyspace": {"name": "k2"}})).await, ok);
    let found = client.general(json!({"findKeyspaces": {}})).await;
    assert_eq!(found, json!({"status": {"keyspaces": ["default_keyspace", "k2"]}}));
    assert_eq!(client.general(json!({"dropKeyspace": {"name": "k2"}})).await, ok);
    assert_eq!(client.general(json!({"dropKeyspace": {"name": "k2"}})).await, ok);
    let gone = client.post("/v1/k2", json!({"findCollections": {}})).await;
    assert_eq!(code(&gone), "UNKNOWN_KEYSPACE");
    for name in ["", "a-b", &"x".repeat(49)] {
        let answer = client.general(json!({"createKeyspace": {"name": name}})).await;
        assert_eq!(code(&answer), "UNSUPPORTED_SCHEMA_NAME");
    }
}

#[tokio::test]
async fn namespaces_are_keyspaces_with_a_warning() {
    let client = Client::start(Emulator::builder()).await;

    let created = client.general(json!({"createNamespace": {"name": "old"}})).await;
    let found = client.general(json!({"findNamespaces": {}})).await;

    assert_eq!(created["status"]["ok"], 1);
    assert_eq!(found["status"]["namespaces"], json!(["default_keyspace", "old"]));
    for answer in [created, found] {
        let warning = &answer["status"]["warnings"][0];
        assert_eq!(
            (warning["errorCode"].as_str(), warning["scope"].as_str()),
            (Some("DEPRECATED_COMMAND"), Some("WARNING"))
        );
        assert!(answer.get("errors").is_none());
    }
}

#[tokio::test]
async fn creating_a_collection_again_needs_the_same_settings() {
    let client = Client::start(Emulator::builder()).await;
    let options = json!({"vector": {"dimension": 3, "metric": "dot_product"}, "indexing": {"deny": ["payload"]}});
    client.create("songs", options.clone()).await;
    client.create("songs", options).await;

    let other =
        json!({"createCollection": {"name": "songs", "options": {"vector": {"dimension": 4}}}});
    assert_eq!(code(&client.keyspace(other).await), "EXISTING_COLLECTION_DIFFERENT_SETTINGS");

    let names = client.keyspace(json!({"findCollections": {}})).await;
    assert_eq!(names, json!({"status": {"collections": ["songs"]}}));
    let explained =
        client.keyspace(json!({"findCollections": {"options": {"explain": true}}})).await;
    assert_eq!(
        explained["status"]["collections"],
        json!([{"name": "songs", "options": {
            "vector": {"dimension": 3, "metric": "dot_product", "sourceModel": "other"},
            "indexing": {"deny": ["payload"]},
            "lexical": {"enabled": true, "analyzer": "standard"},
            "rerank": {"enabled": false},
        }}])
    );
}

#[tokio::test]
async fn a_database_holds_a_number_of_collections() {
    let mut limits = Limits::default();
    limits.collections = 2;
    let client = Client::start(Emulator::builder().limits(limits)).await;
    client.create("a", json!({})).await;
    client.create("b", json!({})).await;

    let third = json!({"createCollection": {"name": "c"}});
    assert_eq!(code(&client.keyspace(third.clone()).await), "TOO_MANY_COLLECTIONS");
    // One that exists may be created again, and a deleted one makes room.
    client.create("a", json!({})).await;
    let deleted = client.keyspace(json!({"deleteCollection": {"name": "b"}})).await;
    assert_eq!(deleted, json!({"status": {"ok": 1}}));
    assert_eq!(client.keyspace(json!({"deleteCollection": {"name": "b"}})).await, deleted);
    assert_eq!(client.keyspace(third).await, json!({"status": {"ok": 1}}));
    assert_eq!(code(&client.on("b", json!({"find": {}})).await), "UNKNOWN_COLLECTION_OR_TABLE");
}

#[tokio::test]
async fn there_are_no_tables() {
    let client = Client::start(Emulator::builder()).await;
    assert_eq!(client.keyspace(json!({"listTables": {}})).await, json!({"status": {"tables": []}}));
    assert_eq!(
        client.keyspace(json!({"listTypes": {"options": {"explain": true}}})).await,
        json!({"status": {"types": []}})
    );
}

#[tokio::test]
async fn a_recreated_collection_is_empty() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": 1})]).await;
    client.keyspace(json!({"deleteCollection": {"name": "c"}})).await;
    client.create("c", json!({})).await;

    assert_eq!(client.c(json!({"countDocuments": {}})).await, json!({"status": {"count": 0}}));
}

#[tokio::test]
async fn the_devops_api_makes_keyspaces() {
    let client = Client::start(Emulator::builder()).await;
    let base = format!("{}/v2/databases/8a2d4f6e", client.emulator.url());
    let (http, token) = (&client.http, &client.token);

    let created =
        http.post(format!("{base}/keyspaces/k2")).bearer_auth(token).send().await.unwrap();
    let described: serde_json::Value =
        http.get(&base).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let deleted =
        http.delete(format!("{base}/keyspaces/k2")).bearer_auth(token).send().await.unwrap();
    let again =
        http.delete(format!("{base}/keyspaces/k2")).bearer_auth(token).send().await.unwrap();

    assert_eq!(
        (created.status().as_u16(), deleted.status().as_u16(), again.status().as_u16()),
        (201, 202, 404)
    );
    assert_eq!(described["status"], "ACTIVE");
    assert_eq!(described["info"]["keyspaces"], json!(["default_keyspace", "k2"]));
    assert_eq!(http.get(&base).send().await.unwrap().status(), 401);
}
