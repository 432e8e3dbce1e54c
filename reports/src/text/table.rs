//! A plain table for terminals: aligned columns, and fewer of them when the terminal is narrow.

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One column. Columns of a higher rank are dropped first when space is short; rank 0 stays.
#[derive(Debug, Clone)]
struct Column {
    title: String,
    align: Align,
    rank: u8,
}

/// Rows under titles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

const GAP: usize = 2;

impl Table {
    /// A table without columns.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a column.
    pub(crate) fn column(mut self, title: &str, align: Align, rank: u8) -> Self {
        self.columns.push(Column {
            title: title.to_owned(),
            align,
            rank,
        });
        self
    }

    /// Adds a row; it must have one cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.columns.len(),
            "a row has one cell for each column"
        );
        self.rows.push(cells.iter().map(|cell| one_line(cell)).collect());
    }

    /// The table as lines of at most `width` characters, as far as the columns of rank 0 allow it.
    pub(crate) fn render(&self, width: usize) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| self.column_width(at)).collect();
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let total = |kept: &[usize]| {
            kept.iter()
                .map(|at| widths[*at] + GAP)
                .sum::<usize>()
                .saturating_sub(GAP)
        };
        while total(&kept) > width {
            let Some(worst) = kept
                .iter()
                .copied()
                .filter(|at| self.columns[*at].rank > 0)
                .max_by_key(|at| (self.columns[*at].rank, *at))
            else {
                break;
            };
            kept.retain(|at| *at != worst);
        }
        let mut text = String::new();
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.clone()).collect();
        self.line(&mut text, &titles, &kept, &widths);
        let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.line(&mut text, &rules, &kept, &widths);
        for row in &self.rows {
            self.line(&mut text, row, &kept, &widths);
        }
        text
    }

    fn column_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| length(&row[at]));
        cells.chain([length(&self.columns[at].title)]).max().unwrap_or(0)
    }

    fn line(&self, text: &mut String, cells: &[String], kept: &[usize], widths: &[usize]) {
        let mut line = String::new();
        for (index, at) in kept.iter().enumerate() {
            if index > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let padding = " ".repeat(widths[*at] - length(&cells[*at]));
            match self.columns[*at].align {
                Align::Left => line.extend([cells[*at].as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), &cells[*at]]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Characters of a text; the texts printed here have no wide or combining characters.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// Control characters of foreign text (names and reasons come from files) must not reach the terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Breaks a text into lines of at most `width` characters at spaces, each behind an indent.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let room = width.saturating_sub(length(indent)).max(20);
    let mut lines = String::new();
    let mut line = String::new();
    for word in one_line(text).split_whitespace() {
        if !line.is_empty() && length(&line) + 1 + length(word) > room {
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
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new()
            .column("engine", Align::Left, 0)
            .column("tx/s", Align::Right, 0)
            .column("p99", Align::Right, 2)
            .column("max", Align::Right, 1);
        table.row(vec!["a".into(), "1".into(), "2 ms".into(), "3 ms".into()]);
        table.row(vec!["longer".into(), "–".into(), "–".into(), "10 ms".into()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        let text = sample().render(80);
        let expected = "engine  tx/s   p99    max\n──────  ────  ────  ─────\na          1  2 ms   3 ms\nlonger     –     –  10 ms\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_terminal_gets_the_important_columns() {
        let text = sample().render(20);
        assert!(!text.contains("p99") && text.contains("max"), "{text}");
        let text = sample().render(5);
        assert!(text.contains("tx/s") && !text.contains("max"), "{text}");
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        let mut table = Table::new().column("x", Align::Left, 0);
        table.row(vec!["a\u{1b}[31m\nb".into()]);
        assert!(table.render(80).contains("a [31m b"));
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(
            wrapped("aaaa bbbb cccc dddd eeee", 22, "  "),
            "  aaaa bbbb cccc dddd\n  eeee\n"
        );
    }
}
