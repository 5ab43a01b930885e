//! `find`, `findOne` and the counts.

use super::query::vector_limit;
use super::{Command, Context};
use crate::answer::Answer;
use crate::collection::{Collection, Page};
use crate::error::{Code, Result, refuse};
use crate::fields::Fields;
use crate::id::Key;
use crate::json::{Value, object};
use crate::paging::PageState;
use crate::projection::{Projection, vector_to_json};
use crate::sort::Sort;

pub(super) fn find(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let known =
        ["limit", "skip", "pageState", "pagingState", "includeSimilarity", "includeSortVector"];
    let options = Fields::of(fields.get("options"), "find.options", &known)?;
    let limit = options.count("limit", 1)?;
    // The server lists a `skip` below zero twice.
    let skip = options.count("skip", 0).map_err(|error| match error.code {
        Code::FieldValue => error.twice(),
        _ => error,
    })?;
    let state = match options.string("pageState")? {
        Some(state) => Some(state),
        None => options.string("pagingState")?,
    };
    let include_similarity = options.flag("includeSimilarity")?;
    let include_sort_vector = options.flag("includeSortVector")?;
    let query = super::query::query(context, collection, &fields)?;
    let projection = Projection::parse(fields.get("projection"))?;

    if state.is_some() && !query.sort.is_none() {
        return refuse(Code::Sort, "`pageState` cannot be used with a sort clause");
    }
    if skip.is_some_and(|skip| skip > 0) && !matches!(query.sort, Sort::Fields(_)) {
        let problem = match query.sort {
            Sort::None => "`find.options.skip` needs a sort clause",
            _ => "`find.options.skip` cannot be used with this sort clause",
        };
        return refuse(Code::FieldValue, problem);
    }
    let limits = &context.rules.limits;
    let count = match &query.sort {
        Sort::None => {
            return scan(
                context,
                collection,
                &query.filter,
                &projection,
                state,
                limit,
                include_sort_vector,
            );
        }
        Sort::Fields(_) => limit.unwrap_or(usize::MAX).min(limits.page_size),
        Sort::Vector(_) => vector_limit(limit, limits.vector_search)?,
        Sort::Lexical(_) => vector_limit(Some(limit.unwrap_or(100)), limits.vector_search)?,
    };
    let documents = super::query::top(context, collection, &query, skip.unwrap_or(0), count)?
        .into_iter()
        .map(|(document, score)| projection.apply(&document, score.filter(|_| include_similarity)))
        .collect();
    let mut answer = Answer::documents(documents, None);
    if include_sort_vector {
        answer.status.set("sortVector", sort_vector(&query.sort));
    }
    Ok(answer)
}

/// One page in the order of tokens.
fn scan(
    context: &Context<'_>,
    collection: &Collection,
    filter: &crate::filter::Filter,
    projection: &Projection,
    state: Option<&str>,
    limit: Option<usize>,
    include_sort_vector: bool,
) -> Result<Answer> {
    let start = match state {
        Some(state) => PageState::decode(state)?,
        None => PageState { after: None, remaining: limit },
    };
    let remaining = start.remaining.unwrap_or(usize::MAX);
    if context.empty_page && remaining > 0 {
        return Ok(Answer::documents(Vec::new(), Some(start.encode())));
    }
    // Ids are read one by one and answered in one page.
    let size = if filter.ids().is_some() { usize::MAX } else { context.rules.limits.page_size };
    let page = collection.page(filter, start.after.as_ref(), size.min(remaining));
    let found = page.documents.len();
    let next =
        resumes_at(context, &page, size).filter(|_| found < remaining).map(|last| PageState {
            after: Some(last),
            remaining: start.remaining.map(|remaining| remaining - found),
        });
    let documents =
        page.documents.iter().map(|document| projection.apply(document, None)).collect();
    let next = next.filter(|_| !include_sort_vector).map(|next| next.encode());
    let mut answer = Answer::documents(documents, next);
    if include_sort_vector {
        answer.status.set("sortVector", Value::Null);
    }
    Ok(answer)
}

pub(super) fn find_one(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let known = ["includeSimilarity", "includeSortVector"];
    let options = Fields::of(fields.get("options"), "findOne.options", &known)?;
    let include_similarity = options.flag("includeSimilarity")?;
    let include_sort_vector = options.flag("includeSortVector")?;
    let query = super::query::query(context, collection, &fields)?;
    let projection = Projection::parse(fields.get("projection"))?;
    let document = super::query::top(context, collection, &query, 0, 1)?
        .pop()
        .map(|(document, score)| projection.apply(&document, score.filter(|_| include_similarity)));
    let mut answer = Answer::document(document);
    if include_sort_vector {
        answer.status.set("sortVector", sort_vector(&query.sort));
    }
    Ok(answer)
}

pub(super) fn count_documents(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    command.no_options(&fields)?;
    let filter = super::query::filter(context, collection, &fields)?;
    let most = context.rules.limits.count;
    if filter.is_empty() && most.is_none() {
        return Ok(Answer::status(object! { "count" => collection.len() }));
    }
    let mut count = 0;
    collection.visit(&filter, None, |_| {
        count += 1;
        most.is_none_or(|most| count <= most)
    });
    Ok(match most {
        Some(most) if count > most => {
            Answer::status(object! { "count" => most, "moreData" => true })
        }
        _ => Answer::status(object! { "count" => count }),
    })
}

/// The server's estimate is minutes old: of what was written lately it
/// knows nothing.
pub(super) fn estimated_count(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    command.no_options(&command.members()?)?;
    let count = if context.rules.late_estimates { collection.estimate() } else { collection.len() };
    Ok(Answer::status(object! { "count" => count }))
}

/// Where the scan goes on after `page`, of which `size` rows were wanted.
/// The database tells that there is no more only with a page that is not
/// full, so an empty one may come last.
pub(super) fn resumes_at(context: &Context<'_>, page: &Page, size: usize) -> Option<Key> {
    match &page.last {
        Some(last) => Some(last.clone()),
        None if context.rules.empty_last_pages && page.documents.len() == size => {
            page.documents.last().map(|document| document.key.clone())
        }
        None => None,
    }
}

fn sort_vector(sort: &Sort) -> Value {
    match sort {
        Sort::Vector(vector) => vector_to_json(vector.values()),
        _ => Value::Null,
    }
}
