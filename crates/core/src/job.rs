//! Long work, from the side of whoever asked for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Event, Progress, Silent};

/// Asks long work for its end.
///
/// All copies are one: whoever sets it, everybody who holds a copy sees it.
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

/// One piece of long work: who is told how it goes on, and the way to end it.
///
/// Everything that takes long takes a job: scan, sync, migrate, verify, the
/// removal of what nothing names. A terminal draws its events, a server passes
/// them on to a browser, a test collects them.
#[derive(Clone, Debug)]
pub struct Job {
    /// Who is told.
    pub progress: Arc<dyn Progress>,
    /// The way to end it.
    pub interrupt: Interrupt,
}

impl Job {
    /// Work that tells `progress` how it goes on.
    pub fn reporting_to(progress: Arc<dyn Progress>) -> Self {
        Self { progress, interrupt: Interrupt::default() }
    }

    /// Work that tells nobody.
    pub fn silent() -> Self {
        Self::reporting_to(Arc::new(Silent))
    }

    /// Tells what happened.
    pub fn on(&self, event: Event<'_>) {
        self.progress.on(event);
    }

    /// Whether the end was asked for.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }
}
