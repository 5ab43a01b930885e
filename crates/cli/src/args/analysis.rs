//! Arguments of commands that look at the whole library.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use songrec_library::{AnomalyMethod, Blend, ClusterCount, ClusterMethod, MapMethod, Property};

use super::{
    FilterArgs, RowArgs,
    listed::{Clusters, Outliers},
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ClusterCommand>,
    /// How many clusters k-means makes: a number, or `auto` for the number from 2 to 20
    /// whose clusters are farthest apart; 12 if it is not given, or fewer of few songs
    #[arg(short, long, value_name = "N|auto", value_parser = count)]
    pub(crate) k: Option<ClusterCount>,
    /// How: kmeans (around means), dbscan or hdbscan (where songs lie dense; the others
    /// are in no cluster)
    #[arg(long, value_name = "METHOD", default_value = "kmeans")]
    pub(crate) method: ClusterMethod,
    /// How near neighbors are to dbscan, as a distance; chosen from the songs if it is not
    /// given
    #[arg(long, value_name = "X", value_parser = above_zero, allow_negative_numbers = true)]
    pub(crate) eps: Option<f64>,
    /// How many songs a dense place has, for dbscan and hdbscan
    #[arg(long, value_name = "N", value_parser = two_or_more)]
    pub(crate) min_samples: Option<usize>,
    /// How many songs the smallest cluster has, for hdbscan
    #[arg(long, value_name = "N", value_parser = two_or_more)]
    pub(crate) min_size: Option<usize>,
    /// The model to compare by, with or without its revision
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// What chance is drawn from: the same number makes the same clusters
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Make them again although no song changed
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Clusters>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// List the clusters of the library
    #[command(alias = "list")]
    Ls {
        #[command(flatten)]
        rows: RowArgs<Clusters>,
    },
    /// List the songs of a cluster, the most typical first
    Show {
        /// The cluster, by its number or name
        cluster: String,
        /// How many songs
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        rows: RowArgs,
    },
    /// Give a cluster another name
    Rename {
        /// The cluster, by its number or name
        cluster: String,
        /// The new name
        name: String,
    },
    /// Remove the clusters; songs stay as they are
    #[command(alias = "remove")]
    Rm,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

fn one_or_more(text: &str) -> Result<usize, String> {
    let number: Option<usize> = text.parse().ok();
    number.filter(|number| *number >= 1).ok_or_else(|| "expected a number from 1 on".to_owned())
}

fn two_or_more(text: &str) -> Result<usize, String> {
    let number: Option<usize> = text.parse().ok();
    number.filter(|number| *number >= 2).ok_or_else(|| "expected a number from 2 on".to_owned())
}

fn count(text: &str) -> Result<ClusterCount, String> {
    match text {
        "auto" => Ok(ClusterCount::Best),
        number => match number.parse() {
            Ok(number) if number >= 1 => Ok(ClusterCount::Exactly(number)),
            _ => Err("expected a number from 1 on, or `auto`".to_owned()),
        },
    }
}

#[derive(Debug, Args)]
pub(crate) struct AnomaliesArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    /// The part of the songs that are anomalies, up to 0.5
    #[arg(long, value_name = "X", default_value_t = songrec_library::CONTAMINATION)]
    pub(crate) contamination: f64,
    /// How: forest (how few cuts set a song apart) or knn (how far its neighbors are)
    #[arg(long, value_name = "METHOD", default_value = "forest")]
    pub(crate) method: AnomalyMethod,
    /// The model to compare by, with or without its revision
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// What chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many songs to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs<Outliers>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// What makes two songs right for each other: genre, instrument, artist, album,
    /// folder or cluster
    #[arg(long, value_name = "PROPERTY", default_value = "genre", value_parser = measured_by)]
    pub(crate) by: Property,
    /// Do not count neighbors of the same artist, album, folder, …
    #[arg(long, value_name = "PROPERTY", value_parser = measured_by)]
    pub(crate) not_same: Option<Property>,
    /// The models to compare, such as timbre,dsp45
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Several models together, as one more, such as clap=0.6,timbre=0.4
    #[arg(long, value_name = "MODEL=X,…")]
    pub(crate) blend: Option<Blend>,
    /// How many songs are asked for their neighbors, at the most
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) queries: u64,
    /// Measure how well changed copies of so many songs find the originals: shifted,
    /// quieter, resampled, encoded anew. Needs their audio
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50",
          value_parser = one_or_more,
          conflicts_with_all = ["by", "not_same", "blend"])]
    pub(crate) distortions: Option<usize>,
    /// What chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    /// Only songs that pass: filters such as `instrument:kick`, or words
    #[arg(value_name = "FILTER")]
    pub(crate) words: Vec<String>,
    /// Where to write it; the ending says as what: .html (a page that works without a
    /// network), .png, .json, .csv or .npy
    #[arg(short, long, value_name = "FILE", default_value = "map.html")]
    pub(crate) output: PathBuf,
    /// How: umap, tsne or pca
    #[arg(long, value_name = "METHOD", default_value = "umap")]
    pub(crate) method: MapMethod,
    /// In how many dimensions: 2 or 3
    #[arg(long, value_name = "2|3", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) dims: u8,
    /// What colors mean: genre, instrument, cluster, key, bpm or anomaly; `--color` does
    /// the same with one of these
    #[arg(long, value_name = "PROPERTY", default_value = "genre", value_parser = color)]
    pub(crate) color_by: Property,
    /// The model to compare by, with or without its revision
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// What chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Draw it again, instead of placing new songs on the last map; it is turned as the
    /// last one
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

fn measured_by(name: &str) -> Result<Property, String> {
    Property::named(name, &Property::MEASURED_BY)
}

fn color(name: &str) -> Result<Property, String> {
    Property::named(name, &Property::COLORS)
}
