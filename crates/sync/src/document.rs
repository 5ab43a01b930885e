//! Playlists and synths: few, and compared as a whole whenever one changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use songrec_core::{Document, DocumentKind, OperationId};
use songrec_storage::{Outcome, PutDocument, PutMode};

use crate::{
    Action, DocumentWork, Failure, Options, Pair, Place, Plan, Report, Result, Syncer,
    look::Look,
    resolve::operation_of,
    syncer::{in_words, is_about_one},
};

const KINDS: [DocumentKind; 2] = [DocumentKind::Playlist, DocumentKind::Synth];

type Key = (DocumentKind, String);

/// The versions that both sides last agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed(Pair<OperationId>);

/// What is to be done about one document: pure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    Nothing,
    Agreed,
    Forget,
    /// The document of that side, for the other side.
    Copy(Place),
    /// Gone on that side, so it goes on the other.
    Delete(Place),
    /// Both changed it: that side's stays, the other's is kept beside it.
    Fork(Place),
}

// `lost`: a side is an older copy of itself, so what is absent there may not
// have been deleted.
pub(crate) fn decide(
    base: Option<&Agreed>,
    now: &Pair<Option<&Document>>,
    lost: Pair<bool>,
) -> Decision {
    let operation = |place: Place| now[place].map(|document| document.revision.operation);
    // What differs from an older copy may be newer or older.
    let changed = |place: Place| {
        let differs = base.is_none_or(|base| operation(place) != Some(base.0[place]));
        differs || lost[place.other()] && now[place.other()].is_some()
    };
    match (now.left, now.right) {
        (None, None) => {
            if base.is_some() {
                Decision::Forget
            } else {
                Decision::Nothing
            }
        }
        (Some(left), Some(right)) => {
            let same = left.revision.operation == right.revision.operation;
            if same || left.body == right.body {
                Decision::Agreed
            } else if !changed(Place::Left) {
                Decision::Copy(Place::Right)
            } else if !changed(Place::Right) {
                Decision::Copy(Place::Left)
            } else {
                let of = |document: &Document| (document.updated_at, document.revision.operation);
                Decision::Fork(if of(left) >= of(right) { Place::Left } else { Place::Right })
            }
        }
        (Some(_), None) => gone(Place::Right, base, changed(Place::Left), lost),
        (None, Some(_)) => gone(Place::Left, base, changed(Place::Right), lost),
    }
}

fn gone(place: Place, base: Option<&Agreed>, changed: bool, lost: Pair<bool>) -> Decision {
    if base.is_none() || changed || lost[place] {
        Decision::Copy(place.other())
    } else {
        Decision::Delete(place)
    }
}

impl Syncer {
    async fn list_documents(&self, place: Place) -> Result<BTreeMap<Key, Document>> {
        let backend = self.backend(place);
        let mut documents = BTreeMap::new();
        let mut after = None;
        loop {
            let token = after.as_ref();
            let page = self.ask(place, || backend.list_documents(&KINDS, token)).await;
            let page = page.map_err(|error| self.failed(place, error))?;
            for document in page.items {
                documents.insert((document.kind, document.id.clone()), document);
            }
            after = page.next;
            if after.is_none() {
                return Ok(documents);
            }
        }
    }

    async fn decide_documents(
        &self,
        look: &Look,
    ) -> Result<(Pair<BTreeMap<Key, Document>>, Vec<(Key, Decision)>, BTreeMap<Key, Agreed>)> {
        let (left, right) = futures::try_join!(
            self.list_documents(Place::Left),
            self.list_documents(Place::Right)
        )?;
        let now = Pair { left, right };
        let bases: BTreeMap<Key, Agreed> = self.state.documents()?;
        // A library that lost its history was restored or made anew, even if
        // it went before this machine could leave a word in it.
        let lost = Pair::of(|place| {
            // Whoever is a copy finds more at the shared library than it knows,
            // and a library that went back has less. One on this machine may
            // also come from a backup of another past, so its numbers say
            // nothing.
            let older = match self.is_remote(place) {
                true => look.is_older(place),
                false => look.was_restored(place),
            };
            older || look.cursor_lost[place]
        });
        let keys: BTreeSet<&Key> =
            now.left.keys().chain(now.right.keys()).chain(bases.keys()).collect();
        let decisions = keys
            .into_iter()
            .map(|key| {
                let here = Pair::of(|place| now[place].get(key));
                (key.clone(), decide(bases.get(key), &here, lost))
            })
            .collect();
        Ok((now, decisions, bases))
    }

    pub(crate) async fn plan_documents(
        &self,
        options: &Options,
        look: &Look,
        plan: &mut Plan,
    ) -> Result<()> {
        let (now, decisions, _) = self.decide_documents(look).await?;
        for ((kind, id), decision) in decisions {
            let key = (kind, id);
            let mut actions = actions_of(&decision, &Pair::of(|place| now[place].get(&key)));
            for place in Place::BOTH {
                actions[place] =
                    actions[place].filter(|_| Self::may_write(options.direction, place));
            }
            if actions != Pair::default() {
                let (kind, id) = key;
                plan.documents.push(DocumentWork { kind, id, actions, kept_as: None });
            }
        }
        Ok(())
    }

    /// Does what is to be done about playlists and synths; says whether
    /// something is left to do.
    pub(crate) async fn apply_documents(
        &self,
        options: &Options,
        look: &Look,
        report: &mut Report,
    ) -> Result<bool> {
        let (now, decisions, bases) = self.decide_documents(look).await?;
        let mut pending = false;
        for (key, decision) in decisions {
            let here = Pair::of(|place| now[place].get(&key));
            if decision == Decision::Agreed {
                let versions =
                    Pair::of(|place| here[place].expect("both are there").revision.operation);
                if bases.get(&key) != Some(&Agreed(versions)) {
                    self.note_document(&key, Some(Agreed(versions)))?;
                }
                continue;
            }
            if decision == Decision::Forget {
                self.note_document(&key, None)?;
                continue;
            }
            let actions = actions_of(&decision, &here);
            let allowed = Place::BOTH
                .into_iter()
                .all(|place| actions[place].is_none() || Self::may_write(options.direction, place));
            if decision == Decision::Nothing {
                continue;
            }
            if !allowed {
                pending = true;
                continue;
            }
            match self.do_document(&key, &decision, &here).await {
                Ok(Some(kept_as)) => {
                    let (kind, id) = key;
                    report.documents.push(DocumentWork { kind, id, actions, kept_as });
                }
                // Somebody came between; the next look tells.
                Ok(None) => pending = true,
                Err((_, error)) if is_about_one(&error) => {
                    pending = true;
                    report.add_failure(Failure {
                        subject: format!("{} {}", key.0.as_str(), key.1),
                        title: key.1,
                        reason: in_words(&error),
                        hint: error.hint().map(str::to_owned),
                    });
                }
                Err((place, error)) => return Err(self.failed(place, error)),
            }
        }
        Ok(pending)
    }

    fn note_document(&self, (kind, id): &Key, agreed: Option<Agreed>) -> Result<()> {
        self.state.change(|changing| changing.set_document(*kind, id, agreed.as_ref()))
    }

    // Says under which other name a version is kept, if it is; nothing if
    // somebody came between.
    async fn do_document(
        &self,
        key: &Key,
        decision: &Decision,
        here: &Pair<Option<&Document>>,
    ) -> Result<Option<Option<String>>, (Place, songrec_storage::Error)> {
        let mut kept_as = None;
        let agreed = match decision {
            Decision::Nothing | Decision::Agreed | Decision::Forget => return Ok(Some(None)),
            Decision::Delete(gone) => {
                let place = gone.other();
                let document = here[place].expect("what is to be deleted is there");
                let version = document.revision.operation;
                let backend = self.backend(place);
                let deleted =
                    self.ask(place, || backend.delete_document(key.0, &key.1, version)).await;
                if !deleted.map_err(|error| (place, error))?.is_done() {
                    return Ok(None);
                }
                None
            }
            Decision::Copy(from) | Decision::Fork(from) => {
                let from = *from;
                let document = here[from].expect("what is to be copied is there");
                if let (Decision::Fork(_), Some(other)) = (decision, here[from.other()]) {
                    let beside = kept_beside(other);
                    for place in Place::BOTH {
                        // If it is there already, it is this one.
                        self.put(place, &beside, PutMode::Create).await?;
                    }
                    let version = beside.revision.operation;
                    let both = Agreed(Pair { left: version, right: version });
                    let noted = self.note_document(&(beside.kind, beside.id.clone()), Some(both));
                    if noted.is_err() {
                        return Ok(None);
                    }
                    kept_as = Some(beside.id);
                }
                let to = from.other();
                let mode = match here[to] {
                    Some(old) => PutMode::Replace(old.revision.operation),
                    None => PutMode::Create,
                };
                if !self.put(to, document, mode).await?.is_done() {
                    return Ok(None);
                }
                let version = document.revision.operation;
                Some(Agreed(Pair { left: version, right: version }))
            }
        };
        match self.note_document(key, agreed) {
            Ok(()) => Ok(Some(kept_as)),
            Err(_) => Ok(None),
        }
    }

    async fn put(
        &self,
        place: Place,
        document: &Document,
        mode: PutMode,
    ) -> Result<Outcome<Document>, (Place, songrec_storage::Error)> {
        let backend = self.backend(place);
        let put = [PutDocument { document: document.clone(), mode }];
        let outcome = self.ask(place, || backend.put_documents(&put)).await;
        let outcome = outcome.map_err(|error| (place, error))?.pop();
        Ok(outcome.unwrap_or(Outcome::Conflict(None)))
    }
}

fn actions_of(decision: &Decision, here: &Pair<Option<&Document>>) -> Pair<Option<Action>> {
    let mut actions = Pair::default();
    match decision {
        Decision::Nothing | Decision::Agreed | Decision::Forget => {}
        Decision::Copy(from) => {
            let to = from.other();
            actions[to] = Some(if here[to].is_some() { Action::Update } else { Action::Add });
        }
        Decision::Delete(gone) => actions[gone.other()] = Some(Action::Delete),
        Decision::Fork(_) => actions = Pair::of(|_| Some(Action::Merge)),
    }
    actions
}

// The version that lost, as a document of its own; always the same for the
// same version.
fn kept_beside(document: &Document) -> Document {
    let short = document.revision.operation.short();
    let suffix = format!("-conflict-{short}");
    let mut id = document.id.clone();
    id.truncate(64 - suffix.len());
    id.push_str(&suffix);
    let mut beside = document.clone();
    beside.revision.number = 1;
    let what = format!("songrec sync beside {}", document.revision.operation);
    beside.revision.operation = operation_of(&what);
    beside.id = id;
    beside
}
