//! A model in ONNX files on this machine.
#![cfg_attr(
    not(all(feature = "rten", feature = "ort")),
    allow(dead_code, reason = "what only an engine that was left out would use")
)]

#[cfg(feature = "text")]
use std::sync::{Arc, Mutex, PoisonError};
use std::{
    fmt,
    path::{Path, PathBuf},
};

use songrec_core::{ModelSpec, Vector};

use crate::{
    description::Description,
    digest::check_digest,
    embedder::{Batching, Embedder, Windowing, checked_vector},
    engine::{self, Engine, EngineKind, Input, OpenOptions, Values},
    error::{ModelError, ModelErrorKind},
    front_end::Prepared,
};
#[cfg(feature = "text")]
use crate::{description::TextTower, text::Tokens};

/// Windows in one call of an engine, at most: bounds memory when a caller
/// brings many.
const MOST_INPUTS: usize = 16;

/// An [`Embedder`] of ONNX files on this machine.
///
/// The file that reads texts is loaded when the first text comes: often it is
/// the larger one, and seldom needed.
pub struct OnnxModel {
    description: Description,
    spec: ModelSpec,
    windowing: Windowing,
    front_end: Prepared,
    audio: Box<dyn Engine>,
    folder: PathBuf,
    engine: EngineKind,
    options: OpenOptions,
    #[cfg(feature = "text")]
    reader: Mutex<Option<Arc<Reader>>>,
}

/// The side of a model that reads.
#[cfg(feature = "text")]
struct Reader {
    tokens: Tokens,
    engine: Box<dyn Engine>,
}

impl OnnxModel {
    /// Opens the model that `description` describes, whose files are in
    /// `folder`, after a look at their digests.
    pub(crate) fn open(
        description: Description,
        folder: &Path,
        options: &OpenOptions,
    ) -> Result<Self, ModelError> {
        let engine = options.engine_for(description.engine);
        let path = folder.join(&description.audio.file);
        check_digest(description.name.as_str(), &path, description.audio.sha256)?;
        let audio = engine::open(description.name.as_str(), &path, engine, options)?;
        let windowing = description.windowing();
        Ok(Self {
            spec: description.spec(),
            front_end: Prepared::new(&description.front_end, windowing.sample_rate),
            windowing,
            description,
            audio,
            folder: folder.to_owned(),
            engine,
            options: options.clone(),
            #[cfg(feature = "text")]
            reader: Mutex::new(None),
        })
    }

    /// The model's description.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Embeds a window of noise, and reads a text if it can: an error tells
    /// what is wrong with the files.
    ///
    /// # Errors
    ///
    /// When an engine fails, or gives something that is no vector of this
    /// model.
    pub fn probe(&self) -> Result<(), ModelError> {
        // Noise that is the same everywhere: a linear congruential generator.
        let mut state = 1u32;
        let noise: Vec<f32> = (0..self.windowing.window)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        self.embed(&[self.prepare(&noise)])?;
        if self.reads_text() {
            self.embed_text(&["a probe"])?;
        }
        Ok(())
    }

    fn infer(&self, inputs: &[Vec<f32>], vectors: &mut Vec<Vector>) -> Result<(), ModelError> {
        let mut shape = vec![inputs.len()];
        shape.extend(self.front_end.shape(inputs[0].len()));
        let joined: Vec<f32>;
        let values = match inputs {
            [one] => one.as_slice(),
            more => {
                joined = more.concat();
                &joined
            }
        };
        let audio = &self.description.audio;
        let input = Input { name: &audio.input, shape, values: Values::Floats(values) };
        let answer = self.audio.run(&[input], &audio.output);
        let new = self.vectors(answer, inputs.len(), &audio.file, &*self.audio)?;
        vectors.extend(new);
        Ok(())
    }

    /// The vectors of a batch in what an engine answered.
    fn vectors(
        &self,
        answer: Result<(Vec<usize>, Vec<f32>), engine::EngineError>,
        batch: usize,
        file: &str,
        engine: &dyn Engine,
    ) -> Result<Vec<Vector>, ModelError> {
        let path = self.folder.join(file);
        let (shape, values) = answer.map_err(|error| {
            ModelError::new(
                &self.spec.name,
                ModelErrorKind::Failed,
                format!("{} failed", engine.name()),
            )
            .in_file(&path)
            .because(error)
            .with_hint("verify the model's files; then try the other engine")
        })?;
        let rows: Vec<Vec<f32>> = match *shape {
            [rows, dimension] if rows == batch && dimension > 0 => {
                values.chunks_exact(dimension).map(<[f32]>::to_vec).collect()
            }
            [rows, frames, dimension] if rows == batch && frames > 0 && dimension > 0 => values
                .chunks_exact(frames * dimension)
                .map(|frames| mean(frames, dimension))
                .collect(),
            _ => {
                return Err(ModelError::new(
                    &self.spec.name,
                    ModelErrorKind::Mismatch,
                    format!(
                        "the output has the shape {shape:?}, but [{batch}, {}] was expected",
                        self.spec.dimension
                    ),
                )
                .in_file(&path)
                .with_hint(
                    "correct `model.toml`, or export the model with `tools/export_models.py`",
                ));
            }
        };
        rows.into_iter()
            .map(|row| checked_vector(&self.spec, row).map_err(|error| error.in_file(&path)))
            .collect()
    }

    #[cfg(feature = "text")]
    fn reader(&self, text: &TextTower) -> Result<Arc<Reader>, ModelError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = &*reader {
            return Ok(reader.clone());
        }
        let path = self.folder.join(&text.tokenizer.file);
        check_digest(self.spec.name.as_str(), &path, text.tokenizer.sha256)?;
        let tokens = Tokens::open(&path, &text.tokenizer).map_err(|error| {
            ModelError::new(
                &self.spec.name,
                ModelErrorKind::Invalid,
                "it is no tokenizer that fits",
            )
            .in_file(&path)
            .because(error)
            .with_hint("take the `tokenizer.json` that came with the model's checkpoint")
        })?;
        let path = self.folder.join(&text.file);
        check_digest(self.spec.name.as_str(), &path, text.sha256)?;
        let engine = engine::open(self.spec.name.as_str(), &path, self.engine, &self.options)?;
        let opened = Arc::new(Reader { tokens, engine });
        *reader = Some(opened.clone());
        Ok(opened)
    }

    #[cfg(feature = "text")]
    fn read(&self, texts: &[&str]) -> Result<Vec<Vector>, ModelError> {
        let Some(text) = &self.description.text else { return Err(self.cannot_read()) };
        let reader = self.reader(text)?;
        let mut read = Vec::with_capacity(texts.len());
        for texts in texts.chunks(MOST_INPUTS) {
            let batch = reader.tokens.encode(texts).map_err(|error| {
                ModelError::new(&self.spec.name, ModelErrorKind::Failed, "a text could not be read")
                    .because(error)
            })?;
            let mut inputs = vec![Input {
                name: &text.ids,
                shape: batch.shape.to_vec(),
                values: Values::Whole(&batch.ids),
            }];
            inputs.extend(text.mask.as_ref().map(|name| Input {
                name,
                shape: batch.shape.to_vec(),
                values: Values::Whole(&batch.mask),
            }));
            let answer = reader.engine.run(&inputs, &text.output);
            let vectors = self.vectors(answer, texts.len(), &text.file, &*reader.engine)?;
            let normalize = self.windowing.normalize;
            read.extend(vectors.into_iter().map(|vector| {
                // A text without a direction stays what it is.
                crate::pooling::of_one(&vector, normalize).unwrap_or(vector)
            }));
        }
        Ok(read)
    }

    #[cfg(not(feature = "text"))]
    fn read(&self, _: &[&str]) -> Result<Vec<Vector>, ModelError> {
        Err(self.cannot_read())
    }

    fn cannot_read(&self) -> ModelError {
        ModelError::new(&self.spec.name, ModelErrorKind::Unsupported, "this model cannot read text")
            .with_hint("search by text with a model that has a text file, such as CLAP")
    }
}

/// The mean of frames of `dimension` values, summed in f64.
fn mean(frames: &[f32], dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; dimension];
    for frame in frames.chunks_exact(dimension) {
        for (sum, value) in sums.iter_mut().zip(frame) {
            *sum += f64::from(*value);
        }
    }
    let count = (frames.len() / dimension) as f64;
    sums.iter().map(|sum| (sum / count) as f32).collect()
}

impl Embedder for OnnxModel {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn windowing(&self) -> &Windowing {
        &self.windowing
    }

    fn engine(&self) -> String {
        self.audio.name()
    }

    fn batching(&self) -> Batching {
        self.audio.batching()
    }

    fn prepare(&self, window: &[f32]) -> Vec<f32> {
        self.front_end.apply(window)
    }

    fn embed(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError> {
        let most = self.batching().inputs.min(MOST_INPUTS);
        let mut vectors = Vec::with_capacity(inputs.len());
        // A batch is of one length; only short songs have others.
        for same in inputs.chunk_by(|left, right| left.len() == right.len()) {
            for batch in same.chunks(most) {
                self.infer(batch, &mut vectors)?;
            }
        }
        Ok(vectors)
    }

    fn reads_text(&self) -> bool {
        self.description.text.is_some() && cfg!(feature = "text")
    }

    fn embed_text(&self, texts: &[&str]) -> Result<Vec<Vector>, ModelError> {
        self.read(texts)
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxModel")
            .field("name", &self.spec.name)
            .field("engine", &self.audio.name())
            .finish_non_exhaustive()
    }
}
