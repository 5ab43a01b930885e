//! How many bytes the cache holds, as far as anybody has counted.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use songrec_core::Digest;

use crate::file::{create, is_at};

/// How long a count is believed, in seconds. Processes that die make it too
/// high, which does no harm; only a power cut or a person can make it too low.
const BELIEVED: u64 = 24 * 60 * 60;

/// The count, for as long as this lives nobody else's.
///
/// One line of fixed length, written at once: the bytes, when they were
/// counted, and the beginning of a digest of both. A line that is torn is no
/// count at all.
#[derive(Debug)]
pub(crate) struct Usage {
    file: File,
    bytes: u64,
    counted_at: Option<u64>,
}

impl Usage {
    /// Waits until nobody else has it.
    pub(crate) fn lock(path: &Path) -> io::Result<Self> {
        let mut file = loop {
            let file = create(path)?;
            file.lock()?;
            if is_at(&file, path)? {
                break file;
            }
        };
        let mut line = Vec::new();
        Read::by_ref(&mut file).take(256).read_to_end(&mut line)?;
        let read = std::str::from_utf8(&line).ok().and_then(parse);
        let (bytes, counted_at) = read.map_or((0, None), |(bytes, at)| (bytes, Some(at)));
        Ok(Self { file, bytes, counted_at })
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether [`bytes`](Self::bytes) can be believed.
    pub(crate) fn is_trusted(&self) -> bool {
        let now = now();
        self.counted_at.is_some_and(|at| at <= now && now - at < BELIEVED)
    }

    /// Changes what is counted.
    pub(crate) fn set(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = bytes;
        let counted = format!("{bytes:020} {:020}", self.counted_at.unwrap_or(0));
        let line = format!("{counted} {}\n", check(&counted));
        self.file.rewind()?;
        self.file.write_all(line.as_bytes())
    }

    /// Sets what was found by looking at every file.
    pub(crate) fn counted(&mut self, bytes: u64) -> io::Result<()> {
        self.counted_at = Some(now());
        self.set(bytes)
    }
}

fn parse(line: &str) -> Option<(u64, u64)> {
    let (counted, checked) = line.trim_end().rsplit_once(' ')?;
    let (bytes, at) = counted.split_once(' ')?;
    (checked == check(counted)).then_some((bytes.parse().ok()?, at.parse().ok()?))
}

fn check(counted: &str) -> String {
    Digest::of(counted.as_bytes()).to_string()[..16].to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
