//! What runs ONNX files.
#![cfg_attr(
    not(all(feature = "rten", feature = "ort")),
    allow(dead_code, reason = "what only an engine that was left out would use")
)]

#[cfg(feature = "ort")]
mod onnx_runtime;
#[cfg(feature = "rten")]
pub(crate) mod rten;
pub(crate) mod search;

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use self::search::RuntimeSearch;
use crate::{
    embedder::Batching,
    error::{ModelError, ModelErrorKind},
    outline::Outline,
};

/// What runs a model's ONNX files. Both give the same vectors, but for the last
/// bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// rten: built in, nothing to install, on the processor.
    #[default]
    Rten,
    /// ONNX Runtime: a library found at run time, also on graphics cards.
    Ort,
}

/// Where a model is computed. Only on the processor are two runs equal to the
/// last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA graphics card; needs an ONNX Runtime built for it.
    Cuda,
    /// Apple's accelerators; needs an ONNX Runtime built for them.
    #[serde(rename = "coreml")]
    CoreMl,
}

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The engine; None for the model's own wish, and else for rten, or ONNX
    /// Runtime when a device is asked for that only it has.
    pub engine: Option<EngineKind>,
    /// Where it is computed.
    pub device: Device,
    /// Threads; None for as many as there are processors, but at most
    /// [`MOST_THREADS`].
    pub threads: Option<usize>,
    /// Where ONNX Runtime is looked for.
    pub search: RuntimeSearch,
}

/// More threads than this are not taken unasked: each keeps the activations of
/// a window in memory, some 40 MB for a CLAP.
pub const MOST_THREADS: usize = 16;

/// One ONNX file, loaded.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Its name, version and device, for people.
    fn name(&self) -> String;

    fn batching(&self) -> Batching;

    /// Runs the file; the answer is the shape and the values of `output`.
    fn run(
        &self,
        inputs: &[Input<'_>],
        output: &str,
    ) -> Result<(Vec<usize>, Vec<f32>), EngineError>;
}

/// What is put into an engine.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values<'a>,
}

#[derive(Clone, Debug)]
pub(crate) enum Values<'a> {
    Floats(&'a [f32]),
    /// `int64` in ONNX.
    Whole(&'a [i64]),
}

/// What an engine said.
pub(crate) type EngineError = Box<dyn std::error::Error + Send + Sync>;

impl OpenOptions {
    /// The engine for a model that may have a wish.
    pub(crate) fn engine_for(&self, wish: Option<EngineKind>) -> EngineKind {
        match (self.engine.or(wish), self.device) {
            (Some(engine), _) => engine,
            (None, Device::Cpu) if cfg!(feature = "rten") => EngineKind::Rten,
            (None, _) => EngineKind::Ort,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.unwrap_or(all.min(MOST_THREADS)).max(1)
    }
}

/// Opens the ONNX file at `path`, which belongs to `model`.
pub(crate) fn open(
    model: &str,
    path: &Path,
    kind: EngineKind,
    options: &OpenOptions,
) -> Result<Box<dyn Engine>, ModelError> {
    let outline = Outline::read(path).map_err(|error| unreadable(model, path, error))?;
    match kind {
        EngineKind::Rten => open_rten(model, path, &outline, options),
        EngineKind::Ort => open_ort(model, path, options),
    }
}

/// The error for an ONNX file that could not be read.
pub(crate) fn unreadable(model: &str, path: &Path, error: std::io::Error) -> ModelError {
    use std::io::ErrorKind;
    let (kind, reason, hint) = match error.kind() {
        ErrorKind::NotFound => {
            (ModelErrorKind::NotFound, "the file is missing", "remove the model and add it again")
        }
        ErrorKind::InvalidData => (
            ModelErrorKind::Mismatch,
            "it is no ONNX file, or it is cut off",
            "get the file again, or export it with `tools/export_models.py`",
        ),
        _ => (ModelErrorKind::Io, "it could not be read", "check the disk; then try again"),
    };
    ModelError::new(model, kind, reason).in_file(path).with_hint(hint).because(error)
}

#[cfg(feature = "rten")]
fn open_rten(
    model: &str,
    path: &Path,
    outline: &Outline,
    options: &OpenOptions,
) -> Result<Box<dyn Engine>, ModelError> {
    let refused =
        |reason: String| ModelError::new(model, ModelErrorKind::Unsupported, reason).in_file(path);
    if options.device != Device::Cpu {
        return Err(refused(format!(
            "rten computes on the processor, not on `{}`",
            options.device
        ))
        .with_hint("set `engine = \"ort\"`, or leave out the device"));
    }
    // rten would compute it as linear without saying so.
    if let Some(node) = &outline.cubic_resize {
        return Err(refused(format!(
            "its node `{node}` is a cubic `Resize`, which rten cannot compute"
        ))
        .with_hint(
            "export the model with `tools/export_models.py`, which writes no such node, or set \
             `engine = \"ort\"`",
        ));
    }
    let engine = rten::Rten::open(path, options.threads()).map_err(|error| {
        refused("rten cannot load it".to_owned())
            .because(error)
            .with_hint("set `engine = \"ort\"`, or export the model with `tools/export_models.py`")
    })?;
    Ok(Box::new(engine))
}

#[cfg(not(feature = "rten"))]
fn open_rten(
    model: &str,
    _: &Path,
    _: &Outline,
    _: &OpenOptions,
) -> Result<Box<dyn Engine>, ModelError> {
    Err(not_built_in(model, "rten"))
}

#[cfg(feature = "ort")]
fn open_ort(
    model: &str,
    path: &Path,
    options: &OpenOptions,
) -> Result<Box<dyn Engine>, ModelError> {
    let engine = onnx_runtime::OnnxRuntime::open(model, path, options)?;
    Ok(Box::new(engine))
}

#[cfg(not(feature = "ort"))]
fn open_ort(model: &str, _: &Path, _: &OpenOptions) -> Result<Box<dyn Engine>, ModelError> {
    Err(not_built_in(model, "ort"))
}

#[cfg(not(all(feature = "rten", feature = "ort")))]
fn not_built_in(model: &str, engine: &str) -> ModelError {
    ModelError::new(
        model,
        ModelErrorKind::NoEngine,
        format!("this songrec was built without the engine `{engine}`"),
    )
    .with_hint("choose the other engine, or a build of songrec with both")
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rten => "rten",
            Self::Ort => "ort",
        })
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rten" => Ok(Self::Rten),
            "ort" => Ok(Self::Ort),
            _ => Err(format!("`{text}` is not an engine: expected `rten` or `ort`")),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::CoreMl => "coreml",
        })
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            "coreml" => Ok(Self::CoreMl),
            _ => Err(format!("`{text}` is not a device: expected `cpu`, `cuda` or `coreml`")),
        }
    }
}
