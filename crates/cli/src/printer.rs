//! Everything that reaches a terminal: data on stdout, talk on stderr.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    args::{GlobalArgs, When},
    status::ExitStatus,
};

/// Prints, the way the user wants it.
#[derive(Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    // Lines of a command that prints from several tasks stay whole.
    out: Mutex<io::BufWriter<io::Stdout>>,
}

/// Nobody reads what is printed any more; a reason to stop, not an error.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct ReaderGone;

impl Printer {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            color_out: use_color(global.color, io::stdout().is_terminal()),
            color_err: use_color(global.color, io::stderr().is_terminal()),
            out: Mutex::new(io::BufWriter::new(io::stdout())),
        }
    }

    /// One line of data.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.write_all(b"\n"));
        check(written)
    }

    /// One JSON document on a line of its own.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.line(serde_json::to_string(value)?)
    }

    /// Sends on what was printed so far.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        check(out.flush())
    }

    /// A sentence for the person at the terminal.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.talk(text.as_ref());
        }
    }

    /// Something that went wrong, and stops nothing.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.talk(&format!("{}: {}", self.paint_err("33", "warning"), text.as_ref()));
    }

    /// The error that ended the run.
    pub(crate) fn error(&self, error: &anyhow::Error, status: ExitStatus) {
        let hint = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<songrec_library::Error>())
            .and_then(songrec_library::Error::hint);
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        if self.json {
            let document = serde_json::json!({
                "type": "error",
                "message": error.to_string(),
                "causes": causes,
                "hint": hint,
                "code": status.code(),
            });
            self.talk(&document.to_string());
            return;
        }
        let mut text = format!("{}: {error}", self.paint_err("1;31", "error"));
        for cause in causes {
            let _ = write!(text, "\n  caused by: {cause}");
        }
        if let Some(hint) = hint {
            let _ = write!(text, "\n\n{}: {hint}", self.paint_err("1;36", "hint"));
        }
        self.talk(&text);
    }

    /// `text` on stdout, stronger than the rest.
    pub(crate) fn bold(&self, text: &str) -> String {
        paint(self.color_out, "1", text)
    }

    /// `text` on stdout, weaker than the rest.
    pub(crate) fn dim(&self, text: &str) -> String {
        paint(self.color_out, "2", text)
    }

    fn paint_err(&self, code: &str, text: &str) -> String {
        paint(self.color_err, code, text)
    }

    #[expect(clippy::unused_self, reason = "all talk goes through the printer")]
    fn talk(&self, text: &str) {
        // Where nobody listens, there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn check(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => Ok(written?),
    }
}

fn paint(color: bool, code: &str, text: &str) -> String {
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

// `NO_COLOR` wins over whatever forces colour; a flag wins over both.
fn use_color(when: When, is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
        When::Auto => is_terminal || set("FORCE_COLOR") || set("CLICOLOR_FORCE"),
    }
}

/// Text in columns, for people.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table whose columns at these positions are numbers.
    pub(crate) fn with_numbers_at(right: &[usize]) -> Self {
        Self { rows: Vec::new(), right: right.to_vec() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// The lines, with columns as wide as their widest cell.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let padding = " ".repeat(widths[column] - cell.chars().count());
                if self.right.contains(&column) {
                    format!("{padding}{cell}")
                } else {
                    format!("{cell}{padding}")
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

// Control characters of a tag must not reach a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::with_numbers_at(&[0]);
        table.row(["1".into(), "ä".into(), "x".into()]);
        table.row(["10".into(), "bcd".into(), "y".into()]);

        assert_eq!(table.lines(), [" 1  ä    x", "10  bcd  y"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::default();
        table.row(["a\x1b[2J\nb".into()]);

        assert_eq!(table.lines(), ["a [2J b"]);
    }
}
