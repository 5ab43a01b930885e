//! JSON that is read as its schema says: an object is an object. Serde alone also takes
//! `[1, 2]` for a struct of two fields, by their order.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

/// The value that a document has.
///
/// # Errors
///
/// What is no JSON, or has another shape than `T`.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    T::deserialize(Strict(serde_json::from_slice(bytes)?))
}

struct Strict(Value);

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => {
                let mut values = SeqDeserializer::new(values.into_iter().map(Strict));
                let visited = visitor.visit_seq(&mut values)?;
                values.end()?;
                Ok(visited)
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, Strict(value)));
                let mut fields = MapDeserializer::new(fields);
                let visited = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(visited)
            }
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default)]
        names: Vec<String>,
        inner: Option<Inner>,
        #[serde(default)]
        weight: f32,
        any: Option<Value>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        count: usize,
        kind: Kind,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        Small,
        Large,
    }

    #[test]
    fn what_fits_is_read() {
        let text = br#"{"names": ["a", "b"], "inner": {"count": 2, "kind": "large"},
                        "weight": 0.25, "any": [1, {"x": null}]}"#;
        let outer: Outer = from_slice(text).unwrap();

        let inner = Inner { count: 2, kind: Kind::Large };
        let any = serde_json::json!([1, {"x": null}]);
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(outer, Outer { names, inner: Some(inner), weight: 0.25, any: Some(any) });
        assert_eq!(from_slice::<Outer>(br#"{"inner": null}"#).unwrap().inner, None);
    }

    #[test]
    fn a_list_is_no_object() {
        for text in [
            "[]",
            r#"[["a"], null, 1, null]"#,
            r#"{"inner": [2, "small"]}"#,
            r#"{"inner": []}"#,
            r#"{"inner": {"counts": 2}}"#,
            r#"{"inner": {"kind": "vast"}}"#,
            r#"{"names": {"a": 1}}"#,
            r#"{"weight": 1} x"#,
        ] {
            assert!(from_slice::<Outer>(text.as_bytes()).is_err(), "{text}");
        }
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(from_slice::<Value>(nested.as_bytes()).is_err());
    }
}
