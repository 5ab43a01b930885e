//! Asking again makes up for what fails, and stops when it is no use.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use songrec_storage::{
    BlobSource, ErrorKind, MemoryBackend, PutMode, Retries, Retrying, StorageBackend,
    StorageBackendExt,
};
use songrec_testkit::{Fault, Faulty, audio, new_blob, run_case, song};

fn retries() -> Retries {
    Retries {
        attempts: 30,
        first_pause: Duration::from_micros(10),
        longest_pause: Duration::from_micros(100),
        ..Retries::default()
    }
}

mod while_a_third_fails {
    use super::*;

    // Whether something was there is not known any more when the answer to
    // its deletion is lost.
    fn faults(operation: &'static str) -> &'static [Fault] {
        match operation {
            "delete_segments" | "sweep" => &[Fault::Before],
            // Half of a batch that is refused as a whole is another batch.
            "put_embeddings" | "put_segments" => &[Fault::Before, Fault::After],
            _ => &[Fault::Before, Fault::After, Fault::Partial],
        }
    }

    async fn retrying() -> Retrying {
        let faulty = Faulty::new(MemoryBackend::new()).at_random(11, 0.3, faults);
        Retrying::new(Arc::new(faulty), retries())
    }

    songrec_testkit::conformance!(retrying());
}

async fn library() -> (Retrying, Arc<Faulty<MemoryBackend>>) {
    let behind = Arc::new(Faulty::new(MemoryBackend::new()));
    (Retrying::new(behind.clone(), retries()), behind)
}

#[test]
fn what_repeating_cannot_help_is_not_repeated() {
    run_case(async {
        let (retrying, behind) = library().await;
        let mut unknown = song("one");
        let model = songrec_testkit::tiny_model();
        let embedding = songrec_core::Embedding {
            song: unknown.id,
            model: model.name.clone(),
            vector: songrec_testkit::vector(&[1.0; 8]),
        };
        unknown.embeddings.insert(model.name, embedding.reference());

        let error = retrying.put_song(&unknown, PutMode::Create).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(behind.calls("put_songs"), 1);
    });
}

#[test]
fn it_gives_up_after_its_attempts_and_says_what_failed() {
    run_case(async {
        let (_, behind) = library().await;
        let retrying = Retrying::new(behind.clone(), Retries { attempts: 4, ..retries() });
        behind.plan("get_songs", [Some(Fault::Before); 10]);

        let error = retrying.get_song(song("one").id).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(behind.calls("get_songs"), 4);
    });
}

#[test]
fn nothing_is_begun_after_the_deadline() {
    run_case(async {
        let (_, behind) = library().await;
        let deadline = Duration::ZERO;
        let retrying = Retrying::new(behind.clone(), Retries { deadline, ..retries() });
        behind.plan("models", [Some(Fault::Before)]);

        assert!(retrying.models().await.is_err());
        assert_eq!(behind.calls("models"), 1);
    });
}

#[test]
fn a_download_goes_on_where_it_broke_and_a_large_stream_is_sent_once() {
    run_case(async {
        let (retrying, behind) = library().await;
        let bytes = audio(17 * 1024 * 1024, 3);
        let stream = || BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed());
        behind.plan("put_blob", [Some(Fault::Before)]);
        assert!(retrying.put_blob(&new_blob(&bytes), stream()).await.is_err());
        let blob = retrying.put_blob(&new_blob(&bytes), stream()).await.unwrap();
        assert_eq!(behind.calls("put_blob"), 2);
        // Each breaks in its first piece.
        behind.plan("get_blob", [Some(Fault::Partial); 5]);

        let range = 1_000..bytes.len() as u64 - 1;
        let part = retrying.get_blob(&blob, Some(range)).await.unwrap().unwrap();
        let pieces: Vec<_> = part.try_collect().await.unwrap();

        assert!(pieces.concat() == bytes.slice(1_000..bytes.len() - 1));
        assert_eq!(behind.calls("get_blob"), 6);
    });
}
