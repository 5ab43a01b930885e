//! A machine with a home, a music folder and songrec on it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// A fresh machine.
pub(crate) struct World {
    root: tempfile::TempDir,
}

/// What a run of songrec gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// A machine without a library.
    pub(crate) fn bare() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("music")).unwrap();
        Self { root }
    }

    /// A machine with an empty library.
    pub(crate) fn new() -> Self {
        let world = Self::bare();
        world.run(&["init"]).ok();
        world
    }

    /// A machine with a library of one example file of each of these kinds.
    pub(crate) fn with(kinds: &[&str]) -> Self {
        let world = Self::new();
        for kind in kinds {
            let example = &examples(kind)[0];
            world.add(example, example.file_name().unwrap().to_str().unwrap());
        }
        if !kinds.is_empty() {
            world.run(&["scan", "music"]).ok();
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Copies a file into the music folder.
    pub(crate) fn add(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.path("music").join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, &to).unwrap();
        to
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_songrec"));
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env_clear()
            .env("HOME", self.root.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    /// Starts a command, with what it says for whoever wants to read it.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// The one JSON document that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert!(matches!(run.code, 0 | 1), "{run:?}");
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// The JSON documents that a command prints, one a line, without the one
    /// that says that there is nothing.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.run(&[arguments, &["--json"]].concat());
        let documents = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        documents.filter(|document: &Value| document["type"] != "nothing").collect()
    }

    /// The ids of all songs, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let summaries = self.json_lines(&["ls", "--sort", "id"]);
        summaries.iter().map(|summary| summary["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// The example files of one kind.
pub(crate) fn examples(kind: &str) -> Vec<PathBuf> {
    let folder = examples_folder().join(kind);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn examples_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/audio").canonicalize().unwrap()
}

/// A decaying tone at 8 kHz.
pub(crate) fn tone(hertz: f64, seconds: f64) -> Vec<u8> {
    let samples = (0..(seconds * 8000.0) as u32).map(|n| {
        let t = f64::from(n) / 8000.0;
        let value = (t * hertz * std::f64::consts::TAU).sin() * (-3.0 * t).exp();
        (value * 20_000.0) as i16
    });
    wav(8000, samples)
}

/// A WAV file, 16 bit mono.
pub(crate) fn wav(sample_rate: u32, samples: impl Iterator<Item = i16>) -> Vec<u8> {
    let samples: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(sample_rate.to_le_bytes());
    wav.extend((sample_rate * 2).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((samples.len() as u32).to_le_bytes());
    wav.extend(samples);
    wav
}

/// The WAV file with a title in its tags.
pub(crate) fn with_title(mut wav: Vec<u8>, title: &str) -> Vec<u8> {
    let text = format!("{title}\0{}", if title.len().is_multiple_of(2) { "\0" } else { "" });
    wav.extend(b"LIST");
    wav.extend((12 + text.len() as u32).to_le_bytes());
    wav.extend(b"INFOINAM");
    wav.extend((text.len() as u32).to_le_bytes());
    wav.extend(text.bytes());
    let size = wav.len() as u32 - 8;
    wav[4..8].copy_from_slice(&size.to_le_bytes());
    wav
}
