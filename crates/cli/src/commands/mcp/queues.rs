//! Songs that go on from songs, and that lead from one to another, for a language model.

use serde::Deserialize;
use serde_json::{Value, json};
use songrec_core::Filter;
use songrec_library::{
    BetweenOptions, Error, Example, Library, RadioOptions, between, find, radio,
};

/// Songs of one answer at the most: a model reads all of them.
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    songs: Vec<String>,
    length: Option<usize>,
    minutes: Option<f64>,
    #[serde(default)]
    variety: f64,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    artist_spacing: usize,
    #[serde(default)]
    pub(super) filters: Vec<String>,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Way {
    a: String,
    b: String,
    length: Option<usize>,
    #[serde(default)]
    mix: bool,
    #[serde(default)]
    pub(super) filters: Vec<String>,
    model: Option<String>,
}

/// A queue that goes on from some songs.
pub(super) async fn queue(library: &Library, asked: Queue, filter: Filter) -> Result<Value, Error> {
    let options = RadioOptions {
        length: asked.length.map(within).transpose()?,
        minutes: asked.minutes,
        variety: asked.variety,
        seed: asked.seed,
        artist_spacing: asked.artist_spacing,
        album_spacing: 0,
        filter,
        played: Vec::new(),
        model: asked.model,
    };
    let examples: Vec<Example> = asked.songs.iter().map(Example::like).collect();
    let mut queue = radio(library, &examples, &options).await?;
    // Minutes may need more songs than a model reads.
    let left_out = queue.songs.len().saturating_sub(MOST);
    if left_out > 0 {
        queue.songs.truncate(MOST);
        queue.duration = queue.songs.iter().map(|song| song.summary.duration).sum();
        queue.notes.push(format!("{left_out} songs more are left out: an answer has {MOST}"));
    }
    Ok(json!(queue))
}

/// Songs that lead from one to another.
pub(super) async fn way(library: &Library, asked: Way, filter: Filter) -> Result<Value, Error> {
    let usual = BetweenOptions::default();
    let options = BetweenOptions {
        length: within(asked.length.unwrap_or(usual.length))?,
        mix: asked.mix,
        filter,
        model: asked.model,
    };
    let (a, b) = (find::song(library, &asked.a).await?, find::song(library, &asked.b).await?);
    Ok(json!(between(library, &a, &b, &options).await?))
}

fn within(length: usize) -> Result<usize, Error> {
    match (1..=MOST).contains(&length) {
        true => Ok(length),
        false => Err(Error::usage(format_args!("{length} songs are not 1 to {MOST}"))),
    }
}
