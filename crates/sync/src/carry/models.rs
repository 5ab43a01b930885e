//! The models that each library has registered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use songrec_core::{ModelName, ModelSpec};
use tokio::sync::OnceCell;

use crate::{Pair, Result, Side, session::Session};

/// Registers models where embeddings by them are carried to.
pub(super) struct Models<'a> {
    session: &'a Session,
    known: Pair<OnceCell<BTreeMap<ModelName, ModelSpec>>>,
    registered: Mutex<Pair<BTreeSet<ModelName>>>,
}

impl<'a> Models<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self { session, known: Pair::default(), registered: Mutex::default() }
    }

    async fn models_at(&self, side: Side) -> Result<&BTreeMap<ModelName, ModelSpec>> {
        self.known[side]
            .get_or_try_init(|| async {
                let backend = self.session.backend(side);
                let models = self.session.ask(side, || backend.embeddings().models()).await?;
                Ok(models.into_iter().map(|model| (model.name.clone(), model)).collect())
            })
            .await
    }

    /// Registers a model of the other side at `side`, and gives whether it is
    /// registered now.
    pub(super) async fn register(&self, side: Side, model: &ModelName) -> Result<bool> {
        let was_registered =
            self.registered.lock().expect("nothing panics with it")[side].contains(model);
        if was_registered || self.models_at(side).await?.contains_key(model) {
            return Ok(true);
        }
        let Some(spec) = self.models_at(side.other()).await?.get(model) else {
            return Ok(false);
        };
        let backend = self.session.backend(side);
        self.session.ask(side, || backend.embeddings().put_model(spec)).await?;
        self.registered.lock().expect("nothing panics with it")[side].insert(model.clone());
        Ok(true)
    }
}
