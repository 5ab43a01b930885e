//! The models that stand for features which somebody gave and did not name.

use songrec_core::{Metric, ModelName, ModelSpec};

use crate::{Error, Result};

/// What names of models begin with that only say of how many numbers features are.
const GIVEN: &str = "given-";

/// The model that stands for features that were given with patterns, where it is not
/// said which model made them: only those of one dimension can be compared.
///
/// # Errors
///
/// Never, as far as is known: a number makes a name.
pub fn given_model(dimension: usize) -> Result<ModelSpec> {
    let name = format!("{GIVEN}{dimension}@1");
    let name = name.parse::<ModelName>();
    let name = name.map_err(|error| Error::usage("features have no model").because(error))?;
    let description = format!("{dimension} numbers that were given with patterns");
    Ok(ModelSpec { name, dimension, metric: Metric::Cosine, description })
}

/// Whether it stands for features that were given.
pub(crate) fn is_given(model: &ModelName) -> bool {
    model.name().strip_prefix(GIVEN).is_some_and(|rest| rest.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_are_given_have_a_model_of_their_dimension() {
        let model = given_model(768).unwrap();

        assert_eq!((model.name.as_str(), model.dimension), ("given-768@1", 768));
        assert!(is_given(&model.name));
        assert!(!is_given(&"given-x@1".parse().unwrap()));
        assert!(!is_given(&"dsp45@1".parse().unwrap()));
    }
}
