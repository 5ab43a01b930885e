//! What a person said about a song.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Field, InvalidEdit, Tags};

/// What a person said about a song, field by field.
///
/// Invariant: every value has the type of its field; null stands for a field
/// that was cleared, whatever other sources say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edits(BTreeMap<Field, Value>);

impl Edits {
    /// Whether nothing was edited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every edited field with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Value)> {
        self.0.iter()
    }

    /// The value of an edited field; null if it was cleared.
    pub fn get(&self, field: &Field) -> Option<&Value> {
        self.0.get(field)
    }

    /// Sets `field` to what `text` says, or clears it.
    ///
    /// # Errors
    ///
    /// When the text is no value for the field.
    pub fn set(&mut self, field: Field, text: Option<&str>) -> Result<(), InvalidEdit> {
        let value = match text {
            None | Some("") => Value::Null,
            Some(text) => field.parse(text).map_err(|expected| InvalidEdit::Value {
                field: field.to_string(),
                text: text.to_owned(),
                expected,
            })?,
        };
        self.0.insert(field, value);
        Ok(())
    }

    /// Sets `field` to a value that was read from another document.
    pub fn set_value(&mut self, field: Field, value: Value) {
        self.0.insert(field, value);
    }

    /// Goes back to what other sources say; says whether the field was edited.
    pub fn reset(&mut self, field: &Field) -> bool {
        self.0.remove(field).is_some()
    }

    /// `tags` with the edits in place.
    pub fn apply(&self, tags: &Tags) -> Tags {
        let mut tags = tags.clone();
        for (field, value) in &self.0 {
            tags.set(field, value);
        }
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_wins_over_the_tag_and_a_cleared_field_is_empty() {
        let tags = Tags { title: Some("a".into()), year: Some(1999), ..Tags::default() };
        let mut edits = Edits::default();
        edits.set(Field::Title, Some("b")).unwrap();
        edits.set(Field::Year, None).unwrap();
        edits.set(Field::Genre, Some("Techno, House,")).unwrap();

        let edited = edits.apply(&tags);

        assert_eq!(edited.title.as_deref(), Some("b"));
        assert_eq!(edited.year, None);
        assert_eq!(edited.genres, ["Techno", "House"]);
        assert!(edits.reset(&Field::Title));
        assert_eq!(edits.apply(&tags).title.as_deref(), Some("a"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let mut edits = Edits::default();
        for (field, text) in [
            (Field::Year, "soon"),
            (Field::Bpm, "0"),
            (Field::Bpm, "NaN"),
            (Field::Key, "H"),
            (Field::Loop, "maybe"),
        ] {
            assert!(edits.set(field, Some(text)).is_err(), "{text}");
        }
        assert!(edits.is_empty());
    }
}
