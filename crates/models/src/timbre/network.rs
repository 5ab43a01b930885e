//! The network, as rten runs it.

use std::{error::Error, sync::LazyLock};

use rten::{Model, ModelOptions, NodeId, RunOptions};
use rten_tensor::{AsView, Tensor, TensorView};
use songrec_audio::picture::{BANDS, COLUMNS};

use crate::engine::rten::{keep_freed_memory, pool_of_this_thread};

/// The file whose digest says which revision of the network this is.
pub(super) const NOTE: &[u8] = include_bytes!("../../models/timbre.onnx");

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

static NETWORK: LazyLock<std::result::Result<Network, String>> =
    LazyLock::new(|| Network::load().map_err(|error| error.to_string()));

/// The network, loaded once for all threads.
pub(super) struct Network {
    model: Model,
    mel: NodeId,
    /// The vector and the logits.
    answers: [NodeId; 2],
}

/// What the network says of one window.
pub(super) struct Answer {
    pub(super) vector: Vec<f32>,
    pub(super) logits: Vec<f32>,
}

impl Network {
    pub(super) fn get() -> Result<&'static Self> {
        NETWORK.as_ref().map_err(|error| error.as_str().into())
    }

    fn load() -> Result<Self> {
        keep_freed_memory();
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model = options.load_static_slice(NOTE)?;
        Ok(Self {
            mel: model.node_id("mel")?,
            answers: [model.node_id("vector")?, model.node_id("logits")?],
            model,
        })
    }

    /// What the network says of one picture. Pictures are not put together: a call is as
    /// quick with one, and its bits cannot depend on the others.
    pub(super) fn embed(&self, picture: &[f32]) -> Result<Answer> {
        let input = TensorView::from_data([1, 1, BANDS, COLUMNS].as_slice(), picture);
        let answers = self.model.run(
            vec![(self.mel, input.into())],
            &self.answers,
            Some(on_this_thread()),
        )?;
        let mut answers = answers.into_iter().map(|answer| -> Result<Vec<f32>> {
            let tensor: Tensor<f32> = answer.try_into()?;
            Ok(tensor.to_vec())
        });
        let mut next = || answers.next().ok_or("the network gave too few answers")?;
        Ok(Answer { vector: next()?, logits: next()? })
    }
}

fn on_this_thread() -> RunOptions {
    RunOptions::default().with_thread_pool(Some(pool_of_this_thread()))
}
