use proptest::prelude::*;

use super::*;

#[test]
fn text_comes_back_as_it_was_written() {
    let text = r#"{"b":[1,-2.5,"x\"\\\n é 🎵",null,true],"a":{},"empty":[],"big":123456789012345678901234567890}"#;

    assert_eq!(parse(text, 100).unwrap().to_string(), text);
}

#[test]
fn bad_texts_are_refused() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "nul",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\u{1}\"",
        "{} {}",
        "{a:1}",
        "'a'",
        "\"\\u12\u{e9}\"",
    ] {
        assert!(matches!(parse(text, 100), Err(ParseError::Syntax { .. })), "{text}");
    }
}

#[test]
fn duplicates_are_refused_in_small_and_large_objects() {
    assert_eq!(parse(r#"{"a":1,"b":{"c":1,"c":2}}"#, 100), Err(ParseError::Duplicate("c".into())));
    let members: Vec<_> = (0..40).map(|i| format!("\"k{i}\":{i}")).collect();
    let text = format!("{{{},\"k7\":1}}", members.join(","));
    assert_eq!(parse(&text, 100), Err(ParseError::Duplicate("k7".into())));
    assert!(parse(&format!("{{{}}}", members.join(",")), 100).is_ok());
}

#[test]
fn a_long_number_and_a_deep_nest_are_refused() {
    assert_eq!(parse(&"9".repeat(101), 100), Err(ParseError::NumberTooLong(101, 100)));
    assert_eq!(parse(&"[".repeat(100_000), 100), Err(ParseError::TooDeep));
}

proptest! {
    #[test]
    fn any_string_survives(text in any::<String>()) {
        let written = Value::String(text.clone()).to_string();
        prop_assert_eq!(parse(&written, 100).unwrap(), Value::String(text.clone()));
        let other: serde_json::Value = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(other.as_str(), Some(text.as_str()));
    }

    #[test]
    fn characters_are_those_of_the_text(
        texts in prop::collection::vec(any::<String>(), 0..4),
        number in any::<f64>(),
        integer in any::<i64>(),
        vector in prop::collection::vec(any::<f32>(), 0..6),
    ) {
        let vector = Value::Packed(vector.into());
        let mut members = vec![("$vector".to_owned(), vector), ("empty".to_owned(), Value::Array(vec![]))];
        for text in texts {
            members.push((text.clone(), Value::String(text)));
        }
        let number = parse(&format!("[{number:?},{integer},null,true,false,{{}}]").replace("inf", "0"), 500);
        members.extend(number.ok().map(|number| ("n".to_owned(), number)));
        let object = Value::Object(members.into_iter().collect());
        let text = object.to_string();
        prop_assert_eq!(object.characters(), text.encode_utf16().count(), "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text, 100);
    }
}
