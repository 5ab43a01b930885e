//! Arguments of lists of songs: what of each one is printed, and how.

use std::str::FromStr;

use clap::Args;

/// What can be printed of a song in a list; the names of its fields in JSON.
pub(crate) const FIELDS: [&str; 20] = [
    "rank",
    "similarity",
    "distance",
    "id",
    "artist",
    "title",
    "album",
    "genres",
    "moods",
    "instrument",
    "loop",
    "year",
    "bpm",
    "key",
    "duration",
    "path",
    "codec",
    "size",
    "models",
    "warnings",
];

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How songs are listed")]
pub(crate) struct RowArgs {
    /// These fields of each song, such as title,bpm,path
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',', conflicts_with = "format")]
    pub(crate) columns: Vec<Field>,
    /// A line for each song, such as '{artist} - {title}\t{path}'
    #[arg(long, value_name = "TEXT")]
    pub(crate) format: Option<Template>,
    /// A tab between columns, for programs
    #[arg(long, conflicts_with = "format")]
    pub(crate) tsv: bool,
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

impl RowArgs {
    /// Whether something else than the usual table is asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.tsv || self.format.is_some() || !self.columns.is_empty()
    }
}

/// A field of a song.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(pub(crate) &'static str);

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let known = FIELDS.iter().find(|known| **known == name);
        known.map(|known| Self(known)).ok_or_else(|| {
            format!("`{name}` is no field of a song; there are {}", FIELDS.join(", "))
        })
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

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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
                    pieces.push(Piece::Field(name.parse()?));
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
            true => Ok(Self(pieces)),
            false => Err("it names no field, such as {title}".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_with_fields() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let field = |name| Piece::Field(Field(name));
        for (template, pieces) in [
            ("{title}", vec![field("title")]),
            (
                r"{artist} - { title }\t{path}",
                vec![field("artist"), text(" - "), field("title"), text("\t"), field("path")],
            ),
            (r"{{{id}}}\\", vec![text("{"), field("id"), text("}\\")]),
        ] {
            assert_eq!(template.parse(), Ok(Template(pieces)), "{template}");
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
            let error = wrong.parse::<Template>().unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
