//! Definitions of synths, and what each comes from.

use axum::{
    Json as Answer,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use songrec_library::{
    Error, ErrorKind, IntakeMode, IntakeOptions, KeptSynth, LINK_WEIGHT, Library, SynthCategory,
    SynthChange, SynthFile, SynthIntake, SynthList, SynthQuery, SynthWithSource, Way, edit_synth,
    find_synths, link_synths, remove_synth, synth_lineage, synths, unlink_synths,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{InPath, Json, Query, Writing, limit, offset},
    problem::{Problem, Result},
    server::{Shared, to_the_end},
    versions,
    words::in_words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(lineage))
        .routes(routes!(link))
        .routes(routes!(unlink))
}

// By its id, its name or its source: a path would be one on this machine.
async fn named(library: &Library, text: &str) -> Result<(SynthList, KeptSynth), Error> {
    let list = synths(library).await?;
    let kept = list.find(text)?.clone();
    Ok((list, kept))
}

/// Synths of an answer, if it is not said.
const USUAL: usize = 100;
/// Words of one request, at the most.
const WORDS: usize = 100;

/// Which synths are asked for: those that pass everything that is said.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SynthParameters {
    /// Words, each of which is in the name or in the path of the file.
    q: Option<String>,
    /// What they are for.
    #[param(inline)]
    category: Option<Category>,
    /// Whether they have a gate; one of which that is not sure passes neither.
    gate: Option<bool>,
    /// How many synths, 1 to 1000; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many are left out first.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

/// What a synth is for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Category {
    Bass,
    Lead,
    Pad,
    Drum,
    Fx,
}

impl From<Category> for SynthCategory {
    fn from(category: Category) -> Self {
        match category {
            Category::Bass => Self::Bass,
            Category::Lead => Self::Lead,
            Category::Pad => Self::Pad,
            Category::Drum => Self::Drum,
            Category::Fx => Self::Fx,
        }
    }
}

/// Lists synths, by name, without their sources.
#[utoipa::path(get, path = "/api/v1/synths", tag = "synths", params(SynthParameters), responses(
    (status = 200, description = "The synths", body = ref("#/components/schemas/synth-list")),
    (status = 304, description = "The client has this answer"),
))]
async fn list(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<SynthParameters>,
) -> Result<Response> {
    let words: Vec<String> =
        asked.q.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if words.len() > WORDS {
        return Err(Problem::invalid(format!("{} words are too many", words.len()))
            .tip(format!("use {WORDS} at the most")));
    }
    let query = SynthQuery {
        words,
        category: asked.category.map(Into::into),
        gate: asked.gate,
        offset: offset(asked.offset)?,
        limit: limit(asked.limit, USUAL)?,
    };
    let found = find_synths(&server.library, &query).await?;
    let mut document = json!(found);
    document["offset"] = json!(query.offset);
    document["limit"] = json!(query.limit);
    Ok(version.json(&document))
}

/// A source with synths.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Added {
    /// Code of SuperCollider with one `SynthDef` or several, 1 MiB at the most.
    source: String,
    /// What the synth is called, in place of what its source says; for one synth.
    name: Option<String>,
    /// Whether the source takes the place of that of a synth of the same name.
    #[serde(default)]
    update: bool,
}

/// Adds the synths of a source, each by itself. Two synths have not the same name or the
/// same source.
#[utoipa::path(post, path = "/api/v1/synths", tag = "synths", request_body = inline(Added),
    responses((status = 200, description = "What became of each", body = ref("#/components/schemas/synths-added")))
)]
async fn add(
    State(server): State<Shared>,
    _: Writing,
    Json(asked): Json<Added>,
) -> Result<Response> {
    let _turn = server.turn().await?;
    let library = server.library.clone();
    let taken = to_the_end(async move {
        let mode = if asked.update { IntakeMode::Update } else { IntakeMode::Add };
        let options = IntakeOptions { mode, name: asked.name, dry_run: false };
        let mut intake = SynthIntake::new(&library, options).await?;
        let mut taken = intake.take_in(&SynthFile { path: None, text: asked.source }).await?;
        for (id, error) in intake.finish().await? {
            let found =
                taken.iter_mut().find(|one| one.as_ref().is_ok_and(|one| one.synth.id == id));
            if let Some(one) = found {
                *one = Err(error);
            }
        }
        Ok::<_, Error>(taken)
    });
    let taken = taken.await??;
    let failed = taken.iter().filter(|one| one.is_err()).count();
    let results: Vec<Value> = taken
        .into_iter()
        .map(|one| match one {
            Ok(taken) => json!(taken),
            Err(error) => {
                let mut result = json!({ "type": "failed", "reason": error.in_one_line() });
                if let Some(hint) = error.hint() {
                    result["tip"] = json!(in_words(hint));
                }
                result
            }
        })
        .collect();
    Ok(Answer(json!({ "failed": failed, "results": results })).into_response())
}

/// Shows a synth, with its source.
#[utoipa::path(get, path = "/api/v1/synths/{id}", tag = "synths",
    params(("id" = String, Path, description = "The id of a synth or the beginning of it, its name, or the SHA-256 of its source")),
    responses(
    (status = 200, description = "The synth", body = ref("#/components/schemas/synth_with_source")),
    (status = 304, description = "The client has this answer"),
))]
async fn show(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let (list, kept) = named(&server.library, &id).await?;
    Ok(version.json(&json!(SynthWithSource::of(&list, &kept))))
}

/// What is changed of a synth: all of it, or nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SynthPatch {
    /// What it is called.
    name: Option<String>,
    /// What it is for: `bass`, `lead`, `pad`, `drum`, `fx` or `none`.
    category: Option<String>,
    /// What a person says about it.
    notes: Option<String>,
    /// What else is kept with it, by names; null removes one.
    #[serde(default)]
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
    /// What goes back to what the source says (`name`, `category`), or is removed (`notes`).
    #[serde(default)]
    clear: Vec<String>,
}

/// Changes a synth. With `If-Match` and the `version` that the client has seen, only that
/// version is changed.
#[utoipa::path(patch, path = "/api/v1/synths/{id}", tag = "synths", request_body = inline(SynthPatch),
    params(("id" = String, Path, description = "The id of a synth, or its name"),
           ("If-Match" = Option<String>, Header, description = "The version to change, in quotes")),
    responses((status = 200, description = "The synth as it is now", body = ref("#/components/schemas/synth")))
)]
async fn change(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    Json(asked): Json<SynthPatch>,
) -> Result<Response> {
    let fields = [("name", asked.name), ("category", asked.category), ("notes", asked.notes)];
    let mut changes = Vec::new();
    for (field, value) in fields {
        if let Some(value) = value {
            changes.push(SynthChange::parse(field, Some(&value))?);
        }
    }
    for field in &asked.clear {
        changes.push(SynthChange::parse(field, None)?);
    }
    changes.extend(asked.extra.into_iter().map(|(name, value)| {
        SynthChange::Extra(name, Some(value).filter(|value| !value.is_null()))
    }));
    if changes.is_empty() {
        return Err(Problem::invalid("there is nothing to change")
            .tip("send `name`, `category`, `notes`, `extra` or `clear`"));
    }
    let expected = versions::expected(&headers)?;
    let library = server.library.clone();
    let (_, kept) = named(&library, &id).await?;
    let changed =
        to_the_end(async move { edit_synth(&library, &kept.id, &changes, expected).await });
    let (list, kept) = changed.await?.map_err(versions::refused)?;
    Ok(Answer(list.shown(&kept)).into_response())
}

/// Removes a synth. Says which links end by it.
#[utoipa::path(delete, path = "/api/v1/synths/{id}", tag = "synths",
    params(("id" = String, Path, description = "The id of a synth, or its name; of one that cannot be read, its id"),
           ("If-Match" = Option<String>, Header, description = "The version to remove, in quotes")),
    responses((status = 200, description = "It is gone", body = ref("#/components/schemas/removed_synth")))
)]
async fn remove(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let expected = versions::expected(&headers)?;
    let library = server.library.clone();
    let id = match named(&library, &id).await {
        Ok((_, kept)) => kept.id,
        Err(error) if error.kind() == ErrorKind::Corrupt => id,
        Err(error) => return Err(error.into()),
    };
    let removed = to_the_end(async move { remove_synth(&library, &id, expected).await });
    let removed = removed.await?.map_err(versions::refused)?;
    let mut document = json!(removed);
    document["type"] = json!("removed");
    Ok(Answer(document).into_response())
}

/// Which way is looked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Looked {
    /// `up` to what it comes from, `down` to what comes from it; both if it is not said.
    #[param(inline)]
    way: Option<Direction>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Up,
    Down,
}

/// Shows what a synth comes from, and what comes from it.
#[utoipa::path(get, path = "/api/v1/synths/{id}/lineage", tag = "synths", params(Looked,
    ("id" = String, Path, description = "The id of a synth, or its name"),
), responses(
    (status = 200, description = "Its links, the nearest first", body = ref("#/components/schemas/synth_lineage")),
    (status = 304, description = "The client has this answer"),
))]
async fn lineage(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    InPath(id): InPath<String>,
    Query(asked): Query<Looked>,
) -> Result<Response> {
    let (list, kept) = named(&server.library, &id).await?;
    let ways: &[Way] = match asked.way {
        Some(Direction::Up) => &[Way::Up],
        Some(Direction::Down) => &[Way::Down],
        None => &[Way::Up, Way::Down],
    };
    Ok(version.json(&json!(synth_lineage(&list, &kept, ways))))
}

/// A synth that another one comes from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Link {
    /// The id of the parent, or its name.
    parent: String,
    /// How much of it the child has; 0.5 if it is not said.
    #[schema(minimum = 0, maximum = 1)]
    weight: Option<f64>,
}

/// Says that a synth comes from another one. No synth comes from itself, also by way of
/// others.
#[utoipa::path(post, path = "/api/v1/synths/{id}/parents", tag = "synths", request_body = inline(Link),
    params(("id" = String, Path, description = "The id of the child, or its name")),
    responses((status = 200, description = "The child as it is now", body = ref("#/components/schemas/synth")))
)]
async fn link(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    Json(asked): Json<Link>,
) -> Result<Response> {
    let library = server.library.clone();
    let list = synths(&library).await?;
    let child = list.find(&id)?.id.clone();
    let parent = list.find(&asked.parent)?.id.clone();
    let weight = asked.weight.unwrap_or(LINK_WEIGHT);
    let linked = to_the_end(async move { link_synths(&library, &child, &parent, weight).await });
    let (list, kept) = linked.await??;
    Ok(Answer(list.shown(&kept)).into_response())
}

/// Says that a synth does not come from another one.
#[utoipa::path(delete, path = "/api/v1/synths/{id}/parents/{parent}", tag = "synths",
    params(("id" = String, Path, description = "The id of the child, or its name"),
           ("parent" = String, Path, description = "The id of the parent, or its name; of one that is gone, its id")),
    responses((status = 200, description = "The child as it is now", body = ref("#/components/schemas/synth")))
)]
async fn unlink(
    State(server): State<Shared>,
    _: Writing,
    InPath((id, parent)): InPath<(String, String)>,
) -> Result<Response> {
    let library = server.library.clone();
    let list = synths(&library).await?;
    let child = list.find(&id)?.id.clone();
    let parent = list.find(&parent).map_or(parent, |kept| kept.id.clone());
    let unlinked = to_the_end(async move { unlink_synths(&library, &child, &parent).await });
    let (list, kept) = unlinked.await??;
    Ok(Answer(list.shown(&kept)).into_response())
}
