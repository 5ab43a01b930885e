//! Playlists and synths: few, and compared as a whole whenever one changed.

use std::collections::BTreeMap;

use songrec_core::{Document, DocumentKind};
use songrec_storage::{Outcome, PutDocument};

use crate::{
    Failure, Options, Pair, Plan, Report, Result, Side,
    decide::{Joined, Key, join_all},
    error::{in_words, is_about_one},
    session::Session,
};

/// Compares and writes playlists and synths.
pub(crate) struct Documents<'a> {
    session: &'a Session,
    options: &'a Options,
}

impl<'a> Documents<'a> {
    pub(crate) const fn new(session: &'a Session, options: &'a Options) -> Self {
        Self { session, options }
    }

    async fn list(&self, side: Side) -> Result<BTreeMap<Key, Document>> {
        let backend = self.session.backend(side);
        let mut documents = BTreeMap::new();
        let mut after = None;
        loop {
            let token = after.as_ref();
            let list = || backend.documents().list(&DocumentKind::SYNCED, token);
            let page = self.session.ask(side, list).await?;
            for document in page.items {
                documents.insert((document.kind, document.id.clone()), document);
            }
            after = page.next;
            if after.is_none() {
                return Ok(documents);
            }
        }
    }

    async fn join(&self) -> Result<BTreeMap<Key, Joined>> {
        let (left, right) = futures::try_join!(self.list(Side::Left), self.list(Side::Right))?;
        Ok(join_all(&Pair { left, right }))
    }

    /// Adds what will be done to a plan.
    pub(crate) async fn plan(&self, plan: &mut Plan) -> Result<()> {
        let joined = self.join().await?;
        plan.documents.extend(joined.values().filter_map(|one| one.work(self.options)));
        Ok(())
    }

    /// Writes playlists and synths, and adds them to the report. Gives whether
    /// something is left to do.
    pub(crate) async fn apply(&self, report: &mut Report) -> Result<bool> {
        let mut pending = false;
        // A document that keeps losing values is written first: once the other
        // one is merged, these values are in no library any more.
        let mut joined: Vec<Joined> = self.join().await?.into_values().collect();
        joined.sort_by_key(|one| !one.beside);
        for one in joined {
            let work = one.work(self.options);
            for side in [Side::Right, Side::Left] {
                let Some((_, mode)) = one.steps[side] else { continue };
                if !self.options.direction.may_write(side) {
                    pending = true;
                    continue;
                }
                let backend = self.session.backend(side);
                let put = [PutDocument { document: one.document.clone(), mode }];
                match self.session.try_ask(side, || backend.documents().put(&put)).await {
                    // Another machine wrote it first; the next round finds out.
                    Ok(outcomes) => pending |= !outcomes.iter().all(Outcome::is_done),
                    Err(error) if is_about_one(&error) => {
                        pending = true;
                        let Document { kind, id, .. } = &one.document;
                        let failure = Failure {
                            subject: format!("{} {id}", kind.as_str()),
                            title: id.clone(),
                            reason: in_words(&error),
                            hint: error.hint().cloned(),
                        };
                        self.session.report_failures([&failure]);
                        report.add_failure(failure);
                    }
                    Err(error) => return Err(self.session.failed(side, error)),
                }
            }
            report.documents.extend(work);
        }
        report.documents.sort_by(|one, two| (one.kind, &one.id).cmp(&(two.kind, &two.id)));
        Ok(pending)
    }
}
