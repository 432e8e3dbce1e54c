//! What a table is: columns under headings, rows of cells, and nothing about how they are drawn.

use serde::Serialize;

/// A table with at least one row, ready to be drawn as text or as HTML.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Name inside its record, for instance `latencies`.
    pub id: &'static str,
    /// Title for a heading above it; empty where its section has one.
    pub title: String,
    /// What its figures are, in a sentence or two; the page has it below the table.
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with one cell for each column; the first cell says what the row is about.
    pub rows: Vec<Vec<Cell>>,
    /// Whether it is only for the page.
    pub page_only: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its heading.
    pub heading: String,
    /// A shorter heading for the terminal.
    pub short: Option<String>,
    /// Whether its cells are figures, which stand on the right.
    pub number: bool,
    /// Whether it is only for the page: a terminal is narrow.
    pub page_only: bool,
    /// In a narrow terminal columns of a higher rank are left out first; rank 0 stays.
    pub rank: u8,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// What is to be noticed about it.
    #[serde(rename = "class")]
    pub mark: Mark,
    /// What the page says behind the text, in the same cell.
    pub note: Option<String>,
    /// The place among the colours of series that the page puts before the text: the colour of what the row is about.
    pub swatch: Option<usize>,
}

/// What is to be noticed about a cell; on the page it is the class of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing.
    #[default]
    #[serde(rename = "")]
    Plain,
    /// It is as it must be.
    Pass,
    /// It is not, and the text says so.
    Fail,
    /// It is not, and the text alone does not say so: a terminal adds a mark.
    #[serde(rename = "fail")]
    Alarm,
    /// That is not known.
    Open,
    /// The text is a sentence.
    Long,
    /// The text is a command.
    Code,
}

/// A column of words.
pub(super) fn text(heading: impl Into<String>) -> Column {
    Column {
        heading: heading.into(),
        short: None,
        number: false,
        page_only: false,
        rank: 0,
    }
}

/// A column of figures.
pub(super) fn number(heading: impl Into<String>) -> Column {
    Column {
        number: true,
        ..text(heading)
    }
}

impl Column {
    /// With a shorter heading for the terminal.
    pub(super) fn short(mut self, short: impl Into<String>) -> Self {
        self.short = Some(short.into());
        self
    }

    /// With a rank, see [`Column::rank`].
    pub(super) fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// Only for the page.
    pub(super) fn page(mut self) -> Self {
        self.page_only = true;
        self
    }
}

impl Cell {
    /// With something to be noticed.
    pub(super) fn marked(text: impl Into<String>, mark: Mark) -> Self {
        Self {
            text: text.into(),
            mark,
            note: None,
            swatch: None,
        }
    }

    /// With a colour before it on the page.
    pub(super) fn with_swatch(mut self, place: usize) -> Self {
        self.swatch = Some(place);
        self
    }

    /// With a note behind it on the page.
    pub(super) fn with_note(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::marked(text, Mark::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl Table {
    /// A table of things, one row for each; columns are added with what they say about a thing.
    pub(super) fn of<R: Copy>(
        id: &'static str,
        caption: &str,
        things: impl IntoIterator<Item = R>,
    ) -> Builder<R> {
        let things: Vec<R> = things.into_iter().collect();
        let table = Self {
            id,
            title: String::new(),
            caption: caption.to_owned(),
            columns: Vec::new(),
            rows: vec![Vec::new(); things.len()],
            page_only: false,
        };
        Builder { table, things }
    }
}

/// A table that is being made: a heading and what stands below it are said in one place.
pub(super) struct Builder<R> {
    table: Table,
    things: Vec<R>,
}

impl<R: Copy> Builder<R> {
    /// Adds a column.
    pub(super) fn column<C: Into<Cell>>(mut self, column: Column, cell: impl Fn(R) -> C) -> Self {
        self.table.columns.push(column);
        for (row, thing) in self.table.rows.iter_mut().zip(&self.things) {
            row.push(cell(*thing).into());
        }
        self
    }

    /// Adds a column of words, with its [rank](Column::rank).
    pub(super) fn text<C: Into<Cell>>(self, heading: &str, rank: u8, cell: impl Fn(R) -> C) -> Self {
        self.column(text(heading).rank(rank), cell)
    }

    /// Adds a column of figures, with its [rank](Column::rank).
    pub(super) fn number<C: Into<Cell>>(self, heading: &str, rank: u8, cell: impl Fn(R) -> C) -> Self {
        self.column(number(heading).rank(rank), cell)
    }

    /// Gives it a title.
    pub(super) fn title(mut self, title: impl Into<String>) -> Self {
        self.table.title = title.into();
        self
    }

    /// Makes it one for the page only.
    pub(super) fn page(mut self) -> Self {
        self.table.page_only = true;
        self
    }

    /// The table; `None` without rows.
    pub(super) fn build(self) -> Option<Table> {
        (!self.table.rows.is_empty()).then_some(self.table)
    }
}
