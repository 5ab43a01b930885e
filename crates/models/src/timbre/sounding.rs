//! The measured values of a short sound, without the silence around it.

use songrec_audio::{
    BlockSink,
    dsp::{SAMPLE_RATE, dsp45, values45},
};

/// Longer sounds, in samples (10 s), are measured with the silence around them: it
/// is a small part of them.
const LONGEST: usize = 10 * SAMPLE_RATE as usize;
/// What is quieter than the peak by more than this (60 dB) is silence.
const SILENT: f32 = 1e-3;
/// Less silence than this, in samples (34 ms), is left where it is: then the values
/// are those of `dsp45@1`, which are there already.
const LEAST: usize = SAMPLE_RATE as usize * 34 / 1000;

/// Keeps a short sound, to measure what is between the silence before and after it.
///
/// The values are means over the whole file, so a second of silence before a hit
/// moves it further than another instrument would; the network begins at the
/// attack on, and so should they. Keeps at most 1 MB.
#[derive(Debug, Default)]
pub(crate) struct Sounding {
    samples: Vec<f32>,
    is_long: bool,
}

impl BlockSink for Sounding {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn push(&mut self, samples: &[f32]) {
        self.is_long |= self.samples.len() + samples.len() > LONGEST;
        if self.is_long {
            self.samples = Vec::new();
        } else {
            self.samples.extend_from_slice(samples);
        }
    }

    /// Waits for [`values`](Sounding::values), which measures.
    fn end(&mut self) {}
}

impl Sounding {
    /// The 45 values of `dsp45@1` of what sounds; None where they are those of the
    /// whole: for a long sound, for silence, and for what has next to none around it.
    pub(crate) fn values(self) -> Option<Vec<f32>> {
        // Also false for what is no number.
        let size = |sample: &f32| if sample.is_finite() { sample.abs() } else { 0.0 };
        let peak = self.samples.iter().map(size).fold(0.0, f32::max);
        let sounds = |sample: &f32| size(sample) > peak * SILENT;
        let start = self.samples.iter().position(sounds)?;
        let end = self.samples.iter().rposition(sounds)? + 1;
        if start < LEAST && self.samples.len() - end < LEAST {
            return None;
        }
        values45(&self.samples[start..end]).as_ref().map(dsp45)
    }
}

#[cfg(test)]
mod tests {
    use songrec_audio::dsp::{Extractor, Source};

    use super::*;

    fn hit() -> Vec<f32> {
        let sample = |at: usize| {
            let time = at as f32 / SAMPLE_RATE as f32;
            (time * 1_300.0).sin() * (-time * 12.0).exp()
        };
        (0..SAMPLE_RATE as usize / 2).map(sample).collect()
    }

    fn values(samples: &[f32], block: usize) -> Option<Vec<f32>> {
        let mut sounding = Sounding::default();
        samples.chunks(block).for_each(|block| sounding.push(block));
        sounding.end();
        sounding.values()
    }

    #[test]
    fn silence_around_a_hit_does_not_change_its_values() {
        let silence = vec![0.0; SAMPLE_RATE as usize];
        let around = [silence.clone(), hit(), silence.clone()].concat();
        let before = [silence, hit()].concat();

        let found = values(&around, 777).unwrap();

        assert_eq!(found.len(), 45);
        assert_eq!(values(&before, 4_096).unwrap(), found);
        // The tail of the hit itself is cut off where it is silence.
        let peak = hit().into_iter().fold(0.0, f32::max);
        let end = hit().iter().rposition(|sample| sample.abs() > peak * SILENT).unwrap() + 1;
        let mut whole =
            Extractor::new(Source { sample_rate: SAMPLE_RATE, channels: 1, name: None });
        whole.push(&hit()[1..end]);
        assert_eq!(dsp45(&whole.finish().raw45.unwrap()), found);
    }

    #[test]
    fn what_is_long_or_silent_or_begins_at_once_is_measured_as_a_whole() {
        let sound = &hit()[..4_000];
        let long = [vec![0.0; LONGEST], sound.to_vec()].concat();
        assert_eq!(values(sound, 100), None);
        assert_eq!(values(&long, 9_999), None);
        for silent in [0.0, f32::NAN, f32::INFINITY] {
            assert_eq!(values(&vec![silent; 50_000], 1_000), None);
        }
        assert_eq!(values(&[], 1), None);
    }
}
