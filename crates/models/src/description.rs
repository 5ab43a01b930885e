//! `model.toml`: what a model is and how it listens.

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, Metric, ModelName, ModelSpec};

use crate::{
    embedder::{Short, Windowing},
    engine::EngineKind,
};

/// What `model.toml` says: a model's name, its files, and how it listens.
///
/// The revision `0` is for descriptions of models in general, whose files are
/// not known yet; [adding](super::ModelFolder::add) such a model makes a
/// revision of its files' digests, so that other weights get another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Name and revision.
    pub name: ModelName,
    /// What family it is of.
    pub kind: Kind,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Elements of its vectors.
    pub dimension: usize,
    /// How its vectors are compared.
    #[serde(default)]
    pub metric: Metric,
    /// The engine that it needs, when not any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// Under which terms its weights may be used.
    #[serde(default)]
    pub licence: String,
    /// What to cite.
    #[serde(default)]
    pub citation: String,
    /// Where it comes from.
    #[serde(default)]
    pub homepage: String,
    /// The windows that it embeds.
    #[serde(rename = "listening")]
    pub windowing: WindowingTable,
    /// What is made of a window before the engine sees it.
    pub front_end: FrontEnd,
    /// The file that embeds.
    pub audio: AudioTower,
    /// The file that reads, if the model can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextTower>,
}

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// LAION-CLAP: text and audio in one space.
    Clap,
    /// Microsoft's CLAP.
    MsClap,
    /// Wav2Vec2 and its like, on speech.
    Wav2vec2,
    /// MERT: music.
    Mert,
    /// Anything else that takes a window and gives a vector.
    Other,
}

/// The windows that a model embeds, and what becomes of their vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowingTable {
    /// Samples per second.
    pub sample_rate: u32,
    /// Length of a window in seconds.
    pub window: f64,
    /// Seconds from one window's start to the next's; the window's length if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<f64>,
    /// What is done with songs shorter than a window.
    #[serde(default)]
    pub short: Short,
    /// How the vectors of windows become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    #[serde(default = "yes")]
    pub normalize: bool,
}

/// How the vectors of windows become the vector of a song.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean, each window counted by the audio that it is first to cover.
    #[default]
    Mean,
}

/// What is made of a window before the engine sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FrontEnd {
    /// The samples themselves: `[batch, samples]`.
    Samples,
    /// The samples with mean 0 and variance 1, as `Wav2Vec2FeatureExtractor`
    /// makes them: `[batch, samples]`.
    NormalizedSamples,
    /// Decibels of mel bands, as `ClapFeatureExtractor` makes them:
    /// `[batch, channels, frames, mels]`.
    LogMel {
        /// Samples of a frame.
        frame: usize,
        /// Samples from frame to frame.
        hop: usize,
        /// Mel bands.
        mels: usize,
        /// The lowest frequency in Hz; 50 for the published CLAPs.
        min_hz: f64,
        /// The highest frequency in Hz.
        max_hz: f64,
        /// Where bands lie and how they are weighed.
        scale: MelScale,
        /// How often the spectrogram is given: 4 for models with fusion.
        #[serde(default = "one")]
        channels: usize,
    },
}

/// Where mel bands lie and how they are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MelScale {
    /// Slaney's scale, every band of the same area.
    Slaney,
    /// HTK's scale, every band of the same height.
    Htk,
}

/// The ONNX file that embeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioTower {
    /// Its name in the folder.
    pub file: String,
    /// Its digest; absent only before a model is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The name of its input.
    pub input: String,
    /// The name of its output: `[batch, dimension]`, or
    /// `[batch, frames, dimension]`, of which the mean over frames is taken.
    pub output: String,
}

/// The ONNX file that reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTower {
    /// Its name in the folder.
    pub file: String,
    /// Its digest; absent only before a model is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The input for token ids, `[batch, tokens]`.
    pub ids: String,
    /// The input that tells tokens from padding, `[batch, tokens]`, if the
    /// model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// The name of its output, `[batch, dimension]`.
    pub output: String,
    /// How texts become tokens.
    pub tokenizer: TokenizerFile,
}

/// How texts become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerFile {
    /// A `tokenizer.json`, by its name in the folder.
    pub file: String,
    /// Its digest; absent only before a model is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The most tokens that the model takes; the rest of a text is cut off.
    pub max_length: usize,
    /// The token that fills up shorter texts of a batch.
    pub pad_id: u32,
    /// Whether every text is filled up to `max_length`, not only to the
    /// longest of its batch.
    #[serde(default)]
    pub pad_to_max: bool,
    /// What is written behind every text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

/// A description that makes no sense: what is wrong, and what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDescription(String);

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

impl Description {
    /// Reads a `model.toml`.
    ///
    /// # Errors
    ///
    /// When it is not TOML, lacks something, has something that nobody knows,
    /// or makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, InvalidDescription> {
        let description: Self = toml::from_str(text)
            .map_err(|error| InvalidDescription(error.to_string().trim_end().to_owned()))?;
        description.check()?;
        Ok(description)
    }

    /// Writes a `model.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a description is tables of plain values")
    }

    /// What a library has to know about the model.
    pub fn spec(&self) -> ModelSpec {
        ModelSpec {
            name: self.name.clone(),
            dimension: self.dimension,
            metric: self.metric,
            description: self.description.clone(),
        }
    }

    /// Which windows the model takes.
    pub fn windowing(&self) -> Windowing {
        let table = &self.windowing;
        let samples = |seconds: f64| (seconds * f64::from(table.sample_rate)).round() as usize;
        Windowing {
            sample_rate: table.sample_rate,
            window: samples(table.window),
            hop: samples(table.hop.unwrap_or(table.window)),
            short: table.short,
            normalize: table.normalize,
        }
    }

    /// Every file that it names, with what is known of its digest.
    pub fn files(&self) -> Vec<(&str, Option<Digest>)> {
        let text = self.text.iter().flat_map(|text| {
            [(&*text.file, text.sha256), (&*text.tokenizer.file, text.tokenizer.sha256)]
        });
        std::iter::once((&*self.audio.file, self.audio.sha256)).chain(text).collect()
    }

    fn check(&self) -> Result<(), InvalidDescription> {
        let wrong = |text: String| Err(InvalidDescription(text));
        if !(1..=65_536).contains(&self.dimension) {
            return wrong(format!("`dimension` is {}: expected 1 to 65536", self.dimension));
        }
        let table = &self.windowing;
        if !(4_000..=192_000).contains(&table.sample_rate) {
            return wrong(format!(
                "`listening.sample_rate` is {} Hz: expected 4000 to 192000",
                table.sample_rate
            ));
        }
        // Ten minutes is far more than any model embeds at once.
        if !(0.05..=600.0).contains(&table.window) {
            return wrong(format!(
                "`listening.window` is {} seconds: expected 0.05 to 600",
                table.window
            ));
        }
        if let Some(hop) = table.hop.filter(|hop| !(0.01..=table.window).contains(hop)) {
            return wrong(format!(
                "`listening.hop` is {hop} seconds: expected 0.01 to the window's {}",
                table.window
            ));
        }
        if let FrontEnd::LogMel { frame, hop, mels, min_hz, max_hz, channels, .. } = self.front_end
        {
            let window = self.windowing().window;
            let sensible = (16..=16_384).contains(&frame)
                && frame.is_multiple_of(2)
                && frame <= window
                && (1..=frame).contains(&hop)
                && (1..=1_024).contains(&mels)
                && (1..=16).contains(&channels)
                && (0.0..max_hz).contains(&min_hz)
                && max_hz <= f64::from(table.sample_rate) / 2.0;
            if !sensible {
                return wrong(
                    "`front_end` makes no sense: expected an even `frame` of 16 to 16384 samples \
                     that is no longer than the window, `hop` up to `frame`, up to 1024 `mels` \
                     between `min_hz` and `max_hz` up to half the sample rate, 1 to 16 `channels`"
                        .to_owned(),
                );
            }
            if table.short == Short::Keep {
                return wrong(
                    "`listening.short` is `keep`, but a mel spectrogram has a fixed length: \
                     expected `repeat`, `repeat_and_cut` or `silence`"
                        .to_owned(),
                );
            }
        }
        if let Some(text) = &self.text
            && !(2..=65_536).contains(&text.tokenizer.max_length)
        {
            return wrong(format!(
                "`text.tokenizer.max_length` is {}: expected 2 to 65536",
                text.tokenizer.max_length
            ));
        }
        let mut names: Vec<&str> = self.files().into_iter().map(|(file, _)| file).collect();
        for name in &names {
            let plain = !name.is_empty()
                && !name.starts_with('.')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !plain || *name == "model.toml" {
                return wrong(format!(
                    "`{name}` is no name for a model's file: expected letters, digits, `.`, `_` \
                     and `-`, such as `audio.onnx`"
                ));
            }
        }
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("`{}` is named twice: expected a file for each part", twice[0]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAP: &str = r#"
        name = "clap@7"
        kind = "clap"
        dimension = 512
        [listening]
        sample_rate = 48000
        window = 10.0
        [front_end]
        kind = "log_mel"
        frame = 1024
        hop = 480
        mels = 64
        min_hz = 50.0
        max_hz = 14000.0
        scale = "slaney"
        [audio]
        file = "audio.onnx"
        input = "input_features"
        output = "audio_embeds"
    "#;

    #[test]
    fn a_description_says_how_to_listen() {
        let description = Description::from_toml(CLAP).unwrap();

        let windowing = description.windowing();
        assert_eq!(
            (windowing.sample_rate, windowing.window, windowing.hop),
            (48_000, 480_000, 480_000)
        );
        assert_eq!(windowing.short, Short::Repeat);
        assert!(windowing.normalize);
        assert_eq!(Description::from_toml(&description.to_toml()).unwrap(), description);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (from, to, named) in [
            ("dimension = 512", "dimension = 0", "dimension"),
            ("kind = \"clap\"", "kind = \"clop\"", "clop"),
            ("window = 10.0", "window = 10.0\nhop = 11.0", "hop"),
            ("window = 10.0", "window = 10.0\nwidth = 11.0", "width"),
            ("window = 10.0", "window = nan", "window"),
            ("max_hz = 14000.0", "max_hz = 25000.0", "max_hz"),
            ("max_hz = 14000.0", "max_hz = nan", "max_hz"),
            ("hop = 480", "hop = 0", "front_end"),
            ("audio.onnx", "../audio.onnx", "../audio.onnx"),
            ("audio.onnx", "model.toml", "model.toml"),
            ("clap@7", "clap", "name@revision"),
            ("dimension = 512", "dimension = 512\nengine = \"tract\"", "tract"),
        ] {
            let text = CLAP.replacen(from, to, 1);
            assert_ne!(text, CLAP);
            let error = Description::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}
