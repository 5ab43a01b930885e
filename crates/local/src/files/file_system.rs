//! A file system that is synced as a whole, where that can be relied on.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::FileSystem;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::others::FileSystem;

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, io, os::unix::fs::MetadataExt, path::Path, sync::OnceLock};

    /// A file system, opened: from then on the kernel keeps for it which errors it met.
    #[derive(Debug)]
    pub(crate) struct FileSystem {
        folder: fs::File,
        device: u64,
    }

    impl FileSystem {
        /// The one that holds `folder`.
        pub(crate) fn of(folder: &Path) -> io::Result<Self> {
            let folder = fs::File::open(folder)?;
            let device = folder.metadata()?.dev();
            Ok(Self { folder, device })
        }

        /// Whether a file or folder lies on it.
        pub(crate) fn holds(&self, path: &Path) -> bool {
            fs::metadata(path).is_ok_and(|metadata| metadata.dev() == self.device)
        }

        /// Whether [`sync`](Self::sync) does what it says. Two things are asked of it that
        /// not every Linux does: to report what could not be written (Linux 5.8 and
        /// later) and to wait until all is on the disk. FUSE does not pass the request
        /// on, an overlay does not pass errors back, and a server on the network may do
        /// neither.
        pub(crate) fn can_be_synced(&self) -> bool {
            const EXT: u32 = 0xef53;
            const XFS: u32 = 0x5846_5342;
            const BTRFS: u32 = 0x9123_683e;
            const F2FS: u32 = 0xf2f5_2010;
            const TMPFS: u32 = 0x0102_1994;
            let kind = rustix::fs::fstatfs(&self.folder).map(|system| system.f_type as u32);
            let is_known = kind.is_ok_and(|kind| [EXT, XFS, BTRFS, F2FS, TMPFS].contains(&kind));
            is_known && kernel().is_some_and(|version| version >= (5, 8))
        }

        /// Makes everything on it survive a power cut. What it could not keep since it was
        /// opened is an error, whosever it was.
        pub(crate) fn sync(&self) -> io::Result<()> {
            Ok(rustix::fs::syncfs(&self.folder)?)
        }
    }

    /// The version of the kernel, such as 6.1.
    fn kernel() -> Option<(u32, u32)> {
        static KERNEL: OnceLock<Option<(u32, u32)>> = OnceLock::new();
        *KERNEL.get_or_init(|| version(&fs::read_to_string("/proc/sys/kernel/osrelease").ok()?))
    }

    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_version_of_a_kernel_is_its_first_two_numbers() {
            assert_eq!(version("6.1.0-18-amd64\n"), Some((6, 1)));
            assert_eq!(version("5.15.153.1-microsoft-standard-WSL2"), Some((5, 15)));
            assert_eq!(version("4.19"), Some((4, 19)));
            assert_eq!(version("unknown"), None);
            assert!((5, 10) > (5, 8) && (5, 4) < (5, 8));
        }

        #[test]
        fn a_file_system_knows_what_lies_on_it() {
            let folder = songrec_testkit::temp_dir();
            let system = FileSystem::of(folder.path()).unwrap();

            assert!(system.holds(folder.path()));
            assert!(!system.holds(Path::new("/proc")));
            assert!(!system.holds(&folder.path().join("missing")));
            assert!(!FileSystem::of(Path::new("/proc")).unwrap().can_be_synced());
            system.sync().unwrap();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod others {
    use std::{io, path::Path};

    /// None: nothing elsewhere says whether everything was written.
    #[derive(Debug)]
    pub(crate) enum FileSystem {}

    impl FileSystem {
        pub(crate) fn of(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn holds(&self, _: &Path) -> bool {
            match *self {}
        }

        pub(crate) fn can_be_synced(&self) -> bool {
            match *self {}
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            match *self {}
        }
    }
}
