//! Filters as SQL: the same songs as [`Filter::passes`].

use rusqlite::types::Value;
use songrec_core::{
    Filter, NumberField, NumberRange, SongSet, SongSummary, Term, Test, ValueField, WordField,
};

/// A query for the numbers of songs, and its parameters in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) params: Vec<Value>,
}

impl Sql {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn bind(&mut self, value: impl Into<Value>) {
        self.text.push('?');
        self.params.push(value.into());
    }

    fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.params.extend(other.params);
    }
}

// Bits of the column `has`: first fields with words, then fields with values.
const WORD_FIELDS: [WordField; 5] =
    [WordField::Any, WordField::Title, WordField::Artist, WordField::Album, WordField::Path];
pub(crate) const VALUE_FIELDS: [ValueField; 4] =
    [ValueField::Genre, ValueField::Mood, ValueField::Instrument, ValueField::Warning];

fn word_bit(field: WordField) -> i64 {
    1 << WORD_FIELDS.iter().position(|one| *one == field).expect("every field is listed")
}

fn value_bit(field: ValueField) -> i64 {
    1 << (WORD_FIELDS.len() as i64 + value_code(field))
}

/// Which fields have words or values, as the column `has` keeps it.
pub(crate) fn has(summary: &SongSummary) -> i64 {
    let words = WORD_FIELDS.iter().filter(|field| !field.words(summary).is_empty());
    let values = VALUE_FIELDS.iter().filter(|field| !field.values(summary).is_empty());
    words.map(|field| word_bit(*field)).chain(values.map(|field| value_bit(*field))).sum()
}

pub(crate) const fn value_code(field: ValueField) -> i64 {
    match field {
        ValueField::Genre => 0,
        ValueField::Mood => 1,
        ValueField::Instrument => 2,
        ValueField::Warning => 3,
    }
}

/// The songs that pass `filter`, as a query with one column `n`, each once.
///
/// The term at `lead` is looked up, the rest is asked song by song. Without a
/// lead, words lead, or else values.
pub(crate) fn songs_passing(filter: &Filter, lead: Option<usize>) -> Sql {
    let terms = &filter.terms;
    let leads =
        |kind: fn(&Test) -> bool| terms.iter().position(|term| !term.negated && kind(&term.test));
    let lead = lead
        .or_else(|| leads(|test| text_of(test).is_some()))
        .or_else(|| leads(|test| matches!(test, Test::Values(..))));
    let lead_test = lead.and_then(|lead| terms.get(lead)).map(|term| &term.test);
    // All words are looked up at once.
    let texts: Vec<String> = match lead_test.and_then(text_of) {
        Some(_) => terms
            .iter()
            .filter(|term| !term.negated)
            .filter_map(|term| text_of(&term.test))
            .collect(),
        None => vec![],
    };
    let rest: Vec<_> = terms
        .iter()
        .enumerate()
        .filter(|(i, term)| match (lead_test, &term.test) {
            (Some(Test::Words(..)), test) if !term.negated => text_of(test).is_none(),
            (Some(Test::Values(..)), _) => Some(*i) != lead,
            _ => true,
        })
        .map(|(_, term)| term)
        .collect();
    // Looking at the row of each song doubles the work.
    let needs_row = rest.iter().any(|term| is_of_row(&term.test));
    let join = |n: &str| {
        if needs_row { format!(" CROSS JOIN song s ON s.n = {n}") } else { String::new() }
    };

    let mut sql = Sql::default();
    let mut joined = " AND ";
    let n = match lead_test {
        Some(Test::Words(..)) if !texts.is_empty() => {
            let join = join("words.rowid");
            sql.push(&format!("SELECT words.rowid AS n FROM words{join} WHERE words MATCH "));
            sql.bind(texts.join(" AND "));
            "words.rowid"
        }
        Some(Test::Values(field, values)) => {
            // One value comes at most once a song, several may come more often.
            let distinct = if values.len() == 1 { "" } else { "DISTINCT " };
            let join = join("v.n");
            sql.push(&format!("SELECT {distinct}v.n AS n FROM value v{join} WHERE "));
            sql.append(one_of("v.", *field, values));
            "v.n"
        }
        Some(_) => {
            sql.push("SELECT s.n AS n FROM song s");
            joined = " WHERE ";
            // The plus keeps SQLite from going by the number after all.
            "+s.n"
        }
        None => {
            sql.push("SELECT s.n AS n FROM song s");
            joined = " WHERE ";
            "s.n"
        }
    };
    for term in rest {
        sql.push(joined);
        sql.append(condition(term.negated, &term.test, n));
        joined = " AND ";
    }
    sql
}

/// Whether a term may lead: what it looks for is looked up in an index.
pub(crate) fn may_lead(term: &Term) -> bool {
    !term.negated
        && match &term.test {
            Test::Values(..) | Test::Number(..) | Test::Key(_) => true,
            test => text_of(test).is_some(),
        }
}

fn text_of(test: &Test) -> Option<String> {
    let Test::Words(field, lists) = test else { return None };
    match matching(*field, lists) {
        Words::Match(text) => Some(text),
        Words::All | Words::None | Words::Has => None,
    }
}

// Whether a test looks at the row of the song itself.
fn is_of_row(test: &Test) -> bool {
    match test {
        Test::Words(field, lists) => matches!(matching(*field, lists), Words::Has),
        Test::Values(..) => false,
        Test::HasValue(_)
        | Test::Number(..)
        | Test::Key(_)
        | Test::Loop(_)
        | Test::Group(_)
        | Test::HasWords(_)
        | Test::HasNumber(_)
        | Test::HasKey
        | Test::HasLoop => true,
    }
}

fn one_of(table: &str, field: ValueField, values: &[String]) -> Sql {
    let mut sql = Sql::default();
    sql.push(&format!("{table}field = {} AND {table}value IN (", value_code(field)));
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            sql.push(", ");
        }
        sql.bind(value.clone());
    }
    sql.push(")");
    sql
}

// Whether the song `n`, which is the row `s`, passes.
fn condition(negated: bool, test: &Test, n: &str) -> Sql {
    let mut sql = Sql::default();
    match test {
        Test::Words(field, lists) => match matching(*field, lists) {
            Words::Match(text) => {
                sql.push(&format!("{n} IN (SELECT rowid FROM words WHERE words MATCH "));
                sql.bind(text);
                sql.push(")");
            }
            Words::All => sql.push("1"),
            Words::None => sql.push("0"),
            Words::Has => return condition(negated, &Test::HasWords(*field), n),
        },
        Test::Values(field, values) => {
            sql.push(&format!("EXISTS (SELECT 1 FROM value x WHERE x.n = {n} AND "));
            sql.append(one_of("x.", *field, values));
            sql.push(")");
        }
        Test::Number(field, ranges) => {
            sql.push("(");
            for (i, range) in ranges.iter().enumerate() {
                if i > 0 {
                    sql.push(" OR ");
                }
                sql.append(in_range(column(*field), range));
            }
            sql.push(if ranges.is_empty() { "0)" } else { ")" });
        }
        Test::Key(keys) => {
            sql.push("s.key IN (");
            for (i, key) in keys.iter().enumerate() {
                if i > 0 {
                    sql.push(", ");
                }
                sql.bind(key.to_string());
            }
            sql.push(")");
        }
        Test::Loop(wanted) => {
            sql.push("s.is_loop = ");
            sql.bind(i64::from(*wanted));
        }
        Test::Group(group) => {
            sql.push("s.id IN (SELECT unhex(value) FROM json_each(");
            sql.bind(ids_as_json(group.songs.as_ref()));
            sql.push("))");
        }
        Test::HasWords(field) => sql.push(&format!("s.has & {} <> 0", word_bit(*field))),
        Test::HasValue(field) => sql.push(&format!("s.has & {} <> 0", value_bit(*field))),
        Test::HasNumber(field) => sql.push(&format!("{} IS NOT NULL", column(*field))),
        Test::HasKey => sql.push("s.key IS NOT NULL"),
        Test::HasLoop => sql.push("s.is_loop IS NOT NULL"),
    }
    if negated {
        // A comparison with an absent value is NULL, which is not true either.
        sql.text = format!("({}) IS NOT TRUE", sql.text);
    }
    sql
}

// The ids as a JSON list of hexadecimal texts: SQLite has no other list of any
// length. 100,000 ids are 3.5 MB, and read in some 30 ms.
fn ids_as_json(songs: Option<&SongSet>) -> String {
    let songs = songs.map(SongSet::as_slice).unwrap_or_default();
    let mut text = String::with_capacity(songs.len() * 35 + 2);
    text.push('[');
    for (i, song) in songs.iter().enumerate() {
        text.push_str(if i == 0 { "\"" } else { ",\"" });
        for byte in song.as_bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).expect("four bits"));
            }
        }
        text.push('"');
    }
    text.push(']');
    text
}

const fn column(field: NumberField) -> &'static str {
    match field {
        NumberField::Bpm => "s.bpm",
        NumberField::Year => "s.year",
        NumberField::Duration => "s.duration",
    }
}

fn in_range(column: &str, range: &NumberRange) -> Sql {
    let mut sql = Sql::default();
    match (range.min, range.max) {
        (None, None) => sql.push(&format!("{column} IS NOT NULL")),
        (Some(min), None) => {
            sql.push(&format!("{column} >= "));
            sql.bind(min);
        }
        (None, Some(max)) => {
            sql.push(&format!("{column} <= "));
            sql.bind(max);
        }
        (Some(min), Some(max)) => {
            sql.push(&format!("{column} BETWEEN "));
            sql.bind(min);
            sql.push(" AND ");
            sql.bind(max);
        }
    }
    sql
}

enum Words {
    /// Songs that match this text of the table `words`.
    Match(String),
    /// Every song.
    All,
    /// Every song with a word in the field.
    Has,
    /// No song.
    None,
}

fn matching(field: WordField, lists: &[Vec<String>]) -> Words {
    if lists.iter().any(Vec::is_empty) {
        return Words::All;
    }
    let mut lists_of_text = Vec::new();
    for list in lists {
        if !list.iter().all(|word| is_beginning(word)) {
            continue;
        }
        // Every word begins with nothing.
        let words: Vec<&String> = list.iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Words::Has;
        }
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"*")).collect();
        lists_of_text.push(format!("({})", words.join(" AND ")));
    }
    if lists_of_text.is_empty() {
        return Words::None;
    }
    let text = lists_of_text.join(" OR ");
    Words::Match(match field {
        WordField::Any => format!("({text})"),
        WordField::Title => format!("title : ({text})"),
        WordField::Artist => format!("artist : ({text})"),
        WordField::Album => format!("album : ({text})"),
        WordField::Path => format!("path : ({text})"),
    })
}

// Words are of folded letters and digits; the table would split or fold what
// is not, and find what `Filter::passes` does not.
fn is_beginning(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || !b.is_ascii())
}
