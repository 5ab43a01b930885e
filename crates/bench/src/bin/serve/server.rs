//! A server that is measured: a process, and where it listens.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{NEIGHBORS, Result, http::Request};

pub(crate) struct Server {
    process: Child,
    pub(crate) address: Arc<str>,
    /// Where a collection of Chroma is.
    target: String,
}

impl Server {
    /// `songrec serve` over the library in a folder.
    pub(crate) async fn songrec(program: &Path, library: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--no-config", "serve", "--addr", "127.0.0.1:0", "--json", "--library"]);
        Self::start(command.arg(library)).await
    }

    /// Chroma's server over the rows in a file of NumPy, each with its number as its id.
    pub(crate) async fn chroma(python: &str, rows: &Path) -> Result<Self> {
        let mut command = Command::new(python);
        Self::start(command.arg("tools/bench_serve_chroma.py").arg(rows)).await
    }

    // The first line that it prints has its address.
    async fn start(command: &mut Command) -> Result<Self> {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let said: serde_json::Value = serde_json::from_str(&line)
            .map_err(|_| format!("the server did not say where it is: `{}`", line.trim()))?;
        let url = said["url"].as_str().and_then(|url| url.strip_prefix("http://"));
        let (address, target) =
            url.and_then(|url| url.split_once('/')).ok_or("the server names no address")?;
        Ok(Self { process, address: address.into(), target: format!("/{target}") })
    }

    /// What sounds like a song of this library.
    pub(crate) fn similar(&self, id: &str) -> Request {
        let target =
            format!("/api/v1/songs/{id}/similar?k={NEIGHBORS}&model=random%401&all_copies=true");
        Request::get(&self.address, &target)
    }

    /// What is nearest to a row of this collection of Chroma, and the row itself.
    pub(crate) fn query(&self, vector: &[f32]) -> Request {
        let body = json!({"query_embeddings": [vector], "n_results": NEIGHBORS + 1, "include": []});
        let target = format!("{}/query", self.target);
        Request::post(&self.address, &target, "application/json", body.to_string().as_bytes())
    }

    /// What is resident of it, in words.
    pub(crate) fn memory(&self) -> Result<String> {
        let id = self.process.id().ok_or("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kilobytes = line.and_then(|line| line.split_ascii_whitespace().nth(1));
            kilobytes.and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
        };
        let (all, own, most) = (of("VmRSS"), of("RssAnon"), of("VmHWM"));
        Ok(format!("{all:.0} MiB resident, {own:.0} of them not of files; at most {most:.0}"))
    }

    /// Asks it to end, and waits.
    pub(crate) async fn end(mut self) -> Result<()> {
        if let Some(id) = self.process.id() {
            Command::new("kill").arg(id.to_string()).status().await?;
        }
        tokio::time::timeout(Duration::from_secs(20), self.process.wait()).await??;
        Ok(())
    }
}
