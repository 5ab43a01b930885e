//! Fills a library with random songs and says how long everything takes.
//!
//! ```text
//! cargo run --profile dist -p songrec-bench --bin local_library -- [SONGS] [DIMENSION] [FOLDER]
//! ```
//!
//! A folder that holds a library already is used as it is, so that filling it
//! is paid once. Without a folder a temporary one is used.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Embedding, Filter, Job, Metric, ModelSpec, Silent, Vector};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{
    Lookup, NearestQuery, Order, OrderBy, PutMode, SongQuery, StorageBackend, VerifyOptions,
};
use songrec_testkit::{new_embedding, put, random_song};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let songs: usize = arguments.next().as_deref().unwrap_or("200000").parse()?;
    let dimension: usize = arguments.next().as_deref().unwrap_or("64").parse()?;
    let temporary = songrec_testkit::temp_dir();
    let folder = arguments.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let model = ModelSpec {
        name: "random@1".parse()?,
        dimension,
        metric: Metric::Cosine,
        description: String::new(),
    };

    let library = LocalBackend::open_or_create(&folder, LocalOptions::default(), &Silent).await?;
    library.embeddings().put_model(&model).await?;
    fill(&library, &model, songs).await?;
    drop(library);

    for round in ["first", "second", "third"] {
        let begin = Instant::now();
        let library = LocalBackend::open(&folder, &Silent).await?;
        println!("open ({round}): {}", ms(begin.elapsed()));
        drop(library);
    }
    let library = LocalBackend::open(&folder, &Silent).await?;
    ask(&library, &model).await?;

    drop(library);
    std::fs::remove_file(folder.join("catalog.sqlite"))?;
    std::fs::remove_dir_all(folder.join("index"))?;
    let begin = Instant::now();
    let library = LocalBackend::open(&folder, &Silent).await?;
    println!("open, building catalog and index: {:.1} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let found = library.maintenance().verify(&VerifyOptions::default(), &Job::silent()).await?;
    println!("verify: {:.1} s, {} findings", begin.elapsed().as_secs_f64(), found.len());
    Ok(())
}

async fn fill(library: &LocalBackend, model: &ModelSpec, songs: usize) -> Result<()> {
    let stored = usize::try_from(library.songs().count(&Filter::all()).await?)?;
    let mut rng = StdRng::seed_from_u64(stored as u64 + 1);
    let mut left = songs.saturating_sub(stored);
    // Scanning stores 64 at a time; what it takes is measured on the first.
    let mut measured = (0, Duration::ZERO);
    let begin = Instant::now();
    while left > 0 {
        let count = left.min(if measured.0 < 2_560 { 64 } else { 1_024 });
        let mut batch: Vec<_> = (0..count).map(|_| random_song(&mut rng)).collect();
        let embeddings: Vec<_> = batch
            .iter()
            .map(|song| {
                let values = (0..model.dimension).map(|_| rng.random_range(-1.0f32..1.0));
                let vector = Vector::new(values.collect()).expect("random values are finite");
                let embedding = Embedding { song: song.id, model: model.name.clone(), vector };
                new_embedding(song, embedding)
            })
            .collect();
        let begin = Instant::now();
        let references = library.embeddings().put(&embeddings).await?;
        for (song, reference) in batch.iter_mut().zip(references) {
            song.embeddings.insert(model.name.clone(), reference);
        }
        let puts: Vec<_> = batch.iter().map(|song| put(song, PutMode::Create)).collect();
        library.songs().put(&puts).await?;
        if count == 64 {
            measured = (measured.0 + count, measured.1 + begin.elapsed());
        }
        left -= count;
    }
    if measured.0 > 0 {
        let rate = measured.0 as f64 / measured.1.as_secs_f64();
        println!("stored in batches of 64: {rate:.0} songs/s");
    }
    println!("filled: {songs} songs in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn ask(library: &LocalBackend, model: &ModelSpec) -> Result<()> {
    let orders = [
        OrderBy::Id,
        OrderBy::Title,
        OrderBy::Artist,
        OrderBy::Album,
        OrderBy::Year,
        OrderBy::Bpm,
        OrderBy::Duration,
        OrderBy::Added,
    ];
    for by in orders {
        for descending in [false, true] {
            let order = Order { by, descending };
            let query = SongQuery { order, limit: 50, ..SongQuery::default() };
            let arrow = if descending { "down" } else { "up" };
            time_query(library, &format!("first page by {by:?} {arrow}"), &query).await?;
        }
    }
    let filters = [
        "genre:techno",
        "-genre:techno",
        "bpm:120..130",
        "year:1990..1994",
        "year:>=1990",
        "kick",
        "k",
        "deep kick 01",
        "path:drums",
        "artist:bjork",
        "key:Am",
        "loop:yes",
        "mood:*",
        "zzz",
        "genre:techno bpm:120..121 deep",
    ];
    for text in filters {
        // Words separated by spaces are one term; terms are given apart.
        let terms: Vec<&str> = match text {
            "genre:techno bpm:120..121 deep" => vec!["genre:techno", "bpm:120..121", "deep"],
            one => vec![one],
        };
        let filter = Filter::parse_all(&terms)?;
        let begin = Instant::now();
        let count = library.songs().count(&filter).await?;
        println!("count {text}: {} ({count} songs)", ms(begin.elapsed()));
        for by in [OrderBy::Id, OrderBy::Title, OrderBy::Year] {
            let order = Order { by, descending: false };
            let query =
                SongQuery { filter: filter.clone(), order, limit: 50, ..SongQuery::default() };
            time_query(library, &format!("  {text} by {by:?}"), &query).await?;
        }
    }
    let deep = SongQuery { skip: 100_000, limit: 50, ..SongQuery::default() };
    time_query(library, "page after 100,000 skipped", &deep).await?;

    let begin = Instant::now();
    let ids = library.songs().lookup(&[Lookup::IdPrefix("3f".into())]).await?;
    println!("look up a prefix: {} ({} ids)", ms(begin.elapsed()), ids[0].len());
    let begin = Instant::now();
    library.embeddings().get(&model.name, &ids[0]).await?;
    println!("read 20 embeddings: {}", ms(begin.elapsed()));

    let mut rng = StdRng::seed_from_u64(7);
    let values = (0..model.dimension).map(|_| rng.random_range(-1.0f32..1.0));
    let query = NearestQuery::new(model.name.clone(), Vector::new(values.collect())?, 10);
    for round in ["first", "second", "third"] {
        let begin = Instant::now();
        library.embeddings().nearest(&query).await?;
        println!("nearest ({round}): {}", ms(begin.elapsed()));
    }
    for text in ["genre:techno", "year:>=1990", "deep kick 01"] {
        let filter = Filter::parse_all(&[text])?;
        for round in ["first", "second"] {
            let begin = Instant::now();
            let filtered = NearestQuery { filter: filter.clone(), ..query.clone() };
            let hits = library.embeddings().nearest(&filtered).await?.len();
            println!("nearest {text} ({round}): {} ({hits} hits)", ms(begin.elapsed()));
        }
    }
    Ok(())
}

async fn time_query(library: &LocalBackend, name: &str, query: &SongQuery) -> Result<()> {
    let begin = Instant::now();
    let page = library.songs().find_summaries(query).await?;
    println!("{name}: {} ({} songs)", ms(begin.elapsed()), page.items.len());
    Ok(())
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
