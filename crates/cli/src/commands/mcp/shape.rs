//! How a tool is described to a language model, and what it takes and answers.

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use songrec_library::Error;

/// Songs of one answer if nobody says how many, and at the most: a model reads all of
/// them.
const USUAL: usize = 10;
pub(super) const MOST: usize = 100;

pub(super) fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

pub(super) fn tool(
    name: &'static str,
    about: &'static str,
    required: &[&str],
    properties: Value,
) -> Tool {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
    Tool::new(name, about, schema).with_annotations(ToolAnnotations::new().read_only(true))
}

pub(super) fn writing(
    name: &'static str,
    about: &'static str,
    required: &[&str],
    properties: Value,
) -> Tool {
    let annotations = ToolAnnotations::new().read_only(false).destructive(false);
    tool(name, about, required, properties).with_annotations(annotations)
}

// What it does cannot be taken back by another tool.
pub(super) fn removing(
    name: &'static str,
    about: &'static str,
    required: &[&str],
    properties: Value,
) -> Tool {
    let annotations = ToolAnnotations::new().read_only(false).destructive(true);
    tool(name, about, required, properties).with_annotations(annotations)
}

pub(super) fn document(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::usage("the answer cannot be written").because(error))
}

pub(super) fn within(limit: Option<usize>) -> Result<usize, Error> {
    match limit.unwrap_or(USUAL) {
        limit if (1..=MOST).contains(&limit) => Ok(limit),
        limit => Err(Error::usage(format_args!("a limit of {limit} is not 1 to {MOST}"))),
    }
}
