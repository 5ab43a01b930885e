//! How long is waited, how often is asked, and when not at all.

use std::time::{Duration, Instant};

use songrec_astra::{
    Secret,
    client::{Client, Find, Problem, Timeouts},
};
use songrec_core::RetryPolicy;
use songrec_emulator::{Emulator, Fault, Rule};
use songrec_testkit::run_case;

fn timeouts() -> Timeouts {
    Timeouts {
        retry: RetryPolicy {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(2),
            ..RetryPolicy::default()
        },
        ..Timeouts::default()
    }
}

fn client(url: &str, token: &str, timeouts: Timeouts) -> Client {
    Client::with_timeouts(url.parse().unwrap(), Secret::new(token), timeouts).unwrap()
}

// A read, its error, and how long it took.
async fn asked(client: &Client) -> (Option<Problem>, Duration) {
    let started = Instant::now();
    let find = Find::new(serde_json::json!({}));
    let collection = client.keyspace("default_keyspace").collection("songs");
    let answer = collection.find_page::<serde_json::Value>(&find).await;
    (answer.err().map(|error| error.problem()), started.elapsed())
}

#[test]
fn a_dead_endpoint_is_left_alone_and_asked_again_later() {
    run_case(async {
        // Nobody listens there.
        let client = client("http://127.0.0.1:9", "token", timeouts());
        let mut problems = Vec::new();
        for _ in 0..6 {
            problems.push(asked(&client).await.0.unwrap());
        }

        assert_eq!(problems[..2], [Problem::Unreachable; 2]);
        assert_eq!(problems[3..], [Problem::Resting; 3], "{problems:?}");
        assert_eq!(client.requests(), 8, "so many failures in a row mean that it is dead");

        tokio::time::sleep(Duration::from_millis(1_100)).await;
        asked(&client).await;
        assert_eq!(client.requests(), 9, "one may try");
    });
}

#[test]
fn where_nothing_listens_is_no_long_wait() {
    run_case(async {
        let timeouts = Timeouts {
            refused: Duration::from_millis(300),
            retry: RetryPolicy {
                first_pause: Duration::from_millis(200),
                longest_pause: Duration::from_secs(10),
                attempts: 7,
                ..RetryPolicy::default()
            },
            ..Timeouts::default()
        };
        let client = client("http://127.0.0.1:9", "token", timeouts);

        let (problem, time) = asked(&client).await;

        assert_eq!(problem, Some(Problem::Unreachable));
        assert!(time < Duration::from_secs(8), "{time:?}");
        assert!(client.requests() < 7);
    });
}

#[test]
fn a_call_and_an_operation_have_their_deadlines() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        emulator.faults().add(Rule::delay(Duration::from_secs(30)));
        let request = Duration::from_millis(100);
        let once = Timeouts {
            request,
            retry: RetryPolicy { attempts: 1, ..timeouts().retry },
            ..timeouts()
        };
        let one = client(emulator.url(), &emulator.token(), once.clone());
        let (problem, took) = asked(&one).await;
        assert_eq!(problem, Some(Problem::TimedOut));
        assert!(took >= request && took < Duration::from_secs(20), "{took:?}");

        let operation = Duration::from_millis(350);
        let often = Timeouts {
            retry: RetryPolicy { attempts: 1_000, total: operation, ..once.retry },
            ..once
        };
        let many = client(emulator.url(), &emulator.token(), often);
        let (problem, took) = asked(&many).await;
        assert_eq!(problem, Some(Problem::TimedOut));
        assert!(took >= operation - request && took < Duration::from_secs(20), "{took:?}");
        assert!((2..=4).contains(&many.requests()), "{} requests", many.requests());
    });
}

#[test]
fn a_database_that_wakes_up_is_waited_for() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let client = client(emulator.url(), &emulator.token(), timeouts());
        let settings = songrec_astra::client::CollectionSettings {
            name: "songs".to_owned(),
            options: serde_json::json!({}),
        };
        client.keyspace("default_keyspace").create_collection(&settings).await.unwrap();
        emulator.faults().add(Rule::fault(Fault::Hibernated).next(2));

        assert_eq!(asked(&client).await.0, None);

        emulator.faults().add(Rule::fault(Fault::Hibernated));
        assert_eq!(asked(&client).await.0, Some(Problem::Asleep));
    });
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let client = client(emulator.url(), &emulator.token(), timeouts());
        emulator.faults().add(Rule::fault(Fault::rate_limited(Some(1))).next(1));

        let (problem, took) = asked(&client).await;

        assert_eq!(problem, Some(Problem::NoCollection), "it was asked again");
        assert!(took >= Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn the_clocks_are_compared_with_every_answer() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let client = client(emulator.url(), &emulator.token(), timeouts());
        assert_eq!(client.server_ahead_s(), None);

        asked(&client).await;

        let ahead = client.server_ahead_s().unwrap();
        assert!(ahead.abs() <= 5, "{ahead} s on one machine");
    });
}
