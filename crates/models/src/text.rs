//! Texts as token ids.

use std::path::Path;

use tokenizers::{PaddingDirection, PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

use crate::description::TokenizerFile;

/// Turns texts into token ids, as Python's `tokenizers` does.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    suffix: String,
}

/// Some texts as token ids, all of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Texts and tokens of each.
    pub(crate) shape: [usize; 2],
    pub(crate) ids: Vec<i64>,
    /// 1 for tokens, 0 for padding.
    pub(crate) mask: Vec<i64>,
}

/// What a tokenizer said.
type TokenizerError = Box<dyn std::error::Error + Send + Sync>;

impl Tokens {
    pub(crate) fn open(path: &Path, file: &TokenizerFile) -> Result<Self, TokenizerError> {
        let mut tokenizer = Tokenizer::from_file(path)?;
        // What the file says of lengths is replaced: a model's limit is in its
        // description, and some files carry the limit of another.
        tokenizer.with_truncation(Some(TruncationParams {
            max_length: file.max_length,
            ..TruncationParams::default()
        }))?;
        let strategy = if file.pad_to_max {
            PaddingStrategy::Fixed(file.max_length)
        } else {
            PaddingStrategy::BatchLongest
        };
        let pad_token = tokenizer
            .id_to_token(file.pad_id)
            .ok_or_else(|| format!("it has no token {}, which is to fill up texts", file.pad_id))?;
        tokenizer.with_padding(Some(PaddingParams {
            strategy,
            direction: PaddingDirection::Right,
            pad_to_multiple_of: None,
            pad_id: file.pad_id,
            pad_type_id: 0,
            pad_token,
        }));
        Ok(Self { tokenizer, suffix: file.suffix.clone() })
    }

    /// Token ids of `texts`, shorter ones filled up; there must be one at
    /// least.
    pub(crate) fn encode(&self, texts: &[&str]) -> Result<Batch, TokenizerError> {
        let texts: Vec<String> =
            texts.iter().map(|text| format!("{text}{}", self.suffix)).collect();
        let encodings = self.tokenizer.encode_batch(texts, true)?;
        let length = encodings.first().map_or(0, |encoding| encoding.len());
        let all = |of: fn(&tokenizers::Encoding) -> &[u32]| {
            encodings.iter().flat_map(of).map(|&value| i64::from(value)).collect()
        };
        Ok(Batch {
            shape: [encodings.len(), length],
            ids: all(tokenizers::Encoding::get_ids),
            mask: all(tokenizers::Encoding::get_attention_mask),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tools/make_test_models.py` made the tokenizer and asked Python's.
    #[test]
    fn ids_are_those_that_python_gives() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let expected = std::fs::read_to_string(fixtures.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        let expected = expected["clap-tiny@1"]["texts"].as_array().unwrap();
        let numbers = |value: &serde_json::Value| -> Vec<i64> {
            value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
        };
        let file = TokenizerFile {
            file: "tokenizer.json".to_owned(),
            sha256: None,
            max_length: 40,
            pad_id: 1,
            pad_to_max: false,
            suffix: String::new(),
        };
        let tokens = Tokens::open(&fixtures.join("clap-tiny@1/tokenizer.json"), &file).unwrap();
        let texts: Vec<&str> = expected.iter().map(|text| text["text"].as_str().unwrap()).collect();

        let batch = tokens.encode(&texts).unwrap();

        assert_eq!(batch.shape, [texts.len(), 40], "the longest is cut off");
        for (row, expected) in expected.iter().enumerate() {
            let row = row * 40..(row + 1) * 40;
            assert_eq!(batch.ids[row.clone()], numbers(&expected["ids"]), "{}", expected["text"]);
            assert_eq!(batch.mask[row], numbers(&expected["mask"]), "{}", expected["text"]);
        }
        assert_eq!(
            tokens.encode(&["calm piano", ""]).unwrap().mask.iter().filter(|m| **m == 0).count(),
            2
        );
    }
}
