//! Where a command that serves listens, and what it asks clients for.

use std::path::Path;

use anyhow::Result;
use songrec_library::Error;

/// The token that is alone in a file, in one line.
pub(super) fn token_in(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::io("read the token in", path, error))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(token), None) => Ok(token.to_owned()),
        (found, _) => {
            let problem = if found.is_none() { "holds no token" } else { "holds several lines" };
            Err(Error::usage(format_args!("`{}` {problem}", path.display()))
                .with_hint("write the token alone into the file, in one line")
                .into())
        }
    }
}

/// The address that is written as a host and a port, such as `example`.
pub(super) async fn address(written: &str, example: &str) -> Result<std::net::SocketAddr> {
    let hint = format!("name a host and a port, such as {example}");
    let found = tokio::net::lookup_host(written).await.map_err(|error| {
        Error::usage(format_args!("`{written}` is no address to listen at"))
            .because(error)
            .with_hint(hint.clone())
    })?;
    // Of `localhost` the form that every client tries.
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(std::net::SocketAddr::is_ipv6);
    let first = found.into_iter().next();
    Ok(first.ok_or_else(|| {
        Error::usage(format_args!("`{written}` is no address to listen at")).with_hint(hint)
    })?)
}
