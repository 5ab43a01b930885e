//! Commands: how a body names one, and which level of the API takes it.

mod find;
mod insert;
mod query;
mod remove;
mod rerank;
mod schema;
mod update;
mod write;

use crate::answer::Answer;
use crate::database::Database;
use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::json::{self, ParseError, Value};
use crate::rules::Rules;
pub(crate) use write::{Fate, Writer};

/// What the path of a request addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    General,
    Keyspace(String),
    Collection(String, String),
}

impl Level {
    pub(crate) fn keyspace(&self) -> Option<&str> {
        match self {
            Self::General => None,
            Self::Keyspace(keyspace) | Self::Collection(keyspace, _) => Some(keyspace),
        }
    }

    pub(crate) fn collection(&self) -> Option<&str> {
        match self {
            Self::Collection(_, collection) => Some(collection),
            _ => None,
        }
    }
}

/// A command and its arguments, not looked at yet.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: String,
    arguments: Value,
}

const GENERAL: [&str; 8] = [
    "createKeyspace",
    "dropKeyspace",
    "findKeyspaces",
    "createNamespace",
    "dropNamespace",
    "findNamespaces",
    "findEmbeddingProviders",
    "findRerankingProviders",
];
const KEYSPACE: [&str; 5] =
    ["createCollection", "findCollections", "deleteCollection", "listTables", "listTypes"];
/// With the members that each takes.
const COLLECTION: [(&str, &[&str]); 14] = [
    ("insertOne", &["document", "options"]),
    ("insertMany", &["documents", "options"]),
    ("find", &["filter", "projection", "sort", "options"]),
    ("findOne", &["filter", "projection", "sort", "options"]),
    ("updateOne", &["filter", "update", "sort", "options"]),
    ("updateMany", &["filter", "update", "options"]),
    ("findOneAndUpdate", &["filter", "update", "sort", "projection", "options"]),
    ("findOneAndReplace", &["filter", "replacement", "sort", "projection", "options"]),
    ("findOneAndDelete", &["filter", "sort", "projection", "options"]),
    ("deleteOne", &["filter", "sort", "options"]),
    ("deleteMany", &["filter", "options"]),
    ("countDocuments", &["filter", "options"]),
    ("estimatedDocumentCount", &["options"]),
    ("findAndRerank", &["filter", "projection", "sort", "options"]),
];
const TABLES: [&str; 13] = [
    "createTable",
    "dropTable",
    "alterTable",
    "createIndex",
    "createVectorIndex",
    "createTextIndex",
    "dropIndex",
    "listIndexes",
    "createType",
    "dropType",
    "alterType",
    "listTables",
    "listTypes",
];

/// Whether a command changes documents.
pub(crate) fn is_write(name: &str) -> bool {
    name.starts_with("insert")
        || name.starts_with("update")
        || name.starts_with("delete")
        || name.starts_with("findOneAnd")
        || name.starts_with("create")
        || name.starts_with("drop")
}

impl Command {
    /// Reads a request body: an object whose one member is the command.
    pub(crate) fn parse(body: &[u8], max_number_length: usize) -> Result<Self> {
        if body.trim_ascii().is_empty() {
            return refuse(Code::FieldValue, "the body is empty; send one command");
        }
        // Some programs begin their files, and so their bodies, with the mark.
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|error| {
            ApiError::new(Code::NotJson, format!("the body is not UTF-8: {error}"))
        })?;
        let value = json::parse_first(text, max_number_length).map_err(|error| match error {
            ParseError::NumberTooLong(..) => ApiError::new(Code::Limit, error.to_string()),
            _ => ApiError::new(Code::NotJson, format!("the body is not JSON: {error}")),
        })?;
        let Value::Object(object) = value else {
            return refuse(
                Code::Structure,
                format!("a request is an object, not {}", value.kind()),
            );
        };
        if object.len() != 1 {
            return refuse(
                Code::Structure,
                format!("a request has one member, the command; this one has {}", object.len()),
            );
        }
        match object.into_iter().next() {
            Some((name, arguments @ Value::Object(_))) => Ok(Self { name, arguments }),
            Some((name, other)) => {
                refuse(Code::Structure, format!("`{name}` takes an object, not {}", other.kind()))
            }
            None => refuse(Code::Structure, "a request has one member, the command"),
        }
    }

    /// The members of a command on documents.
    fn members(&self) -> Result<Fields<'_>> {
        let known = COLLECTION.iter().find(|(name, _)| *name == self.name);
        self.fields(known.map_or(&[], |(_, members)| members))
    }

    fn fields<'a>(&'a self, known: &[&str]) -> Result<Fields<'a>> {
        Fields::of(Some(&self.arguments), &self.name, known)
    }

    /// For commands that take no options: absent, null or empty.
    fn no_options(&self, fields: &Fields<'_>) -> Result<()> {
        match fields.get("options") {
            None => Ok(()),
            Some(Value::Object(options)) if options.is_empty() => Ok(()),
            Some(_) => refuse(Code::NoOptions, format!("`{}` takes no options", self.name)),
        }
    }
}

/// Everything a command needs.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) database: &'a Database,
    pub(crate) rules: &'a Rules,
    pub(crate) level: &'a Level,
    pub(crate) writer: &'a Writer,
    /// Answer a scan with an empty page that says there is more.
    pub(crate) empty_page: bool,
}

impl Context<'_> {
    pub(crate) fn run(&self, command: &Command) -> Answer {
        self.dispatch(command).unwrap_or_else(Answer::error)
    }

    fn dispatch(&self, command: &Command) -> Result<Answer> {
        let name = command.name.as_str();
        let known = match self.level {
            Level::General => GENERAL.contains(&name),
            Level::Keyspace(_) => KEYSPACE.contains(&name),
            Level::Collection(..) => COLLECTION.iter().any(|(other, _)| *other == name),
        };
        if !known {
            return self.unknown(name);
        }
        match (self.level, name) {
            (Level::General, _) => schema::general(self, command),
            (Level::Keyspace(keyspace), _) => schema::in_keyspace(self, keyspace, command),
            (Level::Collection(keyspace, collection), _) => {
                // The server reads a command before it looks for the collection.
                command.members()?;
                let collection = self.database.collection(keyspace, collection)?;
                match name {
                    "insertOne" => insert::insert_one(self, &collection, command),
                    "insertMany" => insert::insert_many(self, &collection, command),
                    "find" => find::find(self, &collection, command),
                    "findOne" => find::find_one(self, &collection, command),
                    "updateOne" => update::update_one(self, &collection, command),
                    "updateMany" => update::update_many(self, &collection, command),
                    "findOneAndUpdate" => update::find_one_and_update(self, &collection, command),
                    "findOneAndReplace" => update::find_one_and_replace(self, &collection, command),
                    "findOneAndDelete" => remove::find_one_and_delete(self, &collection, command),
                    "deleteOne" => remove::delete_one(self, &collection, command),
                    "deleteMany" => remove::delete_many(self, &collection, command),
                    "countDocuments" => find::count_documents(self, &collection, command),
                    "estimatedDocumentCount" => find::estimated_count(self, &collection, command),
                    _ => rerank::find_and_rerank(self, &collection, command),
                }
            }
        }
    }

    fn unknown(&self, name: &str) -> Result<Answer> {
        let (here, elsewhere) = match self.level {
            Level::General => ("the root", None),
            Level::Keyspace(_) => ("a keyspace", Some(COLLECTION.map(|(name, _)| name).to_vec())),
            Level::Collection(..) => ("a collection", Some(KEYSPACE.to_vec())),
        };
        if TABLES.contains(&name) {
            return refuse(
                Code::UnsupportedCommand,
                format!("`{name}` is for tables, which this server does not have"),
            );
        }
        let hint = match elsewhere {
            Some(names) if names.contains(&name) => "; it belongs to another path",
            _ if GENERAL.contains(&name) => "; it belongs to the path without a keyspace",
            _ => "",
        };
        refuse(Code::UnknownCommand, format!("{here} has no command `{name}`{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_command() {
        for (body, code) in [
            ("", Code::FieldValue),
            (r#"{"find":null}"#, Code::Structure),
            ("{", Code::NotJson),
            (r#"{"find":{},"find":{}}"#, Code::NotJson),
            ("[]", Code::Structure),
            ("{}", Code::Structure),
            (r#"{"find":{},"findOne":{}}"#, Code::Structure),
            (r#"{"find":[]}"#, Code::Structure),
        ] {
            assert_eq!(Command::parse(body.as_bytes(), 100).unwrap_err().code, code, "{body}");
        }
        assert_eq!(Command::parse(b"\xff", 100).unwrap_err().code, Code::NotJson);
        let long = format!(r#"{{"insertOne":{{"document":{{"n":{}}}}}}}"#, "1".repeat(101));
        assert_eq!(Command::parse(long.as_bytes(), 100).unwrap_err().code, Code::Limit);
        for taken in
            [r#"{"find":{}} and more"#, "\u{feff}{\"find\":{}}", r#"{"find":{"a":"\ud83d"}}"#]
        {
            assert_eq!(Command::parse(taken.as_bytes(), 100).unwrap().name, "find", "{taken}");
        }
    }

    #[test]
    fn writes_are_told_from_reads() {
        for name in COLLECTION.map(|(name, _)| name).into_iter().chain(KEYSPACE).chain(GENERAL) {
            let read =
                ["find", "findOne", "findAndRerank", "countDocuments", "estimatedDocumentCount"]
                    .contains(&name)
                    || name.starts_with("list")
                    || (name.starts_with("find") && name.ends_with('s'));
            assert_eq!(is_write(name), !read, "{name}");
        }
    }
}
