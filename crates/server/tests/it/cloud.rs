//! The same over a library in Astra.

use std::sync::Arc;

use serde_json::{Value, json};
use songrec_core::{Job, Silent};
use songrec_emulator::Emulator;
use songrec_library::{
    Access, InitOptions, Library, ScanOptions, keys, scan,
    share::{Libraries, Verify, migrate, options},
};
use songrec_server::Options;

use crate::world::{config, serving, song};

#[tokio::test]
async fn a_library_in_the_cloud_is_served_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder().start().await.unwrap();
    let audio = folder.path().join("audio");
    std::fs::create_dir_all(&audio).unwrap();
    for (number, title) in ["Alder", "Birch", "Cedar"].iter().enumerate() {
        std::fs::write(audio.join(format!("{title}.wav")), song(number, title)).unwrap();
    }
    let flags = [
        (keys::STORAGE_BACKEND.setting(), "astra".to_owned(), "--storage-backend"),
        (keys::ASTRA_ENDPOINT.setting(), emulator.url().to_owned(), "a test"),
        (keys::ASTRA_TOKEN.setting(), emulator.token(), "a test"),
        (keys::LIBRARY.setting(), folder.path().join("library").display().to_string(), "--library"),
    ];
    let config = config(folder.path(), flags.to_vec());
    Library::init_astra(&config, false).await.unwrap();
    let library = Library::open_named(config.clone(), "astra", Access::Direct, Arc::new(Silent));
    let library = library.await.unwrap();
    let scanned = ScanOptions { paths: vec![audio], ..ScanOptions::default() };
    let report = scan(&library, &scanned, &Job::silent()).await.unwrap();
    assert_eq!(report.added, 3, "{report:?}");
    let world = serving(folder, library, Options::default()).await;

    assert_eq!(world.json("/api/v1/status").await["kind"], "astra");
    assert_eq!(world.json("/api/v1/songs?sort=title").await["songs"][0]["title"], "Alder");
    let id = world.id("Birch").await;
    let similar = world.json(&format!("/api/v1/songs/{id}/similar?k=2")).await;
    assert_eq!(similar["results"].as_array().unwrap().len(), 2);
    let audio = world.get(&format!("/api/v1/songs/{id}/audio")).header("range", "bytes=0-3");
    let audio = audio.send().await.unwrap();
    assert_eq!(audio.status(), 206, "from the file of this machine");
    assert_eq!(audio.bytes().await.unwrap(), &b"RIFF"[..]);
    let change = json!({"set": {"genre": "House"}});
    let path = world.url(&format!("/api/v1/songs/{id}"));
    let changed: Value =
        world.http.patch(path).json(&change).send().await.unwrap().json().await.unwrap();
    assert_eq!(changed["values"]["genre"]["value"], json!(["House"]));
    assert_eq!(world.json("/api/v1/songs?filter=genre:house").await["total"], 1);
    assert_eq!(world.json("/stats").await["total_samples"], 3);
    let job: Value =
        world.post("/api/v1/jobs/verify", &json!({})).send().await.unwrap().json().await.unwrap();
    let job = crate::every::over(&world, job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    emulator.shutdown().await;
}

#[tokio::test]
async fn two_libraries_are_synced_by_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder().start().await.unwrap();
    let root = folder.path().join("library");
    let flags = [
        (keys::ASTRA_ENDPOINT.setting(), emulator.url().to_owned(), "a test"),
        (keys::ASTRA_TOKEN.setting(), emulator.token(), "a test"),
        (keys::LIBRARY.setting(), root.display().to_string(), "--library"),
    ];
    let config = config(folder.path(), flags.to_vec());
    Library::init_astra(&config, false).await.unwrap();
    let silent = Arc::new(Silent);
    let made = Library::init(config.clone(), &root, InitOptions::default(), silent.clone()).await;
    let library = made.unwrap().0;
    let audio = folder.path().join("Alder.wav");
    std::fs::write(&audio, song(0, "Alder")).unwrap();
    let scanned = ScanOptions { paths: vec![audio], ..ScanOptions::default() };
    scan(&library, &scanned, &Job::silent()).await.unwrap();
    let world = serving(folder, library, Options::default()).await;

    let remotes = world.json("/api/v1/remotes").await;
    assert_eq!(remotes["remotes"][0]["name"], "astra", "{remotes}");
    let check = || async {
        let asked = world.post("/api/v1/jobs/check", &json!({"read_data": true}));
        let job: Value = asked.send().await.unwrap().json().await.unwrap();
        crate::every::over(&world, job["id"].as_str().unwrap()).await["result"].take()
    };
    let before = check().await;
    assert_eq!(before["differences"][0]["title"], "Alder", "{before}");
    let plan = world.post("/api/v1/sync/plan", &json!({})).send().await.unwrap();
    assert_eq!(plan.status(), 200);
    let plan: Value = plan.json().await.unwrap();
    assert_eq!(plan["counts"]["right"]["add"], 1, "{plan}");
    let job: Value =
        world.post("/api/v1/jobs/sync", &json!({})).send().await.unwrap().json().await.unwrap();
    let job = crate::every::over(&world, job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["result"]["counts"]["right"]["add"], 1, "{job}");
    let after = check().await;
    assert_eq!((&after["differences"], &after["compared"]), (&json!([]), &json!(1)), "{after}");

    let libraries = Libraries::open_or_make(
        config.clone(),
        "local".to_owned(),
        "astra".to_owned(),
        InitOptions::default(),
        silent,
    );
    let libraries = libraries.await.unwrap();
    let options = options(&config).unwrap();
    let again = migrate(&libraries, &options, Verify::None, &Job::silent()).await.unwrap();
    assert_eq!((again.copied, again.already), (0, 1), "it was there");
    emulator.shutdown().await;
}
