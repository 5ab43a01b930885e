//! `insertOne` and `insertMany`.

use std::sync::Arc;

use super::{Command, Context};
use crate::answer::Answer;
use crate::collection::Collection;
use crate::document::{Document, shred};
use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::id::Key;
use crate::json::{Object, Value, object};

/// One document of an insert, and what became of it.
enum Attempt {
    Ready(Arc<Document>),
    Inserted(Value),
    Failed(Option<Value>, ApiError),
    Skipped(Option<Value>),
}

pub(super) fn insert_one(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    command.no_options(&fields)?;
    let document = match command.arguments.as_object().and_then(|all| all.get("document")) {
        Some(document) => document,
        None => fields.required("document")?,
    };
    let attempts = insert(context, collection, std::slice::from_ref(document), true)?;
    Ok(plain(attempts))
}

pub(super) fn insert_many(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let place = "insertMany.options";
    let options =
        Fields::of(fields.get("options"), place, &["ordered", "returnDocumentResponses"])?;
    let ordered = options.flag("ordered")?;
    let responses = options.flag("returnDocumentResponses")?;
    fields.required("documents")?;
    let documents = fields.array("documents")?.unwrap_or_default();
    let most = context.rules.limits.insert_documents;
    if documents.is_empty() || documents.len() > most {
        return refuse(
            Code::FieldValue,
            format!(
                "`insertMany.documents` must have 1 to {most} documents, not {}",
                documents.len()
            ),
        );
    }
    let attempts = insert(context, collection, documents, ordered)?;
    Ok(if responses { one_by_one(attempts) } else { plain(attempts) })
}

fn insert(
    context: &Context<'_>,
    collection: &Collection,
    documents: &[Value],
    ordered: bool,
) -> Result<Vec<Attempt>> {
    let mut attempts: Vec<Attempt> =
        documents.iter().map(|document| prepare(context, collection, document)).collect();
    // The collection is asked for what it is not: no document is looked at.
    let without_vectors = attempts.iter_mut().find_map(|attempt| match attempt {
        Attempt::Failed(_, error) if error.code == Code::NoVectors => Some(error),
        _ => None,
    });
    if let Some(error) = without_vectors {
        return Err(ApiError::new(error.code, std::mem::take(&mut error.message)));
    }
    // In order, nothing after the first failure is tried.
    let tried = match attempts.iter().position(|a| matches!(a, Attempt::Failed(..))) {
        Some(first) if ordered => first,
        _ => attempts.len(),
    };
    let ready: Vec<Arc<Document>> = attempts[..tried]
        .iter()
        .filter_map(|attempt| match attempt {
            Attempt::Ready(document) => Some(Arc::clone(document)),
            _ => None,
        })
        .collect();
    let mut outcomes =
        context.writer.insert(context.database, collection, &ready, ordered)?.into_iter();
    let mut failed = false;
    for attempt in &mut attempts {
        let Attempt::Ready(document) = attempt else {
            let Attempt::Failed(id, _) = attempt else { continue };
            if failed && ordered {
                *attempt = Attempt::Skipped(id.take());
            }
            failed = true;
            continue;
        };
        let id = document.id().clone();
        *attempt = match outcomes.next() {
            _ if failed && ordered => Attempt::Skipped(Some(id)),
            Some(true) => Attempt::Inserted(id),
            Some(false) => {
                failed = true;
                let error = ApiError::new(
                    Code::AlreadyExists,
                    format!(
                        "collection `{}` has a document with `_id` {id}",
                        collection.settings.name
                    ),
                );
                Attempt::Failed(Some(id.clone()), error.about(vec![id]))
            }
            None => Attempt::Skipped(Some(id)),
        };
    }
    Ok(attempts)
}

fn prepare(context: &Context<'_>, collection: &Collection, document: &Value) -> Attempt {
    let Value::Object(body) = document else {
        let message = format!("a document is an object, not {}", document.kind());
        return Attempt::Failed(None, ApiError::new(Code::DocumentType, message));
    };
    let id = body.get("_id").filter(|id| Key::of(id).is_ok()).cloned();
    let version = collection.next_version();
    match shred(body.clone(), &collection.settings, &context.rules.limits, version) {
        Ok(document) => Attempt::Ready(document),
        Err(error) => {
            let about = id.iter().cloned().collect();
            Attempt::Failed(id, error.about(about))
        }
    }
}

fn plain(attempts: Vec<Attempt>) -> Answer {
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    for attempt in attempts {
        match attempt {
            Attempt::Inserted(id) => ids.push(id),
            Attempt::Failed(_, error) => errors.push(error),
            Attempt::Ready(_) | Attempt::Skipped(_) => {}
        }
    }
    let mut answer = Answer::status(object! { "insertedIds" => ids });
    answer.errors = errors;
    answer
}

fn one_by_one(attempts: Vec<Attempt>) -> Answer {
    let (mut responses, mut errors) = (Vec::new(), Vec::<ApiError>::new());
    for attempt in attempts {
        let mut response = Object::new();
        let mut respond = |id: Option<Value>, status: &str| {
            if let Some(id) = id {
                response.set("_id", id);
            }
            response.set("status", Value::from(status));
        };
        match attempt {
            Attempt::Inserted(id) => respond(Some(id), "OK"),
            Attempt::Skipped(id) => respond(id, "SKIPPED"),
            Attempt::Ready(document) => respond(Some(document.id().clone()), "SKIPPED"),
            Attempt::Failed(id, error) => {
                respond(id, "ERROR");
                let index = errors.iter().position(|other| *other == error).unwrap_or_else(|| {
                    errors.push(error);
                    errors.len() - 1
                });
                response.set("errorsIdx", Value::from(index));
            }
        }
        responses.push(Value::from(response));
    }
    let mut answer = Answer::status(object! { "documentResponses" => responses });
    answer.errors = errors;
    answer
}
