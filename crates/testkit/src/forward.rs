//! The methods of the contract, for wrappers that treat all of them alike.

/// Implements parts of the contract for a wrapper, each method by one of two
/// methods of the wrapper itself, next to the parameters of its type.
///
/// `whole(name, call)` answers a call that has no halves, `batch(name, batch,
/// call)` a call about each of some things, of which a part may be asked for;
/// `inner()` is the backend that `call` asks. The name of a call is that of its
/// part and method, such as `songs.put`.
///
/// ```
/// use std::fmt;
///
/// use songrec_storage::{
///     BlobStore, Capabilities, DocumentStore, EmbeddingStore, Maintenance, MemoryBackend, Result,
///     SegmentStore, SongStore, StorageBackend,
/// };
///
/// #[derive(Debug)]
/// struct Told<B>(B);
///
/// impl<B: StorageBackend> Told<B> {
///     fn inner(&self) -> &B {
///         &self.0
///     }
///
///     async fn whole<T, F: Future<Output = Result<T>>>(
///         &self,
///         name: &'static str,
///         call: impl FnOnce() -> F,
///     ) -> Result<T> {
///         println!("{name}");
///         call().await
///     }
///
///     async fn batch<'a, E, T, F: Future<Output = Result<T>>>(
///         &self,
///         name: &'static str,
///         batch: &'a [E],
///         call: impl FnOnce(&'a [E]) -> F,
///     ) -> Result<T> {
///         self.whole(name, || call(batch)).await
///     }
/// }
///
/// songrec_testkit::forward!([B: StorageBackend] SongStore, BlobStore for Told<B>);
///
/// impl<B: StorageBackend> StorageBackend for Told<B> {
///     fn capabilities(&self) -> Capabilities {
///         self.0.capabilities()
///     }
///
///     fn songs(&self) -> &dyn SongStore {
///         self
///     }
///
///     fn embeddings(&self) -> &dyn EmbeddingStore {
///         self.0.embeddings()
///     }
///
///     fn blobs(&self) -> &dyn BlobStore {
///         self
///     }
///
///     fn segments(&self) -> &dyn SegmentStore {
///         self.0.segments()
///     }
///
///     fn documents(&self) -> &dyn DocumentStore {
///         self.0.documents()
///     }
///
///     fn maintenance(&self) -> &dyn Maintenance {
///         self.0.maintenance()
///     }
/// }
///
/// impl<B: fmt::Display> fmt::Display for Told<B> {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         self.0.fmt(f)
///     }
/// }
/// ```
#[macro_export]
macro_rules! forward {
    ($bounds:tt $($part:ident),+ for $wrapper:ty) => {
        $($crate::forward!(@$part $bounds $wrapper);)+
    };
    (@SongStore $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part SongStore songs $bounds $wrapper {
            batch put(songs: &[PutSong]) -> Vec<Outcome<Song>>;
            batch get(ids: &[SongId]) -> Vec<Option<Song>>;
            whole find(query: &SongQuery) -> Page<Song>;
            whole find_summaries(query: &SongQuery) -> Page<SongSummary>;
            whole count(filter: &Filter) -> u64;
            batch lookup(lookups: &[Lookup]) -> Vec<Vec<SongId>>;
            batch delete(songs: &[DeleteSong]) -> Vec<Outcome<Song>>;
            batch purge(tombstones: &[PurgeSong]) -> ();
        });
    };
    (@EmbeddingStore $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part EmbeddingStore embeddings $bounds $wrapper {
            whole put_model(model: &ModelSpec) -> ();
            whole models() -> Vec<ModelSpec>;
            batch put(embeddings: &[NewEmbedding]) -> Vec<EmbeddingRef>;
            whole get(model: &ModelName, songs: &[SongId]) -> Vec<Option<StoredEmbedding>>;
            whole get_deleted(model: &ModelName, songs: &[SongId])
                -> Vec<Option<StoredEmbedding>>;
            whole nearest(query: &NearestQuery) -> Vec<Neighbor>;
        });
    };
    (@BlobStore $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part BlobStore blobs $bounds $wrapper {
            whole put(blob: &NewBlob, source: BlobSource) -> BlobRef;
            whole get(blob: &BlobRef, range: Option<Range<u64>>) -> Option<BlobStream>;
            whole url(blob: &BlobRef, valid_for: Duration) -> Option<String>;
        });
    };
    (@SegmentStore $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part SegmentStore segments $bounds $wrapper {
            batch put(segments: &[Segment]) -> ();
            batch get(ids: &[SegmentId]) -> Vec<Option<Segment>>;
            whole find(query: &SegmentQuery) -> Vec<Segment>;
            whole nearest(query: &NearestSegments) -> Vec<SegmentNeighbor>;
            batch delete(ids: &[SegmentId]) -> Vec<bool>;
        });
    };
    (@DocumentStore $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part DocumentStore documents $bounds $wrapper {
            batch put(documents: &[PutDocument]) -> Vec<Outcome<Document>>;
            whole get(kind: DocumentKind, ids: &[String]) -> Vec<Option<Document>>;
            whole list(kinds: &[DocumentKind], after: Option<&PageToken>) -> Page<Document>;
            whole delete(kind: DocumentKind, id: &str, version: OperationId) -> Outcome<Document>;
        });
    };
    (@Maintenance $bounds:tt $wrapper:ty) => {
        $crate::forward!(@part Maintenance maintenance $bounds $wrapper {
            whole changes(since: Option<&Cursor>, limit: usize) -> ChangePage;
            whole heads(since: Option<&Cursor>, limit: usize) -> ChangePage<ChangeHead>;
            whole collect_garbage(min_age: Duration, job: &Job) -> Collected;
            whole find_garbage(min_age: Duration, job: &Job) -> Collected;
            whole verify(options: &VerifyOptions, job: &Job) -> Vec<Finding>;
        });
    };
    (@part $trait:ident $part:ident [$($bounds:tt)*] $wrapper:ty {
        $($kind:ident $method:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+
    }) => {
        const _: () = {
            #[allow(unused_imports, reason = "each part needs some of them")]
            use ::std::{ops::Range, time::Duration};

            #[allow(unused_imports, reason = "each part needs some of them")]
            use ::songrec_core::*;
            use ::songrec_storage::*;

            #[deny(clippy::missing_trait_methods)]
            #[::async_trait::async_trait]
            impl<$($bounds)*> ::songrec_storage::$trait for $wrapper {
                $(async fn $method(&self, $($arg: $type),*) -> Result<$answer> {
                    $crate::forward!(@$kind self $part $method $($arg)*)
                })+
            }
        };
    };
    (@whole $self:ident $part:ident $method:ident $($arg:ident)*) => {
        $self
            .whole(concat!(stringify!($part), ".", stringify!($method)), || {
                $self.inner().$part().$method($($arg),*)
            })
            .await
    };
    (@batch $self:ident $part:ident $method:ident $arg:ident) => {
        $self
            .batch(concat!(stringify!($part), ".", stringify!($method)), $arg, |$arg| {
                $self.inner().$part().$method($arg)
            })
            .await
    };
}
