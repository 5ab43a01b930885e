//! Other ways in: over HTTP, and for language models.

#[cfg(feature = "serve")]
use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "serve")]
pub(super) const SERVE_HELP: &str = "\
The addresses are described at /docs, for a browser, and in /openapi.json.

Who may use it: at loopback addresses, whoever uses this machine. With a token, in \
the file that --token-file names or in the variable SONGREC_SERVE_TOKEN, those who \
present it, as `Authorization: Bearer TOKEN` or by logging in with a browser; \
beyond loopback there has to be one. HTTPS is for a proxy in front of it.";

#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen, such as localhost:8001; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8001")]
    pub(crate) addr: String,
    /// Make a library first, where there is none on this machine yet
    #[arg(long)]
    pub(crate) init: bool,
    /// Let nobody change anything
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Show it in the browser
    #[arg(long)]
    pub(crate) open: bool,
    /// Ask the server that listens there whether it can answer, and end
    #[arg(long, conflicts_with_all = ["init", "read_only", "open"])]
    pub(crate) check: bool,
    /// A file with the token that clients have to present, in one line
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A name that clients may call this machine by, such as studio.local; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    #[arg(
        long,
        value_name = "ORIGIN",
        help = "A site whose pages may use it, such as https://music.example; may be repeated"
    )]
    pub(crate) allow_origin: Vec<String>,
    /// The largest upload, such as 500M; 100M if it is not said
    #[arg(long, value_name = "SIZE", value_parser = super::sharing::bytes)]
    pub(crate) max_upload: Option<u64>,
}

#[cfg(feature = "mcp")]
pub(super) const MCP_HELP: &str = "\
It speaks the Model Context Protocol; a program that runs language models starts it. \
In the settings of such a program:
  {\"mcpServers\": {\"songrec\": {\"command\": \"songrec\", \"args\": [\"mcp\"]}}}

What comes in on stdin is of the protocol, and so is what goes to stdout, whatever \
--json says.";

#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Let it change what is known of songs, make playlists and patterns, link synths, and
    /// name clusters
    #[arg(long)]
    pub(crate) allow_writes: bool,
}
