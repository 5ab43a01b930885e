//! Servers that mean harm, or are something else: how much is read of them, and
//! where nothing is sent to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use serde_json::{Value, json};
use songrec_astra::{
    AstraBackend, AstraConfig, BlobConfig, Secret,
    client::{Client, Error, Find, Problem, Timeouts},
};
use songrec_core::{BlobRef, Digest, Filter, RetryPolicy};
use songrec_emulator::Emulator;
use songrec_storage::{Error as StorageError, ErrorKind, StorageBackend};
use songrec_testkit::{Wire, run_case, s3::S3Server};

use crate::support::{self, library};

fn client(server: &Wire) -> Client {
    let timeouts = Timeouts {
        retry: RetryPolicy {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Timeouts::default()
    };
    let endpoint = server.endpoint().parse().unwrap();
    Client::with_timeouts(endpoint, Secret::new("token"), timeouts).unwrap()
}

async fn find(client: &Client) -> Result<Vec<Value>, Error> {
    let songs = client.keyspace("default_keyspace").collection("songs");
    songs.find(Find::new(json!({}))).try_collect().await
}

#[test]
fn an_answer_without_an_end_is_cut() {
    run_case(async {
        let json = ("content-type", "application/json");
        let endless = Wire::start(move |_, mut stream| {
            Wire::begin(&mut stream, "200 OK", &[json])?;
            Wire::pour(&mut stream)
        });
        let announced = Wire::start(move |_, mut stream| {
            Wire::begin(&mut stream, "200 OK", &[json, ("content-length", "3000000000")])
        });
        let bomb = Wire::bomb(300);
        let packed = Wire::start(move |_, mut stream| {
            Wire::reply(&mut stream, "200 OK", &[json, ("content-encoding", "gzip")], &bomb)
        });
        for server in [endless, announced, packed] {
            let error = find(&client(&server)).await.unwrap_err();

            assert_eq!(error.problem(), Problem::TooMuch, "{error}");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("256 MiB"), "{error}");
            assert!(error.to_string().contains("127.0.0.1"), "{error}");
            assert!(error.hint().contains("ASTRA_DB_API_ENDPOINT"));
            assert_eq!(server.requests().len(), 1, "asking again would be as much");
        }
    });
}

#[test]
fn a_page_that_leads_to_itself_is_the_last() {
    run_case(async {
        let server = Wire::start(|_, mut stream| {
            let answer = br#"{"data": {"documents": [], "nextPageState": "again"}}"#;
            Wire::reply(&mut stream, "200 OK", &[], answer)
        });

        let error = find(&client(&server)).await.unwrap_err();

        assert_eq!(error.problem(), Problem::BadAnswer, "{error}");
        assert_eq!(server.requests().len(), 2);
    });
}

#[test]
fn a_token_is_not_taken_elsewhere() {
    run_case(async {
        let other = Wire::silent();
        let to = format!("{}/v1?token=hush", other.endpoint());
        let server = Wire::start(move |_, mut stream| {
            Wire::reply(&mut stream, "307 Temporary Redirect", &[("location", &to)], b"")
        });

        let error = find(&client(&server)).await.unwrap_err();

        assert_eq!(error.problem(), Problem::NotDataApi);
        let leads = format!("which leads to `{}/v1`", other.endpoint());
        assert!(error.to_string().contains(&leads), "{error}");
        assert_eq!(other.requests().len(), 0);
    });
}

#[test]
fn a_path_that_is_not_there_says_so_without_a_body() {
    run_case(async {
        let server =
            Wire::start(|_, mut stream| Wire::reply(&mut stream, "404 Not Found", &[], b""));
        let client = client(&server);

        let error = find(&client).await.unwrap_err();

        assert_eq!(error.problem(), Problem::WrongPath);
        assert!(error.to_string().ends_with("404 Not Found, without a body"), "{error}");
        assert!(error.hint().contains("/v1"), "{}", error.hint());
        assert_eq!(client.server_ahead_s(), None, "it does not say what time it is");
    });
}

#[test]
fn what_is_asked_for_two_ranges_keeps_each_together() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let server = Wire::start(|_, mut stream| {
            let answer =
                br#"{"status": {"count": 0}, "data": {"documents": [], "nextPageState": null}}"#;
            Wire::reply(&mut stream, "200 OK", &[("content-type", "application/json")], answer)
        });
        let mut config = support::config(&cloud.emulator);
        config.endpoint = server.endpoint();
        let backend =
            AstraBackend::open_with_schema(&config, &backend.cached_schema()).await.unwrap();

        let filter = Filter::parse_all(&["bpm:100..112,130..140"]).unwrap();
        backend.songs().count(&filter).await.unwrap();

        let sent: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
        let range = |min: f64, max: f64| json!({"$and": [{"find.bpm": {"$gte": min}}, {"find.bpm": {"$lte": max}}]});
        let ranges = json!({"$or": [range(100.0, 112.0), range(130.0, 140.0)]});
        let all = sent["countDocuments"]["filter"]["$and"].as_array().unwrap();
        assert!(all.contains(&ranges), "{sent}");
    });
}

// Who reads has another place to ask, and waits for the first byte only once.
#[test]
fn a_server_that_never_answers_is_asked_once() {
    run_case(async {
        let silent = Wire::silent();
        let timeouts = Timeouts {
            first_answer: Some(Duration::from_millis(100)),
            retry: RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() },
            ..Timeouts::default()
        };
        let endpoint = silent.endpoint().parse().unwrap();
        let client = Client::with_timeouts(endpoint, Secret::new("token"), timeouts).unwrap();

        let error = find(&client).await.unwrap_err();

        assert_eq!(error.problem(), Problem::TimedOut, "{error}");
        assert_eq!(silent.requests().len(), 1);
    });
}

// Once it has answered, it gets the time that it always has.
#[test]
fn a_server_that_answered_once_is_waited_for() {
    run_case(async {
        let asked = AtomicUsize::new(0);
        let server = Wire::start(move |_, mut stream| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Wire::reply(&mut stream, "503 Service Unavailable", &[], b""),
            _ => {
                std::thread::sleep(Duration::from_millis(700));
                let answer = br#"{"data": {"documents": [], "nextPageState": null}}"#;
                Wire::reply(&mut stream, "200 OK", &[], answer)
            }
        });
        let timeouts = Timeouts {
            first_answer: Some(Duration::from_millis(500)),
            retry: RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() },
            ..Timeouts::default()
        };
        let endpoint = server.endpoint().parse().unwrap();
        let client = Client::with_timeouts(endpoint, Secret::new("token"), timeouts).unwrap();

        assert_eq!(find(&client).await.unwrap(), Vec::<Value>::new());
        assert_eq!(server.requests().len(), 2);
    });
}

// A bucket at `endpoint`; `change` says what is special about it.
fn bucket(endpoint: String, change: impl FnOnce(&mut BlobConfig)) -> AstraBackend {
    let mut config = AstraConfig::new("http://127.0.0.1:9", Secret::new("token"));
    let mut blobs = BlobConfig::new("s3://bucket/prefix");
    blobs.endpoint = Some(endpoint);
    blobs.access_key = Some(Secret::new(S3Server::ACCESS_KEY));
    blobs.secret_key = Some(Secret::new("hush"));
    blobs.session_token = Some(Secret::new("whisper"));
    change(&mut blobs);
    config.blobs = Some(blobs);
    config.timeouts = Some(Timeouts {
        retry: RetryPolicy {
            attempts: 2,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(2),
            ..RetryPolicy::default()
        },
        ..Timeouts::default()
    });
    AstraBackend::connect(&config).unwrap()
}

#[test]
fn a_bucket_that_never_answers_is_asked_once_by_who_only_looks() {
    run_case(async {
        let silent = Wire::silent();
        let mut config = AstraConfig::new("http://127.0.0.1:9", Secret::new("token"));
        let mut blobs = BlobConfig::new("s3://bucket/prefix");
        blobs.endpoint = Some(silent.endpoint());
        blobs.access_key = Some(Secret::new("key"));
        blobs.secret_key = Some(Secret::new("secret"));
        config.blobs = Some(blobs);
        config.timeouts = Some(Timeouts {
            first_answer: Some(Duration::from_millis(100)),
            retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
            ..Timeouts::default()
        });
        let backend = AstraBackend::connect(&config).unwrap();

        for error in errors(&backend).await {
            assert!(assert_one_sentence(&error).contains("did not answer within 100ms"));
        }
        assert_eq!(silent.requests().len(), 2);
        let probes = backend.doctor().await;

        let audio = probes.last().unwrap();
        assert!(audio.outcome.contains("did not answer"), "{audio:?}");
        assert_eq!(silent.requests().len(), 3);
    });
}

fn blob(size: u64, has_key: bool) -> BlobRef {
    let sha256 = Digest::of(b"audio");
    let key = has_key.then(|| format!("audio/{}/{sha256}.00000000", sha256.shard()));
    BlobRef { sha256, size, key }
}

// Asked for one blob, by its key and by a list.
async fn errors(backend: &AstraBackend) -> Vec<StorageError> {
    let mut errors = Vec::new();
    for has_key in [true, false] {
        errors.push(backend.blobs().get(&blob(5, has_key), None).await.map(drop).unwrap_err());
    }
    errors
}

fn assert_one_sentence(error: &StorageError) -> String {
    let cause = std::error::Error::source(error).expect("a reason");
    assert!(cause.source().is_none(), "one reason: {cause}");
    let text = format!("{error}: {cause}");
    assert!(!text.contains('<') && text.len() < 400, "{text}");
    assert!(text.matches("http://").count() <= 1, "{text}");
    assert!(error.hint().is_some(), "{text}");
    for secret in ["hush", "whisper"] {
        assert!(!text.contains(secret) && !format!("{error:?}").contains(secret), "{error:?}");
    }
    text
}

#[test]
fn a_bucket_that_answers_without_an_end_is_cut() {
    run_case(async {
        let list = Wire::start(|_, mut stream| {
            Wire::begin(&mut stream, "200 OK", &[("content-type", "application/xml")])?;
            Wire::pour(&mut stream)
        });
        let backend = bucket(list.endpoint(), |_| {});
        let error = backend.blobs().get(&blob(5, false), None).await.map(drop).unwrap_err();
        let text = assert_one_sentence(&error);
        assert!(text.contains("more than 16 MiB") && text.contains(&list.endpoint()), "{text}");

        let refusal = Wire::start(|_, mut stream| {
            Wire::begin(&mut stream, "403 Forbidden", &[])?;
            Wire::pour(&mut stream)
        });
        for error in errors(&bucket(refusal.endpoint(), |_| {})).await {
            assert!(assert_one_sentence(&error).contains("403 Forbidden"));
        }

        // The object is not what the song says: nothing of it is taken.
        let object = Wire::start(|_, mut stream| {
            let headers = [
                ("content-length", "3000000000"),
                ("etag", "\"1\""),
                ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ];
            Wire::begin(&mut stream, "200 OK", &headers)?;
            Wire::pour(&mut stream)
        });
        let backend = bucket(object.endpoint(), |_| {});
        let error = backend.blobs().get(&blob(5, true), None).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(assert_one_sentence(&error).contains("3000000000 bytes, not 5"));
    });
}

#[test]
fn a_bucket_does_not_lead_elsewhere() {
    run_case(async {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
            let other = Wire::silent();
            let to = format!("{}/bucket?signature=hush", other.endpoint());
            let server = Wire::start(move |_, mut stream| {
                Wire::reply(&mut stream, status, &[("location", &to)], b"")
            });

            for error in errors(&bucket(server.endpoint(), |_| {})).await {
                let cause = std::error::Error::source(&error).unwrap().to_string();
                assert!(cause.contains(&other.endpoint()) && !cause.contains("hush"), "{cause}");
                assert!(error.hint().unwrap().to_string().contains("SONGREC_BLOBS_ENDPOINT"));
            }

            assert_eq!(other.requests().len(), 0, "{status}");
            assert_eq!(server.requests().len(), 2, "{status}");
        }
    });
}

#[test]
fn without_keys_nobody_is_asked_for_some() {
    run_case(async {
        let server = Wire::silent();
        for (access, secret, missing) in [
            (None, None, "no keys"),
            (Some("key"), None, "no secret key"),
            (None, Some("secret"), "no access key"),
        ] {
            let backend = bucket(server.endpoint(), |blobs| {
                blobs.access_key = access.map(Secret::new);
                blobs.secret_key = secret.map(Secret::new);
            });
            for error in errors(&backend).await {
                assert_eq!(error.kind(), ErrorKind::Denied);
                assert!(assert_one_sentence(&error).contains(missing));
                let hint = error.hint().unwrap().to_string();
                assert!(
                    hint.contains("SONGREC_BLOBS_ACCESS_KEY") && hint.contains("AWS_ACCESS_KEY_ID")
                );
            }
        }
        assert_eq!(server.requests().len(), 0);
    });
}

#[test]
fn an_address_with_a_password_is_refused_without_showing_it() {
    let opened = |change: &dyn Fn(&mut AstraConfig, &mut BlobConfig)| {
        let mut config = AstraConfig::new("http://127.0.0.1:9", Secret::new("token"));
        let mut blobs = BlobConfig::new("s3://bucket/prefix");
        change(&mut config, &mut blobs);
        config.blobs = Some(blobs);
        AstraBackend::connect(&config).map(drop).unwrap_err()
    };
    for error in [
        opened(&|config, _| config.endpoint = "https://me:hush@host".to_owned()),
        opened(&|_, blobs| blobs.endpoint = Some("https://me:hush@host".to_owned())),
        opened(&|_, blobs| blobs.url = "s3://me:hush@bucket/x".to_owned()),
    ] {
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert_eq!(error.kind(), ErrorKind::Invalid, "{shown}");
        assert!(!shown.contains("hush") && shown.contains("(hidden)"), "{shown}");
    }
}

#[test]
fn a_refusal_of_a_bucket_is_one_sentence() {
    run_case(async {
        let s3 = S3Server::start();
        let with = |access: &str, bucket_name: &str| {
            bucket(s3.endpoint(), |blobs| {
                blobs.url = format!("s3://{bucket_name}/x");
                blobs.access_key = Some(Secret::new(access));
                blobs.session_token = None;
            })
        };
        for (backend, kind) in [
            (with(S3Server::ACCESS_KEY, S3Server::BUCKET), ErrorKind::Denied),
            (with("nobody", S3Server::BUCKET), ErrorKind::Denied),
            (bucket("http://127.0.0.1:9".to_owned(), |_| {}), ErrorKind::Transient),
        ] {
            for error in errors(&backend).await {
                let text = assert_one_sentence(&error);
                assert!(error.kind() == kind || error.kind() == ErrorKind::Transient, "{text}");
            }
        }
    });
}

#[test]
fn requests_that_time_out_together_do_not_end_the_operation() {
    run_case(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // The first three times, all sixteen meet a pause of the server.
        let server = Wire::start(move |_, mut stream| {
            if counted.fetch_add(1, Ordering::SeqCst) < 48 {
                std::thread::sleep(Duration::from_millis(1_500));
            }
            let answer = br#"{"data": {"documents": [], "nextPageState": null}}"#;
            Wire::reply(&mut stream, "200 OK", &[], answer)
        });
        let timeouts = Timeouts {
            request: Duration::from_millis(500),
            retry: RetryPolicy {
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(1),
                ..RetryPolicy::default()
            },
            ..Timeouts::default()
        };
        let endpoint = server.endpoint().parse().unwrap();
        let client = Client::with_timeouts(endpoint, Secret::new("token"), timeouts).unwrap();

        let answers = futures::future::join_all((0..16).map(|_| find(&client))).await;

        for answer in answers {
            answer.unwrap();
        }
    });
}
