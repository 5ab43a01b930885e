//! Text in columns, for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal;

/// Stands for what was cut off.
const CUT: &str = "…";
/// What a column keeps at least of its width when it has to shrink.
const LEAST: usize = 4;
const GAP: &str = "  ";
/// A space at which a line does not end.
pub(crate) const JOINED: char = '\u{a0}';

/// Text in columns. A column that is empty in every row is left out.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    has_heading: bool,
}

/// How a column looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    name: &'static str,
    fit: Fit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fit {
    /// Always whole.
    #[default]
    Whole,
    /// Always whole, with the digits under each other.
    Number,
    /// Cut where there is no room; of two such columns the one with the higher
    /// weight keeps more.
    Cut { weight: usize },
    /// The last column: goes on in the next line where there is no room.
    Wrapped,
}

impl Column {
    /// A column that is always whole.
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, fit: Fit::Whole }
    }

    /// What stands above it.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// A column of numbers.
    pub(crate) const fn number(name: &'static str) -> Self {
        Self { name, fit: Fit::Number }
    }

    /// A column that is cut where there is no room for all of it, and keeps
    /// the more the higher its weight is.
    pub(crate) const fn cut(name: &'static str, weight: usize) -> Self {
        Self { name, fit: Fit::Cut { weight } }
    }

    /// The last column, if it may take several lines.
    pub(crate) const fn wrapped(name: &'static str) -> Self {
        Self { name, fit: Fit::Wrapped }
    }
}

impl Table {
    /// A table with the names of its columns above them.
    pub(crate) fn headed(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new(), has_heading: true }
    }

    /// A table without a heading.
    pub(crate) fn of(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| terminal::one_line(&cell).into_owned());
        self.rows.push(cells.collect());
    }

    pub(crate) const fn has_heading(&self) -> bool {
        self.has_heading
    }

    /// The heading, if there is one and there are rows, and then each row, made
    /// to fit into `width` columns of a terminal if it is given. A row with a
    /// wrapped cell holds line ends.
    pub(crate) fn fitting(&self, width: Option<usize>) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.columns.len());
        let column = |at: usize| self.columns.get(at).copied().unwrap_or_default();
        let is_filled = |at: &usize| {
            self.rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.is_empty()))
        };
        let kept: Vec<(usize, Column)> =
            (0..count).filter(is_filled).map(|at| (at, column(at))).collect();
        let heading = self
            .has_heading
            .then(|| self.columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>());
        let all: Vec<&Vec<String>> = heading.iter().chain(&self.rows).collect();
        let mut widths: Vec<usize> = kept
            .iter()
            .map(|(at, _)| {
                let cells = all.iter().filter_map(|row| row.get(*at));
                cells.map(|cell| cell.width()).max().unwrap_or(0)
            })
            .collect();
        if let Some(width) = width {
            fit(&mut widths, &kept, width);
        }
        all.iter().map(|row| line(row, &kept, &widths, width)).collect()
    }
}

// Takes from the column that has most for its weight until all have room.
fn fit(widths: &mut [usize], columns: &[(usize, Column)], width: usize) {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    let needed = |widths: &[usize]| {
        let fixed = widths.iter().zip(columns).filter(|(_, (_, c))| c.fit != Fit::Wrapped);
        fixed.map(|(width, _)| *width).sum::<usize>() + gaps
    };
    let weight_of = |at: usize| match columns[at].1.fit {
        Fit::Cut { weight } => Some(weight.max(1)),
        _ => None,
    };
    for (at, column) in widths.iter_mut().enumerate() {
        if weight_of(at).is_some() {
            *column = (*column).min(width.max(LEAST));
        }
    }
    while needed(widths) > width {
        let widest = (0..widths.len())
            .filter_map(|at| Some((at, weight_of(at)?)))
            .filter(|(at, _)| widths[*at] > LEAST)
            .max_by(|(a, of_a), (b, of_b)| (widths[*a] * of_b).cmp(&(widths[*b] * of_a)));
        let Some((at, _)) = widest else { return };
        widths[at] -= 1;
    }
}

fn line(
    row: &[String],
    columns: &[(usize, Column)],
    widths: &[usize],
    width: Option<usize>,
) -> String {
    let mut text = String::new();
    for (nth, ((at, column), room)) in columns.iter().zip(widths).enumerate() {
        let cell = row.get(*at).map_or("", String::as_str);
        if nth > 0 {
            text += GAP;
        }
        if column.fit == Fit::Wrapped {
            let indent = text.width();
            let cell = match width {
                Some(width) => wrapped(cell, width.saturating_sub(indent), indent),
                None => cell.to_owned(),
            };
            text += &cell.replace(JOINED, " ");
            continue;
        }
        let cell = shortened(cell, *room);
        let padding = " ".repeat(room.saturating_sub(cell.width()));
        text += &if column.fit == Fit::Number {
            format!("{padding}{cell}")
        } else {
            format!("{cell}{padding}")
        };
    }
    text.truncate(text.trim_end().len());
    text
}

/// `text`, or as much of its beginning as fits into `width` columns with a sign
/// that something was cut off.
fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(CUT.width());
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if kept.width() > room {
            kept.pop();
            break;
        }
    }
    // What joins two signs to one must not be left over.
    while kept.ends_with(|c: char| c == '\u{200d}' || (c != ' ' && c.is_whitespace())) {
        kept.pop();
    }
    format!("{}{CUT}", kept.trim_end())
}

/// `text` in lines of at most `width` columns, broken between words; the lines
/// after the first begin with `indent` spaces. A word that is longer has a line
/// of its own.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let long = word.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
        if used > 0 && used + 1 + long > width {
            lines.push(String::new());
            used = 0;
        }
        let last = lines.last_mut().expect("it begins with one line");
        if used > 0 {
            last.push(' ');
            used += 1;
        }
        last.push_str(word);
        used += long;
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<const N: usize>(cells: [&str; N]) -> [String; N] {
        cells.map(str::to_owned)
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::of([Column::number("")]);
        table.row(cells(["1", "ä", "x"]));
        table.row(cells(["10", "bcd", "y"]));

        assert_eq!(table.fitting(None), [" 1  ä    x", "10  bcd  y"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::default();
        table.row(["a\x1b[2J\nb".into()]);

        assert!(!table.fitting(None)[0].contains(char::is_control), "{:?}", table.fitting(None));
    }

    #[test]
    fn a_column_that_is_empty_in_every_row_is_left_out() {
        let mut table =
            Table::headed([Column::text("id"), Column::cut("album", 2), Column::number("bpm")]);
        table.row(cells(["a", "", "120"]));
        table.row(cells(["b", "", "90"]));

        assert_eq!(table.fitting(None), ["id  bpm", "a   120", "b    90"]);
        assert!(
            Table::headed([Column::text("id")]).fitting(None).is_empty(),
            "no rows, no heading"
        );
    }

    #[test]
    fn texts_shrink_to_the_terminal_and_are_whole_without_one() {
        let mut table = Table::headed([
            Column::text("id"),
            Column::cut("artist", 2),
            Column::cut("title", 3),
            Column::number("bpm"),
        ]);
        table.row(cells(["1", "Godspeed You! Black Emperor", "The Dead Flag Blues (Intro)", "90"]));
        table.row(cells(["2", "X", "Y", "120"]));

        let lines = table.fitting(Some(40));

        assert_eq!(lines[1], "1   Godspeed Yo…  The Dead Flag Bl…   90");
        assert!(lines.iter().all(|line| line.width() <= 40), "{lines:#?}");
        assert!(
            table.fitting(None)[1].contains("Black Emperor")
                && table.fitting(None)[1].contains("(Intro)")
        );
        assert!(table.fitting(Some(3))[1].starts_with("1   God…  The…"), "never to nothing");
    }

    #[test]
    fn what_is_twice_as_wide_still_lines_up() {
        let mut table = Table::headed([Column::cut("title", 1), Column::number("bpm")]);
        table.row(cells(["日本語の歌の題名", "1"]));
        table.row(cells(["👩‍👩‍👧 family", "2"]));
        table.row(cells(["plain", "3"]));

        for width in 8..30 {
            let lines = table.fitting(Some(width));
            let ends: Vec<usize> = lines[1..].iter().map(|line| line.width()).collect();
            assert!(ends.iter().all(|end| *end == ends[0] && *end <= width.max(9)), "{lines:#?}");
        }
    }

    #[test]
    fn long_texts_go_on_below_their_column() {
        let mut table = Table::of([Column::text(""), Column::wrapped("")]);
        table.row(cells(["genres", "techno\u{a0}12, house\u{a0}3, drum and bass\u{a0}2"]));

        assert_eq!(
            table.fitting(Some(24)),
            ["genres  techno 12,\n        house 3, drum\n        and bass 2"]
        );
        assert_eq!(table.fitting(None), ["genres  techno 12, house 3, drum and bass 2"]);
        assert_eq!(wrapped("one wordthatislong two", 8, 2), "one\n  wordthatislong\n  two");
    }
}
