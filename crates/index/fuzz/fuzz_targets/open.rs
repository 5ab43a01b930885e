//! Damages the files of a sound index as the input says, and asks everything
//! of it: any answer is right that is not a panic.
//!
//! `cargo +nightly fuzz run open`, in this folder's parent.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use songrec_index::{Index, Key, Kind, Metric, Options, Precision, Query};

const FILES: [&str; 10] = [
    "head", "log", "rows.npy", "slots", "table", "directory", "codes", "lists-2", "blocks-2",
    "places-2",
];
const DIMENSION: usize = 8;

fn row(number: u32) -> Vec<f32> {
    (0..DIMENSION as u32).map(|i| ((number * 31 + i * 7) % 97) as f32 - 48.5).collect()
}

fn sound(dir: &Path) {
    let options = Options { dimension: DIMENSION, metric: Metric::Cosine, kind: Kind::Ivf };
    let index = Index::create(dir, &options).expect("a new folder");
    let rows: Vec<Vec<f32>> = (0..80).map(row).collect();
    let batch: Vec<(Key, &[f32])> =
        rows.iter().zip(0_u128..).map(|(row, id)| (Key::from(id), row.as_slice())).collect();
    index.put(&batch).expect("room for 80 rows");
    index.build(&|| false).expect("rows to arrange");
}

// Each five bytes are one change: a file, a place in it, and what goes there.
fuzz_target!(|changes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    sound(&path);
    for change in changes.chunks_exact(5) {
        let file = path.join(FILES[usize::from(change[0]) % FILES.len()]);
        let mut bytes = std::fs::read(&file).expect("a file of a sound index");
        let at = usize::from(u16::from_le_bytes([change[1], change[2]]));
        match change[3] {
            0 => bytes.truncate(at),
            _ if at < bytes.len() => bytes[at] = change[4],
            _ => {}
        }
        std::fs::write(&file, bytes).expect("a file that can be written");
    }
    let Ok(index) = Index::open(&path) else { return };
    let _ = index.verify();
    let query = vec![1.0; index.dimension()];
    for precision in [Precision::Auto, Precision::Exact, Precision::Proved] {
        let _ = index.search(&Query { precision, ..Query::new(&query, 5) });
    }
    let _ = index.put(&[(Key::from(7_u128), &query), (Key::from(1000_u128), &query)]);
    let _ = index.remove(&[Key::from(9_u128)]);
    let _ = index.build(&|| false);
    let _ = index.keys();
});
