//! Checklist 1, 2 and 12: statuses, strictness, names of codes.

use serde_json::json;
use songrec_emulator::{Emulator, Limits, Names};

use crate::client::{Client, code};

#[tokio::test]
async fn failures_come_with_status_200_and_without_data() {
    let client = Client::with_collection(Emulator::builder()).await;

    let answer = client.c(json!({"find": {"filter": {"a": {"$regex": "x"}}}})).await;

    assert_eq!(code(&answer), "FILTER_UNSUPPORTED_OPERATOR");
    let error = answer["errors"][0].as_object().unwrap();
    for member in ["message", "errorCode", "id", "family", "scope", "title"] {
        assert!(error.contains_key(member), "{member}");
    }
    assert_eq!(
        (error["family"].as_str(), error["scope"].as_str()),
        (Some("REQUEST"), Some("FILTER"))
    );
}

#[tokio::test]
async fn tokens_and_content_types_have_statuses_of_their_own() {
    let builder = Emulator::builder().token("AstraCS:one:two").user("cassandra", "secret");
    let client = Client::start(builder).await;
    let url = format!("{}/api/json/v1", client.emulator.url());
    let send = |token: Option<&str>, kind: &str, body: &str| {
        let request = client.http.post(&url).header("Content-Type", kind).body(body.to_owned());
        let request = match token {
            Some(token) => request.header("Token", token),
            None => request,
        };
        async {
            let r = request.send().await.unwrap();
            (r.status().as_u16(), r.json::<serde_json::Value>().await.unwrap())
        }
    };
    let find = r#"{"findKeyspaces":{}}"#;

    for (token, expected) in
        [(None, "MISSING_AUTHENTICATION_TOKEN"), (Some("AstraCS:x:y"), "UNAUTHENTICATED_REQUEST")]
    {
        let (status, answer) = send(token, "application/json", find).await;
        assert_eq!((status, code(&answer)), (401, expected));
    }
    for token in ["AstraCS:one:two", "Cassandra:Y2Fzc2FuZHJh:c2VjcmV0"] {
        let (status, answer) = send(Some(token), "application/json; charset=utf-8", find).await;
        assert_eq!((status, &answer["status"]["keyspaces"]), (200, &json!(["default_keyspace"])));
    }
    let (status, answer) = send(Some("AstraCS:one:two"), "text/plain", find).await;
    assert_eq!((status, code(&answer)), (415, "UNSUPPORTED_CONTENT_TYPE"));
}

#[tokio::test]
async fn other_paths_methods_and_sizes_are_refused_before_the_api() {
    let limits = limits(|l| l.body_bytes = 1_000);
    let client = Client::start(Emulator::builder().limits(limits)).await;
    let status = async |method: reqwest::Method, path: &str, body: String| {
        let url = format!("{}{path}", client.emulator.url());
        let request = client
            .http
            .request(method, url)
            .header("Token", &client.token)
            .header("Content-Type", "application/json")
            .body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (post, get) = (reqwest::Method::POST, reqwest::Method::GET);

    assert_eq!(status(post.clone(), "/v2/x", String::new()).await, (404, String::new()));
    assert_eq!(status(post.clone(), "/v1/a/b/c", String::new()).await, (404, String::new()));
    assert_eq!(status(get.clone(), "/v1/a", String::new()).await, (405, String::new()));
    assert_eq!(status(post.clone(), "/v1", "x".repeat(1_001)).await.0, 413);
    assert_eq!(status(get, "/stargate/health", String::new()).await.0, 200);
    // An unknown keyspace is not a path.
    let (ok, text) = status(post, "/v1/nowhere", r#"{"findCollections":{}}"#.into()).await;
    assert!(ok == 200 && text.contains("UNKNOWN_KEYSPACE"), "{text}");
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn requests_are_read_strictly() {
    let client = Client::with_collection(Emulator::builder()).await;
    for (body, expected) in [
        ("{", "REQUEST_NOT_JSON"),
        (r#"{"find":{"filter":{"a":1,"a":2}}}"#, "REQUEST_NOT_JSON"),
        (r#"{"find":{},"findOne":{}}"#, "REQUEST_STRUCTURE_MISMATCH"),
        ("{}", "REQUEST_STRUCTURE_MISMATCH"),
        (r#"{"find":{"options":{"limit":"five"}}}"#, "REQUEST_STRUCTURE_MISMATCH"),
        (r#"{"search":{}}"#, "COMMAND_UNKNOWN"),
        (r#"{"createCollection":{"name":"x"}}"#, "COMMAND_UNKNOWN"),
        (r#"{"createTable":{"name":"x"}}"#, "UNSUPPORTED_COLLECTION_COMMAND"),
        (r#"{"find":{"where":{}}}"#, "COMMAND_FIELD_UNKNOWN"),
        (r#"{"find":{"options":{"offset":1}}}"#, "COMMAND_FIELD_UNKNOWN"),
        (r#"{"countDocuments":{"options":{"limit":1}}}"#, "COMMAND_ACCEPTS_NO_OPTIONS"),
        (r#"{"insertOne":{}}"#, "COMMAND_FIELD_VALUE_INVALID"),
        (r#"{"find":{"options":{"limit":0}}}"#, "COMMAND_FIELD_VALUE_INVALID"),
        (r#"{"find":{"options":{"skip":1}}}"#, "COMMAND_FIELD_VALUE_INVALID"),
        (r#"{"deleteOne":{}}"#, "COMMAND_FIELD_VALUE_INVALID"),
        (r#"{"findAndRerank":{}}"#, "UNSUPPORTED_RERANKING_COMMAND"),
    ] {
        let url = format!("{}/v1/default_keyspace/c", client.emulator.url());
        let request = client
            .http
            .post(url)
            .header("Token", &client.token)
            .header("Content-Type", "application/json");
        let answer = request.body(body).send().await.unwrap().json().await.unwrap();
        assert_eq!(code(&answer), expected, "{body}");
    }
    let answer = client.c(json!({"find": {"options": {"skip": -1}}})).await;
    let codes: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| &e["errorCode"]).collect();
    assert_eq!(codes, ["COMMAND_FIELD_VALUE_INVALID"; 2], "as a real server: {answer}");
    let answer = client.c(json!({"find": {"options": {"limit": 0}}})).await;
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    for options in [json!(null), json!({})] {
        let answer = client.c(json!({"countDocuments": {"options": options}})).await;
        assert_eq!(answer, json!({"status": {"count": 0}}));
    }
}

#[tokio::test]
async fn old_servers_use_old_names() {
    let client = Client::with_collection(Emulator::builder().error_names(Names::Old)).await;

    let missing = client.on("nothing", json!({"find": {}})).await;
    let filter = client.c(json!({"find": {"filter": {"a": {"$gt": null}}}})).await;

    assert_eq!(code(&missing), "COLLECTION_NOT_EXIST");
    assert_eq!(code(&filter), "INVALID_FILTER_EXPRESSION");
    assert!(filter["errors"][0]["exceptionClass"].is_string());
}

#[tokio::test]
async fn requests_are_counted_and_listed() {
    let client = Client::with_collection(Emulator::builder()).await;
    let requests = client.emulator.requests();
    requests.reset();

    client.c(json!({"find": {}})).await;
    client.c(json!({"find": {"filter": []}})).await;
    client.c(json!({"insertOne": {"document": {}}})).await;

    assert_eq!((requests.total(), requests.count("find"), requests.count("insertOne")), (3, 2, 1));
    let list = requests.list();
    assert_eq!(list[1].errors, ["FILTER_UNSUPPORTED_DATA_TYPE"]);
    assert_eq!(
        (list[2].number, list[2].collection.as_deref(), list[2].status),
        (3, Some("c"), Some(200))
    );

    let url = format!("{}/emulator/requests", client.emulator.url());
    let over_http: serde_json::Value = client
        .http
        .get(&url)
        .header("Token", &client.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(over_http["counts"], json!({"find": 2, "insertOne": 1}));
    assert_eq!(client.http.get(&url).send().await.unwrap().status(), 401);
    client.http.delete(&url).header("Token", &client.token).send().await.unwrap();
    assert_eq!(requests.total(), 0);
}

/// What a real server was seen to answer, and what one would not guess.
#[tokio::test]
async fn oddities_of_the_real_server_are_kept() {
    let client = Client::with_collection(Emulator::builder()).await;
    client.insert(vec![json!({"_id": "a", "g": 1, "i": 1}), json!({"_id": "m1", "g": 2})]).await;
    for (command, expected) in [
        (
            json!({"find": {"filter": {"$or": [{"_id": "a"}, {"_id": "m1"}]}}}),
            "FILTER_MULTIPLE_ID_FILTER",
        ),
        (
            json!({"find": {"filter": {"address": {"city": {"$eq": 1}}}}}),
            "FILTER_INVALID_EXPRESSION",
        ),
        (json!({"find": null}), "REQUEST_STRUCTURE_MISMATCH"),
        (json!({"find": {"options": {"limit": 5_000_000_000_i64}}}), "UNEXPECTED_SERVER_ERROR"),
        (json!({"find": {"options": {"pageState": "AAAA"}}}), "UNEXPECTED_DRIVER_ERROR"),
        (json!({"find": {"options": {"pageState": ""}}}), "UNEXPECTED_DRIVER_ERROR"),
        (
            json!({"insertOne": {"document": {"$vectorize": "x"}}}),
            "EMBEDDING_SERVICE_NOT_CONFIGURED",
        ),
        (json!({"find": {"sort": {"$vectorize": "x"}}}), "EMBEDDING_SERVICE_NOT_CONFIGURED"),
        (
            json!({"updateOne": {"filter": {"_id": "a"}, "update": {"$set": {"$x": 9}}}}),
            "SHRED_BAD_FIELD_NAME",
        ),
    ] {
        assert_eq!(code(&client.c(command.clone()).await), expected, "{command}");
    }
    let limited = client.c(json!({"find": {"options": {"limit": "1"}}})).await;
    assert_eq!(limited["data"]["documents"].as_array().map(Vec::len), Some(1));
    let unknown = client.on("missing", json!({"find": {"colour": 1}})).await;
    assert_eq!(code(&unknown), "COMMAND_FIELD_UNKNOWN");
    for (command, expected) in [
        (json!({"createCollection": {}}), "UNSUPPORTED_SCHEMA_NAME"),
        (
            json!({"createCollection": {"name": "d", "options": {"x": 1}}}),
            "INVALID_CREATE_COLLECTION_FIELD",
        ),
    ] {
        assert_eq!(code(&client.keyspace(command).await), expected);
    }
    let by_number = client.keyspace(json!({"createCollection": {"name": 5}})).await;
    assert_eq!(by_number, json!({"status": {"ok": 1}}));
}

#[tokio::test]
async fn inserts_that_are_no_documents_have_their_envelopes() {
    let client = Client::with_collection(Emulator::builder()).await;

    let null = client.c(json!({"insertOne": {"document": null}})).await;
    assert_eq!(code(&null), "SHRED_BAD_DOCUMENT_TYPE");
    assert_eq!(null["status"], json!({"insertedIds": []}));

    let vector = json!({"_id": 1, "$vector": [1, 2]});
    let refused = client.c(json!({"insertOne": {"document": vector}})).await;
    assert_eq!(code(&refused), "VECTOR_SEARCH_NOT_SUPPORTED");
    assert_eq!(refused.get("status"), None);
    assert_eq!(refused["errors"][0].get("documentIds"), None);

    client.insert(vec![json!({"_id": 1})]).await;
    let set = json!({"updateOne": {"filter": {"_id": 1}, "update": {"$set": {"$vector": [1, 2]}}}});
    assert_eq!(client.c(set).await["status"]["modifiedCount"], 1);
}

#[tokio::test]
async fn a_body_is_read_as_the_server_reads_it() {
    let client = Client::with_collection(Emulator::builder()).await;
    let url = format!("{}/v1/default_keyspace/c", client.emulator.url());
    let send = async |body: &str| {
        let request = client.http.post(&url).header("Token", &client.token).body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<serde_json::Value>().await.unwrap())
    };

    // Without a content type.
    for body in ["{\"find\":{}}", "\u{feff}{\"find\":{}}", "{\"find\":{}} and more"] {
        let (status, answer) = send(body).await;
        assert_eq!((status, &answer["data"]["documents"]), (200, &json!([])), "{body}");
    }
    let (_, empty) = send(" ").await;
    assert_eq!(code(&empty), "COMMAND_FIELD_VALUE_INVALID");
}

#[tokio::test]
async fn a_full_page_may_be_followed_by_an_empty_one_and_estimates_are_late() {
    let client = Client::with_collection(Emulator::builder().page_size(5)).await;
    client.insert((0..10).map(|i| json!({"_id": i, "g": 1})).collect()).await;
    let mut sizes = Vec::new();
    let mut state = serde_json::Value::Null;
    loop {
        let options = if state.is_null() { json!({}) } else { json!({"pageState": state}) };
        let answer = client.c(json!({"find": {"filter": {"g": 1}, "options": options}})).await;
        sizes.push(answer["data"]["documents"].as_array().unwrap().len());
        state = answer["data"]["nextPageState"].clone();
        if state.is_null() {
            break;
        }
    }
    let estimate = client.c(json!({"estimatedDocumentCount": {}})).await;

    assert_eq!(sizes, [5, 5, 0]);
    assert_eq!(estimate["status"]["count"], 0);
    let exact = Emulator::builder().late_estimates(false).empty_last_pages(false);
    let client = Client::with_collection(exact.page_size(5)).await;
    client.insert((0..5).map(|i| json!({"_id": i})).collect()).await;
    let estimate = client.c(json!({"estimatedDocumentCount": {}})).await;
    assert_eq!(estimate["status"]["count"], 5);
    let page = client.c(json!({"find": {}})).await;
    assert!(page["data"]["nextPageState"].is_null());
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_not_waited_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let emulator = Emulator::builder().start().await.unwrap();
    for (half, answer) in [("POST /v1 HTTP/1.1\r\nHost: x\r\nTok", ""), ("", "")] {
        let mut stream = tokio::net::TcpStream::connect(emulator.address()).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let mut read = String::new();
        // The clock stands still but for what the server waits for.
        let _ = stream.read_to_string(&mut read).await;
        assert!(read.starts_with(answer), "{read}");
    }
    let mut stream = tokio::net::TcpStream::connect(emulator.address()).await.unwrap();
    let head = format!(
        "POST /v1 HTTP/1.1\r\nHost: x\r\nToken: {}\r\nContent-Length: 10\r\n\r\n{{",
        emulator.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = [0; 12];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"HTTP/1.1 408");
}
