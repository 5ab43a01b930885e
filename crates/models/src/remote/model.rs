//! A model on a server as a model like any other.

use std::sync::Arc;

use songrec_core::{ModelSpec, Vector};
use tokio::runtime::Handle;

use super::{Client, Problem, RemoteError};
use crate::{
    embedder::{Batching, Embedder, Windowing, checked_vector},
    error::{ModelError, ModelErrorKind},
};

/// A model behind a [`Client`].
///
/// Its calls block, as the contract says, while the requests run on a runtime
/// that was given: they must not be made from a task of that runtime, only from
/// threads of their own or from `spawn_blocking`.
#[derive(Debug)]
pub struct RemoteModel {
    spec: ModelSpec,
    windowing: Windowing,
    client: Arc<Client>,
    runtime: Handle,
}

impl RemoteModel {
    /// The model that `client` asks: its name here, what its vectors are,
    /// and which windows it embeds. Asks nothing yet.
    pub fn new(
        spec: ModelSpec,
        windowing: Windowing,
        client: Arc<Client>,
        runtime: Handle,
    ) -> Self {
        Self { spec, windowing, client, runtime }
    }

    /// The client.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    fn failed(&self, error: RemoteError) -> ModelError {
        let kind = match error.problem() {
            Problem::Config => ModelErrorKind::Invalid,
            Problem::NotThere => ModelErrorKind::NotFound,
            Problem::WrongDimension => ModelErrorKind::Mismatch,
            Problem::Denied | Problem::Refused | Problem::Garbage | Problem::TooMuch => {
                ModelErrorKind::Failed
            }
            Problem::Unreachable
            | Problem::Timeout
            | Problem::Busy
            | Problem::Failed
            | Problem::Resting => ModelErrorKind::Unavailable,
        };
        let hint = error.hint().to_owned();
        ModelError::new(&self.spec.name, kind, error.to_string()).with_hint(hint).because(error)
    }
}

impl Embedder for RemoteModel {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn windowing(&self) -> &Windowing {
        &self.windowing
    }

    fn engine(&self) -> String {
        let config = self.client.config();
        format!("{} ({})", config.url, config.form)
    }

    fn batching(&self) -> Batching {
        let config = self.client.config();
        Batching { inputs: config.batch.max(1), calls: config.at_once.max(1) }
    }

    fn prepare(&self, window: &[f32]) -> Vec<f32> {
        window.to_vec()
    }

    fn embed(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError> {
        let windows: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let embedded = self.client.infer(&windows, self.windowing.sample_rate);
        let vectors = self.runtime.block_on(embedded).map_err(|error| self.failed(error))?;
        vectors
            .into_iter()
            .map(|values| {
                checked_vector(&self.spec, values).inspect_err(|error| {
                    let problem = match error.kind() {
                        ModelErrorKind::Mismatch => Problem::WrongDimension,
                        _ => Problem::Garbage,
                    };
                    self.client.count(problem, error.to_string());
                })
            })
            .collect()
    }

    fn reads_text(&self) -> bool {
        false
    }

    fn embed_text(&self, _: &[&str]) -> Result<Vec<Vector>, ModelError> {
        Err(ModelError::new(
            &self.spec.name,
            ModelErrorKind::Unsupported,
            "a model on a server reads no text",
        )
        .with_hint("`songrec model list` says which models read"))
    }
}
