#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use songrec_core::Metric;

use super::*;
use crate::faiss::{FaissMetric, FlatWriter};

type Read = Result<PeerRecord, (String, String)>;

fn read(path: &Path) -> (String, Vec<Read>) {
    let peer = Peer::recognise(path).unwrap().expect("it is known");
    let mut all = Vec::new();
    peer.each(&mut |record| {
        all.push(record);
        true
    })
    .unwrap();
    (peer.what(), all)
}

fn ok(records: &[Read]) -> Vec<&PeerRecord> {
    records.iter().filter_map(|record| record.as_ref().ok()).collect()
}

fn database(folder: &Path, name: &str, sql: &str) -> Connection {
    let connection = Connection::open(folder.join(name)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

fn index(path: &Path, rows: &[&[f32]]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = FlatWriter::new(file, rows[0].len(), FaissMetric::InnerProduct).unwrap();
    for row in rows {
        writer.add(row).unwrap();
    }
    writer.finish().unwrap();
}

fn blob(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn beets_gives_tags_attributes_and_paths_of_any_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let beets = database(
        folder.path(),
        "library.db",
        "CREATE TABLE items (id INTEGER PRIMARY KEY, path BLOB, title TEXT, artist TEXT,
           albumartist TEXT, genre TEXT, year INT, bpm INT, initial_key TEXT, length REAL,
           mb_trackid TEXT);
         CREATE TABLE item_attributes (id INTEGER PRIMARY KEY, entity_id INTEGER, key TEXT,
           value TEXT);
         CREATE TABLE albums (id INTEGER PRIMARY KEY);
         INSERT INTO item_attributes VALUES (1, 1, 'mood_party', '0.9'), (2, 1, 'rating', '5');",
    );
    beets
        .execute(
            "INSERT INTO items VALUES (1, ?1, 'T', 'A', 'AA', 'House\\\u{2400}Techno', 1999, 0, 'Am', 61.5, '')",
            params![b"/m/\xff.wav".as_slice()],
        )
        .unwrap();

    let (what, records) = read(&folder.path().join("library.db"));

    assert_eq!(what, "a library of beets");
    let fields = &ok(&records)[0].fields;
    assert_eq!(fields["genre"], json!(["House", "Techno"]));
    assert_eq!((&fields["album_artist"], &fields["key"]), (&json!("AA"), &json!("Am")));
    assert_eq!((&fields["duration"], &fields["rating"]), (&json!(61.5), &json!("5")));
    // Zero and nothing are nothing.
    assert!(fields.get("bpm").is_none() && fields.get("mb_trackid").is_none(), "{fields:?}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = songrec_core::decode_path(fields["path"].as_str().unwrap());
        assert_eq!(path.as_os_str().as_bytes(), b"/m/\xff.wav");
    }
}

#[test]
fn records_are_those_of_the_file_and_not_of_one_with_a_like_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.faiss");
    index(&path, &[&[1.0, 0.0], &[0.0, 1.0]]);
    std::fs::write(folder.path().join("out.csv"), "title\nB\nA\n").unwrap();
    let titles = |path: &Path| -> Vec<Value> {
        ok(&read(path).1).iter().map(|record| record.fields["title"].clone()).collect()
    };
    assert_eq!(titles(&path), [json!("B"), json!("A")]);

    let own = json!([{"title": "A"}, {"title": "B"}]).to_string();
    std::fs::write(folder.path().join("out.faiss.ids.json"), own).unwrap();

    assert_eq!(titles(&path), [json!("A"), json!("B")]);
}

#[test]
fn chroma_is_what_its_writes_leave() {
    let folder = tempfile::tempdir().unwrap();
    let chroma = database(
        folder.path(),
        "chroma.sqlite3",
        "CREATE TABLE collections (id TEXT, name TEXT);
         CREATE TABLE collection_metadata (collection_id TEXT, key TEXT, str_value TEXT);
         CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, operation INTEGER,
           topic TEXT, id TEXT, vector BLOB, encoding TEXT, metadata TEXT);
         CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT);
         CREATE TABLE embedding_metadata (id INTEGER, key TEXT, string_value TEXT);
         CREATE TABLE segments (id TEXT, collection TEXT);
         INSERT INTO collections VALUES ('c1', 'Audio Samples');
         INSERT INTO collection_metadata VALUES ('c1', 'hnsw:space', 'cosine');
         INSERT INTO segments VALUES ('s1', 'c1');
         INSERT INTO embeddings VALUES (1, 's1', 'one'), (2, 's1', 'pruned');",
    );
    let topic = "persistent://default/default/c1";
    for (operation, id, vector, metadata) in [
        (0, "one", Some(blob(&[1.0, 2.0])), Some(r#"{"title": "T", "gone": 1}"#)),
        (0, "two", Some(blob(&[3.0, 4.0])), None),
        (1, "one", None, Some(r#"{"title": "New", "gone": null}"#)),
        (3, "two", None, None),
        (2, "odd", Some(vec![1, 2, 3]), None),
    ] {
        chroma
            .execute(
                "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata)
                 VALUES (?1, ?2, ?3, ?4, 'FLOAT32', ?5)",
                params![operation, topic, id, vector, metadata],
            )
            .unwrap();
    }

    let (what, records) = read(folder.path());

    assert_eq!(what, "a database of ChromaDB");
    let good = ok(&records);
    assert_eq!(good.len(), 1, "{records:?}");
    assert_eq!(good[0].key.as_deref(), Some("one"));
    assert_eq!(Value::Object(good[0].fields.clone()), json!({"title": "New"}));
    let vector = &good[0].vectors[0];
    assert_eq!((vector.model.as_str(), vector.metric), ("audio-samples", Metric::Cosine));
    assert_eq!(vector.values, [1.0, 2.0]);
    let wrong: Vec<&str> = records
        .iter()
        .filter_map(|record| record.as_ref().err().map(|(label, _)| label.as_str()))
        .collect();
    assert_eq!(wrong, ["odd", "pruned"]);
}

#[test]
fn indexes_are_joined_with_what_names_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let audio = folder.path();
    index(&audio.join("clap.index"), &[&[1.0, 0.0], &[0.0, 1.0]]);
    index(&audio.join("librosa.index"), &[&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]]);
    database(
        audio,
        "metadata.db",
        "CREATE TABLE audio (id INTEGER PRIMARY KEY, faiss_idx INTEGER, label TEXT, path TEXT,
           hash TEXT, mfcc BLOB);
         INSERT INTO audio VALUES (1, 1, 'Second', 'b.wav', 'x', x'00'), (2, 0, 'First', 'a.wav', 'y', NULL);",
    );

    let (what, records) = read(audio);

    assert_eq!(what, "a metadata database beside FAISS indexes");
    let records = ok(&records);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].fields["title"], "Second");
    let models: Vec<&str> = records[0].vectors.iter().map(|one| one.model.as_str()).collect();
    assert_eq!(models, ["clap", "librosa"]);
    assert_eq!(records[0].vectors[0].values, [0.0, 1.0]);
    assert_eq!(records[1].vectors[1].values, [1.0, 2.0, 3.0]);
}

#[test]
fn an_index_with_json_or_csv_or_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("v.index");
    index(&file, &[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]]);
    let alone = read(&file);
    std::fs::write(folder.path().join("v.csv"), "path,Title\na.wav,A\nb.wav,B\n").unwrap();
    let table = read(&file);
    let json = r#"[{"path": "c.wav", "faiss_idx": 2}, {"path": "x.wav", "faiss_idx": 9}, 5]"#;
    std::fs::write(folder.path().join("v.json"), json).unwrap();
    let named = read(&file);

    assert_eq!((alone.1.len(), alone.0.as_str()), (3, "a FAISS index"));
    assert_eq!(table.0, "a FAISS index with `v.csv`");
    assert_eq!(ok(&table.1)[1].fields["title"], "B");
    assert_eq!(table.1[2].as_ref().unwrap_err().0, "rows 2 to 2");
    assert_eq!(ok(&named.1)[0].vectors[0].values, [1.0, 1.0]);
    assert!(named.1[1].as_ref().unwrap_err().1.contains("only 3 vectors"), "{named:?}");
    assert_eq!(named.1[2].as_ref().unwrap_err().0, "[2]");
}

#[test]
fn both_databases_of_bliss_give_their_features() {
    let folder = tempfile::tempdir().unwrap();
    let features: Vec<String> = (0..23).map(|n| format!("(1, {n}, {n}.5)")).collect();
    database(
        folder.path(),
        "bliss.db",
        &format!(
            "CREATE TABLE song (id INTEGER PRIMARY KEY, path TEXT, title TEXT, track_number TEXT,
               version INTEGER, analyzed BOOLEAN, error TEXT);
             CREATE TABLE feature (song_id INTEGER, feature_index INTEGER, feature REAL);
             INSERT INTO song VALUES (1, '/m/a.flac', 'A', '3', 2, 1, NULL),
               (2, '/m/b.flac', NULL, NULL, NULL, 0, 'no audio');
             INSERT INTO feature VALUES {};",
            features.join(",")
        ),
    );
    database(
        folder.path(),
        "other.db",
        "CREATE TABLE TracksV2 (File TEXT PRIMARY KEY, Title TEXT, Artist TEXT, AlbumArtist TEXT,
           Album TEXT, Genre TEXT, Duration INTEGER, Ignore INTEGER, Tempo REAL, Zcr REAL);
         INSERT INTO TracksV2 VALUES ('x/y.mp3', 'Y', 'Z', '', '', 'Pop', 200, 0, 0.25, -0.5);",
    );

    let (what, songs) = read(&folder.path().join("bliss.db"));
    let (other, tracks) = read(&folder.path().join("other.db"));

    assert_eq!(
        (what.as_str(), other.as_str()),
        ("a library of blissify", "a database of bliss-analyser",)
    );
    let song = ok(&songs)[0];
    assert_eq!((song.vectors[0].model.as_str(), song.vectors[0].values.len()), ("bliss23", 23));
    assert_eq!((song.vectors[0].values[1], &song.fields["track"]), (1.5, &json!("3")));
    assert_eq!(songs[1].as_ref().unwrap_err().0, "/m/b.flac");
    let track = ok(&tracks)[0];
    assert_eq!(track.vectors[0].values, [0.25, -0.5]);
    assert_eq!(
        (&track.fields["path"], &track.fields["duration"]),
        (&json!("x/y.mp3"), &json!(200))
    );
    assert!(track.fields.get("Tempo").is_none());
}

#[test]
fn audiomancer_gives_lists_and_truths() {
    let folder = tempfile::tempdir().unwrap();
    database(
        folder.path(),
        "samples.db",
        "CREATE TABLE samples (id TEXT, file_path TEXT, file_hash TEXT, bpm REAL, key TEXT,
           mood TEXT, genre_tags TEXT, is_loop INTEGER, spectral_centroid REAL);
         INSERT INTO samples VALUES ('s1', '/s/k.wav', 'ab', 120.0, 'C', '[\"dark\"]',
           '[\"techno\", \"house\"]', 1, 900.5);",
    );

    let (what, records) = read(folder.path());

    assert_eq!(what, "a library of audiomancer");
    let fields = &ok(&records)[0].fields;
    assert_eq!(
        (&fields["genres"], &fields["mood"]),
        (&json!(["techno", "house"]), &json!(["dark"]))
    );
    assert_eq!((&fields["is_loop"], &fields["spectral_centroid"]), (&json!(true), &json!(900.5)));
}

// A matrix of float32 in rows of two.
fn matrix(values: &[[f32; 2]]) -> Vec<u8> {
    let shape = format!("({}, 2)", values.len());
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let head = format!("{head:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(values.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn vectors_of_audiomancer_come_in_once_a_script_has_read_them() {
    let folder = tempfile::tempdir().unwrap();
    database(
        folder.path(),
        "samples.db",
        "CREATE TABLE samples (id TEXT, file_path TEXT);
         INSERT INTO samples VALUES ('s1', '/s/1.wav'), ('s2', '/s/2.wav'), ('s3', '/s/3.wav');
         CREATE TABLE patterns (id TEXT);
         INSERT INTO patterns VALUES ('p');",
    );
    std::fs::create_dir(folder.path().join("embeddings")).unwrap();

    let (_, without) = read(folder.path());
    // In another order, without one of the samples and with one that is none.
    let ids = json!([{"id": "s3"}, {"id": "gone"}, {"id": "s1"}]);
    std::fs::write(folder.path().join("embeddings.json"), ids.to_string()).unwrap();
    let rows = matrix(&[[3.0, 0.0], [9.0, 9.0], [1.0, 0.0]]);
    std::fs::write(folder.path().join("embeddings.npy"), rows).unwrap();
    let (what, with) = read(folder.path());

    assert!(ok(&without).iter().all(|sample| sample.vectors.is_empty()));
    let left_out = |records: &[Result<PeerRecord, (String, String)>]| -> Vec<String> {
        records.iter().filter_map(|one| Some(one.as_ref().err()?.0.clone())).collect()
    };
    assert_eq!(left_out(&without), ["embeddings", "patterns"]);
    assert_eq!(what, "a library of audiomancer", "a matrix beside it is a part of it");
    let values: Vec<&[f32]> = ok(&with)
        .iter()
        .map(|sample| sample.vectors.first().map_or(&[][..], |one| one.values.as_slice()))
        .collect();
    assert_eq!(values, [&[1.0, 0.0][..], &[], &[3.0, 0.0]]);
    assert_eq!(left_out(&with), ["embeddings.npy", "patterns"]);
}

#[test]
fn descriptions_of_recordings_lie_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    let one = json!({
        "lowlevel": {"average_loudness": 0.5},
        "rhythm": {"bpm": 120.5}, "tonal": {"key_key": "A", "key_scale": "minor"},
        "highlevel": {"mood_happy": {"value": "happy", "probability": 0.9},
            "mood_sad": {"value": "not_sad", "probability": 0.9}},
        "metadata": {"audio_properties": {"length": 61.0, "sample_rate": 44100},
            "tags": {"title": ["T"], "artist": ["A", "B"], "tracknumber": ["3/12"],
                "date": ["1999-01-02"], "file_name": "a.mp3"}},
    });
    std::fs::create_dir(folder.path().join("ab")).unwrap();
    std::fs::write(folder.path().join("x.json"), one.to_string()).unwrap();
    std::fs::write(folder.path().join("ab/y.json"), "{").unwrap();

    let (what, records) = read(folder.path());

    assert_eq!((what.as_str(), records.len()), ("descriptions of AcousticBrainz", 2));
    let fields = &ok(&records)[0].fields;
    assert_eq!((&fields["title"], &fields["key"]), (&json!("T"), &json!("Am")));
    assert_eq!((&fields["moods"], &fields["track"]), (&json!(["happy"]), &json!("3")));
    assert_eq!((&fields["year"], &fields["bpm"]), (&json!("1999"), &json!(120.5)));
}

#[test]
fn a_matrix_has_rows_and_one_vector_is_no_matrix() {
    let npy = |shape: &str, count: usize| {
        let mut head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + head.len() + 1) % 64 != 0 {
            head.push(' ');
        }
        head.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.bytes());
        bytes.extend((0..count).flat_map(|n| (n as f64).to_le_bytes()));
        bytes
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.npy"), npy("(3,)", 3)).unwrap();
    let none = Peer::recognise(folder.path()).unwrap().is_none();
    std::fs::write(folder.path().join("many.npy"), npy("(2, 3)", 6)).unwrap();
    std::fs::write(folder.path().join("ids.json"), r#"["a", "dir/b.wav"]"#).unwrap();

    let (what, records) = read(folder.path());

    assert!(none);
    assert_eq!(what, "a matrix of vectors with `ids.json`");
    let records = ok(&records);
    assert_eq!(
        (&records[0].fields["id"], &records[1].fields["path"]),
        (&json!("a"), &json!("dir/b.wav"),)
    );
    assert_eq!(records[1].vectors[0].values, [3.0, 4.0, 5.0]);
    std::fs::write(folder.path().join("many.npy"), npy("(99999999999, 3)", 6)).unwrap();
    let lies = Peer::recognise(&folder.path().join("many.npy")).unwrap().unwrap();
    assert!(lies.each(&mut |_| true).is_err());
}

#[test]
fn a_database_of_nobody_and_a_text_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path(), "x.db", "CREATE TABLE t (a)");
    std::fs::write(folder.path().join("x.txt"), "text").unwrap();
    assert!(Peer::recognise(folder.path()).unwrap().is_none());
}
