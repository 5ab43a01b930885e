//! `$lexical`: the words of a text, and BM25.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::document::Document;

/// The parameters of Lucene, which the database uses.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Words as a standard analyzer cuts them: runs of letters and digits, in
/// lower case, without stop words being removed.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn text(document: &Document) -> Option<&str> {
    document.body.get("$lexical")?.as_str()
}

/// Whether a document has every word of a query.
pub(crate) fn matches(document: &Document, query: &str) -> bool {
    let Some(text) = text(document) else { return false };
    let found: HashSet<String> = words(text).collect();
    let mut query = words(query).peekable();
    query.peek().is_some() && query.all(|word| found.contains(&word))
}

/// The documents that have every word of a query, best first.
///
/// Frequencies are counted over all documents of the collection, as the index
/// does, and not only over those that a filter leaves.
pub(crate) fn rank<'a>(
    query: &str,
    documents: impl Iterator<Item = &'a Arc<Document>>,
    keep: impl Fn(&Document) -> bool,
) -> Vec<Arc<Document>> {
    let query: HashSet<String> = words(query).collect();
    if query.is_empty() {
        return Vec::new();
    }
    let (mut count, mut total_length) = (0_u64, 0_u64);
    let mut frequencies: HashMap<&str, u64> = HashMap::new();
    let mut hits = Vec::new();
    for document in documents {
        let Some(text) = text(document) else { continue };
        let mut found: HashMap<&str, u64> = HashMap::new();
        let mut length = 0_u64;
        for word in words(text) {
            length += 1;
            if let Some(word) = query.get(&word) {
                *found.entry(word).or_default() += 1;
            }
        }
        count += 1;
        total_length += length;
        for word in found.keys() {
            *frequencies.entry(word).or_default() += 1;
        }
        if found.len() == query.len() && keep(document) {
            hits.push((document, found, length));
        }
    }
    let average = total_length as f64 / count.max(1) as f64;
    let score = |found: &HashMap<&str, u64>, length: u64| -> f64 {
        found
            .iter()
            .map(|(word, n)| {
                let (n, df) = (*n as f64, frequencies.get(word).copied().unwrap_or(0) as f64);
                let idf = (1.0 + (count as f64 - df + 0.5) / (df + 0.5)).ln();
                idf * n / (n + K1 * (1.0 - B + B * length as f64 / average))
            })
            .sum()
    };
    let mut scored: Vec<_> = hits
        .into_iter()
        .map(|(document, found, length)| (score(&found, length), document))
        .collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.key.cmp(&y.key)));
    scored.into_iter().map(|(_, document)| Arc::clone(document)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::shred;
    use crate::json::{Value, object};
    use crate::limits::Limits;
    use crate::settings::{Features, Settings};

    fn document(id: i64, text: &str) -> Arc<Document> {
        let features = Features { lexical: true, rerank: false };
        let settings = Settings::parse("c", None, &features, &Limits::default()).unwrap();
        shred(object! { "_id" => id, "$lexical" => text }, &settings, &Limits::default(), 1)
            .unwrap()
    }

    #[test]
    fn rare_words_in_short_texts_come_first() {
        let documents = [
            document(1, "a long text about many things, one of which is a guitar"),
            document(2, "Guitar solo"),
            document(3, "guitar, guitar and again guitar"),
            document(4, "drums only"),
        ];
        let ids = |query: &str| -> Vec<Value> {
            rank(query, documents.iter(), |_| true).iter().map(|d| d.id().clone()).collect()
        };

        assert_eq!(ids("GUITAR"), [3_i64, 2, 1].map(Value::from));
        assert_eq!(ids("guitar solo"), [2_i64].map(Value::from));
        assert_eq!(ids("!"), Vec::<Value>::new());
        assert!(matches(&documents[1], "solo guitar") && !matches(&documents[1], "solo drums"));
    }
}
