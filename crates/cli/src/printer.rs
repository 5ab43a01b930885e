//! Everything that reaches a terminal: data on stdout, talk on stderr.

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::Mutex,
};

use anyhow::Result;
use jiff::tz::TimeZone;
use serde::Serialize;
use songrec_core::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::{
    args::{GlobalArgs, When},
    hints,
    status::ExitStatus,
    table::{Table, wrapped},
    terminal::{self, Clean, Style},
};

/// Prints, the way the user wants it.
#[derive(Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    is_terminal: bool,
    // Whose clock people here go by.
    zone: TimeZone,
    // Of the terminal that stdout is, in columns.
    width: Option<usize>,
    // Lines of a command that prints from several tasks stay whole.
    out: Mutex<Clean<io::BufWriter<io::Stdout>>>,
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
            color_out: use_color(global.color, terminal::out_is_terminal()),
            color_err: use_color(global.color, terminal::err_is_terminal()),
            is_terminal: terminal::out_is_terminal(),
            // Where nobody says which it is.
            zone: TimeZone::try_system().unwrap_or(TimeZone::UTC),
            width: terminal::width(),
            out: Mutex::new(terminal::out()),
        }
    }

    /// One line of data.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.write_all(b"\n"));
        check(written)
    }

    /// Whether a person looks at the data.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// A table that fits the terminal, or is whole where there is none. The
    /// heading is weaker than the rest.
    pub(crate) fn table(&self, table: &Table) -> Result<()> {
        self.table_with(table, |_| Ok(()))
    }

    /// A table that fits, with more `below` the row of each number.
    pub(crate) fn table_with(
        &self,
        table: &Table,
        mut below: impl FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        let lines = table.fitting(self.width);
        let headings = usize::from(table.has_heading());
        for (number, line) in lines.iter().enumerate() {
            if number < headings {
                self.line(self.dim(line))?;
            } else {
                self.line(line)?;
                below(number - headings)?;
            }
        }
        Ok(())
    }

    /// A line of data behind `lead`; what does not fit goes on below its own
    /// beginning.
    pub(crate) fn paragraph(&self, lead: &str, text: &str) -> Result<()> {
        let indent = lead.width();
        self.line(match self.width {
            Some(width) => {
                format!("{lead}{}", wrapped(text, width.saturating_sub(indent), indent))
            }
            None => format!("{lead}{text}"),
        })
    }

    /// A time: as people say it at a terminal, by their own clock, and in full
    /// and in UTC for programs.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        match self.is_terminal {
            true => ago(time, songrec_library::now(), &self.zone),
            false => time.to_string(),
        }
    }

    /// The same, where people also want to know what was done when on a day.
    pub(crate) fn moment(&self, time: Timestamp) -> String {
        match self.is_terminal {
            true => local(time, &self.zone, "%Y-%m-%d %H:%M"),
            false => time.to_string(),
        }
    }

    /// Says that there is nothing to show, and why; in JSON that is the answer.
    pub(crate) fn nothing(&self, why: &str) -> Result<()> {
        if self.json {
            self.json(&serde_json::json!({ "type": "nothing", "message": why }))?;
        }
        self.say(why);
        Ok(())
    }

    /// Says that the run was ended early, and what that means. In JSON that is an
    /// error document, so that what was printed before is not taken for the whole.
    pub(crate) fn interrupted(&self, what: &str) -> Result<()> {
        if self.json {
            self.json(&error_document(what, &[], None, ExitStatus::Interrupted))?;
        }
        self.say(what);
        Ok(())
    }

    /// One JSON document on a line of its own.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.line(terminal::json(value)?)
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
        self.talk(&format!("{}: {}", self.paint_err(Style::Yellow, "warning"), text.as_ref()));
    }

    /// The error that ended the run.
    pub(crate) fn error(&self, error: &anyhow::Error, status: ExitStatus) {
        let hint = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<songrec_library::Error>())
            .and_then(songrec_library::Error::hint)
            .map(hints::in_words);
        let hint = hint.as_deref();
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        if self.json {
            // Where nobody reads, there is nobody to tell.
            let _ = self.json(&error_document(&error.to_string(), &causes, hint, status));
        }
        let mut text = format!("{}: {error}", self.paint_err(Style::BoldRed, "error"));
        for cause in causes {
            let _ = write!(text, "\n  caused by: {cause}");
        }
        if let Some(hint) = hint {
            let _ = write!(text, "\n\n{}: {hint}", self.paint_err(Style::BoldCyan, "hint"));
        }
        self.talk(&text);
    }

    /// `text` on stdout, stronger than the rest.
    pub(crate) fn bold(&self, text: &str) -> String {
        paint(self.color_out, Style::Bold, text)
    }

    /// `text` on stdout, weaker than the rest.
    pub(crate) fn dim(&self, text: &str) -> String {
        paint(self.color_out, Style::Dim, text)
    }

    fn paint_err(&self, style: Style, text: &str) -> String {
        paint(self.color_err, style, text)
    }

    fn talk(&self, text: &str) {
        // What was found comes before what is said of it.
        let _ = self.flush();
        // Where nobody listens, there is nobody to tell.
        let _ = terminal::err().write_all(format!("{text}\n").as_bytes());
    }
}

/// What a program is told of arguments that are wrong, given clap's `words`.
pub(crate) fn usage_error(words: &str, status: ExitStatus) {
    let words = words.trim();
    let (message, rest) = words.split_once("\n\n").unwrap_or((words, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let hint = Some(rest.trim()).filter(|rest| !rest.is_empty());
    let document = error_document(message, &[], hint, status);
    // Where nobody reads, there is nobody to tell.
    let text = terminal::json(&document).unwrap_or_default();
    let mut out = terminal::out();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn error_document(
    message: &str,
    causes: &[String],
    hint: Option<&str>,
    status: ExitStatus,
) -> serde_json::Value {
    serde_json::json!({
        "type": "error",
        "message": message,
        "causes": causes,
        "hint": hint,
        "code": status.code(),
    })
}

// `5 minutes ago`, and from two days on the day, as it was in `zone`.
fn ago(time: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let seconds = now.as_second().saturating_sub(time.as_second());
    let several = |count: i64, one: &str| match count {
        1 => format!("1 {one} ago"),
        count => format!("{count} {one}s ago"),
    };
    match seconds {
        ..0 => local(time, zone, "%Y-%m-%d %H:%M %Z"),
        0..60 => "just now".to_owned(),
        60..3_600 => several(seconds / 60, "minute"),
        3_600..172_800 => several(seconds / 3_600, "hour"),
        _ => local(time, zone, "%Y-%m-%d"),
    }
}

fn local(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

fn check(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => Ok(written?),
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    if color { style.paint(text) } else { text.to_owned() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_people_say_them() {
        let now: Timestamp = "2026-11-22T10:15:00Z".parse().unwrap();
        for (time, said) in [
            ("2026-11-22T10:14:30Z", "just now"),
            ("2026-11-22T10:13:30Z", "1 minute ago"),
            ("2026-11-22T09:20:00Z", "55 minutes ago"),
            ("2026-11-21T09:15:00Z", "25 hours ago"),
            ("2026-10-01T12:00:00Z", "2026-10-01"),
            ("2027-01-01T12:00:00Z", "2027-01-01 12:00 UTC"),
        ] {
            assert_eq!(ago(time.parse().unwrap(), now, &TimeZone::UTC), said);
        }
    }

    #[test]
    fn a_day_is_the_day_of_who_reads_it() {
        let now: Timestamp = "2026-11-22T10:15:00Z".parse().unwrap();
        // By rules that need no database: an hour and in summer two before UTC.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let said = |time: &str| ago(time.parse().unwrap(), now, &zone);

        assert_eq!(said("2026-06-30T22:30:00Z"), "2026-07-01");
        assert_eq!(said("2026-11-01T22:30:00Z"), "2026-11-01");
        assert_eq!(said("2027-01-01T23:30:00Z"), "2027-01-02 00:30 CET");
        assert_eq!(said("2026-11-22T10:14:30Z"), "just now");
    }
}
