//! Faults: checklist 7, and everything a network does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use songrec_emulator::{Emulator, Fault, Rule};

use crate::client::{Client, code};

fn bump() -> Value {
    json!({"updateOne": {"filter": {"_id": "x", "rev": 1}, "update": {"$inc": {"rev": 1}}}})
}

/// A document at revision 1, and one fault for the next update.
async fn with_fault(fault: Fault) -> Client {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": "x", "rev": 1})]).await;
    client.emulator.faults().add(Rule::fault(fault).on("updateOne").next(1));
    client
}

async fn revision(client: &Client) -> i64 {
    client.c(json!({"findOne": {"filter": {"_id": "x"}}})).await["data"]["document"]["rev"]
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn gateways_answer_instead_of_the_api() {
    for (fault, status, text) in [
        (Fault::rate_limited(Some(3)), 429, "Too Many Requests"),
        (Fault::status(500), 500, "Internal Server Error"),
        (Fault::status(503), 503, "Service Unavailable"),
        (Fault::ProxyHtml { status: 502 }, 502, "<html>"),
        (Fault::Hibernated, 503, "Resuming"),
    ] {
        let client = with_fault(fault.clone()).await;
        let response = client.request("/v1/default_keyspace/c", &bump()).send().await.unwrap();
        assert_eq!(response.status(), status);
        let retry_after =
            response.headers().get("retry-after").and_then(|v| v.to_str().ok()).map(str::to_owned);
        assert_eq!(retry_after.as_deref(), (status == 429).then_some("3"));
        assert!(response.text().await.unwrap().contains(text), "{fault:?}");
        assert_eq!(revision(&client).await, 1);
        assert_eq!(client.emulator.requests().list()[2].fault, Some(fault.name()));
    }
}

#[tokio::test]
async fn a_dropped_connection_is_before_or_after() {
    for (fault, expected) in [(Fault::DropBefore, 1), (Fault::DropAfter, 2), (Fault::CutAnswer, 2)]
    {
        let client = with_fault(fault.clone()).await;

        let error = client.try_c(bump()).await.unwrap_err();

        // Cut in the middle, the head arrives and the body does not.
        assert_eq!(error.is_body() || error.is_decode(), fault == Fault::CutAnswer, "{error:?}");
        assert_eq!(revision(&client).await, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn a_timeout_is_applied_or_not() {
    for (fault, expected) in [(Fault::TimeoutApplied, 2), (Fault::TimeoutNotApplied, 1)] {
        let client = with_fault(fault).await;
        let answer = client.c(bump()).await;
        assert_eq!(code(&answer), "TIMEOUT_WRITING_DATA");
        assert_eq!(answer["errors"][0]["family"], "SERVER");
        assert_eq!(revision(&client).await, expected);
    }
    let client = with_fault(Fault::Overloaded).await;
    let answer = client.c(bump()).await;
    assert_eq!(code(&answer), "UNEXPECTED_DRIVER_ERROR");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("Rate limit reached"));
    client.emulator.faults().add(Rule::fault(Fault::TimeoutApplied).on("findOne").next(1));
    assert_eq!(code(&client.c(json!({"findOne": {}})).await), "TIMEOUT_READING_DATA");
}

#[tokio::test]
async fn a_write_may_be_applied_later_by_the_next_one() {
    let client = with_fault(Fault::TimeoutAppliedLater).await;
    assert_eq!(code(&client.c(bump()).await), "TIMEOUT_WRITING_DATA");

    // No read sees it…
    assert_eq!(revision(&client).await, 1);
    // …until the next conditional write finishes it, and loses against it.
    let second = client.c(bump()).await;
    assert_eq!(second["status"], json!({"matchedCount": 1, "modifiedCount": 0}));
    assert_eq!(revision(&client).await, 2);

    // The same for an insert.
    client.emulator.faults().add(Rule::fault(Fault::TimeoutAppliedLater).on("insertOne").next(1));
    let insert = json!({"insertOne": {"document": {"_id": "y", "by": "me"}}});
    assert_eq!(code(&client.c(insert.clone()).await), "TIMEOUT_WRITING_DATA");
    assert_eq!(
        client.c(json!({"countDocuments": {"filter": {"_id": "y"}}})).await["status"]["count"],
        0
    );
    assert_eq!(code(&client.c(insert).await), "DOCUMENT_ALREADY_EXISTS");
    assert_eq!(
        client.c(json!({"countDocuments": {"filter": {"_id": "y"}}})).await["status"]["count"],
        1
    );
}

#[tokio::test]
async fn concurrent_writers_may_win_every_time() {
    for (applied, expected) in [(false, 1), (true, 2)] {
        let client = with_fault(Fault::ConcurrentFailure { applied }).await;
        let unguarded =
            json!({"updateOne": {"filter": {"_id": "x"}, "update": {"$inc": {"rev": 1}}}});

        let answer = client.c(unguarded).await;

        assert_eq!(code(&answer), "FAILED_CONCURRENT_OPERATIONS");
        assert_eq!(answer["errors"][0]["documentIds"], json!(["x"]));
        assert_eq!(answer["status"], json!({"matchedCount": 1, "modifiedCount": 0}));
        assert_eq!(revision(&client).await, expected);
    }
}

#[tokio::test]
async fn a_repeated_write_counts_twice_or_denies_itself() {
    let client = with_fault(Fault::AppliedThenRepeated).await;
    // Guarded: it is applied, and reports that it modified nothing.
    let guarded = client.c(bump()).await;
    assert_eq!(guarded, json!({"status": {"matchedCount": 1, "modifiedCount": 0}}));
    assert_eq!(revision(&client).await, 2);

    // Unguarded: it is applied twice.
    client
        .emulator
        .faults()
        .add(Rule::fault(Fault::AppliedThenRepeated).next(1).on("findOneAndUpdate"));
    let unguarded = client
        .c(json!({"findOneAndUpdate": {"filter": {"_id": "x"}, "update": {"$inc": {"rev": 1}}}}))
        .await;
    assert_eq!(unguarded["status"], json!({"matchedCount": 1, "modifiedCount": 1}));
    assert_eq!(revision(&client).await, 4);

    // And a document that was skipped is null.
    client
        .emulator
        .faults()
        .add(Rule::fault(Fault::AppliedThenRepeated).next(1).on("findOneAndUpdate"));
    let skipped = client.c(json!({"findOneAndUpdate": {"filter": {"_id": "x", "rev": 4}, "update": {"$inc": {"rev": 1}}}})).await;
    assert_eq!(
        skipped,
        json!({"data": {"document": null}, "status": {"matchedCount": 1, "modifiedCount": 0}})
    );
}

#[tokio::test]
async fn any_code_can_be_asked_for_with_any_status() {
    let client = with_fault(Fault::Error {
        code: "COLLECTION_NOT_EXIST".into(),
        applied: false,
        status: 200,
    })
    .await;
    assert_eq!(code(&client.c(bump()).await), "UNKNOWN_COLLECTION_OR_TABLE");

    client.emulator.faults().add(
        Rule::fault(Fault::Error { code: "SOMETHING_NEW".into(), applied: true, status: 504 })
            .next(1),
    );
    let response = client.request("/v1/default_keyspace/c", &bump()).send().await.unwrap();
    assert_eq!(response.status(), 504);
    assert_eq!(code(&response.json().await.unwrap()), "SOMETHING_NEW");
    assert_eq!(revision(&client).await, 2);
}

#[tokio::test]
async fn everything_can_be_slow() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.emulator.faults().add(Rule::delay(Duration::from_millis(120)).on("find"));
    let started = Instant::now();

    // At once, so the delays overlap.
    tokio::join!(client.c(json!({"find": {}})), client.c(json!({"find": {}})));

    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(120), "{elapsed:?}");
}

#[tokio::test]
async fn rules_can_be_managed_over_http() {
    let client = Client::with_collection(Emulator::builder()).await;
    let url = format!("{}/emulator/faults", client.emulator.url());
    let http = &client.http;
    let rule = json!({"commands": ["find"], "timing": {"when": "next", "count": 1}, "faults": [{"kind": "hibernated"}]});

    assert_eq!(http.post(&url).json(&rule).send().await.unwrap().status(), 401);
    let bad =
        http.post(&url).header("Token", &client.token).json(&json!({"x": 1})).send().await.unwrap();
    assert_eq!(bad.status(), 400);
    let added = http.post(&url).header("Token", &client.token).json(&rule).send().await.unwrap();
    assert_eq!(added.status(), 201);
    let id = added.json::<Value>().await.unwrap()["id"].clone();
    assert!(
        client
            .request("/v1/default_keyspace/c", &json!({"find": {}}))
            .send()
            .await
            .unwrap()
            .status()
            == 503
    );
    let listed: Value =
        http.get(&url).header("Token", &client.token).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&listed["rules"][0]["fired"], &listed["rules"][0]["rule"]["commands"]),
        (&json!(1), &json!(["find"]))
    );
    let removed =
        http.delete(format!("{url}/{id}")).header("Token", &client.token).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    assert!(client.emulator.faults().list().is_empty());
}

#[tokio::test]
async fn a_storm_is_the_same_each_time_and_loses_nothing_it_confirmed() {
    let mut histories = Vec::new();
    for _ in 0..2 {
        let client = Client::with_collection(Emulator::builder()).await;
        client
            .emulator
            .faults()
            .add(Rule::one_of(Fault::every_failure()).on("insertOne").chance(0.5, 11));
        let mut confirmed = Vec::new();
        for i in 0..60 {
            let insert = json!({"insertOne": {"document": {"_id": i}}});
            if let Ok(answer) = client.try_c(insert).await
                && answer["status"]["insertedIds"] == json!([i])
            {
                confirmed.push(json!(i));
            }
        }
        client.emulator.faults().clear();
        let stored = client.scan(json!({})).await.0;
        assert!(confirmed.iter().all(|id| stored.contains(id)));
        assert!((15..45).contains(&confirmed.len()), "{}", confirmed.len());
        histories.push((confirmed, stored));
    }
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test]
async fn of_many_documents_some_may_be_written() {
    let client = Client::with_collection(Emulator::builder()).await;
    let once = |command: &str| Rule::fault(Fault::TimeoutPartlyApplied).on(command).next(1);
    client.emulator.faults().add(once("insertMany"));

    let documents: Vec<_> = (0..10).map(|i| json!({"_id": i})).collect();
    let answer = client.c(json!({"insertMany": {"documents": documents}})).await;

    assert_eq!(code(&answer), "TIMEOUT_WRITING_DATA");
    let mut ids = client.scan(json!({})).await.0;
    ids.sort_by_key(|id| id.as_i64());
    assert_eq!(ids, [0, 2, 4, 6, 8]);
    client.emulator.faults().add(once("updateMany"));
    client.c(json!({"updateMany": {"filter": {}, "update": {"$set": {"seen": true}}}})).await;
    let seen = client.c(json!({"countDocuments": {"filter": {"seen": true}}})).await;
    assert_eq!(seen["status"]["count"], 3);
}

#[tokio::test]
async fn a_request_is_carried_out_though_nobody_waits_for_it() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.emulator.faults().add(Rule::delay(Duration::from_millis(300)).on("insertOne").next(1));
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = async || {
        assert!(Instant::now() < deadline, "it never arrived");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };

    let insert = json!({"insertOne": {"document": {"_id": "late"}}});
    let impatient = tokio::spawn(client.request("/v1/default_keyspace/c", &insert).send());
    while client.emulator.requests().count("insertOne") == 0 {
        wait().await;
    }
    impatient.abort();

    assert!(impatient.await.unwrap_err().is_cancelled());
    let count = json!({"countDocuments": {}});
    while client.c(count.clone()).await["status"]["count"] == 0 {
        wait().await;
    }
}
