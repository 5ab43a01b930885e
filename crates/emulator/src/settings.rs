//! What a collection was created with: the options of `createCollection`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::indexing::Indexing;
use crate::json::{Object, Value, object};
use crate::limits::Limits;
use crate::path::Path;
use crate::vector::Metric;

/// Optional parts of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    /// `$lexical` can be indexed and searched; on by default for collections then.
    pub(crate) lexical: bool,
    /// Collections carry a `rerank` block.
    pub(crate) rerank: bool,
}

/// The settings of one collection; they never change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) default_id: DefaultId,
    pub(crate) vector: Option<Space>,
    pub(crate) indexing: Indexing,
    indexing_written: Option<Value>,
    pub(crate) lexical: Lexical,
    rerank: Object,
}

/// The vectors of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Space {
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    source_model: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexical {
    pub(crate) enabled: bool,
    analyzer: Value,
}

/// How an `_id` is made when a document has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultId {
    Text,
    Uuid,
    UuidV6,
    UuidV7,
    ObjectId,
}

/// The models that the server knows, all of them compared by dot product.
const SOURCE_MODELS: [&str; 7] =
    ["ada002", "bert", "cohere-v3", "gecko", "nv-qa-4", "openai-v3-large", "openai-v3-small"];

/// The analyzers that the database has by name.
const ANALYZERS: [&str; 39] = [
    "standard",
    "simple",
    "whitespace",
    "stop",
    "lowercase",
    "arabic",
    "armenian",
    "basque",
    "bengali",
    "brazilian",
    "bulgarian",
    "catalan",
    "cjk",
    "czech",
    "danish",
    "dutch",
    "english",
    "estonian",
    "finnish",
    "french",
    "galician",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "latvian",
    "lithuanian",
    "norwegian",
    "persian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "thai",
    "turkish",
];

impl Settings {
    pub(crate) fn parse(
        name: &str,
        options: Option<&Value>,
        features: &Features,
        limits: &Limits,
    ) -> Result<Self> {
        let place = "createCollection.options";
        let known = ["defaultId", "vector", "indexing", "lexical", "rerank"];
        let options = Fields::of(options, place, &known).map_err(|error| match error.code {
            Code::UnknownField => ApiError::new(Code::CreateField, error.message),
            _ => error,
        })?;
        let (indexing, indexing_written) = match options.get("indexing") {
            None => (Indexing::default(), None),
            Some(written) => (indexing(written)?, Some(written.clone())),
        };
        Ok(Self {
            name: name.to_owned(),
            default_id: default_id(options.get("defaultId"))?,
            vector: options.get("vector").map(|value| space(value, limits)).transpose()?,
            indexing,
            indexing_written,
            lexical: lexical(options.get("lexical"), features)?,
            rerank: rerank(options.get("rerank"), features)?,
        })
    }

    /// Takes over what a repeated `createCollection` left out.
    pub(crate) fn inherit(&mut self, options: Option<&Value>, existing: &Self) {
        let options = options.and_then(Value::as_object);
        if !options.is_some_and(|o| o.contains("lexical")) {
            self.lexical = existing.lexical.clone();
        }
        if !options.is_some_and(|o| o.contains("rerank")) {
            self.rerank = existing.rerank.clone();
        }
    }

    /// The `options` that `findCollections` explains, which `parse` reads back.
    pub(crate) fn options(&self) -> Object {
        let mut options = Object::new();
        if let Some(kind) = self.default_id.name() {
            options.set("defaultId", object! { "type" => kind }.into());
        }
        if let Some(space) = &self.vector {
            options.set(
                "vector",
                object! {
                    "dimension" => space.dimension,
                    "metric" => space.metric.name(),
                    "sourceModel" => space.source_model.as_str(),
                }
                .into(),
            );
        }
        if let Some(indexing) = &self.indexing_written {
            options.set("indexing", indexing.clone());
        }
        let mut lexical = object! { "enabled" => self.lexical.enabled };
        if self.lexical.enabled {
            lexical.set("analyzer", self.lexical.analyzer.clone());
        }
        options.set("lexical", lexical.into());
        options.set("rerank", self.rerank.clone().into());
        options
    }

    /// Whether `findAndRerank` works on it.
    pub(crate) fn reranks(&self) -> bool {
        self.rerank.get("enabled") == Some(&Value::Bool(true))
    }

    /// Indexes that the collection takes of the database's supply.
    pub(crate) fn indexes(&self) -> usize {
        8 + usize::from(self.vector.is_some()) + usize::from(self.lexical.enabled)
    }
}

fn default_id(value: Option<&Value>) -> Result<DefaultId> {
    let place = "createCollection.options.defaultId";
    match Fields::of(value, place, &["type"])?.string("type")? {
        None if value.is_none() => Ok(DefaultId::Text),
        None | Some("uuid") => Ok(DefaultId::Uuid),
        Some("uuidv6") => Ok(DefaultId::UuidV6),
        Some("uuidv7") => Ok(DefaultId::UuidV7),
        Some("objectId") => Ok(DefaultId::ObjectId),
        Some(other) => refuse(
            Code::FieldValue,
            format!(
                "`{place}.type` must be `uuid`, `uuidv6`, `uuidv7` or `objectId`, not `{other}`"
            ),
        ),
    }
}

fn space(value: &Value, limits: &Limits) -> Result<Space> {
    let place = "createCollection.options.vector";
    let known = ["dimension", "size", "metric", "function", "sourceModel", "service"];
    let fields = Fields::of(Some(value), place, &known)?;
    if fields.get("service").is_some() {
        return refuse(
            Code::NoVectorize,
            "this server computes no embeddings; create the collection without `service`",
        );
    }
    let dimension = match fields.count("dimension", 1)? {
        Some(dimension) => Some(dimension),
        None => fields.count("size", 1)?,
    };
    let Some(dimension) = dimension else {
        return refuse(Code::CreateOptions, format!("`{place}.dimension` must not be missing"));
    };
    if dimension > limits.dimension {
        return refuse(
            Code::VectorTooLong,
            format!("the dimension is {dimension}; at most {} is allowed", limits.dimension),
        );
    }
    let model = fields.string("sourceModel")?.map(str::to_ascii_lowercase);
    if let Some(model) = &model
        && model != "other"
        && !SOURCE_MODELS.contains(&model.as_str())
    {
        return refuse(
            Code::FieldValue,
            format!(
                "`{place}.sourceModel` must be `other` or one of `{}`, not `{model}`",
                SOURCE_MODELS.join("`, `")
            ),
        );
    }
    let named = match fields.string("metric")? {
        Some(name) => Some(name),
        None => fields.string("function")?,
    };
    let metric = match named {
        Some(name) => Metric::parse(name).ok_or_else(|| {
            ApiError::new(
                Code::FieldValue,
                format!(
                    "`{place}.metric` must be `cosine`, `dot_product` or `euclidean`, not `{name}`"
                ),
            )
        })?,
        None if model.as_deref().is_some_and(|model| model != "other") => Metric::DotProduct,
        None => Metric::Cosine,
    };
    if metric == Metric::Cosine && dimension == 1 {
        return refuse(Code::Query, "vectors of one element cannot be compared by cosine");
    }
    Ok(Space { dimension, metric, source_model: model.unwrap_or_else(|| "other".to_owned()) })
}

fn indexing(value: &Value) -> Result<Indexing> {
    let place = "createCollection.options.indexing";
    let fields = Fields::of(Some(value), place, &["allow", "deny"])?;
    let bad = |problem: String| ApiError::new(Code::IndexingDefinition, problem);
    let (list, allow) = match (fields.array("allow")?, fields.array("deny")?) {
        (Some(list), None) => (list, true),
        (None, Some(list)) => (list, false),
        _ => return Err(bad(format!("`{place}` takes exactly one of `allow` and `deny`"))),
    };
    let mut paths = Vec::with_capacity(list.len());
    for value in list {
        let Some(text) = value.as_str() else {
            return Err(bad(format!("`{place}` lists strings, not {}", value.kind())));
        };
        if text.starts_with('$') && text != "$vector" {
            return Err(bad(format!("path `{text}` must not start with `$`")));
        }
        let path = Path::parse(text).map_err(|problem| bad(format!("path `{text}`: {problem}")))?;
        if paths.contains(&path) {
            return Err(bad(format!("path `{text}` is listed twice")));
        }
        paths.push(path);
    }
    Ok(match (allow, paths.is_empty()) {
        (_, true) => Indexing::default(),
        (true, false) => Indexing::allow(&paths),
        (false, false) => Indexing::deny(&paths),
    })
}

fn lexical(value: Option<&Value>, features: &Features) -> Result<Lexical> {
    let place = "createCollection.options.lexical";
    let standard = || Value::from("standard");
    let Some(value) = value else {
        return Ok(Lexical { enabled: features.lexical, analyzer: standard() });
    };
    let fields = Fields::of(Some(value), place, &["enabled", "analyzer"])?;
    let Some(enabled) = fields.boolean("enabled")? else {
        return refuse(Code::CreateOptions, format!("`{place}.enabled` must not be missing"));
    };
    if enabled && !features.lexical {
        return refuse(Code::NoLexical, "this database has no lexical search");
    }
    let analyzer = match fields.get("analyzer") {
        None => standard(),
        Some(analyzer) => {
            check_analyzer(analyzer).map_err(|problem| {
                ApiError::new(Code::CreateOptions, format!("`{place}.analyzer` {problem}"))
            })?;
            analyzer.clone()
        }
    };
    if !enabled && fields.get("analyzer").is_some() {
        return refuse(
            Code::CreateOptions,
            format!("`{place}.analyzer` needs `enabled` to be true"),
        );
    }
    Ok(Lexical { enabled, analyzer })
}

/// One of the database by its name, or one put together of a tokenizer and
/// filters, each with a name.
fn check_analyzer(analyzer: &Value) -> std::result::Result<(), String> {
    let is_named = |part: &Value| {
        part.as_object().and_then(|part| part.get("name")).and_then(Value::as_str).is_some()
    };
    let definition = match analyzer {
        Value::String(name) if ANALYZERS.contains(&name.to_ascii_lowercase().as_str()) => {
            return Ok(());
        }
        Value::String(name) => {
            return Err(format!(
                "names no analyzer: `{name}` is none of `{}`",
                ANALYZERS.join("`, `")
            ));
        }
        Value::Object(definition) => definition,
        other => return Err(format!("must be a string or an object, not {}", other.kind())),
    };
    for (name, part) in definition.iter() {
        let is_valid = match (name, part) {
            ("tokenizer", part) => is_named(part),
            ("filters" | "charFilters", Value::Array(list)) => list.iter().all(is_named),
            ("filters" | "charFilters", _) => false,
            _ => return Err(format!("has no field `{name}`")),
        };
        if !is_valid {
            return Err(format!("needs a `name` in each part, which `{name}` lacks"));
        }
    }
    if !definition.contains("tokenizer") {
        return Err("needs a `tokenizer`".to_owned());
    }
    Ok(())
}

fn rerank(value: Option<&Value>, features: &Features) -> Result<Object> {
    let place = "createCollection.options.rerank";
    let default = || {
        object! {
            "enabled" => true,
            "service" => object! {
                "provider" => "nvidia",
                "modelName" => "nvidia/llama-3.2-nv-rerankqa-1b-v2",
            },
        }
    };
    let off = || object! { "enabled" => false };
    let Some(value) = value else {
        return Ok(if features.rerank { default() } else { off() });
    };
    let fields = Fields::of(Some(value), place, &["enabled", "service"])?;
    match fields.boolean("enabled")? {
        None => refuse(Code::CreateOptions, format!("`{place}.enabled` must not be missing")),
        Some(false) => Ok(off()),
        Some(true) if !features.rerank => refuse(Code::NoRerank, "this database has no reranking"),
        Some(true) => {
            let mut rerank = default();
            if let Some(service) = fields.get("service") {
                rerank.set("service", service.clone());
            }
            Ok(rerank)
        }
    }
}

impl DefaultId {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Uuid => Some("uuid"),
            Self::UuidV6 => Some("uuidv6"),
            Self::UuidV7 => Some("uuidv7"),
            Self::ObjectId => Some("objectId"),
        }
    }

    pub(crate) fn generate(self) -> Value {
        let uuid = |uuid: Uuid| Value::from(object! { "$uuid" => uuid.to_string() });
        match self {
            Self::Text => Value::from(Uuid::new_v4().to_string()),
            Self::Uuid => uuid(Uuid::new_v4()),
            Self::UuidV6 => uuid(Uuid::now_v6(&rand::random())),
            Self::UuidV7 => uuid(Uuid::now_v7()),
            Self::ObjectId => Value::from(object! { "$objectId" => object_id() }),
        }
    }
}

/// Seconds, five random bytes of this process, a counter.
fn object_id() -> String {
    static PROCESS: std::sync::OnceLock<[u8; 5]> = std::sync::OnceLock::new();
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let process = PROCESS.get_or_init(rand::random);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed) & 0xff_ffff;
    let process: String = process.iter().map(|b| format!("{b:02x}")).collect();
    format!("{:08x}{process}{counter:06x}", seconds & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const FEATURES: Features = Features { lexical: true, rerank: true };

    fn settings(options: &str) -> Result<Settings> {
        Settings::parse("c", Some(&parse(options, 100).unwrap()), &FEATURES, &Limits::default())
    }

    #[test]
    fn options_are_read_back_from_what_is_explained() {
        for options in [
            "{}",
            r#"{"defaultId":{"type":"objectId"},"vector":{"size":5,"function":"EUCLIDEAN"}}"#,
            r#"{"vector":{"dimension":5,"sourceModel":"bert"},"indexing":{"deny":["a&.b","c"]}}"#,
            r#"{"lexical":{"enabled":true,"analyzer":{"tokenizer":{"name":"standard"}}},"rerank":{"enabled":false}}"#,
        ] {
            let first = settings(options).unwrap();
            let again = settings(&Value::from(first.options()).to_string()).unwrap();
            assert_eq!(first, again, "{options}");
        }
    }

    #[test]
    fn the_metric_follows_the_source_model() {
        let metric = |options: &str| settings(options).unwrap().vector.unwrap().metric;
        assert_eq!(metric(r#"{"vector":{"dimension":5}}"#), Metric::Cosine);
        assert_eq!(metric(r#"{"vector":{"dimension":5,"sourceModel":"other"}}"#), Metric::Cosine);
        assert_eq!(
            metric(r#"{"vector":{"dimension":5,"sourceModel":"ada002"}}"#),
            Metric::DotProduct
        );
        assert_eq!(
            metric(r#"{"vector":{"dimension":5,"sourceModel":"ada002","metric":"cosine"}}"#),
            Metric::Cosine
        );
    }

    #[test]
    fn bad_options_have_their_codes() {
        for (options, code) in [
            (r#"{"colour":1}"#, Code::CreateField),
            (r#"{"vector":{}}"#, Code::CreateOptions),
            (r#"{"vector":{"dimension":0}}"#, Code::FieldValue),
            (r#"{"vector":{"dimension":4097}}"#, Code::VectorTooLong),
            (r#"{"vector":{"dimension":"five"}}"#, Code::Structure),
            (r#"{"lexical":{"enabled":true,"analyzer":"klingon"}}"#, Code::CreateOptions),
            (r#"{"lexical":{"enabled":true,"analyzer":{}}}"#, Code::CreateOptions),
            (
                r#"{"lexical":{"enabled":true,"analyzer":{"tokenizer":{"name":1}}}}"#,
                Code::CreateOptions,
            ),
            (r#"{"vector":{"dimension":5,"metric":"manhattan"}}"#, Code::FieldValue),
            (r#"{"vector":{"dimension":1}}"#, Code::Query),
            (r#"{"vector":{"service":{"provider":"x"}}}"#, Code::NoVectorize),
            (r#"{"indexing":{}}"#, Code::IndexingDefinition),
            (r#"{"indexing":{"allow":["a"],"deny":["b"]}}"#, Code::IndexingDefinition),
            (r#"{"indexing":{"deny":["a","a"]}}"#, Code::IndexingDefinition),
            (r#"{"indexing":{"deny":["$lexical"]}}"#, Code::IndexingDefinition),
            (r#"{"indexing":{"deny":["a."]}}"#, Code::IndexingDefinition),
            (r#"{"defaultId":{"type":"serial"}}"#, Code::FieldValue),
            (r#"{"lexical":{}}"#, Code::CreateOptions),
        ] {
            assert_eq!(settings(options).unwrap_err().code, code, "{options}");
        }
        let off = Features { lexical: false, rerank: false };
        let options = parse(r#"{"lexical":{"enabled":true}}"#, 100).unwrap();
        let error = Settings::parse("c", Some(&options), &off, &Limits::default()).unwrap_err();
        assert_eq!(error.code, Code::NoLexical);
    }

    #[test]
    fn ids_have_the_form_that_was_asked_for() {
        for (kind, name) in
            [("uuid", "$uuid"), ("uuidv6", "$uuid"), ("uuidv7", "$uuid"), ("objectId", "$objectId")]
        {
            let settings = settings(&format!(r#"{{"defaultId":{{"type":"{kind}"}}}}"#)).unwrap();
            let id = settings.default_id.generate();
            assert_eq!(id.as_extended().map(|(name, _)| name), Some(name));
            crate::id::Key::of(&id).unwrap();
        }
    }
}
