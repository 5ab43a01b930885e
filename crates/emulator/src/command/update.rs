//! The commands that change documents.

use std::sync::Arc;

use super::query::Query;
use super::write::Seen;
use super::{Command, Context};
use crate::answer::Answer;
use crate::collection::Collection;
use crate::document::{Document, shred, shred_updated};
use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::filter::Filter;
use crate::id::Key;
use crate::json::{Object, Value, object};
use crate::limits::Limits;
use crate::paging::PageState;
use crate::projection::Projection;
use crate::update::Update;

/// What is done to each document.
enum Edit {
    Update(Update),
    /// A document without `_id`, and the `_id` it came with.
    Replace(Object, Option<Value>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Return {
    Nothing,
    Before,
    After,
}

/// What became of one document.
struct Outcome {
    id: Value,
    modified: bool,
    /// What `findOneAnd…` answers.
    document: Option<Object>,
    error: Option<ApiError>,
}

struct Plan<'a> {
    collection: &'a Collection,
    query: Query,
    edit: Edit,
    upsert: bool,
    answer: Return,
    projection: Projection,
}

impl Plan<'_> {
    fn shred(&self, body: Object, limits: &Limits, version: u64) -> Result<Arc<Document>> {
        let shred = match &self.edit {
            Edit::Update(_) => shred_updated,
            Edit::Replace(..) => shred,
        };
        shred(body, &self.collection.settings, limits, version)
    }
}

pub(super) fn update_one(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let options = Fields::of(fields.get("options"), "updateOne.options", &["upsert"])?;
    let plan = Plan {
        collection,
        edit: Edit::Update(Update::parse(fields.required("update")?)?),
        query: super::query::query(context, collection, &fields)?,
        upsert: options.flag("upsert")?,
        answer: Return::Nothing,
        projection: Projection::everything(),
    };
    one(context, &plan)
}

pub(super) fn find_one_and_update(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let edit = Edit::Update(Update::parse(fields.required("update")?)?);
    find_one_and(context, collection, command, &fields, edit)
}

pub(super) fn find_one_and_replace(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let replacement = fields.required("replacement")?;
    let Value::Object(replacement) = replacement else {
        return refuse(
            Code::Structure,
            format!(
                "`findOneAndReplace.replacement` must be an object, not {}",
                replacement.kind()
            ),
        );
    };
    let mut replacement = replacement.clone();
    let id = replacement.remove("_id");
    if let Some(id) = &id {
        Key::of(id)?;
    }
    find_one_and(context, collection, command, &fields, Edit::Replace(replacement, id))
}

fn find_one_and(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
    fields: &Fields<'_>,
    edit: Edit,
) -> Result<Answer> {
    let place = format!("{}.options", command.name);
    let options = Fields::of(fields.get("options"), &place, &["returnDocument", "upsert"])?;
    let answer = match options.string("returnDocument")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("before") => Return::Before,
        Some("after") => Return::After,
        Some(other) => {
            return refuse(
                Code::FieldValue,
                format!("`{place}.returnDocument` must be `before` or `after`, not `{other}`"),
            );
        }
    };
    one(
        context,
        &Plan {
            collection,
            edit,
            query: super::query::query(context, collection, fields)?,
            upsert: options.flag("upsert")?,
            answer,
            projection: Projection::parse(fields.get("projection"))?,
        },
    )
}

/// Edits the first match.
fn one(context: &Context<'_>, plan: &Plan<'_>) -> Result<Answer> {
    let found = super::query::top(context, plan.collection, &plan.query, 0, 1)?.pop();
    let (matched, outcome, upserted) = match found {
        Some((document, _)) => (1_usize, edit(context, plan, &document)?, None),
        None if plan.upsert => {
            let outcome = upsert(context, plan)?;
            let id = outcome.upserted.clone();
            (0, outcome.outcome, id)
        }
        None => (0, None, None),
    };
    let modified = usize::from(outcome.as_ref().is_some_and(|outcome| outcome.modified));
    let mut status = Object::new();
    if let Some(id) = upserted {
        status.set("upsertedId", id);
    }
    status.set("matchedCount", Value::from(matched));
    status.set("modifiedCount", Value::from(modified));
    let (document, error, id) = match outcome {
        Some(Outcome { document, error, id, .. }) => (document, error, Some(id)),
        None => (None, None, None),
    };
    let mut answer = match plan.answer {
        Return::Nothing => Answer::default(),
        Return::Before | Return::After => Answer::document(document),
    };
    answer.status = status;
    answer.errors = error.map(|error| error.about(id.into_iter().collect())).into_iter().collect();
    Ok(answer)
}

pub(super) fn update_many(
    context: &Context<'_>,
    collection: &Collection,
    command: &Command,
) -> Result<Answer> {
    let fields = command.members()?;
    let options = Fields::of(
        fields.get("options"),
        "updateMany.options",
        &["upsert", "pageState", "pagingState"],
    )?;
    let state = match options.string("pageState")? {
        Some(state) => Some(state),
        None => options.string("pagingState")?,
    };
    let plan = Plan {
        collection,
        edit: Edit::Update(Update::parse(fields.required("update")?)?),
        query: Query {
            filter: super::query::filter(context, collection, &fields)?,
            sort: crate::sort::Sort::None,
        },
        upsert: options.flag("upsert")?,
        answer: Return::Nothing,
        projection: Projection::everything(),
    };
    let after = match state {
        Some(state) => PageState::decode(state)?.after,
        None => None,
    };
    let page = collection.page(&plan.query.filter, after.as_ref(), context.rules.limits.page_size);
    let last = super::find::resumes_at(context, &page, context.rules.limits.page_size);
    if page.documents.is_empty() && plan.upsert {
        let upsert = upsert(context, &plan)?;
        let modified = usize::from(upsert.outcome.is_some_and(|outcome| outcome.modified));
        let mut status = Object::new();
        if let Some(id) = upsert.upserted {
            status.set("upsertedId", id);
        }
        status.set("matchedCount", Value::from(0_usize));
        status.set("modifiedCount", Value::from(modified));
        return Ok(Answer::status(status));
    }
    let mut modified = 0_usize;
    let mut errors: Vec<ApiError> = Vec::new();
    for document in &page.documents {
        let Some(outcome) = edit(context, &plan, document)? else { continue };
        modified += usize::from(outcome.modified);
        if let Some(error) = outcome.error {
            match errors.iter_mut().find(|other| other.code == error.code) {
                Some(other) => other.document_ids.push(outcome.id),
                None => errors.push(error.about(vec![outcome.id])),
            }
        }
    }
    let mut status =
        object! { "matchedCount" => page.documents.len(), "modifiedCount" => modified };
    if let Some(last) = last {
        status.set("moreData", Value::Bool(true));
        let next = PageState { after: Some(last), remaining: None };
        status.set("nextPageState", Value::String(next.encode()));
    }
    let mut answer = Answer::status(status);
    answer.errors = errors;
    Ok(answer)
}

/// Writes a new form of a document if nobody else wrote it meanwhile;
/// otherwise reads it again, under the filter, and tries again.
///
/// `None` when it no longer matches: skipped, and no error.
fn edit(
    context: &Context<'_>,
    plan: &Plan<'_>,
    document: &Arc<Document>,
) -> Result<Option<Outcome>> {
    let Context { database, rules, writer, .. } = context;
    let mut current = Arc::clone(document);
    for attempt in 1.. {
        let (body, modified) = edited(&plan.edit, &current)?;
        let answer = |body: &Object| match plan.answer {
            Return::Nothing => None,
            Return::Before => Some(plan.projection.apply(&current, None)),
            Return::After => Some(plan.projection.apply_to_body(body)),
        };
        let id = current.id().clone();
        if !modified {
            let document = answer(&current.body);
            return Ok(Some(Outcome { id, modified: false, document, error: None }));
        }
        let version = plan.collection.next_version();
        let new = plan.shred(body, &rules.limits, version)?;
        let seen = Seen::of(&current);
        if writer.compare_and_set(database, plan.collection, seen, Some(Arc::clone(&new)))? {
            let document = answer(&new.body);
            return Ok(Some(Outcome { id, modified: true, document, error: None }));
        }
        if attempt == rules.limits.write_attempts {
            let error = contended(plan.collection);
            return Ok(Some(Outcome { id, modified: false, document: None, error: Some(error) }));
        }
        current = match plan.collection.get(&current.key) {
            Some(again) if plan.query.filter.matches(&again) => again,
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// Inserts the document that the filter and the edit describe.
fn upsert(context: &Context<'_>, plan: &Plan<'_>) -> Result<Upsert> {
    let mut body = from_filter(&plan.query.filter)?;
    match &plan.edit {
        Edit::Update(update) => {
            update.apply(&mut body, true)?;
        }
        Edit::Replace(replacement, id) => {
            let named = body.remove("_id");
            if let (Some(named), Some(id)) = (&named, id) {
                check_same_id(named, id)?;
            }
            body = replacement.clone();
            if let Some(id) = named.or_else(|| id.clone()) {
                body.insert_first("_id", id);
            }
        }
    }
    let Context { database, rules, writer, .. } = context;
    let version = plan.collection.next_version();
    let new = plan.shred(body, &rules.limits, version)?;
    let id = new.id().clone();
    if writer.compare_and_set(
        database,
        plan.collection,
        Seen::absent(&new),
        Some(Arc::clone(&new)),
    )? {
        let document = (plan.answer == Return::After).then(|| plan.projection.apply(&new, None));
        let outcome = Outcome { id: id.clone(), modified: false, document, error: None };
        return Ok(Upsert { outcome: Some(outcome), upserted: Some(id) });
    }
    // Somebody else has the `_id`: this becomes an update, if it still fits.
    let outcome = match plan.collection.get(&new.key) {
        Some(other) if plan.query.filter.matches(&other) => edit(context, plan, &other)?,
        _ => None,
    };
    Ok(Upsert { outcome, upserted: None })
}

struct Upsert {
    outcome: Option<Outcome>,
    upserted: Option<Value>,
}

pub(super) fn contended(collection: &Collection) -> ApiError {
    ApiError::new(
        Code::Concurrent,
        format!(
            "other writers of collection `{}` won every time; try again",
            collection.settings.name
        ),
    )
}

fn edited(edit: &Edit, document: &Document) -> Result<(Object, bool)> {
    match edit {
        Edit::Update(update) => {
            let mut body = document.tree();
            let modified = update.apply(&mut body, false)?;
            Ok((body, modified))
        }
        Edit::Replace(replacement, id) => {
            if let Some(id) = id {
                check_same_id(document.id(), id)?;
            }
            let mut body = replacement.clone();
            body.insert_first("_id", document.id().clone());
            let modified = body != document.tree();
            Ok((body, modified))
        }
    }
}

fn check_same_id(stored: &Value, replacement: &Value) -> Result<()> {
    if Key::of(stored)? == Key::of(replacement)? {
        return Ok(());
    }
    refuse(
        Code::ReplaceId,
        format!("the replacement has `_id` {replacement}, the document {stored}; leave it out"),
    )
}

/// The equalities of a filter, as a document.
fn from_filter(filter: &Filter) -> Result<Object> {
    let mut body = Object::new();
    if let Some(ids) = filter.ids() {
        match ids {
            [(_, id)] => body.set("_id", id.clone()),
            _ => {
                return refuse(Code::Filter, "an upsert needs one `_id`, not `$in`");
            }
        }
    }
    let mut failed = None;
    filter.equalities(&mut |path, value| {
        if let Err(error) = Update::set(&mut body, path, value) {
            failed.get_or_insert(error);
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(body),
    }
}
