//! What commands about models, the cloud and other machines print.

use std::fs;

use serde_json::json;
use songrec_testkit::s3::S3Server;

use super::{
    Shapes,
    library::{document, id_of, write},
};
use crate::{
    ear::{Server, configure, tiny_model},
    remote::Database,
    syncing::{another, with_cloud},
    world::{World, examples, tone},
};

/// Models in folders and on servers.
pub(super) fn models(shapes: &Shapes) {
    let world = World::with(&["kick", "pad"]);
    let server = Server::start();
    let far = format!(
        "[models.far]\nkind = \"http\"\nform = \"oip\"\nurl = \"{}\"\ndimension = 3\n\
         sample_rate = 8000\nwindow = 0.25\n",
        server.url()
    );
    let more = format!("hop = 0.125\n{far}");
    configure(&world, &server, &more);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["model", "verify"]);
    let files = tiny_model("clap-tiny@1");
    let files = files.to_str().unwrap();
    run(&["model", "add", "clap-tiny", files]);
    run(&["model", "add", "clap-tiny", files]);
    run(&["model", "list"]);
    for name in ["dsp45@1", "clap-tiny", "ear", "far"] {
        run(&["model", "info", name]);
    }
    run(&["model", "bench", "clap-tiny", "--seconds", "1"]);
    run(&["model", "bench", "ear", "--seconds", "1"]);
    run(&["model", "verify"]);

    write(&world, "music/tone.wav", &tone(300.0, 1.0));
    world.run(&["scan", "music"]).ok();
    run(&["scan", "--missing", "--model", "ear", "--model", "dsp45", "--segments"]);
    run(&["scan", "--missing", "--model", "clap-tiny", "--model", "dsp45"]);
    let id = id_of(&world, "tone");
    run(&["similar", &id, "--passages", "--model", "ear"]);
    run(&["similar", &id, "--passages", "--model", "ear", "-k", "1"]);
    run(&["similar", &format!("{id}@0-0.25"), "--model", "ear", "-k", "50"]);
    run(&["similar", &id, "--blend", "ear=0.5,dsp45=0.5"]);
    run(&["search", "--text", "warm pad"]);
    run(&["embed", "music/tone.wav", "--model", "ear", "--windows"]);
    run(&["embed", "music/tone.wav", "--model", "ear", "--windows", "--npy", "out"]);
    run(&["embed", "music/tone.wav@0-0.5"]);
    server.stop();
    write(&world, "music/later.wav", &tone(500.0, 1.0));
    run(&["scan", "music", "--model", "ear", "--model", "dsp45"]);

    run(&["stats"]);
    shapes.answer(&world, &["model", "drop", "clap-tiny"], "n");
    run(&["model", "drop", "clap-tiny", &id, "--yes"]);
    run(&["model", "drop", "clap-tiny", "--yes"]);
    run(&["model", "drop", "nothing"]);
    shapes.answer(&world, &["model", "remove", "clap-tiny"], "n");
    let folder = world.path("data/songrec/models/clap-tiny@1");
    fs::write(folder.join("clap_text.onnx"), "damaged").unwrap();
    run(&["model", "verify", "clap-tiny"]);
    run(&["model", "remove", "clap-tiny", "--yes"]);
    write(&world, "data/songrec/models/odd@1/model.toml", b"name = 5");
    run(&["model", "verify"]);
}

/// A library in the cloud.
pub(super) fn cloud(shapes: &Shapes) {
    let world = World::bare();
    let (database, bucket) = (Database::start(), S3Server::start());
    database.serve_bucket(&world, &bucket);
    let run = |arguments: &[&str]| shapes.astra(&world, arguments);
    run(&["init-astra", "--check"]);
    database.command("", &json!({"createCollection": {"name": "songs"}}));
    run(&["init-astra", "--check"]);
    database.command("", &json!({"deleteCollection": {"name": "songs"}}));
    run(&["init-astra"]);
    run(&["init-astra"]);
    for kind in ["kick", "snare"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    run(&["scan", "music"]);
    let summaries = run(&["ls"]);
    let id = summaries[0]["id"].as_str().unwrap();
    run(&["show", id]);
    run(&["edit", id, "--set", "title=Mine"]);
    run(&["similar", id]);
    run(&["stats"]);
    run(&["url", id]);
    run(&["get", id, "got.wav"]);
    run(&["doctor"]);
    run(&["config", "show"]);
    run(&["machines"]);
    run(&["machines", "list"]);
    shapes.answer(&world, &["gc", "--storage-backend", "astra"], "n");
    run(&["gc", "--yes"]);
    fs::remove_dir_all(world.path("music")).unwrap();
    run(&["get", id, "again.wav"]);
    run(&["cache", "info"]);
    run(&["rm", id]);
}

/// One library in several places.
pub(super) fn several(shapes: &Shapes) {
    let (one, database) = with_cloud(&["kick", "snare", "bass", "pad"]);
    let on_one = |arguments: &[&str]| shapes.run(&one, arguments);
    on_one(&["migrate", "local", "astra", "--dry-run"]);
    on_one(&["migrate", "local", "./disk", "--verify", "none"]);
    on_one(&["playlist", "new", "Best"]);
    let part = format!("{}@0-0.1", one.ids()[0]);
    let pattern = on_one(&["patterns", "add", &part, "--type", "x"]);
    let pattern = pattern[0]["pattern"]["id"].as_str().unwrap().to_owned();
    on_one(&["status"]);
    on_one(&["sync", "--dry-run"]);
    on_one(&["sync"]);
    let two = another(&one, &database);
    let on_two = |arguments: &[&str]| shapes.run(&two, arguments);
    on_two(&["clone", "astra", "data/songrec/library"]);
    on_two(&["machines"]);
    let ids = one.ids();
    let (a, b, c) = (ids[0].as_str(), ids[1].as_str(), ids[2].as_str());
    one.run(&["edit", a, "--set", "title=One", "--set", "genre=a"]).ok();
    two.run(&["edit", a, "--set", "title=Two", "--set", "genre=b"]).ok();
    one.run(&["rm", b]).ok();
    two.run(&["edit", b, "--set", "title=Kept"]).ok();
    two.run(&["rm", c]).ok();
    on_one(&["playlist", "add", "Best", a]);
    on_two(&["playlist", "edit", "Best", "--name", "Best of two"]);
    on_one(&["patterns", "edit", &pattern, "--type", "here"]);
    on_two(&["patterns", "edit", &pattern, "--type", "there"]);
    on_one(&["sync"]);
    on_two(&["status"]);
    on_two(&["sync"]);
    on_one(&["check", "local", "astra"]);
    on_one(&["sync"]);
    on_one(&["playlist", "ls"]);
    on_one(&["patterns", "show", &pattern]);
    on_one(&["patterns", "edit", &pattern, "--keep-features"]);
    on_one(&["conflicts"]);
    on_one(&["conflicts", "show", a]);
    on_one(&["conflicts", "resolve", a, "title"]);
    on_one(&["sync", "--direction", "pull"]);
    on_one(&["sync"]);
    on_one(&["migrate", "local", "./disk", "--no-audio"]);
    on_one(&["check", "local", "./disk", "--read-data"]);
    on_one(&["sync", "local", "./disk"]);
    // What both have scanned, and each at another place.
    write(&one, "music/of one.wav", &tone(700.0, 0.5));
    write(&two, "music/of two.wav", &tone(700.0, 0.5));
    one.run(&["scan", "music"]).ok();
    two.run(&["scan", "music"]).ok();
    on_one(&["sync"]);
    on_two(&["sync"]);
    // An object that is lost.
    let last = ids[3].as_str();
    let vector = format!("data/songrec/library/embeddings/dsp45@1/{}/{last}.npy", &last[..2]);
    fs::remove_file(one.path(&vector)).unwrap();
    on_one(&["migrate", "local", "./lacking"]);
    on_one(&["sync", "local", "./disk"]);
    // One that a side cannot read.
    fs::write(document(&one, a), "{\"id\":").unwrap();
    two.run(&["edit", a, "--set", "comment=x"]).ok();
    two.run(&["sync"]).ok();
    on_one(&["status"]);
    on_one(&["sync"]);
    on_one(&["migrate", "local", "./another"]);
    let machines = on_one(&["machines"]);
    on_one(&["machines", "retire", machines[0]["id"].as_str().unwrap()]);
    on_one(&["machines", "retire", "nobody"]);
    on_one(&["sync", "local", "local"]);
}
