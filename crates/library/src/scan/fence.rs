//! Which files are being read, so that the next scan knows which one ended
//! this one.
//!
//! A reader of files can fail in ways that take the process along: a stack that
//! overflows, memory that there is not. So a note says which files are being
//! read, in this machine's state, under a lock that dies with its process. A
//! note that nobody holds is of a scan that came to a sudden end, by one of its
//! files or by something else; its files are read by a process of their own
//! first, and those that end that one too are left out, each time again.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use songrec_core::{Hint, OperationId, Piece, Remedy, Scan::Again, decode_path, encode_path};

use crate::{Error, Interrupt, Result};

/// What a file may cost that is read alone.
const MOST_MEMORY: u64 = 8 << 30;
const LEAST_TIME: Duration = Duration::from_secs(120);
const TIME_PER_MEGABYTE: Duration = Duration::from_secs(10);

/// The note of a scan.
#[derive(Debug)]
pub(super) struct Fence {
    examiner: Option<PathBuf>,
    interrupt: Interrupt,
    path: PathBuf,
    note: Mutex<Note>,
}

#[derive(Debug)]
struct Note {
    file: File,
    /// What is being read, as encoded paths.
    reading: Vec<String>,
    /// What was being read when another scan came to a sudden end.
    suspects: BTreeSet<String>,
}

/// A file that is being read, until it is dropped.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    fence: &'a Fence,
    path: String,
}

impl Fence {
    /// Begins a note in `folder`, with what is left there of other scans.
    ///
    /// `examiner` is the program that reads a file alone; without it, nobody
    /// is suspected.
    pub(super) fn begin(
        folder: &Path,
        examiner: Option<PathBuf>,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let path = folder.join(OperationId::random().to_string());
        let begin = || -> io::Result<Self> {
            fs::create_dir_all(folder)?;
            // Scans begin one after the other, so that each takes over what was left, or
            // what another has taken over.
            let lock = File::create(folder.with_extension("lock"))?;
            lock.lock()?;
            let (suspects, ended) = left_behind(folder)?;
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            file.lock()?;
            let mut note = Note { file, reading: Vec::new(), suspects };
            note.write()?;
            for note in ended {
                remove(&note)?;
            }
            Ok(Self { examiner, interrupt, path: path.clone(), note: Mutex::new(note) })
        };
        begin().map_err(|error| Error::io("note what is read in", folder, error))
    }

    /// Notes that `path` is being read, until the answer is dropped.
    ///
    /// # Errors
    ///
    /// When it ended another scan, and ends a process that reads it alone.
    pub(super) fn enter(&self, path: &Path) -> std::result::Result<Reading<'_>, Hint> {
        let name = encode_path(path);
        if self.note().suspects.contains(&name) {
            self.examine(path)?;
            self.note().suspects.remove(&name);
        }
        let mut note = self.note();
        note.reading.push(name.clone());
        // A note that cannot be written protects nobody, and is no reason not
        // to read the file.
        let _ = note.write();
        Ok(Reading { fence: self, path: name })
    }

    fn examine(&self, path: &Path) -> std::result::Result<(), Hint> {
        let Some(examiner) = &self.examiner else { return Ok(()) };
        let ended = match self.read_alone(examiner, path) {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => format!("ended that too ({status})"),
            Ok(None) => "took too long".to_owned(),
            Err(error) => format!("could not be done: {error}"),
        };
        Err(Hint::of(
            "a scan came to a sudden end while it was read, and reading it in a process of its own \
             {}; {} with its name tries again",
            [Piece::from(ended), Remedy::Scan(Again).into()],
        ))
    }

    // None if it was not done in time, or nobody waits any more.
    fn read_alone(&self, examiner: &Path, path: &Path) -> io::Result<Option<ExitStatus>> {
        let megabytes = fs::metadata(path).map_or(0, |file| file.len() >> 20);
        let megabytes = u32::try_from(megabytes).unwrap_or(u32::MAX);
        let limit = LEAST_TIME + TIME_PER_MEGABYTE.saturating_mul(megabytes);
        let mut child = begin_alone(examiner, path)?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() > limit || self.interrupt.is_set() {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let note = self.note();
        // What ended a scan is tried alone again, whenever it is read.
        if note.reading.is_empty() && note.suspects.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut note = self.fence.note();
        if let Some(at) = note.reading.iter().position(|path| *path == self.path) {
            note.reading.swap_remove(at);
        }
        let _ = note.write();
    }
}

const READING: char = '+';
const SUSPECT: char = '?';

impl Note {
    // Not for the end of the machine, but for that of the process: nothing is
    // forced to the disk.
    fn write(&mut self) -> io::Result<()> {
        let mut text = String::new();
        let suspects = self.suspects.iter().map(|path| (SUSPECT, path));
        for (kind, path) in self.reading.iter().map(|path| (READING, path)).chain(suspects) {
            text.push(kind);
            text += path;
            text.push('\0');
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }
}

// A scan that was about to end has removed its note itself.
fn remove(note: &Path) -> io::Result<()> {
    match fs::remove_file(note) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

// The files to be careful with, and the notes of scans that are no more.
fn left_behind(folder: &Path) -> io::Result<(BTreeSet<String>, Vec<PathBuf>)> {
    let mut suspects = BTreeSet::new();
    let mut ended = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(mut file) = File::options().read(true).write(true).open(&path) else { continue };
        let is_over = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        for line in String::from_utf8_lossy(&bytes).split('\0') {
            let is_suspect = |kind| kind == SUSPECT || (kind == READING && is_over);
            let mut rest = line.chars();
            let is_suspect = rest.next().is_some_and(is_suspect);
            if is_suspect && decode_path(rest.as_str()).exists() {
                suspects.insert(rest.as_str().to_owned());
            }
        }
        if is_over {
            ended.push(path);
        }
    }
    Ok((suspects, ended))
}

/// The word that [`read_alone`] is asked for by, before the file.
pub const READ_ALONE: &str = "read-alone";

// Where there is a shell, it keeps the process from taking all memory.
fn begin_alone(examiner: &Path, path: &Path) -> io::Result<Child> {
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    if cfg!(unix) {
        let limits = format!(
            "ulimit -c 0; ulimit -v {}; exec \"$0\" {READ_ALONE} -- \"$1\"",
            MOST_MEMORY >> 10
        );
        let started = quiet(Command::new("/bin/sh").arg("-c").arg(limits).arg(examiner).arg(path));
        if started.is_ok() {
            return started;
        }
    }
    quiet(Command::new(examiner).args([READ_ALONE, "--"]).arg(path))
}

/// Reads a file as a scan does, on a thread like those of a scan, and forgets
/// what it found. Who calls this is there to come to an end in its place.
pub fn read_alone(path: &Path) {
    let path = path.to_owned();
    let read = thread::spawn(move || {
        let _ = songrec_audio::identify(&path);
        let _ = songrec_audio::analyze(&path, &songrec_audio::Wanted::default());
        let _ = songrec_audio::read_tags(&path);
    });
    // A panic is caught in a scan, too.
    let _ = read.join();
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct World {
        folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn file(&self, name: &str) -> PathBuf {
            fs::write(self.path(name), name).unwrap();
            self.path(name)
        }

        /// A program that notes what it is given, and dies of files called
        /// `bad`.
        fn examiner(&self) -> PathBuf {
            let path = self.path("examiner");
            let log = self.path("examined");
            let script = format!(
                "#!/bin/sh\necho \"$3\" >> '{}'\ncase \"$3\" in *bad) kill -ABRT $$;; esac\n",
                log.display()
            );
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn examined(&self) -> usize {
            fs::read_to_string(self.path("examined")).unwrap_or_default().lines().count()
        }

        fn fence(&self) -> Fence {
            let examiner = Some(self.path("examiner"));
            Fence::begin(&self.path("reading"), examiner, Interrupt::default()).unwrap()
        }

        /// A scan that comes to a sudden end while it reads these files.
        fn end_while_reading(&self, files: &[&PathBuf]) {
            let fence = self.fence();
            let reading: Vec<Reading<'_>> =
                files.iter().map(|file| fence.enter(file).unwrap()).collect();
            // What dies with a process: its memory, and its locks.
            fence.note().file.unlock().unwrap();
            reading.into_iter().for_each(std::mem::forget);
            std::mem::forget(fence);
        }

        fn notes(&self) -> usize {
            fs::read_dir(self.path("reading")).unwrap().count()
        }
    }

    #[test]
    fn a_file_that_ended_a_scan_is_left_out_and_the_others_are_not() {
        let world = World::new();
        world.examiner();
        let [bad, good, other] = ["bad", "good", "other"].map(|name| world.file(name));
        world.end_while_reading(&[&bad, &good]);
        for _ in 0..2 {
            let fence = world.fence();
            let reason = fence.enter(&bad).unwrap_err().to_string();
            assert!(reason.contains("sudden end") && reason.contains("SIGABRT"), "{reason}");
            drop(fence.enter(&good).unwrap());
            drop(fence.enter(&other).unwrap());
        }

        assert_eq!(world.examined(), 3, "what is bad each time, what is good once");
        fs::remove_file(&bad).unwrap();
        drop(world.fence());
        assert_eq!(world.notes(), 0);
    }

    #[test]
    fn a_scan_that_goes_on_suspects_nobody() {
        let world = World::new();
        world.examiner();
        let [one, bad] = ["one", "bad"].map(|name| world.file(name));
        let first = world.fence();
        let reading = [first.enter(&one).unwrap(), first.enter(&bad).unwrap()];
        let second = world.fence();
        drop(second.enter(&one).unwrap());
        drop(second.enter(&bad).unwrap());
        drop(reading);
        drop((first, second));

        assert_eq!((world.examined(), world.notes()), (0, 0));
    }

    #[test]
    fn scans_that_begin_at_once_are_all_careful_and_leave_no_note() {
        for _ in 0..200 {
            let world = World::new();
            world.examiner();
            let bad = world.file("bad");
            world.end_while_reading(&[&bad]);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert!(world.fence().note().suspects.len() == 1));
                }
            });
            assert!(world.fence().enter(&bad).is_err());
            fs::remove_file(&bad).unwrap();
            drop(world.fence());
            assert_eq!(world.notes(), 0);
        }
    }

    #[test]
    fn what_nobody_came_to_read_stays_suspect() {
        let world = World::new();
        world.examiner();
        let bad = world.file("bad");
        world.end_while_reading(&[&bad]);
        world.end_while_reading(&[]);
        drop(world.fence());

        assert!(world.fence().enter(&bad).is_err());
    }

    #[test]
    fn a_note_that_is_no_note_is_none() {
        let world = World::new();
        fs::create_dir_all(world.path("reading")).unwrap();
        fs::write(world.path("reading/x"), b"+\xff\0?/nowhere\0\0+").unwrap();

        drop(world.fence());

        assert_eq!(world.notes(), 0);
    }
}
