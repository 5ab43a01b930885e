//! rten: ONNX in pure Rust.

use std::{fmt, path::Path, sync::Arc};

use rten::{Model, ModelOptions, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::{AsView, Layout, Tensor, TensorView};

use super::{Engine, EngineError, Input, Values};
use crate::embedder::Batching;

/// A model in rten. Each call runs on one thread, and calls run side by side:
/// that scales better than one call on many threads, and its bits do not
/// depend on how many there are.
pub(super) struct Rten {
    model: Model,
    threads: usize,
}

thread_local! {
    /// rten runs inside a pool; one of one thread for each that calls it.
    static POOL: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
}

/// The pool of the thread that calls.
pub(crate) fn pool_of_this_thread() -> Arc<ThreadPool> {
    POOL.with(Arc::clone)
}

impl Rten {
    pub(super) fn open(path: &Path, threads: usize) -> Result<Self, EngineError> {
        keep_freed_memory();
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        Ok(Self { model: options.load_file(path)?, threads })
    }
}

/// Every window, and every song, takes the same ten to fifty megabytes and frees
/// them. glibc would give them back to the system each time and fetch them again,
/// page by page: 4 % of the time of a CLAP. It keeps up to twice the size of the largest
/// block that was freed so far, so a large one, which is never touched, is freed
/// here.
pub(crate) fn keep_freed_memory() {
    // The largest that counts.
    const SIZE: usize = 31 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(SIZE)));
}

impl Engine for Rten {
    fn name(&self) -> String {
        "rten 0.27 (cpu)".to_owned()
    }

    fn batching(&self) -> Batching {
        // One window in a call: calls run side by side instead, and the bits of
        // a vector cannot depend on what else was in its batch.
        Batching { inputs: 1, calls: self.threads }
    }

    fn run(
        &self,
        inputs: &[Input<'_>],
        output: &str,
    ) -> Result<(Vec<usize>, Vec<f32>), EngineError> {
        // rten holds every whole number as 32 bits.
        let narrow: Vec<Vec<i32>> = inputs.iter().map(Input::narrow).collect::<Result<_, _>>()?;
        let mut values = Vec::with_capacity(inputs.len());
        for (input, narrow) in inputs.iter().zip(&narrow) {
            let value: ValueOrView<'_> = match input.values {
                Values::Floats(floats) => {
                    TensorView::from_data(input.shape.as_slice(), floats).into()
                }
                Values::Whole(_) => {
                    TensorView::from_data(input.shape.as_slice(), narrow.as_slice()).into()
                }
            };
            values.push((self.model.node_id(input.name)?, value));
        }
        let output = self.model.node_id(output)?;
        let options = RunOptions::default().with_thread_pool(Some(pool_of_this_thread()));
        let answer: Value = self
            .model
            .run(values, &[output], Some(options))?
            .pop()
            .ok_or("the model gave no output")?;
        let tensor: Tensor<f32> = answer.try_into()?;
        Ok((tensor.shape().to_vec(), tensor.to_vec()))
    }
}

impl Input<'_> {
    fn narrow(&self) -> Result<Vec<i32>, EngineError> {
        match self.values {
            Values::Floats(_) => Ok(Vec::new()),
            Values::Whole(whole) => {
                whole.iter().map(|&value| i32::try_from(value).map_err(Into::into)).collect()
            }
        }
    }
}

impl fmt::Debug for Rten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rten").field("threads", &self.threads).finish_non_exhaustive()
    }
}
