//! The limits of the Data API, all of them adjustable.

/// What the server refuses. The defaults are those of a current server.
///
/// Servers are configured differently: Astra pages by 20 or 50 and allows
/// about ten collections, the self-hosted server ships with five.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Documents in one page of `find` and in one call of `updateMany`.
    pub page_size: usize,
    /// Matches that a sort by fields may read.
    pub sort_documents: usize,
    /// Documents in one `insertMany`.
    pub insert_documents: usize,
    /// Documents that one `deleteMany` removes.
    pub delete_documents: usize,
    /// Comparisons in one filter.
    pub filter_comparisons: usize,
    /// Values in one `$in` or `$nin`.
    pub in_values: usize,
    /// Documents in the answer to one vector search, and how many when no
    /// `limit` is given.
    pub vector_search: usize,
    /// Where `countDocuments` stops; `None` counts everything.
    pub count: Option<usize>,
    /// Characters of one document, written as JSON.
    pub document_characters: usize,
    /// Levels of one document; the root is one.
    pub depth: usize,
    /// Characters of a dotted path.
    pub path_characters: usize,
    /// Members of one indexed object.
    pub object_properties: usize,
    /// Indexed members of one document.
    pub document_properties: usize,
    /// Characters of a number.
    pub number_characters: usize,
    /// UTF-8 bytes of an indexed string.
    pub string_bytes: usize,
    /// Elements of an indexed array.
    pub array_elements: usize,
    /// Elements of a vector.
    pub dimension: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Collections in the database, over all keyspaces.
    pub collections: usize,
    /// Bytes of a `$lexical` text.
    pub lexical_bytes: usize,
    /// How often a conditional write that lost is tried, the first time included.
    pub write_attempts: usize,
}

macro_rules! named {
    ($($field:ident),* $(,)?) => {
        impl Limits {
            /// The names that [`Limits::set`] takes.
            pub const NAMES: &[&str] = &[$(stringify!($field)),*];

            /// Sets a limit by its name, with `-` or `_` between its words.
            ///
            /// # Errors
            ///
            /// There is no limit of this name, or it is set to 0.
            pub fn set(&mut self, name: &str, value: usize) -> Result<(), UnknownLimit> {
                let name = name.replace('-', "_");
                match name.as_str() {
                    _ if value == 0 => return Err(UnknownLimit::Zero(name)),
                    "count" => self.count = Some(value),
                    $(stringify!($field) => self.$field = value,)*
                    _ => return Err(UnknownLimit::Name(name)),
                }
                Ok(())
            }
        }
    };
}

named! {
    page_size, sort_documents, insert_documents, delete_documents, filter_comparisons, in_values,
    vector_search, document_characters, depth, path_characters, object_properties,
    document_properties, number_characters, string_bytes, array_elements, dimension, body_bytes,
    collections, lexical_bytes, write_attempts,
}

/// A limit that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownLimit {
    /// There is no limit of this name.
    #[error("there is no limit `{0}`: expected `count`, `{names}`", names = Limits::NAMES.join("`, `"))]
    Name(String),
    /// A limit is at least 1.
    #[error("the limit `{0}` must be at least 1")]
    Zero(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_size: 50,
            sort_documents: 10_000,
            insert_documents: 100,
            delete_documents: 20,
            filter_comparisons: 64,
            in_values: 100,
            vector_search: 1_000,
            count: Some(1_000),
            document_characters: 4_000_000,
            depth: 16,
            path_characters: 1_000,
            object_properties: 1_000,
            document_properties: 2_000,
            number_characters: 100,
            string_bytes: 8_000,
            array_elements: 1_000,
            dimension: 4_096,
            body_bytes: 20 * 1024 * 1024,
            collections: 10,
            lexical_bytes: 8_000,
            write_attempts: 4,
        }
    }
}
