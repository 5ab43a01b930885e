//! Documents: what may be stored, and how it is kept.

use std::sync::Arc;

use crate::error::{ApiError, Code, Result, refuse};
use crate::id::{self, Key};
use crate::indexing::Indexed;
use crate::json::{Numbers, Object, Value, object};
use crate::limits::Limits;
use crate::settings::Settings;
use crate::vector::{self, Vector};

/// A document as a collection keeps it.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) key: Key,
    /// Members in the order written, `_id` first.
    pub(crate) body: Object,
    pub(crate) vector: Option<Vector>,
    /// Changes with every write; conditional writes compare it.
    pub(crate) version: u64,
}

impl Document {
    pub(crate) fn id(&self) -> &Value {
        self.body.get("_id").unwrap_or(&Value::Null)
    }

    /// The document as JSON text, what the store keeps.
    pub(crate) fn to_json(&self) -> String {
        let mut text = String::with_capacity(512);
        self.body.write(&mut text);
        text
    }

    /// The document with its vector as a tree again, for projections and updates.
    pub(crate) fn tree(&self) -> Object {
        let mut body = self.body.clone();
        let written = match body.get("$vector") {
            Some(Value::Numbers(numbers)) => numbers.to_value(),
            Some(Value::Packed(values)) => {
                let mut text = String::new();
                crate::json::write_binary(values, &mut text);
                Value::from(object! { "$binary" => text })
            }
            _ => return body,
        };
        body.set("$vector", written);
        body
    }
}

/// Checks a document against the rules of a collection and makes it storable.
pub(crate) fn shred(
    body: Object,
    settings: &Settings,
    limits: &Limits,
    version: u64,
) -> Result<Arc<Document>> {
    if settings.vector.is_none() && body.get("$vector").is_some_and(|value| *value != Value::Null) {
        return refuse(
            Code::NoVectors,
            format!("collection `{}` was created without `vector`", settings.name),
        );
    }
    shred_updated(body, settings, limits, version)
}

/// The same for what an update made of a document: the server lets an update
/// set `$vector` also where the collection has none.
pub(crate) fn shred_updated(
    mut body: Object,
    settings: &Settings,
    limits: &Limits,
    version: u64,
) -> Result<Arc<Document>> {
    let id = match body.remove("_id") {
        Some(id) => id,
        None => settings.default_id.generate(),
    };
    let key = Key::of(&id)?;
    body.insert_first("_id", id);

    Shape { limits }.object(&body, 1, 0)?;
    let vector = special_members(&body, settings, limits)?;
    let mut check = IndexedShape { limits, properties: 0 };
    check.object("", &body, settings.indexing.of_document(), true)?;
    if check.properties > limits.document_properties {
        return over(format!(
            "the document has {} indexed properties; at most {} are allowed",
            check.properties, limits.document_properties
        ));
    }

    pack(&mut body, vector.as_ref());
    let document = Document { key, body, vector, version };
    let characters = document.body.characters();
    if characters > limits.document_characters {
        return over(format!(
            "the document has {characters} characters; at most {} are allowed",
            limits.document_characters
        ));
    }
    Ok(Arc::new(document))
}

/// Reads back a document that was stored; its checks were done then.
pub(crate) fn restore(text: &str, version: u64) -> Option<Arc<Document>> {
    let Ok(Value::Object(mut body)) = crate::json::parse(text, usize::MAX) else { return None };
    let key = Key::of(body.get("_id")?).ok()?;
    let vector = match body.get("$vector") {
        None | Some(Value::Null) => None,
        Some(value) => Some(Vector::new(vector::read(value).ok()?)),
    };
    pack(&mut body, vector.as_ref());
    Some(Arc::new(Document { key, body, vector, version }))
}

/// Puts the written form of the vector in less space.
fn pack(body: &mut Object, vector: Option<&Vector>) {
    let packed = match (body.get("$vector"), vector) {
        (Some(array @ Value::Array(_)), Some(vector)) => {
            Value::Numbers(Numbers::of(array, vector.values()))
        }
        (Some(Value::Object(_)), Some(vector)) => Value::Packed(Arc::clone(vector.values())),
        _ => return,
    };
    body.set("$vector", packed);
}

fn over<T>(message: String) -> Result<T> {
    refuse(Code::Limit, message)
}

/// Checks `$vector`, `$vectorize` and `$lexical`.
fn special_members(body: &Object, settings: &Settings, limits: &Limits) -> Result<Option<Vector>> {
    match body.get("$vectorize") {
        None | Some(Value::Null) => {}
        Some(Value::String(_)) => {
            return refuse(
                Code::NoEmbedding,
                "`$vectorize` needs an embedding provider; send `$vector`",
            );
        }
        Some(other) => {
            return refuse(
                Code::VectorizeType,
                format!("`$vectorize` is a string, not {}", other.kind()),
            );
        }
    }
    match body.get("$lexical") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            if !settings.lexical.enabled {
                return refuse(
                    Code::NoLexicalCollection,
                    format!("collection `{}` was created without `lexical`", settings.name),
                );
            }
            if text.len() > limits.lexical_bytes {
                return refuse(
                    Code::LexicalTooLong,
                    format!(
                        "`$lexical` has {} bytes; at most {} are allowed",
                        text.len(),
                        limits.lexical_bytes
                    ),
                );
            }
        }
        Some(other) => {
            return refuse(
                Code::LexicalType,
                format!("`$lexical` is a string, not {}", other.kind()),
            );
        }
    }
    let written = match body.get("$vector") {
        None | Some(Value::Null) => return Ok(None),
        Some(written) => written,
    };
    let values = vector::read(written)?;
    if values.len() > limits.dimension {
        return over(format!(
            "`$vector` has {} elements; at most {} are allowed",
            values.len(),
            limits.dimension
        ));
    }
    let vector = Vector::new(values);
    if let Some(space) = &settings.vector {
        vector::check(&vector, space.dimension, space.metric)?;
    }
    Ok(Some(vector))
}

/// Rules for the whole document, indexed or not.
struct Shape<'a> {
    limits: &'a Limits,
}

impl Shape<'_> {
    fn depth(&self, depth: usize) -> Result<()> {
        if depth > self.limits.depth {
            return over(format!("the document is deeper than {} levels", self.limits.depth));
        }
        Ok(())
    }

    fn object(&self, object: &Object, depth: usize, parents: usize) -> Result<()> {
        self.depth(depth)?;
        if let Some((name @ ("$date" | "$uuid" | "$objectId" | "$binary"), value)) = object.single()
        {
            if value.as_str().is_some() || value.as_integer().is_some() {
                return Ok(());
            }
            return refuse(
                Code::ExtendedValue,
                format!("`{name}` takes a string or an integer, not {}", value.kind()),
            );
        }
        for (name, value) in object.iter() {
            if depth == 1 && name == "_id" {
                continue;
            }
            let special = depth == 1 && matches!(name, "$vector" | "$vectorize" | "$lexical");
            if name.is_empty() || (name.starts_with('$') && !special) {
                let problem = if name.is_empty() { "is empty" } else { "starts with `$`" };
                return refuse(Code::FieldName, format!("field name `{name}` {problem}"));
            }
            let length = name.encode_utf16().count();
            if parents + length > self.limits.path_characters {
                return over(format!(
                    "the path that ends in `{}` has {} characters; at most {} are allowed",
                    name.chars().take(60).collect::<String>(),
                    parents + length,
                    self.limits.path_characters
                ));
            }
            self.value(value, depth, parents + length + 1)?;
        }
        Ok(())
    }

    fn value(&self, value: &Value, depth: usize, parents: usize) -> Result<()> {
        match value {
            Value::Object(object) => self.object(object, depth + 1, parents),
            Value::Array(values) => {
                self.depth(depth + 1)?;
                values.iter().try_for_each(|value| self.value(value, depth + 1, parents))
            }
            Value::Number(number) => {
                // Only arithmetic can make a longer one than the parser lets in.
                let length = number.characters();
                if length > self.limits.number_characters + 8 {
                    return over(format!(
                        "a number has {length} characters; at most {} are allowed",
                        self.limits.number_characters
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Rules for what is indexed.
struct IndexedShape<'a> {
    limits: &'a Limits,
    properties: usize,
}

impl IndexedShape<'_> {
    fn object(
        &mut self,
        field: &str,
        object: &Object,
        indexed: Indexed<'_>,
        root: bool,
    ) -> Result<()> {
        let members =
            || object.iter().filter_map(|(name, value)| Some((name, value, indexed.member(name)?)));
        let properties = members().count();
        if properties > self.limits.object_properties {
            return over(format!(
                "the object at `{field}` has {properties} properties; at most {} are allowed where indexed",
                self.limits.object_properties
            ));
        }
        self.properties += properties;
        for (name, value, indexed) in members() {
            // These have been checked, and are indexed in their own way.
            if root && matches!(name, "_id" | "$vector" | "$vectorize" | "$lexical") {
                continue;
            }
            self.value(name, value, indexed)?;
        }
        Ok(())
    }

    fn value(&mut self, field: &str, value: &Value, indexed: Indexed<'_>) -> Result<()> {
        match value {
            Value::String(text) if text.len() > self.limits.string_bytes => over(format!(
                "the string at `{field}` has {} bytes; at most {} are allowed where indexed",
                text.len(),
                self.limits.string_bytes
            )),
            Value::Array(values) => {
                if values.len() > self.limits.array_elements {
                    return over(format!(
                        "the array at `{field}` has {} elements; at most {} are allowed where indexed",
                        values.len(),
                        self.limits.array_elements
                    ));
                }
                values.iter().try_for_each(|value| self.value(field, value, indexed))
            }
            Value::Object(object) => {
                if object.single().is_some_and(|(name, _)| name.starts_with('$')) {
                    self.properties += 1;
                    return extended(field, value);
                }
                self.object(field, object, indexed, false)
            }
            _ => Ok(()),
        }
    }
}

fn extended(field: &str, value: &Value) -> Result<()> {
    let valid = match value.as_extended() {
        Some(("$date", millis)) => millis.as_integer().is_some(),
        Some(("$uuid", text)) => text.as_str().and_then(id::parse_uuid).is_some(),
        Some(("$objectId", text)) => text.as_str().is_some_and(id::is_object_id),
        _ => false,
    };
    if valid {
        return Ok(());
    }
    Err(ApiError::new(
        Code::ExtendedValue,
        format!("{value} at `{field}` is not a valid `$date`, `$uuid` or `$objectId`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn object(text: &str) -> Object {
        match parse(text, 100).unwrap() {
            Value::Object(object) => object,
            _ => unreachable!(),
        }
    }

    fn settings(options: &str) -> Settings {
        let features = crate::settings::Features { lexical: true, rerank: false };
        Settings::parse("c", Some(&parse(options, 100).unwrap()), &features, &Limits::default())
            .unwrap()
    }

    fn code(document: &str) -> Option<Code> {
        code_with(document, "{}")
    }

    fn code_with(document: &str, options: &str) -> Option<Code> {
        let limits = Limits {
            depth: 4,
            path_characters: 20,
            object_properties: 5,
            document_properties: 7,
            string_bytes: 10,
            array_elements: 3,
            ..Limits::default()
        };
        shred(object(document), &settings(options), &limits, 1).err().map(|e| e.code)
    }

    #[test]
    fn the_id_comes_first_and_is_made_when_missing() {
        let stored =
            shred(object(r#"{"a":1,"_id":"x"}"#), &settings("{}"), &Limits::default(), 1).unwrap();
        assert_eq!(stored.to_json(), r#"{"_id":"x","a":1}"#);

        let made = shred(object("{}"), &settings("{}"), &Limits::default(), 1).unwrap();
        assert_eq!(made.id().as_str().map(str::len), Some(36));
    }

    #[test]
    fn each_limit_is_kept_on_both_sides() {
        for (fits, breaks) in [
            (r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{"c":[[]]}}}"#),
            (r#"{"aaaaaaaaa":{"bbbbbbbbbb":1}}"#, r#"{"aaaaaaaaa":{"bbbbbbbbbbb":1}}"#),
            (
                r#"{"a":{"1":1,"2":1,"3":1,"4":1}}"#,
                r#"{"a":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1}}"#,
            ),
            (
                r#"{"a":{"1":1,"2":1},"b":{"1":1}}"#,
                r#"{"a":{"1":1,"2":1,"3":1},"b":{"1":1,"2":1}}"#,
            ),
            (r#"{"s":"ééééé"}"#, r#"{"s":"éééééa"}"#),
            (r#"{"s":[1,2,3]}"#, r#"{"s":[1,2,3,4]}"#),
        ] {
            assert_eq!(code(fits), None, "{fits}");
            assert_eq!(code(breaks), Some(Code::Limit), "{breaks}");
        }
    }

    #[test]
    fn unindexed_paths_escape_the_limits_of_indexes() {
        let long = r#"{"p":{"text":"longer than ten bytes","list":[1,2,3,4,5],"n":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1}}}"#;
        assert_eq!(code(long), Some(Code::Limit));
        assert_eq!(code_with(long, r#"{"indexing":{"deny":["p"]}}"#), None);
        assert_eq!(code_with(long, r#"{"indexing":{"allow":["q"]}}"#), None);
    }

    #[test]
    fn names_and_extended_values_are_checked() {
        assert_eq!(code(r#"{"$a":1}"#), Some(Code::FieldName));
        assert_eq!(code(r#"{"a":{"":1}}"#), Some(Code::FieldName));
        assert_eq!(code(r#"{"a":{"$vector":[1],"b":1}}"#), Some(Code::FieldName));
        assert_eq!(code(r#"{"a.b":1,"c d":2,"é":3}"#), None);
        assert_eq!(code(r#"{"d":{"$date":1700000000000}}"#), None);
        assert_eq!(code(r#"{"d":{"$date":"x"}}"#), Some(Code::ExtendedValue));
        assert_eq!(code(r#"{"d":{"$date":[]}}"#), Some(Code::ExtendedValue));
        assert_eq!(code(r#"{"d":{"$uuid":"x"}}"#), Some(Code::ExtendedValue));
        assert_eq!(code(r#"{"d":{"$binary":"AAAA"}}"#), Some(Code::ExtendedValue));
    }

    #[test]
    fn vectors_need_a_collection_for_them() {
        let cosine = r#"{"vector":{"dimension":2}}"#;
        assert_eq!(code(r#"{"$vector":[1,2]}"#), Some(Code::NoVectors));
        assert_eq!(code_with(r#"{"$vector":[1,2]}"#, cosine), None);
        assert_eq!(code_with(r#"{"$vector":null}"#, cosine), None);
        assert_eq!(code_with(r#"{"$vector":[1,2,3]}"#, cosine), Some(Code::VectorLength));
        assert_eq!(code_with(r#"{"$vector":[0,0]}"#, cosine), Some(Code::Query));
        assert_eq!(code_with(r#"{"$vectorize":"words"}"#, cosine), Some(Code::NoEmbedding));
        assert_eq!(code(r#"{"$lexical":7}"#), Some(Code::LexicalType));
        assert_eq!(
            code_with(r#"{"$lexical":"w"}"#, r#"{"lexical":{"enabled":false}}"#),
            Some(Code::NoLexicalCollection)
        );
    }

    #[test]
    fn a_vector_comes_back_in_the_form_it_was_written() {
        for vector in ["[0.10,2]", r#"{"$binary":"P4AAAMAgAAA="}"#] {
            let text = format!(r#"{{"_id":1,"$vector":{vector}}}"#);
            let stored = shred(
                object(&text),
                &settings(r#"{"vector":{"dimension":2}}"#),
                &Limits::default(),
                1,
            )
            .unwrap();
            assert_eq!(stored.to_json(), text.replace("0.10", "0.1"));
            let again = restore(&stored.to_json(), 2).unwrap();
            assert_eq!(again.tree(), stored.tree());
            assert_eq!(
                again.vector.as_ref().unwrap().values(),
                stored.vector.as_ref().unwrap().values()
            );
        }
    }
}
