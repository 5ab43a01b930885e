//! What every answer is wrapped in.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An answer as the server wraps it. All three parts may be absent, and a
/// status may stand beside errors.
#[derive(Debug, Deserialize)]
#[serde(bound = "D: Deserialize<'de>")]
pub(super) struct Envelope<D> {
    #[serde(default = "Option::default")]
    pub(super) data: Option<D>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: Status,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) errors: Vec<ApiError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) count: Option<u64>,
    pub(super) more_data: Option<bool>,
    pub(super) deleted_count: Option<i64>,
    pub(super) matched_count: Option<u64>,
    pub(super) modified_count: Option<u64>,
    pub(super) upserted_id: Option<Value>,
    pub(super) inserted_ids: Option<Vec<Value>>,
    pub(super) document_responses: Option<Vec<DocumentResponse>>,
    pub(super) next_page_state: Option<String>,
    pub(super) collections: Option<Value>,
    pub(super) keyspaces: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) warnings: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DocumentResponse {
    pub(super) status: String,
    #[serde(rename = "errorsIdx")]
    pub(super) error: Option<usize>,
}

/// An error as the server tells it. Every part may be missing in some version.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiError {
    #[serde(rename = "errorCode", deserialize_with = "or_default")]
    pub(super) code: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) family: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) scope: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    pub(super) id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>", rename_all = "camelCase")]
pub(super) struct Many<T> {
    pub(super) documents: Vec<T>,
    #[serde(default)]
    pub(super) next_page_state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct One<T> {
    #[serde(default = "Option::default")]
    pub(super) document: Option<T>,
}

// Absent and null are the same.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Envelope<Many<Value>> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn unknown_parts_and_nulls_are_no_trouble() {
        let envelope = parse(
            r#"{"data": {"documents": [{"_id": 1}], "nextPageState": null, "new": 1},
                "status": null, "errors": null, "trace": {}}"#,
        );

        assert_eq!(envelope.data.unwrap().documents.len(), 1);
        assert!(envelope.errors.is_empty());
    }

    #[test]
    fn errors_stand_beside_a_status() {
        let envelope = parse(
            r#"{"status": {"insertedIds": ["a"], "warnings": ["plain text of old builds"]},
                "errors": [{"errorCode": "DOCUMENT_ALREADY_EXISTS", "scope": null}]}"#,
        );

        assert_eq!(envelope.errors[0].code, "DOCUMENT_ALREADY_EXISTS");
        assert_eq!(envelope.status.inserted_ids.unwrap().len(), 1);
        assert_eq!(envelope.status.warnings.len(), 1);
    }
}
