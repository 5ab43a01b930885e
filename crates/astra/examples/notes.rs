//! The client by itself: a collection of notes, searched by vector.
//!
//! Start a Data API first, such as `songrec emulator`, and then:
//!
//! ```text
//! DATA_API=http://127.0.0.1:8181 TOKEN=… cargo run -p songrec-astra --example notes
//! ```
#![allow(clippy::print_stdout, reason = "an example talks")]

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_astra::{
    Secret,
    client::{Client, CollectionSettings, Find, Inserted, Update, binary_vector},
};

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    year: i32,
    #[serde(rename = "$vector", default, skip_serializing_if = "Value::is_null")]
    vector: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("DATA_API").unwrap_or_else(|_| "http://127.0.0.1:8181".into());
    let token = std::env::var("TOKEN").map(Secret::from)?;
    let client = Client::new(endpoint.parse()?, token)?;
    let keyspace = client.keyspace("default_keyspace");
    keyspace
        .create_collection(&CollectionSettings {
            name: "notes".into(),
            options: json!({
                "vector": {"dimension": 3, "metric": "cosine"},
                "indexing": {"deny": ["text"]},
            }),
        })
        .await?;
    let notes = keyspace.collection("notes");

    // As many as you like: they are sent a hundred at a time.
    let new: Vec<Note> = (0..250)
        .map(|number| Note {
            id: format!("note {number}"),
            text: "something to remember".into(),
            year: 1990 + number % 30,
            vector: binary_vector(&[1.0, number as f32, 0.5]),
        })
        .collect();
    let stored = notes.insert_many(&new).await?;
    let fresh = stored.iter().filter(|one| matches!(one, Inserted::Done)).count();
    println!("{fresh} of {} notes are new", new.len());

    // Nearest first, among those that pass the filter: one request.
    let find = Find::new(json!({"year": {"$gte": 2000}})).nearest(&[1.0, 100.0, 0.5], 3);
    for hit in notes.find_page::<Value>(&find).await?.documents {
        println!("{} is {} near", hit["_id"], hit["$similarity"]);
    }

    // Compare-and-set: it was changed if one document was modified.
    let mut guarded = json!({"_id": "note 7", "year": 1997});
    let update = Update::new(guarded.take(), json!({"$set": {"year": 1998}})).repeatable();
    println!("changed: {}", notes.update_one(&update).await?.modified == 1);

    // Everything, page after page as it is taken.
    let mut all = std::pin::pin!(notes.find::<Note>(Find::default()));
    let mut count = 0;
    while let Some(note) = all.try_next().await? {
        count += usize::from(note.year < 2000);
    }
    println!("{count} notes are from before 2000; {} requests were sent", client.requests());
    Ok(())
}
