//! What is to be done about playlists and synths: pure.

use std::collections::BTreeMap;

use songrec_core::{Document, DocumentKind, Op, Revision, Version};
use songrec_storage::PutMode;

use crate::{Action, DocumentWork, Options, Pair, Side};

/// A document by its kind and id.
pub(crate) type Key = (DocumentKind, String);

/// What one document has to become on each side.
#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    pub(crate) document: Document,
    /// The version to replace, where something is to be written.
    pub(crate) steps: Pair<Option<(Action, PutMode)>>,
    kept_as: Option<String>,
    /// Whether it is a new document that keeps the losing values of another one.
    pub(crate) beside: bool,
}

/// The document on both sides, and a document of its own for values that lost to
/// it, if there are such values.
type Three<'a> = (Pair<Option<&'a Document>>, Option<Document>);

/// Decides what has to become of every document.
pub(crate) fn join_all(now: &Pair<BTreeMap<Key, Document>>) -> BTreeMap<Key, Joined> {
    let mut all: BTreeMap<Key, Three<'_>> = BTreeMap::new();
    for side in Side::BOTH {
        for (key, document) in &now[side] {
            all.entry(key.clone()).or_default().0[side] = Some(document);
        }
    }
    let mut kept = BTreeMap::new();
    let mut beside = Vec::new();
    for (key, three) in &all {
        let Some((version, like)) = version_of(three) else { continue };
        let Some(document) = like.of_version(&version) else { continue };
        beside.extend(document.beside(&version).into_iter().map(|one| (key.clone(), one)));
    }
    for (of, document) in beside {
        let key = (document.kind, document.id.clone());
        let three = all.entry(key).or_default();
        if three.0 == Pair::default() {
            kept.insert(of, document.id.clone());
        }
        three.1 = Some(document);
    }
    let joined = all.iter().filter_map(|(key, three)| {
        let mut joined = join(three)?;
        joined.kept_as = kept.remove(key);
        Some((key.clone(), joined))
    });
    joined.collect()
}

fn version_of<'a>((here, beside): &'a Three<'_>) -> Option<(Version, &'a Document)> {
    let documents = [here.left, here.right, beside.as_ref()].into_iter().flatten();
    let version = documents.clone().fold(Version::new(), |known, one| known.join(&one.version()));
    let newest = documents.max_by_key(|one| (one.updated_at, one.revision.operation))?;
    Some((version, newest))
}

fn join(three: &Three<'_>) -> Option<Joined> {
    let (version, like) = version_of(three)?;
    let (here, beside) = three;
    let says_all = |one: &&Document| one.version().agrees_with(&version);
    let whole = [here.left, here.right, beside.as_ref()].into_iter().flatten().find(says_all);
    let document = match whole {
        Some(whole) => whole.clone(),
        None => {
            let revisions: Vec<Revision> =
                [here.left, here.right].into_iter().flatten().map(|one| one.revision).collect();
            let number = revisions.iter().map(|revision| revision.number).max()?;
            // The join is no new write: its operation is made from one that was
            // seen.
            let seen = version.seen();
            let op = seen.last().copied().unwrap_or(Op(0));
            let operation = op.operation(&format!("songrec sync {revisions:?} {seen:?}"));
            let revision = Revision { number: number + 1, operation };
            Document { revision, ..like.of_version(&version)? }
        }
    };
    let steps = Pair::of(|side| match here[side] {
        Some(own) if own.version().agrees_with(&version) => None,
        Some(own) => {
            let action = match (own.deleted, document.deleted) {
                (false, true) => Action::Delete,
                (true, false) => Action::Restore,
                _ if whole.is_some() => Action::Update,
                _ => Action::Merge,
            };
            Some((action, PutMode::Replace(own.revision.operation)))
        }
        None => Some((Action::Add, PutMode::Create)),
    });
    Some(Joined { document, steps, kept_as: None, beside: beside.is_some() })
}

impl Joined {
    /// What the report shows of it. A tombstone of a document that a side never
    /// had is not worth showing.
    pub(crate) fn work(&self, options: &Options) -> Option<DocumentWork> {
        let actions = Pair::of(|side| {
            let (action, _) = self.steps[side]?;
            let staged = action != Action::Add || !self.document.deleted;
            (staged && options.direction.may_write(side)).then_some(action)
        });
        let Document { kind, id, .. } = &self.document;
        let kept_as = self.kept_as.clone();
        (actions != Pair::default()).then(|| DocumentWork {
            kind: *kind,
            id: id.clone(),
            actions,
            kept_as,
        })
    }
}
