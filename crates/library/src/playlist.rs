//! Lists of songs that a person made, kept with the library, and files of them.
//!
//! A playlist names its songs by their ids, and says beside each how it was called, so
//! that something useful can be shown of a song that is gone. A smart playlist has a rule
//! in place of songs: which these are is worked out whenever it is asked for.

mod body;
mod export;
mod formats;
mod import;
mod kept;
mod location;
mod looked_up;

pub use body::{MOST_SONGS, Playlist, PlaylistEntry, PlaylistRule, PlaylistSeed, RULE_LENGTH};
pub use export::{ExportedPlaylist, LeftOut, PlaylistFile, playlist_file, songs_file};
pub use formats::{InvalidPlaylistFormat, PlaylistFormat};
pub use import::{
    ImportOptions, ImportedPlaylist, LARGEST_PLAYLIST_FILE, MatchedBy, SentPlaylist, Unmatched,
    import_playlist,
};
pub use kept::{
    KeptPlaylist, PlaylistCard, PlaylistChange, PlaylistList, UnreadablePlaylist, change_playlist,
    create_playlist, delete_playlist, playlist_named, playlists,
};
pub use location::{InvalidPathMap, PathMap, PathOptions};
pub use looked_up::{PlaylistSong, PlaylistSongs, looked_up, playlist_songs};
