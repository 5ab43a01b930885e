//! One file for each thing that has addresses.

mod analysis;
mod clusters;
mod daemon;
mod facts;
mod fresh;
mod jobs;
mod map;
mod original;
mod patterns;
mod playlist_files;
mod playlists;
mod previews;
mod queues;
mod session;
mod sharing;
mod similar;
mod songs;
mod sound;
mod synths;
mod upkeep;

use utoipa_axum::router::OpenApiRouter;

use crate::server::Shared;

/// All addresses, with what the document says of them.
pub(crate) fn all() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(songs::routes())
        .merge(sound::routes())
        .merge(similar::routes())
        .merge(facts::routes())
        .merge(clusters::routes())
        .merge(patterns::routes())
        .merge(synths::routes())
        .merge(playlists::routes())
        .merge(playlist_files::routes())
        .merge(queues::routes())
        .merge(previews::routes())
        .merge(analysis::routes())
        .merge(map::routes())
        .merge(sharing::routes())
        .merge(jobs::routes())
        .merge(upkeep::routes())
        .merge(session::routes())
        .merge(original::routes())
        .merge(daemon::routes())
}
