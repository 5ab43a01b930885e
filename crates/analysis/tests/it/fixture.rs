//! What `tools/analysis_fixtures.py` has written.

use std::path::Path;

use serde_json::Value;

/// The fixture of this name.
pub(crate) fn read(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = std::fs::read_to_string(folder.join(name).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The named rows, one after the other, and their dimension.
pub(crate) fn rows(name: &str) -> (Vec<f32>, usize) {
    let rows = matrix(&read("rows")[name]);
    let dimension = rows[0].len();
    (rows.iter().flatten().map(|value| *value as f32).collect(), dimension)
}

pub(crate) fn numbers(of: &Value) -> Vec<f64> {
    of.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

pub(crate) fn matrix(of: &Value) -> Vec<Vec<f64>> {
    of.as_array().unwrap().iter().map(numbers).collect()
}

/// Labels, with noise as −1.
pub(crate) fn labels(of: &Value) -> Vec<u32> {
    numbers(of)
        .into_iter()
        .map(|label| if label < 0.0 { songrec_analysis::NOISE } else { label as u32 })
        .collect()
}

pub(crate) fn count(of: &Value) -> usize {
    usize::try_from(of.as_u64().unwrap()).unwrap()
}
