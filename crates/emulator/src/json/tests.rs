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
fn half_of_a_surrogate_pair_is_replaced() {
    for (text, expected) in [
        ("\"\\ud800\"", "\u{fffd}"),
        ("\"\\ud800\\u0041\"", "\u{fffd}A"),
        ("\"\\udc00x\"", "\u{fffd}x"),
        ("\"\\ud83c\\udfb5\"", "\u{1f3b5}"),
    ] {
        assert_eq!(parse(text, 100), Ok(Value::from(expected)), "{text}");
    }
}

#[test]
fn vectors_are_written_as_they_came() {
    let doubles = "[0.12345678901234567,1E-7,-3,2.5]";
    for (text, small) in [
        ("[0.1,-2.5,3,1E-7,0.33333334]", true),
        ("[0.10000000149011612,-2.5,0.3333333432674408]", true),
        ("[0.1234567890123456,1E-7,-3,2.5]", false),
        ("[0.123456789012345678901234,1]", false),
        (doubles, false),
    ] {
        let array = parse(text, 100).unwrap();
        let values: std::sync::Arc<[f32]> = crate::vector::read(&array).unwrap().into();
        let numbers = Numbers::of(&array, &values);

        assert_eq!(numbers.to_value(), array, "{text}");
        assert_eq!(Value::Numbers(numbers.clone()).to_string(), array.to_string());
        assert_eq!(Value::Numbers(numbers.clone()).characters(), array.to_string().len());
        let shares = matches!(numbers, Numbers::Single(_) | Numbers::Widened(_));
        assert_eq!(shares, small, "{text}");
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
