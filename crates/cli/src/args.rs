//! The command line as clap sees it, and nothing else.

mod analysis;
mod filter;
mod sharing;
mod spelling;

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser},
};
use songrec_core::{Metric, ModelName};
use songrec_library::Blend;

pub(crate) use analysis::*;
pub(crate) use filter::FilterArgs;
pub(crate) use sharing::*;
pub(crate) use spelling::with_old_spellings;

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
    /// Print an address at which the audio of a song can be had for a while
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
    /// Write songs as JSON and embeddings as .npy
    Export(ExportArgs),
    /// Take in an export, or `metadata.json` with `embeddings/*.npy`
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

impl Command {
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
                    what: ModelCommand::List
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

#[cfg(feature = "astra")]
#[derive(Debug, Args)]
pub(crate) struct InitAstraArgs {
    /// Only say what is missing or different
    #[arg(long)]
    pub(crate) check: bool,
    /// The keyspace, in place of the configured one
    #[arg(long, value_name = "NAME")]
    pub(crate) keyspace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// A song
    #[arg(value_parser = song())]
    pub(crate) song: String,
    /// Where to: a new file, or a folder
    #[arg(default_value = ".")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UrlArgs {
    /// A song
    #[arg(value_parser = song())]
    pub(crate) song: String,
    /// For how long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) expires_in: u64,
}

#[cfg(feature = "emulator")]
const EMULATOR_HELP: &str = "\
How clients connect: the two lines that it prints go into `.env`. Commands are \
sent by POST to ENDPOINT/v1/KEYSPACE/COLLECTION with the header `Token`; the \
keyspace `default_keyspace` is there. With astrapy:
  DataAPIClient(token, environment=\"other\").get_database(endpoint, keyspace=\"default_keyspace\")

What is missing: models (`$vectorize`), tables, and approximation: vector \
search is exact.

What goes wrong on request: rules at ENDPOINT/emulator/faults, with the same \
token, and counts at ENDPOINT/emulator/requests:
  curl -X POST ENDPOINT/emulator/faults -H \"Token: TOKEN\" -d '{\"commands\": \
[\"find\"], \"timing\": {\"when\": \"next\", \"skip\": 0, \"count\": 1}, \"faults\": \
[{\"kind\": \"overloaded\"}]}'
The README of the crate songrec-emulator lists all faults and limits.";

#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// Keep the data in this folder; in memory if it is not said
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen, such as localhost:8181
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8181")]
    pub(crate) addr: String,
    /// A file with the token to accept, in one line; a random one is made if it is not said
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Accept this user as a self-hosted server does, with the password in
    /// SONGREC_EMULATOR_PASSWORD or a random one
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub(crate) user: Option<String>,
    /// Documents in one page
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) page_size: u32,
    /// Collections that the database may have
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) collections: u32,
    /// Let collections be reranked, by a stand-in that counts words
    #[arg(long)]
    pub(crate) rerank: bool,
    /// Let every request take this long at least, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub(crate) delay: u64,
    /// Estimate counts exactly; a real server's estimates are minutes old, and
    /// so are these otherwise
    #[arg(long)]
    pub(crate) exact_estimates: bool,
    /// Another limit, such as insert-documents=20; may be repeated
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    pub(crate) limits: Vec<String>,
}

#[cfg(feature = "serve")]
const SERVE_HELP: &str = "\
The addresses are described at /docs, for a browser, and in /openapi.json.

Who may use it: at loopback addresses, whoever uses this machine. With a token, in \
the file that --token-file names or in the variable SONGREC_SERVE_TOKEN, those who \
present it, as `Authorization: Bearer TOKEN` or by logging in with a browser; \
beyond loopback there has to be one. HTTPS is for a proxy in front of it.";

#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen, such as localhost:8001; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8001")]
    pub(crate) addr: String,
    /// Let nobody change anything
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Show it in the browser
    #[arg(long)]
    pub(crate) open: bool,
    /// A file with the token that clients have to present, in one line
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A name that clients may call this machine by, such as studio.local; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// A site whose pages may use it, such as https://music.example; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// The largest upload, such as 500M; 100M if it is not said
    #[arg(long, value_name = "SIZE", value_parser = sharing::bytes)]
    pub(crate) max_upload: Option<u64>,
}

#[cfg(feature = "mcp")]
const MCP_HELP: &str = "\
It speaks the Model Context Protocol; a program that runs language models starts it. \
In the settings of such a program:
  {\"mcpServers\": {\"songrec\": {\"command\": \"songrec\", \"args\": [\"mcp\"]}}}

What comes in on stdin is of the protocol, and so is what goes to stdout, whatever \
--json says.";

#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Let it change what is known of songs, and name clusters
    #[arg(long)]
    pub(crate) allow_writes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where; if it is not said, where the library is that would be used: the
    /// configured one, else the one in the user's data folder
    pub(crate) dir: Option<PathBuf>,
    /// Keep a copy of every audio file in the library
    #[arg(long)]
    pub(crate) keep_copies: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Folders and audio files
    #[arg(required_unless_present_any = ["failed", "missing"], value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Leave out what this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// About how much memory to use, such as 500M
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<String>,
    /// Take the genre from the folder's name where a file has none, also of files that are known
    #[arg(long)]
    pub(crate) genre_from_folder: bool,
    /// The models that embed every song; may be repeated
    #[arg(long = "model", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) models: Vec<String>,
    /// Only the songs of the library that one of the models has not embedded yet, or whose embedding
    /// by it is lost or damaged
    ///
    /// A local library reads every embedding for that. In the cloud, what is
    /// there is listed: for each model one request for every 20 or 50 songs
    /// that have a file on this machine. Whether it is damaged, `verify` finds
    /// out.
    #[arg(long, conflicts_with_all = ["failed", "paths"])]
    pub(crate) missing: bool,
    /// Also keep the vectors of learned models window by window, to find passages
    #[arg(long)]
    pub(crate) segments: bool,
    /// Only try the files again that could not be read
    #[arg(long)]
    pub(crate) failed: bool,
    /// Also take in again what was forgotten
    #[arg(long)]
    pub(crate) again: bool,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimilarArgs {
    /// A song (id, beginning of an id, path, or words), or any audio file, or
    /// a part of one: song.flac@1:20-1:35; several for what sounds like all of
    /// them together
    #[arg(value_parser = song(), required = true, value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    /// A song that the results should be unlike; may be repeated
    #[arg(value_parser = song(), long, value_name = "SONG")]
    pub(crate) minus: Vec<String>,
    /// How much each song counts, such as 1,0.5: first the SONGs, 1 if not
    /// said, then those of --minus, 0.5 if not said
    #[arg(long, value_name = "X,Y", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) weights: Vec<f64>,
    /// How many songs
    #[arg(short, long, value_name = "N", value_parser = some, allow_negative_numbers = true)]
    pub(crate) k: Option<usize>,
    /// The lowest similarity that counts
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true)]
    pub(crate) threshold: Option<f64>,
    /// How to compare: cosine, dot or euclidean
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<Metric>,
    /// The model to compare by
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// Several models to compare by, such as dsp47=0.6,dsp45=0.4: the first one
    /// finds three candidates for each result, all of them score these
    #[arg(long, value_name = "MODEL=X,…", conflicts_with = "model")]
    pub(crate) blend: Option<Blend>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// A song that does not count; may be repeated
    #[arg(value_parser = song(), long, value_name = "SONG")]
    pub(crate) exclude: Vec<String>,
    /// How many of the nearest to leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// At most so many songs of one artist
    #[arg(long, value_name = "N")]
    pub(crate) max_per_artist: Option<usize>,
    /// At most so many songs of one album
    #[arg(long, value_name = "N")]
    pub(crate) max_per_album: Option<usize>,
    /// List the song itself too
    #[arg(long)]
    pub(crate) include_self: bool,
    /// List every copy of a recording, not just the nearest
    #[arg(long)]
    pub(crate) all_copies: bool,
    /// Say why each song is similar
    #[arg(long)]
    pub(crate) explain: bool,
    /// List parts of songs, not whole songs; what `scan --segments` kept. The
    /// same is done without it for a part of a song
    #[arg(long, conflicts_with_all = ["blend", "minus", "weights"])]
    pub(crate) passages: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Audio files, or parts of them such as song.flac@1:20-1:35
    #[arg(value_parser = song(), required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// The models that embed; may be repeated
    #[arg(long = "model", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) models: Vec<String>,
    /// Write a .npy file for each file and model to this folder
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".")]
    pub(crate) npy: Option<PathBuf>,
    /// Each window that a learned model embeds, not only their mean
    #[arg(long)]
    pub(crate) windows: bool,
}

/// A song as a person names it. A path may have any bytes, and is text as
/// [`songrec_core::encode_path`] makes it.
fn song() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| songrec_core::encode_path(text.as_ref()))
}

// A number of things of which none would be nothing to ask for.
fn some(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| "expected a number, such as 0.8".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) what: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// The models that can embed here
    #[command(alias = "ls")]
    List,
    /// What is known of a model: files, licence, what to cite
    Info {
        /// The model, with or without its revision
        name: String,
    },
    /// Add a model from a folder or an address with its ONNX files
    #[command(
        after_help = "A folder with a `model.toml` says itself what it holds. Of clap, clap-fused, \
                            clap-music, ms-clap, wav2vec2 and mert songrec knows it: the files that \
                            `tools/export_models.py` makes are enough. The files are checked and \
                            copied. Nothing is downloaded unless FROM is an address."
    )]
    Add {
        /// What it is called, such as clap
        name: String,
        /// A folder, or the address of one: https://…
        from: String,
    },
    /// Remove a model that was added; what it embedded stays in libraries
    #[command(alias = "rm")]
    Remove {
        /// The model
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Check a model's files against their digests, and let it embed a probe
    Verify {
        /// The models; all that were added if none is named
        names: Vec<String>,
    },
    /// Measure how fast a model embeds
    Bench {
        /// The model
        name: String,
        /// How many seconds of audio it has to hear
        #[arg(long, value_name = "N", default_value_t = 60.0)]
        seconds: f64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A song
    #[arg(value_parser = song())]
    pub(crate) a: String,
    /// Another song
    #[arg(value_parser = song())]
    pub(crate) b: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Id,
    Title,
    Artist,
    Album,
    Year,
    Bpm,
    Duration,
    Added,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// The order
    #[arg(short, long, value_enum, default_value_t = Sort::Artist)]
    pub(crate) sort: Sort,
    /// From high to low
    #[arg(short, long)]
    pub(crate) reverse: bool,
    /// At most so many songs; all if it is not said
    #[arg(short = 'l', long, value_name = "N", value_parser = some, allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,
    /// How many songs to leave out first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// Only count them
    #[arg(long)]
    pub(crate) count: bool,
    /// Only songs whose files are gone from this machine
    #[arg(long)]
    pub(crate) missing: bool,
    /// Print their paths alone, one a line
    #[arg(long, conflicts_with = "count")]
    pub(crate) paths: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Songs
    #[arg(value_parser = song(), required = true, value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    /// What was written when, as far as nobody has overwritten it since
    ///
    /// The writes stand in order, the oldest first; of a song that was deleted
    /// the deletion, too, as long as it can be restored. With --json, one
    /// document for each song: `id`; `writes`, each with `at` (in UTC, null
    /// where that is not known), `operation` (its first 64 bits) and `values`
    /// by keys such as `edits.title`, `tags.album`, `sources.import.genres`,
    /// `files.PATH`, and `life` for what keeps the song from being deleted;
    /// `seen`, how many writes there were; and `deleted_at`, if it was.
    #[arg(long)]
    pub(crate) history: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// Songs
    #[arg(value_parser = song(), required_unless_present = "FilterArgs", value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Set a field, such as `title=Kick` or `genre=techno,house`; may be
    /// repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// Empty a field, whatever the file, a folder or an import says
    #[arg(long, value_name = "FIELD")]
    pub(crate) clear: Vec<String>,
    /// Go back to what the file, a folder or an import says
    #[arg(long, value_name = "FIELD")]
    pub(crate) reset: Vec<String>,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Songs; one that is forgotten already is said, and is no failure
    #[arg(value_parser = song(), required_unless_present_any = ["FilterArgs", "missing"], value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only songs whose files are gone from this machine
    #[arg(long)]
    pub(crate) missing: bool,
    /// Also delete their audio files, after asking
    #[arg(long)]
    pub(crate) delete_audio: bool,
    /// Refuse to forget more than so many songs
    #[arg(long, value_name = "N")]
    pub(crate) max_delete: Option<usize>,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words, each of which begins a word of the song, and filters such as
    /// `instrument:kick`
    #[arg(value_name = "WORD|FILTER", required_unless_present_any = ["text", "like", "FilterArgs"])]
    pub(crate) words: Vec<String>,
    /// What the songs should sound like, such as "warm analogue pad"; may be
    /// repeated. Needs a model that reads
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Vec<String>,
    /// A song that they should sound like too; may be repeated
    #[arg(value_parser = song(), long, value_name = "SONG")]
    pub(crate) like: Vec<String>,
    /// What they should not sound like; may be repeated
    #[arg(long, value_name = "TEXT", requires = "text")]
    pub(crate) not: Vec<String>,
    /// The model that reads and embeds; the first one that can if it is not said
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// The lowest similarity that counts
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true)]
    pub(crate) threshold: Option<f64>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many songs; 50, or with --text as many as are usually shown
    #[arg(short, long, short_alias = 'k', value_name = "N", value_parser = some,
          allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,
    /// How many songs to leave out first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DupArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    /// Compare every song with every other, and list groups of those that
    /// sound almost the same and are equally long: re-encodings and remasters
    #[arg(long)]
    pub(crate) near: bool,
    /// List songs that sound almost the same whatever their lengths: edits, too
    #[arg(long, requires = "near")]
    pub(crate) any_length: bool,
    /// The lowest similarity that is near
    #[arg(long, value_name = "X", default_value_t = songrec_library::NEAR, requires = "near",
          allow_hyphen_values = true)]
    pub(crate) threshold: f64,
    /// The model to compare by
    #[arg(long, value_name = "NAME", requires = "near")]
    pub(crate) model: Option<ModelName>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RelocateArgs {
    /// Where the files were
    pub(crate) from: PathBuf,
    /// Where they are now
    pub(crate) to: PathBuf,
    /// Believe a file of the right size without reading it
    #[arg(long)]
    pub(crate) by_size: bool,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Put right what can be put right without losing anything: embed songs again whose embeddings
    /// are lost, and move damaged documents aside, from where a scan or a sync brings songs back
    #[arg(long)]
    pub(crate) repair: bool,
    /// Read every byte, instead of looking at sizes
    #[arg(long)]
    pub(crate) read_data: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only what was stored at least so many days ago: what is younger may belong to a song that
    /// some machine is about to store
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) older_than: u32,
    /// Only say what would be removed
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
    /// Do not ask; of a library in the cloud the bucket has to be its own
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Where to; an empty folder, or one of an earlier export
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only embeddings by this model; may be repeated
    #[arg(long = "model", value_name = "NAME")]
    pub(crate) models: Vec<ModelName>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Where from
    pub(crate) dir: PathBuf,
    /// The model of vectors that do not say theirs, such as clap@1
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<ModelName>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) what: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting with its value and where it comes from
    Show,
    /// Where configuration, library, cache and state are
    Path,
}

#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) what: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// What is in it, and how much: copies of what is far away, and catalogs and indexes of
    /// libraries that may only be read
    Info,
    /// Remove the least recently used down to a size
    Prune {
        /// Such as 500M; the configured limit if it is not said
        #[arg(value_name = "SIZE")]
        to: Option<String>,
    },
    /// Remove everything
    Clear,
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
