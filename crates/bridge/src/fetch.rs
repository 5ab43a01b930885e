//! Getting a file from an address that a person gave.

use std::{path::Path, time::Duration};

use reqwest::{StatusCode, Url};
use tokio::io::AsyncWriteExt;

use crate::{BridgeError, Problem};

/// Writes what is at `url` to a new file, and tells `progress` the size of
/// each piece. Says whether there was anything: a server that has no such file
/// is no error.
///
/// # Errors
///
/// When the server does not give all of it, or it is larger than `limit`
/// bytes.
///
/// # Cancellation
///
/// Safe; what is left of the file is the caller's.
pub async fn fetch(
    url: &str,
    to: &Path,
    limit: u64,
    mut progress: impl FnMut(u64),
) -> Result<bool, BridgeError> {
    let failed = |problem, reason: String| {
        BridgeError::new(
            problem,
            url,
            reason,
            "check the address, or get the files with another program and name their folder",
        )
    };
    let address = Url::parse(url)
        .map_err(|error| failed(Problem::Config, format!("this is no address: {error}")))?;
    let http = reqwest::Client::builder()
        .user_agent(concat!("songrec/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| {
            failed(Problem::Config, "no connection can be made".to_owned()).because(error)
        })?;
    let broke = |error: reqwest::Error| {
        let error = error.without_url();
        failed(Problem::Unreachable, "the connection broke".to_owned()).because(error)
    };
    let mut response = http.get(address).send().await.map_err(broke)?;
    match response.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(false),
        status if !status.is_success() => {
            return Err(failed(Problem::Failed, status.to_string()));
        }
        _ => {}
    }
    let unwritten = |error: std::io::Error| {
        failed(Problem::Config, format!("`{}` cannot be written", to.display())).because(error)
    };
    let mut file = tokio::fs::File::create_new(to).await.map_err(unwritten)?;
    let mut written = 0u64;
    while let Some(piece) = response.chunk().await.map_err(broke)? {
        written += piece.len() as u64;
        if written > limit {
            return Err(failed(Problem::Garbage, format!("it has more than {limit} bytes")));
        }
        file.write_all(&piece).await.map_err(unwritten)?;
        progress(piece.len() as u64);
    }
    file.sync_all().await.map_err(unwritten)?;
    Ok(true)
}
