//! The commands that remove documents.

use std::sync::Arc;

use super::update::contended;
use super::write::Seen;
use super::{Command, Context};
use crate::answer::Answer;
use crate::collection::Collection;
use crate::document::Document;
use crate::error::{ApiError, Result};
use crate::filter::Filter;
use crate::json::{Value, object};
use crate::projection::Projection;

/// The document as it was when it was removed, or nothing if it was not.
type Removed = std::result::Result<Option<Arc<Document>>, ApiError>;

pub(super) fn delete_one(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    command.no_options(&fields)?;
    fields.required("filter")?;
    let query = super::query::query(context, collection, &fields)?;
    let removed = match super::query::top(context, collection, &query, 0, 1)?.pop() {
        Some((document, _)) => remove(context, collection, &query.filter, &document)?,
        None => Ok(None),
    };
    Ok(answer(removed, Answer::default()))
}

pub(super) fn find_one_and_delete(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    command.no_options(&fields)?;
    let query = super::query::query(context, collection, &fields)?;
    let projection = Projection::parse(fields.get("projection"))?;
    let removed = match super::query::top(context, collection, &query, 0, 1)?.pop() {
        Some((document, _)) => remove(context, collection, &query.filter, &document)?,
        None => Ok(None),
    };
    let document = match &removed {
        Ok(Some(document)) => Some(projection.apply(document, None)),
        _ => None,
    };
    Ok(answer(removed, Answer::document(document)))
}

pub(super) fn delete_many(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    command.no_options(&fields)?;
    let filter = super::query::filter(context, collection, &fields)?;
    if filter.is_empty() {
        context.writer.truncate(context.database, collection)?;
        return Ok(Answer::status(object! { "deletedCount" => -1_i64 }));
    }
    let page = collection.page(&filter, None, context.rules.limits.delete_documents);
    let mut deleted = 0_usize;
    let mut errors: Vec<ApiError> = Vec::new();
    for document in &page.documents {
        match remove(context, collection, &filter, document)? {
            Ok(removed) => deleted += usize::from(removed.is_some()),
            Err(error) => match errors.iter_mut().find(|other| other.code == error.code) {
                Some(other) => other.document_ids.extend(error.document_ids),
                None => errors.push(error),
            },
        }
    }
    let mut status = object! { "deletedCount" => deleted };
    if page.last.is_some() {
        status.set("moreData", Value::Bool(true));
    }
    let mut answer = Answer::status(status);
    answer.errors = errors;
    Ok(answer)
}

/// Removes a document if nobody wrote it meanwhile; otherwise reads it
/// again, under the filter, and tries again.
fn remove(
    context: &Context<'_>,
    collection: &Collection,
    filter: &Filter,
    document: &Arc<Document>,
) -> Result<Removed> {
    let mut current = Arc::clone(document);
    for attempt in 1.. {
        if context.writer.compare_and_set(context.database, collection, Seen::of(&current), None)? {
            return Ok(Ok(Some(current)));
        }
        if attempt == context.rules.limits.write_attempts {
            return Ok(Err(contended(collection).about(vec![current.id().clone()])));
        }
        current = match collection.get(&current.key) {
            Some(again) if filter.matches(&again) => again,
            _ => return Ok(Ok(None)),
        };
    }
    Ok(Ok(None))
}

fn answer(removed: Removed, mut answer: Answer) -> Answer {
    let (count, error) = match removed {
        Ok(document) => (usize::from(document.is_some()), None),
        Err(error) => (0, Some(error)),
    };
    answer.status = object! { "deletedCount" => count };
    answer.errors = error.into_iter().collect();
    answer
}
