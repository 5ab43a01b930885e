//! `findAndRerank`: a search by vector and one by words, merged.
//!
//! The two lists are merged by reciprocal rank, as the server does. Then a
//! reranking model orders what is left by the text of each document; here that
//! model is a stand-in that counts how many words of the query the text has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::query::Query;
use super::{Command, Context};
use crate::answer::Answer;
use crate::collection::Collection;
use crate::document::Document;
use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::id::Key;
use crate::json::{Object, Value, object};
use crate::lexical::words;
use crate::path::Path;
use crate::projection::{Projection, vector_to_json};
use crate::sort::Sort;

/// The constant of reciprocal rank fusion.
const K: f64 = 60.0;

/// A hit of one of the searches, or of both.
struct Hit {
    document: Arc<Document>,
    similarity: Option<f32>,
    vector_rank: Option<usize>,
    word_rank: Option<usize>,
    rerank: f64,
}

impl Hit {
    fn fused(&self) -> f64 {
        let part = |rank: Option<usize>| rank.map_or(0.0, |rank| 1.0 / (K + rank as f64));
        part(self.vector_rank) + part(self.word_rank)
    }

    fn scores(&self) -> Object {
        let number = |value: f64| Value::Raw(format!("{value:?}").into());
        let rank = |rank: Option<usize>| rank.map_or(Value::Null, Value::from);
        object! {
            "$rerank" => number(self.rerank),
            "$vector" => self.similarity.map_or(Value::Null, |s| number(f64::from(s))),
            "$vectorRank" => rank(self.vector_rank),
            "$bm25Rank" => rank(self.word_rank),
            "$rrf" => number(self.fused()),
        }
    }
}

pub(super) fn find_and_rerank(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let settings = &collection.settings;
    if !settings.reranks() {
        return refuse(
            Code::NoRerankCommand,
            format!("collection `{}` was created without `rerank`", settings.name),
        );
    }
    let fields = command.members()?;
    let known = [
        "limit",
        "hybridLimits",
        "rerankQuery",
        "rerankOn",
        "includeScores",
        "includeSortVector",
        "rerank",
    ];
    let options = Fields::of(fields.get("options"), "findAndRerank.options", &known)?;
    let limit = options.count("limit", 1)?.unwrap_or(10);
    let (near, worded) = hybrid_limits(options.get("hybridLimits"))?;
    let (vector, lexical) = hybrid_sort(fields.get("sort"))?;
    let required = |name: &str| match options.string(name)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => refuse(
            Code::NoRerankQuery,
            format!("`findAndRerank.options.{name}` is needed when the sort names a `$vector`"),
        ),
    };
    let query = required("rerankQuery")?;
    let passage = Path::parse(required("rerankOn")?)
        .map_err(|problem| ApiError::new(Code::FieldValue, format!("`rerankOn`: {problem}")))?;
    let projection = Projection::parse(fields.get("projection"))?;

    let by_vector = Query {
        filter: super::query::filter(context, collection, &fields)?,
        sort: Sort::parse(Some(&Value::from(object! { "$vector" => vector })), settings)?,
    };
    let by_words = Query {
        filter: by_vector.filter.clone(),
        sort: Sort::parse(Some(&Value::from(object! { "$lexical" => lexical })), settings)?,
    };
    let mut hits: HashMap<Key, Hit> = HashMap::new();
    for (rank, (document, score)) in
        super::query::top(context, collection, &by_vector, 0, near)?.into_iter().enumerate()
    {
        let hit = merged(&mut hits, document);
        hit.vector_rank = Some(rank + 1);
        hit.similarity = score;
    }
    for (rank, (document, _)) in
        super::query::top(context, collection, &by_words, 0, worded)?.into_iter().enumerate()
    {
        merged(&mut hits, document).word_rank = Some(rank + 1);
    }
    let mut hits = reranked(hits, query, &passage);
    hits.truncate(limit);

    let documents =
        hits.iter().map(|hit| projection.apply(&hit.document, None)).collect::<Vec<_>>();
    let mut answer = Answer::documents(documents, None);
    if options.flag("includeScores")? {
        let responses: Vec<Value> =
            hits.iter().map(|hit| object! { "scores" => hit.scores() }.into()).collect();
        answer.status.set("documentResponses", responses.into());
    }
    if options.flag("includeSortVector")?
        && let Sort::Vector(vector) = &by_vector.sort
    {
        answer.status.set("sortVector", vector_to_json(vector.values()));
    }
    Ok(answer)
}

fn merged(hits: &mut HashMap<Key, Hit>, document: Arc<Document>) -> &mut Hit {
    hits.entry(document.key.clone()).or_insert(Hit {
        document,
        similarity: None,
        vector_rank: None,
        word_rank: None,
        rerank: 0.0,
    })
}

/// Orders by the words of the query that a text has, then by rank. Documents
/// without a text to judge are left out.
fn reranked(hits: HashMap<Key, Hit>, query: &str, passage: &Path) -> Vec<Hit> {
    let query: HashSet<String> = words(query).collect();
    let mut judged: Vec<Hit> = hits
        .into_values()
        .filter_map(|mut hit| {
            let text = passage.find(&hit.document.body)?.as_str()?;
            let found: HashSet<String> = words(text).collect();
            let share = query.intersection(&found).count() as f64 / query.len().max(1) as f64;
            // In the range of the logits that reranking models give.
            hit.rerank = 20.0 * share - 10.0;
            Some(hit)
        })
        .collect();
    judged.sort_by(|a, b| {
        b.rerank
            .total_cmp(&a.rerank)
            .then_with(|| b.fused().total_cmp(&a.fused()))
            .then_with(|| a.document.key.cmp(&b.document.key))
    });
    judged
}

fn hybrid_sort(sort: Option<&Value>) -> Result<(Value, Value)> {
    let hybrid = match sort.and_then(Value::as_object).and_then(Object::single) {
        Some(("$hybrid", hybrid)) => hybrid,
        _ => {
            return refuse(Code::Sort, "`findAndRerank` sorts by `$hybrid` and by nothing else");
        }
    };
    let Value::Object(parts) = hybrid else {
        return match hybrid {
            Value::String(_) => refuse(
                Code::NoEmbedding,
                "a text for `$hybrid` needs an embedding provider; send `$vector` and `$lexical`",
            ),
            other => refuse(
                Code::Sort,
                format!("`$hybrid` is a string or an object, not {}", other.kind()),
            ),
        };
    };
    let fields = Fields::of(Some(hybrid), "$hybrid", &["$vector", "$lexical", "$vectorize"])?;
    if fields.get("$vectorize").is_some() {
        return refuse(
            Code::NoEmbedding,
            "`$vectorize` needs an embedding provider; send `$vector`",
        );
    }
    match (parts.get("$vector"), parts.get("$lexical")) {
        (Some(vector), Some(lexical)) => Ok((vector.clone(), lexical.clone())),
        _ => refuse(Code::Sort, "`$hybrid` needs both `$vector` and `$lexical`"),
    }
}

/// How many hits each of the two searches gives: by vector, by words.
fn hybrid_limits(limits: Option<&Value>) -> Result<(usize, usize)> {
    const DEFAULT: usize = 50;
    let checked = |value: Option<&Value>| match value {
        None => Ok(DEFAULT),
        Some(value) => match value.as_integer().map(usize::try_from) {
            Some(Ok(limit @ 1..=100)) => Ok(limit),
            _ => refuse(Code::FieldValue, format!("`hybridLimits` are 1 to 100, not {value}")),
        },
    };
    match limits {
        Some(Value::Object(both)) => {
            let place = "findAndRerank.options.hybridLimits";
            Fields::of(limits, place, &["$vector", "$lexical"])?;
            Ok((checked(both.get("$vector"))?, checked(both.get("$lexical"))?))
        }
        other => Ok((checked(other)?, checked(other)?)),
    }
}
