//! Arguments of `playlist`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use songrec_library::PathMap;

use super::{
    FilterArgs, ListenArgs, RowArgs,
    listed::Playlists,
    values::{some, song},
};

#[derive(Debug, Args)]
pub(crate) struct PlaylistArgs {
    #[command(subcommand)]
    pub(crate) command: Option<PlaylistCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlaylistCommand {
    /// List the playlists of the library
    #[command(alias = "list")]
    Ls {
        #[command(flatten)]
        rows: RowArgs<Playlists>,
    },
    /// List the songs of a playlist
    Show {
        /// The playlist, by its name or id
        playlist: String,
        /// How many songs
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
        #[command(flatten)]
        rows: RowArgs,
        #[command(flatten)]
        listen: ListenArgs,
    },
    /// Make a playlist of songs, or one whose songs a rule says: `-f`, `--like`
    New(NewPlaylistArgs),
    /// Add songs: those that are named, or all that pass `-f`
    Add {
        /// The playlist, by its name or id
        playlist: String,
        /// Songs
        #[arg(value_parser = song(), required_unless_present = "FilterArgs", value_name = "SONG")]
        songs: Vec<String>,
        /// At which place, from 1, in place of the end
        #[arg(long, value_name = "N", value_parser = some)]
        at: Option<usize>,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Take songs out of a playlist; they stay in the library
    #[command(alias = "remove")]
    Rm {
        /// The playlist, by its name or id
        playlist: String,
        /// Songs, also such as are gone from the library; every place that one has
        #[arg(value_parser = song(), required_unless_present = "at", value_name = "SONG")]
        songs: Vec<String>,
        /// Only at these places, from 1; may be repeated
        #[arg(long, value_name = "N", value_delimiter = ',', value_parser = some)]
        at: Vec<usize>,
    },
    /// Move a song of a playlist to another place
    Move {
        /// The playlist, by its name or id
        playlist: String,
        /// The place where it is, from 1
        #[arg(value_parser = some)]
        from: usize,
        /// The place where it is to be
        #[arg(value_parser = some)]
        to: usize,
    },
    /// Give a playlist another name or another rule
    Edit(EditPlaylistArgs),
    /// Delete a playlist; its songs stay in the library
    Delete {
        /// The playlist, by its name or id
        playlist: String,
    },
    /// Write a playlist to a file that players read
    Export(ExportPlaylistArgs),
    /// Make a playlist of a file that a player wrote
    Import {
        /// The file, which ends in .m3u8, .m3u, .xspf or .jspf
        file: PathBuf,
        /// How to call the playlist
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// A folder as the file calls it, and as it is here; may be repeated
        #[arg(long = "map", value_name = "FROM=TO")]
        maps: Vec<PathMap>,
        /// Only say what would be taken in
        #[arg(short = 'n', long, alias = "pretend")]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewPlaylistArgs {
    /// What it is called
    pub(crate) name: String,
    /// Its songs
    #[arg(value_parser = song(), value_name = "SONG", conflicts_with_all = ["like", "FilterArgs"])]
    pub(crate) songs: Vec<String>,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
}

/// What makes a playlist smart.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// A song that it begins with, and that the others sound like; may be repeated
    #[arg(long, value_name = "SONG", value_parser = song())]
    pub(crate) like: Vec<String>,
    /// How many songs, at the most; 25 with `--like`, else all that pass
    #[arg(long, value_name = "N", value_parser = some)]
    pub(crate) length: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EditPlaylistArgs {
    /// The playlist, by its name or id
    pub(crate) playlist: String,
    /// The new name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportPlaylistArgs {
    /// The playlist, by its name or id
    pub(crate) playlist: String,
    /// The file, which ends in .m3u8, .m3u, .xspf or .jspf
    pub(crate) file: PathBuf,
    /// Write paths as they are seen from this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) relative_to: Option<PathBuf>,
    /// A folder as it is here, and as the player calls it, such as
    /// `/home/me/music=M:\Music`; may be repeated
    #[arg(long = "map", value_name = "FROM=TO")]
    pub(crate) maps: Vec<PathMap>,
    /// Write `/` between folders, whatever the player's system
    #[arg(long)]
    pub(crate) forward_slash: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RadioArgs {
    /// Songs of the library or audio files that it goes on from; they are not in it
    #[arg(value_parser = song(), required = true, value_name = "SONG")]
    pub(crate) songs: Vec<String>,
    /// How many songs; 25 if neither this nor `--minutes` is given
    #[arg(long, value_name = "N", value_parser = some)]
    pub(crate) length: Option<usize>,
    /// How long they play together, at the least
    #[arg(long, value_name = "N", value_parser = super::values::number)]
    pub(crate) minutes: Option<f64>,
    /// From 0, the most similar songs in their order, to 1, any of eight times as many
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = super::values::number)]
    pub(crate) variety: f64,
    /// What chance is drawn from: the same number makes the same queue
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Songs between two of one artist or album, at the least, such as artist=3,album=5
    #[arg(long, value_name = "WHAT=N,…", default_value = "artist=0,album=0")]
    pub(crate) spacing: Spacing,
    /// A file with the ids of songs that were played: they are left out, and those of
    /// this queue are added
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// The model to compare by
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Keep it as a playlist of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) playlist: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
}

/// Songs between two of one artist and of one album.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spacing {
    pub(crate) artist: usize,
    pub(crate) album: usize,
}

impl std::str::FromStr for Spacing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spacing = Self::default();
        for part in text.split(',') {
            let wrong = || format!("`{part}` is not `artist=N` or `album=N`");
            let (what, number) = part.split_once('=').ok_or_else(wrong)?;
            let number = number.trim().parse().map_err(|_| wrong())?;
            match what.trim() {
                "artist" => spacing.artist = number,
                "album" => spacing.album = number,
                _ => return Err(wrong()),
            }
        }
        Ok(spacing)
    }
}

#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    /// The song that it begins with
    #[arg(value_parser = song(), value_name = "SONG")]
    pub(crate) a: String,
    /// The song that it ends with
    #[arg(value_parser = song(), value_name = "SONG")]
    pub(crate) b: String,
    /// How many songs, with both ends
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) length: usize,
    /// Only songs that can be mixed with their neighbors: by keys beside each other on the
    /// Camelot wheel, and tempos within 6 %
    #[arg(long)]
    pub(crate) mix: bool,
    /// The model in whose space it goes
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Keep it as a playlist of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) playlist: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
}
