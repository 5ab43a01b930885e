//! Histories: played, and made shorter where they go wrong.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Setup, World};

#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) seed: u64,
    pub(crate) steps: Vec<u64>,
    pub(crate) problem: String,
    pub(crate) log: Vec<String>,
}

/// The steps of the history that a seed stands for.
pub(crate) fn history(seed: u64, steps: usize) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
    (0..steps).map(|_| rng.random()).collect()
}

/// Plays a history and what must hold after it.
pub(crate) fn play(seed: u64, steps: &[u64], setup: Setup) -> Result<World, Broken> {
    let mut world = World::new(seed, setup);
    let mut problem = None;
    for step in steps {
        if let Err(wrong) = world.step(*step) {
            problem = Some(wrong);
            break;
        }
    }
    if problem.is_none() {
        problem = world.settle().err();
    }
    match problem {
        None => Ok(world),
        Some(problem) => Err(Broken {
            seed,
            steps: steps.to_vec(),
            problem,
            log: std::mem::take(&mut world.log),
        }),
    }
}

/// The shortest history found that still goes wrong.
pub(crate) fn shrink(mut broken: Broken, setup: Setup) -> Broken {
    let mut size = broken.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < broken.steps.len() {
            let mut fewer = broken.steps.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            match play(broken.seed, &fewer, setup) {
                Err(shorter) => broken = shorter,
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    broken
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {} ({} steps): {}", self.seed, self.steps.len(), self.problem)?;
        for line in &self.log {
            writeln!(f, "  {line}")?;
        }
        write!(f, "replay with SONGREC_SYNC_SEED={} just soak", self.seed)
    }
}
