//! What the commands on documents share: a filter, a sort, and their matches.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::Context;
use crate::collection::Collection;
use crate::document::Document;
use crate::error::{Code, Result, refuse};
use crate::fields::Fields;
use crate::filter::Filter;
use crate::lexical;
use crate::sort::{Sort, compare_documents};
use crate::vector::Vector;

/// Which documents, in which order.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) filter: Filter,
    pub(super) sort: Sort,
}

/// Documents, best first, with their scores where there are any.
pub(super) type Ranked = Vec<(Arc<Document>, Option<f32>)>;

pub(super) fn filter(
    context: &Context<'_>,
    collection: &Collection,
    fields: &Fields<'_>,
) -> Result<Filter> {
    Filter::parse(fields.get("filter"), &collection.settings, &context.rules.limits)
}

pub(super) fn query(
    context: &Context<'_>,
    collection: &Collection,
    fields: &Fields<'_>,
) -> Result<Query> {
    Ok(Query {
        filter: filter(context, collection, fields)?,
        sort: Sort::parse(fields.get("sort"), &collection.settings)?,
    })
}

/// The first matches in the order of the sort. Without a sort, by token.
pub(super) fn top(
    context: &Context<'_>,
    collection: &Collection,
    query: &Query,
    skip: usize,
    count: usize,
) -> Result<Ranked> {
    let plain = |documents: Vec<Arc<Document>>| documents.into_iter().map(|d| (d, None)).collect();
    match &query.sort {
        Sort::None => Ok(plain(collection.page(&query.filter, None, count).documents)),
        Sort::Vector(vector) => Ok(nearest(context, collection, &query.filter, vector, count)),
        Sort::Lexical(words) => {
            let ranked = collection.with_all(|all| {
                lexical::rank(words, all, |document| query.filter.matches(document))
            });
            Ok(plain(ranked.into_iter().take(count).collect()))
        }
        Sort::Fields(fields) => {
            let limit = context.rules.limits.sort_documents;
            let mut found = Vec::new();
            collection.visit(&query.filter, None, |document| {
                found.push(Arc::clone(document));
                found.len() < limit
            });
            if found.len() >= limit {
                return refuse(
                    Code::SortLimit,
                    format!(
                        "the filter leaves {limit} documents or more, which are not sorted; narrow the filter"
                    ),
                );
            }
            found.sort_by(|a, b| compare_documents(a, b, fields));
            Ok(plain(found.into_iter().skip(skip).take(count).collect()))
        }
    }
}

/// The nearest documents, by an exact search.
fn nearest(
    context: &Context<'_>,
    collection: &Collection,
    filter: &Filter,
    vector: &Vector,
    count: usize,
) -> Ranked {
    let Some(space) = &collection.settings.vector else { return Vec::new() };
    let misses = context.rules.missed_neighbors > 0.0;
    let mut best = Best::new(if misses { usize::MAX } else { count });
    collection.visit(filter, None, |document| {
        if let Some(other) = &document.vector {
            best.offer(vector.similarity(other, space.metric), document);
        }
        true
    });
    if misses {
        miss_some(context, &mut best.scored, vector);
        best.count = count;
    }
    best.into_ranked()
}

/// Forgets the configured part of the candidates; the same for the same query.
fn miss_some(context: &Context<'_>, scored: &mut Vec<(f32, Arc<Document>)>, vector: &Vector) {
    let missed = (context.rules.missed_neighbors * scored.len() as f64).round() as usize;
    if missed == 0 {
        return;
    }
    let seed = vector.values().iter().fold(0_u64, |hash, value| {
        hash.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(value.to_bits())
    });
    scored.shuffle(&mut StdRng::seed_from_u64(seed));
    scored.truncate(scored.len() - missed);
}

/// The best of many, without keeping them all.
struct Best {
    count: usize,
    scored: Vec<(f32, Arc<Document>)>,
    /// What is worse is not among the best.
    floor: f32,
}

impl Best {
    fn new(count: usize) -> Self {
        Self { count, scored: Vec::new(), floor: f32::NEG_INFINITY }
    }

    fn offer(&mut self, score: f32, document: &Arc<Document>) {
        if score < self.floor {
            return;
        }
        self.scored.push((score, Arc::clone(document)));
        // Cut when twice full: each document is looked at a constant number of times.
        if self.scored.len() >= self.count.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.count > 0 && self.count < self.scored.len() {
            let (_, (score, _), _) = self.scored.select_nth_unstable_by(self.count - 1, better);
            self.floor = *score;
        }
        self.scored.truncate(self.count);
    }

    fn into_ranked(mut self) -> Ranked {
        self.cut();
        self.scored.sort_by(better);
        self.scored.into_iter().map(|(score, document)| (document, Some(score))).collect()
    }
}

fn better((a, x): &(f32, Arc<Document>), (b, y): &(f32, Arc<Document>)) -> std::cmp::Ordering {
    b.total_cmp(a).then_with(|| x.key.cmp(&y.key))
}

/// The `limit` of a vector search.
pub(super) fn vector_limit(limit: Option<usize>, most: usize) -> Result<usize> {
    match limit {
        Some(limit) if limit > most => refuse(
            Code::FieldValue,
            format!("`find.options.limit` of a vector search must be at most {most}, not {limit}"),
        ),
        limit => Ok(limit.unwrap_or(most)),
    }
}
