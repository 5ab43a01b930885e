//! What a terminal gets to see. The only place that writes to stdout and
//! stderr, so that no name, tag or answer of a server can give it orders.
//!
//! A file may be called anything, and a tag or a server say anything. What a
//! terminal would obey instead of showing is shown instead: control characters
//! but the ends of lines and tabs, line separators, and what turns the
//! direction of text around. The styles of songrec itself travel as characters
//! that are no text, and become escape sequences here, at the end.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
    process::Stdio,
};

/// A part of a text that stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Yellow,
    BoldRed,
    BoldCyan,
}

// Unicode keeps these for the inside of programs; a text that holds them all
// the same can be bold, and no more.
const STYLES: [(char, Style, &str); 5] = [
    ('\u{fdd1}', Style::Bold, "1"),
    ('\u{fdd2}', Style::Dim, "2"),
    ('\u{fdd3}', Style::Yellow, "33"),
    ('\u{fdd4}', Style::BoldRed, "1;31"),
    ('\u{fdd5}', Style::BoldCyan, "1;36"),
];
const PLAIN: char = '\u{fdd0}';

impl Style {
    /// `text` in this style, for [`out`] and [`err`].
    pub(crate) fn paint(self, text: &str) -> String {
        let mark =
            STYLES.iter().find(|(_, style, _)| *style == self).map_or(PLAIN, |found| found.0);
        format!("{mark}{text}{PLAIN}")
    }
}

/// Stdout, of which a terminal sees nothing but text.
pub(crate) fn out() -> Clean<io::BufWriter<io::Stdout>> {
    Clean(io::BufWriter::new(io::stdout()))
}

/// Stdout as it is, for bytes that a file or another program gets.
pub(crate) fn bytes_out() -> io::BufWriter<io::Stdout> {
    io::BufWriter::new(io::stdout())
}

/// Where a program prints that is run for a person: beside what songrec says, and not
/// among its data.
pub(crate) fn for_programs() -> Stdio {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;

        if let Ok(copy) = io::stderr().as_fd().try_clone_to_owned() {
            return copy.into();
        }
    }
    Stdio::null()
}

/// Stderr, of which a terminal sees nothing but text.
pub(crate) fn err() -> Clean<io::Stderr> {
    Clean(io::stderr())
}

/// Whether people read stdout.
pub(crate) fn out_is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdout())
}

/// Whether people read stderr.
pub(crate) fn err_is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

/// How many columns the terminal has that stdout is, if it is one.
pub(crate) fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0)).filter(|width| *width > 0)
}

/// A writer of texts, each of which is written [visibly](visible).
#[derive(Debug)]
pub(crate) struct Clean<W>(pub(crate) W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut text = String::with_capacity(bytes.len() + 16);
        for chunk in bytes.utf8_chunks() {
            text += &visible(chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        self.0.write_all(styled(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `text` with everything in sight that a terminal would not show; line ends
/// and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    shown(text, |c| c != '\n' && c != '\t' && is_hidden(c))
}

/// [Visible](visible) text that stays on its line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, is_hidden)
}

/// `value` as JSON that is ASCII where it matters: JSON itself lets pass what
/// some terminals obey.
pub(crate) fn json(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    if !text.contains(is_hidden) {
        return Ok(text);
    }
    // JSON has such characters only inside of its texts, where they may be
    // written like this.
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

fn shown(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

// The escape sequences of styles, which end with their line at the latest.
fn styled(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| style_of(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len() + 16);
    let mut is_open = false;
    for c in text.chars() {
        match style_of(c) {
            Some(code) => {
                is_open = c != PLAIN;
                let _ = write!(result, "\x1b[{code}m");
            }
            None => result.push(c),
        }
    }
    if is_open {
        result += "\x1b[0m";
    }
    Cow::Owned(result)
}

fn style_of(c: char) -> Option<&'static str> {
    if c == PLAIN {
        return Some("0");
    }
    STYLES.iter().find(|(mark, _, _)| *mark == c).map(|(_, _, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut writer = Clean(Vec::new());
        writer.write_all(text.as_bytes()).unwrap();
        String::from_utf8(writer.0).unwrap()
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (hostile, seen) in [
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("over\rwritten", "over\\rwritten"),
            ("bell\x07, back\x08, nothing\0", "bell\\u{7}, back\\u{8}, nothing\\u{0}"),
            ("delete\x7f", "delete\\u{7f}"),
            ("\u{9b}31m and \u{9d}0;title\u{9c}", "\\u{9b}31m and \\u{9d}0;title\\u{9c}"),
            ("exe.\u{202e}3pm", "exe.\\u{202e}3pm"),
            (
                "\u{2066}isolated\u{2069}\u{202a}\u{202c}",
                "\\u{2066}isolated\\u{2069}\\u{202a}\\u{202c}",
            ),
            ("one\u{2028}two\u{2029}", "one\\u{2028}two\\u{2029}"),
        ] {
            assert_eq!(written(hostile), seen);
            assert_eq!(one_line(hostile), seen);
        }
        assert_eq!(Clean(Vec::new()).write(b"\x9b31m").unwrap(), 4);
    }

    #[test]
    fn text_of_any_language_stays_as_it_is() {
        let text = "Björk, 坂本龍一, עברית, 🎧 e\u{301}\u{200d}\n\tline two\n";
        assert_eq!(written(text), text);
        assert_eq!(one_line("a\n\tb"), "a\\n\\tb");
    }

    #[test]
    fn a_style_is_an_escape_sequence_only_at_the_end() {
        let title = Style::Bold.paint("a\x1b[0mb");
        assert!(!title.contains("\x1b[1m"));
        assert_eq!(written(&format!("{title} c")), "\x1b[1ma\\u{1b}[0mb\x1b[0m c");
        // Who forges one gets no further than this text.
        assert_eq!(written("\u{fdd1}x"), "\x1b[1mx\x1b[0m");
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let hostile = "\x1b[2J \x7f \u{9b} \u{202e} \u{2028} \n ö";
        let text = json(&hostile).unwrap();

        assert_eq!(text, r#""\u001b[2J \u007f \u009b \u202e \u2028 \n ö""#);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
        assert_eq!(written(&text), text);
    }
}
