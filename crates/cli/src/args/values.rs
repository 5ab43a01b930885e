//! Values that arguments of several commands have.

use clap::builder::{OsStringValueParser, TypedValueParser};

/// A song as a person names it. A path may have any bytes, and is text as
/// [`songrec_core::encode_path`] makes it.
pub(super) fn song() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| songrec_core::encode_path(text.as_ref()))
}

// A number of things of which none would be nothing to ask for.
pub(super) fn some(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| "expected a number, such as 0.8".to_owned())
}
