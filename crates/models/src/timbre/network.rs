//! The two networks, as rten runs them.

use std::{error::Error, sync::LazyLock};

use rten::{Model, ModelOptions, NodeId, RunOptions};
use rten_tensor::{AsView, Tensor, TensorView};
use songrec_audio::picture::{BANDS, COLUMNS};

use crate::engine::rten::{keep_freed_memory, pool_of_this_thread};

/// The files whose digests say which revision of the model this is.
pub(super) const NOTE: &[u8] = include_bytes!("../../models/timbre.onnx");
pub(super) const MUSIC: &[u8] = include_bytes!("../../models/timbre-music.onnx");

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

static NETWORKS: LazyLock<std::result::Result<Networks, String>> =
    LazyLock::new(|| Networks::load().map_err(|error| error.to_string()));

/// Both networks, loaded once for all threads.
pub(super) struct Networks {
    note: Model,
    mel: NodeId,
    /// The vector, the logits, the description.
    answers: [NodeId; 3],
    music: Model,
    statistics: NodeId,
    piece: NodeId,
}

/// What the network says of one window.
pub(super) struct Answer {
    pub(super) vector: Vec<f32>,
    pub(super) logits: Vec<f32>,
    pub(super) description: Vec<f32>,
}

impl Networks {
    pub(super) fn get() -> Result<&'static Self> {
        NETWORKS.as_ref().map_err(|error| error.as_str().into())
    }

    fn load() -> Result<Self> {
        keep_freed_memory();
        let load = |bytes| {
            let mut options = ModelOptions::with_all_ops();
            options.prepack_weights(true);
            options.load_static_slice(bytes)
        };
        let (note, music) = (load(NOTE)?, load(MUSIC)?);
        Ok(Self {
            mel: note.node_id("mel")?,
            answers: [
                note.node_id("vector")?,
                note.node_id("logits")?,
                note.node_id("description")?,
            ],
            statistics: music.node_id("statistics")?,
            piece: music.node_id("music")?,
            note,
            music,
        })
    }

    /// What the network says of one picture. Pictures are not put together: a call is as
    /// quick with one, and its bits cannot depend on the others.
    pub(super) fn embed(&self, picture: &[f32]) -> Result<Answer> {
        let input = TensorView::from_data([1, 1, BANDS, COLUMNS].as_slice(), picture);
        let answers =
            self.note.run(vec![(self.mel, input.into())], &self.answers, Some(on_this_thread()))?;
        let mut answers = answers.into_iter().map(|answer| -> Result<Vec<f32>> {
            let tensor: Tensor<f32> = answer.try_into()?;
            Ok(tensor.to_vec())
        });
        let mut next = || answers.next().ok_or("the network gave too few answers")?;
        Ok(Answer { vector: next()?, logits: next()?, description: next()? })
    }

    /// The music vector of mean and deviation of the descriptions of a song's
    /// windows.
    pub(super) fn embed_piece(&self, statistics: &[f32]) -> Result<Vec<f32>> {
        let input = TensorView::from_data([1, statistics.len()].as_slice(), statistics);
        let answer = self
            .music
            .run(vec![(self.statistics, input.into())], &[self.piece], Some(on_this_thread()))?
            .pop()
            .ok_or("the music network gave no answer")?;
        let tensor: Tensor<f32> = answer.try_into()?;
        Ok(tensor.to_vec())
    }
}

fn on_this_thread() -> RunOptions {
    RunOptions::default().with_thread_pool(Some(pool_of_this_thread()))
}
