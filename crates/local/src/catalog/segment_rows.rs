//! Segments as rows.

use rusqlite::{Connection, OptionalExtension, Params, types::Value};
use songrec_core::{Segment, SegmentId, SongId};
use songrec_storage::{SegmentOrder, SegmentQuery, WhichSegments};

use super::filter::Sql;
use crate::error::Result;

/// Makes the rows of a song's segments these.
pub(crate) fn set(connection: &Connection, song: SongId, segments: &[Segment]) -> Result<()> {
    connection.prepare_cached("DELETE FROM segment WHERE song = ?")?.execute([song.as_bytes()])?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO segment \
         (id, song, m, kind, start, end, low, high, confidence, pattern, source) \
         SELECT ?, ?, m, ?, ?, ?, ?, ?, ?, ?, ? FROM model WHERE name = ?",
    )?;
    for segment in segments {
        insert.execute(row_of(&song, segment))?;
    }
    Ok(())
}

/// Whether the row of a song's segment is what its document gives.
pub(crate) fn has(connection: &Connection, song: SongId, segment: &Segment) -> Result<bool> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM segment JOIN model USING (m) WHERE id = ? AND song = ? \
             AND kind = ? AND start = ? AND end = ? AND low IS ? AND high IS ? \
             AND confidence = ? AND pattern IS ? AND source IS ? AND model.name = ?",
        )?
        .exists(row_of(&song, segment))?)
}

/// The song that a segment is a part of.
pub(crate) fn song_of(connection: &Connection, id: SegmentId) -> Result<Option<SongId>> {
    Ok(connection
        .prepare_cached("SELECT song FROM segment WHERE id = ?")?
        .query_row([id.as_bytes()], |row| row.get(0).map(SongId::from_bytes))
        .optional()?)
}

/// The songs of one shard that have segments.
pub(crate) fn songs_of_shard(connection: &Connection, shard: u8) -> Result<Vec<SongId>> {
    let (mut first, mut last) = ([0; 16], [0xff; 16]);
    (first[0], last[0]) = (shard, shard);
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT song FROM segment WHERE song BETWEEN ? AND ?")?;
    let ids = statement.query_map([first, last], |row| row.get(0).map(SongId::from_bytes))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The songs with segments of a model.
pub(crate) fn songs_of_model(connection: &Connection, m: i64) -> Result<Vec<SongId>> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT song FROM segment WHERE m = ? ORDER BY song")?;
    let ids = statement.query_map([m], |row| row.get(0).map(SongId::from_bytes))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The segments of a query in its order, with their songs.
pub(crate) fn find(
    connection: &Connection,
    query: &SegmentQuery,
) -> Result<Vec<(SegmentId, SongId)>> {
    let mut sql = Sql { text: "SELECT id, song FROM segment".to_owned(), params: vec![] };
    add_conditions(&mut sql, query);
    let by = match query.order {
        SegmentOrder::Start => "start",
        SegmentOrder::End => "end",
        SegmentOrder::Confidence => "confidence",
    };
    let direction = if query.descending { "DESC" } else { "ASC" };
    sql.text.push_str(&format!(" ORDER BY {by} {direction}, id LIMIT ? OFFSET ?"));
    for number in [query.limit, query.skip] {
        sql.params.push(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }
    let mut statement = connection.prepare_cached(&sql.text)?;
    let rows = statement.query_map(rusqlite::params_from_iter(sql.params), |row| {
        Ok((SegmentId::from_bytes(row.get(0)?), SongId::from_bytes(row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The ids of all segments of a query, without order, skip and limit.
pub(crate) fn ids(connection: &Connection, query: &SegmentQuery) -> Result<Vec<[u8; 16]>> {
    let mut sql = Sql { text: "SELECT id FROM segment".to_owned(), params: vec![] };
    add_conditions(&mut sql, query);
    let mut statement = connection.prepare_cached(&sql.text)?;
    let ids = statement.query_map(rusqlite::params_from_iter(sql.params), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn add_conditions(sql: &mut Sql, query: &SegmentQuery) {
    let mut conditions: Vec<String> = Vec::new();
    let params = &mut sql.params;
    if !query.songs.is_empty() {
        let marks = vec!["?"; query.songs.len()].join(", ");
        conditions.push(format!("song IN ({marks})"));
        params.extend(query.songs.iter().map(|song| Value::Blob(song.as_bytes().to_vec())));
    }
    if let Some(model) = &query.model {
        conditions.push("m = (SELECT m FROM model WHERE name = ?)".to_owned());
        params.push(Value::Text(model.as_str().to_owned()));
    }
    if !query.kinds.is_empty() {
        let marks = vec!["?"; query.kinds.len()].join(", ");
        conditions.push(format!("kind IN ({marks})"));
        params.extend(query.kinds.iter().cloned().map(Value::Text));
    }
    if let Some((from, to)) = query.time {
        conditions.push("start <= ? AND ? <= end".to_owned());
        params.extend([Value::Real(to), Value::Real(from)]);
    }
    if let Some((from, to)) = query.frequencies {
        conditions.push("(low IS NULL OR (low <= ? AND ? <= high))".to_owned());
        params.extend([Value::Real(to.into()), Value::Real(from.into())]);
    }
    if let Some(least) = query.min_confidence {
        conditions.push("confidence >= ?".to_owned());
        params.push(Value::Real(least.into()));
    }
    match query.which {
        WhichSegments::All => {}
        WhichSegments::Windows => conditions.push("pattern IS NULL".to_owned()),
        WhichSegments::Patterns => conditions.push("pattern IS NOT NULL".to_owned()),
    }
    let patterns = query.patterns.iter().map(|id| Value::Blob(id.as_bytes().to_vec()));
    let sources = query.sources.iter().cloned().map(Value::Text);
    for (column, values) in
        [("pattern", patterns.collect::<Vec<_>>()), ("source", sources.collect())]
    {
        if !values.is_empty() {
            let marks = vec!["?"; values.len()].join(", ");
            conditions.push(format!("{column} IN ({marks})"));
            params.extend(values);
        }
    }
    if !conditions.is_empty() {
        sql.text.push_str(" WHERE ");
        sql.text.push_str(&conditions.join(" AND "));
    }
}

// The columns of a segment, in the order in which both statements ask.
fn row_of<'a>(song: &'a SongId, segment: &'a Segment) -> impl Params + 'a {
    (
        segment.id.as_bytes(),
        song.as_bytes(),
        &segment.kind,
        segment.start,
        segment.end,
        segment.frequencies.map(|(low, _)| low),
        segment.frequencies.map(|(_, high)| high),
        segment.confidence,
        segment.pattern.as_ref().map(|pattern| pattern.id.as_bytes()),
        segment.pattern.as_ref().and_then(|pattern| pattern.source.as_deref()),
        segment.model.as_str(),
    )
}
