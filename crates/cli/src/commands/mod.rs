//! One file for each command.

mod anomalies;
mod audio;
mod backup;
mod cache;
mod check;
mod clone;
mod cluster;
mod config;
mod conflicts;
mod demo;
mod doctor;
mod dup;
mod edit;
mod embed;
#[cfg(feature = "emulator")]
mod emulator;
mod eval;
mod explain;
mod export;
mod gc;
mod get;
mod history;
mod import;
mod init;
#[cfg(feature = "astra")]
mod init_astra;
mod listen;
#[cfg(any(feature = "emulator", feature = "serve"))]
mod listening;
mod ls;
mod machines;
mod map;
#[cfg(feature = "mcp")]
mod mcp;
mod migrate;
mod model;
mod packaging;
mod pair;
mod patterns;
mod playlist;
mod playlist_file;
mod previews;
mod radio;
mod relocate;
mod restore;
mod rm;
mod scan;
mod schema;
mod search;
pub(crate) mod select;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod similar;
mod stats;
mod sync;
mod synths;
mod trash;
mod verify;

use anyhow::Result;

use crate::{args::Command, context::Context, status::ExitStatus};

/// Runs a command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitStatus> {
    match command {
        Command::Demo(args) => demo::run(context, args).await,
        Command::Init(args) => init::run(context, args).await,
        #[cfg(feature = "astra")]
        Command::InitAstra(args) => init_astra::run(context, args).await,
        Command::Scan(args) => scan::run(context, args).await,
        Command::Similar(args) => similar::run(context, args).await,
        Command::Explain(args) => explain::run(context, args).await,
        Command::Embed(args) => embed::run(context, args).await,
        Command::Model(args) => model::run(context, args).await,
        Command::Ls(args) => ls::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Edit(args) => edit::run(context, args).await,
        Command::Rm(args) => rm::run(context, args).await,
        Command::Search(args) => search::run(context, args).await,
        Command::Dup(args) => dup::run(context, args).await,
        Command::Stats(args) => stats::run(context, args).await,
        Command::Cluster(args) => cluster::run(context, args).await,
        Command::Radio(args) => radio::run(context, args).await,
        Command::Path(args) => radio::path(context, args).await,
        Command::Playlist(args) => playlist::run(context, args).await,
        Command::Patterns(args) => patterns::run(context, args).await,
        Command::Synths(args) => synths::run(context, args).await,
        Command::Previews(args) => previews::run(context, args).await,
        Command::Anomalies(args) => anomalies::run(context, args).await,
        Command::Map(args) => map::run(context, args).await,
        Command::Eval(args) => eval::run(context, args).await,
        Command::Relocate(args) => relocate::run(context, args).await,
        Command::Get(args) => get::run(context, args).await,
        Command::Audio(args) => audio::run(context, args).await,
        Command::Url(args) => get::url(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Gc(args) => gc::run(context, args).await,
        Command::Migrate(args) => migrate::run(context, args).await,
        Command::Sync(args) => sync::run(context, args).await,
        Command::Status(args) => sync::status(context, args).await,
        Command::Clone(args) => clone::run(context, args).await,
        Command::Check(args) => check::run(context, args).await,
        Command::Conflicts(args) => conflicts::run(context, args).await,
        Command::Trash(args) => trash::run(context, args).await,
        Command::Machines(args) => machines::run(context, args).await,
        Command::Backup(args) => backup::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Export(args) => export::run(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Config(args) => config::run(context, args),
        Command::Cache(args) => cache::run(context, args).await,
        Command::Doctor => doctor::run(context).await,
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::run(context, args).await,
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::run(context, args).await,
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(context, args).await,
        Command::Completions(args) => packaging::completions(context, args),
        Command::Man(args) => packaging::man(context, args),
        Command::Schema(args) => schema::run(context, &args),
        Command::Version => packaging::version(context),
        Command::ExitCodes => packaging::exit_codes(context),
    }
}
