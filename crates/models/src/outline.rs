//! What an ONNX file says of itself, without loading it.
//!
//! An ONNX file is one protobuf message; what is needed of it is read by
//! field number, and weights, which are nearly all of its bytes, are skipped.
#![cfg_attr(
    not(all(feature = "rten", feature = "ort")),
    allow(dead_code, reason = "what only an engine that was left out would use")
)]

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

/// Longest name that is read; longer ones are no names.
const MOST_NAME: u64 = 4_096;
/// Deepest nesting of graphs inside graphs.
const MOST_DEPTH: usize = 16;

/// What an ONNX file says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outline {
    /// What has to be put in.
    pub(crate) inputs: Vec<Port>,
    /// What comes out.
    pub(crate) outputs: Vec<Port>,
    /// Every kind of operator in it.
    pub(crate) operators: BTreeSet<String>,
    /// The first `Resize` of mode `cubic`, by its name.
    pub(crate) cubic_resize: Option<String>,
    /// Whether weights are in another file beside it.
    pub(crate) external: bool,
}

/// An input or output.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// Its dimensions; None where any size will do.
    pub(crate) shape: Vec<Option<u64>>,
}

impl Outline {
    /// Reads the outline of the file at `path`.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is no ONNX file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut reader = Reader { file: BufReader::with_capacity(1 << 16, file), at: 0 };
        let mut outline = Self::default();
        let mut weights = BTreeSet::new();
        let mut graphs = 0;
        reader.message(length, |reader, field, value| match (field, value) {
            (7, Value::Bytes(length)) => {
                graphs += 1;
                outline.graph(reader, length, 0, &mut weights)
            }
            _ => Ok(()),
        })?;
        if graphs != 1 || outline.outputs.is_empty() {
            return Err(invalid());
        }
        // Old files name their weights among the inputs.
        outline.inputs.retain(|port| !weights.contains(&port.name));
        Ok(outline)
    }

    fn graph(
        &mut self,
        reader: &mut Reader,
        length: u64,
        depth: usize,
        weights: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        if depth > MOST_DEPTH {
            return Err(invalid());
        }
        reader.message(length, |reader, field, value| {
            let Value::Bytes(length) = value else { return Ok(()) };
            match field {
                1 => self.node(reader, length, depth, weights),
                5 => {
                    let (name, external) = reader.weight(length)?;
                    self.external |= external;
                    weights.insert(name);
                    Ok(())
                }
                11 | 12 if depth == 0 => {
                    let port = reader.port(length)?;
                    if field == 11 {
                        self.inputs.push(port)
                    } else {
                        self.outputs.push(port)
                    }
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    fn node(
        &mut self,
        reader: &mut Reader,
        length: u64,
        depth: usize,
        weights: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        let (mut name, mut operator, mut cubic) = (String::new(), String::new(), false);
        reader.message(length, |reader, field, value| {
            let Value::Bytes(length) = value else { return Ok(()) };
            match field {
                3 => name = reader.text(length)?,
                4 => operator = reader.text(length)?,
                5 => cubic |= self.attribute(reader, length, depth, weights)?,
                _ => (),
            }
            Ok(())
        })?;
        if cubic && operator == "Resize" {
            self.cubic_resize.get_or_insert(name);
        }
        self.operators.insert(operator);
        Ok(())
    }

    /// Whether it is `mode = "cubic"`.
    fn attribute(
        &mut self,
        reader: &mut Reader,
        length: u64,
        depth: usize,
        weights: &mut BTreeSet<String>,
    ) -> io::Result<bool> {
        let (mut name, mut text) = (String::new(), String::new());
        reader.message(length, |reader, field, value| {
            match (field, value) {
                (1, Value::Bytes(length)) => name = reader.text(length)?,
                // Long texts are no modes.
                (4, Value::Bytes(length)) if length <= 16 => text = reader.text(length)?,
                (6 | 11, Value::Bytes(length)) => self.graph(reader, length, depth + 1, weights)?,
                _ => (),
            }
            Ok(())
        })?;
        Ok(name == "mode" && text == "cubic")
    }
}

/// The value of a field; bytes are still to be read, or are skipped.
#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    Bytes(u64),
}

struct Reader {
    file: BufReader<File>,
    at: u64,
}

impl Reader {
    /// Hands each field of a message of `length` bytes to `each`, and skips
    /// what that leaves unread.
    fn message(
        &mut self,
        length: u64,
        mut each: impl FnMut(&mut Self, u64, Value) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = self.at.checked_add(length).ok_or_else(invalid)?;
        while self.at < end {
            let key = self.number()?;
            let value = match key & 7 {
                0 => Value::Number(self.number()?),
                1 => Value::Bytes(8),
                2 => Value::Bytes(self.number()?),
                5 => Value::Bytes(4),
                _ => return Err(invalid()),
            };
            let after = match value {
                Value::Number(_) => self.at,
                Value::Bytes(length) => self.at.checked_add(length).ok_or_else(invalid)?,
            };
            if after > end {
                return Err(invalid());
            }
            // Fields of fixed size are none that anybody asks for.
            if matches!(key & 7, 0 | 2) {
                each(self, key >> 3, value)?;
            }
            if self.at > after {
                return Err(invalid());
            }
            self.skip_to(after)?;
        }
        if self.at == end { Ok(()) } else { Err(invalid()) }
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(cut_off)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(invalid())
    }

    fn text(&mut self, length: u64) -> io::Result<String> {
        if length > MOST_NAME {
            return Err(invalid());
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes).map_err(cut_off)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| invalid())
    }

    fn skip_to(&mut self, at: u64) -> io::Result<()> {
        let skipped = i64::try_from(at - self.at).map_err(|_| invalid())?;
        self.file.seek_relative(skipped)?;
        self.at = at;
        Ok(())
    }

    /// A weight's name, and whether it lies in another file.
    fn weight(&mut self, length: u64) -> io::Result<(String, bool)> {
        let (mut name, mut external) = (String::new(), false);
        self.message(length, |reader, field, value| {
            match (field, value) {
                (8, Value::Bytes(length)) => name = reader.text(length)?,
                (14, Value::Number(place)) => external = place == 1,
                _ => (),
            }
            Ok(())
        })?;
        Ok((name, external))
    }

    fn port(&mut self, length: u64) -> io::Result<Port> {
        let mut port = Port::default();
        self.message(length, |reader, field, value| {
            match (field, value) {
                (1, Value::Bytes(length)) => port.name = reader.text(length)?,
                // ValueInfo.type, Type.tensor_type, Tensor.shape, Shape.dim.
                (2, Value::Bytes(length)) => {
                    reader.only(length, &[1, 2, 1], &mut |reader, length| {
                        let mut size = None;
                        reader.message(length, |_, field, value| {
                            if let (1, Value::Number(number)) = (field, value) {
                                // A size of zero, or below it, stands for none.
                                size = Some(number).filter(|size| (1..1 << 40).contains(size));
                            }
                            Ok(())
                        })?;
                        port.shape.push(size);
                        Ok(())
                    })?
                }
                _ => (),
            }
            Ok(())
        })?;
        Ok(port)
    }

    /// Follows a path of field numbers into nested messages.
    fn only(
        &mut self,
        length: u64,
        path: &[u64],
        each: &mut dyn FnMut(&mut Self, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((&wanted, rest)) = path.split_first() else { return each(self, length) };
        self.message(length, |reader, field, value| match value {
            Value::Bytes(length) if field == wanted => reader.only(length, rest, each),
            _ => Ok(()),
        })
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a whole ONNX file")
}

fn cut_off(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { invalid() } else { error }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    /// What an export of the real size has.
    #[derive(Deserialize)]
    struct Real {
        inputs: BTreeMap<String, Vec<Option<u64>>>,
        outputs: BTreeMap<String, Vec<Option<u64>>>,
        operators: BTreeSet<String>,
    }

    /// Only so are the tests that run them worth something.
    #[test]
    fn the_test_models_have_the_ports_and_operators_of_the_real_ones() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let real = std::fs::read_to_string(fixtures.join("real_outlines.json")).unwrap();
        let real: BTreeMap<String, BTreeMap<String, Real>> = serde_json::from_str(&real).unwrap();
        let named = |ports: Vec<Port>| -> BTreeMap<_, _> {
            ports.into_iter().map(|port| (port.name, port.shape)).collect()
        };
        let mut compared = Vec::new();
        for (model, files) in &real {
            for (file, real) in files {
                let path = fixtures.join(model).join(file);
                if !path.exists() {
                    continue;
                }
                let outline = Outline::read(&path).unwrap();
                assert_eq!(outline.operators, real.operators, "{model}/{file}");
                assert_eq!(named(outline.inputs), real.inputs, "{model}/{file}");
                assert_eq!(named(outline.outputs), real.outputs, "{model}/{file}");
                assert!(path.metadata().unwrap().len() <= 3_000_000, "{model}/{file} is large");
                compared.push(format!("{model}/{file}"));
            }
        }
        // The fused CLAP reads as the other one does.
        assert_eq!(
            compared,
            [
                "clap-fused-tiny@1/clap_audio.onnx",
                "clap-tiny@1/clap_audio.onnx",
                "clap-tiny@1/clap_text.onnx",
                "mert-tiny@1/mert.onnx",
                "wav2vec2-tiny@1/wav2vec2.onnx",
            ]
        );
    }
}
