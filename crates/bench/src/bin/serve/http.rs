//! A client of HTTP/1.1 that costs next to nothing, so that what is measured is the server.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::Result;

/// A request as it goes over the wire, to a server at an address.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) address: Arc<str>,
    bytes: Vec<u8>,
}

impl Request {
    pub(crate) fn get(address: &Arc<str>, target: &str) -> Self {
        Self::new(address, "GET", target, "", &[])
    }

    pub(crate) fn post(address: &Arc<str>, target: &str, kind: &str, body: &[u8]) -> Self {
        let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        Self::new(address, "POST", target, &fields, body)
    }

    fn new(address: &Arc<str>, method: &str, target: &str, fields: &str, body: &[u8]) -> Self {
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Self { address: address.clone(), bytes }
    }
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection that is kept.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn answer(&mut self, request: &Request) -> Result<Answer> {
        self.0.get_mut().write_all(&request.bytes).await?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("no answer of HTTP: `{}`", line.trim()))?;
        let mut fields = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else { break };
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = fields.get("content-length").ok_or("an answer without a length")?;
        let mut body = vec![0; length.parse()?];
        self.0.read_exact(&mut body).await?;
        Ok(Answer { status, body })
    }

    /// The body of an answer of success.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Vec<u8>> {
        let Answer { status, body } = self.answer(request).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// Sends a request over a connection of its own.
pub(crate) async fn ask(request: &Request) -> Result<Vec<u8>> {
    Connection::open(&request.address).await?.ask(request).await
}
