//! Lists of songs as somebody asked for them: chosen columns, lines by a template, or
//! columns with tabs between them.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use songrec_library::{Error, Library};

use crate::{
    args::{Field, Piece, RowArgs, Template},
    printer::Printer,
    table::{Column, Table},
    terminal,
};

/// What is printed with tabs where no columns are named.
const USUAL: [Field; 9] = [
    Field("id"),
    Field("artist"),
    Field("title"),
    Field("album"),
    Field("genres"),
    Field("bpm"),
    Field("key"),
    Field("duration"),
    Field("path"),
];

/// Prints lists of songs as they were asked for; one for all pages of a list.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    args: &'a RowArgs,
    library: &'a Library,
    has_heading: bool,
}

impl<'a> Rows<'a> {
    /// How songs of `library` are to be printed; nothing if the usual table is wanted.
    pub(crate) fn of(
        printer: &Printer,
        args: &'a RowArgs,
        library: &'a Library,
    ) -> Result<Option<Self>> {
        if !args.is_given() {
            return Ok(None);
        }
        if printer.json {
            return Err(Error::usage("JSON has every field of a song, and no columns")
                .with_hint("leave out `--json`, or the other one")
                .into());
        }
        Ok(Some(Self { args, library, has_heading: false }))
    }

    /// Prints songs: documents with the fields of a song, and others that are passed over.
    pub(crate) fn print(&mut self, printer: &Printer, songs: &[impl Serialize]) -> Result<()> {
        let songs = songs.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
        if let Some(template) = &self.args.format {
            return songs.iter().try_for_each(|song| printer.line(self.line(template, song)));
        }
        if self.args.tsv {
            return self.print_tsv(printer, &songs);
        }
        let mut table = Table::headed(self.args.columns.iter().map(|field| column(*field)));
        for song in &songs {
            table.row(self.args.columns.iter().map(|field| self.text(*field, song)));
        }
        printer.table(&table)
    }

    fn print_tsv(&mut self, printer: &Printer, songs: &[Value]) -> Result<()> {
        let named = self.args.columns.as_slice();
        let columns = if named.is_empty() { &USUAL[..] } else { named };
        if !self.has_heading {
            let names: Vec<&str> = columns.iter().map(|field| field.0).collect();
            printer.line(names.join("\t"))?;
            self.has_heading = true;
        }
        songs.iter().try_for_each(|song| {
            let cells = columns.iter().map(|field| self.text_in_line(*field, song));
            printer.line(cells.collect::<Vec<_>>().join("\t"))
        })
    }

    fn line(&self, template: &Template, song: &Value) -> String {
        let pieces = template.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => self.text_in_line(*field, song),
        });
        pieces.collect()
    }

    // A tab or a line end in a value would be taken for one between values.
    fn text_in_line(&self, field: Field, song: &Value) -> String {
        terminal::one_line(&self.text(field, song)).into_owned()
    }

    fn text(&self, Field(name): Field, song: &Value) -> String {
        match (name, &song[name]) {
            ("path", Value::String(path)) => {
                self.library.file_path(path).to_string_lossy().into_owned()
            }
            ("similarity" | "distance", Value::Number(number)) => {
                number.as_f64().map(|number| format!("{number:.4}")).unwrap_or_default()
            }
            (_, value) => text_of(value),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn column(Field(name): Field) -> Column {
    match name {
        "rank" | "similarity" | "distance" | "year" | "bpm" | "duration" | "size" => {
            Column::number(name)
        }
        "id" | "key" | "loop" | "codec" => Column::text(name),
        "title" => Column::cut(name, 4),
        "artist" | "path" => Column::cut(name, 3),
        name => Column::cut(name, 2),
    }
}
