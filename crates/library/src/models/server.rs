//! Models on inference servers: asked through `songrec_models::remote`.

use std::sync::Arc;

use songrec_models::{
    Embedder,
    remote::{Client, ClientConfig, Form, Health, Problem, RemoteError, RemoteModel, Token},
};

use super::HttpModelPlace;
use crate::config::model_tables::HttpTable;
use crate::{Config, Error, ErrorKind, Result};

/// A client as `[models.NAME]` describes it.
pub(super) fn client(config: &Config, place: &HttpModelPlace) -> Result<Client> {
    let HttpModelPlace { key: name, table, .. } = place;
    let form = match table.form.as_str() {
        "plain" => Form::Plain,
        _ => Form::Oip,
    };
    let token = match &table.token_variable {
        Some(variable) => Some(Token::new(config.token_in(variable).ok_or_else(|| {
            Error::new(
                ErrorKind::Denied,
                format_args!("there is no token for the server of `{name}`"),
            )
            .with_hint(format_args!("set `{variable}` in the environment or in `.env`"))
        })?)),
        None => None,
    };
    let client = ClientConfig {
        version: table.version.clone(),
        endpoint: table.endpoint.clone(),
        health: table.health.clone(),
        input: table.input.clone(),
        output: table.output.clone(),
        binary: table.binary,
        timeout: HttpTable::seconds(table.timeout),
        retries: table.retries,
        backoff: HttpTable::seconds(table.backoff),
        batch: table.batch,
        at_once: table.at_once,
        token,
        ..ClientConfig::new(&place.url, form, &place.remote)
    };
    Client::new(client).map_err(|error| explained(name, error))
}

/// The model itself. Needs a runtime to run its requests on.
pub(super) fn open(place: &HttpModelPlace, client: Arc<Client>) -> Result<Arc<dyn Embedder>> {
    let HttpModelPlace { key: name, table, .. } = place;
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|error| Error::new(ErrorKind::Failed, "there is no runtime").because(error))?;
    let model = RemoteModel::new(table.spec(name)?, table.windowing(), client, runtime);
    Ok(Arc::new(model))
}

/// Whether the server is well, and its model the one that is configured.
pub(super) async fn health(place: &HttpModelPlace, client: &Client) -> Result<Health> {
    let HttpModelPlace { key: name, table, .. } = place;
    let health = client.health().await.map_err(|error| explained(name, error))?;
    let given = health.model.as_ref().and_then(|model| model.dimension(table.output.as_deref()));
    match given {
        Some(given) if given != table.dimension => Err(Error::usage(format_args!(
            "the server's vectors have {given} dimensions, but `{name}` has {}",
            table.dimension
        ))
        .with_hint(
            "correct `dimension`, or, if it is another model now, give it another `revision`",
        )),
        _ => Ok(health),
    }
}

fn explained(name: &str, error: RemoteError) -> Error {
    let kind = match error.problem() {
        Problem::Config | Problem::WrongDimension => ErrorKind::Usage,
        Problem::NotThere => ErrorKind::NotFound,
        Problem::Denied => ErrorKind::Denied,
        Problem::Unreachable
        | Problem::Timeout
        | Problem::Busy
        | Problem::Failed
        | Problem::Resting => ErrorKind::Temporary,
        Problem::Refused | Problem::Garbage | Problem::TooMuch => ErrorKind::Failed,
    };
    let hint = error.hint().to_owned();
    Error::new(kind, format_args!("the server of `{name}` does not embed"))
        .because(error)
        .with_hint(hint)
}

/// Gets one file of at most so many bytes; says whether there is one.
pub(super) async fn fetch(
    url: &str,
    to: &std::path::Path,
    most: u64,
    progress: impl FnMut(u64),
) -> Result<bool> {
    songrec_models::remote::fetch(url, to, most, progress).await.map_err(|error| {
        let kind = match error.problem() {
            Problem::Config | Problem::Refused => ErrorKind::Usage,
            Problem::Garbage => ErrorKind::Corrupt,
            Problem::Denied => ErrorKind::Denied,
            _ => ErrorKind::Temporary,
        };
        let hint = error.hint().to_owned();
        Error::new(kind, "a file of the model could not be had").because(error).with_hint(hint)
    })
}
