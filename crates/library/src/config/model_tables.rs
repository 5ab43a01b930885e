//! Models as the configuration describes them: `[models.NAME]`.

use std::path::PathBuf;
#[cfg(feature = "bridge")]
use std::time::Duration;

use serde::{Deserialize, Serialize};
use songrec_core::{Metric, ModelName, ModelSpec, has_password};
use songrec_models::Short;
#[cfg(feature = "bridge")]
use songrec_models::Windowing;

use crate::{Error, Result};

/// One `[models.NAME]` of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelTable {
    /// ONNX files on this machine.
    Onnx(OnnxTable),
    /// A model on an inference server.
    Http(Box<HttpTable>),
}

/// A model in a folder of this machine, and how it is computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxTable {
    /// The folder with its `model.toml`, if it is not among the added models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// `rten` or `ort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// `cpu`, `cuda` or `coreml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The library file of ONNX Runtime, or its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<PathBuf>,
    /// How many threads compute it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// A model on an inference server: where it is, what it embeds and gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTable {
    /// The server's address.
    #[serde(default = "default_url")]
    pub url: String,
    /// `oip` for the Open Inference Protocol v2, `plain` for one window of JSON
    /// a request.
    #[serde(default = "default_form")]
    pub form: String,
    /// The model's name on the server; its name here if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The model's version on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The path that embeds, in place of the form's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The path that says whether the server is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// The name of the model's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The name of the model's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Whether numbers are sent as bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<bool>,
    /// The variable that holds the token to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_variable: Option<String>,
    /// Seconds that one request may take.
    #[serde(default = "default_timeout")]
    pub timeout: f64,
    /// How often a request that failed is sent again.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Seconds before the first of these; twice as long before each further
    /// one.
    #[serde(default = "default_backoff")]
    pub backoff: f64,
    /// The most windows of one request.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// The most requests at the same time.
    #[serde(default = "default_at_once")]
    pub at_once: usize,
    /// What becomes another one whenever the server's model is another one.
    #[serde(default = "default_revision")]
    pub revision: String,
    /// Elements of its vectors.
    pub dimension: usize,
    /// How its vectors are compared.
    #[serde(default)]
    pub metric: Metric,
    /// Samples per second that it embeds.
    #[serde(default = "default_rate")]
    pub sample_rate: u32,
    /// Seconds of a window.
    #[serde(default = "default_window")]
    pub window: f64,
    /// Seconds from window to window; the window's length if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<f64>,
    /// What is done with songs shorter than a window.
    #[serde(default = "default_short")]
    pub short: Short,
    /// Whether vectors are scaled to length 1.
    #[serde(default = "default_normalize")]
    pub normalize: bool,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

fn default_url() -> String {
    "http://localhost:8000".to_owned()
}

fn default_form() -> String {
    "oip".to_owned()
}

fn default_timeout() -> f64 {
    30.0
}

fn default_retries() -> u32 {
    3
}

fn default_backoff() -> f64 {
    1.0
}

fn default_batch() -> usize {
    8
}

fn default_at_once() -> usize {
    2
}

fn default_revision() -> String {
    "1".to_owned()
}

fn default_rate() -> u32 {
    16_000
}

fn default_window() -> f64 {
    10.0
}

// A server's model takes windows of any length more often than not.
fn default_short() -> Short {
    Short::Keep
}

fn default_normalize() -> bool {
    true
}

impl ModelTable {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    ///
    /// In words, when a value makes no sense.
    pub(crate) fn check(&self, name: &str) -> std::result::Result<(), String> {
        match self {
            Self::Onnx(table) => table.check(),
            Self::Http(table) => table.check(name),
        }
    }
}

impl OnnxTable {
    fn check(&self) -> std::result::Result<(), String> {
        let one_of = |what: &str, value: &Option<String>, known: &[&str]| match value {
            Some(value) if !known.contains(&value.as_str()) => {
                Err(format!("`{what}` is `{value}`: expected one of `{}`", known.join("`, `")))
            }
            _ => Ok(()),
        };
        one_of("engine", &self.engine, &["rten", "ort"])?;
        one_of("device", &self.device, &["cpu", "cuda", "coreml"])?;
        match self.threads {
            Some(0) => Err("`threads` is 0: expected 1 or more".to_owned()),
            _ => Ok(()),
        }
    }
}

impl HttpTable {
    fn check(&self, name: &str) -> std::result::Result<(), String> {
        self.name(name)?;
        if has_password(&self.url) {
            return Err("`url` holds a password: leave it out, and name the variable that holds \
                        the server's token as `token_variable`"
                .to_owned());
        }
        if !matches!(self.form.as_str(), "oip" | "plain") {
            return Err(format!("`form` is `{}`: expected `oip` or `plain`", self.form));
        }
        let between =
            |what: &str, value: f64, least: f64, most: f64| match (least..=most).contains(&value) {
                true => Ok(()),
                false => Err(format!("`{what}` is {value}: expected {least} to {most}")),
            };
        between("timeout", self.timeout, 0.001, 3600.0)?;
        between("backoff", self.backoff, 0.0, 60.0)?;
        between("retries", f64::from(self.retries), 0.0, 100.0)?;
        between("batch", self.batch as f64, 1.0, 1024.0)?;
        between("at_once", self.at_once as f64, 1.0, 64.0)?;
        between("dimension", self.dimension as f64, 1.0, 65_536.0)?;
        between("sample_rate", f64::from(self.sample_rate), 4_000.0, 192_000.0)?;
        between("window", self.window, 0.05, 600.0)?;
        between("hop", self.hop.unwrap_or(self.window), 0.01, self.window)
    }

    /// The model's name and revision.
    pub(crate) fn name(&self, name: &str) -> std::result::Result<ModelName, String> {
        let whole = match name.contains('@') {
            true => name.to_owned(),
            false => format!("{name}@{}", self.revision),
        };
        whole.parse().map_err(|error: songrec_core::InvalidModelName| error.to_string())
    }

    /// What a library has to know about the model.
    pub(crate) fn spec(&self, name: &str) -> Result<ModelSpec> {
        let name = self.name(name).map_err(Error::usage)?;
        Ok(ModelSpec {
            name,
            dimension: self.dimension,
            metric: self.metric,
            description: self.description.clone(),
        })
    }

    /// Which windows the model takes.
    #[cfg(feature = "bridge")]
    pub(crate) fn windowing(&self) -> Windowing {
        let samples = |seconds: f64| ((seconds * f64::from(self.sample_rate)) as usize).max(1);
        let window = samples(self.window);
        Windowing {
            sample_rate: self.sample_rate,
            window,
            hop: self.hop.map_or(window, samples).min(window),
            short: self.short,
            normalize: self.normalize,
        }
    }

    /// Seconds as the clock counts them; they were checked before.
    #[cfg(feature = "bridge")]
    pub(crate) fn seconds(value: f64) -> Duration {
        Duration::try_from_secs_f64(value).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> std::result::Result<ModelTable, String> {
        let table: ModelTable = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        table.check("w2v")?;
        Ok(table)
    }

    #[test]
    fn a_model_on_a_server_needs_little() {
        let ModelTable::Http(table) = table("kind = \"http\"\ndimension = 768").unwrap() else {
            panic!("it is one on a server");
        };

        assert_eq!(table.url, "http://localhost:8000");
        assert_eq!(table.spec("w2v").unwrap().name.as_str(), "w2v@1");
        assert_eq!(table.spec("w2v@base").unwrap().name.as_str(), "w2v@base");
        #[cfg(feature = "bridge")]
        assert_eq!((table.windowing().window, table.windowing().hop), (160_000, 160_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, named) in [
            ("kind = \"http\"", "dimension"),
            ("kind = \"htpp\"", "htpp"),
            ("kind = \"http\"\ndimension = 2\nurll = \"x\"", "urll"),
            ("kind = \"http\"\ndimension = 0", "dimension"),
            ("kind = \"http\"\ndimension = 2\nurl = \"http://me:word@h\"", "token_variable"),
            ("kind = \"http\"\ndimension = 2\nform = \"grpc\"", "grpc"),
            ("kind = \"http\"\ndimension = 2\ntimeout = nan", "timeout"),
            ("kind = \"http\"\ndimension = 2\nhop = 11", "hop"),
            ("kind = \"http\"\ndimension = 2\nrevision = \"A B\"", "w2v@A B"),
            ("kind = \"onnx\"\nengine = \"torch\"", "torch"),
            ("kind = \"onnx\"\nthreads = 0", "threads"),
        ] {
            let error = table(text).unwrap_err();

            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
