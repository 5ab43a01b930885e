//! Draws maps of rows: graphs of neighbors, UMAP and t-SNE, each with its time.
//!
//! `map graph|umap|tsne ROWS.npy OUT.npy` writes numbers of neighbors or places;
//! `tools/bench_map_peers.py` runs it beside other implementations on the same rows.

use std::{error::Error, fs, time::Instant};

use songrec_analysis::{Graph, GraphOptions, Rows, TsneOptions, UmapOptions, tsne, umap};
use songrec_core::Job;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, from, to] = arguments.as_slice() else {
        return Err("map graph|umap|tsne ROWS.npy OUT.npy".into());
    };
    let (values, dimension) = read(from)?;
    let rows = Rows::new(&values, dimension)?;
    let job = Job::silent();
    let start = Instant::now();
    let k = if what == "tsne" { TsneOptions::default().neighbors() } else { 15 };
    let graph = Graph::new(rows, &GraphOptions { k, ..GraphOptions::default() }, &job)?;
    told("graph", start);
    let start = Instant::now();
    let map = match what.as_str() {
        "graph" => {
            let numbers = graph.neighbors.iter().flat_map(|x| x.to_le_bytes()).collect();
            return Ok(write(to, "<u4", numbers, k)?);
        }
        "umap" => umap(rows, &graph, &UmapOptions::default(), &job)?,
        "tsne" => tsne(rows, &graph, &TsneOptions::default(), &job)?,
        _ => return Err("graph, umap or tsne".into()),
    };
    told("map", start);
    let places = map.values().iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(write(to, "<f4", places, map.dimensions())?)
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn told(what: &str, start: Instant) {
    println!("{what} {:.2}", start.elapsed().as_secs_f64());
}

/// The values of an `.npy` file of float32 rows, and how many a row has.
fn read(path: &str) -> Result<(Vec<f32>, usize), Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let (start, rest) = bytes.split_at_checked(10).ok_or("too short")?;
    let length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    let (head, values) = rest.split_at_checked(length).ok_or("too short")?;
    let head = std::str::from_utf8(head)?;
    if !head.contains("'<f4'") || head.contains("'fortran_order': True") {
        return Err("not float32 rows, one after the other".into());
    }
    let shape = head.split_once("'shape': (").ok_or("no shape")?.1;
    let dimension = shape.split([',', ')']).nth(1).ok_or("not rows")?.trim().parse()?;
    Ok((values.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect(), dimension))
}

/// Writes rows of `dimension` values of 4 bytes.
fn write(path: &str, kind: &str, values: Vec<u8>, dimension: usize) -> std::io::Result<()> {
    let shape = (values.len() / 4 / dimension, dimension);
    let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape:?}, }}");
    // The values begin at a multiple of 64, behind a line end.
    let length = (10 + head.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{head:<width$}\n", width = length - 1).bytes());
    bytes.extend(values);
    fs::write(path, bytes)
}
