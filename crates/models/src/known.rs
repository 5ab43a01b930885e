//! Models whose descriptions are built in; their files are not.

use std::sync::LazyLock;

use crate::description::Description;

/// A model that songrec knows how to use once its files are there.
#[derive(Clone, Debug)]
pub struct Known {
    /// What people call it, such as `clap`.
    pub name: &'static str,
    /// What is known of it: everything but the digests of its files. Its
    /// revision is `0`, which adding replaces.
    pub description: Description,
}

const KNOWN: [(&str, &str); 6] = [
    ("clap", include_str!("known/clap.toml")),
    ("clap-fused", include_str!("known/clap-fused.toml")),
    ("clap-music", include_str!("known/clap-music.toml")),
    ("ms-clap", include_str!("known/ms-clap.toml")),
    ("wav2vec2", include_str!("known/wav2vec2.toml")),
    ("mert", include_str!("known/mert.toml")),
];

/// All of them, the most useful first.
pub fn known_models() -> &'static [Known] {
    static MODELS: LazyLock<Vec<Known>> = LazyLock::new(|| {
        let parse = |text| Description::from_toml(text).expect("a test reads all of them");
        KNOWN.iter().map(|&(name, text)| Known { name, description: parse(text) }).collect()
    });
    &MODELS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_model_is_described_under_its_own_name() {
        for known in known_models() {
            let Description { name, homepage, citation, licence, .. } = &known.description;
            assert_eq!((name.name(), name.revision()), (known.name, "0"));
            assert!(!homepage.is_empty() && !citation.is_empty() && !licence.is_empty());
            assert!(known.description.files().iter().all(|(_, digest)| digest.is_none()));
        }
    }
}
