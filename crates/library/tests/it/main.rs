//! What the use cases promise, as a program or a server calls them.

mod adding;
mod backups;
mod blended;
mod floor;
mod left_alone;
mod playlists;
mod same_answers;
mod similar;
mod vectors;
