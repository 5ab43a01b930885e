//! ONNX Runtime, a library that is found at run time.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{
    environment::Environment,
    ep::{self, ExecutionProviderDispatch},
    session::{Session, SessionInputValue},
    value::TensorRef,
};

use super::{Device, Engine, EngineError, Input, OpenOptions, Values};
use crate::{
    embedder::Batching,
    error::{ModelError, ModelErrorKind},
};

/// The lowest minor version of ONNX Runtime whose interface is used; what the
/// feature `api-17` of `ort` asks for.
const LEAST_MINOR: u32 = 17;

/// A model in ONNX Runtime: one session, which has its own threads.
#[derive(Debug)]
pub(super) struct OnnxRuntime {
    session: Mutex<Session>,
    device: Device,
    version: String,
}

/// The library, loaded once in a process.
struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

impl OnnxRuntime {
    pub(super) fn open(
        model: &str,
        path: &Path,
        options: &OpenOptions,
    ) -> Result<Self, ModelError> {
        let (environment, version) = runtime(model, options)?;
        let session = session(&environment, path, options).map_err(|error| {
            let hint = match options.device {
                Device::Cpu => {
                    "export the model with `tools/export_models.py`, or set `engine = \"rten\"`"
                }
                Device::Cuda => {
                    "install the wheel `onnxruntime-gpu` and NVIDIA's driver, CUDA and cuDNN, or \
                     leave out the device"
                }
                Device::CoreMl => "CoreML is on Apple's machines alone; leave out the device",
            };
            ModelError::new(model, ModelErrorKind::Unsupported, "ONNX Runtime cannot load it")
                .in_file(path)
                .because(error)
                .with_hint(hint)
        })?;
        Ok(Self { session: Mutex::new(session), device: options.device, version })
    }
}

fn session(
    environment: &Environment,
    path: &Path,
    options: &OpenOptions,
) -> Result<Session, EngineError> {
    let mut providers: Vec<ExecutionProviderDispatch> = Vec::new();
    match options.device {
        Device::Cpu => (),
        Device::Cuda => providers.push(ep::CUDA::default().build().error_on_failure()),
        Device::CoreMl => providers.push(ep::CoreML::default().build().error_on_failure()),
    }
    let builder = Session::builder(environment)?
        .with_intra_threads(options.threads())
        .map_err(|error| error.to_string())?
        .with_inter_threads(1)
        .map_err(|error| error.to_string())?
        // Waiting threads would burn a third of the time of all others.
        .with_intra_op_spinning(false)
        .map_err(|error| error.to_string())?;
    let mut builder = if providers.is_empty() {
        builder
    } else {
        builder.with_execution_providers(providers).map_err(|error| error.to_string())?
    };
    Ok(builder.commit_from_file(path)?)
}

/// The library, loaded now if it was not before.
fn runtime(model: &str, options: &OpenOptions) -> Result<(Environment, String), ModelError> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        if let Some(wanted) = &options.search.configured
            && !options.search.candidates().contains(&runtime.path)
        {
            return Err(ModelError::new(
                model,
                ModelErrorKind::NoEngine,
                format!(
                    "ONNX Runtime is already loaded from `{}`, and a process can load one",
                    runtime.path.display()
                ),
            )
            .in_file(wanted)
            .with_hint("configure one library for all models"));
        }
        return Ok((runtime.environment.clone(), runtime.version.clone()));
    }
    let found = load(model, options)?;
    let answer = (found.environment.clone(), found.version.clone());
    *runtime = Some(found);
    Ok(answer)
}

fn load(model: &str, options: &OpenOptions) -> Result<Runtime, ModelError> {
    let mut refused = Vec::new();
    for path in options.search.candidates() {
        // Never `ort::init`: it panics where there is no library.
        let minor = match ort::util::probe(&path) {
            Some(minor) if minor >= LEAST_MINOR => minor,
            Some(minor) => {
                refused.push(format!(
                    "`{}` is version 1.{minor}, but 1.{LEAST_MINOR} or newer is needed",
                    path.display()
                ));
                continue;
            }
            None => {
                refused.push(format!("`{}` cannot be loaded", path.display()));
                continue;
            }
        };
        let environment =
            ort::init_from(&path).map_err(|error| error.to_string()).and_then(|builder| {
                builder.with_telemetry(false).build().map_err(|error| error.to_string())
            });
        match environment {
            Ok(environment) => {
                let version = search_version(&path).unwrap_or_else(|| format!("1.{minor}"));
                return Ok(Runtime { environment, path, version });
            }
            Err(error) => refused.push(format!("`{}`: {error}", path.display())),
        }
    }
    Err(options.search.nothing_found(model, &refused))
}

/// The version in the name of a library file, such as `libonnxruntime.so.1.31.1`.
fn search_version(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let name = path.file_name()?.to_str()?;
    let version = name.split_once(".so.").map(|(_, version)| version).or_else(|| {
        name.strip_prefix("libonnxruntime.").and_then(|rest| rest.strip_suffix(".dylib"))
    })?;
    version.contains('.').then(|| version.to_owned())
}

impl Engine for OnnxRuntime {
    fn name(&self) -> String {
        format!("ONNX Runtime {} ({})", self.version, self.device)
    }

    fn batching(&self) -> Batching {
        match self.device {
            // One window in a call: what else is waiting is chance, and the
            // last bits of a vector would depend on it.
            Device::Cpu => Batching { inputs: 1, calls: 1 },
            // Enough to fill a graphics card, little enough for its memory;
            // there the last bits may differ from run to run.
            Device::Cuda | Device::CoreMl => Batching { inputs: 16, calls: 1 },
        }
    }

    fn run(
        &self,
        inputs: &[Input<'_>],
        output: &str,
    ) -> Result<(Vec<usize>, Vec<f32>), EngineError> {
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(inputs.len());
        for input in inputs {
            let shape = input.shape.clone();
            let value = match input.values {
                Values::Floats(floats) => TensorRef::from_array_view((shape, floats))?.into(),
                Values::Whole(whole) => TensorRef::from_array_view((shape, whole))?.into(),
            };
            values.push((Cow::Borrowed(input.name), value));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(values)?;
        let answer = outputs.get(output).ok_or_else(|| format!("there is no output `{output}`"))?;
        let (shape, values) = answer.try_extract_tensor::<f32>()?;
        let shape = shape.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>()?;
        Ok((shape, values.to_vec()))
    }
}
