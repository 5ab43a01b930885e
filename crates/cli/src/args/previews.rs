//! Arguments of `previews`.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{NonEmptyStringValueParser, PossibleValuesParser},
};
use songrec_library::PREVIEW_SERVICES;

use super::{RowArgs, listed::Tracks, values::some};

/// Tracks that are asked for, if it is not said.
const USUAL: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct PreviewsArgs {
    #[command(subcommand)]
    pub(crate) command: PreviewsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PreviewsCommand {
    /// List tracks of a music service
    #[command(after_long_help = TERMS)]
    Search {
        /// Words of title, artist or album
        #[arg(required = true, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
        words: Vec<String>,
        #[command(flatten)]
        from: FromServiceArgs,
        #[command(flatten)]
        rows: RowArgs<Tracks>,
    },
    /// Download previews of tracks
    #[command(after_long_help = DOWNLOAD_HELP)]
    Download(DownloadPreviewsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FromServiceArgs {
    /// The service; the usual one is `previews.service` of the settings
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PREVIEW_SERVICES))]
    pub(crate) service: Option<String>,
    /// How many tracks that words find
    #[arg(short = 'l', long, value_name = "N", default_value_t = USUAL, value_parser = some)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadPreviewsArgs {
    /// Words of title, artist or album; or, if all of them are digits, ids of tracks
    #[arg(required = true, value_name = "WORDS|TRACK-ID",
        value_parser = NonEmptyStringValueParser::new())]
    pub(crate) wanted: Vec<String>,
    #[command(flatten)]
    pub(crate) from: FromServiceArgs,
    /// The folder, in place of `previews.folder` of the settings
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Take them into the library, with what the service says of them
    #[arg(long)]
    pub(crate) scan: bool,
    /// Only say what would be downloaded
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
}

macro_rules! terms {
    () => {
        "\
Each service has terms of use, and whoever uses it has to keep them:

itunes     Apple's iTunes Search API, without a key. Previews may be used only to promote what the
           store offers and not for entertainment, near a badge of the store:
           https://performance-partners.apple.com/search-api
           Whether they allow what you have in mind, downloading among it, is yours to find out.
           One run of songrec asks it 20 times a minute at the most.
freesound  Freesound, with a key in the variable FREESOUND_API_KEY. Each sound has a licence of its
           own; most ask to name who made it, and some forbid commercial use:
           https://freesound.org/help/tos_api/
           One run of songrec asks it 60 times a minute at the most."
    };
}

const TERMS: &str = terms!();

const DOWNLOAD_HELP: &str = concat!(
    "\
Tracks that the library has are left out, by the ids in its songs, and so are previews that are
in the folder. A file is kept only if it came whole and is audio. With `--scan`, its song also
keeps the links, the picture's address, the licence and whom to name, as `extra` fields that
`songrec show` lists.

",
    terms!()
);
