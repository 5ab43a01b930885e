//! The OpenAPI document: addresses from the code, documents from their schemas.

use serde_json::{Map, Value, json};
use songrec_library::{DEFINITIONS, SCHEMAS};
use utoipa::{ToSchema, openapi::OpenApi};

use crate::problem::CODES;

/// The answers that no command prints.
const ANSWERS: &str = include_str!("../schema/answers.json");
/// Where documents are in the document.
const COMPONENTS: &str = "#/components/schemas/";
/// How schemas name what several of them have, and what is their own.
const DEFINITIONS_FILE: &str = "definitions.json#/$defs/";
const OWN: &str = "#/$defs/";

/// The document of these addresses, complete in itself.
pub(crate) fn described(api: OpenApi) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "songrec",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "A library of music and samples, searched by how they sound.",
        "description": "Bodies are the documents that the commands of the same name print with \
                        `--json`. What goes wrong is told as `application/problem+json`, with a \
                        `code` that stays the same.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    document["security"] = json!([{}, { "token": [] }, { "cookie": [] }]);
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer" },
        "cookie": { "type": "apiKey", "in": "cookie", "name": "songrec_session" },
    });
    whole_numbers(&mut document["paths"]);
    // Those of bodies are in the code.
    let mut schemas = schemas();
    let of_bodies = document["components"]["schemas"].take();
    schemas.extend(of_bodies.as_object().cloned().unwrap_or_default());
    document["components"]["schemas"] = Value::Object(schemas);
    document["components"]["responses"] = json!({
        "problem": {
            "description": "What went wrong, and what can be done about it",
            "content": { "application/problem+json": { "schema": { "$ref": format!("{COMPONENTS}problem") } } },
        }
    });
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if operation["responses"].is_object() {
            operation["responses"]["default"] = json!({ "$ref": "#/components/responses/problem" });
        }
    }
    document
}

/// Bytes that are no text.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it only says what a body has")]
pub(crate) struct Bytes(Vec<u8>);

// A number without a sign may have all of its 64 bits; `int64` would end one earlier.
fn whole_numbers(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("format") == Some(&json!("int64"))
                && object.get("minimum") == Some(&json!(0))
            {
                object.insert("format".to_owned(), json!("uint64"));
            }
            object.values_mut().for_each(whole_numbers);
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        _ => {}
    }
}

// Every document by its name, with references to each other.
fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    schemas.insert("problem".to_owned(), problem());
    add_all(&mut schemas, &parsed(DEFINITIONS)["$defs"]);
    for (command, text) in SCHEMAS {
        let mut schema = parsed(text);
        let name = command.replace(' ', "-");
        // What is its own is named after it.
        for (own, definition) in schema["$defs"].as_object().cloned().unwrap_or_default() {
            let mut definition = definition;
            point_here(&mut definition, &name);
            schemas.insert(format!("{name}.{own}"), definition);
        }
        // One that is the same as another command's.
        if let Some(other) = schema["$ref"].as_str().and_then(|file| file.strip_suffix(".json")) {
            schemas.insert(name, json!({ "$ref": format!("{COMPONENTS}{other}") }));
            continue;
        }
        let mut alternatives = schema["anyOf"].take();
        point_here(&mut alternatives, &name);
        let of_command = alternatives.as_array().cloned().unwrap_or_default();
        // What a command says where there is nothing, and its errors, are other answers here.
        let told =
            ["nothing", "error"].map(|name| json!({ "$ref": format!("{COMPONENTS}{name}") }));
        let of_command: Vec<Value> =
            of_command.into_iter().filter(|one| !told.contains(one)).collect();
        let one = match of_command.as_slice() {
            [] => continue,
            [one] => one.clone(),
            several => json!({ "anyOf": several }),
        };
        // One that others name as well is among the definitions.
        schemas.entry(name).or_insert(one);
    }
    add_all(&mut schemas, &parsed(ANSWERS)["$defs"]);
    schemas
}

fn add_all(schemas: &mut Map<String, Value>, definitions: &Value) {
    for (name, definition) in definitions.as_object().cloned().unwrap_or_default() {
        let mut definition = definition;
        point_here(&mut definition, "");
        schemas.insert(name, definition);
    }
}

// Lets references point into this document. What a command's schema has of its own is
// named after `command`.
fn point_here(schema: &mut Value, command: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(name)) = object.get_mut("$ref") {
                if let Some(known) = name.strip_prefix(DEFINITIONS_FILE) {
                    *name = format!("{COMPONENTS}{known}");
                } else if let Some(own) = name.strip_prefix(OWN) {
                    let parent =
                        if command.is_empty() { String::new() } else { format!("{command}.") };
                    *name = format!("{COMPONENTS}{parent}{own}");
                } else if let Some(other) = name.strip_suffix(".json") {
                    *name = format!("{COMPONENTS}{other}");
                }
            }
            object.values_mut().for_each(|value| point_here(value, command));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| point_here(value, command)),
        _ => {}
    }
}

fn problem() -> Value {
    let codes: Vec<&str> = CODES.iter().map(|(code, _, _)| *code).collect();
    let meanings: Vec<String> = CODES
        .iter()
        .map(|(code, status, meaning)| format!("`{code}` ({status}): {meaning}."))
        .collect();
    json!({
        "type": "object",
        "description": "What went wrong, as RFC 9457 shapes it.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string", "description": "The code as an address." },
            "title": { "type": "string", "description": "What the code means." },
            "status": { "type": "integer", "description": "The status of the answer." },
            "code": { "type": "string", "enum": codes, "description": meanings.join(" ") },
            "detail": { "type": "string", "description": "What went wrong this time, with its causes." },
            "tip": { "type": "string", "description": "What can be done about it." },
        },
    })
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a test reads every schema")
}
