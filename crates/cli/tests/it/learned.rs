//! Learned models embed, find and are asked alike wherever a library is kept,
//! and in the cloud with few requests, however many songs there are.

use std::{fs, time::Duration};

use serde_json::Value;
use songrec_emulator::{Fault, Rule};

use crate::{
    cloud::comparable,
    ear::{Server, configure, tiny_model, write_config},
    remote::{Database, astra, with_astra},
    world::{Run, World, tone, wav},
};

/// A machine with a library here and one in the cloud, both of the same music.
struct Both {
    world: World,
    database: Database,
    server: Server,
}

const PLACES: [&str; 2] = ["local", "astra"];

impl Both {
    /// With so many tones, and a silence; nothing is scanned yet.
    fn with_tones(count: u32) -> Self {
        let (world, database, server) = (World::new(), Database::start(), Server::start());
        database.serve(&world, &world.path("audio"));
        configure(&world, &server, "hop = 0.125\n");
        for n in 0..count {
            let seconds = 0.3 + 0.1 * f64::from(n % 3);
            let file = world.path(&format!("music/tone {n:03}.wav"));
            fs::write(file, tone(100.0 + 37.0 * f64::from(n), seconds)).unwrap();
        }
        fs::write(world.path("music/silence.wav"), wav(8000, std::iter::repeat_n(0, 4000)))
            .unwrap();
        world.run(&with_astra(&["init-astra"])).ok();
        Self { world, database, server }
    }

    fn run(&self, place: &str, arguments: &[&str]) -> Run {
        self.world.run(&[&["--storage-backend", place], arguments].concat())
    }

    fn lines(&self, place: &str, arguments: &[&str]) -> Vec<Value> {
        self.world.json_lines(&[&["--storage-backend", place], arguments].concat())
    }

    /// What a scan of either library says at its end.
    fn scan(&self, place: &str, arguments: &[&str]) -> Value {
        self.lines(place, &[&["scan"], arguments].concat()).pop().unwrap()
    }

    /// How many requests a command costs in the cloud.
    fn cost(&self, arguments: &[&str]) -> usize {
        self.database.requests().reset();
        astra(&self.world, arguments).ok();
        usize::try_from(self.database.requests().total()).unwrap()
    }

    fn id_of(&self, title: &str) -> String {
        let summaries = self.lines("local", &["ls"]);
        let summary = summaries.iter().find(|summary| summary["title"] == title).unwrap();
        summary["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn what_learned_models_find_is_the_same_here_and_in_the_cloud() {
    let both = Both::with_tones(9);
    let clap = tiny_model("clap-tiny@1");
    both.world.run(&["model", "add", "clap-tiny", clap.to_str().unwrap()]).ok();
    let scan = ["music", "--model", "ear", "--model", "dsp45", "--segments"];
    let fill = ["--model", "ear", "--model", "clap-tiny", "--missing"];
    for place in PLACES {
        let first = both.scan(place, &scan);
        let filled = both.scan(place, &fill);
        // Nobody embeds anything in silence.
        assert_eq!((&first["added"], &filled["updated"]), (&10.into(), &9.into()), "{place}");
    }
    let [a, b, c] = ["tone 001", "tone 004", "tone 008"].map(|title| both.id_of(title));
    let part = format!("{a}@0-0.25");
    let questions: Vec<Vec<&str>> = vec![
        vec!["similar", &a, "--model", "ear"],
        vec!["similar", &a, "--blend", "ear=0.6,dsp45=0.4", "--explain"],
        vec!["similar", &a, "--blend", "dsp45=0.2,clap-tiny=3,ear=1", "-k", "2", "--offset", "1"],
        vec!["similar", &a, &b, "--minus", &c, "--model", "ear"],
        vec!["similar", &a, &b, "--minus", &c, "--weights", "1,2,0.1", "--blend", "ear,dsp45"],
        vec!["similar", &a, "--exclude", &b, "--exclude", &c, "--model", "clap-tiny"],
        vec!["similar", &part, "--model", "ear", "-k", "4"],
        vec!["similar", &part, "--model", "dsp45"],
        vec!["similar", &part, "--model", "ear", "--filter", "duration:<0.45", "-k", "3"],
        vec!["similar", &a, "--passages", "--model", "ear", "--threshold", "0.9"],
        vec!["search", "--text", "warm analogue pad"],
        vec![
            "search",
            "tone",
            "--text",
            "pad",
            "--like",
            &a,
            "--not",
            "vocals",
            "--filter",
            "duration:<0.45",
        ],
        vec!["search", "--like", &a, "--like", &b],
    ];
    for question in questions {
        let [local, cloud] = PLACES.map(|place| -> Vec<Value> {
            let mut lines: Vec<Value> =
                both.lines(place, &question).into_iter().map(comparable).collect();
            // Far away nobody counts what each model embedded, so the reason is another.
            for note in lines[0]["notes"].as_array_mut().into_iter().flatten() {
                if let Some((choice, _)) = note.as_str().unwrap().split_once(", because") {
                    *note = choice.into();
                }
            }
            lines
        });

        assert!(
            local[0]["results"].as_array().is_some_and(|some| !some.is_empty()),
            "{question:?}"
        );
        assert_eq!(cloud, local, "{question:?}");
    }
}

#[test]
fn what_learned_models_are_asked_costs_the_same_in_a_small_and_a_large_library() {
    let costs: Vec<Vec<usize>> = [8, 130]
        .map(|count| {
            let both = Both::with_tones(count);
            let clap = tiny_model("clap-tiny@1");
            both.world.run(&["model", "add", "clap-tiny", clap.to_str().unwrap()]).ok();
            both.scan("local", &["music", "--model", "dsp45"]);
            both.scan("astra", &["music", "--model", "ear", "--model", "dsp45", "--segments"]);
            both.scan("astra", &["--model", "clap-tiny", "--missing"]);
            let [a, b, c] = ["tone 001", "tone 004", "tone 006"].map(|title| both.id_of(title));
            let part = format!("{a}@0-0.25");
            let questions: [&[&str]; 8] = [
                &["similar", &a, "--model", "ear", "-k", "3"],
                &["similar", &a, "--blend", "ear=0.6,dsp45=0.4", "-k", "3", "--explain"],
                &["similar", &a, &b, "--minus", &c, "--model", "ear", "-k", "3"],
                &["similar", &part, "--model", "ear", "-k", "3"],
                &["similar", &part, "--model", "ear", "--filter", "title:tone 003", "-k", "3"],
                &["search", "--like", &a, "--like", &b, "--limit", "3"],
                &["search", "--text", "warm analogue pad", "--limit", "3"],
                &["scan", "music", "--model", "ear", "--model", "dsp45", "--segments"],
            ];
            // The first of each fills the cache.
            questions.map(|question| {
                both.cost(question);
                both.cost(question)
            })
        })
        .map(Vec::from)
        .into();

    assert_eq!(costs[0], costs[1], "requests in a small and in a large library");
    assert!(costs[1].iter().all(|cost| *cost <= 12), "{costs:?}");
}

#[test]
fn passages_of_songs_that_do_not_pass_are_none() {
    let both = Both::with_tones(2);
    for place in PLACES {
        both.scan(place, &["music", "--model", "ear", "--model", "dsp45", "--segments"]);
        let part = format!("{}@0-0.25", both.id_of("tone 001"));
        let none = ["similar", &part, "--model", "ear", "--filter", "genre:polka"];

        let run = both.run(place, &none);

        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.contains("only 0 found that pass"), "{run:?}");
    }
}

#[test]
fn songs_that_are_named_by_their_ids_are_asked_for_together() {
    let both = Both::with_tones(12);
    both.scan("astra", &["music", "--model", "dsp45"]);
    let summaries = both.lines("astra", &["ls"]);
    let ids: Vec<&str> = summaries.iter().map(|summary| summary["id"].as_str().unwrap()).collect();
    let beginnings: Vec<&str> = ids.iter().map(|id| &id[..8]).collect();

    let whole = both.cost(&[&["show"][..], &ids].concat());
    let begun = both.cost(&[&["show"][..], &beginnings].concat());

    assert_eq!(ids.len(), 13);
    assert!(whole <= 3, "{whole} requests");
    // Two to look up each beginning; the songs are read together.
    assert!(begun <= whole + 2 * ids.len(), "{begun} requests");
    let shown = both.lines("astra", &[&["show"][..], &beginnings].concat());
    let shown: Vec<&str> = shown.iter().map(|song| song["id"].as_str().unwrap()).collect();
    assert_eq!(shown, ids, "in the order in which they were named");
}

#[test]
fn a_song_in_which_a_model_hears_nothing_is_heard_once() {
    let both = Both::with_tones(3);
    for place in PLACES {
        let models = ["--model", "ear", "--model", "dsp45"];
        let first = both.scan(place, &[&["music"][..], &models].concat());
        assert_eq!((&first["added"], &first["unheard"]), (&4.into(), &0.into()), "{first}");
        assert!(both.server.embedded() > 4);

        let again = both.scan(place, &[&["music"][..], &models].concat());
        let missing = both.scan(place, &[&["--missing"][..], &models].concat());
        let with_segments = both.scan(place, &[&["music", "--segments"][..], &models].concat());
        let embedded_for_segments = both.server.embedded();
        let settled = both.scan(place, &[&["music", "--segments"][..], &models].concat());

        assert_eq!((&again["unchanged"], &again["updated"]), (&4.into(), &0.into()), "{again}");
        assert_eq!(missing["updated"], 0, "{missing}");
        assert_eq!(with_segments["failed"], 0, "{with_segments}");
        assert!(embedded_for_segments > 4, "their windows were not kept before");
        assert_eq!((&settled["unchanged"], both.server.embedded()), (&4.into(), 0), "{settled}");
        both.scan(place, &[&["music", "--again"][..], &models].concat());
        assert!(both.server.embedded() > 0, "whoever asks for it again has it embedded again");
    }
}

// As when a process ends between the segments and their song, whose change tells
// of them.
#[test]
fn segments_whose_scan_was_cut_off_are_synced() {
    let both = Both::with_tones(3);
    let models = ["music", "--model", "ear", "--model", "dsp45"];
    let passages = |place| {
        let id = both.id_of("tone 001");
        let near = ["similar", &id, "--passages", "--model", "ear", "-k", "9"];
        both.lines(place, &near)[0]["results"].as_array().unwrap().len()
    };
    both.scan("local", &models);
    both.world.run(&["sync", "local", "astra"]).ok();
    both.scan("astra", &models);
    let scan = with_astra(&["scan", "music", "--model", "ear", "--model", "dsp45", "--segments"]);
    let refusal = Rule::fault(Fault::status(403)).on("findOneAndUpdate").in_collection("songs");
    both.database.faults().add(refusal);
    let cut_off = both.world.run(&scan);
    assert_eq!(cut_off.code, 6, "{cut_off:?}");
    both.database.faults().clear();

    both.world.run(&scan).ok();
    both.world.run(&["sync", "local", "astra"]).ok();

    let [here, there] = PLACES.map(passages);
    assert!(there > 0);
    assert_eq!(here, there);
    let changed = both.world.run(&["status", "local", "astra"]).ok();
    both.world.run(&scan).ok();
    assert_eq!(both.world.run(&["status", "local", "astra"]).ok().stdout, changed.stdout);
}

#[test]
fn a_machine_that_knows_nothing_asks_of_many_songs_at_once_whether_their_segments_are_kept() {
    let both = Both::with_tones(100);
    let scan = ["music", "--model", "ear", "--model", "dsp45", "--segments"];
    both.scan("astra", &scan);
    both.server.embedded();
    fs::remove_dir_all(both.world.path("state")).unwrap();

    both.database.requests().reset();
    let lost = both.scan("astra", &scan);
    let requests = both.database.requests().total();

    assert_eq!((&lost["unchanged"], &lost["added"]), (&101.into(), &0.into()), "{lost}");
    // The silence alone has no first window.
    assert!(both.server.embedded() <= 4, "what is kept is not embedded again");
    assert!(requests < 101, "{:?}", both.database.requests().counts());
}

#[test]
fn filling_in_asks_only_of_what_is_not_known() {
    let both = Both::with_tones(60);
    both.scan("astra", &["music", "--model", "dsp45"]);
    let fill = ["scan", "--model", "ear", "--model", "dsp45", "--missing"];
    let planned = both.scan("astra", &[&fill[1..], &["--dry-run"]].concat());
    assert_eq!((&planned["updated"], both.server.embedded()), (&61.into(), 0), "{planned}");
    let filled = both.scan("astra", &fill[1..]);
    assert_eq!(filled["updated"], 60, "{filled}");
    both.server.embedded();

    let cost = both.cost(&fill);

    assert_eq!(both.server.embedded(), 0);
    // Two pages of what songs name, and two of what is there for each model.
    assert!(cost <= 10, "{:?}", both.database.requests().counts());
}

#[test]
fn vectors_of_another_dimension_or_revision_are_never_mixed_in() {
    for place in PLACES {
        let both = Both::with_tones(3);
        let (world, server) = (&both.world, &both.server);
        both.scan(place, &["music", "--model", "ear", "--model", "dsp45"]);
        let id = both.lines(place, &["ls", "tone"])[0]["id"].as_str().unwrap().to_owned();
        let before = both.lines(place, &["ls", "--sort", "id"]);
        fs::write(world.path("outside.wav"), tone(333.0, 0.5)).unwrap();
        fs::write(world.path("music/new.wav"), tone(777.0, 0.5)).unwrap();
        let configured = |from: &str, to: &str| {
            configure(world, server, "");
            let path = world.path("config/songrec/config.toml");
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from));
            write_config(world, &text.replace(from, to));
        };

        // The configuration says another dimension of the same revision.
        configured("dimension = 3", "dimension = 4");
        let room = both.run(place, &["scan", "music", "--model", "ear"]);
        let doctor = both.run(place, &["doctor"]);
        assert_eq!(room.code, 2, "{room:?}");
        for named in ["ear@1", "3", "4"] {
            assert!(room.stderr.contains(named), "{named}: {room:?}");
        }
        assert_eq!(doctor.code, 7, "{doctor:?}");
        assert!(doctor.stdout.contains("ear@1"), "{doctor:?}");
        assert_eq!(both.lines(place, &["ls", "--sort", "id"]), before, "nothing was stored");

        // The server has another model than the configuration says.
        configured("dimension = 3", "dimension = 5\nrevision = \"5\"");
        let other = both.run(place, &["scan", "music", "--model", "ear", "--model", "dsp45"]);
        assert_eq!(other.code, 3, "{other:?}");
        assert!(
            other.stderr.contains("ear@5") && other.stderr.contains("was not embedded"),
            "{other:?}"
        );
        let stats = both.lines(place, &["stats"]).remove(0);
        assert_eq!(stats["total_songs"], 5, "{stats}");
        let models: Vec<&Value> =
            stats["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
        assert!(!models.contains(&&"ear@5".into()), "there is no room for what was not embedded");

        // Another revision embeds here than the one that embedded the library.
        configured("dimension = 3", "dimension = 3\nrevision = \"2\"");
        let outside = both.run(place, &["similar", "outside.wav", "--model", "ear@1"]);
        let absent = both.run(place, &["similar", &id, "--model", "ear@2"]);
        assert_eq!(outside.code, 2, "{outside:?}");
        for named in ["ear@1", "ear@2", "cannot be compared"] {
            assert!(outside.stderr.contains(named), "{named}: {outside:?}");
        }
        assert_eq!(absent.code, 4, "{absent:?}");
        both.scan(place, &["--model", "ear", "--model", "dsp45", "--missing"]);
        let which = both.run(place, &["similar", &id, "--model", "ear"]);
        assert_eq!(which.code, 2, "{which:?}");
        assert!(which.stderr.contains("ear@1, ear@2"), "{which:?}");
        let own = both.lines(place, &["similar", &id, "--model", "ear@2"]).remove(0);
        assert_eq!(own["model"], "ear@2");
    }
}

#[test]
fn a_model_whose_file_was_replaced_hears_and_reads_nothing() {
    for place in PLACES {
        let both = Both::with_tones(2);
        let clap = tiny_model("clap-tiny@1");
        both.world.run(&["model", "add", "clap-tiny", clap.to_str().unwrap()]).ok();
        both.scan(place, &["music", "--model", "clap-tiny", "--model", "dsp45"]);
        let name = both.lines(place, &["model", "info", "clap-tiny"])[0]["name"].clone();
        let name = name.as_str().unwrap();
        let folder = both.world.path("data/songrec/models").join(name);
        fs::write(both.world.path("music/new.wav"), tone(777.0, 0.5)).unwrap();
        for file in ["clap_audio.onnx", "clap_text.onnx"] {
            let path = folder.join(file);
            let whole = fs::read(&path).unwrap();
            let mut other = whole.clone();
            *other.last_mut().unwrap() ^= 1;
            fs::write(&path, other).unwrap();

            let runs = match file {
                "clap_audio.onnx" => vec![
                    both.run(place, &["scan", "music", "--model", "clap-tiny"]),
                    both.run(place, &["embed", "music/new.wav", "--model", "clap-tiny"]),
                    both.run(place, &["similar", "music/new.wav", "--model", "clap-tiny"]),
                ],
                _ => vec![both.run(place, &["search", "--text", "pad", "--model", "clap-tiny"])],
            };

            for run in runs {
                assert_eq!(run.code, 7, "{run:?}");
                assert!(run.stderr.contains(name) && run.stderr.contains(file), "{run:?}");
                assert!(run.stderr.contains("SHA-256"), "{run:?}");
            }
            fs::write(&path, whole).unwrap();
        }
        assert_eq!(both.lines(place, &["ls"]).len(), 3, "nothing was stored");
        both.run(place, &["scan", "music", "--model", "clap-tiny", "--model", "dsp45"]).ok();
    }
}

#[test]
fn a_slow_and_a_dead_server_are_told_from_a_good_one() {
    let both = Both::with_tones(1);
    let world = &both.world;
    let check = |run: &Run| -> String {
        let line = run.stdout.lines().find(|line| line.contains("server: ear@1")).unwrap();
        line.to_owned()
    };

    let good = world.run(&["doctor"]);
    configure(world, &both.server, "timeout = 0.2\n");
    both.server.take_time(700);
    let slow = world.run(&["doctor"]);
    let began = std::time::Instant::now();
    let bench = world.run(&["model", "bench", "ear", "--seconds", "2"]);
    let took = began.elapsed();
    both.server.take_time(0);
    let figures = world.json(&["model", "bench", "ear", "--seconds", "2"]);
    both.server.stop();
    let dead = world.run(&["doctor"]);

    assert!(check(&good).starts_with("ok "), "{good:?}");
    assert!(check(&good).contains("requests 1, failed 0, breaker closed"), "{good:?}");
    assert_eq!(slow.code, 5, "{slow:?}");
    assert!(check(&slow).contains("no answer within 200ms"), "{slow:?}");
    assert_eq!(bench.code, 5, "{bench:?}");
    assert!(took < Duration::from_secs(20), "it is given up: {took:?}");
    assert_eq!(figures["server"]["failures"], serde_json::json!({}), "{figures}");
    assert!(figures["server"]["mean_latency"].as_f64().unwrap() < 0.2, "{figures}");
    assert_eq!(dead.code, 5, "{dead:?}");
    assert!(check(&dead).contains("nobody answers"), "{dead:?}");
}
