//! The envelope of an answer: `data`, `status`, `errors`.

use crate::error::{ApiError, Code, Names};
use crate::json::{Object, Value, object};

/// What a command answers, before it is written.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    data: Option<Data>,
    pub(crate) status: Object,
    pub(crate) errors: Vec<ApiError>,
    warnings: Vec<ApiError>,
}

#[derive(Debug)]
enum Data {
    One(Option<Object>),
    Many { documents: Vec<Object>, next_page_state: Option<String> },
}

impl Answer {
    pub(crate) fn status(status: Object) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn ok() -> Self {
        Self::status(object! { "ok" => 1_i64 })
    }

    pub(crate) fn document(document: Option<Object>) -> Self {
        Self { data: Some(Data::One(document)), ..Self::default() }
    }

    pub(crate) fn documents(documents: Vec<Object>, next_page_state: Option<String>) -> Self {
        Self { data: Some(Data::Many { documents, next_page_state }), ..Self::default() }
    }

    pub(crate) fn error(error: ApiError) -> Self {
        Self { errors: vec![error.clone(); error.times], ..Self::default() }
    }

    pub(crate) fn warn(mut self, message: String) -> Self {
        self.warnings.push(ApiError::new(Code::Deprecated, message));
        self
    }

    /// The codes of the errors, by the names they are sent with.
    pub(crate) fn codes(&self, names: Names) -> Vec<&'static str> {
        self.errors.iter().map(|error| error.code.name(names)).collect()
    }

    pub(crate) fn into_json(self, names: Names) -> String {
        let mut envelope = Object::new();
        if self.errors.is_empty()
            && let Some(data) = self.data
        {
            let data = match data {
                Data::One(document) => {
                    object! { "document" => document.map_or(Value::Null, Value::Object) }
                }
                Data::Many { documents, next_page_state } => object! {
                    "documents" => documents.into_iter().map(Value::Object).collect::<Vec<_>>(),
                    "nextPageState" => next_page_state.map_or(Value::Null, Value::String),
                },
            };
            envelope.set("data", data.into());
        }
        let mut status = self.status;
        let list = |errors: Vec<ApiError>| -> Value {
            errors.iter().map(|error| Value::from(error.to_json(names))).collect::<Vec<_>>().into()
        };
        if !self.warnings.is_empty() {
            status.set("warnings", list(self.warnings));
        }
        if !status.is_empty() {
            envelope.set("status", status.into());
        }
        if !self.errors.is_empty() {
            envelope.set("errors", list(self.errors));
        }
        let mut text = String::new();
        envelope.write(&mut text);
        text
    }
}
