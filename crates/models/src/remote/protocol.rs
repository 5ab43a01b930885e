//! The two forms on the wire: what is sent, and what an answer says.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::{json, value::RawValue};

use super::{ClientConfig, Form};

/// The header that says where, in a body with numbers as bytes, the JSON ends.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";

/// What is sent.
pub(crate) struct Outgoing {
    pub(crate) body: Vec<u8>,
    /// Where its JSON ends, if something follows.
    pub(crate) json_length: Option<usize>,
}

/// What came back.
pub(crate) struct Incoming<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) json_length: Option<usize>,
}

/// The path that embeds.
pub(crate) fn infer_path(config: &ClientConfig) -> String {
    if let Some(path) = &config.endpoint {
        return path.clone();
    }
    match config.form {
        Form::Oip => format!("{}/infer", model_path(config)),
        Form::Plain => format!("/process/{}", config.model),
    }
}

/// The path that says whether the server is well.
pub(crate) fn health_path(config: &ClientConfig) -> String {
    if let Some(path) = &config.health {
        return path.clone();
    }
    match config.form {
        Form::Oip => "/v2/health/ready".to_owned(),
        Form::Plain => "/health".to_owned(),
    }
}

/// The path of the model itself, in the open protocol.
pub(crate) fn model_path(config: &ClientConfig) -> String {
    let version = config.version.as_ref().map(|version| format!("/versions/{version}"));
    format!("/v2/models/{}{}", config.model, version.unwrap_or_default())
}

/// A request in the open protocol: windows of one length.
pub(crate) fn open_request(
    windows: &[&[f32]],
    input: &str,
    output: Option<&str>,
    binary: bool,
) -> Outgoing {
    #[derive(Serialize)]
    struct Request<'a> {
        inputs: [Input<'a>; 1],
        #[serde(skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<serde_json::Value>,
    }
    #[derive(Serialize)]
    struct Input<'a> {
        name: &'a str,
        shape: [usize; 2],
        datatype: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Vec<f32>>,
    }
    let length = windows.first().map_or(0, |window| window.len());
    let values = || windows.iter().flat_map(|window| window.iter().copied());
    let size = windows.len() * length * size_of::<f32>();
    let outputs = output.map(|name| match binary {
        true => json!({ "name": name, "parameters": { "binary_data": true } }),
        false => json!({ "name": name }),
    });
    let request = Request {
        inputs: [Input {
            name: input,
            shape: [windows.len(), length],
            datatype: "FP32",
            parameters: binary.then(|| json!({ "binary_data_size": size })),
            data: (!binary).then(|| values().collect()),
        }],
        parameters: (binary && output.is_none()).then(|| json!({ "binary_data_output": true })),
        outputs: outputs.into_iter().collect(),
    };
    let mut body = serde_json::to_vec(&request).expect("numbers and texts are JSON");
    let json_length = binary.then_some(body.len());
    if binary {
        body.reserve_exact(size);
        body.extend(values().flat_map(f32::to_le_bytes));
    }
    Outgoing { body, json_length }
}

/// The vectors in an answer of the open protocol, one for each of `count`
/// windows.
pub(crate) fn open_answer(
    answer: &Incoming<'_>,
    output: Option<&str>,
    count: usize,
) -> Result<Vec<Vec<f32>>, String> {
    #[derive(Deserialize)]
    struct Answer {
        outputs: Vec<Output>,
    }
    #[derive(Deserialize)]
    struct Output {
        name: String,
        datatype: String,
        shape: Vec<usize>,
        #[serde(default)]
        data: Option<Numbers>,
        #[serde(default)]
        parameters: Parameters,
    }
    #[derive(Default, Deserialize)]
    struct Parameters {
        #[serde(default)]
        binary_data_size: Option<usize>,
    }
    let (text, mut bytes) = match answer.json_length {
        Some(length) => answer
            .body
            .split_at_checked(length)
            .ok_or("the answer is shorter than its header says")?,
        None => (answer.body, &[][..]),
    };
    let parsed: Answer = serde_json::from_slice(text)
        .map_err(|error| format!("the answer is not one of the open protocol: {error}"))?;
    let names: Vec<String> = parsed.outputs.iter().map(|output| output.name.clone()).collect();
    for given in parsed.outputs {
        let own = match given.parameters.binary_data_size {
            Some(size) => {
                let (own, rest) =
                    bytes.split_at_checked(size).ok_or("the answer is shorter than it says")?;
                bytes = rest;
                Some(own)
            }
            None => None,
        };
        if output.is_some_and(|wanted| wanted != given.name) {
            continue;
        }
        let values = match (own, given.data) {
            (Some(bytes), _) => from_bytes(bytes, &given.datatype)?,
            (None, Some(numbers)) => numbers.values,
            (None, None) => return Err(format!("the output `{}` has no numbers", given.name)),
        };
        return rows(&values, &given.shape, count);
    }
    Err(match output {
        Some(wanted) => format!("there is no output `{wanted}` among {names:?}"),
        None => "the answer has no outputs".to_owned(),
    })
}

fn from_bytes(bytes: &[u8], datatype: &str) -> Result<Vec<f32>, String> {
    let whole = |size: usize| match bytes.len().is_multiple_of(size) {
        true => Ok(()),
        false => Err(format!("{} bytes are no whole number of {datatype}", bytes.len())),
    };
    match datatype {
        "FP32" => {
            whole(4)?;
            Ok(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
        }
        "FP64" => {
            whole(8)?;
            let eights = bytes.as_chunks::<8>().0.iter();
            Ok(eights.map(|eight| f64::from_le_bytes(*eight) as f32).collect())
        }
        other => Err(format!("numbers of type `{other}`: expected `FP32` or `FP64`")),
    }
}

// `[count, dimension]`, or `[count, frames, dimension]`, of which the mean over
// frames is taken.
fn rows(values: &[f32], shape: &[usize], count: usize) -> Result<Vec<Vec<f32>>, String> {
    let product = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    if product != Some(values.len()) || values.is_empty() {
        return Err(format!("{} numbers cannot have the shape {shape:?}", values.len()));
    }
    let (given, dimension) = match shape {
        [given, dimension] | [given, _, dimension] => (*given, *dimension),
        // One window may come without the dimension of the batch.
        [dimension] if count == 1 => (1, *dimension),
        _ => return Err(format!("the shape {shape:?}: expected [windows, dimension]")),
    };
    if given != count {
        return Err(format!("vectors for {given} windows, but {count} were sent"));
    }
    Ok(values.chunks(values.len() / count).map(|window| mean(window, dimension)).collect())
}

fn mean(frames: &[f32], dimension: usize) -> Vec<f32> {
    let count = frames.len() / dimension;
    if count == 1 {
        return frames.to_vec();
    }
    let mut sums = vec![0.0f64; dimension];
    for frame in frames.chunks(dimension) {
        for (sum, value) in sums.iter_mut().zip(frame) {
            *sum += f64::from(*value);
        }
    }
    sums.into_iter().map(|sum| (sum / count as f64) as f32).collect()
}

/// A request in the plain form: one window.
pub(crate) fn plain_request(window: &[f32], sample_rate: u32) -> Outgoing {
    #[derive(Serialize)]
    struct Request<'a> {
        audio: &'a [f32],
        sample_rate: u32,
    }
    let request = Request { audio: window, sample_rate };
    let body = serde_json::to_vec(&request).expect("numbers are JSON");
    Outgoing { body, json_length: None }
}

/// Where servers put the vector.
const PLAIN_NAMES: [&str; 4] = ["features", "embedding", "vector", "embeddings"];

/// The vector in an answer of the plain form: an array, or an object with one;
/// of several rows their mean.
pub(crate) fn plain_answer(body: &[u8], output: Option<&str>) -> Result<Vec<f32>, String> {
    let expected = "the answer is not one of the plain form";
    let numbers = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice::<Numbers>(body),
        _ => {
            let parts: BTreeMap<String, &RawValue> =
                serde_json::from_slice(body).map_err(|error| format!("{expected}: {error}"))?;
            let names = output.as_ref().map_or(PLAIN_NAMES.as_slice(), std::slice::from_ref);
            let part = names.iter().find_map(|name| parts.get(*name));
            let part =
                part.ok_or_else(|| format!("{expected}: there is no `{}`", names.join("` or `")))?;
            serde_json::from_str(part.get())
        }
    };
    let numbers = numbers.map_err(|error| format!("{expected}: {error}"))?;
    if numbers.rows == 0 || numbers.values.is_empty() {
        return Err(format!("{expected}: the vector is empty"));
    }
    if !numbers.values.len().is_multiple_of(numbers.rows) {
        return Err(format!("{expected}: its rows differ in length"));
    }
    Ok(mean(&numbers.values, numbers.values.len() / numbers.rows))
}

/// What a server says when it does not do as it is asked.
pub(crate) fn complaint(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let said =
        value.get("error").or_else(|| value.get("detail")).or_else(|| value.get("message"))?;
    let text = match said.as_str() {
        Some(text) => text.to_owned(),
        None => said.to_string(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    (!short.is_empty()).then_some(short)
}

/// Numbers in arrays in arrays, one after the other.
#[derive(Debug, Default)]
struct Numbers {
    values: Vec<f32>,
    /// How many arrays hold numbers themselves.
    rows: usize,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Self::default();
        Into(&mut numbers).deserialize(deserializer)?;
        Ok(numbers)
    }
}

struct Into<'a>(&'a mut Numbers);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or arrays of numbers")
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.values.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.values.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.values.push(value as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let before = (self.0.values.len(), self.0.rows);
        while sequence.next_element_seed(Into(&mut *self.0))?.is_some() {}
        // It held numbers itself, unless arrays inside it did.
        if self.0.rows == before.1 && self.0.values.len() > before.0 {
            self.0.rows += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &serde_json::Value) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }

    fn incoming(body: &[u8]) -> Incoming<'_> {
        Incoming { body, json_length: None }
    }

    #[test]
    fn a_request_says_the_same_in_text_and_in_bytes() {
        let windows: [&[f32]; 2] = [&[0.5, -0.25], &[1.0, 0.0]];

        let text = open_request(&windows, "audio", Some("out"), false);
        let bytes = open_request(&windows, "audio", Some("out"), true);

        let text: serde_json::Value = serde_json::from_slice(&text.body).unwrap();
        assert_eq!(
            text,
            json!({
                "inputs": [{"name": "audio", "shape": [2, 2], "datatype": "FP32",
                            "data": [0.5, -0.25, 1.0, 0.0]}],
                "outputs": [{"name": "out"}],
            })
        );
        let (head, tail) = bytes.body.split_at(bytes.json_length.unwrap());
        let head: serde_json::Value = serde_json::from_slice(head).unwrap();
        assert_eq!(head["inputs"][0]["parameters"]["binary_data_size"], 16);
        assert_eq!(head["outputs"][0]["parameters"]["binary_data"], true);
        assert_eq!(from_bytes(tail, "FP32").unwrap(), [0.5, -0.25, 1.0, 0.0]);
    }

    #[test]
    fn numbers_may_lie_flat_or_in_rows() {
        for data in [json!([1.0, 2, 3.0, -4]), json!([[1.0, 2], [3.0, -4]])] {
            let body = json(&json!({"outputs": [
                {"name": "other", "datatype": "FP32", "shape": [1], "data": [9]},
                {"name": "out", "datatype": "FP32", "shape": [2, 2], "data": data},
            ]}));

            let vectors = open_answer(&incoming(&body), Some("out"), 2).unwrap();

            assert_eq!(vectors, [[1.0, 2.0], [3.0, -4.0]]);
        }
    }

    #[test]
    fn bytes_come_in_the_order_of_the_outputs() {
        let mut body = json(&json!({"outputs": [
            {"name": "other", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
            {"name": "out", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}},
        ]}));
        let json_length = Some(body.len());
        body.extend(9f32.to_le_bytes());
        body.extend([1f64, -2.0].iter().flat_map(|value| value.to_le_bytes()));

        let vectors = open_answer(&Incoming { body: &body, json_length }, Some("out"), 1).unwrap();
        let cut = open_answer(&Incoming { body: &body[..body.len() - 1], json_length }, None, 1);
        let longer = Some(body.len() + 1);
        let beyond = open_answer(&Incoming { body: &body, json_length: longer }, None, 1);

        assert_eq!(vectors, [[1.0, -2.0]]);
        assert!(cut.is_err() || cut.unwrap() == [[9.0]], "the first output is whole");
        assert!(beyond.unwrap_err().contains("shorter"));
    }

    #[test]
    fn frames_are_averaged() {
        let body = json(&json!({"outputs": [
            {"name": "out", "datatype": "FP32", "shape": [1, 2, 2], "data": [1, 2, 3, 6]}]}));

        assert_eq!(open_answer(&incoming(&body), None, 1).unwrap(), [[2.0, 4.0]]);
        let frames = json(&json!({"features": [[1, 2], [3, 6]]}));
        assert_eq!(plain_answer(&frames, None).unwrap(), [2.0, 4.0]);
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_refused_in_words() {
        let output = |shape: serde_json::Value, data: serde_json::Value| {
            json(&json!({"outputs": [
                {"name": "out", "datatype": "FP32", "shape": shape, "data": data}]}))
        };
        for (body, said) in [
            (b"<html>".to_vec(), "not one of the open protocol"),
            (b"{}".to_vec(), "outputs"),
            (json(&json!({"outputs": []})), "no outputs"),
            (output(json!([2, 2]), json!([1, 2, 3])), "3 numbers"),
            (output(json!([usize::MAX, 2]), json!([1])), "1 numbers"),
            (output(json!([1, 2]), json!([1, "x"])), "string"),
            (output(json!([2, 1]), json!([1, 2])), "2 windows"),
            (output(json!([]), json!([])), "0 numbers"),
        ] {
            let error = open_answer(&incoming(&body), None, 1).unwrap_err();

            assert!(error.contains(said), "{error}");
        }
        for body in
            ["", "{}", "[]", "[[]]", "{\"features\": []}", "{\"features\": \"x\"}", "[[1],[1,2]]"]
        {
            assert!(plain_answer(body.as_bytes(), None).is_err(), "{body}");
        }
    }

    #[test]
    fn a_plain_answer_may_name_its_vector_in_several_ways() {
        for body in
            ["[1, 2]", "{\"embedding\": [1.0, 2.0], \"model\": \"w\"}", "{\"features\": [[1, 2]]}"]
        {
            assert_eq!(plain_answer(body.as_bytes(), None).unwrap(), [1.0, 2.0], "{body}");
        }
        assert_eq!(plain_answer(b"{\"x\": [3], \"features\": [1]}", Some("x")).unwrap(), [3.0]);
    }

    #[test]
    fn what_a_server_complains_of_is_one_line() {
        assert_eq!(complaint(b"{\"error\": \"no\\nmodel \\u001b[2J\"}").unwrap(), "no model [2J");
        assert_eq!(complaint(b"{\"detail\": [{\"loc\": 1}]}").unwrap(), "[{\"loc\":1}]");
        assert_eq!(complaint(b"oops"), None);
    }
}
