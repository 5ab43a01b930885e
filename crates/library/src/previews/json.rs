//! Fields of an answer that nobody vouches for.

use serde_json::Value;

/// Characters that are kept of a text.
const LONGEST: usize = 1_000;

/// The list called `results` of an answer.
pub(super) fn results(answer: &[u8]) -> Result<Vec<Value>, String> {
    let answer: Value = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer is not JSON: {error}"))?;
    match answer {
        Value::Object(mut fields) => match fields.remove("results") {
            Some(Value::Array(results)) => Ok(results),
            _ => Err("the answer has no list of `results`".to_owned()),
        },
        _ => Err("the answer is no JSON object".to_owned()),
    }
}

/// The text of a field, on one line; nothing if it is empty.
pub(super) fn text(of: &Value, field: &str) -> Option<String> {
    let text: String = of[field].as_str()?.chars().take(LONGEST).collect();
    let text = text.split(|c: char| c.is_whitespace() || c.is_control());
    let text = text.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// A number that names something.
pub(super) fn id(of: &Value, field: &str) -> Option<String> {
    of[field].as_u64().map(|id| id.to_string())
}

/// A length in seconds, of which there are `per_second` in the field's unit.
pub(super) fn seconds(of: &Value, field: &str, per_second: f64) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let seconds = of[field].as_f64()? / per_second;
    (0.0..=DAY).contains(&seconds).then_some(seconds).filter(|seconds| *seconds > 0.0)
}

/// The day of a moment such as `1999-04-20T07:00:00Z`.
pub(super) fn day(of: &Value, field: &str) -> Option<String> {
    let day = of[field].as_str()?.get(..10)?;
    let fits = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    day.bytes().enumerate().all(fits).then(|| day.to_owned())
}

/// An address of the web.
pub(super) fn address(of: &Value, field: &str) -> Option<String> {
    let text = of[field].as_str()?;
    crate::web_address::is_web_address(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_a_field_is_left_out() {
        let of = json!({
            "ok": " a\u{1b}[2J\n b ", "empty": "\n", "number": 7, "text": "7", "long": 1e12,
            "ms": 30_500, "date": "1999-04-20T07:00:00Z", "soon": "soon enough", "http": "http://a/b",
            "file": "file:///etc/passwd", "script": "javascript:alert(1)", "split": "https://a b",
            "negative": -4, "short": "1999",
        });

        assert_eq!(text(&of, "ok").as_deref(), Some("a [2J b"));
        assert_eq!(
            (text(&of, "empty"), text(&of, "number"), text(&of, "none")),
            (None, None, None)
        );
        assert_eq!(id(&of, "number").as_deref(), Some("7"));
        assert_eq!((id(&of, "text"), id(&of, "negative")), (None, None));
        assert_eq!(seconds(&of, "ms", 1000.0), Some(30.5));
        assert_eq!((seconds(&of, "long", 1000.0), seconds(&of, "negative", 1.0)), (None, None));
        assert_eq!(day(&of, "date").as_deref(), Some("1999-04-20"));
        assert_eq!((day(&of, "soon"), day(&of, "short")), (None, None));
        assert_eq!(address(&of, "http").as_deref(), Some("http://a/b"));
        for field in ["file", "script", "split", "none"] {
            assert_eq!(address(&of, field), None, "{field}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_says_what_is_wrong() {
        for (answer, says) in [
            ("<html>", "not JSON"),
            ("[]", "no JSON object"),
            ("{}", "no list of `results`"),
            (r#"{"results": {}}"#, "no list of `results`"),
        ] {
            assert!(results(answer.as_bytes()).unwrap_err().contains(says), "{answer}");
        }
    }
}
