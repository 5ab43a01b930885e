//! Files that are whole or not there, and where each of them lies.

pub(crate) mod disk;
pub(crate) mod embedding_file;
pub(crate) mod file_system;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod npy;
pub(crate) mod segment_file;
pub(crate) mod stored;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

pub(crate) use self::{
    disk::{Disk, NewFile, Stamp},
    layout::{Folder, Layout},
};
use crate::error::{Fault, Result};

/// Writes and removes files in batches: all of a batch wait for the disk
/// together, and each folder is synced once; of a large batch the whole file system is.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    unfinished: PathBuf,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, unfinished: PathBuf) -> Self {
        Self { disk, unfinished }
    }

    /// A name for a file on its way; never used twice.
    pub(crate) fn unfinished_path(&self) -> PathBuf {
        self.unfinished.join(format!("{}.tmp", Uuid::new_v4().simple()))
    }

    /// The bytes of a file; nothing if there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.disk.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io("read", path)(error)),
        }
    }

    /// Stores files, each replacing what is at its path at once. When it
    /// returns they survive a power cut.
    ///
    /// The order is what makes that true of each file by itself: the bytes of all are
    /// on the disk before the first one gets its name.
    pub(crate) fn store(&self, files: &[NewFile]) -> Result<Vec<Stamp>> {
        let unfinished: Vec<PathBuf> = files.iter().map(|_| self.unfinished_path()).collect();
        let mut parents = BTreeSet::new();
        self.make_dir(&self.unfinished, &mut parents)?;
        self.sync_folders(&parents)?;
        let stamps = self.write(&unfinished, files).inspect_err(|_| {
            // A full disk is no reason to keep it full.
            self.forget(&unfinished);
        })?;
        self.put_in_place(
            unfinished.iter().zip(files).map(|(unfinished, file)| (&**unfinished, &*file.path)),
        )?;
        Ok(stamps)
    }

    // Makes new files that survive a power cut, though their names may not.
    fn write(&self, paths: &[PathBuf], files: &[NewFile]) -> Result<Vec<Stamp>> {
        if let Some(system) = self.disk.file_system_of(&self.unfinished, files.len()) {
            let stamps = paths.iter().zip(files).map(|(path, file)| {
                let written = self.disk.write_unsynced(path, &file.bytes);
                written.map_err(Fault::io("write", path))
            });
            let stamps = stamps.collect::<Result<Vec<_>>>()?;
            match self.disk.sync_file_system(&system) {
                Ok(()) => return Ok(stamps),
                // Perhaps another program's file. What is lost of ours nobody says, so
                // all are written again, and each one is asked for.
                Err(error) => {
                    tracing::debug!("`{}` was not synced: {error}", self.unfinished.display());
                    self.forget(paths);
                }
            }
        }
        self.each(files.len(), |i| {
            self.disk.write(&paths[i], &files[i].bytes).map_err(Fault::io("write", &paths[i]))
        })
    }

    fn forget(&self, unfinished: &[PathBuf]) {
        for path in unfinished {
            let _ = self.disk.remove(path);
        }
    }

    /// Gives a finished file its name, and makes both survive a power cut.
    pub(crate) fn finish(&self, unfinished: &Path, path: &Path) -> Result<()> {
        self.disk.sync(unfinished).map_err(Fault::io("write", unfinished))?;
        self.put_in_place([(unfinished, path)])
    }

    /// Moves a file to where nobody looks for it.
    pub(crate) fn set_aside(&self, from: &Path, to: &Path) -> Result<()> {
        self.put_in_place([(from, to)])?;
        self.sync_folders(&from.parent().into_iter().collect())
    }

    /// Removes files; those that are not there are no matter.
    pub(crate) fn remove<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        let paths: Vec<&Path> = paths.into_iter().collect();
        for path in &paths {
            self.disk.remove(path).map_err(Fault::io("remove", path))?;
        }
        self.sync_folders(&paths.into_iter().filter_map(Path::parent).collect())
    }

    /// Runs a step of the catalog or of an index.
    pub(crate) fn step<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut run = Some(run);
        let mut answer = None;
        self.disk
            .step(&mut || {
                if let Some(run) = run.take() {
                    answer = Some(run());
                }
            })
            .map_err(Fault::io("change", &self.unfinished))?;
        answer.unwrap_or_else(|| Err(Fault::invalid("the step was not run")))
    }

    // Gives finished files their names, and makes these survive a power cut.
    fn put_in_place<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a Path, &'a Path)>,
    ) -> Result<()> {
        let mut changed = BTreeSet::new();
        for (unfinished, path) in files {
            let put = || self.disk.rename(unfinished, path);
            let done = match (put(), path.parent()) {
                (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_dir(folder, &mut changed)?;
                    put()
                }
                (other, _) => other,
            };
            done.map_err(Fault::io("write", path))?;
            changed.extend(path.parent());
        }
        self.sync_folders(&changed)
    }

    // Makes a folder; those whose names have changed by that are still to be synced.
    fn make_dir<'a>(&self, path: &'a Path, changed: &mut BTreeSet<&'a Path>) -> Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            self.disk.create_dir(folder).map_err(Fault::io("make", folder))?;
            changed.extend(folder.parent());
        }
        Ok(())
    }

    // Makes the names in folders survive a power cut.
    fn sync_folders(&self, folders: &BTreeSet<&Path>) -> Result<()> {
        let mut folders: Vec<&Path> = folders.iter().copied().collect();
        let system =
            folders.first().and_then(|first| self.disk.file_system_of(first, folders.len()));
        if let Some(system) = system {
            match self.disk.sync_file_system(&system) {
                // A link may lead a folder elsewhere.
                Ok(()) => folders.retain(|folder| !system.holds(folder)),
                Err(error) => {
                    tracing::debug!("`{}` was not synced: {error}", folders[0].display());
                }
            }
        }
        self.each(folders.len(), |i| match self.disk.sync_dir(folders[i]) {
            // A folder that is gone holds no name that could get lost.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Fault::io("sync", folders[i])(error))
            }
            _ => Ok(()),
        })
        .map(drop)
    }

    /// Does `count` steps that do not depend on each other, several at once.
    fn each<T: Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let width = self.disk.width().min(count);
        if width <= 1 {
            return (0..count).map(work).collect();
        }
        let next = AtomicUsize::new(0);
        let run = || {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return done;
                }
                done.push((i, work(i)));
            }
        };
        let mut all: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..width).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("file steps do not panic"))
                .collect()
        });
        all.sort_by_key(|(i, _)| *i);
        all.into_iter().map(|(_, result)| result).collect()
    }
}

/// The names in a folder that are text; none if there is no folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(vec![]);
        }
        other => other.map_err(Fault::io("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Fault::io("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{disk::RealDisk, *};

    #[test]
    fn small_and_large_batches_store_the_same() {
        for count in [1, 5, 200] {
            let folder = songrec_testkit::temp_dir();
            let files = Files::new(Arc::new(RealDisk), folder.path().join("tmp"));
            let new = |n: usize| NewFile {
                path: folder.path().join(format!("of/{n}/file")),
                bytes: vec![u8::try_from(n % 256).unwrap(); n],
            };
            let batch: Vec<NewFile> = (0..count).map(new).collect();

            let stamps = files.store(&batch).unwrap();
            let again = files.store(&batch).unwrap();

            for (file, (stamp, later)) in batch.iter().zip(stamps.iter().zip(&again)) {
                assert_eq!(fs::read(&file.path).unwrap(), file.bytes);
                assert_eq!(Stamp::at(&file.path).unwrap(), Some(*later));
                assert_eq!(stamp.size, later.size);
            }
            assert!(names_in(&folder.path().join("tmp")).unwrap().is_empty());
            files.remove(batch.iter().map(|file| file.path.as_path())).unwrap();
            assert!(batch.iter().all(|file| !file.path.exists()));
        }
    }
}
