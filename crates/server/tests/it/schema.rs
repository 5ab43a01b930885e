//! Holds answers against the schemas of the OpenAPI document, as far as types, required
//! properties, enumerations and alternatives go.

use serde_json::Value;

/// What is wrong with a value, or nothing.
pub(crate) fn wrong(
    document: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let Some(target) = document.pointer(reference.trim_start_matches('#')) else {
            return Some(format!("`{reference}` points nowhere"));
        };
        return wrong(document, target, value, place);
    }
    if let Some(alternatives) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let problems: Vec<String> =
            alternatives.iter().filter_map(|one| wrong(document, one, value, place)).collect();
        if problems.len() == alternatives.len() {
            return Some(format!("{place} fits none: {}", problems.join(" | ")));
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Some(problem) = wrong(document, part, value, place) {
            return Some(problem);
        }
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Some(format!("{place} is {value}, none of {values:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|wanted| is_of_type(value, wanted)) {
        return Some(format!("{place} is {value}, no {types:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            return Some(format!("{place} has no `{name}`"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let described = schema["properties"]
            .get(name)
            .or_else(|| schema.get("additionalProperties").filter(|one| one.is_object()));
        if let Some(schema) = described
            && let Some(problem) = wrong(document, schema, value, &format!("{place}.{name}"))
        {
            return Some(problem);
        }
    }
    value.as_array().into_iter().flatten().enumerate().find_map(|(number, value)| {
        wrong(document, schema.get("items")?, value, &format!("{place}[{number}]"))
    })
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("what is a `{other}`?"),
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let document = serde_json::json!({"a": {"type": "object", "required": ["x"],
        "properties": {"x": {"type": ["integer", "null"]}, "y": {"enum": [1, 2]}}}});
    let schema = serde_json::json!({"type": "array", "items": {"$ref": "#/a"}});
    let check = |value: Value| wrong(&document, &schema, &value, "it");

    assert_eq!(check(serde_json::json!([{"x": 1}, {"x": null, "y": 2}])), None);
    for bad in [
        serde_json::json!({}),
        serde_json::json!([{}]),
        serde_json::json!([{"x": 1.5}]),
        serde_json::json!([{"x": 1, "y": 3}]),
    ] {
        assert!(check(bad.clone()).is_some(), "{bad}");
    }
}
