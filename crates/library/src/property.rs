//! Properties of songs by which they are told apart.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A property of songs that makes them alike or different: what neighbors are
/// measured by, or what the colors of a map mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum Property {
    #[default]
    Genre,
    Instrument,
    Artist,
    Album,
    /// The folder of the first file.
    Folder,
    /// The cluster that the library keeps.
    Cluster,
    Key,
    Bpm,
    /// How unlike the others a song is.
    Anomaly,
}

impl Property {
    /// Those that [`evaluate`](crate::evaluate()) measures by.
    pub const MEASURED_BY: [Self; 6] =
        [Self::Genre, Self::Instrument, Self::Artist, Self::Album, Self::Folder, Self::Cluster];
    /// Those that the colors of a map may mean.
    pub const COLORS: [Self; 6] =
        [Self::Genre, Self::Instrument, Self::Cluster, Self::Key, Self::Bpm, Self::Anomaly];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genre => "genre",
            Self::Instrument => "instrument",
            Self::Artist => "artist",
            Self::Album => "album",
            Self::Folder => "folder",
            Self::Cluster => "cluster",
            Self::Key => "key",
            Self::Bpm => "bpm",
            Self::Anomaly => "anomaly",
        }
    }

    /// The one of `these` that has this name.
    ///
    /// # Errors
    ///
    /// Says which names there are.
    pub fn named(name: &str, these: &[Self]) -> std::result::Result<Self, String> {
        let found = these.iter().find(|property| property.as_str() == name);
        found.copied().ok_or_else(|| format!("expected one of {}", names(these)))
    }

    // An error unless it is one of `these`.
    pub(crate) fn check(self, these: &[Self]) -> Result<()> {
        if these.contains(&self) {
            return Ok(());
        }
        Err(Error::usage(format_args!("`{}` cannot be used here", self.as_str()))
            .with_hint(format!("use one of {}", names(these))))
    }
}

fn names(of: &[Property]) -> String {
    let names: Vec<&str> = of.iter().map(|property| property.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_named_as_it_is_written() {
        for property in Property::MEASURED_BY.into_iter().chain(Property::COLORS) {
            assert_eq!(serde_json::to_value(property).unwrap(), property.as_str());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_can() {
        assert_eq!(Property::named("key", &Property::COLORS), Ok(Property::Key));
        let error = Property::named("key", &Property::MEASURED_BY).unwrap_err();
        assert_eq!(error, "expected one of genre, instrument, artist, album, folder, cluster");
        assert!(Property::Album.check(&Property::MEASURED_BY).is_ok());
        assert!(Property::Album.check(&Property::COLORS).is_err());
    }
}
