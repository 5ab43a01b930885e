use super::*;
use crate::json::parse;

fn object(text: &str) -> Object {
    match parse(text, 100).unwrap() {
        Value::Object(object) => object,
        _ => unreachable!(),
    }
}

/// The document after an update, and whether it changed.
fn update(document: &str, update: &str) -> Result<(String, bool)> {
    let mut document = object(document);
    let modified = Update::parse(&parse(update, 100).unwrap())?.apply(&mut document, false)?;
    Ok((Value::Object(document).to_string(), modified))
}

#[test]
fn operators_change_documents() {
    for (document, operators, expected) in [
        (r#"{"a":1}"#, r#"{"$set":{"a":2,"b.c":3}}"#, r#"{"a":2,"b":{"c":3}}"#),
        (r#"{"a":[1]}"#, r#"{"$set":{"a.3":4}}"#, r#"{"a":[1,null,null,4]}"#),
        (r#"{"a":[]}"#, r#"{"$set":{"a.1.b":4}}"#, r#"{"a":[null,{"b":4}]}"#),
        (r#"{"x.y":1}"#, r#"{"$set":{"x&.y":2}}"#, r#"{"x.y":2}"#),
        (r#"{"a":1,"b":[1,2]}"#, r#"{"$unset":{"a":"","b.0":1}}"#, r#"{"b":[null,2]}"#),
        (r#"{"a":1}"#, r#"{"$inc":{"a":0.5,"b":3}}"#, r#"{"a":1.5,"b":3}"#),
        (r#"{"a":0.1}"#, r#"{"$inc":{"a":0.2}}"#, r#"{"a":0.3}"#),
        (r#"{"a":3}"#, r#"{"$mul":{"a":4,"b":4}}"#, r#"{"a":12,"b":0}"#),
        (r#"{"a":3,"b":3}"#, r#"{"$min":{"a":2,"b":4,"c":1}}"#, r#"{"a":2,"b":3,"c":1}"#),
        (r#"{"a":3,"b":3}"#, r#"{"$max":{"a":"x","b":null}}"#, r#"{"a":"x","b":3}"#),
        (r#"{"a":{"b":1}}"#, r#"{"$rename":{"a.b":"c.d"}}"#, r#"{"a":{},"c":{"d":1}}"#),
        (r#"{"a":[1]}"#, r#"{"$push":{"a":2,"b":3}}"#, r#"{"a":[1,2],"b":[3]}"#),
        (
            r#"{"a":[1,2]}"#,
            r#"{"$push":{"a":{"$each":[8,9],"$position":1}}}"#,
            r#"{"a":[1,8,9,2]}"#,
        ),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":-1}}}"#, r#"{"a":[1,9,2]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":77}}}"#, r#"{"a":[1,2,9]}"#),
        (r#"{}"#, r#"{"$push":{"a":{"$date":5}}}"#, r#"{"a":[{"$date":5}]}"#),
        (r#"{"a":[1,2,3]}"#, r#"{"$pop":{"a":1}}"#, r#"{"a":[1,2]}"#),
        (r#"{"a":[1,2,3]}"#, r#"{"$pop":{"a":-1}}"#, r#"{"a":[2,3]}"#),
        (
            r#"{"a":[1]}"#,
            r#"{"$addToSet":{"a":{"$each":[1,2,2]},"b":1}}"#,
            r#"{"a":[1,2],"b":[1]}"#,
        ),
        (
            r#"{"$vectorize":"x","$vector":[1]}"#,
            r#"{"$set":{"$vector":[2]}}"#,
            r#"{"$vector":[2]}"#,
        ),
    ] {
        let result = update(document, operators).unwrap();
        assert_eq!(result, (expected.to_owned(), true), "{operators}");
    }
}

#[test]
fn what_changes_nothing_says_so() {
    for (document, operators) in [
        (r#"{"a":1}"#, r#"{"$set":{"a":1.0}}"#),
        (r#"{"a":{"x":1,"y":2}}"#, r#"{"$set":{"a":{"x":1,"y":2}}}"#),
        (r#"{"a":1}"#, r#"{"$unset":{"b":"","a.b":""}}"#),
        (r#"{"a":1}"#, r#"{"$inc":{"a":0}}"#),
        (r#"{"a":1}"#, r#"{"$mul":{"a":1}}"#),
        (r#"{"a":1}"#, r#"{"$min":{"a":1},"$max":{"b":1},"$unset":{"c":1}}"#),
        (r#"{"a":[]}"#, r#"{"$pop":{"a":1,"b":1}}"#),
        (r#"{"a":[1]}"#, r#"{"$addToSet":{"a":1}}"#),
        (r#"{"a":1}"#, r#"{"$rename":{"b":"c"}}"#),
        (r#"{"a":1}"#, r#"{"$setOnInsert":{"b":1}}"#),
        (r#"{"a":1}"#, "{}"),
    ] {
        let (after, modified) = update(document, operators).unwrap();
        if operators.contains("$max") {
            // `$max` of a missing field sets it.
            assert!(modified);
            continue;
        }
        assert_eq!((after.as_str(), modified), (document, false), "{operators}");
    }
    // The other order of members is another object.
    assert!(update(r#"{"a":{"x":1,"y":2}}"#, r#"{"$set":{"a":{"y":2,"x":1}}}"#).unwrap().1);
    // A push of nothing counts as a change, as on the server.
    assert!(update(r#"{"a":[1]}"#, r#"{"$push":{"a":{"$each":[]}}}"#).unwrap().1);
}

#[test]
fn operators_apply_by_name_and_not_as_written() {
    let (after, _) = update(
        r#"{"a":1,"b":2}"#,
        r#"{"$unset":{"c":1},"$set":{"d":4},"$rename":{"a":"c"},"$inc":{"b":1}}"#,
    )
    .unwrap();
    // `$rename` makes `c`, `$unset` comes later and removes it.
    assert_eq!(after, r#"{"b":3,"d":4}"#);
}

#[test]
fn current_date_is_now() {
    let (after, modified) =
        update("{}", r#"{"$currentDate":{"a":true,"b":{"$type":"date"}}}"#).unwrap();
    assert!(modified);
    let a = object(&after).get("a").unwrap().as_date().unwrap();
    assert!(a > 1_700_000_000_000, "{after}");
}

#[test]
fn set_on_insert_is_for_inserts() {
    let update =
        Update::parse(&parse(r#"{"$setOnInsert":{"_id":7,"a":1}}"#, 100).unwrap()).unwrap();
    let mut document = object("{}");
    assert!(update.apply(&mut document, true).unwrap());
    assert_eq!(Value::Object(document).to_string(), r#"{"_id":7,"a":1}"#);
}

#[test]
fn bad_updates_have_their_codes() {
    for (operators, code) in [
        ("[]", Code::UpdateType),
        (r#"{"a":1}"#, Code::Update),
        (r#"{"$pull":{"a":1}}"#, Code::Update),
        (r#"{"$set":1}"#, Code::UpdateType),
        (r#"{"$set":{"_id":1}}"#, Code::UpdateId),
        (r#"{"$unset":{"_id":1}}"#, Code::UpdateId),
        (r#"{"$rename":{"a":"_id"}}"#, Code::UpdateId),
        (r#"{"$inc":{"$vector":1}}"#, Code::UpdateVector),
        (r#"{"$push":{"$lexical":1}}"#, Code::UpdateLexical),
        (r#"{"$min":{"$vectorize":1}}"#, Code::UpdateVectorize),
        (r#"{"$set":{"$vector":[1],"$vectorize":"x"}}"#, Code::VectorizeUsage),
        (r#"{"$inc":{"a":"1"}}"#, Code::UpdateParam),
        (r#"{"$inc":{"$a":1}}"#, Code::UpdateModifier),
        (r#"{"$push":{"$each":[1]}}"#, Code::UpdateParam),
        (r#"{"$push":{"a":{"$position":1}}}"#, Code::UpdateParam),
        (r#"{"$push":{"a":{"$each":1}}}"#, Code::UpdateParam),
        (r#"{"$push":{"a":{"$each":[1],"$slice":1}}}"#, Code::UpdateModifier),
        (r#"{"$push":{"a":{"$each":[1],"$position":1.5}}}"#, Code::UpdateParam),
        (r#"{"$addToSet":{"a":{"$each":[1],"$position":1}}}"#, Code::UpdateModifier),
        (r#"{"$pop":{"a":2}}"#, Code::UpdateParam),
        (r#"{"$currentDate":{"a":false}}"#, Code::UpdateParam),
        (r#"{"$rename":{"a":1}}"#, Code::UpdateParam),
        (r#"{"$rename":{"a":"a"}}"#, Code::UpdatePath),
        (r#"{"$set":{"a..b":1}}"#, Code::UpdatePath),
        (r#"{"$set":{"a":1},"$inc":{"a":1}}"#, Code::UpdateParam),
        (r#"{"$set":{"a.b":1},"$unset":{"a":1}}"#, Code::UpdateParam),
    ] {
        let error = Update::parse(&parse(operators, 100).unwrap()).unwrap_err();
        assert_eq!(error.code, code, "{operators}");
    }
}

#[test]
fn what_does_not_fit_its_target_is_refused() {
    for (operators, code) in [
        (r#"{"$inc":{"s":1}}"#, Code::UpdateTarget),
        (r#"{"$mul":{"s":1}}"#, Code::UpdateTarget),
        (r#"{"$push":{"s":1}}"#, Code::UpdateTarget),
        (r#"{"$addToSet":{"s":1}}"#, Code::UpdateTarget),
        (r#"{"$pop":{"s":1}}"#, Code::UpdateTarget),
        (r#"{"$set":{"s.x":1}}"#, Code::UpdatePath),
        (r#"{"$set":{"l.x":1}}"#, Code::UpdatePath),
        (r#"{"$set":{"l.99999999":1}}"#, Code::UpdatePath),
        (r#"{"$rename":{"l.0":"x"}}"#, Code::UpdatePath),
        (r#"{"$rename":{"s":"l.0"}}"#, Code::UpdatePath),
        (r#"{"$inc":{"n":1e9000}}"#, Code::UpdateTarget),
    ] {
        let error = update(r#"{"s":"text","l":[1],"n":1}"#, operators).unwrap_err();
        assert_eq!(error.code, code, "{operators}");
    }
}
