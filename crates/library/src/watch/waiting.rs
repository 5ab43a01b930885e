//! What has changed, until it has stopped changing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use super::changes::Changes;
use crate::scan::Changed;

/// How a file or folder is, as far as that tells whether somebody writes it.
pub(super) type State = Option<(u64, Option<SystemTime>)>;

/// How `path` is now; nothing if it is not there.
pub(super) fn state_of(path: &Path) -> State {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

/// Paths that change.
#[derive(Debug)]
pub(super) struct Waiting {
    settle: Duration,
    paths: BTreeMap<PathBuf, Seen>,
    /// When everything was found to have to be looked at, if so.
    all: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    state: State,
    /// Since when it is so.
    since: Instant,
}

impl Waiting {
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, paths: BTreeMap::new(), all: None }
    }

    /// Everything has to be looked at, once `at` is as long ago as files take to settle.
    pub(super) fn expect_all(&mut self, at: Instant) {
        self.all = Some(at);
    }

    /// Takes note of what has changed.
    pub(super) fn note(&mut self, changes: Changes, now: Instant) {
        if changes.all {
            self.all = self.all.max(Some(now));
        }
        for path in changes.paths {
            let seen = self.paths.entry(path).or_insert(Seen { state: None, since: now });
            seen.since = now;
        }
    }

    /// What has stopped changing, if anything has: it is for the next scan, and what has not
    /// for a later one.
    pub(super) fn settled(
        &mut self,
        now: Instant,
        state_of: &dyn Fn(&Path) -> State,
    ) -> Option<Changed> {
        let settle = self.settle;
        let is_over = |since: Instant| now.saturating_duration_since(since) >= settle;
        // Some file systems do not tell of every write.
        for (path, seen) in &mut self.paths {
            let state = state_of(path);
            if state != seen.state {
                seen.since = if seen.state.is_some() { now } else { seen.since };
                seen.state = state;
            }
        }
        let is_for_all = self.all.is_some_and(is_over);
        let settled: BTreeSet<PathBuf> = self
            .paths
            .extract_if(.., |_, seen| is_over(seen.since))
            .map(|(path, _)| path)
            .collect();
        if settled.is_empty() && !is_for_all {
            return None;
        }
        let not_yet = self.paths.keys().cloned().collect();
        match is_for_all {
            true => {
                self.all = None;
                Some(Changed { only: None, not_yet })
            }
            false => Some(Changed { only: Some(settled), not_yet }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);

    struct World {
        waiting: Waiting,
        start: Instant,
        sizes: BTreeMap<PathBuf, u64>,
    }

    impl World {
        fn new() -> Self {
            let start = Instant::now();
            Self { waiting: Waiting::new(SETTLE), start, sizes: BTreeMap::new() }
        }

        fn note(&mut self, second: u64, paths: &[&str]) {
            let paths = paths.iter().map(PathBuf::from).collect();
            let changes = Changes { paths, ..Changes::default() };
            self.waiting.note(changes, self.start + Duration::from_secs(second));
        }

        fn size(&mut self, path: &str, size: u64) {
            self.sizes.insert(path.into(), size);
        }

        fn settled(&mut self, second: u64) -> Option<(Vec<String>, Vec<String>)> {
            let now = self.start + Duration::from_secs(second);
            let sizes = self.sizes.clone();
            let changed =
                self.waiting.settled(now, &|path| sizes.get(path).map(|size| (*size, None)))?;
            let names = |paths: BTreeSet<PathBuf>| -> Vec<String> {
                paths.into_iter().map(|path| path.display().to_string()).collect()
            };
            let only = changed.only.map_or_else(|| vec!["all".to_owned()], names);
            Some((only, names(changed.not_yet)))
        }
    }

    #[test]
    fn a_file_is_read_when_it_has_stopped_changing() {
        let mut world = World::new();
        world.size("a", 1);
        world.note(0, &["a"]);
        assert_eq!(world.settled(1), None);
        world.note(1, &["a"]);
        assert_eq!(world.settled(2), None);
        // Nobody tells, and it grows all the same.
        world.size("a", 2);
        assert_eq!(world.settled(3), None);
        assert_eq!(world.settled(4), None);

        assert_eq!(world.settled(5), Some((vec!["a".into()], vec![])));
        assert_eq!(world.settled(9), None);
    }

    #[test]
    fn nobody_waits_for_a_file_that_grows() {
        let mut world = World::new();
        world.note(0, &["gone", "grows"]);
        for second in 1..=2 {
            world.size("grows", second);
            if second == 1 {
                assert_eq!(world.settled(second), None);
            }
        }

        assert_eq!(world.settled(2), Some((vec!["gone".into()], vec!["grows".into()])));
        assert_eq!(world.settled(3), None);
        assert_eq!(world.settled(4), Some((vec!["grows".into()], vec![])));
    }

    #[test]
    fn everything_waits_for_its_time_and_leaves_out_what_still_changes() {
        let mut world = World::new();
        let start = world.start;
        world.waiting.note(Changes { all: true, ..Changes::default() }, start);
        world.note(1, &["grows"]);
        world.size("grows", 1);

        assert_eq!(world.settled(1), None);
        assert_eq!(world.settled(2), Some((vec!["all".into()], vec!["grows".into()])));
        assert_eq!(world.settled(3), Some((vec!["grows".into()], vec![])));
        assert_eq!(world.settled(9), None);
    }
}
