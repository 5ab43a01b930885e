//! Arguments of `synths`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use songrec_library::SynthCategory;

use super::{
    RowArgs,
    listed::Synths,
    values::{some, song},
};

#[derive(Debug, Args)]
pub(crate) struct SynthsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SynthsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SynthsCommand {
    /// List synths
    #[command(alias = "list")]
    Ls(WhichSynthsArgs),
    /// Show everything that is known of a synth
    Show {
        /// The synth: its name, its id or the beginning of it, its file, or the SHA-256 of
        /// its source
        #[arg(value_parser = song())]
        synth: String,
        /// Print only its source
        #[arg(long)]
        source: bool,
    },
    /// Take in synths from SuperCollider files
    #[command(after_long_help = ADD_HELP)]
    Add(AddSynthsArgs),
    /// Find synths by texts in their names and paths
    Search {
        /// Texts, each of which is in the name or in the path of the file
        #[arg(required = true, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
        words: Vec<String>,
        #[command(flatten)]
        which: WhichSynthsArgs,
    },
    /// Change what is known of a synth; its file stays as it is
    Edit(EditSynthArgs),
    /// Remove synths, here and in all libraries that this one is synced with
    #[command(alias = "remove")]
    Rm {
        /// The synths; their files stay as they are
        #[arg(required = true, value_name = "SYNTH", value_parser = song())]
        synths: Vec<String>,
    },
    /// Say that a synth comes from another one
    Link {
        /// The synth that comes from the other one
        #[arg(value_parser = song())]
        child: String,
        /// The synth that it comes from
        #[arg(value_parser = song())]
        parent: String,
        /// How much of the parent it has, from 0 to 1
        #[arg(long, value_name = "X", default_value_t = songrec_library::LINK_WEIGHT,
            allow_negative_numbers = true)]
        weight: f64,
    },
    /// Say that a synth does not come from another one
    Unlink {
        /// The synth that was said to come from the other one
        #[arg(value_parser = song())]
        child: String,
        /// The other one; one that is gone by its id
        #[arg(value_parser = song())]
        parent: String,
    },
    /// Show what a synth comes from, and what comes from it
    Lineage {
        /// The synth
        #[arg(value_parser = song())]
        synth: String,
        /// Only what it comes from
        #[arg(long)]
        up: bool,
        /// Only what comes from it
        #[arg(long)]
        down: bool,
    },
}

const ADD_HELP: &str = "\
Each `SynthDef` of a file becomes a synth, with its name, its controls and their defaults, whether it
has a gate, how many channels it plays, and what it is for, as far as the source says that; nothing
is run. What it does not say for sure is listed as unsure. No two synths have the same name or the
same source.";

#[derive(Debug, Args)]
pub(crate) struct AddSynthsArgs {
    /// Files with definitions, such as bass.scd, or - for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the synth is called, in place of what its source says
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Put the source in the place of that of a synth of the same file or name
    #[arg(long)]
    pub(crate) update: bool,
    /// Only say what would be done
    #[arg(short = 'n', long, alias = "pretend")]
    pub(crate) dry_run: bool,
}

/// Which synths, and how many.
#[derive(Debug, Args)]
pub(crate) struct WhichSynthsArgs {
    /// Only those for this: bass, lead, pad, drum or fx
    #[arg(long, value_name = "CATEGORY")]
    pub(crate) category: Option<SynthCategory>,
    /// Only those with a gate, or without one; where that is not sure, neither
    #[arg(long, value_enum, value_name = "YES|NO")]
    pub(crate) gate: Option<YesNo>,
    /// How many synths
    #[arg(short = 'l', long, value_name = "N", default_value_t = 100, value_parser = some)]
    pub(crate) limit: usize,
    /// How many of the first to leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Synths>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    #[value(alias = "true")]
    Yes,
    #[value(alias = "false")]
    No,
}

#[derive(Debug, Args)]
pub(crate) struct EditSynthArgs {
    /// The synth
    #[arg(value_parser = song())]
    pub(crate) synth: String,
    /// Set name, category, notes or extra.SOMETHING, such as category=pad; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// Go back to what the source says of the name or the category, or remove notes or
    /// extra.SOMETHING; may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(crate) clear: Vec<String>,
}
