//! What a library shares with others: its trash, conflicts, machines, and other libraries.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use songrec_core::Field;
use songrec_library::{
    Config, Library, ShownSong, clusters_of, keys,
    share::{
        self, Decision, Direction, Libraries, MaxDelete, Options, conflicts_of, decide, restore,
    },
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::songs::named;
use crate::{
    input::{InPath, Json, Query, Writing, days, ids, limit, offset},
    problem::{Problem, Result},
    server::{RequestJob, Server, Shared, to_the_end},
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(trash))
        .routes(routes!(bring_back))
        .routes(routes!(empty))
        .routes(routes!(conflicts))
        .routes(routes!(conflicts_of_song))
        .routes(routes!(resolve))
        .routes(routes!(machines))
        .routes(routes!(retire))
        .routes(routes!(remotes))
        .routes(routes!(plan))
}

/// Which part of a list is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// How many, 1 to 1000; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many of the first are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

impl Page {
    fn of<T>(&self, all: Vec<T>) -> Result<(Vec<T>, usize)> {
        let (limit, offset) = (limit(self.limit, 100)?, offset(self.offset)?);
        let total = all.len();
        Ok((all.into_iter().skip(offset).take(limit).collect(), total))
    }
}

/// Lists deleted songs that can be restored, those deleted last first.
#[utoipa::path(get, path = "/api/v1/trash", tag = "sharing", params(Page), responses(
    (status = 200, description = "The songs", body = ref("#/components/schemas/trash-of-songs")),
))]
async fn trash(State(server): State<Shared>, Query(page): Query<Page>) -> Result<Response> {
    let (songs, total) = page.of(share::trash(&server.library).await?)?;
    Ok(Answer(json!({ "songs": songs, "total": total })).into_response())
}

/// Which deleted songs come back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Restore {
    /// Their ids.
    songs: Vec<String>,
}

/// Brings deleted songs back.
#[utoipa::path(post, path = "/api/v1/trash/restore", tag = "sharing", request_body = inline(Restore), responses(
    (status = 200, description = "What came back", body = ref("#/components/schemas/trash-restore")),
))]
async fn bring_back(
    State(server): State<Shared>,
    _: Writing,
    Json(asked): Json<Restore>,
) -> Result<Response> {
    let ids = ids(&asked.songs)?;
    if ids.is_empty() {
        return Err(Problem::invalid("no song is named").tip("send `{\"songs\":[\"ID\"]}`"));
    }
    let library = server.library.clone();
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let restored = to_the_end(async move { restore(&library, &names).await }).await??;
    Ok(Answer(json!({ "restored": restored.songs })).into_response())
}

/// Which deleted songs are forgotten.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Empty {
    /// How many days ago they were deleted at least.
    #[schema(maximum = 100_000)]
    older_than: u32,
    /// Only count them.
    dry_run: bool,
}

/// Forgets deleted songs for good, so that they cannot be restored any more. Those stay that
/// other libraries may not yet know to be deleted.
#[utoipa::path(post, path = "/api/v1/trash/empty", tag = "sharing", request_body = inline(Empty), responses(
    (status = 200, description = "What was forgotten, or would be", body = ref("#/components/schemas/trash-empty")),
))]
async fn empty(
    State(server): State<Shared>,
    _: Writing,
    Json(Empty { older_than, dry_run }): Json<Empty>,
) -> Result<Response> {
    let library = server.library.clone();
    let age = days("older_than", 0, older_than)?;
    let emptied =
        to_the_end(async move { share::empty_trash(&library, age, dry_run).await }).await??;
    let mut document = json!(emptied);
    document["dry_run"] = dry_run.into();
    Ok(Answer(document).into_response())
}

/// Lists songs with values that lost a merge.
#[utoipa::path(get, path = "/api/v1/conflicts", tag = "sharing", params(Page), responses(
    (status = 200, description = "The songs", body = ref("#/components/schemas/conflicts-of-songs")),
))]
async fn conflicts(State(server): State<Shared>, Query(page): Query<Page>) -> Result<Response> {
    let _turn = server.turn().await?;
    let (songs, total) = page.of(share::conflicts(&server.library).await?)?;
    Ok(Answer(json!({ "songs": songs, "total": total })).into_response())
}

/// Shows the values of a song that lost a merge.
#[utoipa::path(get, path = "/api/v1/conflicts/{id}", tag = "sharing",
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses((status = 200, description = "The values, which are counted from 1", body = ref("#/components/schemas/conflicts-show")))
)]
async fn conflicts_of_song(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    Ok(Answer(conflicts_of(&song)).into_response())
}

/// What is decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// The field; all fields of the song if it is not said.
    field: Option<String>,
    /// The number of the value that is put back, from 1 on; what is shown stays if it is
    /// not said.
    choose: Option<usize>,
}

/// Decides about values that lost a merge: what is shown stays, or one of them is put back.
#[utoipa::path(post, path = "/api/v1/conflicts/{id}/resolve", tag = "sharing", request_body = inline(Choice),
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses(
        (status = 200, description = "The song as it is now", body = ref("#/components/schemas/show")),
        (status = 204, description = "There was nothing to decide"),
    )
)]
async fn resolve(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    Json(choice): Json<Choice>,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    let field = choice.field.as_deref().map(str::parse::<Field>).transpose();
    let field = field.map_err(|error| Problem::invalid(error.to_string()))?;
    if choice.choose.is_some() && field.is_none() {
        return Err(Problem::invalid("a value is of one field").tip("name it in `field`"));
    }
    let library = server.library.clone();
    let decided =
        to_the_end(async move { decide(&library, &song, field, choice.choose).await }).await??;
    match decided {
        Decision::Nothing => Ok(StatusCode::NO_CONTENT.into_response()),
        Decision::Done(song) => {
            let clusters = clusters_of(&server.library, std::slice::from_ref(&*song)).await?;
            let cluster = clusters.into_iter().flatten().next();
            Ok(Answer(ShownSong::of(&song, cluster.as_ref())).into_response())
        }
    }
}

/// Lists the machines that share the library.
#[utoipa::path(get, path = "/api/v1/machines", tag = "sharing", responses(
    (status = 200, description = "The machines, and how far each is", body = ref("#/components/schemas/machines-of-library")),
))]
async fn machines(State(server): State<Shared>) -> Result<Response> {
    let machines = share::machines(&server.library).await?;
    Ok(Answer(json!({ "machines": machines })).into_response())
}

/// Lets deletions wait no longer for a machine, which is lost or was given away. If it comes
/// back, it compares everything once.
#[utoipa::path(post, path = "/api/v1/machines/{id}/retire", tag = "sharing",
    params(("id" = String, Path, description = "The id of a machine, the beginning of it, or its name")),
    responses((status = 200, description = "The machine as it was", body = ref("#/components/schemas/machine")))
)]
async fn retire(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let library = server.library.clone();
    let named = id.clone();
    let machine = to_the_end(async move { share::retire(&library, &named).await }).await??;
    match machine {
        Some(machine) => Ok(Answer(machine).into_response()),
        None => Err(Problem::new("not_found", format!("machine `{id}` is not there any more"))
            .tip("`GET /api/v1/machines` lists those that are")),
    }
}

/// Lists the libraries that this one can be synced with, by their names.
#[utoipa::path(get, path = "/api/v1/remotes", tag = "sharing", responses(
    (status = 200, description = "The libraries", body = ref("#/components/schemas/remotes")),
))]
async fn remotes(State(server): State<Shared>) -> Response {
    let config = server.library.config();
    let usual = share::remote(config);
    let served = served(&server.library);
    let known = known_names(config).into_iter().filter(|name| *name != served);
    let remotes = known.map(|name| {
        let table = config.library(&name);
        let kind = table.map_or(name.as_str(), |table| table.kind.as_str());
        let place = match (name.as_str(), table) {
            (_, Some(table)) => match (&table.path, &table.endpoint) {
                (Some(path), _) => Some(path.display().to_string()),
                (None, endpoint) => endpoint.as_deref().map(without_secrets),
            },
            ("astra", None) => config.get(keys::ASTRA_ENDPOINT).map(without_secrets),
            _ => None,
        };
        json!({ "name": name, "kind": kind, "place": place, "is_default": name == usual })
    });
    Answer(json!({ "remotes": remotes.collect::<Vec<_>>() })).into_response()
}

fn without_secrets(address: &str) -> String {
    songrec_core::without_password(address).into_owned()
}

// The names that a library can be given over HTTP: a folder is no name.
fn known_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = config.libraries().map(|(name, _)| name.to_owned()).collect();
    names.push("local".to_owned());
    let has_astra =
        config.get(keys::ASTRA_ENDPOINT).is_some() || config.get(keys::ASTRA_DATABASE_ID).is_some();
    if has_astra {
        names.push("astra".to_owned());
    }
    names.sort();
    names.dedup();
    names
}

/// The name of the library that is served.
pub(super) fn served(library: &Library) -> String {
    library.config().get(keys::STORAGE_BACKEND).to_owned()
}

/// The name of another library, which has to be one of the configuration.
pub(super) fn other(server: &Server, name: Option<&str>) -> Result<String> {
    let config = server.library.config();
    let served = served(&server.library);
    let usual = || match share::remote(config) {
        remote if remote == served => "local".to_owned(),
        remote => remote,
    };
    let name = name.map_or_else(usual, str::to_owned);
    if name == served || !known_names(config).contains(&name) {
        return Err(Problem::new("not_found", format!("there is no other library `{name}`")).tip(
            "`GET /api/v1/remotes` lists them; `[libraries]` of the configuration names more",
        ));
    }
    Ok(name)
}

/// With which library, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyncBody {
    /// The name of the other library; the one that `sync.remote` names if it is not said.
    pub(super) with: Option<String>,
    /// Which libraries may change: `both`, the other one (`push`), or this one (`pull`).
    direction: Option<String>,
    /// Nothing is done if more songs would be deleted: a number, or a share such as `5%`.
    #[schema(value_type = Option<String>)]
    max_delete: Option<serde_json::Value>,
    /// Compare everything, instead of what changed since the last time.
    full: bool,
    /// Accept that a library is another one than it was.
    adopt: bool,
}

impl SyncBody {
    /// As the library takes it.
    pub(super) fn options(&self, config: &Config) -> Result<Options> {
        let mut options = share::options(config)?;
        options.full = self.full;
        options.adopt = self.adopt;
        options.direction = match self.direction.as_deref() {
            None | Some("both") => Direction::Both,
            Some("push") => Direction::Push,
            Some("pull") => Direction::Pull,
            Some(other) => {
                return Err(Problem::invalid(format!("`{other}` is no direction"))
                    .tip("`both`, `push` and `pull` are"));
            }
        };
        if let Some(most) = &self.max_delete {
            let text = most.as_str().map_or_else(|| most.to_string(), str::to_owned);
            let most: std::result::Result<MaxDelete, _> = text.parse();
            options.max_delete =
                most.map_err(|error| Problem::invalid(format!("`max_delete`: {error}")))?;
        }
        Ok(options)
    }
}

/// Says what a sync would do, without doing it.
#[utoipa::path(post, path = "/api/v1/sync/plan", tag = "sharing", request_body = inline(SyncBody), responses(
    (status = 200, description = "What would be done", body = ref("#/components/schemas/status")),
))]
async fn plan(State(server): State<Shared>, Json(body): Json<SyncBody>) -> Result<Response> {
    let config = server.library.shared_config();
    let options = body.options(&config)?;
    let with = other(&server, body.with.as_deref())?;
    let job = RequestJob::new();
    let _turn = server.turn().await?;
    let left = Some(served(&server.library));
    let libraries = Libraries::open(config, left, Some(with), job.progress.clone()).await?;
    let mut plan = share::plan(&libraries, &options, &job).await?;
    plan.refused
        .iter_mut()
        .filter_map(|failure| failure.hint.as_mut())
        .for_each(words::put_in_words);
    Ok(Answer(plan).into_response())
}
