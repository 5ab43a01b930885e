//! The one place where async meets blocking I/O.

use std::any::Any;

use crate::error::{Fault, Result};

/// Runs `work` on a thread that may wait for the disk.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    // One type of task for all work: the runtime's code is compiled anew for each type.
    let work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> = Box::new(|| Box::new(work()));
    let joined = tokio::task::spawn_blocking(work).await;
    join(joined.map(|result| *result.downcast().expect("the result of the work")))
}

/// What the thread returned; its panic goes on here.
pub(crate) fn join<T>(joined: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match joined {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Fault::Io {
                action: "finish work on",
                path: "the library".into(),
                source: error.into(),
            }),
        },
    }
}
