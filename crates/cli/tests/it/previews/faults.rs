//! A music service that goes wrong, and what is left then.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Does, FIRST, SECOND, Service, bare, found, in_folder, m4a, track, world};
use crate::world::{Run, tone};

#[test]
fn answers_that_are_none_are_said_and_leave_nothing() {
    let service = Service::start();
    let world = world(&service);
    let cases = [
        (Does::Bytes(b"<html>please log in</html>".to_vec()), 5, "not JSON"),
        (Does::Json(json!({"errorMessage": "no"})), 5, "no list of `results`"),
        (Does::Half(found(&[bare(1)]).to_string().into_bytes()), 5, "the connection broke"),
        (Does::Status("500 Oops"), 5, "it rains"),
        (Does::Status("403 Forbidden"), 6, "asked too often"),
        (Does::Status("404 Not Found"), 4, "404"),
        (Does::Endless, 8, "more than 8 MiB"),
        (Does::Redirect("ftp://127.0.0.1/x".to_owned()), 8, "no web address"),
        (Does::Redirect(service.url("/search")), 5, "round in circles"),
    ];
    for (does, code, says) in cases {
        service.set("/search", does);

        let run = world.run(&["previews", "download", "air"]);

        assert_eq!(run.code, code, "{says}: {run:?}");
        assert!(run.stderr.contains(says), "{says}: {run:?}");
        assert!(run.stderr.contains("hint: "), "{run:?}");
        assert_eq!((run.stdout.as_str(), in_folder(&world)), ("", Vec::new()), "{run:?}");
    }
    // What is no track among tracks is passed over.
    let odd = [
        json!(7),
        json!({"wrapperType": "collection", "collectionId": 7}),
        json!({"trackId": "x"}),
    ];
    let odd = odd.into_iter().chain([track(101, "javascript:alert(1)"), track(101, "x")]);
    service.set("/search", Does::Json(found(&odd.collect::<Vec<_>>())));
    let tracks = world.json_lines(&["previews", "search", "air"]);
    assert_eq!(tracks.len(), 1, "{tracks:?}");
    assert_eq!(tracks[0]["preview_url"], Value::Null);
}

#[test]
fn what_is_no_preview_is_not_kept_and_the_others_are() {
    let service = Service::start();
    let world = world(&service);
    let whole = std::fs::read(m4a()).unwrap();
    let mut cut_off = tone(300.0, 2.0);
    cut_off.truncate(cut_off.len() / 2);
    let cases = [
        (Does::Bytes(b"<html>sorry</html>".to_vec()), "not an audio file"),
        (Does::Bytes(Vec::new()), "no audio"),
        (Does::Bytes(cut_off), "cut off"),
        (Does::Bytes(vec![0; 1 << 21]), "more than 1048576 bytes"),
        (Does::Half(whole), "the connection broke"),
        (Does::Status("404 Gone"), "404"),
        (Does::Status("503 Later"), "503"),
        (Does::Endless, "more than 1048576 bytes"),
        (Does::Redirect("file:///etc/passwd".to_owned()), "no web address"),
    ];
    for (does, says) in cases {
        service.set("/1.m4a", does);

        let run = world.run(&["previews", "download", "101", "102", "--scan"]);

        assert_eq!(run.code, 3, "{says}: {run:?}");
        assert!(run.stderr.contains("`Air - Song 101` (101)"), "{run:?}");
        assert!(run.stderr.contains(says), "{says}: {run:?}");
        assert!(!run.stderr.contains(".preview-"), "not where it lay for a moment: {run:?}");
        assert_eq!(in_folder(&world), [SECOND], "{says}");
    }
    assert_eq!(world.ids().len(), 1);
}

#[test]
fn a_service_that_asks_to_wait_is_asked_again_after_that() {
    let service = Service::start();
    let world = world(&service);
    let wav = Does::Bytes(tone(440.0, 1.5));
    service.set("/2", Does::Busy(1)).set("/2 then", wav);
    let track = found(&[track(102, &service.url("/2"))]);
    service.set("/search", Does::Busy(1)).set("/search then", Does::Json(track));
    let began = std::time::Instant::now();

    world.run(&["previews", "download", "air"]).ok();

    assert_eq!(service.asked(), ["/search", "/search", "/2", "/2"]);
    assert!(began.elapsed() >= Duration::from_secs(2));
    service.set("/search", Does::Busy(3600)).set("/search then", Does::Json(found(&[])));
    let too_long = world.run(&["previews", "search", "air"]);
    assert_eq!(too_long.code, 5, "{too_long:?}");
    assert!(too_long.stderr.contains("it asks to wait 3600 s"), "{too_long:?}");
}

#[test]
fn a_service_that_does_not_answer_any_more_is_left_alone() {
    let service = Service::start();
    let world = world(&service);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone: Vec<Value> = (1..=6).map(|id| track(id, &format!("http://{silent}/x"))).collect();
    service.set("/search", Does::Json(found(&gone)));

    let run = world.run(&["previews", "download", "air", "--json"]);

    assert_eq!(run.code, 3, "{run:?}");
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["failed"], &last["left"]), (&json!(3), &json!(3)));
    assert_eq!(in_folder(&world), [""; 0]);
}

#[test]
fn ctrl_c_ends_a_download_and_leaves_only_what_is_whole() {
    let service = Service::start();
    let world = world(&service);
    service.set("/2", Does::Stuck);
    let child = world.begin(&["previews", "download", "air", "--scan"]);
    while !service.asked().contains(&"/2".to_owned()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    while !in_folder(&world).iter().any(|name| name.starts_with(".preview-")) {
        std::thread::sleep(Duration::from_millis(5));
    }

    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();

    assert!(kill.unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.stderr.contains("run the same command to go on"), "{run:?}");
    assert_eq!(in_folder(&world), [FIRST]);
    service.set("/2", Does::Bytes(tone(440.0, 1.5)));
    let on = world.run(&["previews", "download", "101", "102", "--scan"]).ok();
    assert!(on.stderr.contains("2 new songs"), "{on:?}");
    assert_eq!(in_folder(&world), [FIRST, SECOND]);
}

#[test]
fn what_a_killed_download_left_behind_goes_away_with_the_next() {
    let service = Service::start();
    let world = world(&service);
    service.set("/2", Does::Stuck);
    let mut killed = world.begin(&["previews", "download", "102"]);
    while !in_folder(&world).iter().any(|name| name.starts_with(".preview-")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let folder = world.path("data/songrec/library/previews");
    // One that got some of its bytes, and one that somebody else is writing.
    std::fs::write(folder.join(".preview-half"), "half").unwrap();
    std::fs::write(folder.join(".preview-theirs"), "half").unwrap();
    let theirs = std::fs::File::open(folder.join(".preview-theirs")).unwrap();
    theirs.lock().unwrap();
    for name in in_folder(&world).iter().filter(|name| name.starts_with(".preview-")) {
        let file = std::fs::File::options().write(true).open(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    world.run(&["previews", "download", "101"]).ok();

    assert_eq!(in_folder(&world), [".preview-theirs", FIRST]);
}

#[test]
fn a_hostile_title_stays_in_the_folder() {
    let service = Service::start();
    let world = world(&service);
    let mut hostile = track(101, &service.url("/1.m4a"));
    hostile["trackName"] = json!(format!("../../../\u{1b}[2J{}\0", "x".repeat(300)));
    hostile["artistName"] = json!("CON");
    service.set("/lookup", Does::Json(found(&[hostile])));

    let run = world.run(&["previews", "download", "101"]).ok();

    let names = in_folder(&world);
    assert_eq!(names.len(), 1, "{run:?}");
    assert!(names[0].starts_with("CON - .._.._.._"), "{names:?}");
    assert!(names[0].len() < 200 && names[0].ends_with(" [itunes 101].m4a"), "{names:?}");
    assert!(!run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'), "{run:?}");
}

#[test]
fn a_key_stays_with_its_service() {
    let (service, other) = (Service::start(), Service::start());
    let world = world(&service);
    let search = ["previews", "search", "rain", "--service", "freesound"];
    service.set("/apiv2/search/text/", Does::Redirect(other.url("/apiv2/search/text/")));
    let led_away = world.run(&search);
    assert_eq!(led_away.code, 8, "{led_away:?}");
    assert!(led_away.stderr.contains("another server"), "{led_away:?}");
    assert_eq!(other.asked(), [""; 0]);
    // Nor does a folder's file send it elsewhere.
    let url = format!("[previews]\nfreesound_url = \"{}\"\n", other.url(""));
    std::fs::write(world.path(".songrec.toml"), url).unwrap();
    let sent_away = world.run(&search);
    assert_eq!(sent_away.code, 2, "{sent_away:?}");
    assert!(sent_away.stderr.contains("your key is not sent there"), "{sent_away:?}");
    assert_eq!(other.asked(), [""; 0]);
    std::fs::remove_file(world.path(".songrec.toml")).unwrap();
    // Without a key it says where one is to be had.
    let settings = world.path("config/songrec/config.toml");
    let text = std::fs::read_to_string(&settings).unwrap().replace("freesound_key", "#");
    std::fs::write(settings, text).unwrap();
    let no_key = world.run(&search);
    assert_eq!(no_key.code, 6, "{no_key:?}");
    assert!(no_key.stderr.contains("FREESOUND_API_KEY"), "{no_key:?}");
    let shown = world.run(&["config", "show"]).ok();
    assert!(!shown.stdout.contains("hush"), "{shown:?}");
}
