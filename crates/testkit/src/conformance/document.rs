//! Small documents beside the songs.

use serde_json::json;
use songrec_core::{Document, DocumentKind, OperationId, Revision};
use songrec_storage::{ErrorKind, Outcome, PutDocument, PutMode, StorageBackend};

use crate::{operation, time};

use super::refusal::assert_refused;

fn document(kind: DocumentKind, id: &str) -> Document {
    let revision = Revision { number: 1, operation: operation(&format!("{kind:?} {id}")) };
    let body = json!({ "name": id, "songs": [1, 2, 3] });
    Document {
        kind,
        id: id.to_owned(),
        revision,
        updated_at: time(1),
        body,
        deleted: false,
        history: None,
    }
}

fn changed(document: &Document) -> Document {
    let mut next = document.clone();
    next.revision = next.revision.next();
    next.body = json!({ "changed by": next.revision.operation.to_string() });
    next
}

fn put(document: &Document, mode: PutMode) -> PutDocument {
    PutDocument { document: document.clone(), mode }
}

async fn put_one(
    backend: &dyn StorageBackend,
    document: &Document,
    mode: PutMode,
) -> Outcome<Document> {
    backend.documents().put(&[put(document, mode)]).await.unwrap().pop().unwrap()
}

async fn get(backend: &dyn StorageBackend, document: &Document) -> Option<Document> {
    let ids = std::slice::from_ref(&document.id);
    backend.documents().get(document.kind, ids).await.unwrap().pop().unwrap()
}

fn conflict(document: &Document) -> Outcome<Document> {
    Outcome::Conflict(Some(Box::new(document.clone())))
}

/// A document comes back whatever it says.
pub async fn documents_come_back(backend: &dyn StorageBackend) {
    let bodies = [
        json!({}),
        json!([]),
        json!(null),
        json!("text"),
        json!(-7),
        json!([[], [[]], {}, { "a": [] }, "", null, true]),
        json!({ "$set": { "a.b": 1 }, "a.b": { "$date": 5 }, "_id": 3, "$vector": [1.5] }),
        json!({ "null": null, "kind": "song", "id": "other", "revision": 9, "body": {} }),
        json!({ "large": 9_007_199_254_740_993_u64, "small": i64::MIN, "half": 0.5 }),
        json!({ "tiny": 5e-324, "third": 1.0 / 3.0, "sum": 0.1 + 0.2, "huge": 1.7e308 }),
        json!({ "Björk": "日本 \u{0} \u{10ffff} \"'`\\", " ": "\n" }),
    ];

    for (number, body) in bodies.into_iter().enumerate() {
        let mut one = document(DocumentKind::Synth, &format!("odd-{number}"));
        one.body = body;
        assert_eq!(put_one(backend, &one, PutMode::Create).await, Outcome::Done);

        assert_eq!(get(backend, &one).await, Some(one));
    }
}

/// Documents are of a kind: the same id in another kind is another document.
pub async fn documents_are_known_by_kind_and_id(backend: &dyn StorageBackend) {
    let documents = DocumentKind::ALL.map(|kind| document(kind, "same"));
    for one in &documents {
        assert_eq!(get(backend, one).await, None);
        assert_eq!(put_one(backend, one, PutMode::Create).await, Outcome::Done);
    }
    let other = document(DocumentKind::Playlist, "other");
    put_one(backend, &other, PutMode::Create).await;

    for one in &documents {
        assert_eq!(get(backend, one).await.as_ref(), Some(one));
    }
    let ids = ["other", "missing", "same", "other"].map(str::to_owned);
    let stored = backend.documents().get(DocumentKind::Playlist, &ids).await.unwrap();
    let expected = [Some(other.clone()), None, Some(documents[0].clone()), Some(other)];
    assert_eq!(stored, expected);
}

/// Documents change by compare-and-set, as songs do.
pub async fn documents_change_by_compare_and_set(backend: &dyn StorageBackend) {
    let first = document(DocumentKind::Playlist, "one");
    let (second, late) = (changed(&first), changed(&first));
    let replace = PutMode::Replace(first.revision.operation);
    assert_eq!(put_one(backend, &second, replace).await, Outcome::Conflict(None));

    for _ in 0..2 {
        assert_eq!(put_one(backend, &first, PutMode::Create).await, Outcome::Done);
    }
    assert_eq!(put_one(backend, &late, PutMode::Create).await, conflict(&first));
    let random = PutMode::Replace(OperationId::random());
    assert_eq!(put_one(backend, &late, random).await, conflict(&first));
    for _ in 0..2 {
        assert_eq!(put_one(backend, &second, replace).await, Outcome::Done);
    }
    assert_eq!(put_one(backend, &late, replace).await, conflict(&second));
    assert_eq!(put_one(backend, &first, PutMode::Create).await, conflict(&second));
    assert_eq!(get(backend, &first).await, Some(second));
}

/// Each document of a batch stands for itself.
pub async fn each_document_of_a_batch_stands_for_itself(backend: &dyn StorageBackend) {
    let [taken, fresh, absent] =
        ["taken", "fresh", "absent"].map(|id| document(DocumentKind::Machine, id));
    put_one(backend, &taken, PutMode::Create).await;
    let late = changed(&taken);

    let outcomes = backend
        .documents()
        .put(&[
            put(&late, PutMode::Create),
            put(&fresh, PutMode::Create),
            put(&absent, PutMode::Replace(OperationId::random())),
            put(&taken, PutMode::Create),
        ])
        .await
        .unwrap();

    let expected = [conflict(&taken), Outcome::Done, Outcome::Conflict(None), Outcome::Done];
    assert_eq!(outcomes, expected);
    assert_eq!(get(backend, &fresh).await, Some(fresh));
    assert_eq!(get(backend, &absent).await, None);
}

/// Of racing creates of a document exactly one wins.
pub async fn of_racing_documents_one_wins(backend: &dyn StorageBackend) {
    use futures::FutureExt;
    for round in 0..10 {
        let base = document(DocumentKind::Library, &format!("round-{round}"));
        let versions: Vec<_> = (0..4).map(|_| changed(&base)).collect();

        let outcomes = crate::in_parallel(4, |writer| {
            put_one(backend, &versions[writer], PutMode::Create).boxed()
        });

        let won: Vec<_> = (0..4).filter(|writer| outcomes[*writer].is_done()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let winner = &versions[won[0]];
        assert_eq!(get(backend, &base).await.as_ref(), Some(winner));
        let lost = outcomes.iter().filter(|outcome| !outcome.is_done());
        assert!(lost.into_iter().all(|outcome| *outcome == conflict(winner)), "{outcomes:?}");
    }
}

/// Ids that could mean something else are refused.
pub async fn wrong_document_ids_are_refused(backend: &dyn StorageBackend) {
    let long = "a".repeat(65);
    for id in ["", "..", "a/b", "A", "a b", "a.b", "é", "a\0", "$a", &long] {
        let wrong = document(DocumentKind::Playlist, id);
        let new = [put(&wrong, PutMode::Create)];

        assert_refused(
            backend.documents().put(&new).await,
            ErrorKind::Invalid,
            format_args!("`{id}`"),
        );
        // What cannot be stored is missing.
        assert_eq!(get(backend, &wrong).await, None, "`{id}`");
    }
    let longest = document(DocumentKind::Playlist, &"z".repeat(64));
    assert_eq!(put_one(backend, &longest, PutMode::Create).await, Outcome::Done);
    assert_eq!(get(backend, &longest).await, Some(longest));
}

/// All documents of some kinds are listed, by kind and id, in as many pages
/// as it takes.
pub async fn documents_are_listed(backend: &dyn StorageBackend) {
    let mut documents = Vec::new();
    for kind in DocumentKind::ALL {
        let count = if kind == DocumentKind::Playlist { 150 } else { 3 };
        documents.extend((0..count).map(|number| document(kind, &format!("n{number:03}"))));
    }
    for chunk in documents.chunks(100) {
        let new: Vec<_> = chunk.iter().map(|one| put(one, PutMode::Create)).collect();
        backend.documents().put(&new).await.unwrap();
    }
    documents.sort_by(|left, right| (left.kind, &left.id).cmp(&(right.kind, &right.id)));

    for kinds in [
        &DocumentKind::ALL[..],
        &[DocumentKind::Playlist],
        &[DocumentKind::Machine, DocumentKind::Synth],
        &[DocumentKind::Synth, DocumentKind::Synth],
        &[],
    ] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = backend.documents().list(kinds, after.as_ref()).await.unwrap();
            assert!(page.next.is_none() || !page.items.is_empty(), "an endless list");
            listed.extend(page.items);
            assert!(listed.len() < 10_000, "the same documents again and again");
            after = page.next;
            if after.is_none() {
                break;
            }
        }

        let expected: Vec<_> =
            documents.iter().filter(|one| kinds.contains(&one.kind)).cloned().collect();
        assert_eq!(listed, expected, "{kinds:?}");
    }
}

/// A document is deleted if its version is the one given; what is not there is
/// deleted already.
pub async fn a_document_is_deleted_by_its_version(backend: &dyn StorageBackend) {
    let kind = DocumentKind::Playlist;
    let first = document(kind, "one");
    let second = changed(&first);
    put_one(backend, &first, PutMode::Create).await;
    put_one(backend, &second, PutMode::Replace(first.revision.operation)).await;

    let stale = backend.documents().delete(kind, "one", first.revision.operation).await.unwrap();
    assert_eq!(stale, conflict(&second));
    assert_eq!(get(backend, &first).await.as_ref(), Some(&second));

    for _ in 0..2 {
        let outcome = backend.documents().delete(kind, "one", second.revision.operation).await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
    }
    assert_eq!(get(backend, &first).await, None);
    let missing = backend.documents().delete(kind, "never", OperationId::random()).await;
    assert_eq!(missing.unwrap(), Outcome::Done);
    assert_eq!(backend.documents().list(&[kind], None).await.unwrap().items, []);
    assert_eq!(put_one(backend, &first, PutMode::Create).await, Outcome::Done);
}
