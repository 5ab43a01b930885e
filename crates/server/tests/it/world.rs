//! A library with a server in front of it, and a client.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use serde_json::Value;
use songrec_core::{Job, Silent};
use songrec_library::{
    Config, Directories, InitOptions, Library, ScanOptions, Setting, Sources, keys, scan,
};
use songrec_server::{Options, serve};
use tokio::{sync::oneshot, task::JoinHandle};

/// Songs of a world: tones of different heights, each with its title.
pub(crate) const TITLES: [&str; 8] =
    ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel"];

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) library: Library,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// A server over a library with these many songs.
pub(crate) async fn world(songs: usize, options: Options) -> World {
    let folder = tempfile::tempdir().unwrap();
    let audio = folder.path().join("audio");
    std::fs::create_dir_all(&audio).unwrap();
    for (number, title) in TITLES.iter().take(songs).enumerate() {
        std::fs::write(audio.join(format!("{title}.wav")), song(number, title)).unwrap();
    }
    let library = local_library(&folder.path().join("library"), folder.path()).await;
    let paths = vec![audio];
    let scanned = ScanOptions { paths, ..ScanOptions::default() };
    let report = scan(&library, &scanned, &Job::silent()).await.unwrap();
    assert_eq!(report.added, songs as u64, "{report:?}");
    serving(folder, library, options).await
}

/// A server over this library.
pub(crate) async fn serving(
    folder: tempfile::TempDir,
    library: Library,
    options: Options,
) -> World {
    let (ready, is_ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = library.clone();
    let serving = tokio::spawn(async move {
        let on_ready = |address| ready.send(address).unwrap();
        let stopped = async { drop(stopped.await) };
        serve(served, options, "127.0.0.1:0".parse().unwrap(), on_ready, stopped).await.unwrap();
    });
    let address = is_ready.await.unwrap();
    World { folder, library, address, http: client(), stop: Some(stop), serving: Some(serving) }
}

pub(crate) fn config(
    folder: &std::path::Path,
    flags: Vec<(Setting, String, &'static str)>,
) -> Arc<Config> {
    let sources = Sources {
        directories: Directories::below(folder),
        working_folder: folder.to_owned(),
        variables: [].into(),
        file: None,
        no_files: true,
        flags,
        host: "test".to_owned(),
    };
    Arc::new(Config::load(sources).unwrap())
}

pub(crate) async fn local_library(root: &std::path::Path, folder: &std::path::Path) -> Library {
    let flags = vec![(keys::LIBRARY.setting(), root.display().to_string(), "--library")];
    let config = config(folder, flags);
    Library::init(config, root, InitOptions::default(), Arc::new(Silent)).await.unwrap().0
}

/// A client of reqwest, which needs a cryptography even for `http`.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).no_gzip().build().unwrap()
}

impl World {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(self.url(path)).json(body)
    }

    /// The document at an address.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// The id of the song with this title.
    pub(crate) async fn id(&self, title: &str) -> String {
        let found = self.json(&format!("/api/v1/songs?q={title}")).await;
        assert_eq!(found["total"], 1, "{title}");
        found["songs"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Ends the server, and waits until it has; gives its folder.
    pub(crate) async fn end(mut self) -> tempfile::TempDir {
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
        self.folder
    }
}

/// What went wrong, by its code; and that it is told as it should be.
pub(crate) async fn problem(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{status}");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    (status, problem["code"].as_str().unwrap().to_owned())
}

/// A tone of a second with overtones, as a WAV file with a title.
pub(crate) fn song(number: usize, title: &str) -> Vec<u8> {
    let hz = 110.0 * 1.3f32.powi(number as i32);
    let samples = (0..22_050).map(|i| {
        let turn = std::f32::consts::TAU * hz * i as f32 / 22_050.0;
        let beat = 1.0 - (i % 5_000) as f32 / 5_000.0;
        let tone = turn.sin() + 0.4 * (2.0 * turn).sin() + 0.1 * number as f32 * (3.0 * turn).sin();
        (tone * beat * 9_000.0) as i16
    });
    wav(22_050, samples, title)
}

pub(crate) fn wav(rate: u32, samples: impl Iterator<Item = i16>, title: &str) -> Vec<u8> {
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let name = format!("{title}{}", if title.len().is_multiple_of(2) { "\0\0" } else { "\0" });
    let mut list = b"INFOINAM".to_vec();
    list.extend((name.len() as u32).to_le_bytes());
    list.extend(name.bytes());
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data.len() as u32 + 8 + list.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav.extend(b"LIST");
    wav.extend((list.len() as u32).to_le_bytes());
    wav.extend(list);
    wav
}

/// A WAV file with a front cover that says it is of this type, in an ID3v2.3 tag.
pub(crate) fn with_cover(mut wav: Vec<u8>, media_type: &str, picture: &[u8]) -> Vec<u8> {
    let mut frame = [b"\0", media_type.as_bytes(), b"\0\x03\0", picture].concat();
    frame.splice(0..0, [b"APIC", &(frame.len() as u32).to_be_bytes()[..], b"\0\0"].concat());
    let size = frame.len() as u32;
    let mut tag = b"ID3\x03\0\0".to_vec();
    tag.extend([21, 14, 7, 0].map(|bits| (size >> bits) as u8 & 0x7f));
    tag.extend(frame);
    let length = tag.len() as u32;
    wav.extend([&b"id3 "[..], &length.to_le_bytes(), &tag, &b"\0"[..tag.len() % 2]].concat());
    let riff = wav.len() as u32 - 8;
    wav[4..8].copy_from_slice(&riff.to_le_bytes());
    wav
}

/// A form with a file and fields, and its type.
pub(crate) fn form(file: Option<(&str, &[u8])>, fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    if let Some((name, bytes)) = file {
        body.extend(
            format!(
                "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    ("multipart/form-data; boundary=xyz".to_owned(), body)
}

impl World {
    pub(crate) fn send(
        &self,
        path: &str,
        file: Option<(&str, &[u8])>,
        fields: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let (content_type, body) = form(file, fields);
        self.http.post(self.url(path)).header("content-type", content_type).body(body)
    }
}
