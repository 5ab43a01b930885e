//! A service on the web that goes wrong in ways that no previews show.

use std::time::{Duration, Instant};

use songrec_core::RetryPolicy;
use songrec_models::remote::{Problem, Token, Web, WebOptions};
use songrec_testkit::Wire;

fn options() -> WebOptions {
    WebOptions {
        per_minute: 0,
        timeout: Duration::from_secs(10),
        retry: RetryPolicy {
            attempts: 2,
            first_pause: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        key: None,
    }
}

fn text(answer: &[u8]) -> Result<String, String> {
    String::from_utf8(answer.to_vec()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_document_is_asked_for_below_the_address_with_its_parameters() {
    let wire = Wire::start(|_, mut stream| Wire::reply(&mut stream, "200 OK", &[], b"well"));
    let web = Web::new(&format!("{}/v2/", wire.endpoint()), options()).unwrap();

    let said = web.document("a/b/", &[("q", "x &=/é".to_owned())], text).await.unwrap();

    assert_eq!(said, "well");
    assert_eq!(wire.requests()[0].line(), "GET /v2/a/b/?q=x+%26%3D%2F%C3%A9 HTTP/1.1");
}

#[tokio::test]
async fn an_answer_that_grows_when_it_is_unpacked_is_cut_off() {
    let wire = Wire::start(|_, mut stream| {
        Wire::reply(&mut stream, "200 OK", &[("content-encoding", "gzip")], &Wire::bomb(64))
    });
    let web = Web::new(&wire.endpoint(), options()).unwrap();

    let error = web.document("x", &[], text).await.unwrap_err();

    assert_eq!(error.problem(), Problem::TooMuch, "{error}");
    assert_eq!(wire.requests().len(), 1, "it would be as large again");
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_after_its_time() {
    let wire = Wire::silent();
    let timeout = Duration::from_millis(200);
    let web = Web::new(&wire.endpoint(), WebOptions { timeout, ..options() }).unwrap();
    let began = Instant::now();

    let error = web.document("x", &[], text).await.unwrap_err();

    assert_eq!(error.problem(), Problem::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(wire.requests().len(), 2);
}

#[tokio::test]
async fn a_file_that_comes_drop_by_drop_is_given_up_after_its_time() {
    let wire = Wire::start(|_, mut stream| {
        Wire::begin(&mut stream, "200 OK", &[])?;
        loop {
            std::io::Write::write_all(&mut stream, b"x")?;
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let timeout = Duration::from_millis(300);
    let web = Web::new(&wire.endpoint(), WebOptions { timeout, ..options() }).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();

    let error = web
        .file(&format!("{}/x", wire.endpoint()), file.path(), 1 << 20, |_| {})
        .await
        .unwrap_err();

    assert_eq!(error.problem(), Problem::Timeout, "{error}");
}

#[tokio::test]
async fn a_file_that_broke_off_is_begun_anew() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let wire = Wire::start(move |_, mut stream| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            return Wire::reply(&mut stream, "200 OK", &[], b"short");
        }
        Wire::begin(&mut stream, "200 OK", &[("content-length", "100")])?;
        std::io::Write::write_all(&mut stream, b"longer than the whole")
    });
    let web = Web::new(&wire.endpoint(), options()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();

    let size =
        web.file(&format!("{}/x", wire.endpoint()), file.path(), 1 << 20, |_| {}).await.unwrap();

    assert_eq!(size, 5);
    assert_eq!(std::fs::read(file.path()).unwrap(), b"short");
}

#[tokio::test]
async fn a_file_whose_place_is_gone_is_not_made_again() {
    let wire = Wire::start(|_, mut stream| Wire::reply(&mut stream, "200 OK", &[], b"well"));
    let web = Web::new(&wire.endpoint(), options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");

    let error =
        web.file(&format!("{}/x", wire.endpoint()), &gone, 1 << 20, |_| {}).await.unwrap_err();

    assert_eq!(error.problem(), Problem::Config, "{error}");
    assert!(!gone.exists());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_before_anybody_is_asked() {
    for base in ["", "ftp://a.example", "http://", "https://me:hush@a.example"] {
        let error = Web::new(base, options()).unwrap_err();

        assert_eq!(error.problem(), Problem::Config, "{base}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    let web = Web::new("https://a.example", options()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    for url in ["file:///etc/passwd", "http://a.example/x", "https://me:hush@a.example/x", "x"] {
        let error = web.file(url, file.path(), 1, |_| {}).await.unwrap_err();

        assert!(matches!(error.problem(), Problem::Refused | Problem::Garbage), "{url}: {error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_shown_to_nobody_but_the_service() {
    let wire = Wire::start(|_, mut stream| Wire::reply(&mut stream, "200 OK", &[], b"well"));
    let key = Some(("Token", Token::new("hush")));
    let web = Web::new(&wire.endpoint(), WebOptions { key, ..options() }).unwrap();

    web.document("x", &[], text).await.unwrap();

    assert_eq!(wire.requests()[0].header("authorization"), Some("Token hush"));
    assert!(!format!("{web:?}").contains("hush"));
}
