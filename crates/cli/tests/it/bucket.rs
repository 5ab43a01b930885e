//! Audio in an S3 bucket, in whole commands.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};

use songrec_testkit::s3::{Fault, Operation, Rule, S3Server};

use crate::{
    remote::{Database, astra, bucket_env, with_astra},
    world::{World, examples},
};

/// A library in the cloud with these examples, whose files are gone from the
/// machine that scanned them.
struct Cloud {
    world: World,
    database: Database,
    bucket: S3Server,
    songs: Vec<Stored>,
}

struct Stored {
    id: String,
    bytes: Vec<u8>,
}

impl Cloud {
    fn with(kinds: &[&str]) -> Self {
        let world = World::bare();
        let (database, bucket) = (Database::start(), S3Server::start());
        database.serve_bucket(&world, &bucket);
        astra(&world, &["init-astra"]).ok();
        for kind in kinds {
            world.add(&examples(kind)[0], &format!("{kind}.wav"));
        }
        astra(&world, &["scan", "music"]).ok();
        let songs = kinds.iter().map(|kind| {
            let path = format!("music/{kind}.wav");
            let song = world.json(&with_astra(&["show", &path]));
            Stored {
                id: song["id"].as_str().unwrap().to_owned(),
                bytes: fs::read(world.path(&path)).unwrap(),
            }
        });
        let songs = songs.collect();
        fs::remove_dir_all(world.path("music")).unwrap();
        Self { world, database, bucket, songs }
    }

    fn get(&self, song: &Stored, target: &str) -> Vec<u8> {
        astra(&self.world, &["get", &song.id, target]).ok();
        fs::read(self.world.path(target)).unwrap()
    }

    fn cached(&self) -> u64 {
        self.world.json(&with_astra(&["cache", "info"]))["blobs"]["files"].as_u64().unwrap()
    }

    fn gets(&self) -> u64 {
        self.bucket.counts().get(&Operation::Get).copied().unwrap_or(0)
    }
}

#[test]
fn audio_goes_to_the_bucket_and_comes_back_bit_for_bit() {
    let cloud = Cloud::with(&["kick", "pad"]);

    for (n, song) in cloud.songs.iter().enumerate() {
        assert_eq!(cloud.get(song, &format!("back {n}")), song.bytes);
    }

    assert_eq!(cloud.cached(), 2);
    cloud.bucket.forget_requests();
    assert_eq!(cloud.get(&cloud.songs[0], "again"), cloud.songs[0].bytes);
    assert_eq!(cloud.gets(), 0, "what is in the cache is not asked for");
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let cloud = Cloud::with(&["pad"]);
    cloud.bucket.forget_requests();
    cloud.bucket.fail(Rule::fault(Fault::CutBody).on(Operation::Get).next(2));

    let back = cloud.get(&cloud.songs[0], "back.wav");

    assert_eq!(back, cloud.songs[0].bytes);
    assert_eq!(cloud.gets(), 3);
}

#[test]
fn an_address_is_one_that_anybody_can_fetch() {
    let cloud = Cloud::with(&["kick"]);

    let url = astra(&cloud.world, &["url", &cloud.songs[0].id, "--expires-in", "60"]).ok();

    assert_eq!(fetch(url.stdout.trim()), cloud.songs[0].bytes);
    assert!(!url.stdout.contains(S3Server::SECRET_KEY), "{url:?}");
}

// What is at an address, by HTTP/1.1 and no client of ours.
fn fetch(url: &str) -> Vec<u8> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    answer.split_off(end + 4)
}

#[test]
fn the_cache_is_emptied_and_filled_again() {
    let cloud = Cloud::with(&["kick", "snare", "pad"]);
    for (n, song) in cloud.songs.iter().enumerate() {
        cloud.get(song, &format!("{n}"));
    }
    assert_eq!(cloud.cached(), 3);

    cloud.world.run(&["cache", "prune", "1"]).ok();
    assert_eq!(cloud.cached(), 0);
    assert_eq!(cloud.get(&cloud.songs[1], "pruned"), cloud.songs[1].bytes);
    cloud.world.run(&["cache", "clear"]).ok();
    assert_eq!(cloud.cached(), 0);

    assert_eq!(cloud.get(&cloud.songs[2], "cleared"), cloud.songs[2].bytes);
}

#[test]
fn a_damaged_copy_in_the_cache_is_fetched_again() {
    let cloud = Cloud::with(&["kick"]);
    let song = &cloud.songs[0];
    cloud.get(song, "first");
    let mut spoiled = 0;
    for path in files_below(&cloud.world.path("cache")) {
        let mut bytes = fs::read(&path).unwrap();
        if bytes == song.bytes {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            spoiled += 1;
        }
    }
    assert_eq!(spoiled, 1, "the copy is a plain file");
    cloud.bucket.forget_requests();

    assert_eq!(cloud.get(song, "second"), song.bytes);
    assert_eq!(cloud.gets(), 1);
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn the_cache_is_never_larger_than_its_limit_and_one_file() {
    let kinds = ["kick", "snare", "pad", "bass", "bell", "voice"];
    let cloud = Cloud::with(&kinds);
    let largest = cloud.songs.iter().map(|song| song.bytes.len() as u64).max().unwrap();
    let limit = largest * 3 / 2;
    for round in 0..2 {
        for (n, song) in cloud.songs.iter().enumerate() {
            let target = format!("{round} {n}");
            let output = cloud
                .world
                .command(&with_astra(&["get", &song.id, &target]))
                .env("SONGREC_CACHE_LIMIT", limit.to_string())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            assert_eq!(fs::read(cloud.world.path(&target)).unwrap(), song.bytes);
            let kept: u64 = files_below(&cloud.world.path("cache"))
                .iter()
                .filter(|path| path.to_string_lossy().contains("blob"))
                .map(|path| path.metadata().unwrap().len())
                .sum();
            assert!(kept <= limit + largest, "{kept} bytes with a limit of {limit}");
        }
    }
}

#[test]
fn a_cache_outlives_any_kill() {
    let cloud = Cloud::with(&["pad", "voice"]);
    cloud.bucket.fail(Rule::delay(Duration::from_millis(20)).on(Operation::Get));
    for round in 0..24u32 {
        let song = &cloud.songs[round as usize % 2];
        let mut child = cloud
            .world
            .command(&with_astra(&["get", &song.id, &format!("killed {round}")]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments spread over the run by the golden ratio.
        let share = (f64::from(round) * 0.618_033_988_75).fract();
        std::thread::sleep(Duration::from_secs_f64(0.4 * share));
        let _ = child.kill();
        child.wait().unwrap();
        if round % 8 == 7 {
            cloud.world.run(&["cache", "clear"]).ok();
        }
    }

    for (n, song) in cloud.songs.iter().enumerate() {
        assert_eq!(cloud.get(song, &format!("back {n}")), song.bytes);
    }
    assert_eq!(cloud.cached(), 2);
    for round in 0..24 {
        // What was killed left nothing, or all of it.
        if let Ok(bytes) = fs::read(cloud.world.path(&format!("killed {round}"))) {
            assert_eq!(bytes, cloud.songs[round % 2].bytes);
        }
    }
}

#[test]
fn eight_processes_share_a_cache() {
    let cloud = Cloud::with(&["kick", "pad"]);
    let mut children = Vec::new();
    for n in 0..8 {
        let song = &cloud.songs[n % 2];
        let target = format!("shared {n}");
        let child = cloud.world.command(&with_astra(&["get", &song.id, &target])).spawn();
        children.push((child.unwrap(), song, target));
    }
    for (mut child, song, target) in children {
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read(cloud.world.path(&target)).unwrap(), song.bytes);
    }

    assert_eq!(cloud.cached(), 2);
}

#[test]
fn a_wrong_key_and_a_bucket_that_is_not_there_are_named() {
    let cloud = Cloud::with(&["kick"]);
    let id = &cloud.songs[0].id;
    let (world, database, bucket) = (&cloud.world, &cloud.database, &cloud.bucket);

    database.serve_with(world, &bucket_env(bucket, "not-the-secret"));
    let wrong_key = astra(world, &["get", id]);
    let doctor = astra(world, &["doctor"]);
    let env = bucket_env(bucket, S3Server::SECRET_KEY).replace(S3Server::BUCKET, "nowhere");
    database.serve_with(world, &env);
    let no_bucket = astra(world, &["get", id]);
    world.add(&examples("bass")[0], "bass.wav");
    let no_room = astra(world, &["scan", "music"]);

    assert_eq!(wrong_key.code, 6, "{wrong_key:?}");
    assert!(wrong_key.stderr.contains("access key, its secret"), "{wrong_key:?}");
    assert_eq!(doctor.code, 6, "{doctor:?}");
    assert!(doctor.stdout.contains("access key, its secret"), "{doctor:?}");
    for run in [&no_bucket, &no_room] {
        let is_named =
            ["there is no such bucket", "NoSuchBucket"].map(|text| run.stderr.contains(text));
        assert!(run.code != 0 && is_named.contains(&true), "{run:?}");
        assert!(run.stderr.contains("s3://nowhere"), "{run:?}");
    }
    for run in [wrong_key, doctor, no_bucket, no_room] {
        assert!(!run.stderr.contains("not-the-secret"), "{run:?}");
    }
    database.serve_bucket(world, bucket);
    astra(world, &["doctor"]).ok();
}
