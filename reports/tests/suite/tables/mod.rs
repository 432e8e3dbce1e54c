//! Tables: text and page draw the same cells, whatever is in them, and every table is drawn.

mod full;

use crate::strange;
use reports::table::{Cell, Column, Mark, Table, Tables, comparison, tables};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use units::MISSING;

/// Headings and rows as they were drawn.
#[derive(Debug, PartialEq)]
struct Drawn {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Every table of every record that is strange, of a full one, and of comparisons.
fn every_table() -> Vec<(String, Table)> {
    let mut records = strange::all();
    records.push(("full", full::record()));
    let alone = records.iter().map(|(name, record)| (*name, tables(record)));
    let mut all: Vec<(&str, Tables)> = alone.collect();
    let records: Vec<_> = records.iter().map(|(_, record)| record.clone()).collect();
    all.push(("comparison", comparison(&records)));
    let each = all.into_iter().flat_map(|(name, tables)| {
        tables
            .into_iter()
            .map(move |(id, table)| (format!("{name}: {id}"), table))
    });
    each.collect()
}

/// What a terminal shows, cut up at the rule below the headings.
fn drawn_as_text(table: &Table) -> Drawn {
    let text = table.to_text(usize::MAX - 100);
    let lines: Vec<&str> = text.lines().collect();
    let rule = lines[1];
    assert!(!rule.contains("   "), "columns are two spaces apart");
    let mut spans = Vec::new();
    let mut start = 0;
    for part in rule.split("  ") {
        spans.push((start, start + part.width()));
        start += part.width() + 2;
    }
    let cut = |line: &str| -> Vec<String> {
        let mut cells = vec![String::new(); spans.len()];
        let mut at = 0;
        for c in line.chars() {
            match spans.iter().position(|(start, end)| (*start..*end).contains(&at)) {
                Some(index) => cells[index].push(c),
                // Nothing but space stands between columns; what takes no column belongs to the one before.
                None if c.width() == Some(0) => {
                    cells[spans.iter().filter(|(_, end)| *end <= at).count() - 1].push(c)
                }
                None => assert_eq!(c, ' ', "{line}"),
            }
            at += c.width().unwrap_or(0);
        }
        cells.iter().map(|cell| cell.trim().to_owned()).collect()
    };
    Drawn {
        headings: cut(lines[0]),
        rows: lines[2..].iter().map(|line| cut(line)).collect(),
    }
}

/// What a page shows, without tags and with its characters as they are meant.
fn drawn_as_html(table: &Table) -> Drawn {
    let html = table.to_html().expect("the template fits the table");
    let cells = |row: &str| -> Vec<String> {
        let cells = row.split("</th>").flat_map(|part| part.split("</td>"));
        let cells = cells.filter(|cell| cell.contains("<th") || cell.contains("<td"));
        cells.map(words).collect()
    };
    let rows: Vec<&str> = html.split("</tr>").collect();
    Drawn {
        headings: cells(rows[0]),
        rows: rows[1..rows.len() - 1].iter().map(|row| cells(row)).collect(),
    }
}

fn words(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    let plain = entities
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to));
    plain.replace(char::is_control, " ").trim().to_owned()
}

#[test]
fn text_and_page_have_the_same_cells() {
    let tables = every_table();
    assert!(tables.len() > 100, "{}", tables.len());
    for (name, table) in tables {
        let page = drawn_as_html(&table);
        let text = drawn_as_text(&table);
        assert_eq!(page.rows.len(), table.rows.len(), "{name}");
        assert_eq!(page.headings.len(), table.columns.len(), "{name}");
        let shown: Vec<usize> = (0..table.columns.len())
            .filter(|at| !table.columns[*at].page_only)
            .collect();
        let headings = shown.iter().map(|at| page.headings[*at].clone());
        for ((heading, terminal), at) in headings.zip(&text.headings).zip(&shown) {
            let short = table.columns[*at].short.clone().unwrap_or(heading);
            let short = short.replace(char::is_control, " ");
            assert_eq!(terminal.to_lowercase(), short.trim().to_lowercase(), "{name}");
        }
        for (index, row) in table.rows.iter().enumerate() {
            let on_page = shown.iter().map(|at| {
                let note = row[*at]
                    .note
                    .as_ref()
                    .map(|note| format!(" {note}").replace(char::is_control, " "));
                let cell = &page.rows[index][*at];
                let cell = note.as_ref().map_or(cell.as_str(), |note| {
                    cell.strip_suffix(note.trim_end())
                        .unwrap_or_else(|| panic!("{name}: {cell}: no{note}"))
                });
                let alarm = if row[*at].mark == Mark::Alarm { " !" } else { "" };
                format!("{}{alarm}", cell.trim_end())
            });
            assert_eq!(
                text.rows[index],
                on_page.collect::<Vec<_>>(),
                "{name}, row {index}"
            );
        }
    }
}

/// The table without what is said below it of columns that were left out.
fn drawn(text: &str) -> &str {
    text.find("\n  left out for").map_or(text, |end| &text[..end])
}

#[test]
fn foreign_text_is_never_markup_and_never_controls_a_terminal() {
    for (name, table) in every_table() {
        let html = table.to_html().unwrap();
        assert!(
            !html.contains("<script") && !html.contains("aria-label=\"<"),
            "{name}"
        );
        for width in [20, 80, 10_000] {
            let text = table.to_text(width);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}");
            assert_eq!(drawn(&text).lines().count(), table.rows.len() + 2, "{name}");
        }
    }
    let hostile = tables(&strange::hostile());
    let marked: Vec<&str> = hostile
        .values()
        .filter(|table| table.to_html().unwrap().contains("&lt;script&gt;"))
        .map(|table| table.id)
        .collect();
    assert!(marked.len() > 10, "{marked:?}");
}

#[test]
fn every_part_of_a_table_is_escaped() {
    let hostile = || "<script>\"&'</td>".to_owned();
    for mark in [
        Mark::Plain,
        Mark::Pass,
        Mark::Fail,
        Mark::Alarm,
        Mark::Open,
        Mark::Long,
        Mark::Code,
    ] {
        let cell = Cell {
            text: hostile(),
            mark,
            note: Some(hostile()),
            swatch: Some(1),
        };
        let column = Column {
            heading: hostile(),
            short: None,
            number: true,
            page_only: false,
            rank: 0,
        };
        let table = Table {
            id: "hostile",
            title: hostile(),
            caption: hostile(),
            columns: vec![column.clone(), column],
            rows: vec![vec![cell.clone(), cell]],
            page_only: false,
        };
        let html = table.to_html().unwrap();
        assert!(!html.contains("<script"), "{mark:?}: {html}");
        // Each heading (of the other cell also as its label), the label of the table, the caption, and each cell; what is code has no
        // note.
        let notes = if mark == Mark::Code { 1 } else { 2 };
        assert_eq!(
            html.matches("&lt;script&gt;").count(),
            3 + 2 + 2 + notes,
            "{mark:?}: {html}"
        );
        assert_eq!(html.matches("</td>").count(), 1, "{mark:?}: {html}");
        assert_eq!(
            html.contains("<strong>"),
            matches!(mark, Mark::Pass | Mark::Fail | Mark::Alarm)
        );
    }
}

#[test]
fn a_full_record_has_every_table_and_no_empty_column() {
    let tables = tables(&full::record());
    let ids: Vec<&str> = tables.keys().copied().collect();
    let expected = [
        "amplification",
        "bounds",
        "concurrency",
        "crash_damage",
        "crash_faults",
        "crash_injected",
        "crash_orders",
        "crash_reach",
        "crash_scenarios",
        "criteria",
        "findings",
        "latencies",
        "options",
        "outcomes",
        "ratio_figures",
        "ratios",
        "reads",
        "recovery",
        "recovery_open",
        "resources",
        "schedules_reach",
        "settings",
        "space",
        "storage",
        "summary",
        "writes_missed",
    ];
    assert_eq!(ids, expected);
    for table in tables.values() {
        for (at, column) in table.columns.iter().enumerate() {
            let filled = |row: &Vec<Cell>| !row[at].text.is_empty() && row[at].text != MISSING;
            assert!(table.rows.iter().any(filled), "{}: {}", table.id, column.heading);
        }
        // The first column is never left out.
        assert!(
            table.columns[0].rank == 0 && !table.columns[0].page_only,
            "{}",
            table.id
        );
    }
}

#[test]
fn every_table_is_on_the_page_and_in_the_text() {
    let record = full::record();
    let page = reports::render_report(&record).unwrap();
    let text = reports::text_table_within(&record, 10_000);
    for (id, table) in tables(&record) {
        assert_eq!(text.contains(&table.to_text(10_000)), !table.page_only, "{id}");
        let html = table.to_html().unwrap();
        match id {
            // A list of facts for each engine, and a table for each section, of the same cells.
            "recovery" | "criteria" => {
                for cell in table.rows.iter().flatten() {
                    let marked = reports_escaped(&cell.text);
                    assert!(page.contains(&marked), "{id}: {marked}");
                }
                for column in &table.columns[2..] {
                    assert!(
                        page.contains(&format!(">{}</", column.heading)),
                        "{id}: {}",
                        column.heading
                    );
                }
            }
            _ => assert!(page.contains(html.trim()), "{id}"),
        }
    }
    let records = [record.clone(), record];
    let page = reports::compare(&records).unwrap();
    for (id, table) in comparison(&records) {
        assert!(page.contains(table.to_html().unwrap().trim()), "{id}");
    }
    let nothing = tables(&reports::RunRecord::new("empty", "2026-01-02T03:04:05Z"));
    assert!(nothing.is_empty(), "{nothing:?}");
    assert!(comparison(&[]).is_empty());
}

fn reports_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
        .replace('/', "&#x2f;")
}

#[test]
fn a_narrow_terminal_loses_columns_and_no_rows() {
    for (name, table) in every_table() {
        let mut before = usize::MAX;
        for width in [400, 160, 100, 80, 40, 10] {
            let text = table.to_text(width);
            let text = drawn(&text);
            assert_eq!(text.lines().count(), table.rows.len() + 2, "{name}");
            let rule = text.lines().nth(1).unwrap();
            let columns = rule.split("  ").count();
            let least = table
                .columns
                .iter()
                .filter(|column| column.rank == 0 && !column.page_only);
            let least = least.count();
            assert!(
                (least..=before).contains(&columns),
                "{name} at {width}: {columns}"
            );
            let widest = text.lines().map(|line| line.width()).max().unwrap();
            assert!(widest <= width || columns == least, "{name} at {width}: {widest}");
            before = columns;
        }
    }
}
