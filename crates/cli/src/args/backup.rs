//! Arguments of commands that write a library to one file, and read it.

use std::path::PathBuf;

use clap::Args;
use songrec_library::share::MaxDelete;

pub(super) const BACKUP_HELP: &str = "\
A backup is a tar file in Zstandard, which `tar --zstd -tf` lists. It holds songs \
with their history and edits, deleted songs, vectors, segments and patterns, \
playlists, synths and clusters; with --audio also audio. It is private: only you may read it.

Examples:
  songrec backup music.songrec
  songrec backup --audio --force /mnt/disk/music.songrec
  songrec --storage-backend astra backup cloud.songrec
  songrec backup - | ssh host songrec restore -";

pub(super) const RESTORE_HELP: &str = "\
Where there is no library, one is made. Into one that has songs, a backup is merged \
like a sync: what was edited or deleted since stays so.

A backup that is cut off or damaged is not restored: what is whole of it is listed, \
and the exit code is 7. With --keep-going what is whole is restored, and the exit \
code is 3. It is unpacked in the cache folder first, so nothing reaches the library \
before all of it was looked at.

Examples:
  songrec restore --dry-run music.songrec
  songrec restore music.songrec
  songrec --library /mnt/disk/library restore music.songrec
  songrec restore --keep-going damaged.songrec";

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to; `-` is stdout
    pub(crate) file: PathBuf,
    /// The audio too, as far as it can be reached
    #[arg(long)]
    pub(crate) audio: bool,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup; `-` is stdin
    pub(crate) file: PathBuf,
    /// Only say what is in it, and whether it is whole
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
    /// Restore what is whole of a backup that is cut off or damaged
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) keep_going: bool,
    /// Do nothing if more songs would be deleted: a number or a share such as `5%`
    #[arg(long, value_name = "N|P%")]
    pub(crate) max_delete: Option<MaxDelete>,
}
