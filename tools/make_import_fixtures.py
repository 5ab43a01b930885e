#!/usr/bin/env python3
"""Writes the small libraries of other programs that the tests of `songrec import` take in.

    python3 tools/make_import_fixtures.py crates/cli/tests/peers

Needs nothing but Python's standard library. The tables are those that the programs make,
as far as they are read; what is in them was made up here.
"""

import json
import os
import sqlite3
import struct
import sys

FLOATS = lambda values: struct.pack(f"<{len(values)}f", *values)


def fresh(path):
    if os.path.exists(path):
        os.remove(path)
    return sqlite3.connect(path)


def beets(folder):
    db = fresh(f"{folder}/beets.db")
    db.executescript(
        """
        CREATE TABLE items (id INTEGER PRIMARY KEY, path BLOB, album_id INT, title TEXT,
          artist TEXT, albumartist TEXT, album TEXT, genre TEXT, composer TEXT, year INT,
          month INT, track INT, disc INT, comments TEXT, bpm INT, initial_key TEXT,
          length REAL, samplerate INT, format TEXT, mb_trackid TEXT, comp INT);
        CREATE TABLE albums (id INTEGER PRIMARY KEY, album TEXT);
        CREATE TABLE item_attributes (id INTEGER PRIMARY KEY, entity_id INT, key TEXT, value TEXT);
        CREATE TABLE album_attributes (id INTEGER PRIMARY KEY, entity_id INT, key TEXT, value TEXT);
        """
    )
    db.execute(
        "INSERT INTO items VALUES (1, ?, 1, 'Night Walk', 'Ada', 'Ada', 'Walks', 'House; Techno',"
        " '', 1999, 0, 3, 0, '', 124, 'Am', 241.5, 44100, 'FLAC',"
        " '3f9a0000-0000-4000-8000-000000000001', 0)",
        (b"/music/Ada/Walks/03 Night Walk.flac",),
    )
    db.execute(
        "INSERT INTO items VALUES (2, ?, 1, 'Odd', 'Ada', 'Ada', 'Walks', '', '', 0, 0, 0, 0, '',"
        " 0, '', 10.0, 0, 'MP3', '', 0)",
        (b"/music/Ada/odd \xff.mp3",),
    )
    db.execute("INSERT INTO item_attributes VALUES (1, 1, 'mood_acoustic', '0.12')")
    db.execute("INSERT INTO item_attributes VALUES (2, 1, 'play_count', '7')")
    db.commit()


def chroma(folder):
    db = fresh(f"{folder}/chroma.sqlite3")
    db.executescript(
        """
        CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT, topic TEXT, dimension INTEGER);
        CREATE TABLE collection_metadata (collection_id TEXT, key TEXT, str_value TEXT,
          int_value INTEGER, float_value REAL);
        CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT, scope TEXT, topic TEXT,
          collection TEXT);
        CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT,
          seq_id BLOB, created_at TIMESTAMP);
        CREATE TABLE embedding_metadata (id INTEGER, key TEXT, string_value TEXT,
          int_value INTEGER, float_value REAL);
        CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, created_at TIMESTAMP,
          operation INTEGER, topic TEXT, id TEXT, vector BLOB, encoding TEXT, metadata TEXT);
        """
    )
    topic = "persistent://default/default/c1"
    db.execute("INSERT INTO collections VALUES ('c1', 'audio_samples', ?, 3)", (topic,))
    db.execute("INSERT INTO collection_metadata VALUES ('c1', 'hnsw:space', 'cosine', NULL, NULL)")
    db.execute("INSERT INTO segments VALUES ('s1', 'sqlite', 'METADATA', ?, 'c1')", (topic,))
    rows = [
        (0, "kick_1", [1.0, 0.5, 0.25], {"filename": "kick_1.wav", "tempo": 120.0, "cluster": 2}),
        (0, "snare_1", [0.0, 1.0, 0.5], {"filename": "snare_1.wav", "chroma:document": "a snare"}),
        (0, "gone", [0.5, 0.5, 0.5], {}),
        (1, "kick_1", None, {"cluster": 3}),
        (3, "gone", None, None),
    ]
    for operation, name, vector, metadata in rows:
        db.execute(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                operation,
                topic,
                name,
                FLOATS(vector) if vector else None,
                "FLOAT32" if vector else None,
                json.dumps(metadata) if metadata is not None else None,
            ),
        )
    db.commit()


def flat_index(rows, inner_product=True):
    head = struct.pack("<iqqqBi", len(rows[0]), len(rows), 1 << 20, 1 << 20, 1, not inner_product)
    body = struct.pack("<Q", len(rows) * len(rows[0])) + b"".join(FLOATS(row) for row in rows)
    return (b"IxFI" if inner_product else b"IxF2") + head + body


def faiss(folder):
    folder = f"{folder}/audio_db"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/clap.index", "wb") as file:
        file.write(flat_index([[1.0, 0.0, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]]))
    with open(f"{folder}/librosa.index", "wb") as file:
        file.write(flat_index([[0.0, 1.0], [1.0, 0.0]]))
    db = fresh(f"{folder}/metadata.db")
    db.executescript(
        """
        CREATE TABLE audio (id INTEGER PRIMARY KEY AUTOINCREMENT, faiss_idx INTEGER NOT NULL,
          label TEXT NOT NULL, path TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, mfcc BLOB);
        INSERT INTO audio VALUES (1, 0, 'Kick', '/s/kick.wav', '0cc175b9c0f1b6a831c399e269772661', x'00');
        INSERT INTO audio VALUES (2, 1, 'Pad', '/s/pad.wav', '92eb5ffee6ae2fec3ad71c777531578f', NULL);
        """
    )
    db.commit()


def bliss(folder):
    db = fresh(f"{folder}/blissify.db")
    db.executescript(
        """
        CREATE TABLE song (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, duration FLOAT,
          album_artist TEXT, artist TEXT, title TEXT, album TEXT, track_number INTEGER,
          disc_number INTEGER, genre TEXT, cue_path TEXT, audio_file_path TEXT, stamp TIMESTAMP,
          version INTEGER, analyzed BOOLEAN DEFAULT FALSE, extra_info JSON, error TEXT);
        CREATE TABLE feature (id INTEGER PRIMARY KEY, song_id INTEGER NOT NULL,
          feature REAL NOT NULL, feature_index INTEGER NOT NULL);
        INSERT INTO song (id, path, title, artist, duration, version, analyzed)
          VALUES (1, '/music/one.flac', 'One', 'Bea', 180.5, 2, 1);
        INSERT INTO song (id, path, version, analyzed, error)
          VALUES (2, '/music/broken.flac', 2, 0, 'no decoder');
        """
    )
    for at in range(23):
        db.execute("INSERT INTO feature VALUES (?, 1, ?, ?)", (at + 1, at / 23 - 0.5, at))
    db.commit()
    db = fresh(f"{folder}/bliss-analyser.db")
    features = ", ".join(f"Feature{at} REAL" for at in range(23))
    db.execute(
        "CREATE TABLE TracksV2 (File TEXT PRIMARY KEY, Title TEXT, Artist TEXT, AlbumArtist TEXT,"
        f" Album TEXT, Genre TEXT, Duration INTEGER, Ignore INTEGER, {features})"
    )
    values = ["Bea/one.mp3", "One", "Bea", "Bea", "Ones", "Pop", 180, 0]
    values += [at / 23 - 0.5 for at in range(23)]
    db.execute(f"INSERT INTO TracksV2 VALUES ({', '.join('?' * len(values))})", values)
    db.commit()


def audiomancer(folder):
    db = fresh(f"{folder}/samples.db")
    db.executescript(
        """
        CREATE TABLE samples (id TEXT PRIMARY KEY, file_path TEXT UNIQUE, file_hash TEXT UNIQUE,
          filename TEXT, duration REAL, sample_rate INTEGER, bpm REAL, key TEXT, mood TEXT,
          genre_tags TEXT, instrument_type TEXT, is_loop INTEGER, spectral_centroid REAL);
        INSERT INTO samples VALUES ('s1', '/s/loop.wav', 'ab12', 'loop.wav', 4.0, 44100, 120.0,
          'C minor', '["dark"]', '["techno", "house"]', 'drums', 1, 2500.5);
        """
    )
    db.commit()


def audiomancer_synths(folder):
    db = fresh(f"{folder}/synths.db")
    db.executescript(
        """
        CREATE TABLE samples (id TEXT PRIMARY KEY, file_path TEXT UNIQUE);
        CREATE TABLE synths (id TEXT PRIMARY KEY, name TEXT UNIQUE, file_path TEXT,
          source_code TEXT);
        INSERT INTO synths VALUES
          ('synth_a', 'low', '/s/low.scd', 'SynthDef(\\low, { Out.ar(0, Saw.ar(55)) }).add;'),
          ('synth_b', 'high', '/s/high.scd', 'SynthDef(\\high, { Out.ar(0, Saw.ar(880)) }).add;'),
          ('synth_c', 'none', '/s/none.scd', 'nothing');
        CREATE TABLE synth_lineage (child_id TEXT, parent_id TEXT, contribution_weight REAL);
        INSERT INTO synth_lineage VALUES ('synth_b', 'synth_a', 0.25), ('synth_c', 'synth_a', 1.0);
        """
    )
    db.commit()


def acousticbrainz(folder):
    name = "3f9a0000-0000-4000-8000-000000000002"
    os.makedirs(f"{folder}/acousticbrainz", exist_ok=True)
    with open(f"{folder}/acousticbrainz/{name}.json", "w") as file:
        json.dump(
            {
                "lowlevel": {"average_loudness": 0.5},
                "rhythm": {"bpm": 128.02},
                "tonal": {"key_key": "A", "key_scale": "minor", "key_strength": 0.7},
                "highlevel": {"mood_party": {"value": "party", "probability": 0.9, "all": {}}},
                "metadata": {
                    "audio_properties": {"length": 200.5, "sample_rate": 44100, "codec": "flac"},
                    "tags": {"title": ["Dance"], "artist": ["Cy"], "file_name": "dance.flac"},
                },
            },
            file,
        )


def table(folder):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    header = header.ljust(127 - 10) + "\n"
    with open(f"{folder}/vectors.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(FLOATS([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    with open(f"{folder}/vectors.csv", "w") as file:
        file.write('path,title,genre,rating\na.wav,"A, or B",Ambient,5\nb.wav,B,,\n')


def main():
    folder = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    os.makedirs(folder, exist_ok=True)
    for make in (beets, chroma, faiss, bliss, audiomancer, audiomancer_synths, acousticbrainz, table):
        make(folder)


main()
