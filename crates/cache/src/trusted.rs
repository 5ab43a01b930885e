//! Which files were found to be sound a short while ago.

use std::{
    fs::File,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lru::LruCache;
use songrec_core::Digest;

/// A file that was hashed is not hashed again for so long, unless it was
/// touched. Who plays a song asks for hundreds of its parts in this time; what
/// a failing disk does to a file without touching it is found after it.
const TRUSTED_FOR: Duration = Duration::from_secs(10 * 60);

/// A file that changed less than so long before it was hashed may change again
/// within the same tick of the clock by which changes are known.
const SETTLED: Duration = Duration::from_secs(2);

/// Files that are remembered.
const FILES: usize = 1_024;

/// What this process has hashed.
#[derive(Debug)]
pub(crate) struct Trusted {
    files: Mutex<LruCache<Digest, (Stamp, Instant)>>,
    settled: Duration,
    hashed: AtomicU64,
}

/// By what a file is known to be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    // Device, number, size, and when its bytes and what is known of it changed.
    file: (u64, u64, u64),
    bytes_changed: (i64, i64),
    anything_changed: (i64, i64),
}

impl Trusted {
    pub(crate) fn new() -> Self {
        let size = NonZeroUsize::new(FILES).expect("not zero");
        let files = Mutex::new(LruCache::new(size));
        Self { files, settled: SETTLED, hashed: AtomicU64::new(0) }
    }

    /// Whether the bytes of `file` have this digest; `hash` finds it out.
    pub(crate) fn is_sound<E>(
        &self,
        digest: &Digest,
        file: &File,
        hash: impl FnOnce() -> Result<[u8; 32], E>,
    ) -> Result<bool, E> {
        let before = Stamp::of(file);
        if let Some(stamp) = before
            && self
                .files()
                .get(digest)
                .is_some_and(|(known, since)| *known == stamp && since.elapsed() < TRUSTED_FOR)
        {
            return Ok(true);
        }
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let sound = hash()? == digest.0;
        // A stamp of before the hash, so that what changed meanwhile shows.
        match before.filter(|stamp| sound && stamp.is_settled(self.settled)) {
            Some(stamp) => drop(self.files().put(*digest, (stamp, Instant::now()))),
            None => drop(self.files().pop(digest)),
        }
        Ok(sound)
    }

    fn files(&self) -> std::sync::MutexGuard<'_, LruCache<Digest, (Stamp, Instant)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    #[cfg(unix)]
    fn of(file: &File) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata().ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino(), metadata.size()),
            bytes_changed: (metadata.mtime(), metadata.mtime_nsec()),
            anything_changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Elsewhere a file may change without any sign that is sure.
    #[cfg(not(unix))]
    fn of(_: &File) -> Option<Self> {
        None
    }

    fn is_settled(&self, settled: Duration) -> bool {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let changed = u64::try_from(self.anything_changed.0).map(Duration::from_secs);
        match (now, changed) {
            (Ok(now), Ok(changed)) => changed + settled <= now,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn hash(bytes: &[u8]) -> Result<[u8; 32], Infallible> {
        Ok(Digest::of(bytes).0)
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_hashed_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"right").unwrap();
        let digest = Digest::of(b"right");
        let trusted = Trusted { settled: Duration::ZERO, ..Trusted::new() };
        let is_sound = || {
            let file = File::open(&path).unwrap();
            trusted.is_sound(&digest, &file, || hash(&std::fs::read(&path).unwrap())).unwrap()
        };
        let hashed = || trusted.hashed.load(Ordering::Relaxed);

        assert!((0..5).all(|_| is_sound()));
        assert_eq!(hashed(), 1);

        std::fs::write(&path, b"wrong!").unwrap();
        assert!(!is_sound() && !is_sound());
        assert_eq!(hashed(), 3, "what is wrong is never trusted");

        std::fs::write(&path, b"right").unwrap();
        assert!(is_sound());
    }

    #[test]
    fn a_file_that_just_changed_is_hashed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"right").unwrap();
        let file = File::open(&path).unwrap();
        let trusted = Trusted::new();

        for _ in 0..3 {
            assert!(trusted.is_sound(&Digest::of(b"right"), &file, || hash(b"right")).unwrap());
        }

        assert_eq!(trusted.hashed.load(Ordering::Relaxed), 3);
    }
}
