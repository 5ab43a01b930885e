//! Errors as the Data API reports them: a code, a family, a scope, a text.

use uuid::Uuid;

use crate::json::{Object, Value, object};

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// One entry of `errors`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The documents the error is about, where the server names them.
    pub(crate) document_ids: Vec<Value>,
    /// How often the server lists it in one answer.
    pub(crate) times: usize,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), document_ids: Vec::new(), times: 1 }
    }

    /// The same, for a condition that the server checks at two places.
    pub(crate) fn twice(self) -> Self {
        Self { times: 2, ..self }
    }

    pub(crate) fn about(mut self, ids: Vec<Value>) -> Self {
        self.document_ids = ids;
        self
    }

    pub(crate) fn to_json(&self, names: Names) -> Object {
        let mut error = object! {
            "message" => self.message.as_str(),
            "errorCode" => self.code.name(names),
            "id" => Uuid::new_v4().to_string(),
            "family" => self.code.family(),
            "scope" => self.code.scope(),
            "title" => self.code.title(),
        };
        if !self.document_ids.is_empty() {
            error.set("documentIds", Value::Array(self.document_ids.clone()));
        }
        if names == Names::Old {
            error.set("exceptionClass", Value::from("JsonApiException"));
        }
        error
    }
}

/// Which names error codes go by: many were changed between December 2025 and
/// March 2026, and a client meets servers of both kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// The names of current servers.
    #[default]
    Current,
    /// The names before the change, with `exceptionClass` in every error.
    Old,
}

macro_rules! codes {
    ($($code:ident, $name:literal, $old:literal, $family:ident, $scope:literal, $title:literal;)*) => {
        /// The error codes this server answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Code { $($code,)* }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code,)*];

            pub(crate) fn name(self, names: Names) -> &'static str {
                match (self, names) {
                    $(
                        (Self::$code, Names::Current) => $name,
                        (Self::$code, Names::Old) => if $old.is_empty() { $name } else { $old },
                    )*
                }
            }

            pub(crate) fn family(self) -> &'static str {
                match self { $(Self::$code => stringify!($family),)* }
            }

            pub(crate) fn scope(self) -> &'static str {
                match self { $(Self::$code => $scope,)* }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// The code of this name, current or old.
            pub(crate) fn named(name: &str) -> Option<Self> {
                $(if name == $name || (!$old.is_empty() && name == $old) {
                    return Some(Self::$code);
                })*
                None
            }
        }
    };
}

codes! {
    MissingToken, "MISSING_AUTHENTICATION_TOKEN", "", REQUEST, "SECURITY", "The request carries no token";
    Unauthenticated, "UNAUTHENTICATED_REQUEST", "", REQUEST, "SECURITY", "The token is not valid";
    Unauthorized, "UNAUTHORIZED_ACCESS", "", REQUEST, "SECURITY", "The token does not allow this";
    ContentType, "UNSUPPORTED_CONTENT_TYPE", "INVALID_CONTENT_TYPE_HEADER", REQUEST, "", "The content type is not supported";
    NotJson, "REQUEST_NOT_JSON", "INVALID_REQUEST_NOT_JSON", REQUEST, "", "The request is not JSON";
    Structure, "REQUEST_STRUCTURE_MISMATCH", "INVALID_REQUEST_STRUCTURE_MISMATCH", REQUEST, "", "The request has the wrong shape";
    UnknownField, "COMMAND_FIELD_UNKNOWN", "INVALID_REQUEST_UNKNOWN_FIELD", REQUEST, "", "The command has no such field";
    FieldValue, "COMMAND_FIELD_VALUE_INVALID", "COMMAND_FIELD_INVALID", REQUEST, "", "A field has a value that is not allowed";
    UnknownCommand, "COMMAND_UNKNOWN", "", REQUEST, "", "There is no such command";
    NoOptions, "COMMAND_ACCEPTS_NO_OPTIONS", "", REQUEST, "", "The command takes no options";
    UnsupportedCommand, "UNSUPPORTED_COLLECTION_COMMAND", "", REQUEST, "", "The command is not for collections";
    UnknownKeyspace, "UNKNOWN_KEYSPACE", "KEYSPACE_DOES_NOT_EXIST", REQUEST, "SCHEMA", "The keyspace does not exist";
    UnknownCollection, "UNKNOWN_COLLECTION_OR_TABLE", "COLLECTION_NOT_EXIST", REQUEST, "SCHEMA", "The collection does not exist";
    SchemaName, "UNSUPPORTED_SCHEMA_NAME", "", REQUEST, "SCHEMA", "The name is not allowed";
    DifferentSettings, "EXISTING_COLLECTION_DIFFERENT_SETTINGS", "", REQUEST, "SCHEMA", "The collection exists with other settings";
    TooManyCollections, "TOO_MANY_COLLECTIONS", "", REQUEST, "SCHEMA", "The database is full of collections";
    TooManyIndexes, "TOO_MANY_INDEXES_FOR_COLLECTION", "TOO_MANY_INDEXES", REQUEST, "SCHEMA", "The database is full of indexes";
    CreateOptions, "INVALID_CREATE_COLLECTION_OPTIONS", "", REQUEST, "SCHEMA", "The collection options are not valid";
    CreateField, "INVALID_CREATE_COLLECTION_FIELD", "", REQUEST, "SCHEMA", "A collection option is not valid";
    IndexingDefinition, "INVALID_INDEXING_DEFINITION", "", REQUEST, "SCHEMA", "The indexing option is not valid";
    NoVectors, "VECTOR_SEARCH_NOT_SUPPORTED", "", REQUEST, "SCHEMA", "The collection holds no vectors";
    NoVectorSort, "UNSUPPORTED_VECTOR_SORT_FOR_COLLECTION", "", REQUEST, "SORT", "The collection cannot be sorted by vector";
    VectorTooLong, "VECTOR_SEARCH_TOO_BIG_VALUE", "", REQUEST, "SCHEMA", "The dimension is too large";
    NoVectorize, "VECTORIZE_FEATURE_NOT_AVAILABLE", "", REQUEST, "SCHEMA", "Embeddings are not computed here";
    NoEmbedding, "EMBEDDING_SERVICE_NOT_CONFIGURED", "", REQUEST, "SCHEMA", "The collection has no embedding service";
    VectorizeUsage, "INVALID_USAGE_OF_VECTORIZE", "", REQUEST, "SCHEMA", "`$vectorize` and `$vector` exclude each other";
    VectorizeType, "INVALID_VECTORIZE_VALUE_TYPE", "", REQUEST, "DOCUMENT", "`$vectorize` is not a text";
    NoLexical, "LEXICAL_FEATURE_NOT_ENABLED", "LEXICAL_NOT_AVAILABLE_FOR_DATABASE", REQUEST, "SCHEMA", "The database has no lexical search";
    NoLexicalCollection, "LEXICAL_NOT_ENABLED_FOR_COLLECTION", "", REQUEST, "SCHEMA", "The collection has no lexical search";
    LexicalTooLong, "LEXICAL_CONTENT_TOO_LONG", "LEXICAL_CONTENT_TOO_BIG", REQUEST, "DOCUMENT", "The lexical text is too long";
    NoRerank, "RERANKING_FEATURE_NOT_ENABLED", "", REQUEST, "SCHEMA", "The database has no reranking";
    NoRerankCommand, "UNSUPPORTED_RERANKING_COMMAND", "", REQUEST, "SCHEMA", "The collection has no reranking";
    NoRerankQuery, "MISSING_RERANK_QUERY_TEXT", "", REQUEST, "", "The reranking has no query";
    AlreadyExists, "DOCUMENT_ALREADY_EXISTS", "", REQUEST, "DOCUMENT", "A document with this `_id` exists";
    ReplaceId, "DOCUMENT_REPLACE_DIFFERENT_DOCID", "", REQUEST, "DOCUMENT", "The replacement has another `_id`";
    Limit, "SHRED_DOC_LIMIT_VIOLATION", "", REQUEST, "DOCUMENT", "The document exceeds a limit";
    FieldName, "SHRED_BAD_FIELD_NAME", "SHRED_DOC_KEY_NAME_VIOLATION", REQUEST, "DOCUMENT", "A field name is not allowed";
    IdType, "SHRED_BAD_DOCID_TYPE", "", REQUEST, "DOCUMENT", "The `_id` has a type that is not allowed";
    IdValue, "SHRED_BAD_DOCID_VALUE", "SHRED_BAD_DOCID_EMPTY_STRING", REQUEST, "DOCUMENT", "The `_id` is not allowed";
    ExtendedValue, "SHRED_BAD_EJSON_VALUE", "", REQUEST, "DOCUMENT", "An extended JSON value is not valid";
    DocumentType, "SHRED_BAD_DOCUMENT_TYPE", "", REQUEST, "DOCUMENT", "A document is an object";
    VectorType, "SHRED_BAD_DOCUMENT_VECTOR_TYPE", "", REQUEST, "DOCUMENT", "`$vector` has the wrong type";
    LexicalType, "SHRED_BAD_DOCUMENT_LEXICAL_TYPE", "", REQUEST, "DOCUMENT", "`$lexical` has the wrong type";
    VectorEmpty, "SHRED_BAD_VECTOR_SIZE", "", REQUEST, "DOCUMENT", "`$vector` is empty";
    VectorValue, "SHRED_BAD_VECTOR_VALUE", "", REQUEST, "DOCUMENT", "`$vector` holds something else than numbers";
    BinaryVector, "SHRED_BAD_BINARY_VECTOR_VALUE", "", REQUEST, "DOCUMENT", "The binary vector is not valid";
    VectorLength, "INVALID_VECTOR_LENGTH", "VECTOR_SIZE_MISMATCH", REQUEST, "DOCUMENT", "The vector has the wrong length";
    Filter, "FILTER_INVALID_EXPRESSION", "INVALID_FILTER_EXPRESSION", REQUEST, "FILTER", "The filter is not valid";
    FilterOperator, "FILTER_UNSUPPORTED_OPERATOR", "UNSUPPORTED_FILTER_OPERATION", REQUEST, "FILTER", "The filter operator is not supported";
    FilterType, "FILTER_UNSUPPORTED_DATA_TYPE", "UNSUPPORTED_FILTER_DATA_TYPE", REQUEST, "FILTER", "The filter has a value of the wrong type";
    FilterUnindexed, "FILTER_PATH_UNINDEXED", "UNINDEXED_FILTER_PATH", REQUEST, "FILTER", "The filter names a path that is not indexed";
    FilterId, "FILTER_ID_NOT_INDEXED", "ID_NOT_INDEXED", REQUEST, "FILTER", "`_id` is not indexed";
    FilterIds, "FILTER_MULTIPLE_ID_FILTER", "", REQUEST, "FILTER", "The filter has two conditions on `_id`";
    FilterLimit, "FILTER_FIELDS_LIMIT_VIOLATION", "", REQUEST, "FILTER", "The filter has too many conditions";
    Sort, "SORT_CLAUSE_INVALID", "INVALID_SORT_CLAUSE", REQUEST, "SORT", "The sort clause is not valid";
    SortPath, "SORT_CLAUSE_PATH_INVALID", "INVALID_SORT_CLAUSE_PATH", REQUEST, "SORT", "A sort path is not valid";
    SortValue, "SORT_CLAUSE_VALUE_INVALID", "INVALID_SORT_CLAUSE_VALUE", REQUEST, "SORT", "A sort value is not valid";
    SortUnindexed, "SORT_CLAUSE_PATH_UNINDEXED", "UNINDEXED_SORT_PATH", REQUEST, "SORT", "The sort clause names a path that is not indexed";
    SortLimit, "OVERLOADED_SORT_ROW_LIMIT", "DATASET_TOO_BIG", REQUEST, "SORT", "Too many documents to sort";
    Update, "UNSUPPORTED_UPDATE_OPERATION", "", REQUEST, "UPDATE", "The update operator is not supported";
    UpdateModifier, "UNSUPPORTED_UPDATE_OPERATION_MODIFIER", "", REQUEST, "UPDATE", "The update modifier is not supported";
    UpdateParam, "UNSUPPORTED_UPDATE_OPERATION_PARAM", "", REQUEST, "UPDATE", "An update parameter is not valid";
    UpdatePath, "UNSUPPORTED_UPDATE_OPERATION_PATH", "", REQUEST, "UPDATE", "An update path is not valid";
    UpdateTarget, "UNSUPPORTED_UPDATE_OPERATION_TARGET", "", REQUEST, "UPDATE", "The update does not fit what it meets";
    UpdateType, "UNSUPPORTED_UPDATE_DATA_TYPE", "", REQUEST, "UPDATE", "The update has the wrong shape";
    UpdateId, "UNSUPPORTED_UPDATE_OPERATOR_FOR_DOC_ID", "", REQUEST, "UPDATE", "`_id` cannot be updated";
    UpdateVector, "UNSUPPORTED_UPDATE_OPERATOR_FOR_VECTOR", "", REQUEST, "UPDATE", "The operator does not work on `$vector`";
    UpdateVectorize, "UNSUPPORTED_UPDATE_OPERATOR_FOR_VECTORIZE", "", REQUEST, "UPDATE", "The operator does not work on `$vectorize`";
    UpdateLexical, "UNSUPPORTED_UPDATE_OPERATOR_FOR_LEXICAL", "", REQUEST, "UPDATE", "The operator does not work on `$lexical`";
    Projection, "UNSUPPORTED_PROJECTION_DEFINITION", "", REQUEST, "PROJECTION", "The projection is not an object";
    ProjectionParam, "UNSUPPORTED_PROJECTION_PARAM", "", REQUEST, "PROJECTION", "The projection is not valid";
    Deprecated, "DEPRECATED_COMMAND", "", REQUEST, "WARNING", "The command is deprecated";
    Concurrent, "FAILED_CONCURRENT_OPERATIONS", "CONCURRENCY_FAILURE", SERVER, "DATABASE", "Other writers won every time";
    ReadTimeout, "TIMEOUT_READING_DATA", "SERVER_READ_FAILED", SERVER, "DATABASE", "The database did not answer a read in time";
    ReadFailed, "FAILED_READ_REQUEST", "SERVER_READ_FAILED", SERVER, "DATABASE", "The database failed to read";
    WriteTimeout, "TIMEOUT_WRITING_DATA", "", SERVER, "DATABASE", "The database did not confirm a write in time";
    WriteFailed, "FAILED_WRITE_REQUEST", "", SERVER, "DATABASE", "The database failed to write";
    CompareAndSet, "FAILED_COMPARE_AND_SET", "", SERVER, "DATABASE", "The outcome of a conditional write is unknown";
    Unavailable, "UNAVAILABLE_DATABASE", "SERVER_NO_NODE_AVAILABLE", SERVER, "DATABASE", "The database is not available";
    NoConnection, "FAILED_TO_CONNECT_TO_DATABASE", "SERVER_CLOSED_CONNECTION", SERVER, "DATABASE", "The database cannot be reached";
    Driver, "UNEXPECTED_DRIVER_ERROR", "SERVER_DRIVER_FAILURE", SERVER, "DATABASE", "The database driver failed";
    Query, "INVALID_DATABASE_QUERY", "SERVER_QUERY_EXECUTION_FAILURE", SERVER, "DATABASE", "The database refused the query";
    Internal, "INTERNAL_SERVER_ERROR", "SERVER_INTERNAL_ERROR", SERVER, "", "The server failed";
    Unexpected, "UNEXPECTED_SERVER_ERROR", "SERVER_UNHANDLED_ERROR", SERVER, "", "The server failed unexpectedly";
}

/// Shorthand for `Err(ApiError::new(code, message))`.
pub(crate) fn refuse<T>(code: Code, message: impl Into<String>) -> Result<T> {
    Err(ApiError::new(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_both_of_its_names() {
        for code in Code::ALL {
            assert_eq!(Code::named(code.name(Names::Current)), Some(*code));
            assert!(Code::named(code.name(Names::Old)).is_some());
        }
        assert_eq!(Code::named("KEYSPACE_DOES_NOT_EXIST"), Some(Code::UnknownKeyspace));
        assert_eq!(Code::named("NO_SUCH_CODE"), None);
    }

    #[test]
    fn old_servers_name_the_exception() {
        let error = ApiError::new(Code::Concurrent, "no").about(vec![Value::from("x")]);

        let current = Value::from(error.to_json(Names::Current)).to_string();
        let old = Value::from(error.to_json(Names::Old)).to_string();

        assert!(current.contains(r#""errorCode":"FAILED_CONCURRENT_OPERATIONS""#), "{current}");
        assert!(current.contains(r#""documentIds":["x"]"#) && !current.contains("exceptionClass"));
        assert!(old.contains("CONCURRENCY_FAILURE") && old.contains("exceptionClass"), "{old}");
    }
}
