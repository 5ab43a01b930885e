//! Doing together what comes at about the same time.

use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

/// The items of `stream`, up to `most` together: those that come within
/// `patience` of the first of them, or are ready with it if there is none.
pub(super) fn gathered<S: Stream + Send>(
    stream: S,
    most: usize,
    patience: Duration,
) -> impl Stream<Item = Vec<S::Item>> + Send
where
    S::Item: Send,
{
    stream::unfold(Box::pin(stream), move |mut stream| async move {
        let mut together = vec![stream.next().await?];
        let until = Instant::now() + patience;
        while together.len() < most {
            let next = if patience.is_zero() {
                stream.next().now_or_never()
            } else {
                timeout_at(until, stream.next()).await.ok()
            };
            match next {
                Some(Some(item)) => together.push(item),
                // The end is reported again when it is asked for again.
                Some(None) | None => break,
            }
        }
        Some((together, stream))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each item is not ready when it is first asked for.
    fn late(count: usize) -> impl Stream<Item = usize> + Send {
        stream::iter(0..count).then(|item| async move {
            tokio::task::yield_now().await;
            item
        })
    }

    #[tokio::test]
    async fn what_comes_soon_after_the_first_comes_with_it() {
        let together: Vec<_> = gathered(late(7), 3, Duration::from_secs(600)).collect().await;

        assert_eq!(together, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    }

    #[tokio::test]
    async fn without_patience_only_what_is_ready_comes_together() {
        let items = stream::iter(0..5).chain(late(2));

        let together: Vec<_> = gathered(items, 9, Duration::ZERO).collect().await;

        assert_eq!(together, [vec![0, 1, 2, 3, 4], vec![0], vec![1]]);
    }
}
