//! Audio in S3: whole, in parts, by an address, and when something is wrong.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use songrec_astra::{AstraBackend, BlobConfig, Secret};
use songrec_core::{BlobRef, Digest, Job, OperationId};
use songrec_emulator::Emulator;
use songrec_storage::{BlobSource, BlobStream, Error, ErrorKind, NewBlob, StorageBackend};
use songrec_testkit::{
    run_case,
    s3::{Fault, Operation, Rule, S3Server},
    temp_dir,
};

use crate::support::{self, Cloud, library};

const MIB: usize = 1 << 20;
/// What is sent in one piece, and the parts of what is not.
const ONE_PIECE: usize = 16 * MIB;
const PART: usize = 8 * MIB;

// Bytes that differ from part to part, so that parts in a wrong order show.
fn bytes(length: usize) -> Bytes {
    let mut state = length as u64 | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&(state ^ (state >> 33)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

fn blob_of(bytes: &Bytes) -> NewBlob {
    let (sha256, size) = (Digest::of(bytes), bytes.len() as u64);
    NewBlob { sha256, size, operation: OperationId::random() }
}

// In pieces of a length that divides nothing.
fn source(bytes: &Bytes) -> BlobSource {
    let mut rest = bytes.clone();
    let pieces = std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(700_001))))
    });
    BlobSource::Stream(stream::iter(pieces).boxed())
}

async fn read(stream: BlobStream) -> Result<Bytes, Error> {
    let mut all = Vec::new();
    let mut pieces = stream;
    while let Some(piece) = pieces.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

async fn stored(backend: &AstraBackend, bytes: &Bytes) -> BlobRef {
    backend.blobs().put(&blob_of(bytes), source(bytes)).await.unwrap()
}

// A backend whose audio is as `change` has it.
fn elsewhere(cloud: &Cloud, change: impl FnOnce(&mut BlobConfig)) -> AstraBackend {
    let mut config = support::config(&cloud.emulator);
    let mut blobs = support::blobs(&cloud.s3);
    change(&mut blobs);
    config.blobs = Some(blobs);
    AstraBackend::connect(&config).unwrap()
}

fn reported(error: &Error) -> String {
    format!("{error}: {}", error.hint().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn blobs_around_the_edges_of_pieces_and_parts_come_back() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        for (length, parts) in [
            (0, 0),
            (1, 0),
            (ONE_PIECE - 1, 0),
            (ONE_PIECE, 0),
            (ONE_PIECE + 1, 3),
            (ONE_PIECE + PART - 1, 3),
            (ONE_PIECE + PART, 3),
            (ONE_PIECE + PART + 1, 4),
        ] {
            let bytes = bytes(length);
            cloud.s3.forget_requests();

            let blob = stored(&backend, &bytes).await;

            let sent = cloud.s3.counts();
            let expected: BTreeMap<_, _> = match parts {
                0 => [(Operation::Put, 1)].into(),
                parts => [
                    (Operation::BeginParts, 1),
                    (Operation::PutPart, parts),
                    (Operation::CompleteParts, 1),
                ]
                .into(),
            };
            assert_eq!(sent, expected, "{length}");
            let found =
                read(backend.blobs().get(&blob, None).await.unwrap().unwrap()).await.unwrap();
            assert_eq!(Digest::of(&found), blob.sha256, "{length}");
        }
    });
}

#[test]
fn a_range_over_the_edge_of_parts_is_exact() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let bytes = bytes(ONE_PIECE + PART + 77);
        let blob = stored(&backend, &bytes).await;
        let end = bytes.len();
        for (from, to) in [
            (0, 1),
            (PART - 3, PART + 5),
            (ONE_PIECE - 1, ONE_PIECE + PART + 1),
            (end - 1, end),
            (0, end),
        ] {
            cloud.s3.forget_requests();
            let range = from as u64..to as u64;
            let part = backend.blobs().get(&blob, Some(range)).await.unwrap().unwrap();
            assert_eq!(read(part).await.unwrap(), bytes.slice(from..to), "{from}..{to}");
            assert_eq!(cloud.s3.requests(), 1);
        }
        let beyond =
            backend.blobs().get(&blob, Some(5..end as u64 + 1)).await.map(drop).unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::Invalid, "{beyond:?}");
    });
}

#[test]
fn a_download_that_breaks_goes_on_where_it_was() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let bytes = bytes(5 * MIB + 3);
        let blob = stored(&backend, &bytes).await;
        cloud.s3.forget_requests();
        // Halves of what is left, again and again.
        let cut = cloud.s3.fail(Rule::fault(Fault::CutBody).on(Operation::Get).next(12));

        let found = read(backend.blobs().get(&blob, None).await.unwrap().unwrap()).await.unwrap();

        assert_eq!(found, bytes);
        assert_eq!(cloud.s3.fired(cut), 12);
        assert_eq!(cloud.s3.counts(), [(Operation::Get, 13)].into());
    });
}

#[test]
fn a_download_does_not_go_on_in_another_object() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let (first, second) = (bytes(6 * MIB), bytes(6 * MIB + 1).slice(1..));
        let blob = stored(&backend, &first).await;
        cloud.s3.fail(Rule::fault(Fault::CutBody).on(Operation::Get).next(1));
        let mut download = backend.blobs().get(&blob, None).await.unwrap().unwrap();
        let begun = download.try_next().await.unwrap().unwrap();
        assert_eq!(begun, first.slice(..begun.len()));

        // Nobody may do so, but somebody can.
        let bucket = object_store::aws::AmazonS3Builder::new()
            .with_bucket_name(S3Server::BUCKET)
            .with_endpoint(cloud.s3.endpoint())
            .with_allow_http(true)
            .with_access_key_id(S3Server::ACCESS_KEY)
            .with_secret_access_key(S3Server::SECRET_KEY)
            .build()
            .unwrap();
        let path = format!("my/library/{}", blob.key.unwrap()).into();
        bucket.put(&path, second.into()).await.unwrap();
        let rest = read(download).await;

        if let Ok(rest) = rest {
            assert!([begun, rest].concat() == first, "a mixture of two objects");
        }
    });
}

#[test]
fn an_upload_is_stored_whatever_becomes_of_its_answers() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let (small, large) = (bytes(300_000), bytes(ONE_PIECE + PART + 5));
        for operation in
            [Operation::Put, Operation::BeginParts, Operation::PutPart, Operation::CompleteParts]
        {
            let bytes = if operation == Operation::Put { &small } else { &large };
            for fault in Fault::every() {
                let rule = cloud.s3.fail(Rule::fault(fault).on(operation).next(1));

                let blob = stored(&backend, bytes).await;

                assert_eq!(cloud.s3.fired(rule), 1, "{operation:?}");
                cloud.s3.remove(rule);
                let found = backend.blobs().get(&blob, None).await.unwrap().unwrap();
                let found = Digest::of(&read(found).await.unwrap());
                assert_eq!(found, blob.sha256, "{operation:?} with {fault:?}");
            }
        }
    });
}

#[test]
fn wrong_bytes_of_a_large_blob_leave_nothing_behind() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let right = bytes(ONE_PIECE + 9);
        let mut wrong = right.to_vec();
        wrong[ONE_PIECE] ^= 1;
        let (wrong, short) = (Bytes::from(wrong), right.slice(..ONE_PIECE + 8));
        for source in [source(&wrong), source(&short)] {
            let new = blob_of(&right);
            cloud.s3.forget_requests();

            let error = backend.blobs().put(&new, source).await.unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert_eq!(cloud.s3.counts().get(&Operation::AbortParts), Some(&1));
            let key = None;
            let blob = BlobRef { sha256: new.sha256, size: new.size, key };
            assert!(backend.blobs().get(&blob, None).await.unwrap().is_none());
        }
    });
}

fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

#[test]
fn an_address_is_good_for_its_time_and_for_nothing_else() {
    run_case(async {
        let (backend, _cloud) = library(Emulator::builder()).await;
        let bytes = bytes(100_000);
        let blob = stored(&backend, &bytes).await;
        let minute = Duration::from_secs(60);
        let address = backend.blobs().url(&blob, minute).await.unwrap().unwrap();
        let http = http_client();

        let found = http.get(&address).send().await.unwrap();
        assert_eq!(found.status(), 200);
        assert_eq!(found.bytes().await.unwrap(), bytes);
        let part = http.get(&address).header("range", "bytes=10-19").send().await.unwrap();
        assert_eq!(
            (part.status().as_u16(), part.bytes().await.unwrap()),
            (206, bytes.slice(10..20))
        );

        let at = address.rfind("X-Amz-Signature=").unwrap() + "X-Amz-Signature=".len();
        let other = if address.as_bytes()[at] == b'0' { "1" } else { "0" };
        let tampered = format!("{}{other}{}", &address[..at], &address[at + 1..]);
        let another = address.replace(&blob.sha256.to_string(), &"0".repeat(64));
        let longer = address.replace("X-Amz-Expires=60", "X-Amz-Expires=6000");
        for wrong in [tampered, another, longer] {
            assert_ne!(wrong, address);
            let refused = http.get(&wrong).send().await.unwrap().status();
            assert!(refused.is_client_error(), "{refused} for {wrong}");
        }
        let written = http.put(&address).body("x").send().await.unwrap().status();
        assert!(written.is_client_error(), "an address to read is not one to write: {written}");

        let short = backend.blobs().url(&blob, Duration::from_secs(1)).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let expired = http.get(&short).send().await.unwrap().status();
        assert_eq!(expired, 403);

        let nowhere = BlobRef { key: Some("audio/00/none.00000000".into()), ..blob };
        assert_eq!(backend.blobs().url(&nowhere, minute).await.unwrap(), None);
    });
}

#[test]
fn what_is_wrong_with_a_bucket_is_said() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let bytes = bytes(1_000);
        let blob = stored(&backend, &bytes).await;
        let no_bucket =
            elsewhere(&cloud, |blobs| blobs.url = "s3://nobody-made-this/my/library".to_owned());
        let wrong_secret =
            elsewhere(&cloud, |blobs| blobs.secret_key = Some(Secret::new("whisper")));
        let wrong_key = elsewhere(&cloud, |blobs| blobs.access_key = Some(Secret::new("hush")));

        for (backend, kind, hint) in [
            (no_bucket, ErrorKind::NotFound, "name of the bucket"),
            (wrong_secret, ErrorKind::Denied, "access key"),
            (wrong_key, ErrorKind::Denied, "access key"),
        ] {
            let errors = [
                backend.blobs().put(&blob_of(&bytes), source(&bytes)).await.map(drop).unwrap_err(),
                backend.blobs().get(&blob, None).await.map(drop).unwrap_err(),
                backend.init(true).await.map(drop).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), kind, "{error:?}");
                assert!(reported(&error).contains(hint), "{}", reported(&error));
                let shown = format!("{error:?}{backend:?}");
                assert!(!shown.contains("whisper") && !shown.contains("hush"), "{shown}");
            }
            let probes = backend.doctor().await;
            assert!(
                probes.iter().any(|probe| probe.kind.is_some()
                    && probe.hint.as_ref().is_some_and(|text| text.to_string().contains(hint))),
                "{probes:#?}"
            );
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_unreachable_for_now() {
    run_case(async {
        let (_, cloud) = library(Emulator::builder()).await;
        let backend =
            elsewhere(&cloud, |blobs| blobs.endpoint = Some("http://127.0.0.1:9".to_owned()));
        let bytes = bytes(10);

        let error = backend.blobs().put(&blob_of(&bytes), source(&bytes)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
        assert!(reported(&error).contains("address of the server"), "{}", reported(&error));
    });
}

#[test]
fn a_damaged_object_is_not_taken_for_a_bad_network() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        let blob = stored(&backend, &bytes(10_000)).await;
        let object = cloud.s3.objects().join("my/library").join(blob.key.as_ref().unwrap());
        std::fs::write(object, b"short").unwrap();

        let error = backend.blobs().get(&blob, Some(5_000..6_000)).await.map(drop).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    });
}

#[test]
fn a_folder_keeps_audio_as_a_bucket_does() {
    run_case(async {
        let emulator = Emulator::builder().start().await.unwrap();
        let folder = temp_dir();
        let mut config = support::config(&emulator);
        config.blobs = Some(BlobConfig::new(format!("file://{}", folder.path().display())));
        let backend = AstraBackend::connect(&config).unwrap();
        backend.init(false).await.unwrap();
        for length in [0, 1, ONE_PIECE, ONE_PIECE + PART + 1] {
            let bytes = bytes(length);

            let blob = stored(&backend, &bytes).await;

            let found =
                read(backend.blobs().get(&blob, None).await.unwrap().unwrap()).await.unwrap();
            assert_eq!(Digest::of(&found), blob.sha256, "{length}");
            if length > PART {
                let range = PART as u64 - 2..PART as u64 + 2;
                let part = backend.blobs().get(&blob, Some(range)).await.unwrap().unwrap();
                assert_eq!(read(part).await.unwrap(), bytes.slice(PART - 2..PART + 2));
            }
            let on_disk = folder.path().join(blob.key.as_ref().unwrap());
            assert_eq!(on_disk.metadata().unwrap().len(), length as u64);
            assert_eq!(backend.blobs().url(&blob, Duration::from_secs(60)).await.unwrap(), None);
        }
    });
}

// A source that counts what was taken from it.
fn counted(size: u64, taken: &Arc<AtomicU64>) -> BlobSource {
    let taken = Arc::clone(taken);
    let piece = Bytes::from(vec![7; MIB]);
    let pieces = (0..size / MIB as u64).map(move |_| {
        taken.fetch_add(MIB as u64, Ordering::Relaxed);
        Ok(piece.clone())
    });
    BlobSource::Stream(stream::iter(pieces).boxed())
}

#[test]
fn uploads_hold_no_more_than_their_room() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        // Nothing is ever acknowledged.
        cloud.s3.fail(
            Rule::delay(Duration::from_secs(3_600)).on(Operation::PutPart).on(Operation::Put),
        );
        let size = 2 << 30;
        let taken = Arc::new(AtomicU64::new(0));
        let new = NewBlob { sha256: Digest([0; 32]), size, operation: OperationId::random() };

        let upload = backend.blobs().put(&new, counted(size, &taken));
        assert!(tokio::time::timeout(Duration::from_secs(2), upload).await.is_err());

        let held = taken.load(Ordering::Relaxed);
        assert!((PART as u64..=33 * MIB as u64).contains(&held), "{held} bytes");

        // Nor do many of a size that is sent in one piece.
        taken.store(0, Ordering::Relaxed);
        let size = 12 * MIB as u64;
        let sha256 = Digest::of(&vec![7; size as usize]);
        let new = NewBlob { sha256, size, operation: OperationId::random() };
        let uploads = (0..10).map(|_| backend.blobs().put(&new, counted(size, &taken)));
        let all = futures::future::join_all(uploads);
        assert!(tokio::time::timeout(Duration::from_secs(2), all).await.is_err());
        let held = taken.load(Ordering::Relaxed);
        assert!((size..=48 * MIB as u64).contains(&held), "{held} bytes");
    });
}

#[test]
fn garbage_collection_removes_objects_that_no_song_names() {
    run_case(async {
        let (backend, cloud) = library(Emulator::builder()).await;
        for number in 0..5 {
            stored(&backend, &bytes(100 + number)).await;
        }
        cloud.s3.fail(Rule::one_of(&Fault::every()).chance(0.3, 3));

        let collected =
            backend.maintenance().collect_garbage(Duration::ZERO, &Job::silent()).await.unwrap();

        assert_eq!(collected.objects, 5);
        let kept = std::fs::read_dir(cloud.s3.objects().join("my/library/audio")).unwrap();
        let files = kept.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        assert_eq!(files.count(), 0);
    });
}

// What the tests above rest on.
#[test]
fn the_server_lets_nobody_in_without_a_signature() {
    let server = S3Server::start();
    run_case(async move {
        let address = format!("{}/{}/key", server.endpoint(), S3Server::BUCKET);
        let refused = http_client().put(address).body("x").send().await.unwrap();
        assert_eq!(refused.status(), 403);
    });
}
