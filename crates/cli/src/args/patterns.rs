//! Arguments of `patterns`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use serde_json::Value;
use songrec_core::{Metric, SegmentId};
use songrec_library::{Part, PatternOrder};

use super::{
    RowArgs,
    listed::Patterns,
    values::{number, some, song},
};

#[derive(Debug, Args)]
pub(crate) struct PatternsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<PatternsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PatternsCommand {
    /// List the patterns of songs, or of the whole library
    #[command(alias = "list")]
    Ls {
        /// Songs; all if none is named
        #[arg(value_parser = song(), value_name = "SONG")]
        songs: Vec<String>,
        /// How many patterns
        #[arg(short = 'l', long, value_name = "N", default_value_t = 1000, value_parser = some)]
        limit: usize,
        #[command(flatten)]
        rows: RowArgs<Patterns>,
    },
    /// Show everything that is known of a pattern
    Show {
        /// The pattern, by its id or the beginning of it
        #[arg(value_parser = pattern)]
        pattern: String,
        /// Write its features to a .npy file
        #[arg(long, value_name = "FILE")]
        npy: Option<PathBuf>,
    },
    /// Name parts of songs, or take in patterns that a program found
    #[command(after_long_help = ADD_HELP)]
    Add(Box<AddPatternsArgs>),
    /// Change a pattern; it keeps its id
    Edit(Box<EditPatternArgs>),
    /// Delete patterns, here and in all libraries that this one is synced with
    #[command(alias = "remove")]
    Rm {
        /// The patterns, by their ids or the beginnings of them
        #[arg(required = true, value_name = "PATTERN", value_parser = pattern)]
        patterns: Vec<String>,
    },
    /// Find patterns by what they are, and where
    Query(QueryPatternsArgs),
    /// Find patterns that sound alike
    Similar(SimilarPatternsArgs),
}

const ADD_HELP: &str = "\
Features are what patterns are compared by. They are read from --features; without it the model
embeds the part of the song, over all frequencies.

--from reads a pattern a line, as JSON, and stores them as they come, so that a program can write
into it for as long as it likes:

    {\"song\":\"ID\",\"start\":12,\"end\":15,\"kind\":\"harmonic\"}

and, where they are known, low, high, confidence, features (a list of numbers), model, metric,
source, metadata (an object) and id. `kind` may be called `type`. A pattern with an id that is there
already is left as it is, so what was cut off can be sent again. A line that is no pattern is
reported with its number and passed over; the exit code is then 3.";

#[derive(Debug, Args)]
pub(crate) struct AddPatternsArgs {
    /// Parts of songs, such as song.flac@0:12-0:15
    #[arg(value_parser = song(), value_name = "SONG@FROM-TO", required_unless_present = "from")]
    pub(crate) parts: Vec<String>,
    /// What they are, such as harmonic
    #[arg(long, visible_alias = "type", value_name = "KIND", required_unless_present = "from")]
    pub(crate) kind: Option<String>,
    /// The lowest frequency in Hz
    #[arg(long, value_name = "HZ", requires = "high")]
    pub(crate) low: Option<f32>,
    /// The highest frequency in Hz
    #[arg(long, value_name = "HZ", requires = "low")]
    pub(crate) high: Option<f32>,
    /// How sure it is that they are there, from 0 to 1
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) confidence: f32,
    /// A .npy file with the features of one part
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    /// The model that embeds the parts, or that made the features
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// How features of a new model are compared: cosine, dot or euclidean
    #[arg(long, value_name = "METRIC", requires_all = ["features", "model"])]
    pub(crate) metric: Option<Metric>,
    /// Who or what found them
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Something else to keep, such as bar=7; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = metadata)]
    pub(crate) metadata: Vec<(String, Value)>,
    /// The id that the pattern of one part is to have
    #[arg(long, value_name = "ID", value_parser = whole)]
    pub(crate) id: Option<SegmentId>,
    /// A file with a pattern a line, or - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "parts", "kind", "low", "high", "confidence", "features", "model", "source", "metadata", "id",
    ])]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EditPatternArgs {
    /// The pattern, by its id or the beginning of it
    #[arg(value_parser = pattern)]
    pub(crate) pattern: String,
    /// Where it is in its song, such as 0:12-0:16; its model embeds that part, unless
    /// features are given or stay
    #[arg(long, value_name = "FROM-TO")]
    pub(crate) at: Option<Part>,
    /// What it is
    #[arg(long, visible_alias = "type", value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// The lowest frequency in Hz
    #[arg(long, value_name = "HZ")]
    pub(crate) low: Option<f32>,
    /// The highest frequency in Hz
    #[arg(long, value_name = "HZ")]
    pub(crate) high: Option<f32>,
    /// It has no frequencies of its own, but all
    #[arg(long, conflicts_with_all = ["low", "high"])]
    pub(crate) all_frequencies: bool,
    /// How sure it is that it is there, from 0 to 1
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) confidence: Option<f32>,
    /// Who or what found it; nobody if it is empty
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Something else to keep, such as bar=7; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = metadata)]
    pub(crate) metadata: Vec<(String, Value)>,
    /// Something that was kept and goes; may be repeated
    #[arg(long = "no-meta", value_name = "NAME")]
    pub(crate) no_metadata: Vec<String>,
    /// A .npy file with other features
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    /// The model that embeds it, or that made the features
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// Keep the features although it is elsewhere in its song
    #[arg(long, conflicts_with_all = ["features", "model"])]
    pub(crate) keep_features: bool,
}

/// Which patterns count.
#[derive(Debug, Args)]
pub(crate) struct CriteriaArgs {
    /// Only of this kind; may be repeated
    #[arg(long = "kind", visible_alias = "type", value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Only what overlaps this time of its song, such as 0:10-0:20
    #[arg(long, value_name = "FROM-TO")]
    pub(crate) time: Option<Part>,
    /// Only what overlaps frequencies from this one in Hz
    #[arg(long, value_name = "HZ")]
    pub(crate) low: Option<f32>,
    /// Only what overlaps frequencies up to this one in Hz
    #[arg(long, value_name = "HZ")]
    pub(crate) high: Option<f32>,
    /// Only what is at least this sure, from 0 to 1
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) confidence: Option<f32>,
    /// Only what this person or program found; may be repeated
    #[arg(long = "source", value_name = "NAME")]
    pub(crate) sources: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryPatternsArgs {
    /// Only parts of these songs
    #[arg(value_parser = song(), value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    #[command(flatten)]
    pub(crate) criteria: CriteriaArgs,
    /// Only with features of this model, such as given-768
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// What they are ordered by
    #[arg(long, value_enum, default_value_t = SortPatterns::Start, value_name = "BY")]
    pub(crate) sort: SortPatterns,
    /// From high to low
    #[arg(short, long)]
    pub(crate) reverse: bool,
    /// How many patterns
    #[arg(short = 'l', long, value_name = "N", default_value_t = 100, value_parser = some)]
    pub(crate) limit: usize,
    /// How many to leave out first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// Print the features too, with --json
    #[arg(long)]
    pub(crate) features: bool,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Patterns>,
}

/// What patterns are ordered by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SortPatterns {
    Start,
    End,
    Confidence,
}

impl From<SortPatterns> for PatternOrder {
    fn from(sort: SortPatterns) -> Self {
        match sort {
            SortPatterns::Start => Self::Start,
            SortPatterns::End => Self::End,
            SortPatterns::Confidence => Self::Confidence,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SimilarPatternsArgs {
    /// A pattern by its id or the eight digits that lists show, or a song, an audio file, or
    /// a part of one:
    /// song.flac@0:12-0:15
    #[arg(value_parser = song(), required_unless_present = "features", value_name = "WHAT")]
    pub(crate) what: Option<String>,
    /// A .npy file with features, in place of a sound
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub(crate) features: Option<PathBuf>,
    /// The model to compare by; that of the pattern if it is not said
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// How many patterns; `patterns.results` if it is not said
    #[arg(short, long, value_name = "N", value_parser = some, allow_negative_numbers = true)]
    pub(crate) k: Option<usize>,
    /// The lowest similarity that counts; `patterns.threshold` if it is not said
    #[arg(long, value_name = "X", value_parser = number, allow_hyphen_values = true)]
    pub(crate) threshold: Option<f64>,
    /// How to compare: cosine, dot or euclidean
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<Metric>,
    /// How many of the nearest to leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// Only parts of this song; may be repeated
    #[arg(long = "song", value_parser = song(), value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    #[command(flatten)]
    pub(crate) criteria: CriteriaArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Patterns>,
}

// An id or the beginning of one, which is looked up later.
fn pattern(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    match text.len() >= 4 && text.bytes().all(is_digit) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no id of a pattern; `songrec patterns ls` lists patterns with theirs"
        )),
    }
}

fn whole(text: &str) -> Result<SegmentId, String> {
    text.parse()
        .map_err(|_| "expected a whole id, such as 57db617b-1184-4b67-9513-d0a7d2aee568".to_owned())
}

// A value is what it is as JSON, and else text.
fn metadata(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            let read = serde_json::from_str(value);
            Ok((name.trim().to_owned(), read.unwrap_or_else(|_| Value::from(value))))
        }
        _ => Err("expected a name and a value, such as bar=7".to_owned()),
    }
}
