//! From a song's samples to what the network says of it.

use std::{cell::RefCell, sync::mpsc, thread};

use songrec_audio::{
    BlockSink,
    picture::{RATE, picture},
};
use songrec_core::{Features, Vector};

use super::{
    DIMENSION, TIMBRE,
    classes::CLASSES,
    network::Network,
    piece::{PIECE, Spectrum, piece},
    unit,
    windows::SpreadWindows,
};
use crate::error::{ModelError, ModelErrorKind};

/// Fewer windows, which are less than 6.88 s, are no piece.
const LEAST_WINDOWS: usize = 5;

/// What lasts longer, in seconds, is a song, with many instruments.
const LONGEST: f64 = 60.0;
/// Instruments of which more than [`HITS`] onsets are no single sound.
const PERCUSSIVE: [&str; 8] =
    ["kick", "snare", "clap", "hat", "open_hat", "tom", "cymbal", "percussion"];
const HITS: f64 = 3.5;
/// How sure an instrument is that the name of a file says: of a sound, of what is
/// long enough to have a title, and of a sound that sounds like it.
const NAMED: f32 = 0.8;
const TITLED: f32 = 0.5;
const AGREED: f32 = 0.95;
/// What lasts longer, in seconds, may have a title.
const TITLE: f64 = 30.0;

/// How long the network's part of the vector of a sound is, where that of the measured
/// values is 1.
const NETWORK: f64 = 2.0;
/// How long the network's part and the measured values of a piece are, where what tells
/// pieces apart is 1.
const IN_PIECE: (f64, f64) = (0.7, 0.3);
/// The values of `dsp45@1` that a louder copy has others of: the mean of the first
/// cepstral coefficient and that of the RMS level.
const LEVELS: [usize; 2] = [0, 43];

const HAT: &str = "hat";
const OPEN_HAT: &str = "open_hat";

/// Values of the network's vector of single sounds.
const NOTE: usize = 96;

/// Takes a song's samples, and runs the network at the end.
#[derive(Debug, Default)]
pub(crate) struct TimbreEmbedder {
    windows: SpreadWindows,
}

/// What the network says of a song.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimbreOutput {
    /// The mean of the windows' vectors, at length 1: 96 values.
    pub(crate) note: Vec<f32>,
    /// The spectrum of the windows: 384 values. None for fewer than five of them.
    pub(crate) spectrum: Option<Vec<f64>>,
    /// The probability of each class; together 1.
    pub(crate) probabilities: Vec<f32>,
}

impl BlockSink for TimbreEmbedder {
    fn sample_rate(&self) -> u32 {
        RATE
    }

    fn push(&mut self, samples: &[f32]) {
        self.windows.push(samples);
    }

    /// Waits for [`finish`](TimbreEmbedder::finish), which runs the network.
    fn end(&mut self) {}
}

impl TimbreEmbedder {
    /// What the network says; None if there was no sound.
    ///
    /// # Errors
    ///
    /// When the network could not be run.
    pub(crate) fn finish(self) -> Result<Option<TimbreOutput>, ModelError> {
        let windows = self.windows.finish();
        if windows.is_empty() {
            return Ok(None);
        }
        run_beside(windows).map(Some).map_err(|error| {
            ModelError::new(TIMBRE, ModelErrorKind::Failed, "its network could not be run")
                .because(error)
                .with_hint("report this as a bug: the network is a part of songrec")
        })
    }
}

type RunResult = Result<TimbreOutput, Box<dyn std::error::Error + Send + Sync>>;

/// Windows for the network, and where its answer goes.
struct Job {
    windows: Vec<Vec<f32>>,
    answer: mpsc::SyncSender<RunResult>,
}

thread_local! {
    /// The thread beside this one on which the network runs; it ends with this one.
    static BESIDE: RefCell<Option<mpsc::Sender<Job>>> = const { RefCell::new(None) };
}

/// Runs the network on a thread beside the one that calls, and waits for it.
///
/// The network brings a thread pool of its own. A thread of another pool, such as
/// that of a scan, that waits for it takes up other work meanwhile: the next file,
/// in the middle of this one. So a plain thread waits in its place.
fn run_beside(windows: Vec<Vec<f32>>) -> RunResult {
    let (answer, answered) = mpsc::sync_channel(1);
    let job = Job { windows, answer };
    BESIDE.with_borrow_mut(|beside| -> std::io::Result<()> {
        let unsent = match beside.as_ref() {
            Some(jobs) => jobs.send(job).err().map(|mpsc::SendError(job)| job),
            None => Some(job),
        };
        // There is none yet, or it ended by a panic.
        if let Some(job) = unsent {
            let (jobs, next) = mpsc::channel::<Job>();
            thread::Builder::new().name("timbre network".to_owned()).spawn(move || {
                for Job { windows, answer } in next {
                    // Nobody waits for it if the caller ended.
                    let _ = answer.send(run(windows));
                }
            })?;
            let _ = jobs.send(job);
            *beside = Some(jobs);
        }
        Ok(())
    })?;
    answered.recv().map_err(|_| "the network's thread ended")?
}

fn run(windows: Vec<Vec<f32>>) -> RunResult {
    let network = Network::get()?;
    let count = windows.len();
    let mut vectors = Means::default();
    let mut logits = Means::default();
    let mut spectrum = Spectrum::default();
    for window in windows {
        let picture = picture(&window);
        let answer = network.embed(&picture)?;
        vectors.add(&answer.vector);
        logits.add(&answer.logits);
        spectrum.add(&picture);
    }
    let note = unit(&vectors.means());
    let probabilities = softmax(&logits.means());
    if note.len() != NOTE || probabilities.len() != CLASSES.len() {
        return Err("the network's answers have other sizes".into());
    }
    let spectrum = (count >= LEAST_WINDOWS).then(|| spectrum.values());
    Ok(TimbreOutput { note, spectrum, probabilities })
}

impl TimbreOutput {
    /// The vector of `timbre@7`, with the values of `dsp45@1` and `dsp47@2`; None if it
    /// had no direction, which no sound has. What the network does not get, because it is
    /// above 16 kHz, has the values of `dsp45@1` alone.
    pub(crate) fn vector(output: Option<&Self>, dsp45: &[f32], dsp47: &[f32]) -> Option<Vector> {
        let values: Vec<f64> = (dsp45.iter().enumerate())
            .filter(|(at, _)| !LEVELS.contains(at))
            .map(|(_, value)| f64::from(*value))
            .collect();
        let tells_apart = output.and_then(|output| output.spectrum.as_ref()).and_then(|spectrum| {
            let measures: Vec<f64> = values
                .iter()
                .copied()
                .chain(doubled(dsp47))
                .chain(spectrum.iter().copied())
                .collect();
            piece(&measures)
        });
        let (note, measured) = match tells_apart {
            Some(_) => IN_PIECE,
            None => (NETWORK, 1.0),
        };
        let scaled = |values: &[f32], length: f64, joined: &mut Vec<f64>| {
            joined.extend(values.iter().map(|value| length * f64::from(*value)));
        };
        let mut joined = Vec::with_capacity(DIMENSION);
        if let Some(output) = output {
            scaled(&output.note, note, &mut joined);
        }
        joined.resize(NOTE, 0.0);
        scaled(&tells_apart.unwrap_or_else(|| vec![0.0; PIECE]), 1.0, &mut joined);
        scaled(&unit(&values), measured, &mut joined);
        let vector = Vector::new(unit(&joined)).ok()?;
        (vector.dimension() == DIMENSION && !vector.is_zero()).then_some(vector)
    }

    /// Writes what the network says into the features of a sound of `seconds`.
    pub(crate) fn describe(&self, seconds: f64, features: &mut Features) {
        features.vocal_probability = Some(self.probability("vocal"));
        let onsets = f64::from(features.onset_rate.unwrap_or(0.0)) * seconds;
        let (instrument, probability) = self.instrument();
        // A whole piece has many instruments, and a loop of drums is none of them.
        let is_one = seconds <= LONGEST && (onsets <= HITS || !PERCUSSIVE.contains(&instrument));
        if is_one && probability >= Features::SURE_HEARD {
            features.heard_instrument = Some(instrument.to_owned());
            features.heard_instrument_probability = Some(probability);
        }
        // Names are right more often than the network (90 % against 85 %): what it
        // says counts where they say nothing.
        let guessed = features.heard_instrument.clone();
        (features.instrument, features.instrument_confidence) = match &features.named_instrument {
            None => (guessed, features.heard_instrument_probability),
            Some(named) if guessed.as_ref() == Some(named) => (guessed, Some(AGREED)),
            Some(named) => {
                let sure = if seconds > TITLE { TITLED } else { NAMED };
                (Some(named.clone()), Some(sure))
            }
        };
    }

    /// The likeliest instrument and its probability: that of all its classes. An open
    /// hat is a hat, and is called open only where that alone is sure.
    fn instrument(&self) -> (&'static str, f32) {
        let open = self.probability(OPEN_HAT);
        let mut best = ("", 0.0);
        for (_, instrument) in CLASSES.iter().filter(|(_, instrument)| *instrument != OPEN_HAT) {
            let kinds = if *instrument == HAT { open } else { 0.0 };
            let probability = self.probability(instrument) + kinds;
            if probability > best.1 {
                best = (instrument, probability);
            }
        }
        match best.0 {
            HAT if open >= Features::SURE_HEARD => (OPEN_HAT, open),
            _ => best,
        }
    }

    /// The probability that it is this instrument.
    fn probability(&self, instrument: &str) -> f32 {
        let classes = CLASSES.iter().zip(&self.probabilities);
        classes.filter(|((_, of), _)| *of == instrument).map(|(_, probability)| probability).sum()
    }
}

/// Means of rows. In f64 and in the order of the rows, so that they are the same
/// everywhere.
#[derive(Default)]
struct Means {
    rows: f64,
    sums: Vec<f64>,
}

impl Means {
    fn add(&mut self, row: &[f32]) {
        self.rows += 1.0;
        self.sums.resize(row.len(), 0.0);
        for (sum, value) in self.sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }

    fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.rows).collect()
    }
}

/// With the precision in which they are summed.
fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn softmax(logits: &[f64]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|value| (value / sum) as f32).collect()
}
