//! Arguments of commands that make a library, fill it and look after it.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use songrec_core::ModelName;
use songrec_library::ExportFormat;

use super::FilterArgs;

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

#[cfg(feature = "emulator")]
pub(super) const EMULATOR_HELP: &str = "\
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
#[command(override_usage = "songrec scan [OPTIONS] <PATH>...
       songrec scan [OPTIONS] --failed [PATH]...
       songrec scan [OPTIONS] --missing")]
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
    /// What the sound in the one file is called: its title from now on, as an edit
    #[arg(
        long,
        value_name = "TEXT",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["failed", "missing", "dry_run", "watch"]
    )]
    pub(crate) label: Option<String>,
    /// List the files that were left out in this file, each with the reason and what can be done;
    /// its ending says how: .jsonl or .csv
    ///
    /// Each line has the path, the kind (failed, failed_before, unread,
    /// forgotten), the reason and a hint. The file takes the place of the last
    /// list in the end, also after an interrupted scan.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Keep watching the folders, and scan what changes in them, until Ctrl-C
    ///
    /// A file is read once it has stopped changing. What is moved or deleted is
    /// treated as a scan of the folder treats it. With --json, one document for
    /// each scan.
    #[arg(long, conflicts_with_all = ["failed", "missing", "dry_run", "report"])]
    pub(crate) watch: bool,
    /// With --watch: how many seconds a file has to stay as it is before it is read
    #[arg(long, value_name = "SECONDS", requires = "watch", value_parser = seconds, default_value_t = 2.0)]
    pub(crate) settle: f64,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
}

// From none to an hour.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, from 0 to 3600".to_owned())
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
    /// Where to: an empty folder, or one of an earlier export; with --format a file
    pub(crate) to: PathBuf,
    /// One file in place of a folder: `npy`, `csv`, `parquet`, `faiss` or `m3u8`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// Replace the file of --format if it is there
    #[arg(long, requires = "format")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only embeddings by this model, with or without its revision; may be repeated without
    /// --format
    #[arg(long = "model", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) models: Vec<String>,
}

pub(super) const EXPORT_HELP: &str = "\
Without --format, songs go to a folder as JSON, and embeddings as .npy, which `songrec \
import` takes in again. The formats of --format are for other programs:
  npy      a matrix with a row for each song that has a vector; FILE.ids.json names the rows
  faiss    a flat index, likewise; under the cosine, vectors get the length 1
  csv      a table of songs
  parquet  the same; with --model also the vectors
  m3u8     a list of files for players

Examples:
  songrec export backup
  songrec export --format csv songs.csv
  songrec export --format faiss clap.index --model clap@1 -f genre:techno
  songrec export --format parquet songs.parquet --model dsp45@1
  songrec export --format m3u8 techno.m3u8 -f genre:techno";

pub(super) const IMPORT_HELP: &str = "\
What is known: an export of songrec; `metadata.json` with `embeddings/*.npy`; beets' \
library.db; ChromaDB's chroma.sqlite3; flat FAISS indexes with metadata.db, .json or .csv \
beside them; a matrix in .npy with .json or .csv; blissify and bliss-analyser; \
audiomancer's samples.db, with its synths (its vectors are in LanceDB, which \
tools/vectors_to_npy.py reads); descriptions of AcousticBrainz; tables in .csv, .json or \
.jsonl. Fields without a name in songrec are kept as extra.NAME.

Examples:
  songrec import ~/.config/beets/library.db
  songrec import chroma/chroma.sqlite3
  songrec import audio_db --model clap@1
  songrec import vectors.npy --model clap@1";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The folder or the file; what it is is told by its content
    pub(crate) from: PathBuf,
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
