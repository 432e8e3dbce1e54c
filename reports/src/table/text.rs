//! A table as text for terminals: aligned columns, and fewer of them when the terminal is narrow. What was left out is said.

use super::model::{Cell, Column, Mark, Table};
use unicode_width::UnicodeWidthStr;

const GAP: usize = 2;

impl Table {
    /// The table as lines of at most `width` columns, as far as the columns of rank 0 allow it. A line below it names those
    /// that had to be left out.
    #[must_use]
    pub fn to_text(&self, width: usize) -> String {
        let columns = self.columns.iter().enumerate();
        let mut kept: Vec<Drawn<'_>> = columns
            .filter(|(_, column)| !column.page_only)
            .map(|(at, column)| Drawn::new(at, column, self.rows.iter().map(|row| &row[at])))
            .collect();
        let mut left_out = Vec::new();
        let total = |kept: &[Drawn<'_>]| kept.iter().map(|column| column.width + GAP).sum::<usize>();
        while total(&kept) > width + GAP {
            let ranked = kept.iter().enumerate().filter(|(_, of)| of.column.rank > 0);
            let Some((worst, _)) = ranked.max_by_key(|(at, of)| (of.column.rank, *at)) else {
                break;
            };
            left_out.push((kept[worst].at, kept[worst].lines[0].clone()));
            kept.remove(worst);
        }
        let mut text = String::new();
        for line in 0..self.rows.len() + 2 {
            let parts: Vec<String> = kept.iter().map(|column| column.line(line)).collect();
            text.push_str(parts.join("  ").trim_end());
            text.push('\n');
        }
        // In the order in which they would stand.
        left_out.sort();
        if !left_out.is_empty() {
            let names: Vec<String> = left_out.into_iter().map(|(_, name)| name).collect();
            let words = format!("left out for width: {}; all are on the page", names.join(", "));
            text.push_str(&wrapped(&words, width, "  "));
        }
        text
    }
}

/// A column as it is drawn.
struct Drawn<'a> {
    /// Its place among all.
    at: usize,
    column: &'a Column,
    /// The heading, the rule below it, and the cells.
    lines: Vec<String>,
    width: usize,
}

impl<'a> Drawn<'a> {
    fn new(at: usize, column: &'a Column, cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut lines = vec![heading(column), String::new()];
        lines.extend(cells.map(cell));
        let width = lines.iter().map(|line| line.width()).max().unwrap_or(0);
        lines[1] = "─".repeat(width);
        Self {
            at,
            column,
            lines,
            width,
        }
    }

    fn line(&self, at: usize) -> String {
        let text = &self.lines[at];
        let padding = " ".repeat(self.width - text.width());
        if self.column.number {
            padding + text
        } else {
            text.clone() + &padding
        }
    }
}

/// The short heading, else the heading in lower case, as terminals have it: names in capitals stay.
fn heading(column: &Column) -> String {
    if let Some(short) = &column.short {
        return one_line(short);
    }
    let mut rest = column.heading.chars();
    match rest.next() {
        Some(first) if rest.clone().next().is_some_and(char::is_lowercase) => {
            one_line(&(first.to_lowercase().to_string() + rest.as_str()))
        }
        _ => one_line(&column.heading),
    }
}

fn cell(cell: &Cell) -> String {
    let mark = if cell.mark == Mark::Alarm { " !" } else { "" };
    one_line(&cell.text) + mark
}

/// Foreign text (names and reasons come from files) must not control the terminal, nor turn the order of what is around it.
pub(crate) fn one_line(text: &str) -> String {
    let controls = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if controls(c) { ' ' } else { c }).collect()
}

/// Breaks a text into lines of at most `width` columns at spaces, each behind an indent.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let room = width.saturating_sub(indent.width()).max(20);
    let mut lines = String::new();
    let mut line = String::new();
    for word in one_line(text).split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > room {
            lines.extend([indent, &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.extend([indent, &line, "\n"]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::model::{number, text};
    use super::*;

    fn sample(names: [&str; 2]) -> Table {
        let rows = [(names[0], "1", "2 ms", "3 ms"), (names[1], "–", "–", "10 ms")];
        Table::of("sample", "", rows)
            .column(text("Engine"), |row| row.0)
            .column(number("Transactions/s").short("tx/s"), |row| row.1)
            .column(text("What happens").page(), |_| "much")
            .column(number("p99").rank(2), |row| row.2)
            .column(number("WAL max").rank(1), |row| row.3)
            .build()
            .unwrap()
    }

    #[test]
    fn columns_are_aligned() {
        let text = sample(["a", "longer"]).to_text(80);
        let expected = "engine  tx/s   p99  WAL max\n──────  ────  ────  ───────\na          1  2 ms     3 ms\nlonger     –     –    10 ms\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_terminal_gets_the_important_columns() {
        let text = sample(["a", "longer"]).to_text(21);
        let (table, below) = text.split_once("  left out for width:").unwrap();
        assert!(!table.contains("p99") && table.contains("WAL max"), "{text}");
        assert!(below.contains("p99") && !below.contains("WAL max"), "{text}");
        let text = sample(["a", "longer"]).to_text(5);
        let (table, _) = text.split_once("  left out").unwrap();
        assert!(table.contains("tx/s") && !table.contains("WAL max"), "{text}");
    }

    #[test]
    fn what_is_left_out_is_named_in_its_order_and_nothing_else_is() {
        let text = sample(["a", "longer"]).to_text(15);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.ends_with("left out for width: p99, WAL max; all are on the page"),
            "{text}"
        );
        // A column that is only for the page is not missing, and a table that fits has no such line.
        assert!(!text.contains("happens"), "{text}");
        assert!(!sample(["a", "longer"]).to_text(80).contains("left out"));
    }

    #[test]
    fn characters_that_take_two_columns_or_none_are_counted_as_they_are_shown() {
        let text = sample(["数据库", "e\u{301}"]).to_text(80);
        let expected = "engine  tx/s   p99  WAL max\n──────  ────  ────  ───────\n数据库     1  2 ms     3 ms\ne\u{301}          –     –    10 ms\n";
        assert_eq!(text, expected);
        // Three characters more would fit if each took one column.
        let wide = "数据库的名字很长很长";
        assert!(sample([wide, "b"]).to_text(32).contains("left out"));
        assert!(!sample(["0123456789", "b"]).to_text(32).contains("left out"));
        assert_eq!(
            wrapped(&format!("{wide} {wide}"), 30, ""),
            format!("{wide}\n{wide}\n")
        );
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        for hostile in ["a\u{1b}[31m\nb", "a\u{202e}[31m\u{2028}b"] {
            let table = Table::of("x", "", [hostile])
                .column(text(hostile).short(hostile), |text| text)
                .column(text(hostile), |text| text)
                .build();
            let text = table.unwrap().to_text(80);
            assert_eq!(text.matches("a [31m b").count(), 4, "{text:?}");
            assert_eq!(text.lines().count(), 3, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_and_does_not_say_so_has_a_mark() {
        let text = |mark: Mark| {
            let table = Table::of("x", "", [mark]).column(number("Lost"), |mark| Cell::marked("3", mark));
            table.build().unwrap().to_text(80)
        };
        assert!(text(Mark::Alarm).ends_with(" 3 !\n"));
        assert!(text(Mark::Fail).ends_with(" 3\n"));
    }

    #[test]
    fn a_table_without_rows_is_none() {
        let none: [&str; 0] = [];
        assert_eq!(Table::of("x", "", none).column(text("x"), |x| x).build(), None);
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(
            wrapped("aaaa bbbb cccc dddd eeee", 22, "  "),
            "  aaaa bbbb cccc dddd\n  eeee\n"
        );
    }
}
