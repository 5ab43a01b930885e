//! Where async meets work that blocks: the only two bridges.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use songrec_core::Interrupt;

use crate::{Error, ErrorKind, Result};

/// Waits until the end is asked for.
pub async fn until_interrupted(interrupt: &Interrupt) {
    while !interrupt.is_set() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs I/O of the library's own; the runtime stays free.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let result = tokio::task::spawn_blocking(any(work)).await.map_err(|error| {
        Error::new(ErrorKind::Failed, "a part of the work came to an unexpected end").because(error)
    })?;
    Ok(*result.downcast().expect("the result of the work"))
}

/// Runs `work` on `pool`; the runtime stays free to do I/O. A panic of a
/// decoder becomes an error, and takes nothing with it. Work that waits for its turn is not
/// begun once its future is dropped.
pub(crate) async fn on_cpu<T: Send + 'static>(
    pool: Option<&rayon::ThreadPool>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, String> {
    let result = on_pool(pool, any(work)).await?;
    Ok(*result.downcast().expect("the result of the work"))
}

/// Work of any kind. Runtime and thread pool are compiled anew for each type of work, so there is
/// one type.
type AnyWork = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

fn any<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> AnyWork {
    Box::new(|| Box::new(work()))
}

async fn on_pool(
    pool: Option<&rayon::ThreadPool>,
    work: AnyWork,
) -> std::result::Result<Box<dyn Any + Send>, String> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let job = move || {
        // Whoever asked for it went away before it began.
        if send.is_closed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(work));
        // Fails only if the caller was cancelled and nobody wants the result.
        let _ = send.send(result);
    };
    match pool {
        Some(pool) => pool.spawn(job),
        None => rayon::spawn(job),
    }
    receive.await.expect("the job always sends").map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        format!("reading it failed inside songrec: {}", text.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    };

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (go_on, waits) = mpsc::channel::<()>();
        let mut first = Box::pin(on_cpu(Some(&pool), move || waits.recv().unwrap()));
        assert!(first.as_mut().now_or_never().is_none());
        let begun = Arc::new(AtomicBool::new(false));
        let seen = begun.clone();
        let mut second = Box::pin(on_cpu(Some(&pool), move || seen.store(true, Ordering::SeqCst)));
        assert!(second.as_mut().now_or_never().is_none());

        drop(second);
        go_on.send(()).unwrap();
        first.await.unwrap();
        on_cpu(Some(&pool), || ()).await.unwrap();

        assert!(!begun.load(Ordering::SeqCst));
    }
}
