//! The command line as clap sees it, and nothing else.

mod analysis;
mod backup;
mod filter;
mod library;
mod listed;
mod patterns;
mod playlists;
mod previews;
mod rows;
#[cfg(any(feature = "serve", feature = "mcp"))]
mod serving;
mod sharing;
mod songs;
mod sound;
mod spelling;
mod synths;
mod values;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::backup::{BACKUP_HELP, RESTORE_HELP};
#[cfg(feature = "emulator")]
use self::library::EMULATOR_HELP;
use self::library::{EXPORT_HELP, IMPORT_HELP};
#[cfg(feature = "mcp")]
use self::serving::MCP_HELP;
#[cfg(feature = "serve")]
use self::serving::SERVE_HELP;
pub(crate) use analysis::*;
pub(crate) use backup::{BackupArgs, RestoreArgs};
pub(crate) use filter::FilterArgs;
pub(crate) use library::*;
pub(crate) use listed::Listed;
pub(crate) use patterns::*;
pub(crate) use playlists::*;
pub(crate) use previews::*;
pub(crate) use rows::{Field, ListenArgs, Piece, RowArgs, Template};
#[cfg(any(feature = "serve", feature = "mcp"))]
pub(crate) use serving::*;
pub(crate) use sharing::*;
pub(crate) use songs::*;
pub(crate) use sound::*;
pub(crate) use spelling::with_old_spellings;
pub(crate) use synths::*;

/// Find music and samples by how they sound.
#[derive(Debug, Parser)]
#[command(
    name = "songrec",
    version,
    after_help = "`songrec demo` shows what it does. `songrec help COMMAND` says more about a command, \
                  `songrec help exit-codes` what the exit codes mean.",
    disable_help_subcommand = false,
    propagate_version = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Which library: `local`, `astra`, or a name from the configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) storage_backend: Option<String>,
    /// The folder of the local library
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) library: Option<PathBuf>,
    /// A configuration file in place of the usual ones
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,
    /// Read no configuration file and no `.env`
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) color: When,
    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// How many threads to use; 0 is one per core
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Write what is logged to a file too
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Exit with 0 even if some items failed
    #[arg(long, global = true)]
    pub(crate) keep_going_ok: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small library from example audio and show what songrec does
    Demo(DemoArgs),
    /// Make a local library
    Init(InitArgs),
    /// Make what a library in Astra DB needs, or check that it is there
    #[cfg(feature = "astra")]
    InitAstra(InitAstraArgs),
    /// Find audio files and take in what is new or changed
    Scan(ScanArgs),
    /// List the songs that sound like a song or an audio file
    #[command(alias = "recommend")]
    Similar(SimilarArgs),
    /// Say why two songs match
    Explain(ExplainArgs),
    /// Print the embeddings of audio files, as JSON or .npy
    Embed(EmbedArgs),
    /// List the models that can embed here; add, check, measure or remove one
    Model(ModelArgs),
    /// List songs
    #[command(alias = "list")]
    Ls(LsArgs),
    /// Show everything that is known of a song
    Show(ShowArgs),
    /// Change what is known of songs; audio files stay as they are
    Edit(EditArgs),
    /// Forget songs; audio files stay unless --delete-audio
    #[command(alias = "remove")]
    Rm(RmArgs),
    /// Find songs by words of title, artist, album, genre, mood or path, or by
    /// what they sound like
    Search(SearchArgs),
    /// List recordings that are there more than once, or almost
    Dup(DupArgs),
    /// Count songs, genres, tempos, keys, models
    Stats(StatsArgs),
    /// Group songs that sound alike; list, name or remove the groups
    Cluster(ClusterArgs),
    /// Make a queue of songs that goes on from some songs
    Radio(RadioArgs),
    /// Find songs that lead from one song to another, step by step
    Path(PathArgs),
    /// Make, show, change, write and read lists of songs
    #[command(alias = "playlists")]
    Playlist(PlaylistArgs),
    /// Name regions of songs, and find them by what and where they are, or by how
    /// they sound
    #[command(alias = "pattern")]
    Patterns(PatternsArgs),
    /// Keep definitions of synths for SuperCollider, with what each comes from
    #[command(alias = "synth")]
    Synths(SynthsArgs),
    /// Find tracks of music services by words, and download previews of them
    #[command(alias = "preview")]
    Previews(PreviewsArgs),
    /// List songs that are like no others, and say why
    #[command(alias = "outliers")]
    Anomalies(AnomaliesArgs),
    /// Draw the library as a map, as a page for a browser or as a picture
    #[command(alias = "visualize")]
    Map(MapArgs),
    /// Measure how good the neighbors of songs are, by each model
    Eval(EvalArgs),
    /// Follow audio files that were moved as a whole
    Relocate(RelocateArgs),
    /// Write the audio of a song to a file
    Get(GetArgs),
    /// Say which songs libraries keep copies of audio of
    Audio(AudioArgs),
    /// Print an address at which the audio of a song can be had for a while, or where a
    /// service offers a preview of it
    Url(UrlArgs),
    /// Check that everything is as it should be
    Verify(VerifyArgs),
    /// Remove audio and embeddings that no song names any more
    Gc(GcArgs),
    /// Copy a whole library to another place, and prove it
    Migrate(MigrateArgs),
    /// Make two libraries agree, whatever happened to either
    Sync(SyncArgs),
    /// Say what a sync would do
    Status(StatusArgs),
    /// Make a library here that is synced with another one
    Clone(CloneArgs),
    /// Compare two libraries song by song, or bit by bit
    Check(CheckArgs),
    /// Show the values that lost a merge, and decide about them
    Conflicts(ConflictsArgs),
    /// List deleted songs that can be restored, and restore them
    Trash(TrashArgs),
    /// List the machines that share a library
    Machines(MachinesArgs),
    /// Write everything of a library to one file
    #[command(after_long_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Bring a backup into a library, or look at what is in it
    #[command(after_long_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Write songs as JSON and embeddings as .npy, or either for other programs
    #[command(after_long_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// Take in an export, or the library of another program
    #[command(after_long_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Show the settings, or where they are
    Config(ConfigArgs),
    /// Look at the copies of what is far away, or remove them
    Cache(CacheArgs),
    /// Check that songrec can work here
    Doctor,
    /// Serve the Data API on this machine, to try Astra mode without an account
    #[cfg(feature = "emulator")]
    #[command(after_long_help = EMULATOR_HELP)]
    Emulator(EmulatorArgs),
    /// Serve the library over HTTP, to programs and to a browser
    #[cfg(feature = "serve")]
    #[command(after_long_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Offer the library to a language model, as tools over stdin and stdout
    #[cfg(feature = "mcp")]
    #[command(after_long_help = MCP_HELP)]
    Mcp(McpArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them to a folder
    Man(ManArgs),
    /// Print what documents a command prints with --json, as JSON Schema
    Schema(SchemaArgs),
    /// Print the version
    Version,
    /// What the exit codes mean
    #[command(long_about = crate::status::HELP, hide = true)]
    ExitCodes,
}

impl Cli {
    /// What a person typed.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words of clap.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, clap::Error> {
        let mut command = with_numbers_below_zero(Self::command());
        let matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

// A number below zero is no option: what it is the value of says what is wrong with it.
fn with_numbers_below_zero(command: clap::Command) -> clap::Command {
    let may_be_below = |argument: clap::Arg| {
        let takes_one = argument.get_action().takes_values() && !argument.is_positional();
        if takes_one { argument.allow_negative_numbers(true) } else { argument }
    };
    command.mut_args(may_be_below).mut_subcommands(with_numbers_below_zero)
}

impl Command {
    /// Whether it runs for days, beside other programs.
    pub(crate) fn is_service(&self) -> bool {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(_) => true,
            #[cfg(feature = "mcp")]
            Self::Mcp(_) => true,
            _ => false,
        }
    }

    /// Whether it can be left anywhere, because it changes nothing and has
    /// nothing to say of how far it came.
    pub(crate) fn can_be_left(&self) -> bool {
        matches!(
            self,
            Self::Similar(_)
                | Self::Explain(_)
                | Self::Ls(_)
                | Self::Show(_)
                | Self::Search(_)
                | Self::Stats(_)
                | Self::Url(_)
                | Self::Doctor
                | Self::Verify(VerifyArgs { repair: false, .. })
                | Self::Model(ModelArgs {
                    what: ModelCommand::List { .. }
                        | ModelCommand::Info { .. }
                        | ModelCommand::Verify { .. }
                        | ModelCommand::Bench { .. },
                })
        )
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The audio files to use in place of the examples
    #[arg(long, value_name = "DIR")]
    pub(crate) audio: Option<PathBuf>,
    /// Also make a library in Astra mode, in an emulator, and compare
    #[cfg(all(feature = "astra", feature = "emulator"))]
    #[arg(long)]
    pub(crate) cloud: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for every command to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The command, such as `similar` or `model list`; if it is not said, all commands are listed
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        with_numbers_below_zero(Cli::command()).debug_assert();
    }

    #[test]
    fn a_number_below_zero_is_what_is_wrong_and_no_option() {
        for (line, option) in [
            ("songrec radio a --minutes -3", "--minutes"),
            ("songrec radio a --length -3", "--length <N>"),
            ("songrec ls --offset -1", "--offset <N>"),
            ("songrec cluster --seed -1", "--seed <N>"),
        ] {
            let words = line.split(' ').map(std::ffi::OsString::from);
            match Cli::read(words) {
                Ok(_) => assert_eq!(option, "--minutes", "{line}: its command refuses it"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("invalid value '-"), "{line}: {text}");
                    assert!(text.contains(option), "{line}: {text}");
                }
            }
        }
    }
}
