//! One clip of samples: described frame by frame as it arrives, then as a
//! whole.

use super::{
    beat,
    chroma::{CLASSES, ChromaFilter},
    contrast::{self, Extremes},
    cqt, key,
    mel::{self, CEPSTRUM_13, CEPSTRUM_20, MELS},
    moments::Moments,
    onsets::LEAST_ONSETS,
    rhythm::{FRAME_RATE, OnsetStrength, Tempogram, onset_strength},
    salience::Salience,
    shape,
    shares::{self, GROWTH, grow},
    simd::{LANES, fold, vectorized},
    stft::{FRAME, HOP, PAD, PADDED_BINS, Spectrum, Stft, are_alike, frames},
    totals::{Totals, Trimmed, Whole},
    tuning::{self, FINE_STEPS, Peaks},
};

/// How far below the loudest frame the ends of a clip are silence, in dB.
const TRIM_DB: f32 = 20.0;
/// Bytes of shares that are given back before the constant-Q transform.
const MANY_SHARES: usize = 32 << 20;
/// Flatness, and pitch salience, are measured in every so many frames; they are
/// slow to compute and only their means are kept.
const FLATNESS_STEP: usize = 4;
const SALIENCE_STEP: usize = 8;

/// What is wanted of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    /// The 45 values alone.
    Values,
    /// All, of a clip that others may follow.
    Part,
    /// All, of the last clip of a song.
    Last,
}

/// What later stages need of every frame.
#[derive(Default)]
struct Rows {
    log_mel: Vec<f32>,
    extremes: Vec<Extremes>,
    /// Peaks of the power, from which `chroma_stft` is tuned.
    peaks: Peaks,
    /// Peaks of the magnitude, from which the constant-Q transform is tuned.
    fine_peaks: Peaks,
}

impl Rows {
    fn clear(&mut self) {
        self.log_mel.clear();
        self.extremes.clear();
        self.peaks.clear();
        self.fine_peaks.clear();
    }

    fn frames(&self) -> usize {
        self.extremes.len()
    }

    /// Appends frames of another list.
    fn extend(&mut self, other: &Self, frames: std::ops::Range<usize>) {
        self.log_mel.extend_from_slice(&other.log_mel[frames.start * MELS..frames.end * MELS]);
        self.extremes.extend_from_slice(&other.extremes[frames.clone()]);
        self.fine_peaks.extend(&other.fine_peaks, frames);
    }
}

/// A clip and what is known of it so far.
pub(super) struct Clip {
    /// [`PAD`] zeros, then the samples.
    padded: Vec<f32>,
    rows: Rows,
    /// Energy of the samples of each whole hop.
    energies: Vec<f32>,
    /// Changes of sign in each hop, and whether its first sample is one.
    crossings: Vec<(u16, bool)>,
    stft: Stft,
    magnitudes: Box<Spectrum>,
    /// The magnitudes of every frame, as shares of its largest: what pitch
    /// classes are taken from once the tuning is known. Half the memory of
    /// exact ones, and less work than a second transform.
    shares: Vec<u16>,
    shapes: [Moments; 3],
    flatness: Moments,
    salience: Moments,
    pitches: Salience,
}

impl Clip {
    pub(super) fn new() -> Self {
        Self {
            padded: vec![0.0; PAD],
            rows: Rows::default(),
            energies: Vec::new(),
            crossings: Vec::new(),
            stft: Stft::new(),
            magnitudes: Box::new([0.0; PADDED_BINS]),
            shares: Vec::new(),
            shapes: Default::default(),
            flatness: Moments::default(),
            salience: Moments::default(),
            pitches: Salience::new(),
        }
    }

    /// The number of samples.
    pub(super) fn len(&self) -> usize {
        self.padded.len() - PAD
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        let at = self.padded.len();
        grow(&mut self.padded, samples.len(), GROWTH);
        self.padded.extend_from_slice(samples);
        super::clean(&mut self.padded[at..]);
        self.describe();
    }

    /// Describes the frames and hops that are complete.
    fn describe(&mut self) {
        while (self.energies.len() + 1) * HOP <= self.len() {
            self.describe_hop(HOP);
        }
        // Pairs, so that the result does not depend on the size of blocks.
        while (self.rows.frames() + 1) * HOP + FRAME <= self.padded.len() {
            self.describe_frames(2);
        }
    }

    fn describe_hop(&mut self, length: usize) {
        let start = PAD + self.energies.len() * HOP;
        let hop = &self.padded[start..start + length];
        // The very first sample has none before it to differ from.
        let before = if start == PAD { hop[0] } else { self.padded[start - 1] };
        let (energy, changes) = vectorized(
            #[inline(always)]
            || (energy(hop), sign_changes(hop)),
        );
        let first = is_negative(before) != is_negative(hop[0]);
        self.energies.push(energy);
        self.crossings.push((changes + u16::from(first), first));
    }

    /// Describes the next frame, or the next two.
    fn describe_frames(&mut self, count: usize) {
        let first = self.rows.frames();
        let Self {
            padded,
            stft,
            magnitudes,
            rows,
            energies,
            shares,
            shapes,
            flatness,
            salience,
            pitches,
            ..
        } = self;
        let frame = |at: usize| &padded[at * HOP..at * HOP + FRAME];
        let energy = |at: usize| {
            let reach = PAD / HOP;
            let hops = at.saturating_sub(reach)..(at + reach).min(energies.len());
            energies[hops].iter().sum::<f32>()
        };
        let mut note = |at: usize, power: &Spectrum| {
            let top = push_row(power, magnitudes, rows);
            shares::push(magnitudes, top, shares);
            let shape = shape::shape(magnitudes);
            let values = [shape.centroid, shape.bandwidth, shape.rolloff];
            for (moments, value) in shapes.iter_mut().zip(values) {
                moments.push(f64::from(value));
            }
            if at.is_multiple_of(FLATNESS_STEP) {
                flatness.push(f64::from(shape::flatness(power)));
            }
            if at.is_multiple_of(SALIENCE_STEP) {
                // Loud frames say more about pitch than soft ones.
                let energy: f32 = power.iter().sum();
                salience.push_weighted(f64::from(pitches.of(power)), f64::from(energy));
            }
        };
        if count == 2 && are_alike(energy(first), energy(first + 1)) {
            let powers = stft.powers(frame(first), frame(first + 1));
            for (at, power) in (first..).zip(powers) {
                note(at, power);
            }
            return;
        }
        for at in first..first + count {
            note(at, stft.power(frame(at)));
        }
    }

    /// Adds the description of the whole clip to `totals` and empties the
    /// clip. An empty clip adds nothing.
    pub(super) fn finish(&mut self, scope: Scope, totals: &mut Totals) {
        let samples = self.len();
        if samples == 0 {
            return;
        }
        let rest = samples - self.energies.len() * HOP;
        if rest > 0 {
            self.describe_hop(rest);
        }
        self.padded.resize(PAD + samples + PAD, 0.0);
        while self.rows.frames() < frames(samples) {
            let left = frames(samples) - self.rows.frames();
            self.describe_frames(left.min(2));
        }

        let floor = mel::floor(&self.rows.log_mel);
        let onsets = onset_strength(&self.rows.log_mel, floor);
        let (tuning, classes) = self.add_whole(floor, &onsets, totals);
        if scope != Scope::Values {
            // No tempo is told of fewer onsets.
            if scope == Scope::Part || totals.whole.onsets.count() >= LEAST_ONSETS {
                totals.whole.pulse.add(&self.rows.log_mel, floor + mel::TOP_DB, &classes);
            }
            self.add_sounding(samples, tuning, floor, &onsets, totals);
        }
        totals.energies.extend_from_slice(&self.energies);
        totals.samples += samples as u64;
        self.clear();
    }

    /// What is of the clip without the silence at its ends: all but the 45 values.
    fn add_sounding(
        &mut self,
        samples: usize,
        tuning: usize,
        floor: f32,
        onsets: &OnsetStrength,
        totals: &mut Totals,
    ) {
        let (start, end) = self.sounding(samples);
        let whole = start == 0 && end == samples;
        let trimmed_rows = if whole { None } else { Some(self.trimmed_rows(start, end)) };
        self.add_pitches(trimmed_rows.as_ref().unwrap_or(&self.rows), (start, end), tuning, totals);
        match &trimmed_rows {
            None => self.add_trimmed(&self.rows, (start, end), floor, onsets, totals),
            Some(rows) => {
                let floor = mel::floor(&rows.log_mel);
                let onsets = onset_strength(&rows.log_mel, floor);
                self.add_trimmed(rows, (start, end), floor, &onsets, totals);
            }
        }
    }

    /// Bytes that are kept for samples and frames to come.
    pub(super) fn room(&self) -> usize {
        4 * (self.padded.capacity() + self.rows.log_mel.capacity()) + 2 * self.shares.capacity()
    }

    fn clear(&mut self) {
        self.padded.truncate(PAD);
        self.rows.clear();
        self.energies.clear();
        self.crossings.clear();
        self.shares.clear();
        self.shapes = Default::default();
        self.flatness = Moments::default();
        self.salience = Moments::default();
    }

    /// The samples from the first to behind the last frame that is not
    /// [`TRIM_DB`] below the loudest; whole hops but for the end.
    fn sounding(&self, samples: usize) -> (usize, usize) {
        let levels: Vec<f32> =
            self.levels(0, samples).map(|(rms, _)| (rms as f32).max(1e-5)).collect();
        let top = levels.iter().copied().fold(0.0, f32::max);
        let sounds = |level: &f32| 20.0 * (level / top).log10() > -TRIM_DB;
        let first = levels.iter().position(sounds).unwrap_or(0);
        let last = levels.iter().rposition(sounds).unwrap_or(levels.len() - 1);
        let (start, end) = (first * HOP, ((last + 1) * HOP).min(samples));
        if start < end { (start, end) } else { (0, samples) }
    }

    /// The root mean square and the zero-crossing rate of each frame of the
    /// samples from `start`, a multiple of the hop, to `end`.
    fn levels(&self, start: usize, end: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        let (first, last) = (start / HOP, end.div_ceil(HOP));
        let half = PAD / HOP;
        (0..frames(end - start)).map(move |frame| {
            let centre = first + frame;
            let hops = centre.saturating_sub(half).max(first)..(centre + half).min(last);
            let energy: f64 = self.energies[hops.clone()].iter().map(|&e| f64::from(e)).sum();
            // A frame does not count a change at its own first sample.
            let changes: u32 =
                self.crossings[hops.clone()].iter().map(|&(count, _)| u32::from(count)).sum();
            let own = hops.start < hops.end && self.crossings[hops.start].1;
            let rms = (energy / FRAME as f64).sqrt();
            (rms, f64::from(changes - u32::from(own)) / FRAME as f64)
        })
    }

    /// The frame of the clip centred on `centre`, silent outside of `start` to
    /// `end`.
    fn cut_frame(&self, centre: usize, start: usize, end: usize) -> Vec<f32> {
        let mut frame = self.padded[centre..centre + FRAME].to_vec();
        // Sample `i` of the clip is at `i + PAD - centre` of the frame.
        let index = |sample: usize| (sample + PAD).saturating_sub(centre).min(FRAME);
        frame[..index(start)].fill(0.0);
        frame[index(end)..].fill(0.0);
        frame
    }

    /// The rows of the clip cut to `start..end`. Only frames that reach over an
    /// end differ from those of the whole clip.
    fn trimmed_rows(&mut self, start: usize, end: usize) -> Rows {
        let first = start / HOP;
        let count = frames(end - start);
        let reach = PAD / HOP;
        let inner_start = if start == 0 { 0 } else { reach.min(count) };
        // The last frame that ends within the cut.
        let inner_end = if end == self.padded.len() - 2 * PAD {
            count
        } else {
            (frames(end - start).saturating_sub(reach)).max(inner_start)
        };
        let mut rows = Rows::default();
        for frame in 0..inner_start {
            self.push_cut_row((first + frame) * HOP, start, end, &mut rows);
        }
        rows.extend(&self.rows, first + inner_start..first + inner_end);
        for frame in inner_end..count {
            self.push_cut_row((first + frame) * HOP, start, end, &mut rows);
        }
        rows
    }

    fn push_cut_row(&mut self, centre: usize, start: usize, end: usize, rows: &mut Rows) {
        let frame = self.cut_frame(centre, start, end);
        push_row(self.stft.power(&frame), &mut self.magnitudes, rows);
    }

    /// What the 45-value set and the song's own features need. Returns the
    /// tuning of semitones, a step of [`tuning::offset`], and the pitch classes of
    /// every frame.
    fn add_whole(
        &mut self,
        floor: f32,
        onsets: &OnsetStrength,
        totals: &mut Totals,
    ) -> (usize, Vec<[f32; CLASSES]>) {
        let whole: &mut Whole = &mut totals.whole;
        whole.frames += self.rows.frames();
        let histogram = self.rows.peaks.histogram(12.0);
        let tuning = tuning::fullest(&histogram);
        let filter = ChromaFilter::of(tuning);
        for (sum, count) in whole.tuning.iter_mut().zip(histogram) {
            *sum += count;
        }
        let mut classes = Vec::with_capacity(self.rows.frames());
        let mut power = Box::new([0.0; PADDED_BINS]);
        for shares in self.shares.chunks_exact(PADDED_BINS) {
            shares::squares(shares, &mut power);
            let frame = filter.of_frame(&power);
            for (sum, class) in whole.chroma.iter_mut().zip(frame) {
                *sum += f64::from(class);
            }
            classes.push(frame);
        }
        if 2 * self.shares.capacity() > MANY_SHARES {
            self.shares = Vec::new();
        }

        let cepstrum = &*CEPSTRUM_13;
        let mut clipped = [0.0f32; MELS];
        for log_mel in self.rows.log_mel.chunks_exact(MELS) {
            let coefficients = vectorized(
                #[inline(always)]
                || {
                    for (out, value) in clipped.iter_mut().zip(log_mel) {
                        *out = if *value > floor { *value } else { floor };
                    }
                    cepstrum.of(&clipped)
                },
            );
            for (moments, value) in whole.mfcc.iter_mut().zip(coefficients) {
                moments.push(f64::from(value));
            }
        }

        let [centroid, bandwidth, rolloff] = &self.shapes;
        whole.centroid.merge(centroid);
        whole.bandwidth.merge(bandwidth);
        whole.rolloff.merge(rolloff);
        whole.flatness.merge(&self.flatness);
        whole.salience.merge(&self.salience);
        for (rms, crossing_rate) in self.levels(0, self.padded.len() - 2 * PAD) {
            whole.rms.push(rms);
            whole.crossing_rate.push(crossing_rate);
        }
        whole.tempogram.add(&onsets.mean);
        whole.onsets.extend(&onsets.mean);
        (tuning, classes)
    }

    /// Pitch classes, for the 47-value set and for the key.
    fn add_pitches(
        &self,
        rows: &Rows,
        (start, end): (usize, usize),
        semitones: usize,
        totals: &mut Totals,
    ) {
        let samples = &self.padded[PAD + start..PAD + end];
        let bins = tuning::fullest(&rows.fine_peaks.histogram(FINE_STEPS));
        let soft = key::soft(&self.energies[start / HOP..end.div_ceil(HOP)]);
        let pitches = cqt::sum(samples, bins, semitones, soft);
        let trimmed = &mut totals.trimmed;
        let sums = trimmed.chroma.iter_mut().chain(trimmed.pitches.as_flattened_mut());
        for (sum, value) in sums.zip(pitches.chroma.iter().chain(pitches.clear.as_flattened())) {
            *sum += value;
        }
    }

    /// What the 47-value set needs.
    fn add_trimmed(
        &self,
        rows: &Rows,
        (start, end): (usize, usize),
        floor: f32,
        onsets: &OnsetStrength,
        totals: &mut Totals,
    ) {
        let trimmed: &mut Trimmed = &mut totals.trimmed;
        trimmed.frames += rows.frames();
        let mut sums = [0.0f64; MELS];
        for log_mel in rows.log_mel.chunks_exact(MELS) {
            for (sum, value) in sums.iter_mut().zip(log_mel) {
                *sum += f64::from(value.max(floor));
            }
        }
        // The transform is linear: that of the sum is the sum of those.
        let count = rows.frames() as f64;
        let mean = sums.map(|sum| (sum / count) as f32);
        for (sum, value) in trimmed.mfcc.iter_mut().zip(CEPSTRUM_20.of(&mean)) {
            *sum += f64::from(value) * count;
        }
        for (sum, value) in trimmed.contrast.iter_mut().zip(contrast::sum(&rows.extremes)) {
            *sum += value;
        }
        for (rms, crossing_rate) in self.levels(start, end) {
            trimmed.rms.push(rms);
            trimmed.crossing_rate.push(crossing_rate);
        }
        for &strength in &onsets.mean {
            trimmed.onset.push(f64::from(strength));
        }
        let mut own = Tempogram::new();
        own.add(&onsets.median);
        if own.has_onsets() {
            let beats = beat::beats(&onsets.median, own.bpm());
            for gap in beats.windows(2) {
                trimmed.gaps.push((gap[1] - gap[0]) as f64 / FRAME_RATE);
            }
        }
        trimmed.tempogram.merge(&own);
    }
}

/// Appends what later stages need of a frame and writes its magnitudes, of
/// which it returns the largest.
fn push_row(power: &Spectrum, magnitudes: &mut Spectrum, rows: &mut Rows) -> f32 {
    mel::push_log_mel(power, &mut rows.log_mel);
    rows.extremes.push(contrast::extremes(power));
    let top = shape::magnitudes(power, magnitudes);
    rows.peaks.push(power, top * top);
    rows.fine_peaks.push(magnitudes, top);
    top
}

#[inline(always)]
fn energy(samples: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let chunks = samples.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane] * chunk[lane];
        }
    }
    fold(sums) + rest
}

/// Below zero by more than rounding.
#[inline(always)]
fn is_negative(sample: f32) -> bool {
    sample < -1e-10
}

/// Changes of sign within a slice.
#[inline(always)]
fn sign_changes(samples: &[f32]) -> u16 {
    let mut count = 0u16;
    for (before, after) in samples.iter().zip(&samples[1..]) {
        count += u16::from(is_negative(*before) != is_negative(*after));
    }
    count
}
