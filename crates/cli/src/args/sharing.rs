//! Commands for one library in several places.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use songrec_core::{Field, ModelName};
use songrec_sync::{AudioPolicy, Direction, MaxDelete, Verify};

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The library to copy: `local`, `astra`, a name from the configuration, or a folder
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) from: String,
    /// The library to copy into; a folder that is not there or empty becomes one
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) to: String,
    /// Only say what would be copied, and what that costs
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Copy no audio
    #[arg(long)]
    pub(crate) no_audio: bool,
    /// Copy no audio, but say where it is; what `--no-audio` does where that is known
    #[arg(long, conflicts_with = "no_audio")]
    pub(crate) audio_urls: bool,
    /// Only embeddings by these models; may be repeated
    #[arg(long = "models", value_name = "NAME", value_delimiter = ',')]
    pub(crate) models: Vec<ModelName>,
    /// How many batches are under way at once
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Bytes of audio and embeddings a second at the most, such as `5M`
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) bandwidth: Option<u64>,
    /// How the copy is proved: `full`, `sample` or `none`
    #[arg(long, value_name = "HOW", default_value = "sample")]
    pub(crate) verify: Verify,
    /// Keep copies of the audio in a new local library
    #[arg(long)]
    pub(crate) keep_copies: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The first library; the local one if it is not said
    #[arg(requires = "right")]
    pub(crate) left: Option<String>,
    /// The second library; the one that `sync.remote` names if it is not said
    pub(crate) right: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which libraries may change: both, the second (push), the first (pull)
    #[arg(long, value_enum, default_value_t = SyncDirection::Both, value_name = "HOW")]
    pub(crate) direction: SyncDirection,
    /// Do nothing if more songs would be deleted: a number or a share such as `5%`
    #[arg(long, value_name = "N|P%")]
    pub(crate) max_delete: Option<MaxDelete>,
    /// Which audio is carried: `all`, `none`, `recent` (30 days) or `recent:DAYS`
    #[arg(long, value_name = "WHICH")]
    pub(crate) audio: Option<AudioPolicy>,
    /// How many batches are under way at once
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Bytes of audio and embeddings a second at the most, such as `5M`
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) bandwidth: Option<u64>,
    /// Compare everything, instead of what changed since the last time
    #[arg(long)]
    pub(crate) full: bool,
    /// Accept that a library is another one than it was; deletes nothing
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Go on syncing, with so many seconds in between
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "30",
        require_equals = true,
        conflicts_with = "dry_run"
    )]
    pub(crate) watch: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SyncDirection {
    Both,
    Push,
    Pull,
}

impl From<SyncDirection> for Direction {
    fn from(direction: SyncDirection) -> Self {
        match direction {
            SyncDirection::Both => Self::Both,
            SyncDirection::Push => Self::Push,
            SyncDirection::Pull => Self::Pull,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The first library; the local one if it is not said
    #[arg(requires = "right")]
    pub(crate) left: Option<String>,
    /// The second library; the one that `sync.remote` names if it is not said
    pub(crate) right: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The first library
    pub(crate) left: String,
    /// The second library
    pub(crate) right: String,
    /// Compare every embedding and all audio bit by bit
    #[arg(long)]
    pub(crate) read_data: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    /// The library to start from
    pub(crate) from: String,
    /// The folder of the new library, which is not there or empty
    pub(crate) dir: PathBuf,
    /// Which audio is carried: `all`, `none`, `recent` (30 days) or `recent:DAYS`
    #[arg(long, value_name = "WHICH")]
    pub(crate) audio: Option<AudioPolicy>,
    /// Keep copies of the audio in the new library
    #[arg(long)]
    pub(crate) keep_copies: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConflictsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConflictsCommand {
    /// Show the values of one song that lost a merge
    Show {
        /// The song
        song: String,
    },
    /// Decide: keep what is shown, or put back a value that lost
    Resolve {
        /// The song
        song: String,
        /// The field; all fields of the song if it is not said
        field: Option<Field>,
        /// Put back the value with this number, as `show` counts them
        #[arg(long, value_name = "N", requires = "field")]
        take: Option<usize>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrashArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TrashCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// List songs that were deleted and can be restored
    List,
    /// Bring deleted songs back
    Restore {
        /// The songs, by id or the beginning of one
        #[arg(required = true)]
        songs: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MachinesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MachinesCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MachinesCommand {
    /// List the machines that share the library, and how far each is
    List,
    /// Wait no longer for a machine that is gone for good
    Retire {
        /// The machine, by id or the beginning of one
        machine: String,
    },
}

fn bytes(text: &str) -> Result<u64, String> {
    songrec_library::parse_bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size such as `500K` or `5M`".to_owned())
}
