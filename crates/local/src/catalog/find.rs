//! Pages of songs: filter, order and position.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, types::Value};
use songrec_core::{Digest, Filter, SongId, SongSummary, Term};
use songrec_storage::{Order, OrderBy, Page, PageToken, SongQuery};

use super::{
    Catalog,
    filter::{Sql, may_lead, songs_passing},
};
use crate::error::{Fault, Result};

/// When a page is looked for in another way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A filter that many songs pass fills a page from the first rows in
    /// order, and then nothing has to be known about the others. This many
    /// rows are examined before the set of all songs that pass is made.
    pub(super) walked: usize,
    /// A set of this size is sorted faster than it is found along an index.
    pub(super) sorted: usize,
}

const LIMITS: Limits = Limits { walked: 800, sorted: 5_000 };

/// How many songs of a term are counted to see how rare it is.
const COUNTED_AT_MOST: i64 = 8_000;

/// The most songs of one page.
const LONGEST_PAGE: usize = 1_000;

/// A song and its position in an order.
struct Position {
    n: i64,
    id: SongId,
    value: Value,
}

/// The summaries of a page.
pub(crate) fn page(connection: &Connection, query: &SongQuery) -> Result<Page<SongSummary>> {
    page_within(connection, query, LIMITS)
}

pub(super) fn page_within(
    connection: &Connection,
    query: &SongQuery,
    limits: Limits,
) -> Result<Page<SongSummary>> {
    let of = fingerprint(connection, query)?;
    let from = match &query.after {
        Some(token) => Some(parse_token(token, &of)?),
        None => None,
    };
    if query.limit == 0 {
        return Ok(Page { items: vec![], next: None });
    }
    let limit = query.limit.min(LONGEST_PAGE);
    let (summaries, more) = match walk(connection, query, from.as_ref(), limit, limits.walked)? {
        Some(found) => found,
        None => search(connection, query, from.as_ref(), limit, limits.sorted)?,
    };
    let next = summaries.last().filter(|_| more).map(|(position, _)| token(&of, position));
    Ok(Page { items: summaries.into_iter().map(|(_, summary)| summary).collect(), next })
}

/// How many songs pass.
pub(crate) fn count(connection: &Connection, filter: &Filter) -> Result<u64> {
    // Of what does not pass there is no index, but of the rest.
    if let [Term { negated: true, test }] = filter.terms.as_slice() {
        let passes = Filter { terms: vec![Term { negated: false, test: test.clone() }] };
        let all = count(connection, &Filter::all())?;
        return Ok(all - count(connection, &passes)?);
    }
    let Sql { text, params } = passing(connection, filter)?;
    let sql = format!("SELECT count(*) FROM ({text})");
    let count: i64 = connection
        .prepare_cached(&sql)?
        .query_row(rusqlite::params_from_iter(params), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The ids of all songs that pass, in no order.
pub(crate) fn ids_passing(connection: &Connection, filter: &Filter) -> Result<Vec<[u8; 16]>> {
    let Sql { text, params } = passing(connection, filter)?;
    let sql = format!("SELECT id FROM song WHERE n IN ({text})");
    let mut statement = connection.prepare_cached(&sql)?;
    let ids = statement.query_map(rusqlite::params_from_iter(params), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The summary of a song, as the catalog has it.
pub(crate) fn summary_of(connection: &Connection, id: SongId) -> Result<Option<SongSummary>> {
    let json: Option<String> = connection
        .prepare_cached("SELECT card FROM song WHERE id = ?")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    json.as_deref().map(parse_summary).transpose()
}

/// The summary of one song.
pub(crate) fn summary_of_row(connection: &Connection, n: i64) -> Result<SongSummary> {
    let json: String = connection
        .prepare_cached("SELECT card FROM song WHERE n = ?")?
        .query_row([n], |row| row.get(0))?;
    parse_summary(&json)
}

type PageRows = (Vec<(Position, SongSummary)>, bool);

// The songs that pass, led by the term that the fewest songs pass.
fn passing(connection: &Connection, filter: &Filter) -> Result<Sql> {
    let mut fewest = None;
    if filter.terms.len() > 1 {
        for (i, term) in filter.terms.iter().enumerate().filter(|(_, term)| may_lead(term)) {
            let alone = Filter { terms: vec![term.clone()] };
            let Sql { text, params } = songs_passing(&alone, Some(0));
            let sql = format!("SELECT count(*) FROM ({text} LIMIT {COUNTED_AT_MOST})");
            let count: i64 = connection
                .prepare_cached(&sql)?
                .query_row(rusqlite::params_from_iter(params), |row| row.get(0))?;
            if fewest.is_none_or(|(_, fewest)| count < fewest) {
                fewest = Some((i, count));
            }
        }
    }
    // Words are quick to look up, so they lead where nothing else is rare.
    let lead = fewest.filter(|(_, count)| *count < COUNTED_AT_MOST).map(|(i, _)| i);
    Ok(songs_passing(filter, lead))
}

// Goes through the songs in order and keeps those that pass. Gives up, with
// nothing, when too many do not.
fn walk(
    connection: &Connection,
    query: &SongQuery,
    from: Option<&Position>,
    limit: usize,
    patience: usize,
) -> Result<Option<PageRows>> {
    let is_all = query.filter.is_all();
    // Of songs that are passed over nothing has to be read.
    let with_summaries = !is_all || query.skip == 0;
    let (mut skip, mut examined) = (query.skip, 0);
    let mut found = Vec::new();
    let mut more = false;
    let ended = in_order(connection, query.order, from, with_summaries, |position, summary| {
        if let Some(summary) = summary.as_ref().filter(|_| !is_all) {
            examined += 1;
            if examined > patience {
                return Ok(ControlFlow::Break(false));
            }
            if !query.filter.passes(summary) {
                return Ok(ControlFlow::Continue(()));
            }
        }
        if skip > 0 {
            skip -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        if found.len() == limit {
            more = true;
            return Ok(ControlFlow::Break(true));
        }
        let summary = match summary {
            Some(summary) => summary,
            None => summary_of_row(connection, position.n)?,
        };
        found.push((position, summary));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(ended.then_some((found, more)))
}

// Makes the set of all songs that pass, and takes the page from it.
fn search(
    connection: &Connection,
    query: &SongQuery,
    from: Option<&Position>,
    limit: usize,
    sorted_at_most: usize,
) -> Result<PageRows> {
    let set = passing(connection, &query.filter)?;
    let passing: Vec<i64> = {
        let mut statement = connection.prepare_cached(&set.text)?;
        let rows =
            statement.query_map(rusqlite::params_from_iter(&set.params), |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let (mut positions, mut more) = (Vec::new(), false);
    let mut skip = query.skip;
    let mut take = |position: Position| {
        if skip > 0 {
            skip -= 1;
        } else if positions.len() == limit {
            more = true;
            return ControlFlow::Break(true);
        } else {
            positions.push(position);
        }
        ControlFlow::Continue(())
    };
    if passing.len() <= sorted_at_most {
        sorted(connection, query.order, from, &passing, |position| Ok(take(position)))?;
    } else {
        let largest = passing.iter().max().copied().unwrap_or(0);
        let mut passes = vec![false; usize::try_from(largest).map_or(0, |n| n + 1)];
        for n in passing {
            if let Some(bit) = usize::try_from(n).ok().and_then(|n| passes.get_mut(n)) {
                *bit = true;
            }
        }
        let passes = |n: i64| usize::try_from(n).ok().and_then(|n| passes.get(n)) == Some(&true);
        in_order(connection, query.order, from, false, |position, _| {
            Ok(if passes(position.n) { take(position) } else { ControlFlow::Continue(()) })
        })?;
    }
    let summaries = positions.into_iter().map(|position| {
        let summary = summary_of_row(connection, position.n)?;
        Ok((position, summary))
    });
    Ok((summaries.collect::<Result<_>>()?, more))
}

struct Column {
    name: &'static str,
    nullable: bool,
}

fn column(by: OrderBy) -> Option<Column> {
    let (name, nullable) = match by {
        OrderBy::Id => return None,
        OrderBy::Any => ("n", false),
        OrderBy::Title => ("title", false),
        OrderBy::Artist => ("artist", false),
        OrderBy::Album => ("album", true),
        OrderBy::Year => ("year", true),
        OrderBy::Bpm => ("bpm", true),
        OrderBy::Duration => ("duration", false),
        OrderBy::Added => ("added", false),
    };
    Some(Column { name, nullable })
}

// Visits all songs in order along an index. Returns whether all were visited, or
// what the visitor broke off with.
fn in_order(
    connection: &Connection,
    order: Order,
    from: Option<&Position>,
    with_summaries: bool,
    mut visit: impl FnMut(Position, Option<SongSummary>) -> Result<ControlFlow<bool>>,
) -> Result<bool> {
    let summary = if with_summaries { "card" } else { "NULL" };
    let mut run = |sql: String, params: Vec<Value>| -> Result<ControlFlow<bool>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            let json: Option<String> = row.get(3)?;
            let summary = json.as_deref().map(parse_summary).transpose()?;
            if let ControlFlow::Break(broken) = visit(position(row)?, summary)? {
                return Ok(ControlFlow::Break(broken));
            }
        }
        Ok(ControlFlow::Continue(()))
    };

    let direction = if order.descending { "DESC" } else { "ASC" };
    let Some(Column { name, nullable }) = column(order.by) else {
        let (condition, params) = match from {
            Some(position) if order.descending => ("id < ?", vec![blob(position.id)]),
            Some(position) => ("id > ?", vec![blob(position.id)]),
            None => ("1", vec![]),
        };
        let sql = format!(
            "SELECT n, id, NULL, {summary} FROM song WHERE {condition} ORDER BY id {direction}"
        );
        return Ok(matches!(
            run(sql, params)?,
            ControlFlow::Continue(()) | ControlFlow::Break(true)
        ));
    };
    if order.by == OrderBy::Any {
        // As the rows lie in the file.
        let (condition, params) = match from {
            Some(position) => ("n > ?", vec![position.value.clone()]),
            None => ("1", vec![]),
        };
        let sql = format!("SELECT n, id, n, {summary} FROM song WHERE {condition} ORDER BY n");
        return Ok(matches!(
            run(sql, params)?,
            ControlFlow::Continue(()) | ControlFlow::Break(true)
        ));
    }
    if from.is_none_or(|position| position.value != Value::Null) {
        let (condition, params) = match from {
            Some(position) if order.descending => (
                format!("{name} <= ?1 AND ({name} < ?1 OR id > ?2)"),
                vec![position.value.clone(), blob(position.id)],
            ),
            Some(position) => {
                (format!("({name}, id) > (?, ?)"), vec![position.value.clone(), blob(position.id)])
            }
            None => (format!("{name} IS NOT NULL"), vec![]),
        };
        let sql = format!(
            "SELECT n, id, {name}, {summary} FROM song INDEXED BY song_{name} WHERE {condition} \
             ORDER BY {name} {direction}, id"
        );
        if let ControlFlow::Break(broken) = run(sql, params)? {
            return Ok(broken);
        }
    }
    if nullable {
        let (condition, params) = match from {
            Some(position) if position.value == Value::Null => {
                (" AND id > ?", vec![blob(position.id)])
            }
            _ => ("", vec![]),
        };
        let sql = format!(
            "SELECT n, id, NULL, {summary} FROM song INDEXED BY song_{name} \
             WHERE {name} IS NULL{condition} ORDER BY id"
        );
        if let ControlFlow::Break(broken) = run(sql, params)? {
            return Ok(broken);
        }
    }
    Ok(true)
}

// Visits the songs of a small set in order.
fn sorted(
    connection: &Connection,
    order: Order,
    from: Option<&Position>,
    set: &[i64],
    mut visit: impl FnMut(Position) -> Result<ControlFlow<bool>>,
) -> Result<()> {
    let descending = order.descending && order.by != OrderBy::Any;
    let direction = if descending { "DESC" } else { "ASC" };
    let set = serde_json::to_string(set).expect("numbers are JSON");
    let mut params = vec![Value::Text(set)];
    // A plus keeps SQLite from walking along the index after all.
    let (value, condition, order_by) = match column(order.by) {
        None => {
            let (sign, position) = (if descending { "<" } else { ">" }, from);
            let condition = position.map_or(String::new(), |_| format!(" AND +id {sign} ?"));
            params.extend(position.map(|position| blob(position.id)));
            ("NULL", condition, format!("+id {direction}"))
        }
        Some(Column { name, .. }) => {
            let sign = if descending { "<" } else { ">" };
            let condition = match from {
                None => String::new(),
                Some(position) if position.value == Value::Null => {
                    params.push(blob(position.id));
                    format!(" AND {name} IS NULL AND +id > ?")
                }
                Some(position) => {
                    params.extend([
                        position.value.clone(),
                        position.value.clone(),
                        blob(position.id),
                    ]);
                    format!(
                        " AND (+{name} {sign} ? OR (+{name} = ? AND +id > ?) OR {name} IS NULL)"
                    )
                }
            };
            (name, condition, format!("{name} IS NULL, +{name} {direction}, +id"))
        }
    };
    let sql = format!(
        "SELECT n, id, {value}, NULL FROM song \
         WHERE n IN (SELECT value FROM json_each(?)){condition} ORDER BY {order_by}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(params))?;
    while let Some(row) = rows.next()? {
        if visit(position(row)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn position(row: &Row<'_>) -> Result<Position> {
    Ok(Position { n: row.get(0)?, id: SongId::from_bytes(row.get(1)?), value: row.get(2)? })
}

fn blob(id: SongId) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

fn parse_summary(json: &str) -> Result<SongSummary> {
    serde_json::from_str(json).map_err(|error| {
        Fault::Catalog(rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            Box::new(error),
        ))
    })
}

// A token is `query.id.value`, all of it in hexadecimal digits but the type of
// the value: `-`, `i…`, `r…`, `t…` or `b…`.
fn token(of: &str, position: &Position) -> PageToken {
    let value = match &position.value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => format!("i{}", hex(&number.to_be_bytes())),
        Value::Real(number) => format!("r{}", hex(&number.to_be_bytes())),
        Value::Text(text) => format!("t{}", hex(text.as_bytes())),
        Value::Blob(bytes) => format!("b{}", hex(bytes)),
    };
    PageToken(format!("{of}.{}.{value}", hex(position.id.as_bytes())))
}

fn parse_token(token: &PageToken, of: &str) -> Result<Position> {
    let parse = || {
        let mut parts = token.0.split('.');
        let (of_query, id, value) = (parts.next()?, parts.next()?, parts.next()?);
        let id = SongId::from_bytes(unhex(id)?.try_into().ok()?);
        let (kind, digits) = value.split_at_checked(1)?;
        let bytes = unhex(digits)?;
        let value = match kind {
            "-" => Value::Null,
            "i" => Value::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
            "r" => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            "t" => Value::Text(String::from_utf8(bytes).ok()?),
            "b" => Value::Blob(bytes),
            _ => return None,
        };
        (of_query == of && parts.next().is_none()).then_some(Position { n: 0, id, value })
    };
    parse().ok_or_else(|| Fault::invalid(format_args!("`{}` is no page of this query", token.0)))
}

// What a token is valid for: filter and order, and where that is the order of rows, this
// catalog.
fn fingerprint(connection: &Connection, query: &SongQuery) -> Result<String> {
    let is_any = query.order.by == OrderBy::Any;
    let epoch = is_any.then(|| Catalog::epoch(connection)).transpose()?;
    let text = format!("{:?}", (&query.filter, query.order, epoch));
    Ok(hex(&Digest::of(text.as_bytes()).0[..6]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
