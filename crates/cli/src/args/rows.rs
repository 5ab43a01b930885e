//! Arguments of lists: what of each thing is printed, and how.

use std::marker::PhantomData;

use clap::Args;

use super::listed::{Listed, Songs};
use crate::table::Column;

/// How things of one kind are listed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How they are listed")]
pub(crate) struct RowArgs<L: Listed = Songs> {
    #[arg(
        long,
        value_name = "FIELD,…",
        value_delimiter = ',',
        conflicts_with = "format",
        value_parser = field::<L>,
        help = format!("These fields of {}, such as {}", L::EACH, L::COLUMNS),
        long_help = columns_help::<L>()
    )]
    pub(crate) columns: Vec<Field>,
    #[arg(
        long,
        value_name = "TEXT",
        value_parser = template::<L>,
        help = format!("A line for {}, such as '{}'", L::EACH, L::FORMAT)
    )]
    pub(crate) format: Option<Template>,
    /// A tab between columns, for programs
    #[arg(long, conflicts_with = "format")]
    pub(crate) tsv: bool,
    #[arg(skip)]
    kind: PhantomData<L>,
}

/// What is done with the songs of a list.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "What is done with the songs")]
pub(crate) struct ListenArgs {
    /// Play them, in this order, by the setting `player.command` or what the system has
    #[arg(long)]
    pub(crate) play: bool,
    /// Open the folders that they lie in
    #[arg(long)]
    pub(crate) open: bool,
}

impl<L: Listed> RowArgs<L> {
    /// Whether something else than the usual table is asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.tsv || self.format.is_some() || !self.columns.is_empty()
    }
}

// For a command whose subcommand was not named.
impl<L: Listed> Default for RowArgs<L> {
    fn default() -> Self {
        Self { columns: Vec::new(), format: None, tsv: false, kind: PhantomData }
    }
}

/// What can be printed of a thing, as a column of it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(pub(crate) Column);

impl Field {
    /// Its name, which is that of JSON.
    pub(crate) const fn name(&self) -> &'static str {
        self.0.name()
    }
}

/// Text with the names of fields in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Field(Field),
}

fn names<L: Listed>() -> String {
    L::fields().iter().map(Column::name).collect::<Vec<_>>().join(", ")
}

fn columns_help<L: Listed>() -> String {
    format!("These fields of {}, such as {}: {}", L::EACH, L::COLUMNS, names::<L>())
}

fn field<L: Listed>(text: &str) -> Result<Field, String> {
    let name = text.trim();
    let known = L::fields().into_iter().find(|column| column.name() == name);
    known
        .map(Field)
        .ok_or_else(|| format!("`{name}` is no field of {}; there are {}", L::ONE, names::<L>()))
}

fn template<L: Listed>(text: &str) -> Result<Template, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.peek() == Some(&character) => {
                plain.push(character);
                rest.next();
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some(character) => name.push(character),
                        None => {
                            return Err(format!("`{{{name}` has no end; `{{{{` is a brace"));
                        }
                    }
                }
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Field(field::<L>(&name)?));
            }
            '}' => return Err("`}` ends nothing; `}}` is a brace".to_owned()),
            '\\' => plain.push(match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('\\') => '\\',
                Some(other) => return Err(format!("`\\{other}` is neither \\t, \\n nor \\\\")),
                None => return Err("a `\\` stands at the end; `\\\\` is one".to_owned()),
            }),
            character => plain.push(character),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    match pieces.iter().any(|piece| matches!(piece, Piece::Field(_))) {
        true => Ok(Template(pieces)),
        false => Err(format!("it names no field, such as {}", L::EXAMPLE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::listed::Patterns;

    #[test]
    fn a_template_is_text_with_fields() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let piece = |name: &str| Piece::Field(field::<Songs>(name).unwrap());
        for (written, pieces) in [
            ("{title}", vec![piece("title")]),
            (
                r"{artist} - { title }\t{path}",
                vec![piece("artist"), text(" - "), piece("title"), text("\t"), piece("path")],
            ),
            (r"{{{id}}}\\", vec![text("{"), piece("id"), text("}\\")]),
        ] {
            assert_eq!(template::<Songs>(written), Ok(Template(pieces)), "{written}");
        }
        for (wrong, why) in [
            ("", "names no field"),
            ("title", "names no field"),
            ("{titel}", "`titel` is no field of a song; there are rank"),
            ("{title", "has no end"),
            ("title}", "ends nothing"),
            (r"{id}\x", "neither"),
            (r"{id}\", "at the end"),
        ] {
            let error = template::<Songs>(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_a_thing_has_depends_on_what_it_is() {
        assert!(field::<Patterns>("kind").is_ok() && field::<Songs>("kind").is_err());
        let error = template::<Patterns>("{bpm}").unwrap_err();
        assert!(error.contains("`bpm` is no field of a pattern; there are rank"), "{error}");
    }
}
