//! Arguments of `playlist`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use songrec_library::PathMap;

use super::{
    FilterArgs,
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
    Ls,
    /// List the songs of a playlist
    Show {
        /// The playlist, by its name or id
        playlist: String,
        /// How many songs
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
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
