//! Songs as rows, and rows away again.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{
    Connection, OptionalExtension, params, params_from_iter,
    types::{ToSql, ToSqlOutput, Value},
};
use songrec_core::{
    Digest, ModelName, Song, SongId, SongSummary, WordField, fold, sort_key, words,
};
use songrec_storage::Tombstone;

use super::{Catalog, filter};
use crate::{
    error::Result,
    files::Stamp,
    files::stored::{Resolved, Stored},
};

/// Makes the rows of a song match its files, as a new change.
pub(crate) fn set_resolved(connection: &Connection, id: SongId, resolved: &Resolved) -> Result<()> {
    let sql = match resolved {
        Resolved::Damaged(_) => "INSERT OR IGNORE INTO damaged (id) VALUES (?)",
        _ => "DELETE FROM damaged WHERE id = ?",
    };
    connection.prepare_cached(sql)?.execute([id.as_bytes()])?;
    match resolved {
        Resolved::Present(song) => {
            remove_tombstone(connection, id)?;
            set_song(connection, song)
        }
        Resolved::Deleted(tombstone) => {
            remove_song(connection, id)?;
            set_tombstone(connection, tombstone)
        }
        Resolved::Absent | Resolved::Damaged(_) => {
            remove_tombstone(connection, id)?;
            remove_song(connection, id)
        }
    }
}

fn set_song(connection: &Connection, stored: &Stored<Song>) -> Result<()> {
    let song = &stored.document;
    let summary = SongSummary::of(song);
    let summary_json = json_of(&summary);
    let change = next_change(connection)?;
    // Whatever is there, and of whichever type: it may be damaged.
    let known: Option<(i64, bool)> = connection
        .prepare_cached("SELECT n, card IS ? FROM song WHERE id = ?")?
        .query_row(params![summary_json, song.id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let stamp = &stored.stamp;
    let mut row = values(params![change, stamp.mtime, stamp.size])?;
    row.extend(columns(song, &summary)?);
    row.push(Value::Text(summary_json));
    row.push(Value::Blob(song.id.as_bytes().to_vec()));
    // Neither `RETURNING` nor `ON CONFLICT`, here and below: for a statement that may
    // have to be taken back in part, SQLite makes the words of all songs before durable
    // in their tables, which costs more than everything else together.
    let sql = match known {
        Some(_) => {
            "UPDATE song SET change = ?, mtime = ?, size = ?, title = ?, artist = ?, album = ?, \
             year = ?, bpm = ?, duration = ?, added = ?, key = ?, is_loop = ?, has = ?, blob = ?, \
             card = ? WHERE id = ?"
        }
        None => {
            "INSERT INTO song (change, mtime, size, title, artist, album, year, bpm, duration, \
             added, key, is_loop, has, blob, card, id) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        }
    };
    connection.prepare_cached(sql)?.execute(params_from_iter(row))?;
    let n = known.map_or_else(|| connection.last_insert_rowid(), |(n, _)| n);
    let was_known = known.is_some();
    if was_known {
        connection.prepare_cached("DELETE FROM file WHERE n = ?")?.execute([n])?;
        connection.prepare_cached("DELETE FROM embedding WHERE n = ?")?.execute([n])?;
    }
    for file in &song.files {
        connection
            .prepare_cached("INSERT OR IGNORE INTO file (n, path, sha256) VALUES (?, ?, ?)")?
            .execute(params![n, file.path, file.sha256.0])?;
    }
    for model in song.embeddings.keys() {
        let m: Option<i64> = connection
            .prepare_cached("SELECT m FROM model WHERE name = ?")?
            .query_row([model.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(m) = m {
            connection
                .prepare_cached("INSERT INTO embedding (n, m) VALUES (?, ?)")?
                .execute([n, m])?;
        }
    }
    // Most changes leave alone what filters look at.
    if known.is_some_and(|(_, same)| same) {
        return Ok(());
    }
    if was_known {
        remove_words(connection, n)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO words (rowid, title, artist, album, path, others) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params_from_iter(
            [Value::Integer(n)]
                .into_iter()
                .chain(searched(&summary).map(|(_, words)| Value::Text(words))),
        ))?;
    for (field, value) in filtered(&summary) {
        connection
            .prepare_cached("INSERT OR IGNORE INTO value (n, field, value) VALUES (?, ?, ?)")?
            .execute(params![n, field, value])?;
    }
    Ok(())
}

/// Whether the rows of a song are what its document gives, but for its
/// words, and the number and stamp that they were written with.
pub(crate) fn has_rows_of(connection: &Connection, song: &Song) -> Result<bool> {
    let summary = SongSummary::of(song);
    let mut expected = columns(song, &summary)?;
    expected.push(Value::Text(json_of(&summary)));
    let known = connection
        .prepare_cached(
            "SELECT n, title, artist, album, year, bpm, duration, added, key, is_loop, has, \
             blob, card FROM song WHERE id = ?",
        )?
        .query_row([song.id.as_bytes()], |row| {
            let columns = (1..=expected.len()).map(|i| row.get(i));
            Ok((row.get::<_, i64>(0)?, columns.collect::<Result<Vec<Value>, _>>()?))
        })
        .optional()?;
    let Some((n, columns)) = known else { return Ok(false) };
    let rows = |sql: &str| -> Result<BTreeSet<(String, String)>> {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([n], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    // Of a path that stands there twice, the first counts.
    let mut files = BTreeMap::new();
    for file in &song.files {
        files.entry(file.path.clone()).or_insert_with(|| file.sha256.to_string());
    }
    let models = song.embeddings.keys().map(|model| (model.to_string(), String::new()));
    let values = filtered(&summary).map(|(field, value)| (value, field.to_string()));
    Ok(columns == expected
        && rows("SELECT path, lower(hex(sha256)) FROM file WHERE n = ?")?
            == files.into_iter().collect()
        && rows("SELECT name, '' FROM embedding JOIN model USING (m) WHERE n = ?")?
            == models.collect()
        && rows("SELECT value, CAST(field AS TEXT) FROM value WHERE n = ?")? == values.collect())
}

/// Whether a deleted song names this blob, as far as the catalog knows.
pub(crate) fn has_tombstone(
    connection: &Connection,
    id: SongId,
    blob: Option<&Digest>,
) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM tombstone WHERE id = ? AND blob IS ?")?
        .exists(params![id.as_bytes(), blob.map(|blob| blob.0)])?)
}

/// Whether a song is found by each of its words.
pub(crate) fn has_words_of(connection: &Connection, song: &Song) -> Result<bool> {
    let mut wanted = Vec::new();
    for (column, words) in searched(&SongSummary::of(song)) {
        wanted.extend(words.split(' ').filter(|word| !word.is_empty()).map(|word| {
            // Words have letters and digits only.
            format!("{column} : \"{word}\"")
        }));
    }
    if wanted.is_empty() {
        return Ok(true);
    }
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM words WHERE words MATCH ? \
             AND rowid = (SELECT n FROM song WHERE id = ?)",
        )?
        .exists(params![wanted.join(" AND "), song.id.as_bytes()])?)
}

fn set_tombstone(connection: &Connection, stored: &Stored<Tombstone>) -> Result<()> {
    let song = &stored.document.song;
    let change = next_change(connection)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO tombstone (id, change, mtime, size, blob) \
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            song.id.as_bytes(),
            change,
            stored.stamp.mtime,
            stored.stamp.size,
            song.blob.as_ref().map(|blob| blob.sha256.0),
        ])?;
    Ok(())
}

pub(crate) fn remove_song(connection: &Connection, id: SongId) -> Result<()> {
    let n: Option<i64> = connection
        .prepare_cached("SELECT n FROM song WHERE id = ?")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(n) = n else { return Ok(()) };
    remove_words(connection, n)?;
    for sql in [
        "DELETE FROM file WHERE n = ?",
        "DELETE FROM embedding WHERE n = ?",
        "DELETE FROM song WHERE n = ?",
    ] {
        connection.prepare_cached(sql)?.execute([n])?;
    }
    Ok(())
}

fn remove_words(connection: &Connection, n: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM words WHERE rowid = ?")?.execute([n])?;
    connection.prepare_cached("DELETE FROM value WHERE n = ?")?.execute([n])?;
    Ok(())
}

fn remove_tombstone(connection: &Connection, id: SongId) -> Result<()> {
    connection.prepare_cached("DELETE FROM tombstone WHERE id = ?")?.execute([id.as_bytes()])?;
    Ok(())
}

fn next_change(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'change'")?
        .execute([])?;
    Catalog::last_change(connection)
}

/// What the catalog believes the files of a song to be.
pub(crate) fn stamps(
    connection: &Connection,
    id: SongId,
) -> Result<(Option<Stamp>, Option<Stamp>)> {
    let stamp = |table: &str| -> Result<Option<Stamp>> {
        Ok(connection
            .prepare_cached(&format!("SELECT mtime, size FROM {table} WHERE id = ?"))?
            .query_row([id.as_bytes()], |row| Ok(Stamp { mtime: row.get(0)?, size: row.get(1)? }))
            .optional()?)
    };
    Ok((stamp("song")?, stamp("tombstone")?))
}

/// The ids of the songs or tombstones of one shard.
pub(crate) fn ids_of_shard(connection: &Connection, table: &str, shard: u8) -> Result<Vec<SongId>> {
    let (mut first, mut last) = ([0; 16], [0xff; 16]);
    (first[0], last[0]) = (shard, shard);
    let mut statement =
        connection.prepare_cached(&format!("SELECT id FROM {table} WHERE id BETWEEN ? AND ?"))?;
    let ids = statement.query_map([first, last], |row| row.get(0).map(SongId::from_bytes))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The songs that name an embedding of a model.
pub(crate) fn ids_of_model(connection: &Connection, m: i64) -> Result<Vec<SongId>> {
    let mut statement = connection.prepare_cached(
        "SELECT song.id FROM embedding JOIN song USING (n) WHERE m = ? ORDER BY song.id",
    )?;
    let ids = statement.query_map([m], |row| row.get(0).map(SongId::from_bytes))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Whether the song names an embedding of the model.
pub(crate) fn names_embedding(
    connection: &Connection,
    id: SongId,
    model: &ModelName,
) -> Result<bool> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM embedding JOIN song USING (n) JOIN model USING (m) \
             WHERE song.id = ? AND model.name = ?",
        )?
        .exists(params![id.as_bytes(), model.as_str()])?)
}

/// Whether a song or a tombstone names the blob.
pub(crate) fn names_blob(connection: &Connection, digest: &Digest) -> Result<bool> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM song WHERE blob = ?1 \
             UNION ALL SELECT 1 FROM tombstone WHERE blob = ?1",
        )?
        .exists([digest.0])?)
}

/// Whether there are songs of which it is not known what they name.
pub(crate) fn is_any_damaged(connection: &Connection) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM damaged LIMIT 1")?.exists([])?)
}

/// Those songs.
pub(crate) fn damaged_ids(connection: &Connection) -> Result<Vec<SongId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM damaged ORDER BY id")?;
    let ids = statement.query_map([], |row| row.get(0).map(SongId::from_bytes))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The paths of files with this content, as songs have them.
pub(crate) fn paths_of(connection: &Connection, digest: &Digest) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT path FROM file WHERE sha256 = ? ORDER BY path")?;
    let paths = statement.query_map([digest.0], |row| row.get(0))?;
    Ok(paths.collect::<Result<_, _>>()?)
}

/// What filters compare and lists are ordered by, as the columns of `song` from
/// `title` to `blob`.
fn columns(song: &Song, summary: &SongSummary) -> Result<Vec<Value>> {
    values(params![
        fold(&summary.title),
        sort_key(song, summary),
        summary.album.as_deref().map(fold),
        summary.year,
        summary.bpm,
        summary.duration,
        sortable(song.added_at),
        summary.key.map(|key| key.to_string()),
        summary.is_loop,
        filter::has(summary),
        song.blob.as_ref().map(|blob| blob.sha256.0),
    ])
}

fn values(of: &[&dyn ToSql]) -> Result<Vec<Value>> {
    let value = |one: &&dyn ToSql| {
        Ok(match one.to_sql()? {
            ToSqlOutput::Borrowed(value) => {
                let failed = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
                Value::try_from(value).map_err(failed)?
            }
            ToSqlOutput::Owned(value) => value,
            // Blobs of zeros and the like, which no column has.
            _ => Value::Null,
        })
    };
    of.iter().map(value).collect()
}

fn json_of(summary: &SongSummary) -> String {
    serde_json::to_string(summary).expect("a summary is always JSON")
}

/// What a summary is filtered by, as rows of `value`.
fn filtered(summary: &SongSummary) -> impl Iterator<Item = (i64, String)> {
    filter::VALUE_FIELDS.into_iter().flat_map(|field| {
        let values = field.values(summary).iter();
        values.map(move |value| (filter::value_code(field), words(value).join(" ")))
    })
}

/// The words of a summary, as the columns of `words`.
fn searched(summary: &SongSummary) -> impl Iterator<Item = (&'static str, String)> {
    let words_of = |field: WordField| field.words(summary).join(" ");
    [
        ("title", words_of(WordField::Title)),
        ("artist", words_of(WordField::Artist)),
        ("album", words_of(WordField::Album)),
        ("path", words_of(WordField::Path)),
        ("others", other_words(summary)),
    ]
    .into_iter()
}

fn other_words(summary: &SongSummary) -> String {
    let others = summary.genres.iter().chain(&summary.moods).chain(&summary.instrument);
    others.flat_map(|text| words(text)).collect::<Vec<_>>().join(" ")
}

// Nanoseconds since long ago, big-endian: compared as bytes it sorts like the
// time, before 1970 as well.
fn sortable(time: songrec_core::Timestamp) -> [u8; 16] {
    ((1u128 << 100).wrapping_add_signed(time.as_nanosecond())).to_be_bytes()
}
