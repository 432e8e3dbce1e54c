//! A table as Markdown, for documents and discussions: the cells of the page, with their notes.

use super::model::{Cell, Table};
use super::text::one_line;

impl Table {
    /// The table in the form that GitHub and most others read.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(
            self.columns
                .iter()
                .map(|column| escaped(&column.heading))
                .collect(),
        );
        let rule = self
            .columns
            .iter()
            .map(|column| if column.number { "---:" } else { "---" });
        text.push_str(&line(rule.map(str::to_owned).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(cell).collect()));
        }
        text
    }
}

fn cell(cell: &Cell) -> String {
    match &cell.note {
        Some(note) => format!("{} ({})", escaped(&cell.text), escaped(note)),
        None => escaped(&cell.text),
    }
}

/// Foreign text is no markup: neither Markdown's nor, since that lets it through, HTML's.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::model::{number, text};
    use super::*;

    #[test]
    fn a_table_is_lines_between_bars_and_foreign_text_is_no_markup() {
        let table = Table::of("x", "", [("a|b", "1"), ("<b>\n*c*", "–")])
            .column(text("Engine"), |row| {
                Cell::from(row.0).with_note(Some("0.1".into()))
            })
            .column(number("tx/s"), |row| row.1)
            .build();
        let expected =
            "| Engine | tx/s |\n| --- | ---: |\n| a\\|b (0.1) | 1 |\n| &lt;b&gt; \\*c\\* (0.1) | – |\n";
        assert_eq!(table.expect("has rows").to_markdown(), expected);
    }
}
