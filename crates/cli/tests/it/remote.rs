//! A database and a bucket in the test's own process, which count what they
//! are asked, and fail when they are told to.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use serde_json::Value;
use songrec_emulator::{DEFAULT_KEYSPACE, Emulator, Faults, Requests};
use songrec_testkit::s3::S3Server;
use tokio::runtime::Runtime;

use crate::world::{Run, World};

/// A database that speaks the Data API.
pub(crate) struct Database {
    // Stops before the runtime that it runs on.
    emulator: Option<Emulator>,
    runtime: Option<Runtime>,
}

impl Database {
    pub(crate) fn start() -> Self {
        Self::on(Emulator::builder())
    }

    pub(crate) fn on(builder: songrec_emulator::Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let emulator = runtime.block_on(builder.start()).unwrap();
        Self { emulator: Some(emulator), runtime: Some(runtime) }
    }

    fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    pub(crate) fn faults(&self) -> &Faults {
        self.emulator().faults()
    }

    pub(crate) fn requests(&self) -> &Requests {
        self.emulator().requests()
    }

    pub(crate) fn url(&self) -> &str {
        self.emulator().url()
    }

    pub(crate) fn token(&self) -> String {
        self.emulator().token()
    }

    /// Tells the `.env` of `world` that this is its database, with audio in a
    /// folder.
    pub(crate) fn serve(&self, world: &World, audio: &Path) {
        std::fs::create_dir_all(audio).unwrap();
        self.serve_with(world, &format!("SONGREC_BLOBS=file://{}\n", audio.display()));
    }

    /// The same with audio in a bucket.
    pub(crate) fn serve_bucket(&self, world: &World, bucket: &S3Server) {
        self.serve_with(world, &bucket_env(bucket, S3Server::SECRET_KEY));
    }

    pub(crate) fn serve_with(&self, world: &World, blobs: &str) {
        let url = self.url();
        let env = format!(
            "ASTRA_DB_API_ENDPOINT={url}\nASTRA_DB_APPLICATION_TOKEN={}\n{blobs}",
            self.token()
        );
        std::fs::write(world.path(".env"), env).unwrap();
    }

    /// Sends a command to a collection, or to the keyspace if none is named, past songrec.
    pub(crate) fn command(&self, collection: &str, command: &Value) -> Value {
        let host = self.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let (body, token) = (command.to_string(), self.token());
        let path = format!("/api/json/v1/{DEFAULT_KEYSPACE}/{collection}");
        let path = path.trim_end_matches('/');
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ntoken: {token}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Stops it, as when a network is gone.
    pub(crate) fn stop(&mut self) {
        if let (Some(emulator), Some(runtime)) = (self.emulator.take(), &self.runtime) {
            runtime.block_on(emulator.shutdown());
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.emulator = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the `.env` has to say of a bucket.
pub(crate) fn bucket_env(bucket: &S3Server, secret: &str) -> String {
    format!(
        "SONGREC_BLOBS={}\nSONGREC_BLOBS_ENDPOINT={}\nSONGREC_BLOBS_REGION=us-east-1\n\
         SONGREC_BLOBS_ACCESS_KEY={}\nSONGREC_BLOBS_SECRET_KEY={secret}\n",
        bucket.blobs("home"),
        bucket.endpoint(),
        S3Server::ACCESS_KEY,
    )
}

/// Runs a command on the library in the cloud.
pub(crate) fn astra(world: &World, arguments: &[&str]) -> Run {
    world.run(&with_astra(arguments))
}

pub(crate) fn with_astra<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--storage-backend", "astra"], arguments].concat()
}
