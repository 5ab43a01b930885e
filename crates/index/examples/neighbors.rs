//! Keeps some vectors in a folder and asks for neighbors, with a filter.
//!
//! `cargo run -p songrec-index --example neighbors`
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use songrec_index::{Error, Filter, Index, Key, Kind, Metric, Options, Query, RowSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join("songrec-index-example");
    let options = Options { dimension: 3, metric: Metric::Cosine, kind: Kind::Auto };
    let index = match Index::open(&dir) {
        Ok(index) => index,
        Err(Error::Missing { .. }) => Index::create(&dir, &options)?,
        // What is damaged is built again from the vectors it was built from.
        Err(error) if error.is_rebuildable() => {
            std::fs::remove_dir_all(&dir)?;
            Index::create(&dir, &options)?
        }
        Err(error) => return Err(error.into()),
    };

    let songs: [(u128, [f32; 3]); 4] =
        [(1, [0.9, 0.1, 0.0]), (2, [0.8, 0.3, 0.1]), (3, [0.1, 0.9, 0.2]), (4, [0.7, 0.0, 0.6])];
    let rows: Vec<(Key, &[f32])> =
        songs.iter().map(|(id, row)| (Key::from(*id), row.as_slice())).collect();
    index.put(&rows)?;
    if index.wants_build() {
        index.build(&|| false)?;
    }

    let wanted = RowSet::new([2, 3, 4].map(Key::from));
    let like = [1.0, 0.1, 0.0];
    let mut query = Query::new(&like, 2);
    query.filter = Filter::Rows(&wanted);
    for hit in index.search(&query)? {
        println!("{}  similarity {:.3}", hit.key, hit.similarity);
    }
    Ok(())
}
