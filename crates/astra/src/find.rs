//! Finding and counting songs.
//!
//! In the order of ids a page of ours is cut out of pages of the server, whose
//! order means nothing but never changes. In every other order the server
//! sorts, and a page begins after the last song of the page before it, so that
//! what comes and goes meanwhile moves nothing else.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{Digest, Filter, Song, SongId, SongSummary};
use songrec_storage::{Order, OrderBy, Page, PageToken, Result, SongQuery};
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    client::{self, Find, Problem},
    facets::{Conditions, ID_DIGITS, has_more, one_of},
    row::{PRESENT, Row, WrongRow, order_path},
    shared::{AT_ONCE, Shared, at_once},
};

/// Songs in one page at the most.
const LARGEST_PAGE: usize = 1000;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    /// Of which query it is.
    q: String,
    #[serde(flatten)]
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Place {
    /// After the song with this value and id.
    After { v: Option<Value>, i: SongId },
    /// In the server's page that begins there, without those already given.
    Within { s: Option<String>, g: Vec<SongId> },
}

/// Lists of songs: by filter, in an order, page by page.
#[derive(Debug)]
pub(crate) struct SongSearch {
    shared: Arc<Shared>,
}

impl SongSearch {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn page_of_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        let read = |row: &Row| -> std::result::Result<Option<(SongSummary, Song)>, WrongRow> {
            Ok(row.song()?.map(|song| (SongSummary::of(&song), song)))
        };
        self.page(query, json!({"song": 1, "state": 1, "sync": 1, "keys": 1}), read).await
    }

    pub(crate) async fn page_of_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        let read =
            |row: &Row| -> std::result::Result<Option<(SongSummary, SongSummary)>, WrongRow> {
                let summary = row.summary()?;
                Ok(row.is_present().then(|| (summary.clone(), summary)))
            };
        self.page(query, json!({"card": 1, "state": 1}), read).await
    }

    async fn page<T: Send>(
        &self,
        query: &SongQuery,
        projection: Value,
        read: impl Fn(&Row) -> std::result::Result<Option<(SongSummary, T)>, WrongRow> + Sync,
    ) -> Result<Page<T>> {
        let fingerprint = fingerprint(query);
        let place = match &query.after {
            None => None,
            Some(token) => Some(self.read_token(token, &fingerprint)?),
        };
        // Nobody has as many songs, and the server refuses such numbers.
        if query.limit == 0 || query.skip > i32::MAX as usize {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let is_any = query.order.by == OrderBy::Any;
        let found = if is_any || query.order == (Order { by: OrderBy::Id, descending: false }) {
            self.unsorted_page(query, place, projection, &read).await
        } else {
            self.sorted_page(query, place, projection, &read).await
        };
        let (items, next) = found?;
        let next = next.map(|place| token(&Token { q: fingerprint, place }));
        Ok(Page { items, next })
    }

    fn read_token(&self, token: &PageToken, fingerprint: &str) -> Result<Place> {
        let read = URL_SAFE_NO_PAD.decode(&token.0).ok();
        let read: Option<Token> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match read.filter(|token| token.q == fingerprint) {
            Some(token) => Ok(token.place),
            None => Err(self
                .shared
                .invalid("list", "songs", "the page token is of another query")
                .with_hint("begin without a token")),
        }
    }

    async fn unsorted_page<T>(
        &self,
        query: &SongQuery,
        place: Option<Place>,
        projection: Value,
        read: &(impl Fn(&Row) -> std::result::Result<Option<(SongSummary, T)>, WrongRow> + Sync),
    ) -> Result<(Vec<T>, Option<Place>)> {
        let (mut state, mut given) = match place {
            None => (None, Vec::new()),
            Some(Place::Within { s, g }) => (s, g),
            Some(Place::After { .. }) => {
                return Err(self.shared.invalid(
                    "list",
                    "songs",
                    "the page token is of another order",
                ));
            }
        };
        let limit = query.limit.min(LARGEST_PAGE);
        let conditions = Conditions::of(&query.filter, vec![json!({"state": PRESENT})]);
        let mut filter = conditions.filter();
        let mut skip = query.skip;
        let mut items = Vec::new();
        loop {
            let find = Find::new(filter.clone()).project(projection.clone()).after(state.clone());
            let page = match self.shared.songs.find_page::<Row>(&find).await {
                Ok(page) => page,
                Err(error) if is_too_much(&error) && filter != bare() => {
                    filter = bare();
                    continue;
                }
                Err(error) => return Err(self.shared.failed("list", "songs", error)),
            };
            for row in &page.documents {
                if given.contains(&row.id) {
                    continue;
                }
                if items.len() == limit {
                    return Ok((items, Some(Place::Within { s: state, g: given })));
                }
                given.push(row.id);
                let Some((summary, item)) = read_or_warn(row, read) else { continue };
                if !query.filter.passes(&summary) {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                items.push(item);
            }
            let Some(next) = page.next else { return Ok((items, None)) };
            state = Some(next);
            given.clear();
            if items.len() == limit {
                return Ok((items, Some(Place::Within { s: state, g: given })));
            }
        }
    }

    // Songs with the value first, then those without it, each by themselves:
    // the server would put those without it first when it sorts upwards.
    async fn sorted_page<T>(
        &self,
        query: &SongQuery,
        place: Option<Place>,
        projection: Value,
        read: &(impl Fn(&Row) -> std::result::Result<Option<(SongSummary, T)>, WrongRow> + Sync),
    ) -> Result<(Vec<T>, Option<Place>)> {
        let (path, may_lack) = order_path(query.order.by);
        let mut place = match place {
            None => None,
            Some(Place::After { v, i }) => Some((v, i)),
            Some(Place::Within { .. }) => {
                return Err(self.shared.invalid(
                    "list",
                    "songs",
                    "the page token is of another order",
                ));
            }
        };
        let limit = query.limit.min(LARGEST_PAGE);
        let mut projection = projection;
        projection["order"] = json!(1);
        let descending = query.order.descending;
        let mut skip = query.skip;
        let mut items: Vec<T> = Vec::new();
        let mut last_given = place.clone();
        let phases: &[bool] = match &place {
            Some((None, _)) => &[false],
            _ if may_lack => &[true, false],
            _ => &[true],
        };
        for with_value in phases.iter().copied() {
            let sort = match with_value {
                true => Sort { by: path, down: descending },
                false => Sort { by: "order.id", down: false },
            };
            loop {
                let mut base = vec![json!({"state": PRESENT})];
                if may_lack && !(with_value && place.is_some()) {
                    base.push(json!({path: {"$exists": with_value}}));
                }
                if let Some((value, id)) = &place {
                    base.push(sort.after(value.as_ref(), *id));
                }
                let conditions = Conditions::of(&query.filter, base);
                // The server can leave songs out only if it finds none too
                // many, and only where it sees all songs.
                let exact = conditions.exact && !conditions.by_lists && !may_lack;
                let asked =
                    limit - items.len() + 1 + if exact { 0 } else { skip.min(LARGEST_PAGE) };
                let server_skip = if exact { skip } else { 0 };
                let find = Find::new(conditions.filter())
                    .project(projection.clone())
                    .sort(sort.command())
                    .limit(asked)
                    .skip(server_skip);
                let rows = match self.shared.songs.find_page::<SortedRow>(&find).await {
                    Ok(page) => page.documents,
                    Err(error) if error.problem() == Problem::SortTooLarge => {
                        let find = Find::new(conditions.filter()).project(projection.clone());
                        let mut rows = self.sort_here(find, sort, asked + server_skip).await?;
                        rows.drain(..rows.len().min(server_skip));
                        rows
                    }
                    Err(error) => return Err(self.shared.failed("list", "songs", error)),
                };
                if exact {
                    skip = 0;
                }
                let last = self.shared.is_last_page(rows.len(), asked);
                for sorted in rows {
                    if items.len() == limit {
                        let next = last_given.map(|(v, i)| Place::After { v, i });
                        return Ok((items, next));
                    }
                    let value = with_value.then(|| sorted.value(sort.by));
                    place = Some((value, sorted.row.id));
                    last_given.clone_from(&place);
                    let Some((summary, item)) = read_or_warn(&sorted.row, read) else { continue };
                    if !query.filter.passes(&summary) {
                        continue;
                    }
                    if skip > 0 {
                        skip -= 1;
                        continue;
                    }
                    items.push(item);
                }
                if last {
                    break;
                }
            }
            place = None;
        }
        Ok((items, None))
    }

    // For more songs than the server sorts: all of them pass by, and the first
    // `wanted` stay.
    async fn sort_here(&self, find: Find, sort: Sort, wanted: usize) -> Result<Vec<SortedRow>> {
        let failed = |error| self.shared.failed("list", "songs", error);
        let mut all = std::pin::pin!(self.shared.songs.find::<SortedRow>(find));
        let mut first: Vec<SortedRow> = Vec::new();
        while let Some(row) = all.try_next().await.map_err(failed)? {
            first.push(row);
            if first.len() > wanted.saturating_mul(2).saturating_add(1000) {
                first.sort_by(|left, right| sort.compare(left, right));
                first.truncate(wanted);
            }
        }
        first.sort_by(|left, right| sort.compare(left, right));
        first.truncate(wanted);
        Ok(first)
    }

    /// Counts as the server does, up to 1,000 at once; where there are more,
    /// songs are counted by the beginnings of their ids.
    pub(crate) async fn count(&self, filter: &Filter) -> Result<u64> {
        let conditions = Conditions::of(filter, vec![json!({"state": PRESENT})]);
        let mut exact = conditions.exact;
        if exact && conditions.by_lists {
            let more = self.shared.songs.find_one::<Row>(has_more(), json!({"state": 1})).await;
            exact = more.map_err(|error| self.shared.failed("count", "songs", error))?.is_none();
        }
        if !exact {
            return self.count_summaries(filter, &conditions).await;
        }
        let mut sum = 0;
        let mut open = vec![String::new()];
        while !open.is_empty() {
            let parts = std::mem::take(&mut open).into_iter().map(|prefix| {
                let mut conditions = conditions.clone();
                if !prefix.is_empty() {
                    conditions.admit_always(json!({"find.id": prefix}));
                }
                async move { Ok((prefix, self.shared.songs.count(conditions.filter()).await?)) }
            });
            let counted = match at_once(AT_ONCE, parts.collect()).await {
                Ok(counted) => counted,
                Err(error) if is_too_much(&error) => {
                    let all = Conditions::of(&Filter::all(), vec![bare()]);
                    return self.count_summaries(filter, &all).await;
                }
                Err(error) => return Err(self.shared.failed("count", "songs", error)),
            };
            for (prefix, count) in counted {
                if count.more && prefix.len() < ID_DIGITS {
                    open.extend("0123456789abcdef".chars().map(|digit| format!("{prefix}{digit}")));
                } else {
                    sum += count.count;
                }
            }
        }
        Ok(sum)
    }

    async fn count_summaries(&self, filter: &Filter, conditions: &Conditions) -> Result<u64> {
        let find = Find::new(conditions.filter()).project(json!({"card": 1, "state": 1}));
        let mut rows = std::pin::pin!(self.shared.songs.find::<Row>(find));
        let mut sum = 0;
        while let Some(row) =
            rows.try_next().await.map_err(|error| self.shared.failed("count", "songs", error))?
        {
            let summary =
                row.summary().map_err(|error| self.shared.unreadable("count", "songs", error))?;
            sum += u64::from(filter.passes(&summary));
        }
        Ok(sum)
    }
}

// One song that cannot be read must not hide the others; `verify` tells.
fn read_or_warn<T>(
    row: &Row,
    read: impl Fn(&Row) -> std::result::Result<Option<(SongSummary, T)>, WrongRow>,
) -> Option<(SongSummary, T)> {
    read(row).unwrap_or_else(|wrong| {
        tracing::warn!("left out of a list: {wrong}");
        None
    })
}

fn bare() -> Value {
    json!({"state": PRESENT})
}

fn is_too_much(error: &client::Error) -> bool {
    error.problem() == Problem::Unsupported
}

#[derive(Clone, Copy)]
struct Sort {
    by: &'static str,
    down: bool,
}

impl Sort {
    // Songs with equal values come by their `_id`s, whatever the direction.
    fn command(self) -> Value {
        json!({self.by: if self.down { -1 } else { 1 }})
    }

    // What comes after the song with this value and id.
    fn after(self, value: Option<&Value>, id: SongId) -> Value {
        let beyond = if self.down { "$lt" } else { "$gt" };
        match value.filter(|_| self.by != "order.id") {
            None => json!({"order.id": {beyond: id}}),
            Some(value) => one_of(vec![
                json!({self.by: {beyond: value}}),
                json!({self.by: value, "order.id": {"$gt": id}}),
            ]),
        }
    }

    fn compare(self, left: &SortedRow, right: &SortedRow) -> std::cmp::Ordering {
        let by_value = match (left.value(self.by), right.value(self.by)) {
            (Value::String(left), Value::String(right)) => left.cmp(&right),
            (left, right) => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.as_f64().unwrap_or(0.0).total_cmp(&right.as_f64().unwrap_or(0.0)),
            },
        };
        let by_value = if self.down { by_value.reverse() } else { by_value };
        by_value.then(left.row.id.cmp(&right.row.id))
    }
}

#[derive(Debug, Deserialize)]
struct SortedRow {
    #[serde(flatten)]
    row: Row,
    #[serde(default)]
    order: Value,
}

impl SortedRow {
    fn value(&self, path: &str) -> Value {
        self.order[path.strip_prefix("order.").unwrap_or(path)].clone()
    }
}

// A token belongs to one filter and one order.
fn fingerprint(query: &SongQuery) -> String {
    let text = format!("{:?} {:?}", query.filter, query.order);
    Digest::of(text.as_bytes()).to_string()[..16].to_owned()
}

fn token(token: &Token) -> PageToken {
    PageToken(URL_SAFE_NO_PAD.encode(crate::row::text(token)))
}
