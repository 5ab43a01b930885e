//! Beat tracking by dynamic programming (Ellis, *Beat Tracking by Dynamic
//! Programming*, 2007), with the details of librosa's `beat_track`.

use super::rhythm::FRAME_RATE;

const TIGHTNESS: f64 = 100.0;

/// The frames at which the beats of a clip fall, given its median onset
/// strength and tempo.
pub(super) fn beats(strength: &[f32], bpm: f64) -> Vec<usize> {
    if bpm <= 0.0 || strength.iter().all(|&s| s == 0.0) {
        return Vec::new();
    }
    let period = (FRAME_RATE * 60.0 / bpm).round_ties_even();
    let score = local_score(&normalized(strength), period);
    let (links, total) = best_paths(&score, period);
    let mut beats = Vec::new();
    let mut at = Some(last_beat(&total));
    while let Some(beat) = at {
        beats.push(beat);
        at = links[beat];
    }
    beats.reverse();
    trimmed(&score, beats)
}

/// Divided by the sample standard deviation.
fn normalized(strength: &[f32]) -> Vec<f64> {
    let count = strength.len() as f64;
    let mean = strength.iter().map(|&s| f64::from(s)).sum::<f64>() / count;
    let squares: f64 = strength.iter().map(|&s| (f64::from(s) - mean).powi(2)).sum();
    // One frame has no deviation; librosa gets NaN there and finds no beat.
    let deviation = if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { f64::INFINITY };
    let norm = deviation + f64::from(f32::MIN_POSITIVE);
    strength.iter().map(|&s| f64::from(s) / norm).collect()
}

/// Smoothed with a narrow bell, a sixteenth of a beat wide.
fn local_score(strength: &[f64], period: f64) -> Vec<f64> {
    let half = period as usize;
    let bell: Vec<f64> = (0..=2 * half)
        .map(|i| (-0.5 * ((i as f64 - period) * 32.0 / period).powi(2)).exp())
        .collect();
    let frames = strength.len();
    (0..frames)
        .map(|at| {
            let first = (at + half + 1).saturating_sub(frames);
            // The upper bound leaves out the very first frame, as librosa's
            // convolution does.
            let last = (at + half).min(bell.len());
            (first..last).map(|k| bell[k] * strength[at + half - k]).sum()
        })
        .collect()
}

/// For each frame, the best beat before it, and the score of the path there.
fn best_paths(score: &[f64], period: f64) -> (Vec<Option<usize>>, Vec<f64>) {
    let nearest = (period / 2.0).round_ties_even() as usize;
    let farthest = 2 * period as usize;
    let penalties: Vec<f64> =
        (0..=farthest).map(|gap| TIGHTNESS * ((gap as f64).ln() - period.ln()).powi(2)).collect();
    let quiet = 0.01 * score.iter().copied().fold(f64::MIN, f64::max);
    let mut links = vec![None; score.len()];
    let mut total = vec![0.0; score.len()];
    let mut before_first = true;
    for at in 0..score.len() {
        let mut best = (f64::NEG_INFINITY, None);
        for gap in nearest.max(1)..=farthest.min(at) {
            let path = total[at - gap] - penalties[gap];
            if path > best.0 {
                best = (path, Some(at - gap));
            }
        }
        total[at] = score[at] + if best.1.is_some() { best.0 } else { 0.0 };
        if !(before_first && score[at] < quiet) {
            links[at] = best.1;
            before_first = false;
        }
    }
    // Nothing comes before the first frame.
    links[0] = None;
    (links, total)
}

/// The last local maximum that is at least half the median of them.
fn last_beat(total: &[f64]) -> usize {
    let frames = total.len();
    let is_peak = |at: usize| {
        at > 0 && total[at] > total[at - 1] && (at + 1 == frames || total[at] >= total[at + 1])
    };
    let mut peaks: Vec<f64> = (0..frames).filter(|&at| is_peak(at)).map(|at| total[at]).collect();
    if peaks.is_empty() {
        return frames - 1;
    }
    peaks.sort_by(f64::total_cmp);
    let half = peaks.len() / 2;
    let median = if peaks.len().is_multiple_of(2) {
        (peaks[half - 1] + peaks[half]) / 2.0
    } else {
        peaks[half]
    };
    let threshold = 0.5 * median;
    (0..frames).rev().find(|&at| is_peak(at) && total[at] >= threshold).unwrap_or(frames - 1)
}

/// Without the weak beats at both ends.
fn trimmed(score: &[f64], beats: Vec<usize>) -> Vec<usize> {
    // A Hann window of five, whose ends are zero.
    let at = |beat: isize| {
        usize::try_from(beat).ok().and_then(|beat| beats.get(beat)).map_or(0.0, |&beat| score[beat])
    };
    // librosa's slice of the convolution runs two beyond the beats when there
    // are frames enough.
    let count = (beats.len() + 2).min(score.len());
    let squares: f64 =
        (0..count as isize).map(|i| (0.5 * at(i - 1) + at(i) + 0.5 * at(i + 1)).powi(2)).sum();
    let threshold = 0.5 * (squares / count as f64).sqrt();
    let first = score.iter().position(|&s| s > threshold).unwrap_or(score.len());
    let last = score.iter().rposition(|&s| s > threshold).unwrap_or(0);
    beats.into_iter().filter(|beat| (first..=last).contains(beat)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_fall_on_regular_clicks() {
        let strength: Vec<f32> = (0..800).map(|at| f32::from(at % 22 == 5)).collect();

        let beats = beats(&strength, 60.0 * FRAME_RATE / 22.0);

        assert!(beats.len() >= 34, "{beats:?}");
        assert!(beats.iter().all(|beat| beat % 22 == 5), "{beats:?}");
    }

    #[test]
    fn silence_and_single_frames_have_no_beat() {
        assert!(beats(&[0.0; 100], 120.0).is_empty());
        assert!(beats(&[1.0], 120.0).is_empty());
    }
}
