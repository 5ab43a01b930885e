use super::*;
use crate::document::shred;
use crate::json::parse;
use crate::limits::Limits;
use crate::settings::{Features, Settings};

fn settings(options: &str) -> Settings {
    let features = Features { lexical: true, rerank: false };
    Settings::parse("c", Some(&parse(options, 100).unwrap()), &features, &Limits::default())
        .unwrap()
}

fn filter_with(text: &str, options: &str) -> Result<Filter> {
    Filter::parse(Some(&parse(text, 100).unwrap()), &settings(options), &Limits::default())
}

/// Which of the documents `{"_id": i, ...}` match.
fn matching(filter: &str, documents: &[&str]) -> Vec<usize> {
    let filter = filter_with(filter, "{}").unwrap();
    let settings = settings("{}");
    let matches = |text: &str| {
        let Value::Object(body) = parse(text, 100).unwrap() else { unreachable!() };
        filter.matches(&shred(body, &settings, &Limits::default(), 1).unwrap())
    };
    documents.iter().enumerate().filter(|(_, text)| matches(text)).map(|(i, _)| i).collect()
}

fn code(filter: &str) -> Option<Code> {
    filter_with(filter, "{}").err().map(|error| error.code)
}

#[test]
fn equality_reaches_into_arrays_and_is_ordered_for_wholes() {
    let documents = [
        r#"{"a":1}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":"1"}"#,
        r#"{"a":{"x":1,"y":2}}"#,
        r#"{"a":{"y":2,"x":1}}"#,
        r#"{"b":1}"#,
        r#"{"a":[[1,2]]}"#,
    ];
    assert_eq!(matching(r#"{"a":1}"#, &documents), [0, 1]);
    assert_eq!(matching(r#"{"a":1.0}"#, &documents), [0, 1]);
    assert_eq!(matching(r#"{"a":{"$eq":[1,2]}}"#, &documents), [1]);
    assert_eq!(matching(r#"{"a":{"$eq":[2,1]}}"#, &documents), [0; 0]);
    assert_eq!(matching(r#"{"a":{"x":1,"y":2}}"#, &documents), [3]);
    assert_eq!(matching(r#"{"a":{"$ne":1}}"#, &documents), [2, 3, 4, 5, 6]);
    assert_eq!(matching(r#"{"a.0":1}"#, &documents), [1, 6]);
    assert_eq!(matching(r#"{"a.x":1}"#, &documents), [3, 4]);
}

#[test]
fn null_is_neither_missing_nor_an_element() {
    let documents = [r#"{"a":null}"#, "{}", r#"{"a":[null]}"#, r#"{"a":0}"#];
    assert_eq!(matching(r#"{"a":null}"#, &documents), [0]);
    assert_eq!(matching(r#"{"a":{"$ne":null}}"#, &documents), [1, 2, 3]);
    assert_eq!(matching(r#"{"a":{"$in":[null]}}"#, &documents), [0, 2]);
    assert_eq!(matching(r#"{"a":{"$exists":true}}"#, &documents), [0, 2, 3]);
    assert_eq!(matching(r#"{"a":{"$exists":false}}"#, &documents), [1]);
}

#[test]
fn lists_match_scalars_and_elements() {
    let documents = [r#"{"t":["x","y"]}"#, r#"{"t":"x"}"#, "{}", r#"{"t":[]}"#];
    assert_eq!(matching(r#"{"t":{"$in":["x","z"]}}"#, &documents), [0, 1]);
    assert_eq!(matching(r#"{"t":{"$nin":["x"]}}"#, &documents), [2, 3]);
    assert_eq!(matching(r#"{"t":{"$in":[]}}"#, &documents), [0; 0]);
    assert_eq!(matching(r#"{"t":{"$nin":[]}}"#, &documents), [0, 1, 2, 3]);
    assert_eq!(matching(r#"{"t":{"$all":["x","y"]}}"#, &documents), [0]);
    assert_eq!(matching(r#"{"t":{"$all":["x"]}}"#, &documents), [0, 1]);
    assert_eq!(matching(r#"{"t":{"$size":0}}"#, &documents), [3]);
    assert_eq!(matching(r#"{"t":{"$size":2}}"#, &documents), [0]);
    assert_eq!(matching(r#"{"$not":{"t":{"$size":2}}}"#, &documents), [1, 2, 3]);
    assert_eq!(matching(r#"{"$not":{"t":{"$all":["y","z"]}}}"#, &documents), [1, 2, 3]);
}

#[test]
fn ranges_compare_one_type_and_not_elements() {
    let documents = [
        r#"{"a":5}"#,
        r#"{"a":"5"}"#,
        r#"{"a":[5]}"#,
        r#"{"a":{"$date":5}}"#,
        r#"{"a":true}"#,
        r#"{"a":5.5}"#,
        "{}",
    ];
    assert_eq!(matching(r#"{"a":{"$gt":4}}"#, &documents), [0, 5]);
    assert_eq!(matching(r#"{"a":{"$gte":5,"$lt":5.5}}"#, &documents), [0]);
    assert_eq!(matching(r#"{"a":{"$lte":"5"}}"#, &documents), [1]);
    assert_eq!(matching(r#"{"a":{"$gte":{"$date":5}}}"#, &documents), [3]);
    assert_eq!(matching(r#"{"a":{"$gt":false}}"#, &documents), [4]);
    assert_eq!(matching(r#"{"a.0":{"$gt":4}}"#, &documents), [2]);
    assert_eq!(matching(r#"{"$not":{"a":{"$gt":5}}}"#, &documents), [0]);
}

#[test]
fn logic_nests_and_not_inverts_operators() {
    let documents = [r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"a":2,"b":2}"#, "{}"];
    assert_eq!(matching(r#"{"$or":[{"a":2},{"b":1}]}"#, &documents), [0, 2]);
    assert_eq!(matching(r#"{"$and":[{"a":1},{"b":2}]}"#, &documents), [1]);
    assert_eq!(matching(r#"{"$not":{"a":1,"b":2}}"#, &documents), [0, 2, 3]);
    assert_eq!(matching(r#"{"$not":{"$or":[{"a":2},{"b":1}]}}"#, &documents), [1, 3]);
    assert_eq!(matching(r#"{"$not":{"$not":{"a":1}}}"#, &documents), [0, 1]);
    assert_eq!(matching(r#"{"$not":{"a":{"$exists":true}}}"#, &documents), [3]);
    assert_eq!(matching(r#"{"a":1,"$or":[{"b":1},{"b":2}],"$not":{"b":2}}"#, &documents), [0]);
    assert_eq!(matching("{}", &documents), [0, 1, 2, 3]);
}

#[test]
fn members_of_or_are_flattened_and_only_and_keeps_them_together() {
    let documents = [r#"{"g":1,"i":1}"#, r#"{"g":1,"i":9}"#, r#"{"g":2,"i":50}"#, "{}"];
    assert_eq!(matching(r#"{"$or":[{"g":1,"i":1},{"i":50}]}"#, &documents), [0, 1, 2]);
    assert_eq!(matching(r#"{"$or":[{"i":{"$gte":5,"$lte":10}}]}"#, &documents), [0, 1, 2]);
    assert_eq!(
        matching(r#"{"$and":[{"$or":[{"i":{"$gt":100,"$lt":2}}]},{"g":1}]}"#, &documents),
        [0]
    );
    assert_eq!(
        matching(r#"{"$or":[{"$and":[{"g":1},{"i":1}]},{"$and":[{"i":50}]}]}"#, &documents),
        [0, 2]
    );
    assert_eq!(matching(r#"{"$not":{"$or":[{"g":1,"i":50}]}}"#, &documents), [3]);
}

#[test]
fn a_condition_of_nothing_is_none_and_what_cannot_be_is_not_found() {
    let documents = [r#"{"g":5}"#, r#"{"o":{}}"#, "{}"];
    for everything in [r#"{"$or":[]}"#, r#"{"o":{}}"#, r#"{"$or":[{}]}"#, r#"{"$and":[{"o":{}}]}"#]
    {
        assert_eq!(matching(everything, &documents), [0, 1, 2], "{everything}");
    }
    for nothing in [r#"{"g":{"$gt":1,"x":2}}"#, r#"{"a..b":1}"#, r#"{".g":5}"#, r#"{"g.":5}"#] {
        assert_eq!(matching(nothing, &documents), [0; 0], "{nothing}");
    }
    assert_eq!(matching(r#"{"o":{"$eq":{}}}"#, &documents), [1]);
}

#[test]
fn ids_match_by_key() {
    let documents = [r#"{"_id":1}"#, r#"{"_id":"1"}"#, r#"{"_id":{"$date":1}}"#, r#"{"_id":"b"}"#];
    assert_eq!(matching(r#"{"_id":1}"#, &documents), [0]);
    assert_eq!(matching(r#"{"_id":{"$date":1}}"#, &documents), [2]);
    assert_eq!(matching(r#"{"_id":{"$in":["1",{"$date":1}]}}"#, &documents), [1, 2]);
    assert_eq!(matching(r#"{"_id":{"$ne":1}}"#, &documents), [1, 2, 3]);
    assert_eq!(matching(r#"{"_id":{"$nin":[1,"b"]}}"#, &documents), [1, 2]);
    assert_eq!(matching(r#"{"_id":{"$gt":"1"}}"#, &documents), [3]);
    assert_eq!(matching(r#"{"$not":{"_id":{"$gt":"1"}}}"#, &documents), [1]);
}

#[test]
fn extended_values_compare_as_what_they_are() {
    let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    let document = format!(r#"{{"u":{{"$uuid":"{uuid}"}},"d":{{"$date":7}}}}"#);
    let documents = [document.as_str()];
    assert_eq!(matching(&format!(r#"{{"u":{{"$uuid":"{uuid}"}}}}"#), &documents), [0]);
    assert_eq!(matching(&format!(r#"{{"u":"{uuid}"}}"#), &documents), [0]);
    assert_eq!(matching(r#"{"d":{"$date":7}}"#, &documents), [0]);
    assert_eq!(matching(r#"{"d":7}"#, &documents), [0; 0]);
}

#[test]
fn bad_filters_have_their_codes() {
    for (filter, expected) in [
        ("[]", Code::FilterType),
        (r#"{"a":[1]}"#, Code::Filter),
        (r#"{"a":{"$regex":"x"}}"#, Code::FilterOperator),
        (r#"{"a":{"$gt":null}}"#, Code::Filter),
        (r#"{"a":{"$gt":[1]}}"#, Code::Filter),
        (r#"{"a":{"$in":1}}"#, Code::Filter),
        (r#"{"a":{"$all":[]}}"#, Code::Filter),
        (r#"{"a":{"$size":-1}}"#, Code::Filter),
        (r#"{"a":{"$size":1.5}}"#, Code::Filter),
        (r#"{"a":{"$exists":1}}"#, Code::Filter),
        (r#"{"a":{"$date":"x"}}"#, Code::Filter),
        (r#"{"":1}"#, Code::Filter),
        (r#"{"a":{"b":{"$eq":1}}}"#, Code::Filter),
        (r#"{"$or":[{"_id":1},{"_id":2}]}"#, Code::FilterIds),
        (r#"{"$a":1}"#, Code::Filter),
        (r#"{"$and":{"a":1}}"#, Code::Filter),
        (r#"{"$or":[1]}"#, Code::FilterType),
        (r#"{"$vector":[1,2]}"#, Code::Filter),
        (r#"{"$vector":{"$eq":[1]}}"#, Code::Filter),
        (r#"{"$lexical":"x"}"#, Code::Filter),
        (r#"{"a":{"$match":"x"}}"#, Code::Filter),
        (r#"{"_id":1,"$and":[{"_id":2}]}"#, Code::FilterIds),
        (r#"{"$or":[{"_id":1},{"a":1}]}"#, Code::Filter),
        (r#"{"_id":{"$size":1}}"#, Code::FilterOperator),
    ] {
        assert_eq!(code(filter), Some(expected), "{filter}");
    }
    assert_eq!(code(r#"{"$vector":{"$exists":true}}"#), None);
    assert_eq!(code(r#"{"$lexical":{"$match":"x"}}"#), None);
}

#[test]
fn the_number_of_comparisons_and_values_is_limited() {
    let conditions = |n: usize| {
        let members: Vec<_> = (0..n).map(|i| format!("\"f{i}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(code(&conditions(64)), None);
    assert_eq!(code(&conditions(65)), Some(Code::FilterLimit));
    let list = |n: usize| format!(r#"{{"a":{{"$in":{:?}}}}}"#, vec![1; n]);
    assert_eq!(code(&list(100)), None);
    assert_eq!(code(&list(101)), Some(Code::Filter));
    assert_eq!(code(&list(101).replace("\"a\"", "\"_id\"")), Some(Code::Filter));
}

#[test]
fn unindexed_paths_are_refused_and_ids_still_work() {
    let nothing = r#"{"indexing":{"deny":["*"]}}"#;
    let code = |filter: &str, options: &str| filter_with(filter, options).err().map(|e| e.code);
    assert_eq!(code(r#"{"a":1}"#, nothing), Some(Code::FilterUnindexed));
    assert_eq!(code(r#"{"_id":1}"#, nothing), None);
    assert_eq!(code(r#"{"_id":{"$in":[1]}}"#, nothing), None);
    assert_eq!(code(r#"{"_id":{"$gt":1}}"#, nothing), Some(Code::FilterId));
    assert_eq!(code(r#"{"p.x":1}"#, r#"{"indexing":{"deny":["p"]}}"#), Some(Code::FilterUnindexed));
    assert_eq!(code(r#"{"$vector":{"$exists":true}}"#, nothing), None);
}

#[test]
fn objects_are_compared_by_what_is_indexed_of_them() {
    let options = r#"{"indexing":{"deny":["address.city"]}}"#;
    let document = |text: &str| {
        let Value::Object(body) = parse(text, 100).unwrap() else { unreachable!() };
        shred(body, &settings(options), &Limits::default(), 1).unwrap()
    };
    let stored = document(r#"{"address":{"street":"x","city":"y"}}"#);
    let other = document(r#"{"address":{"street":"z","city":"y"}}"#);

    let filter = filter_with(r#"{"address":{"$eq":{"street":"x"}}}"#, options).unwrap();
    assert!(filter.matches(&stored) && !filter.matches(&other));
    let differs = filter_with(r#"{"address":{"$ne":{"street":"x"}}}"#, options).unwrap();
    assert!(!differs.matches(&stored) && differs.matches(&other));
    let named = filter_with(r#"{"address":{"$eq":{"street":"x","city":"y"}}}"#, options);
    assert_eq!(named.unwrap_err().code, Code::FilterUnindexed);
}
