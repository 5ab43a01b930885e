//! Arguments of commands about single songs and lists of them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use super::{
    FilterArgs, RowArgs,
    listed::Copies,
    values::{number, some, song},
};

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
pub(crate) struct AudioArgs {
    #[command(subcommand)]
    pub(crate) command: AudioCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AudioCommand {
    /// Let go of the copies of audio that libraries keep of songs; the songs stay
    ///
    /// It is noted with each song, and synced: no library keeps a copy then, and
    /// no scan or sync stores another. Files on your machines stay where they
    /// are. `gc` removes the bytes, a day after they were stored or later.
    #[command(
        alias = "remove",
        after_help = "Examples:\n  songrec --storage-backend astra audio rm 'blue monday'"
    )]
    Rm {
        /// Songs
        #[arg(value_parser = song(), required = true, value_name = "SONG")]
        songs: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Let libraries keep copies of the audio of these songs again
    ///
    /// The next scan of their files, or the next sync, stores them.
    Keep {
        /// Songs
        #[arg(value_parser = song(), required = true, value_name = "SONG")]
        songs: Vec<String>,
    },
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
    #[command(flatten)]
    pub(crate) rows: RowArgs,
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
    #[command(flatten)]
    pub(crate) rows: RowArgs,
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
    /// The model to compare by, with or without its revision
    #[arg(long, value_name = "NAME", requires = "near",
          value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Copies>,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}
