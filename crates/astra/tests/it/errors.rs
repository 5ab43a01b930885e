//! Errors: each cause has its own message and hint, and none shows a secret.

use std::{
    io,
    sync::{Arc, Mutex},
};

use songrec_astra::{AstraBackend, Secret, client::Timeouts};
use songrec_core::RetryPolicy;
use songrec_emulator::{Emulator, Fault, Rule};
use songrec_storage::{Error, ErrorKind, PutMode, StorageBackendExt};
use songrec_testkit::{run_case, song};

use crate::support::{config, library};

fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    format!("{text} / {}", error.hint().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn each_cause_has_its_own_message_and_next_step() {
    run_case(async {
        let (_, emulator) = library(Emulator::builder()).await;
        let mut config = config(&emulator);
        config.timeouts = Some(Timeouts {
            retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
            ..Timeouts::default()
        });
        let backend = AstraBackend::open(&config).await.unwrap();
        for (fault, kind, message, hint) in [
            (Fault::Hibernated, ErrorKind::Unavailable, "hibernated", "portal"),
            (Fault::rate_limited(None), ErrorKind::Transient, "too many requests", "wait"),
            (Fault::Overloaded, ErrorKind::Transient, "too many requests", "wait"),
            (Fault::ProxyHtml { status: 200 }, ErrorKind::Unavailable, "something else", "proxy"),
            (Fault::status(404), ErrorKind::NotFound, "no Data API", "/v1"),
            (Fault::status(401), ErrorKind::Denied, "token", "ASTRA_DB_APPLICATION_TOKEN"),
            (
                Fault::error("UNKNOWN_COLLECTION_OR_TABLE"),
                ErrorKind::NotFound,
                "collection",
                "initialization",
            ),
            (
                Fault::error("COLLECTION_NOT_EXIST"),
                ErrorKind::NotFound,
                "collection",
                "initialization",
            ),
            (Fault::error("TOO_MANY_INDEXES"), ErrorKind::Full, "index", "delete"),
            (Fault::DropBefore, ErrorKind::Transient, "connection", "again"),
        ] {
            let rule = emulator.faults().add(Rule::fault(fault.clone()));
            let error = backend.get_song(song("one").id).await.unwrap_err();
            emulator.faults().remove(rule);

            assert_eq!(error.kind(), kind, "{fault:?}: {}", text(&error));
            assert!(text(&error).contains(message), "{fault:?}: {}", text(&error));
            assert!(
                error.hint().unwrap().to_string().contains(hint),
                "{fault:?}: {}",
                text(&error)
            );
        }
    });
}

#[test]
fn a_wrong_token_and_a_dead_server_are_told_apart() {
    run_case(async {
        let (_, emulator) = library(Emulator::builder()).await;
        let mut wrong = config(&emulator);
        wrong.token = Secret::new("AstraCS:wrong:token");
        let error = AstraBackend::open(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{}", text(&error));
        assert!(!text(&error).contains("AstraCS"), "{}", text(&error));

        let dead = config(&emulator);
        emulator.emulator.shutdown().await;
        let error = AstraBackend::open(&dead).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", text(&error));
    });
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_log_and_no_debug_text_shows_the_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is only one subscriber, a place that another test's thread
    // is the first to pass is taken to interest nobody (tracing 0.1).
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The emulator runs on its own runtime: its log is not what is tested.
    let servers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (_, emulator) = servers.block_on(library(Emulator::builder()));
    let config = config(&emulator);
    let token = emulator.token();

    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let backend = AstraBackend::open(&config).await.unwrap();
            backend.put_song(&song("one"), PutMode::Create).await.unwrap();
            emulator.faults().add(Rule::fault(Fault::error("UNAUTHORIZED_ACCESS")).next(1));
            let error = backend.get_song(song("one").id).await.unwrap_err();
            for shown in [format!("{backend:?}{backend}{config:?}{error:?}"), text(&error)] {
                assert!(!shown.contains(&token), "{shown}");
            }
        });
    });

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("insertMany"), "requests are logged: {log}");
    assert!(!log.contains(&token));
}
