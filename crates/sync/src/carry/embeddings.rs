//! Embeddings on their way from one library to the other.

use std::{collections::BTreeMap, sync::Arc};

use songrec_core::{ModelName, SongId, SongSummary};
use songrec_storage::{NewEmbedding, StoredEmbedding};

use super::{Carried, Needs, models::Models, scope::Scope, throttle::Throttle};
use crate::{Note, Result, Side, decide::operation_of, error::in_words, session::Session};

/// Carries the embeddings of songs.
pub(super) struct Embeddings<'a> {
    session: &'a Session,
    scope: Arc<Scope>,
    models: Arc<Models<'a>>,
    throttle: Option<Throttle>,
}

impl<'a> Embeddings<'a> {
    pub(super) const fn new(
        session: &'a Session,
        scope: Arc<Scope>,
        models: Arc<Models<'a>>,
        throttle: Option<Throttle>,
    ) -> Self {
        Self { session, scope, models, throttle }
    }

    /// Carries the embeddings that songs lack at `side`.
    pub(super) async fn carry(&self, side: Side, songs: &[&Needs<'_>]) -> Result<Carried> {
        let mut carried = Carried::default();
        let mut wanted: BTreeMap<&ModelName, Vec<&Needs<'_>>> = BTreeMap::new();
        for needs in songs.iter().copied() {
            for model in needs.theirs.embeddings.keys() {
                if self.scope.carries(model) && !needs.own.embeddings.contains_key(model) {
                    wanted.entry(model).or_default().push(needs);
                }
            }
        }
        for (model, songs) in wanted {
            if !self.models.register(side, model).await? {
                continue;
            }
            for chunk in songs.chunks(self.session.batch()) {
                self.carry_batch(side, model, chunk, &mut carried).await?;
            }
        }
        Ok(carried)
    }

    async fn carry_batch(
        &self,
        side: Side,
        model: &ModelName,
        songs: &[&Needs<'_>],
        carried: &mut Carried,
    ) -> Result<()> {
        let ids: Vec<SongId> = songs.iter().map(|needs| needs.song.id).collect();
        let found = self.read(side.other(), model, &ids, carried).await?;
        let mut new = Vec::with_capacity(songs.len());
        for (needs, found) in songs.iter().zip(found) {
            let Some(StoredEmbedding { embedding, .. }) = found else {
                let name = self.session.name(side.other());
                let text =
                    format!("its embedding by `{model}` is not in {name}, so it was not copied");
                carried.notes.push(Note { song: needs.song.id, text });
                continue;
            };
            // The same for a repeated write, another for another version.
            let what = format!("songrec sync embedding {model} {}", needs.operation);
            new.push(NewEmbedding {
                summary: SongSummary::of(needs.song),
                operation: operation_of(&what),
                embedding,
            });
        }
        let bytes: u64 = new.iter().map(|one| one.embedding.vector.dimension() as u64 * 4).sum();
        carried.bytes += bytes;
        if let Some(throttle) = &self.throttle {
            throttle.take(bytes).await;
        }
        self.session.traffic().bytes(bytes);
        self.put(side, &new, carried).await
    }

    // One embedding may be refused; the others need not suffer.
    async fn put(&self, side: Side, new: &[NewEmbedding], carried: &mut Carried) -> Result<()> {
        let backend = self.session.backend(side);
        let put = |some| backend.embeddings().put(some);
        let answers = self.session.ask_each(side, new, put).await?;
        for (put, answer) in new.iter().zip(answers) {
            let (song, model) = (put.embedding.song, put.embedding.model.clone());
            match answer {
                Ok(reference) => {
                    carried.embeddings.extend(reference.map(|one| ((song, model), one)));
                }
                Err(error) => {
                    let why = in_words(&error);
                    let text = format!("its embedding by `{model}` was not copied: {why}");
                    carried.notes.push(Note { song, text });
                }
            }
        }
        Ok(())
    }

    async fn read(
        &self,
        side: Side,
        model: &ModelName,
        ids: &[SongId],
        carried: &mut Carried,
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let backend = self.session.backend(side);
        let get = |some| backend.embeddings().get(model, some);
        let answers = self.session.ask_each(side, ids, get).await?;
        let found = ids.iter().zip(answers).map(|(song, answer)| match answer {
            Ok(found) => found.flatten(),
            Err(error) => {
                let why = in_words(&error);
                let text = format!("its embedding by `{model}` cannot be read: {why}");
                carried.notes.push(Note { song: *song, text });
                None
            }
        });
        Ok(found.collect())
    }
}
