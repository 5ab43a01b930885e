//! Filters of every form, made to hit.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use songrec_core::{
    Filter, Group, GroupKind, Key, NumberField, NumberRange, SongSummary, Term, Test, ValueField,
    WordField, words,
};

const WORD_FIELDS: [WordField; 5] =
    [WordField::Any, WordField::Title, WordField::Artist, WordField::Album, WordField::Path];
const VALUE_FIELDS: [ValueField; 4] =
    [ValueField::Genre, ValueField::Mood, ValueField::Instrument, ValueField::Warning];
const NUMBER_FIELDS: [NumberField; 3] =
    [NumberField::Bpm, NumberField::Year, NumberField::Duration];

/// A filter of up to three terms, whose values are mostly taken from `summaries`,
/// so that it passes some of them and not others.
pub fn random_filter(rng: &mut StdRng, summaries: &[SongSummary]) -> Filter {
    let count = [1, 1, 1, 2, 2, 3].choose(rng).copied().unwrap();
    let terms = (0..count)
        .map(|_| Term { negated: rng.random_bool(0.3), test: random_test(rng, summaries) })
        .collect();
    Filter { terms }
}

// Mostly one element, sometimes a few, now and then none: what no value is
// asked for passes nothing.
fn some<T>(rng: &mut StdRng, mut one: impl FnMut(&mut StdRng) -> T) -> Vec<T> {
    let count = [1, 1, 1, 1, 1, 2, 2, 2, 3, 0].choose(rng).copied().unwrap();
    (0..count).map(|_| one(rng)).collect()
}

fn random_test(rng: &mut StdRng, summaries: &[SongSummary]) -> Test {
    let word_field = *WORD_FIELDS.choose(rng).unwrap();
    let value_field = *VALUE_FIELDS.choose(rng).unwrap();
    let number_field = *NUMBER_FIELDS.choose(rng).unwrap();
    match rng.random_range(0..15) {
        0..3 => Test::Words(word_field, some(rng, |rng| some_words(rng, summaries, word_field))),
        3..6 => Test::Values(value_field, some(rng, |rng| value(rng, summaries, value_field))),
        6..9 => Test::Number(number_field, some(rng, |rng| range(rng, summaries, number_field))),
        9 => Test::Key(some(rng, |rng| key(rng, summaries))),
        10 => Test::Loop(rng.random()),
        11 => Test::HasWords(word_field),
        12 => Test::HasValue(value_field),
        13 => Test::Group(Group {
            kind: *[GroupKind::Cluster, GroupKind::Playlist].choose(rng).unwrap(),
            names: vec!["some".to_owned()],
            songs: Some(
                some(rng, |rng| summaries.choose(rng).map(|one| one.id))
                    .into_iter()
                    .flatten()
                    .collect(),
            ),
        }),
        _ => match rng.random_range(0..3) {
            0 => Test::HasNumber(number_field),
            1 => Test::HasKey,
            _ => Test::HasLoop,
        },
    }
}

// Beginnings of words of a summary, in any order; sometimes a word that is there
// nowhere.
fn some_words(rng: &mut StdRng, summaries: &[SongSummary], field: WordField) -> Vec<String> {
    let of_summary = summaries.choose(rng).map(|summary| field.words(summary)).unwrap_or_default();
    let count = rng.random_range(1..=3.min(of_summary.len().max(1)));
    let mut chosen: Vec<String> = of_summary.choose_multiple(rng, count).cloned().collect();
    for word in &mut chosen {
        if rng.random_bool(0.4) {
            let keep = rng.random_range(1..=word.chars().count());
            *word = word.chars().take(keep).collect();
        }
    }
    if chosen.is_empty() || rng.random_bool(0.05) {
        chosen.push("nowhere".into());
    }
    chosen
}

fn value(rng: &mut StdRng, summaries: &[SongSummary], field: ValueField) -> String {
    let of_summary = summaries.choose(rng).map(|summary| field.values(summary)).unwrap_or_default();
    let value = of_summary.choose(rng).map_or("nothing", String::as_str);
    let mut words = words(value);
    if rng.random_bool(0.1) {
        // Part of a value is another value.
        words.pop();
    }
    words.join(" ")
}

fn range(rng: &mut StdRng, summaries: &[SongSummary], field: NumberField) -> NumberRange {
    let mut end = || {
        let number =
            summaries.choose(rng).and_then(|summary| field.number(summary)).unwrap_or(120.0);
        match rng.random_range(0..6) {
            // Exactly a value, just beside it, or between values.
            0..2 => Some(number),
            2 => Some(number.next_up()),
            3 => Some(number.next_down()),
            4 => Some(number + 0.5),
            _ => None,
        }
    };
    let (min, max) = (end(), end());
    match (min, max) {
        // Mostly the right way round; an empty range is passed by nothing.
        (Some(low), Some(high)) if low > high && rng.random_bool(0.9) => {
            NumberRange { min: max, max: min }
        }
        _ => NumberRange { min, max },
    }
}

fn key(rng: &mut StdRng, summaries: &[SongSummary]) -> Key {
    let known = summaries.choose(rng).and_then(|summary| summary.key);
    known.unwrap_or_else(|| Key::new(0, songrec_core::Mode::Major))
}
