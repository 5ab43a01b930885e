-- The catalog: what can be asked of a library, copied out of its files.
-- Nothing here is a fact; every row can be made again from songs/, trash/,
-- embeddings/ and segments/.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

-- Songs and segment files whose rows may differ from their files, because a
-- write is under way or was cut off. kind: 0 song, 1 segments of a song.
CREATE TABLE pending (
    kind INTEGER NOT NULL,
    id   BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- When each folder of files was last written, so that files which came or went
-- by other means are noticed without being looked at one by one.
CREATE TABLE shard (
    folder TEXT NOT NULL,
    shard  INTEGER NOT NULL,
    mtime  INTEGER NOT NULL, -- nanoseconds since 1970
    PRIMARY KEY (folder, shard)
) WITHOUT ROWID;

CREATE TABLE model (
    m           INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    dimension   INTEGER NOT NULL,
    metric      TEXT NOT NULL,
    description TEXT NOT NULL
);

-- The index folders in use, and how many changes were made to each.
CREATE TABLE vectors (
    m          INTEGER NOT NULL,
    kind       INTEGER NOT NULL, -- as in pending
    folder     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (m, kind)
) WITHOUT ROWID;

-- Texts are folded, so that their order is the order of lists.
CREATE TABLE song (
    n        INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE,
    change   INTEGER NOT NULL,
    mtime    INTEGER NOT NULL, -- of the file, nanoseconds since 1970
    size     INTEGER NOT NULL,
    title    TEXT NOT NULL,
    artist   TEXT,
    album    TEXT,
    year     INTEGER,
    bpm      REAL,
    duration REAL NOT NULL,
    added    BLOB NOT NULL,    -- sorts like the time
    key      TEXT,
    is_loop  INTEGER,
    has      INTEGER NOT NULL, -- bits: which fields have words or values
    blob     BLOB,             -- SHA-256 of the copy that the library keeps
    card     TEXT NOT NULL     -- JSON
);
CREATE INDEX song_change ON song (change);
CREATE INDEX song_title ON song (title, id);
CREATE INDEX song_artist ON song (artist, id);
CREATE INDEX song_album ON song (album, id);
CREATE INDEX song_year ON song (year, id);
CREATE INDEX song_bpm ON song (bpm, id);
CREATE INDEX song_duration ON song (duration, id);
CREATE INDEX song_added ON song (added, id);
CREATE INDEX song_key ON song (key);
CREATE INDEX song_loop ON song (is_loop);
CREATE INDEX song_has ON song (has);
CREATE INDEX song_blob ON song (blob) WHERE blob IS NOT NULL;

CREATE TABLE tombstone (
    id     BLOB PRIMARY KEY,
    change INTEGER NOT NULL,
    mtime  INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    blob   BLOB
) WITHOUT ROWID;
CREATE INDEX tombstone_change ON tombstone (change);

-- Songs whose files cannot be understood. What they name is not known, so
-- nothing that they may name is swept.
CREATE TABLE damaged (
    id BLOB PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE file (
    n      INTEGER NOT NULL,
    path   TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (n, path)
) WITHOUT ROWID;
CREATE INDEX file_path ON file (path);
CREATE INDEX file_sha256 ON file (sha256);

-- Genres, moods and instruments as filters compare them.
-- field: 0 genre, 1 mood, 2 instrument.
CREATE TABLE value (
    n     INTEGER NOT NULL,
    field INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (n, field, value)
) WITHOUT ROWID;
CREATE INDEX value_song ON value (field, value, n);

CREATE TABLE embedding (
    n INTEGER NOT NULL,
    m INTEGER NOT NULL,
    PRIMARY KEY (n, m)
) WITHOUT ROWID;
CREATE INDEX embedding_model ON embedding (m, n);

-- The words of every song, separated by spaces. `ascii` splits at what is
-- neither a letter nor a digit nor above 127, so the words stay as they are.
CREATE VIRTUAL TABLE words USING fts5 (
    title, artist, album, path, others,
    content = '', contentless_delete = 1, detail = 'column',
    prefix = '1 2 3', tokenize = 'ascii'
);

CREATE TABLE segment (
    id         BLOB PRIMARY KEY,
    song       BLOB NOT NULL,
    m          INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    start      REAL NOT NULL,
    end        REAL NOT NULL,
    low        REAL,
    high       REAL,
    confidence REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX segment_song ON segment (song, m);
CREATE INDEX segment_model ON segment (m);
