//! The schema in CQL, held against what the Data API is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const CQL: &str = include_str!("../../../../migrations/cql/001_initial_schema.cql");
const SONGS: &str = include_str!("../../../../migrations/astra/songs.json");
const LIBRARY: &str = include_str!("../../../../migrations/astra/library.json");
const EMBEDDINGS: &str = include_str!("../../../../migrations/astra/embeddings.json");

/// Tables with their columns, and which columns have which index.
#[derive(Debug, Default)]
struct Schema {
    keyspaces: BTreeSet<String>,
    tables: BTreeMap<String, BTreeMap<String, String>>,
    keys: BTreeMap<String, String>,
    indexes: BTreeMap<String, (String, String)>,
}

// Words, quoted texts and signs, without comments.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let line = line.split_once("--").map_or(line, |(before, _)| before);
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                ' ' => 1,
                '\'' => rest[1..].find('\'').expect("a closing quotation mark") + 2,
                c if c.is_alphanumeric() || c == '_' => {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                }
                c if "(),.;<>{}=:".contains(c) => 1,
                other => panic!("`{other}` is no part of CQL: {line}"),
            };
            if first != ' ' {
                tokens.push(rest[..length].to_owned());
            }
            rest = &rest[length..];
        }
    }
    tokens
}

struct Statement {
    tokens: Vec<String>,
    at: usize,
}

impl Statement {
    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens
            .get(self.at - 1)
            .cloned()
            .unwrap_or_else(|| panic!("cut off: {:?}", self.tokens))
    }

    fn is_next(&mut self, wanted: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|found| found.eq_ignore_ascii_case(wanted));
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, wanted: &[&str]) {
        for wanted in wanted {
            assert!(self.is_next(wanted), "no `{wanted}` at {}: {:?}", self.at, self.tokens);
        }
    }

    fn name(&mut self) -> String {
        let name = self.next();
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(fits && name.len() <= 48, "`{name}` is not a name that needs no quotes");
        name
    }

    // A type and its parts, such as `map<text, text>`.
    fn kind(&mut self) -> String {
        const SIMPLE: [&str; 9] =
            ["uuid", "text", "int", "bigint", "double", "float", "boolean", "blob", "timestamp"];
        let name = self.next();
        let parts = match name.as_str() {
            "map" => 2,
            "set" | "list" => 1,
            "vector" => {
                self.expect(&["<"]);
                let element = self.kind();
                self.expect(&[","]);
                let dimension: usize = self.next().parse().expect("a dimension");
                self.expect(&[">"]);
                return format!("vector<{element}, {dimension}>");
            }
            simple => {
                assert!(SIMPLE.contains(&simple), "`{simple}` is not a type");
                return name;
            }
        };
        self.expect(&["<"]);
        let mut kinds = vec![self.kind()];
        for _ in 1..parts {
            self.expect(&[","]);
            kinds.push(self.kind());
        }
        self.expect(&[">"]);
        format!("{name}<{}>", kinds.join(", "))
    }

    // `{'name': 'value', …}`
    fn options(&mut self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        self.expect(&["{"]);
        loop {
            let name = self.next();
            self.expect(&[":"]);
            options.insert(name.trim_matches('\'').to_owned(), self.next());
            if !self.is_next(",") {
                self.expect(&["}"]);
                return options;
            }
        }
    }

    fn place(&mut self, schema: &Schema) -> String {
        let keyspace = self.name();
        assert!(schema.keyspaces.contains(&keyspace), "no keyspace `{keyspace}` before it is used");
        self.expect(&["."]);
        self.name()
    }
}

fn parse(text: &str) -> Schema {
    let mut schema = Schema::default();
    let all = tokens(text);
    assert_eq!(all.last().map(String::as_str), Some(";"), "the last statement is not ended");
    for tokens in all.split(|token| token == ";").filter(|tokens| !tokens.is_empty()) {
        let mut statement = Statement { tokens: tokens.to_vec(), at: 0 };
        statement.expect(&["CREATE"]);
        match statement.next().as_str() {
            "KEYSPACE" => {
                statement.expect(&["IF", "NOT", "EXISTS"]);
                let name = statement.name();
                statement.expect(&["WITH", "replication", "="]);
                assert!(statement.options().contains_key("class"));
                schema.keyspaces.insert(name);
            }
            "TABLE" => {
                statement.expect(&["IF", "NOT", "EXISTS"]);
                let table = statement.place(&schema);
                let mut columns = BTreeMap::new();
                statement.expect(&["("]);
                loop {
                    if statement.is_next("PRIMARY") {
                        statement.expect(&["KEY", "("]);
                        let key = statement.name();
                        assert!(columns.contains_key(&key), "the key `{key}` is not a column");
                        schema.keys.insert(table.clone(), key);
                        statement.expect(&[")", ")"]);
                        break;
                    }
                    let column = statement.name();
                    let kind = statement.kind();
                    assert!(columns.insert(column.clone(), kind).is_none(), "`{column}` twice");
                    statement.expect(&[","]);
                }
                assert!(schema.tables.insert(table.clone(), columns).is_none(), "`{table}` twice");
            }
            "INDEX" => {
                statement.expect(&["IF", "NOT", "EXISTS"]);
                let index = statement.name();
                statement.expect(&["ON"]);
                let table = statement.place(&schema);
                statement.expect(&["("]);
                let column = statement.name();
                statement.expect(&[")", "USING", "'sai'"]);
                let columns = &schema.tables[&table];
                assert!(columns.contains_key(&column), "`{index}` is on no column of `{table}`");
                if statement.is_next("WITH") {
                    statement.expect(&["OPTIONS", "="]);
                    statement.options();
                }
                assert!(
                    schema.indexes.insert(index.clone(), (table, column)).is_none(),
                    "`{index}` twice"
                );
            }
            other => panic!("`CREATE {other}` is not known"),
        }
        assert_eq!(statement.at, statement.tokens.len(), "too much: {:?}", statement.tokens);
    }
    schema
}

fn denied(json: &str) -> Vec<String> {
    let settings: Value = serde_json::from_str(json).unwrap();
    let list = settings["options"]["indexing"]["deny"].as_array().unwrap().clone();
    list.iter().map(|path| path.as_str().unwrap().replace('.', "_")).collect()
}

#[test]
fn the_schema_has_what_is_asked_for() {
    let schema = parse(CQL);

    for (table, key, columns) in [
        (
            "songs",
            "song_id",
            &[
                ("song_id", "uuid"),
                ("filename", "text"),
                ("artist", "text"),
                ("title", "text"),
                ("duration", "double"),
                ("genre", "text"),
                ("bpm", "int"),
                ("audio_blob", "blob"),
                ("audio_url", "text"),
                ("created_at", "timestamp"),
                ("updated_at", "timestamp"),
                ("metadata", "map<text, text>"),
            ][..],
        ),
        (
            "embeddings",
            "embedding_id",
            &[
                ("embedding_id", "uuid"),
                ("song_id", "uuid"),
                ("embedding", "vector<float, 512>"),
                ("model_name", "text"),
                ("created_at", "timestamp"),
            ],
        ),
        (
            "metadata",
            "song_id",
            &[
                ("song_id", "uuid"),
                ("filename", "text"),
                ("path", "text"),
                ("embedding_path", "text"),
                ("duration", "double"),
                ("sample_rate", "int"),
                ("file_size", "bigint"),
                ("file_hash", "text"),
            ],
        ),
    ] {
        assert_eq!(schema.keys[table], key);
        for (column, kind) in columns {
            assert_eq!(
                schema.tables[table].get(*column).map(String::as_str),
                Some(*kind),
                "{table}.{column}"
            );
        }
    }
    for (index, table, column) in [
        ("embedding_idx", "embeddings", "embedding"),
        ("filename_idx", "songs", "filename"),
        ("artist_idx", "songs", "artist"),
        ("file_hash_idx", "metadata", "file_hash"),
    ] {
        assert_eq!(schema.indexes[index], (table.to_owned(), column.to_owned()));
    }
}

#[test]
fn what_the_data_api_does_not_index_has_no_index_here() {
    let schema = parse(CQL);
    for (table, json) in [("songs", SONGS), ("library", LIBRARY), ("embeddings", EMBEDDINGS)] {
        for column in denied(json) {
            assert!(schema.tables[table].contains_key(&column), "{table} has no `{column}`");
            let indexed =
                schema.indexes.values().any(|on| *on == (table.to_owned(), column.clone()));
            assert!(!indexed, "{table}.{column} is indexed");
        }
    }
    let vector: Value = serde_json::from_str(EMBEDDINGS).unwrap();
    assert!(vector["options"]["vector"]["dimension"].is_string(), "it is put in for each model");
}

#[test]
#[should_panic(expected = "is not a type")]
fn a_wrong_type_is_noticed() {
    parse(
        "CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 's'}; CREATE TABLE IF NOT EXISTS k.t (a txt, PRIMARY KEY (a));",
    );
}
