//! The vectors that a library keeps.

use std::sync::LazyLock;

use songrec_core::FeatureGroups;

use super::{scaler::Scaler, scaler45, scaler47};

/// The 45-value set, scaled by [`dsp45_scaler`].
pub const DSP45: &str = "dsp45@1";
/// The 45-value set, scaled by each vector's own mean and deviation.
pub const DSP45_ROW: &str = "dsp45-row@1";
/// The 47-value set, each value scaled by numbers that ship with it.
pub const DSP47: &str = "dsp47@2";
/// The 47-value set in its own units, scaled to length 1.
pub const DSP47_PLAIN: &str = "dsp47@1";

/// The 45 values as measured, in the order of [`DSP45_FEATURES`].
pub type Raw45 = [f32; 45];

/// What the 45 values are: names and units.
pub const DSP45_FEATURES: [&str; 45] = [
    "mfcc 1 mean",
    "mfcc 2 mean",
    "mfcc 3 mean",
    "mfcc 4 mean",
    "mfcc 5 mean",
    "mfcc 6 mean",
    "mfcc 7 mean",
    "mfcc 8 mean",
    "mfcc 9 mean",
    "mfcc 10 mean",
    "mfcc 11 mean",
    "mfcc 12 mean",
    "mfcc 13 mean",
    "mfcc 1 deviation",
    "mfcc 2 deviation",
    "mfcc 3 deviation",
    "mfcc 4 deviation",
    "mfcc 5 deviation",
    "mfcc 6 deviation",
    "mfcc 7 deviation",
    "mfcc 8 deviation",
    "mfcc 9 deviation",
    "mfcc 10 deviation",
    "mfcc 11 deviation",
    "mfcc 12 deviation",
    "mfcc 13 deviation",
    "chroma C",
    "chroma C#",
    "chroma D",
    "chroma Eb",
    "chroma E",
    "chroma F",
    "chroma F#",
    "chroma G",
    "chroma Ab",
    "chroma A",
    "chroma Bb",
    "chroma B",
    "centroid mean Hz",
    "centroid deviation Hz",
    "rolloff mean Hz",
    "zero-crossing rate mean",
    "tempo BPM",
    "rms mean",
    "bandwidth mean Hz",
];

static SCALER: LazyLock<Scaler> = LazyLock::new(|| {
    Scaler::new(scaler45::MEANS.to_vec(), scaler45::DEVIATIONS.to_vec())
        .expect("the numbers that ship with the set are a scaler")
});

static SCALER47: LazyLock<Scaler> = LazyLock::new(|| {
    Scaler::new(scaler47::MEANS.to_vec(), scaler47::DEVIATIONS.to_vec())
        .expect("the numbers that ship with the set are a scaler")
});

/// The scaler that belongs to revision 1 of the 45-value set.
///
/// It ships with the program, so that the vector is a function of the audio
/// alone and machines that share a library agree. A library that fits its own
/// scaler, by [`Scaler::fit`], keeps the vectors under another revision.
pub fn dsp45_scaler() -> &'static Scaler {
    &SCALER
}

/// The vector of `dsp45@1`.
pub fn dsp45(raw: &Raw45) -> Vec<f32> {
    SCALER.apply(raw)
}

/// The vector of `dsp45-row@1`: minus its mean, over its deviation.
pub fn dsp45_row(raw: &Raw45) -> Vec<f32> {
    let count = raw.len() as f64;
    let mean = raw.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = raw.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    let norm = variance.sqrt() + 1e-8;
    raw.iter().map(|&v| ((f64::from(v) - mean) / norm) as f32).collect()
}

/// The vector of `dsp47@2`: the six groups one after the other, each value minus
/// its usual mean, over its usual deviation.
///
/// Values that are not as many as the set has, which no sound has, are left as
/// they are.
pub fn dsp47(groups: &FeatureGroups) -> Vec<f32> {
    let values = in_a_row(groups);
    if values.len() == SCALER47.features() { SCALER47.apply(&values) } else { values }
}

/// The vector of `dsp47@1`: the six groups one after the other, scaled to
/// length 1.
///
/// The groups keep their units, by definition, so the first cepstral
/// coefficients and the tempo weigh most, and it compares loudness above all. It is for
/// libraries that were made with it.
pub fn dsp47_plain(groups: &FeatureGroups) -> Vec<f32> {
    let values = in_a_row(groups);
    let norm = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    if norm == 0.0 {
        return values;
    }
    values.into_iter().map(|v| (f64::from(v) / norm) as f32).collect()
}

fn in_a_row(groups: &FeatureGroups) -> Vec<f32> {
    let FeatureGroups { mfcc, chroma, spectral_contrast, rhythm, zcr, rms } = groups;
    [mfcc, chroma, spectral_contrast, rhythm, zcr, rms].into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_scaled_by_itself_has_mean_zero_and_deviation_one() {
        let raw: Raw45 = std::array::from_fn(|i| (i * i) as f32 - 300.0);

        let row = dsp45_row(&raw);

        let mean = row.iter().sum::<f32>() / 45.0;
        let variance = row.iter().map(|v| v * v).sum::<f32>() / 45.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4);
        assert!(dsp45_row(&[3.0; 45]).iter().all(|v| *v == 0.0));
    }

    #[test]
    fn no_value_of_the_47_outweighs_the_others() {
        let groups = |by: f64| {
            let at = |first: usize, count: usize| -> Vec<f32> {
                let value = |i| scaler47::MEANS[i] + by * scaler47::DEVIATIONS[i];
                (first..first + count).map(|i| value(i) as f32).collect()
            };
            FeatureGroups {
                mfcc: at(0, 20),
                chroma: at(20, 12),
                spectral_contrast: at(32, 7),
                rhythm: at(39, 4),
                zcr: at(43, 2),
                rms: at(45, 2),
            }
        };

        let (usual, unusual) = (dsp47(&groups(0.0)), dsp47(&groups(1.5)));

        assert!(usual.iter().all(|value| value.abs() < 1e-3), "{usual:?}");
        assert!(unusual.iter().all(|value| (value - 1.5).abs() < 1e-3), "{unusual:?}");
        let plain = dsp47_plain(&groups(0.0));
        assert!((plain.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn the_scaler_has_a_feature_for_each_value() {
        assert_eq!(dsp45_scaler().features(), DSP45_FEATURES.len());
    }
}
