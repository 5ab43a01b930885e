//! A pattern that is to be made, as a person or a program says it.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
use songrec_core::{Metric, SegmentId, Vector};

use crate::{Error, Result, part::clock};

/// Bytes of a pattern's metadata as JSON, at the most.
pub const LARGEST_METADATA: usize = 16 << 10;
/// Letters of a kind or a source, at the most.
const LONGEST: usize = 200;
/// What documents of patterns say of songs and of themselves.
const SAID_BESIDE: [&str; 5] = ["title", "artist", "dimension", "created_at", "changed_at"];
/// What scans call what they make; it is no kind of pattern.
const WINDOW: &str = "window";
/// How far a pattern may reach beyond the end that its song says it has, in seconds:
/// programs round, and decoders pad.
const BEYOND: f64 = 0.5;

/// A pattern that is to be made. In JSON it has the fields of documents of patterns
/// (`kind` may be called `type`),
/// and what these say beside it is passed over, so that patterns of one library can be
/// sent to another.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPattern {
    /// The id that it is to have. One that is there already is left as it is, so that
    /// what was cut off can be sent again.
    #[serde(default)]
    pub id: Option<SegmentId>,
    /// The song that it is a part of.
    pub song: String,
    /// Where it begins, in seconds from the start of the song.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
    /// Its lowest frequency in Hz; together with the highest one, or neither.
    #[serde(default)]
    pub low: Option<f32>,
    /// Its highest frequency in Hz.
    #[serde(default)]
    pub high: Option<f32>,
    /// What it is, such as `harmonic`.
    #[serde(alias = "type")]
    pub kind: String,
    /// How sure its finder is, 0 to 1; 1 if it is not said.
    #[serde(default)]
    pub confidence: Option<f32>,
    /// Its features. Without them the model hears the part of the song.
    #[serde(default)]
    pub features: Option<Vec<f32>>,
    /// The model that made the features, or is to make them. If it is not said, features
    /// can be compared with all that have as many numbers, and are otherwise made by the
    /// model that searches compare by.
    #[serde(default)]
    pub model: Option<String>,
    /// How features of a model that the library does not know yet are compared.
    #[serde(default, deserialize_with = "metric")]
    pub metric: Option<Metric>,
    /// Who or what found it.
    #[serde(default)]
    pub source: Option<String>,
    /// Whatever else is to be kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

// As commands take it, too: `dot` for short.
fn metric<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metric>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}

impl NewPattern {
    /// A pattern of a part of a song, from `start` to `end` in seconds.
    pub fn new(song: impl Into<String>, start: f64, end: f64, kind: impl Into<String>) -> Self {
        Self { song: song.into(), start, end, kind: kind.into(), ..Self::default() }
    }

    /// A pattern as a line of JSON says it.
    ///
    /// # Errors
    ///
    /// `Usage` if it is none.
    pub fn parse(line: &str) -> Result<Self> {
        let read = |line: &str| -> serde_json::Result<Self> {
            let mut fields: Map<String, Value> = serde_json::from_str(line)?;
            fields.retain(|name, _| !SAID_BESIDE.contains(&name.as_str()));
            serde_json::from_value(Value::Object(fields))
        };
        read(line).map_err(|error| {
            Error::usage("it is no pattern").because(error).with_hint(
                "a pattern is such as {\"song\":\"ID\",\"start\":12,\"end\":15,\
                 \"kind\":\"harmonic\"}",
            )
        })
    }

    /// Its features, if they were given.
    pub(super) fn vector(&self) -> Result<Option<Vector>> {
        let Some(values) = &self.features else { return Ok(None) };
        Vector::new(values.clone()).map(Some).map_err(|error| {
            Error::usage("the features cannot be used").because(error).with_hint(
                "features are at least one number; leave them out to have a model make them",
            )
        })
    }
}

/// A kind of pattern, without space around it.
pub(super) fn kind_of(text: &str) -> Result<String> {
    let kind = line("a kind", text)?;
    match kind.as_str() {
        "" => Err(Error::usage("a pattern has a kind").with_hint("such as `harmonic`")),
        WINDOW => Err(Error::usage("`window` is no kind of pattern")
            .because("scans call parts of songs so")
            .with_hint("give it another kind")),
        _ => Ok(kind),
    }
}

/// A name of who found it, without space around it; an empty one is none.
pub(super) fn source_of(text: &str) -> Result<Option<String>> {
    Ok(Some(line("a source", text)?).filter(|source| !source.is_empty()))
}

fn line(what: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let wrong = |why: String| {
        Err(Error::usage(format_args!("{what} is one short line of text")).because(why))
    };
    match text.chars().count() {
        _ if text.chars().any(char::is_control) => {
            wrong("this one has line ends or the like".into())
        }
        count if count > LONGEST => wrong(format!("{count} letters are more than {LONGEST}")),
        _ => Ok(text.to_owned()),
    }
}

/// Both frequencies, or none.
pub(super) fn frequencies_of(low: Option<f32>, high: Option<f32>) -> Result<Option<(f32, f32)>> {
    match (low, high) {
        (Some(low), Some(high)) => Ok(Some((low, high))),
        (None, None) => Ok(None),
        _ => Err(Error::usage("a range of frequencies has a lowest and a highest one")
            .with_hint("say both in Hz, such as 20 and 8000, or neither")),
    }
}

/// Nothing, if a pattern can have so much metadata.
pub(super) fn has_room(metadata: &Map<String, Value>) -> Result<()> {
    let size = serde_json::to_vec(metadata).map_or(0, |bytes| bytes.len());
    if size <= LARGEST_METADATA {
        return Ok(());
    }
    Err(Error::usage(format_args!("{size} bytes of metadata are too many"))
        .because(format!("a pattern keeps {LARGEST_METADATA} at the most"))
        .with_hint("keep it elsewhere, and name the place"))
}

/// Nothing, if a part of a song may end at `end` where the song is `duration` long,
/// both in seconds; a duration of 0 is not known.
pub(super) fn is_within(end: f64, duration: f64) -> Result<()> {
    if duration <= 0.0 || end <= duration + BEYOND {
        return Ok(());
    }
    Err(Error::usage(format_args!("the song has no part that ends at {}", clock(end)))
        .because(format!("it ends after {}", clock(duration))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_pattern_or_says_why_not() {
        let line = r#"{"song":"3f9a","start":12,"end":15,"low":20,"high":8000,"type":"harmonic",
            "confidence":0.9,"features":[1,2.5],"metadata":{"bar":7},"title":"passed over"}"#;
        let read = NewPattern::parse(line).unwrap();
        assert_eq!(
            (read.start, read.high, read.features),
            (12.0, Some(8000.0), Some(vec![1.0, 2.5]))
        );

        for (line, why) in [
            ("", "EOF"),
            ("[]", "expected a map"),
            (r#"{"song":"x","start":1,"end":2}"#, "missing field `kind`"),
            (r#"{"song":"x","start":1,"end":2,"type":"a","typo":1}"#, "unknown field `typo`"),
            (r#"{"song":"x","start":"1","end":2,"type":"a"}"#, "invalid type: string"),
        ] {
            let error = NewPattern::parse(line).unwrap_err();
            assert!(error.in_one_line().contains(why), "{line}: {}", error.in_one_line());
        }
    }

    #[test]
    fn what_no_pattern_can_have_is_refused() {
        let empty = NewPattern { features: Some(vec![]), ..NewPattern::new("x", 0.0, 1.0, "a") };
        assert!(empty.vector().is_err());
        let endless =
            NewPattern { features: Some(vec![f32::NAN]), ..NewPattern::new("x", 0.0, 1.0, "a") };
        assert!(endless.vector().is_err());
        for kind in ["", " ", "window", " window ", "a\nb", &"a".repeat(201)] {
            assert!(kind_of(kind).is_err(), "{kind}");
        }
        assert_eq!(kind_of(" harmonic ").unwrap(), "harmonic");
        assert!(frequencies_of(Some(1.0), None).is_err());
        assert!(frequencies_of(None, Some(1.0)).is_err());
        assert!(is_within(10.6, 10.0).is_err());
        assert!(is_within(10.4, 10.0).is_ok() && is_within(99.0, 0.0).is_ok());
        let large = Map::from_iter([("a".to_owned(), Value::from("b".repeat(LARGEST_METADATA)))]);
        assert!(has_room(&large).is_err());
    }
}
