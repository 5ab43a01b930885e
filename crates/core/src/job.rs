//! Long work, from the side of its caller.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Event, Progress, Silent};

/// Asks long work for its end.
///
/// All copies are one: when one is set, all are.
/// What is under way is finished first, and nothing is left half done.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks for the end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for. Costs next to nothing.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same question for code that knows nothing of interrupts.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// One piece of long work: where it reports its progress, and the way to end it.
///
/// Everything that takes long takes a job: scan, sync, migrate, verify, the
/// removal of what nothing names. A terminal draws its events, a server passes
/// them on to a browser, a test collects them.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where it reports.
    pub progress: Arc<dyn Progress>,
    /// The way to end it.
    pub interrupt: Interrupt,
}

impl Job {
    /// Work that reports to `progress`.
    pub fn reporting_to(progress: Arc<dyn Progress>) -> Self {
        Self { progress, interrupt: Interrupt::default() }
    }

    /// Work that reports to nobody.
    pub fn silent() -> Self {
        Self::reporting_to(Arc::new(Silent))
    }

    /// Reports what happened.
    pub fn on(&self, event: Event<'_>) {
        self.progress.on(event);
    }

    /// Whether the end was asked for.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }
}
