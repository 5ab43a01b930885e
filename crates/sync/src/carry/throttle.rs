//! A limit on bytes per second.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt;
use songrec_storage::BlobStream;

/// Lets so many bytes per second by, of all streams together.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    per_second: u64,
    /// When the bytes that were let by so far are through.
    free_at: Arc<Mutex<Instant>>,
}

impl Throttle {
    pub(super) fn new(per_second: u64) -> Self {
        let free_at = Arc::new(Mutex::new(Instant::now()));
        Self { per_second: per_second.max(1), free_at }
    }

    /// Waits until `bytes` may go by.
    pub(super) async fn take(&self, bytes: u64) {
        let wait = {
            let mut free_at = self.free_at.lock().expect("nothing panics with it");
            let now = Instant::now();
            let begin = (*free_at).max(now);
            *free_at = begin + Duration::from_secs_f64(bytes as f64 / self.per_second as f64);
            begin - now
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The same stream, at no more than that speed.
    pub(super) fn slow(&self, stream: BlobStream) -> BlobStream {
        let throttle = self.clone();
        stream
            .then(move |piece| {
                let throttle = throttle.clone();
                async move {
                    if let Ok(piece) = &piece {
                        throttle.take(piece.len() as u64).await;
                    }
                    piece
                }
            })
            .boxed()
    }
}
