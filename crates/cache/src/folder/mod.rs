//! The cache's folder: plain files named by what is in them. Everything here
//! blocks.
//!
//! ```text
//! v1/blobs/9c/9c1e…        audio
//! v1/embeddings/3f/3f9a…   little-endian float32
//! v1/temporary/…           being written; locked by its writer
//! v1/usage                 how many bytes there are; the lock of evictions
//! ```
//!
//! Nothing is synced to disk and nothing is trusted: a file is hashed before
//! it is used, so one that a power cut tore is only a file to fetch again.
//! Audio that this process hashed minutes ago, and that nobody touched since,
//! is not hashed again: a player asks for many parts of a song.
//! When a file was last used is its modification time.

mod draft;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;

pub(crate) use self::draft::Draft;
use crate::{
    file::{create, is_at, present},
    trusted::Trusted,
    usage::Usage,
};

/// How far back a file's last use may lie before it is noted again. Enough to
/// know which files are the oldest, and it spares a write for each read.
const TOUCH_AFTER: Duration = Duration::from_secs(60);

/// Bytes that are read and hashed at a time.
const PIECE: usize = 256 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    trusted: Arc<Trusted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ObjectKind {
    Blob,
    Embedding,
}

impl ObjectKind {
    const ALL: [Self; 2] = [Self::Blob, Self::Embedding];

    const fn folder(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Embedding => "embeddings",
        }
    }
}

// A file of the cache, as small as can be: there may be a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) used: SystemTime,
    pub(crate) bytes: u64,
    pub(crate) kind: ObjectKind,
    pub(crate) digest: Digest,
}

/// A file of the cache, compared with its digest.
#[derive(Debug)]
pub(crate) enum CachedFile {
    /// Its bytes are those of its name; the file is at its beginning.
    Sound(File),
    /// They were not, and it was removed.
    Damaged,
    Missing,
}

/// The answer to a request for room.
#[derive(Debug)]
pub(crate) enum Reservation {
    /// Write it here.
    Draft(Draft),
    /// Another writer has finished it meanwhile.
    Exists,
    /// Another writer holds it.
    Busy,
    /// It is larger than what the cache may hold, or what is being written
    /// takes all there is.
    NoRoom,
}

/// What an eviction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let folder = Self { root: root.join("v1"), trusted: Arc::new(Trusted::new()) };
        fs::create_dir_all(&folder.root)?;
        // By this tag, backups know what they can leave out.
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(
                tag,
                "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of songrec.\n",
            )?;
        }
        folder.remove_leftovers()?;
        Ok(folder)
    }

    pub(crate) fn find(&self, kind: ObjectKind, digest: &Digest) -> io::Result<CachedFile> {
        let path = self.path_of(kind, digest);
        let Some(mut file) = present(File::open(&path))? else { return Ok(CachedFile::Missing) };
        let sound = match kind {
            ObjectKind::Embedding => hash(&mut file)? == digest.0,
            ObjectKind::Blob => {
                let handle = file.try_clone()?;
                self.trusted.is_sound(digest, &handle, || hash(&mut file))?
            }
        };
        if !sound {
            self.remove(&path)?;
            return Ok(CachedFile::Damaged);
        }
        touch(&path, &file);
        file.rewind()?;
        Ok(CachedFile::Sound(file))
    }

    /// Makes room for a file of `size` bytes, and begins it. With `wait`, waits
    /// for the writer that has it already.
    ///
    /// The room is counted before a byte is written, so that writers together
    /// do not pass the limit either.
    pub(crate) fn begin(
        &self,
        kind: ObjectKind,
        digest: &Digest,
        size: u64,
        limit: u64,
        wait: bool,
    ) -> io::Result<(Reservation, Evicted)> {
        let mut evicted = Evicted::default();
        if size > limit {
            return Ok((Reservation::NoRoom, evicted));
        }
        let path = self.root.join("temporary").join(format!("{}-{digest}", kind.folder()));
        let file = loop {
            let file = create(&path)?;
            if wait {
                file.lock()?;
            } else {
                match file.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Ok((Reservation::Busy, evicted)),
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            // The process that held the lock has published or removed the file by now;
            // its lock is worth nothing any more.
            if is_at(&file, &path)? {
                break file;
            }
        };
        let target = self.path_of(kind, digest);
        let exists = target.exists();
        let mut draft = Draft::new(self.clone(), file, path, target);
        if exists {
            return Ok((Reservation::Exists, evicted));
        }
        let mut usage = self.usage()?;
        if usage.bytes().saturating_add(size) > limit {
            evicted = self.evict(&mut usage, (limit - limit / 10).saturating_sub(size))?;
            if usage.bytes().saturating_add(size) > limit {
                drop(usage);
                return Ok((Reservation::NoRoom, evicted));
            }
        }
        // Counted first: killed between, there is less in the folder than was
        // counted, never more.
        usage.set(usage.bytes() + size)?;
        draft.take_room(size)?;
        drop(usage);
        Ok((Reservation::Draft(draft), evicted))
    }

    /// Removes what was used longest ago until no more than `limit` bytes are
    /// left.
    pub(crate) fn prune(&self, limit: u64) -> io::Result<Evicted> {
        let mut usage = self.usage()?;
        self.evict(&mut usage, limit)
    }

    /// Every file, in no order, and the bytes of what is being written.
    pub(crate) fn list(&self) -> io::Result<(Vec<Object>, u64)> {
        // First, because a file moves from here to there at any moment: counted
        // twice it does no harm, but missed it would be room that is not there.
        let mut unfinished = 0;
        for entry in entries(&self.root.join("temporary"))? {
            unfinished += present(entry.metadata())?.map_or(0, |metadata| metadata.len());
        }
        let mut objects = Vec::new();
        for kind in ObjectKind::ALL {
            for shard in entries(&self.root.join(kind.folder()))? {
                for entry in entries(&shard.path())? {
                    // What is not named by a digest is not of the cache.
                    let name = entry.file_name();
                    let Some(Ok(digest)) = name.to_str().map(str::parse) else { continue };
                    let Some(metadata) = present(entry.metadata())? else { continue };
                    let used = metadata.modified()?;
                    objects.push(Object { used, bytes: metadata.len(), kind, digest });
                }
            }
        }
        Ok((objects, unfinished))
    }

    fn evict(&self, usage: &mut Usage, target: u64) -> io::Result<Evicted> {
        self.remove_leftovers()?;
        let (mut objects, unfinished) = self.list()?;
        objects.sort_unstable();
        let mut bytes = unfinished + objects.iter().map(|object| object.bytes).sum::<u64>();
        let mut evicted = Evicted::default();
        for object in objects {
            if bytes <= target {
                break;
            }
            // Where an open file cannot be removed, another one goes instead.
            if present(fs::remove_file(self.path_of(object.kind, &object.digest))).is_ok() {
                bytes -= object.bytes;
                evicted.files += 1;
                evicted.bytes += object.bytes;
            }
        }
        usage.counted(bytes)?;
        Ok(evicted)
    }

    /// Locks and gives what is counted; counts if nobody has for long.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let mut usage = Usage::lock(&self.root.join("usage"))?;
        if !usage.is_trusted() {
            let (objects, unfinished) = self.list()?;
            usage.counted(unfinished + objects.iter().map(|object| object.bytes).sum::<u64>())?;
        }
        Ok(usage)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut usage = self.usage()?;
        let Some(metadata) = present(fs::metadata(path))? else { return Ok(()) };
        present(fs::remove_file(path))?;
        usage.set(usage.bytes().saturating_sub(metadata.len()))
    }

    // Removes the temporary files of processes that died: their locks died
    // with them.
    fn remove_leftovers(&self) -> io::Result<()> {
        for entry in entries(&self.root.join("temporary"))? {
            let path = entry.path();
            let Some(file) = present(File::open(&path))? else { continue };
            // Whoever has opened it but not locked it yet will see that it is
            // gone.
            if file.try_lock().is_ok() && is_at(&file, &path)? {
                present(fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    fn path_of(&self, kind: ObjectKind, digest: &Digest) -> PathBuf {
        self.root.join(kind.folder()).join(digest.shard()).join(digest.to_string())
    }
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&piece[..read]);
    }
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| present(entry).transpose()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        // A file where a folder should be, which is not of the cache.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

// Notes that a file was used. Not being able to only makes it look older.
fn touch(path: &Path, file: &File) {
    let now = SystemTime::now();
    let used = file.metadata().and_then(|metadata| metadata.modified());
    let recently = used.is_ok_and(|used| {
        now.duration_since(used).unwrap_or_else(|ahead| ahead.duration()) < TOUCH_AFTER
    });
    if !recently {
        let noted =
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_modified(now));
        if let Err(error) = noted {
            tracing::debug!(path = %path.display(), %error, "could not note the use of a cached file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: u64 = 1 << 40;

    fn folder() -> (Folder, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        (Folder::open(root.path()).unwrap(), root)
    }

    fn bytes(seed: u8, size: usize) -> (Vec<u8>, Digest) {
        let bytes = vec![seed; size];
        let digest = Digest::of(&bytes);
        (bytes, digest)
    }

    fn draft(folder: &Folder, digest: &Digest, size: u64, limit: u64) -> Option<Draft> {
        match folder.begin(ObjectKind::Blob, digest, size, limit, false).unwrap().0 {
            Reservation::Draft(draft) => Some(draft),
            Reservation::Exists | Reservation::Busy | Reservation::NoRoom => None,
        }
    }

    fn keep(folder: &Folder, seed: u8, size: usize, limit: u64) -> Digest {
        let (bytes, digest) = bytes(seed, size);
        let mut draft = draft(folder, &digest, size as u64, limit).expect("there is room");
        draft.write(&bytes).unwrap();
        draft.finish(&digest).unwrap().expect("the bytes are right");
        digest
    }

    fn has(folder: &Folder, digest: &Digest) -> bool {
        matches!(folder.find(ObjectKind::Blob, digest).unwrap(), CachedFile::Sound(_))
    }

    fn used_ago(folder: &Folder, digest: &Digest, seconds: u64) {
        let file =
            OpenOptions::new().write(true).open(folder.path_of(ObjectKind::Blob, digest)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    fn counted(folder: &Folder) -> u64 {
        folder.usage().unwrap().bytes()
    }

    fn listed(folder: &Folder) -> u64 {
        let (objects, unfinished) = folder.list().unwrap();
        unfinished + objects.iter().map(|object| object.bytes).sum::<u64>()
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (folder, _root) = folder();
        let kept: Vec<_> = (0..10).map(|seed| keep(&folder, seed, 100, 1_000)).collect();
        for (digest, seconds) in kept.iter().zip([500, 900, 100, 800, 700, 200, 300, 400, 600, 950])
        {
            used_ago(&folder, digest, seconds);
        }
        // Reading it makes it the youngest.
        assert!(has(&folder, &kept[9]));

        let new = keep(&folder, 10, 100, 1_000);

        let left: Vec<_> = (0..10).filter(|at| has(&folder, &kept[*at])).collect();
        assert_eq!(left, [0, 2, 4, 5, 6, 7, 8, 9], "90 % are left, the new one included");
        assert!(has(&folder, &new));
        assert_eq!((counted(&folder), listed(&folder)), (900, 900));
    }

    #[test]
    fn what_is_larger_than_the_limit_is_not_kept() {
        let (folder, _root) = folder();
        let small = keep(&folder, 1, 90, 100);

        assert!(draft(&folder, &bytes(2, 101).1, 101, 100).is_none());

        assert!(has(&folder, &small), "nothing had to go for it");
    }

    #[test]
    fn what_is_being_written_counts() {
        let (folder, _root) = folder();
        let first = draft(&folder, &bytes(1, 60).1, 60, 100).unwrap();

        assert!(draft(&folder, &bytes(2, 60).1, 60, 100).is_none());
        drop(first);

        assert!(draft(&folder, &bytes(2, 60).1, 60, 100).is_some());
        assert_eq!((counted(&folder), listed(&folder)), (0, 0));
    }

    #[test]
    fn wrong_bytes_are_never_published() {
        let (folder, _root) = folder();
        let (right, digest) = bytes(1, 100);
        let mut wrong = right.clone();
        wrong[50] ^= 1;
        for (what, wrong) in [("another byte", &wrong[..]), ("too short", &right[..99])] {
            let mut draft = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
            draft.write(wrong).unwrap();

            assert!(draft.finish(&digest).unwrap().is_none(), "{what}");
            assert!(!has(&folder, &digest), "{what}");
        }
        let mut draft = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
        draft.write(&right).unwrap();
        draft.write(b"x").expect_err("more than there is room for");
        drop(draft);

        assert_eq!((counted(&folder), listed(&folder)), (0, 0));
    }

    #[test]
    fn a_damaged_file_is_removed() {
        let (folder, _root) = folder();
        let digest = keep(&folder, 1, 100, NO_LIMIT);
        let path = folder.path_of(ObjectKind::Blob, &digest);
        let damages: [(&str, &[u8]); 3] =
            [("empty", b""), ("short", &[1; 99]), ("other", &[2; 100])];
        for (what, damage) in damages {
            fs::write(&path, damage).unwrap();

            let found = folder.find(ObjectKind::Blob, &digest).unwrap();

            assert!(matches!(found, CachedFile::Damaged), "{what}: {found:?}");
            assert!(!path.exists(), "{what}");
            keep(&folder, 1, 100, NO_LIMIT);
            assert!(has(&folder, &digest), "{what}");
        }
    }

    #[test]
    fn one_at_a_time_writes_a_file() {
        let (folder, _root) = folder();
        let (right, digest) = bytes(1, 100);
        let mut first = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
        let second = folder.begin(ObjectKind::Blob, &digest, 100, NO_LIMIT, false).unwrap().0;
        assert!(matches!(second, Reservation::Busy));

        let waiting = std::thread::spawn({
            let folder = folder.clone();
            move || folder.begin(ObjectKind::Blob, &digest, 100, NO_LIMIT, true).unwrap().0
        });
        first.write(&right).unwrap();
        first.finish(&digest).unwrap();

        assert!(matches!(waiting.join().unwrap(), Reservation::Exists));
        assert_eq!(listed(&folder), 100);
    }

    #[test]
    fn after_a_download_that_failed_one_of_those_who_waited_tries_again() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let (folder, _root) = folder();
        let (_, digest) = bytes(1, 100);
        let writers = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let begun = folder.begin(ObjectKind::Blob, &digest, 100, NO_LIMIT, true);
                        let Reservation::Draft(draft) = begun.unwrap().0 else {
                            panic!("there is room")
                        };
                        assert_eq!(writers.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                        std::thread::yield_now();
                        writers.fetch_sub(1, Ordering::SeqCst);
                        drop(draft);
                    }
                });
            }
        });
        assert_eq!(listed(&folder), 0);
    }

    #[test]
    fn leftovers_of_the_dead_go_and_drafts_of_the_living_stay() {
        let (folder, root) = folder();
        let (right, digest) = bytes(1, 100);
        let mut living = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
        living.write(&right).unwrap();
        let dead = root.path().join("v1/temporary").join(format!("blobs-{}", bytes(2, 1).1));
        fs::write(&dead, b"torn").unwrap();

        Folder::open(root.path()).unwrap();

        assert!(!dead.exists());
        living.finish(&digest).unwrap();
        assert!(has(&folder, &digest));
    }

    #[test]
    fn what_the_dead_left_can_be_written_again() {
        let (folder, root) = folder();
        let (right, digest) = bytes(1, 100);
        let dead = root.path().join("v1/temporary").join(format!("blobs-{digest}"));
        fs::create_dir_all(dead.parent().unwrap()).unwrap();
        fs::write(&dead, [7; 1_000]).unwrap();

        let mut draft = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
        draft.write(&right).unwrap();
        draft.finish(&digest).unwrap();

        assert!(has(&folder, &digest));
        assert_eq!(listed(&folder), 100);
    }

    #[test]
    fn a_count_that_is_torn_or_gone_is_made_again() {
        let (folder, root) = folder();
        keep(&folder, 1, 100, NO_LIMIT);
        let usage = root.path().join("v1/usage");
        let torn = fs::read(&usage).unwrap().len() - 5;
        let tears: [&dyn Fn(); 3] = [
            &|| fs::write(&usage, b"nonsense").unwrap(),
            &|| OpenOptions::new().write(true).open(&usage).unwrap().set_len(torn as u64).unwrap(),
            &|| fs::remove_file(&usage).unwrap(),
        ];
        for tear in tears {
            tear();

            assert_eq!(counted(&folder), 100);
        }
    }

    #[test]
    fn the_folder_may_be_deleted_while_it_is_used() {
        let (folder, root) = folder();
        let old = keep(&folder, 1, 100, NO_LIMIT);
        let (right, digest) = bytes(2, 100);
        let mut draft = draft(&folder, &digest, 100, NO_LIMIT).unwrap();
        draft.write(&right[..50]).unwrap();

        fs::remove_dir_all(root.path().join("v1")).unwrap();

        draft.write(&right[50..]).unwrap();
        let mut whole = Vec::new();
        let given = draft.finish(&digest).unwrap();
        given.expect("the bytes are there still").read_to_end(&mut whole).unwrap();
        assert_eq!(whole, right);
        assert!(!has(&folder, &old));
        assert!(has(&folder, &keep(&folder, 3, 100, NO_LIMIT)));
        assert_eq!((counted(&folder), listed(&folder)), (100, 100));
    }

    #[test]
    fn what_is_not_of_the_cache_stays() {
        let (folder, root) = folder();
        keep(&folder, 1, 100, NO_LIMIT);
        let strange = root.path().join("v1/blobs/my thesis");
        let stranger = root.path().join("v1/blobs/9c/notes.txt");
        fs::create_dir_all(stranger.parent().unwrap()).unwrap();
        fs::write(&strange, b"1").unwrap();
        fs::write(&stranger, b"2").unwrap();

        let evicted = folder.prune(0).unwrap();

        assert_eq!(evicted, Evicted { files: 1, bytes: 100 });
        assert!(strange.exists() && stranger.exists());
    }

    #[test]
    fn threads_together_stay_below_the_limit() {
        const LIMIT: u64 = 2_000;
        let (folder, _root) = folder();
        let largest = std::sync::Mutex::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let (folder, largest) = (&folder, &largest);
                scope.spawn(move || {
                    for round in 0..40u8 {
                        let (right, digest) = bytes(thread.wrapping_mul(31) ^ round, 300);
                        if let Some(mut draft) = draft(folder, &digest, 300, LIMIT) {
                            draft.write(&right).unwrap();
                            draft.finish(&digest).unwrap();
                        }
                        // Nobody makes room while it is counted.
                        let usage = folder.usage().unwrap();
                        let mut largest = largest.lock().unwrap();
                        *largest = usage.bytes().max(*largest);
                    }
                });
            }
        });

        let largest = largest.into_inner().unwrap();
        assert!((1_000..=LIMIT).contains(&largest), "{largest}");
        assert!(listed(&folder) <= counted(&folder));
        assert!(folder.list().unwrap().0.len() >= 4);
    }
}
