//! A spec in words.

use std::fmt::Write as _;

use crate::driver::Direction;
use crate::keys::{Distribution, KeyOrder};
use units::exact_duration;

use super::{Action, OperationSpec, Spec, TableSpec};

pub(super) fn explain(spec: &Spec) -> String {
    let mut out = format!("{}: {}\n", spec.name, spec.title);
    let mut paragraph = |text: &str| {
        if !text.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{}\n", wrap(text, 100));
        }
    };
    paragraph(&spec.description);
    if !spec.source.is_empty() {
        paragraph(&format!("Source: {}", spec.source));
    }
    let tables: Vec<String> = spec.tables.iter().map(table).collect();
    out.push_str("\nData\n");
    for text in tables {
        let _ = writeln!(out, "  {text}");
    }
    out.push_str("\nTransactions\n");
    let total: f64 = spec
        .transactions
        .iter()
        .map(|transaction| transaction.weight)
        .sum();
    for transaction in &spec.transactions {
        let share = transaction.weight / total * 100.0;
        let kind = if transaction.is_read_only() {
            "read-only"
        } else {
            "read-write"
        };
        let _ = writeln!(out, "  {} ({share:.4}% of all, {kind})", transaction.name);
        for step in &transaction.operations {
            let _ = writeln!(out, "    - {}", operation(step));
        }
    }
    let _ = writeln!(out, "\nRun\n  {}", run(spec).join("\n  "));
    trim_percent(&out)
}

/// `50.0000%` as `50%`.
fn trim_percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('%').enumerate() {
        if index > 0 {
            if out.ends_with(|c: char| c.is_ascii_digit())
                && out.rsplit(['(', ' ']).next().is_some_and(|n| n.contains('.'))
            {
                let kept = out.trim_end_matches('0').trim_end_matches('.').len();
                out.truncate(kept);
            }
            out.push('%');
        }
        out.push_str(part);
    }
    out
}

fn run(spec: &Spec) -> Vec<String> {
    let threads = if spec.threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{} threads", spec.threads)
    };
    let pace = match spec.rate {
        Some(rate) => format!("open loop, {rate} transactions per second arriving at random (Poisson)"),
        None => "closed loop, each thread as fast as it can".to_owned(),
    };
    let mut lines = vec![
        format!("{threads}, {pace}"),
        format!(
            "{} warm-up (not counted), then {} measured; {}",
            exact_duration(spec.warmup),
            exact_duration(spec.run),
            if spec.repeat == 1 {
                "once".to_owned()
            } else {
                format!("{} times", spec.repeat)
            }
        ),
        format!(
            "isolation {}, durability {}, seed {}",
            spec.isolation, spec.durability, spec.seed
        ),
    ];
    if let Some(bytes) = spec.cache_size_bytes {
        lines.push(format!("cache of {}", units::exact_size(bytes)));
    }
    lines
}

fn table(table: &TableSpec) -> String {
    let order = match table.key.order {
        KeyOrder::Sequential => "in insertion order",
        KeyOrder::Hashed => "scattered by a hash",
    };
    let value = table.value;
    format!(
        "{}: {} rows; {} keys of {} bytes, {order}; values of {} bytes, {}% of them compressible; rows chosen {}",
        table.name,
        grouped(table.rows),
        table.key.form.name(),
        table.key.size,
        value.size,
        value.compressibility * 100.0,
        distribution(table.distribution)
    )
}

fn operation(operation: &OperationSpec) -> String {
    let table = &operation.table;
    let rows = if operation.count == 1 {
        "1 row".to_owned()
    } else {
        format!("{} rows", operation.count)
    };
    let times = if operation.count == 1 {
        "once".to_owned()
    } else {
        format!("{} times", operation.count)
    };
    let mut text = match operation.action {
        Action::PointRead => format!("read {rows} of {table} by key"),
        Action::Range { length, direction } => {
            let way = match direction {
                Direction::Forward => "",
                Direction::Reverse => " backwards",
            };
            format!("read a range of {length} rows of {table}{way}, {times}")
        }
        Action::Update => format!("overwrite {rows} of {table}"),
        Action::ReadModifyWrite => format!("read {rows} of {table} for update, then write"),
        Action::Insert => format!("insert {rows} into {table}"),
        Action::Delete => format!("delete {rows} of {table}"),
        Action::DeleteInsert => format!("delete {rows} of {table} and insert the same key again"),
    };
    if let Some(chosen) = operation.distribution {
        let _ = write!(text, ", chosen {}", distribution(chosen));
    }
    text
}

fn distribution(distribution: Distribution) -> String {
    match distribution {
        Distribution::Uniform => "uniformly".to_owned(),
        Distribution::Zipfian { theta, scrambled } => {
            format!(
                "by Zipf's law (theta {theta}{})",
                if scrambled { ", hot rows scattered" } else { "" }
            )
        }
        Distribution::Latest { theta } => format!("by age, newest most often (theta {theta})"),
        Distribution::Hotspot {
            hot_fraction,
            hot_probability,
        } => {
            format!(
                "so that {}% of accesses go to {}% of the rows",
                hot_probability * 100.0,
                hot_fraction * 100.0
            )
        }
        Distribution::Sequential => "one after the other".to_owned(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_percents_trimmed_and_lines_wrapped() {
        assert_eq!(
            (grouped(7), grouped(1000), grouped(1_234_567)),
            ("7".into(), "1,000".into(), "1,234,567".into())
        );
        assert_eq!(
            trim_percent("a (50.0000% of) 33.3333%, 100%"),
            "a (50% of) 33.3333%, 100%"
        );
        assert_eq!(wrap("aa bb  cc\ndd", 5), "aa bb\ncc dd");
    }
}
