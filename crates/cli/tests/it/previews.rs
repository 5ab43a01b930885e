//! `previews`: tracks of a music service, and what becomes of their previews.

mod faults;

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use songrec_testkit::{Wire, WireRequest};

use crate::{
    keeping::npy_f64,
    world::{World, examples, tone},
};

/// What the service does when it is asked for a path, the parameters apart.
#[derive(Clone)]
pub(crate) enum Does {
    Json(Value),
    Bytes(Vec<u8>),
    /// The first half, under the length of the whole.
    Half(Vec<u8>),
    Status(&'static str),
    /// Busy for so many seconds, once.
    Busy(u64),
    Redirect(String),
    /// Bytes without an end.
    Endless,
    /// The head, and then nothing more.
    Stuck,
}

/// A service that answers like Apple's and Freesound's, on this machine.
pub(crate) struct Service {
    wire: Wire,
    answers: Arc<Mutex<BTreeMap<String, Does>>>,
}

impl Service {
    /// With three tracks that words find.
    pub(crate) fn start() -> Self {
        let answers = Arc::<Mutex<BTreeMap<String, Does>>>::default();
        let known = answers.clone();
        let wire = Wire::start(move |request: &WireRequest, mut stream: TcpStream| {
            let path = path_of(request);
            let mut known = known.lock().unwrap();
            let does = known.get(&path).cloned().unwrap_or(Does::Status("404 Not Found"));
            if matches!(does, Does::Busy(_)) {
                // The same under the name of what comes after it.
                let next = known.remove(&format!("{path} then")).unwrap();
                known.insert(path, next);
            }
            drop(known);
            answer(&mut stream, does)
        });
        let service = Self { wire, answers };
        let (one, two) = (service.url("/1.m4a"), service.url("/2"));
        service.set("/search", Does::Json(found(&[track(101, &one), track(102, &two), bare(103)])));
        service.set("/lookup", Does::Json(found(&[track(102, &two), track(101, &one)])));
        service.set("/1.m4a", Does::Bytes(std::fs::read(m4a()).unwrap()));
        service.set("/2", Does::Bytes(tone(440.0, 1.5)));
        service
    }

    pub(crate) fn set(&self, path: &str, does: Does) -> &Self {
        self.answers.lock().unwrap().insert(path.to_owned(), does);
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.wire.endpoint())
    }

    /// The paths that it was asked for.
    fn asked(&self) -> Vec<String> {
        self.wire.requests().iter().map(path_of).collect()
    }

    /// Makes it the service of a machine.
    pub(crate) fn settle(&self, world: &World) {
        let folder = world.path("config/songrec");
        std::fs::create_dir_all(&folder).unwrap();
        let url = self.url("");
        let settings = format!(
            "[previews]\nitunes_url = \"{url}\"\nfreesound_url = \"{url}/apiv2\"\nmax_size = \"1M\"\n\
             freesound_key = \"hush\"\ncountry = \"DE\"\n"
        );
        std::fs::write(folder.join("config.toml"), settings).unwrap();
    }
}

fn path_of(request: &WireRequest) -> String {
    let target = request.line().split(' ').nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default().to_owned()
}

fn answer(stream: &mut TcpStream, does: Does) -> std::io::Result<()> {
    match does {
        Does::Json(value) => Wire::reply(stream, "200 OK", &[], value.to_string().as_bytes()),
        Does::Bytes(bytes) => Wire::reply(stream, "200 OK", &[], &bytes),
        Does::Half(bytes) => {
            let length = bytes.len().to_string();
            Wire::begin(stream, "200 OK", &[("content-length", &length)])?;
            stream.write_all(&bytes[..bytes.len() / 2])
        }
        Does::Status(status) => Wire::reply(stream, status, &[], b"{\"why\": \"it rains\"}"),
        Does::Busy(seconds) => {
            let seconds = seconds.to_string();
            Wire::reply(stream, "429 Too Many Requests", &[("retry-after", &seconds)], b"")
        }
        Does::Redirect(to) => Wire::reply(stream, "302 Found", &[("location", &to)], b""),
        Does::Endless => {
            Wire::begin(stream, "200 OK", &[])?;
            Wire::pour(stream)
        }
        Does::Stuck => {
            Wire::begin(stream, "200 OK", &[("content-length", "100000")])?;
            stream.write_all(&tone(440.0, 0.1))?;
            // Until the other side goes away.
            std::io::Read::read(stream, &mut [0; 1]).map(drop)
        }
    }
}

fn m4a() -> PathBuf {
    let is_m4a = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "m4a");
    examples("voice").into_iter().find(is_m4a).unwrap()
}

fn found(tracks: &[Value]) -> Value {
    json!({ "resultCount": tracks.len(), "results": tracks })
}

fn track(id: u64, preview: &str) -> Value {
    json!({
        "wrapperType": "track", "kind": "song", "trackId": id, "collectionId": 7, "artistId": 8,
        "trackName": format!("Song {id}"), "artistName": "Air", "collectionName": "Moon",
        "primaryGenreName": "Electronic", "trackTimeMillis": 425_250,
        "releaseDate": "1998-01-16T12:00:00Z", "previewUrl": preview,
        "trackViewUrl": format!("https://music.example/t/{id}"),
        "artistViewUrl": "https://music.example/a", "collectionViewUrl": "https://music.example/c",
        "artworkUrl100": "https://pictures.example/100.jpg", "trackPrice": 1.29,
    })
}

// Of which the service says next to nothing.
fn bare(id: u64) -> Value {
    json!({ "wrapperType": "track", "kind": "song", "trackId": id })
}

fn world(service: &Service) -> World {
    let world = World::new();
    service.settle(&world);
    world
}

/// What lies in the folder of previews, hidden or not, in order.
fn in_folder(world: &World) -> Vec<String> {
    let folder = world.path("data/songrec/library/previews");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FIRST: &str = "Air - Song 101 [itunes 101].m4a";
const SECOND: &str = "Air - Song 102 [itunes 102].wav";

fn summary(documents: &[Value]) -> &Value {
    documents.iter().find(|document| document["type"] == "summary").unwrap()
}

#[test]
fn words_find_tracks_with_all_that_the_service_says() {
    let service = Service::start();
    let world = world(&service);

    let tracks = world.json_lines(&["previews", "search", "la", "femme", "&", "d'argent"]);

    assert_eq!(tracks.len(), 3);
    assert_eq!(
        tracks[0],
        json!({
            "service": "itunes", "id": "101", "title": "Song 101", "artist": "Air", "album": "Moon",
            "album_id": "7", "genre": "Electronic", "duration": 425.25, "released": "1998-01-16",
            "preview_url": service.url("/1.m4a"), "url": "https://music.example/t/101",
            "artist_url": "https://music.example/a", "album_url": "https://music.example/c",
            "artwork_url": "https://pictures.example/100.jpg",
            "attribution": "preview provided courtesy of iTunes", "song": null,
        })
    );
    let requests = service.wire.requests();
    let line = requests[0].line();
    for part in
        ["term=la+femme+%26+d%27argent", "media=music", "entity=song", "limit=10", "country=DE"]
    {
        assert!(line.contains(part), "{line} without {part}");
    }
    let table = world.run(&["previews", "search", "air", "--limit", "5"]).ok();
    assert!(table.stdout.contains("Song 102") && table.stdout.contains("no preview"), "{table:?}");
    // It needs no library.
    let bare = World::bare();
    service.settle(&bare);
    assert_eq!(bare.json_lines(&["previews", "search", "air"]).len(), 3);
}

#[test]
fn previews_are_downloaded_and_taken_in_with_what_the_service_says() {
    let service = Service::start();
    let world = world(&service);

    let run = world.run(&["previews", "download", "air", "--scan", "--json"]);

    assert_eq!(run.code, 3, "one track has no preview: {run:?}");
    let said: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = said.iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["downloaded", "downloaded", "failed", "summary"]);
    assert_eq!(summary(&said)["scan"], json!({"added": 2, "there": 0, "left_out": 0}));
    assert_eq!(in_folder(&world), [FIRST, SECOND]);
    let song = world.json(&["show", said[0]["song"].as_str().unwrap()]);
    let values = &song["values"];
    for (field, value) in [
        ("title", "Song 101"),
        ("artist", "Air"),
        ("album", "Moon"),
        ("extra.preview_service", "itunes"),
        ("extra.track_id", "101"),
        ("extra.collection_id", "7"),
        ("extra.track_view_url", "https://music.example/t/101"),
        ("extra.artist_view_url", "https://music.example/a"),
        ("extra.collection_view_url", "https://music.example/c"),
        ("extra.artwork_url", "https://pictures.example/100.jpg"),
        ("extra.release_date", "1998-01-16"),
        ("extra.track_time_millis", "425250"),
        ("extra.attribution", "preview provided courtesy of iTunes"),
    ] {
        assert_eq!(values[field]["value"], value, "{field} of {values}");
        assert_eq!(values[field]["source"], "import", "{field}");
    }
    assert_eq!(values["year"]["value"], 1998);
    assert_eq!(values["genre"]["value"], json!(["Electronic"]));
    assert_eq!(values["extra.preview_url"]["value"], service.url("/1.m4a"));
}

#[test]
fn what_the_library_has_is_not_downloaded_again() {
    let service = Service::start();
    let world = world(&service);
    world.run(&["previews", "download", "102", "101", "--scan"]).ok();
    let renamed = world.path("data/songrec/library/previews/other.m4a");
    std::fs::rename(renamed.with_file_name(FIRST), &renamed).unwrap();
    world.run(&["scan", renamed.parent().unwrap().to_str().unwrap()]).ok();
    let songs = world.json_lines(&["ls"]);
    let second = songs.iter().find(|song| song["title"] == "Song 102").unwrap();
    world.run(&["edit", second["id"].as_str().unwrap(), "--set", "title=mine"]).ok();
    let asked = service.asked().len();

    let again = world.json_lines(&["previews", "download", "101", "102", "--scan"]);

    assert_eq!(service.asked()[asked..], ["/lookup"], "known by the title, and by the path");
    assert_eq!((&again[0]["id"], &again[0]["type"]), (&json!("101"), &json!("known")));
    assert_eq!((&again[1]["song"], &again[1]["type"]), (&second["id"], &json!("known")));
    assert_eq!(summary(&again)["known"], 2);
    let found = world.json_lines(&["previews", "search", "air"]);
    assert_eq!(found[1]["song"], second["id"]);
    // An id of another service is another track.
    let sound = json!({"id": 101, "name": "Song 101"});
    service.set("/apiv2/search/text/", Does::Json(found_sounds(&[sound])));
    let sounds = world.json_lines(&["previews", "search", "air", "--service", "freesound"]);
    assert_eq!(sounds[0]["song"], Value::Null);
}

fn found_sounds(sounds: &[Value]) -> Value {
    json!({ "count": sounds.len(), "next": null, "previous": null, "results": sounds })
}

#[test]
fn what_an_import_says_of_a_track_counts() {
    let service = Service::start();
    let world = world(&service);
    let data = world.path("old/data");
    std::fs::create_dir_all(data.join("embeddings")).unwrap();
    std::fs::write(data.join("embeddings/one.npy"), npy_f64(&[1.0, 0.5])).unwrap();
    let record =
        json!([{"id": "one", "filename": "one.m4a", "title": "Song 101", "track_id": 101}]);
    std::fs::write(data.join("metadata.json"), record.to_string()).unwrap();
    let imported = world.run(&["import", "old", "--model", "clap@1"]).ok();

    let said = world.json_lines(&["previews", "download", "101"]);

    assert_eq!(said[0]["type"], "known", "{imported:?}");
    assert_eq!(in_folder(&world), [""; 0]);
}

#[test]
fn previews_in_the_folder_are_taken_in_without_asking_for_them_again() {
    let service = Service::start();
    let world = world(&service);
    let paths = world.run(&["previews", "download", "102", "101"]).ok();
    let folder = world.path("data/songrec/library/previews");
    let first = folder.join(FIRST).display().to_string();
    assert_eq!(paths.stdout.lines().next(), Some(&*folder.join(SECOND).display().to_string()));
    assert_eq!(paths.stdout.lines().nth(1), Some(&*first));
    assert_eq!(world.ids(), [""; 0], "nobody asked for a scan");
    let asked = service.asked().len();

    let said = world.json_lines(&["previews", "download", "101", "102", "--scan"]);

    assert_eq!(service.asked()[asked..], ["/lookup"]);
    assert_eq!((&said[0]["type"], &said[1]["type"]), (&json!("there"), &json!("there")));
    assert_eq!(world.ids().len(), 2);
    let song = world.json(&["show", said[0]["song"].as_str().unwrap()]);
    assert_eq!(song["values"]["extra.track_id"]["value"], "101");
}

#[test]
fn a_dry_run_changes_nothing() {
    let service = Service::start();
    let world = world(&service);

    let said = world.json_lines(&["previews", "download", "101", "102", "--scan", "-n"]);

    assert_eq!((&said[0]["type"], &summary(&said)["downloaded"]), (&json!("wanted"), &json!(2)));
    assert_eq!(service.asked(), ["/lookup"]);
    assert!(!world.path("data/songrec/library/previews").exists());
}

#[test]
fn an_id_that_the_service_does_not_have_is_named() {
    let service = Service::start();
    let world = world(&service);

    let some = world.run(&["previews", "download", "101", "999"]);
    service.set("/lookup", Does::Json(found(&[])));
    let none = world.run(&["previews", "download", "999"]);
    service.set("/search", Does::Json(found(&[])));
    let words = world.run(&["previews", "download", "nobody", "7"]);

    assert_eq!(some.code, 3, "{some:?}");
    assert!(some.stderr.contains("`itunes` has no track `999`"), "{some:?}");
    assert_eq!(in_folder(&world), [FIRST]);
    assert_eq!(none.code, 4, "{none:?}");
    assert_eq!(words.code, 1, "{words:?}");
    for (arguments, says) in [
        (&["search", "x", "--limit", "999"][..], "1 to 200"),
        (&["search", " "], "no word"),
        (&["search", "x", "--service", "spotify"], "possible values"),
    ] {
        let run = world.run(&[&["previews"], arguments].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(says), "{run:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_sound_keeps_its_licence_and_whom_to_name() {
    let service = Service::start();
    let world = world(&service);
    let sound = json!({
        "id": 55, "name": "Rain, heavy.wav", "username": "ana", "duration": 12.5,
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "url": "https://freesound.org/people/ana/sounds/55/", "created": "2011-02-03T04:05:06",
        "previews": {"preview-hq-mp3": service.url("/2"), "preview-lq-ogg": "https://x.example/q"},
        "images": {"waveform_m": "https://pictures.example/w.png"},
    });
    service.set("/apiv2/search/text/", Does::Json(found_sounds(&[sound])));

    let said =
        world.json_lines(&["previews", "download", "55", "--service", "freesound", "--scan"]);

    assert_eq!(in_folder(&world), ["ana - Rain, heavy.wav [freesound 55].wav"]);
    let song = world.json(&["show", said[0]["song"].as_str().unwrap()]);
    let value = |field: &str| song["values"][field]["value"].clone();
    assert_eq!(value("extra.license"), "https://creativecommons.org/licenses/by/4.0/");
    let attribution = "\"Rain, heavy.wav\" by ana, https://freesound.org/people/ana/sounds/55/";
    assert_eq!(value("extra.attribution"), attribution);
    assert_eq!(value("artist"), "ana");
    assert_eq!(song["values"]["year"], Value::Null, "when it was sent is no year");
    let requests = service.wire.requests();
    assert_eq!(requests[0].header("authorization"), Some("Token hush"));
    assert!(requests[0].line().contains("filter=id%3A%2855%29"), "{}", requests[0].line());
    assert_eq!(requests[1].header("authorization"), None, "a file needs no key");
    assert!(requests.iter().all(|request| !request.line().contains("hush")));
}

#[test]
fn url_prints_the_preview_where_there_is_no_audio_to_give_out() {
    let service = Service::start();
    let world = world(&service);
    world.run(&["previews", "download", "101", "--scan"]).ok();
    let id = &world.ids()[0];

    let url = world.run(&["url", id]).ok();
    let document = world.json(&["url", id]);

    assert_eq!(url.stdout.trim(), service.url("/1.m4a"));
    assert!(url.stderr.contains("that of a preview"), "{url:?}");
    assert_eq!(
        document,
        json!({"id": id, "url": service.url("/1.m4a"), "expires_in": null, "is_preview": true})
    );
    world.run(&["edit", id, "--set", "extra.preview_url=javascript:alert(1)"]).ok();
    assert_eq!(world.run(&["url", id]).code, 2);
    // Where its owner says that it is goes before a preview.
    let mine = "https://music.example/my/101.flac";
    world.run(&["edit", id, "--set", "extra.preview_url=https://music.example/1.m4a"]).ok();
    world.run(&["edit", id, "--set", &format!("extra.audio_url={mine}")]).ok();
    assert_eq!(
        world.json(&["url", id]),
        json!({"id": id, "url": mine, "expires_in": null, "is_preview": false})
    );
    assert!(world.run(&["url", id]).ok().stderr.contains("`extra.audio_url`"));
    world.run(&["edit", id, "--set", "extra.audio_url=file:///etc/passwd"]).ok();
    assert_eq!(world.json(&["url", id])["is_preview"], true);
}
