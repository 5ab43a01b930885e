//! Texts as token ids.

use std::path::Path;

use tokenizers::{PaddingDirection, PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

use super::description::TokenizerFile;

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
