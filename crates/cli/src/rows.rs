//! Lists as somebody asked for them: chosen columns, lines by a template, or columns
//! with tabs between them.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use songrec_library::{Error, Library};

use crate::{
    args::{Field, Listed, Piece, RowArgs, Template},
    printer::Printer,
    table::{Column, Table},
    terminal,
};

/// Prints things of one kind as they were asked for; one for all pages of a list.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    columns: Vec<Field>,
    template: Option<&'a Template>,
    tsv: bool,
    // Where paths begin; they are as they were given without one.
    library: Option<&'a Library>,
    has_heading: bool,
}

impl<'a> Rows<'a> {
    /// How things are to be printed whose paths are those of `library`; nothing if the
    /// usual table is wanted.
    pub(crate) fn of<L: Listed>(
        printer: &Printer,
        args: &'a RowArgs<L>,
        library: impl Into<Option<&'a Library>>,
    ) -> Result<Option<Self>> {
        if !args.is_given() {
            return Ok(None);
        }
        if printer.json {
            return Err(Error::usage(format_args!(
                "JSON has every field of {}, and no columns",
                L::ONE
            ))
            .with_hint("leave out `--json`, or the other one")
            .into());
        }
        let usual = || {
            let fields = L::fields();
            let named = |name: &&str| fields.iter().find(|column| column.name() == *name).copied();
            L::USUAL.iter().filter_map(named).map(Field).collect()
        };
        Ok(Some(Self {
            columns: if args.columns.is_empty() { usual() } else { args.columns.clone() },
            template: args.format.as_ref(),
            tsv: args.tsv,
            library: library.into(),
            has_heading: false,
        }))
    }

    /// Prints things: documents with fields by name, others of which are passed over.
    pub(crate) fn print(&mut self, printer: &Printer, things: &[impl Serialize]) -> Result<()> {
        let things = things.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
        if let Some(template) = self.template {
            return things.iter().try_for_each(|thing| printer.line(self.line(template, thing)));
        }
        if self.tsv {
            return self.print_tsv(printer, &things);
        }
        let mut table = Table::headed(self.columns.iter().map(|field| field.0));
        for thing in &things {
            table.row(self.columns.iter().map(|field| self.text(*field, thing)));
        }
        printer.table(&table)
    }

    fn print_tsv(&mut self, printer: &Printer, things: &[Value]) -> Result<()> {
        if !self.has_heading {
            let names: Vec<&str> = self.columns.iter().map(Field::name).collect();
            printer.line(names.join("\t"))?;
            self.has_heading = true;
        }
        things.iter().try_for_each(|thing| {
            let cells = self.columns.iter().map(|field| self.text_in_line(*field, thing));
            printer.line(cells.collect::<Vec<_>>().join("\t"))
        })
    }

    fn line(&self, template: &Template, thing: &Value) -> String {
        let pieces = template.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => self.text_in_line(*field, thing),
        });
        pieces.collect()
    }

    // A tab or a line end in a value would be taken for one between values.
    fn text_in_line(&self, field: Field, thing: &Value) -> String {
        terminal::one_line(&self.text(field, thing)).into_owned()
    }

    fn text(&self, Field(column): Field, thing: &Value) -> String {
        let name = Column::name(&column);
        match (name, &thing[name], self.library) {
            ("path", Value::String(path), Some(library)) => {
                library.file_path(path).to_string_lossy().into_owned()
            }
            (
                "similarity" | "distance" | "score" | "confidence" | "tightness" | "purity",
                Value::Number(number),
                _,
            ) => number.as_f64().map(|number| format!("{number:.4}")).unwrap_or_default(),
            (_, value, _) => text_of(value),
        }
    }
}

// A thing with a name, such as a control of a synth, stands there by it.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text_of).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match fields.get("name") {
            Some(Value::String(name)) => name.clone(),
            _ if fields.is_empty() => String::new(),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}
