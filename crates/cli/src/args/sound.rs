//! Arguments of commands that compare and embed sounds.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use songrec_core::Metric;
use songrec_library::Blend;

use super::{
    FilterArgs, ListenArgs, RowArgs,
    listed::Embedding,
    values::{number, some, song},
};

#[derive(Debug, Args)]
pub(crate) struct SimilarArgs {
    /// A song (id, beginning of an id, path, or words), or any audio file, or
    /// a part of one: song.flac@1:20-1:35, or a folder: kicks/, which stands
    /// for the center of its songs; several for what sounds like all of them
    /// together
    #[arg(value_parser = song(), required_unless_present = "vectors", value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    /// A vector by the model, as a .npy file; may be repeated
    #[arg(long = "vector", value_name = "FILE", conflicts_with = "passages")]
    pub(crate) vectors: Vec<PathBuf>,
    /// A song that the results should be unlike; may be repeated
    #[arg(value_parser = song(), long, value_name = "SONG")]
    pub(crate) minus: Vec<String>,
    /// How much each song counts, such as 1,0.5: first the SONGs, then those of
    /// --vector, 1 if not said, then those of --minus, 0.5 if not said
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
    /// Several models to compare by, such as clap=0.6,timbre=0.4: the first one
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
    /// Also write the results as a playlist: .m3u8, .xspf or .jspf
    #[arg(long, value_name = "FILE", conflicts_with = "passages")]
    pub(crate) m3u: Option<PathBuf>,
    /// Write over the playlist's file if it is there
    #[arg(long, requires = "m3u")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
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

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) what: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// The models that can embed here
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        rows: RowArgs<Embedding>,
    },
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
    /// Remove what a model made of the songs of this library, of all or of some
    #[command(
        after_help = "The songs stay, and so do patterns whose features are of this model. The \
                            bytes go with `songrec gc`. A library that this one is synced with \
                            still has the vectors, and the next sync brings them back: drop them \
                            there as well, with --storage-backend. A model that `scan.models` names \
                            embeds new songs again."
    )]
    Drop {
        /// The model, with or without its revision
        name: String,
        /// Only of these songs; of all if none is named
        #[arg(value_parser = song())]
        songs: Vec<String>,
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
