//! Waiting for work without Python's lock.
//!
//! One runtime for the whole process, made when it is first needed. Whoever waits holds no
//! lock of Python, so other threads go on; a few times a second it looks whether Python was
//! asked to stop, which is what Ctrl-C does.

use std::{future::Future, sync::OnceLock, time::Duration};

use pyo3::prelude::*;
use songrec_core::{Event, Job, OwnedEvent, Progress, Silent};
use songrec_library::{Error, ErrorKind, Result};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinError,
};

use crate::{
    error::{raised, wrong},
    json::to_python,
};

/// How long Ctrl-C may go unnoticed.
const TICK: Duration = Duration::from_millis(50);

static RUNTIME: OnceLock<(Runtime, u32)> = OnceLock::new();

/// The runtime.
///
/// # Errors
///
/// In a process that was forked from one that used songrec: its threads are not there.
pub(crate) fn runtime(py: Python<'_>) -> PyResult<&'static Runtime> {
    let process = std::process::id();
    if let Some((runtime, made_in)) = RUNTIME.get() {
        return match *made_in == process {
            true => Ok(runtime),
            false => Err(wrong(
                py,
                "songrec was used before this process was forked, and a fork has none of its \
                 threads: start processes by `spawn`, such as with \
                 `multiprocessing.get_context(\"spawn\")`",
            )),
        };
    }
    let made = Builder::new_multi_thread().enable_all().thread_name("songrec").build();
    let runtime = made.map_err(|error| {
        let what = Error::new(ErrorKind::Failed, "could not start the threads of songrec");
        raised(py, &what.because(error))
    })?;
    // Python's lock is held, so no other thread is here.
    Ok(&RUNTIME.get_or_init(|| (runtime, process)).0)
}

/// Lets go of something on another thread, which nobody waits for. In a fork nothing of it
/// is there, and so it is left as it is.
pub(crate) fn drop_aside(dropped: impl Send + 'static) {
    match RUNTIME.get() {
        Some((runtime, made_in)) if *made_in == std::process::id() => {
            runtime.spawn_blocking(move || drop(dropped));
        }
        _ => std::mem::forget(dropped),
    }
}

/// What `work` gives. Ctrl-C drops it where it is.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<T> {
    watch(py, Watched { interrupt: None, events: None }, work)
}

/// What long work gives, which reports its events to `progress`, as dictionaries. Ctrl-C,
/// and an exception in `progress`, ask it for its end, and a second Ctrl-C does not ask.
pub(crate) fn work<T: Send + 'static, F>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    begin: impl FnOnce(Job) -> F,
) -> PyResult<T>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (job, events) = match progress {
        None => (Job::silent(), None),
        Some(callback) => {
            let (send, receive) = unbounded_channel();
            (Job::reporting_to(std::sync::Arc::new(Sent(send))), Some((receive, callback)))
        }
    };
    let interrupt = Some(job.interrupt.clone());
    watch(py, Watched { interrupt, events }, begin(job))
}

/// Passes events on to the thread that waits, which has Python's lock for a moment then.
#[derive(Debug)]
struct Sent(UnboundedSender<OwnedEvent>);

impl Progress for Sent {
    fn on(&self, event: Event<'_>) {
        // Nobody waits any more: nobody is to be told.
        let _ = self.0.send(event.into());
    }
}

struct Watched {
    /// How it is asked for its end; nothing if it may be dropped.
    interrupt: Option<songrec_core::Interrupt>,
    events: Option<(UnboundedReceiver<OwnedEvent>, Py<PyAny>)>,
}

enum Step<T> {
    Happened(OwnedEvent),
    Done(std::result::Result<Result<T>, JoinError>),
    Tick,
}

fn watch<T: Send + 'static>(
    py: Python<'_>,
    mut watched: Watched,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<T> {
    let runtime = runtime(py)?;
    let mut task = runtime.spawn(work);
    let mut stopped: Option<PyErr> = None;
    let done = loop {
        let step = py.detach(|| {
            runtime.block_on(async {
                let happened = async {
                    match &mut watched.events {
                        Some((events, _)) => match events.recv().await {
                            Some(event) => event,
                            None => std::future::pending().await,
                        },
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    event = happened => Step::Happened(event),
                    done = &mut task => Step::Done(done),
                    () = tokio::time::sleep(TICK) => Step::Tick,
                }
            })
        });
        let stop = match step {
            Step::Done(done) => break done,
            Step::Happened(_) if stopped.is_some() => Ok(()),
            Step::Happened(event) => tell(py, watched.events.as_ref(), &event),
            Step::Tick => py.check_signals(),
        };
        let Err(error) = stop else { continue };
        match &watched.interrupt {
            Some(interrupt) if stopped.is_none() => interrupt.set(),
            _ => {
                task.abort();
                return Err(error);
            }
        }
        stopped = Some(error);
    };
    // What was reported last.
    while let Some((events, _)) = watched.events.as_mut()
        && let Ok(event) = events.try_recv()
        && stopped.is_none()
    {
        stopped = tell(py, watched.events.as_ref(), &event).err();
    }
    match (stopped, done) {
        (Some(error), _) => Err(error),
        (None, Ok(result)) => result.map_err(|error| raised(py, &error)),
        (None, Err(panic)) => {
            let what = Error::new(ErrorKind::Failed, "songrec came to an unexpected end");
            Err(raised(py, &what.because(panic)))
        }
    }
}

fn tell(
    py: Python<'_>,
    events: Option<&(UnboundedReceiver<OwnedEvent>, Py<PyAny>)>,
    event: &OwnedEvent,
) -> PyResult<()> {
    // A callback that never lets go of Python would keep Ctrl-C away.
    py.check_signals()?;
    let Some((_, callback)) = events else { return Ok(()) };
    callback.call1(py, (to_python(py, &event.as_event())?,)).map(drop)
}

/// Work that is done while nobody is told of it.
pub(crate) fn silent() -> std::sync::Arc<dyn Progress> {
    std::sync::Arc::new(Silent)
}
