//! Commands for one library in several places.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use songrec_core::{Field, ModelName};
use songrec_library::share::{AudioPolicy, Direction, MaxDelete, Verify};

use super::{
    RowArgs,
    listed::{Lost, Machines, Trashed},
};

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Both libraries: `local astra`, `local→astra` or 'local->astra'
    #[arg(value_name = "FROM TO", num_args = 1..=3, required_unless_present_all = ["from", "to"],
          conflicts_with_all = ["from", "to"])]
    pub(crate) positions: Vec<String>,
    /// The library to copy: `local`, `astra`, a name from the configuration, or a folder
    #[arg(long, value_name = "LIBRARY", requires = "to")]
    pub(crate) from: Option<String>,
    /// The library to copy into; a folder that is not there or empty becomes one
    #[arg(long, value_name = "LIBRARY", requires = "from")]
    pub(crate) to: Option<String>,
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

/// The libraries that `migrate` is given, in one of the ways to write them:
/// where from, and where to.
///
/// # Errors
///
/// When it is not two libraries, with what may have been meant.
pub(crate) fn from_and_to(args: &MigrateArgs) -> Result<(String, String), String> {
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        return Ok((from.clone(), to.clone()));
    }
    let is_arrow = |word: &String| word == "→" || word == "->" || word == "to";
    let positions: Vec<&String> = args.positions.iter().filter(|word| !is_arrow(word)).collect();
    match positions.as_slice() {
        [from, to] => Ok(((*from).clone(), (*to).clone())),
        [both] => {
            let split = both.split_once('→').or_else(|| both.split_once("->"));
            let split = split.map(|(from, to)| (from.trim(), to.trim()));
            match split.filter(|(from, to)| !from.is_empty() && !to.is_empty()) {
                Some((from, to)) => Ok((from.to_owned(), to.to_owned())),
                // A shell takes `>astra` for the file to print to.
                None if both.ends_with('-') => Err(format!(
                    "`{both}` is what a shell leaves of an arrow: write `{}→…`, or put it in quotes",
                    both.trim_end_matches('-')
                )),
                None => Err(format!("`{both}` is one library, and a copy needs two")),
            }
        }
        _ => Err(format!("`{}` are not two libraries", args.positions.join(" "))),
    }
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
    /// Accept that a library is another one than it was, and compare all of it
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
    /// The folder of the new library: not there, empty, or what a clone left that was cut off
    pub(crate) dir: PathBuf,
    /// Which audio is carried: `all`, `none`, `recent` (30 days) or `recent:DAYS`
    #[arg(long, value_name = "WHICH")]
    pub(crate) audio: Option<AudioPolicy>,
    /// Keep copies of the audio in the new library
    #[arg(long)]
    pub(crate) keep_copies: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConflictsCommand>,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Lost>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConflictsCommand {
    /// List the values that lost a merge
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        rows: RowArgs<Lost>,
    },
    /// Show the values of one song that lost a merge
    Show {
        /// The song
        #[arg(value_parser = super::values::song())]
        song: String,
    },
    /// Decide: keep what is shown, or put back a value that lost
    Resolve {
        /// The song
        #[arg(value_parser = super::values::song())]
        song: String,
        /// The field; all fields of the song if it is not said
        field: Option<Field>,
        /// Put back the value with this number, as `show` counts them
        #[arg(long, value_name = "N", requires = "field")]
        take: Option<usize>,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TrashArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TrashCommand>,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Trashed>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// List songs that were deleted and can be restored
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        rows: RowArgs<Trashed>,
    },
    /// Bring deleted songs back
    Restore {
        /// The songs, by id or the beginning of one
        #[arg(required = true)]
        songs: Vec<String>,
    },
    /// Forget deleted songs for good: they cannot be restored any more
    ///
    /// A library that was ever synced keeps them: the deletion has to reach
    /// every machine, and then syncs forget them by themselves, 30 days after it.
    /// `gc` removes the embeddings and copies of audio that nothing names any more.
    Empty {
        /// Only those that were deleted at least so long ago, such as 30d or 12h
        #[arg(long, value_name = "AGE", value_parser = age, default_value = "0d")]
        older_than: Duration,
        /// Only say how many there are
        #[arg(short = 'n', long, alias = "pretend")]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

// A whole number with a unit.
fn age(text: &str) -> Result<Duration, String> {
    let hours = [("h", 1), ("d", 24), ("w", 24 * 7)];
    let found = hours.iter().find_map(|(unit, hours)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(hours * 3600).map(Duration::from_secs)
    });
    found.ok_or_else(|| "expected hours, days or weeks, such as `12h`, `30d` or `4w`".to_owned())
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct MachinesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MachinesCommand>,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Machines>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MachinesCommand {
    /// List the machines that share the library, and how far each is
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        rows: RowArgs<Machines>,
    },
    /// Wait no longer for a machine that is gone for good
    Retire {
        /// The machine, by id or the beginning of one
        machine: String,
    },
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    songrec_library::parse_bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size such as `500K` or `5M`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MigrateArgs,
    }

    fn positions(line: &[&str]) -> Option<(String, String)> {
        let line = Line::try_parse_from(["migrate"].iter().chain(line)).ok()?;
        from_and_to(&line.args).ok()
    }

    #[test]
    fn both_libraries_can_be_written_in_every_way() {
        for line in [
            &["--from", "local", "--to", "astra"][..],
            &["local", "astra"],
            &["local→astra"],
            &["local->astra"],
            &["local → astra"],
            &["local", "→", "astra"],
            &["local", "to", "astra"],
            &["--dry-run", "local→astra", "--jobs", "2"],
        ] {
            assert_eq!(positions(line), Some(("local".into(), "astra".into())), "{line:?}");
        }
        for line in [
            &[][..],
            &["local"],
            &["local-"],
            &["→astra"],
            &["a", "b", "c"],
            &["--from", "local"],
            &["local", "astra", "--to", "b"],
        ] {
            assert_eq!(positions(line), None, "{line:?}");
        }
    }
}
