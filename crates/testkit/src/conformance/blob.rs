//! Audio bytes.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{BlobRef, Digest};
use songrec_storage::{BlobSource, Error, ErrorKind, NewBlob, Result, StorageBackend, read_blob};

use crate::{audio, new_blob, temp_dir};

use super::refusal::assert_refused;

// A stream that gives `bytes` in uneven pieces, some of them empty.
fn pieces(bytes: &Bytes) -> BlobSource {
    let mut rest = bytes.clone();
    let mut pieces: Vec<Result<Bytes>> = vec![Ok(Bytes::new())];
    let mut size = 1;
    while !rest.is_empty() {
        pieces.push(Ok(rest.split_to(size.min(rest.len()))));
        pieces.push(Ok(Bytes::new()));
        size = size * 3 + 1;
    }
    BlobSource::Stream(stream::iter(pieces).boxed())
}

async fn read(
    backend: &dyn StorageBackend,
    blob: &BlobRef,
    range: Option<std::ops::Range<u64>>,
) -> Option<Bytes> {
    match backend.blobs().get(blob, range).await.unwrap() {
        Some(stream) => Some(read_blob(stream).await.unwrap()),
        None => None,
    }
}

// Whether there is anything to test: a library that keeps no audio says so.
async fn keeps_audio(backend: &dyn StorageBackend) -> bool {
    if backend.capabilities().keeps_audio {
        return true;
    }
    let bytes = audio(10, 1);
    assert_refused(
        backend.blobs().put(&new_blob(&bytes), pieces(&bytes)).await,
        ErrorKind::Unsupported,
        "audio",
    );
    false
}

/// A blob comes back as it went in, from a stream or from a file, however
/// small; and the file stays as it is.
pub async fn a_blob_comes_back(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let folder = temp_dir();
    for (number, length) in [0, 1, 17, 4_096, 100_000].into_iter().enumerate() {
        let from_stream = audio(length, number as u64);
        let from_file = audio(length + 1, 100 + number as u64);
        let path = folder.path().join(format!("{length} 100%.wav"));
        std::fs::write(&path, &from_file).unwrap();

        for (bytes, source) in
            [(&from_stream, pieces(&from_stream)), (&from_file, BlobSource::Path(path.clone()))]
        {
            let reference = backend.blobs().put(&new_blob(bytes), source).await.unwrap();

            assert_eq!(reference.sha256, Digest::of(bytes));
            assert_eq!(reference.size, bytes.len() as u64);
            assert_eq!(read(backend, &reference, None).await.as_ref(), Some(bytes), "{length}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), from_file);
    }
}

/// A large blob comes in pieces, so that nobody has to hold it.
pub async fn a_large_blob_comes_in_pieces(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let bytes = audio(11 * 1024 * 1024 + 3, 5);
    let reference = backend.blobs().put(&new_blob(&bytes), pieces(&bytes)).await.unwrap();

    let mut stream = backend.blobs().get(&reference, None).await.unwrap().unwrap();
    let mut at = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 8 * 1024 * 1024, "a piece of {} bytes", piece.len());
        assert!(bytes[at..].starts_with(&piece), "wrong bytes from {at}");
        at += piece.len();
    }
    assert_eq!(at, bytes.len());
}

/// A part of a blob is exactly that part.
pub async fn a_part_of_a_blob_can_be_read(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let bytes = audio(10_000, 2);
    let reference = backend.blobs().put(&new_blob(&bytes), pieces(&bytes)).await.unwrap();

    for (from, to) in
        [(0, 1), (0, 10_000), (1, 9_999), (9_999, 10_000), (4_095, 4_097), (0, 0), (10_000, 10_000)]
    {
        let part = read(backend, &reference, Some(from..to)).await.unwrap();

        assert_eq!(part, bytes[from as usize..to as usize], "{from}..{to}");
    }
    for (from, to) in [(0, 10_001), (10_001, 10_002), (9_999, u64::MAX), (u64::MAX, u64::MAX)] {
        let part = backend.blobs().get(&reference, Some(from..to)).await;

        assert_refused(part, ErrorKind::Invalid, format_args!("{from}..{to} of 10000"));
    }
    #[expect(clippy::reversed_empty_ranges, reason = "the backend has to refuse it")]
    let backwards = backend.blobs().get(&reference, Some(5..3)).await;
    assert_refused(backwards, ErrorKind::Invalid, "5..3");
}

/// A blob that is not there is `None`, whole or in part, and has no address.
pub async fn a_missing_blob_is_none(backend: &dyn StorageBackend) {
    let missing = BlobRef { sha256: Digest::of(b"missing"), size: 7, key: None };

    assert!(backend.blobs().get(&missing, None).await.unwrap().is_none());
    assert!(backend.blobs().get(&missing, Some(0..3)).await.unwrap().is_none());
    assert_eq!(backend.blobs().url(&missing, Duration::from_secs(60)).await.unwrap(), None);
}

/// Storing a blob again is a no-op, whether it is the same write or another.
pub async fn storing_a_blob_again_changes_nothing(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let bytes = audio(5_000, 3);
    let blob = new_blob(&bytes);
    let first = backend.blobs().put(&blob, pieces(&bytes)).await.unwrap();

    assert_eq!(backend.blobs().put(&blob, pieces(&bytes)).await.unwrap(), first);
    let other = backend.blobs().put(&new_blob(&bytes), pieces(&bytes)).await.unwrap();

    for reference in [&first, &other] {
        assert_eq!(read(backend, reference, None).await.as_ref(), Some(&bytes));
    }
}

/// Bytes that are not those that were promised are refused, and none of them
/// can be read; nor of a stream that breaks. The right ones can follow.
pub async fn wrong_bytes_are_refused(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let bytes = audio(50_000, 4);
    let promised = new_blob(&bytes);
    let mut damaged = bytes.to_vec();
    damaged[25_000] ^= 1;
    let short = bytes.slice(..49_999);
    let long = Bytes::from([&bytes[..], b"x"].concat());
    let place = backend.to_string();

    let wrong = [
        ("another byte", promised, pieces(&damaged.clone().into())),
        ("too short", promised, pieces(&short)),
        ("too long", promised, pieces(&long)),
        ("nothing", promised, pieces(&Bytes::new())),
        ("another size", NewBlob { size: 49_999, ..promised }, pieces(&bytes)),
        ("another size and part", NewBlob { size: 49_999, ..promised }, pieces(&short)),
    ];
    for (what, blob, source) in wrong {
        assert_refused(backend.blobs().put(&blob, source).await, ErrorKind::Invalid, what);
    }
    let folder = temp_dir();
    let path = folder.path().join("damaged.wav");
    std::fs::write(&path, &damaged).unwrap();
    assert_refused(
        backend.blobs().put(&promised, BlobSource::Path(path)).await,
        ErrorKind::Invalid,
        "a damaged file",
    );
    let absent = BlobSource::Path(folder.path().join("absent.wav"));
    backend.blobs().put(&promised, absent).await.expect_err("a file that is not there");
    let torn = Error::new(ErrorKind::Transient, "read", "a blob", place);
    let stream = stream::iter([Ok(bytes.slice(..1_000)), Err(torn)]).boxed();
    assert_refused(
        backend.blobs().put(&promised, BlobSource::Stream(stream)).await,
        ErrorKind::Transient,
        "a torn stream",
    );

    let unnamed = BlobRef { sha256: promised.sha256, size: promised.size, key: None };
    assert!(read(backend, &unnamed, None).await.is_none());
    let reference = backend.blobs().put(&promised, pieces(&bytes)).await.unwrap();
    assert_eq!(read(backend, &reference, None).await, Some(bytes));
}

/// A blob has an address where the backend has addresses, and only there.
pub async fn a_blob_has_an_address_where_there_are_any(backend: &dyn StorageBackend) {
    if !keeps_audio(backend).await {
        return;
    }
    let bytes = audio(100, 6);
    let reference = backend.blobs().put(&new_blob(&bytes), pieces(&bytes)).await.unwrap();

    let url = backend.blobs().url(&reference, Duration::from_secs(60)).await.unwrap();

    assert_eq!(url.is_some(), backend.capabilities().urls, "{url:?}");
    assert!(url.is_none_or(|url| url.starts_with("http")));
}
