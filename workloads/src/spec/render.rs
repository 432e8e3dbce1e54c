//! A spec as TOML, with every default spelled out.

use std::fmt::Write as _;

use crate::driver::Direction;
use crate::keys::Distribution;
use crate::units::format_duration;

use super::{Action, Range, Spec};

pub(super) fn render(spec: &Spec) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("name = {}", quoted(&spec.name)));
    line(format_args!("title = {}", quoted(&spec.title)));
    line(format_args!("description = {}", quoted(&spec.description)));
    line(format_args!("source = {}", quoted(&spec.source)));
    line(format_args!("seed = {}", spec.seed));
    line(format_args!("threads = {}", spec.threads));
    line(format_args!("isolation = \"{}\"", spec.isolation));
    line(format_args!("durability = \"{}\"", spec.durability));
    line(format_args!("repeat = {}", spec.repeat));
    if let Some(rate) = spec.rate {
        line(format_args!("rate = {}", float(rate)));
    }
    if let Some(bytes) = spec.cache_size_bytes {
        line(format_args!(
            "cache-size = \"{}\"",
            crate::units::format_size(bytes)
        ));
    }
    line(format_args!("warmup = \"{}\"", format_duration(spec.warmup)));
    line(format_args!("run = \"{}\"", format_duration(spec.run)));
    for table in &spec.tables {
        line(format_args!("\n[[table]]"));
        line(format_args!("name = {}", quoted(&table.name)));
        line(format_args!("rows = {}", table.rows));
        let key = table.key;
        line(format_args!(
            "key = {{ form = \"{}\", order = \"{}\", size = {} }}",
            key.form.name(),
            key.order.name(),
            key.size
        ));
        line(format_args!(
            "value = {{ size = {}, compressibility = {} }}",
            range(table.value.size),
            float(table.value.compressibility)
        ));
        line(format_args!("keys = {}", keys(table.distribution)));
    }
    for transaction in &spec.transactions {
        line(format_args!("\n[[transaction]]"));
        line(format_args!("name = {}", quoted(&transaction.name)));
        line(format_args!("weight = {}", float(transaction.weight)));
        line(format_args!("operations = ["));
        for operation in &transaction.operations {
            let table = spec.tables.get(operation.table).map_or("", |table| &table.name);
            let mut text = format!(
                "op = \"{}\", table = {}, count = {}",
                operation.action.name(),
                quoted(table),
                operation.count
            );
            if let Action::Range { length, direction } = operation.action {
                let direction = match direction {
                    Direction::Forward => "forward",
                    Direction::Reverse => "reverse",
                };
                let _ = write!(text, ", length = {}, direction = \"{direction}\"", range(length));
            }
            if let Some(distribution) = operation.distribution {
                let _ = write!(text, ", keys = {}", keys(distribution));
            }
            line(format_args!("  {{ {text} }},"));
        }
        line(format_args!("]"));
    }
    out
}

/// A TOML string; debug formatting would spell control characters in a way that TOML does not read.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A TOML float: Rust writes whole numbers without a point, which TOML would read as integers; both are accepted.
fn float(value: f64) -> String {
    format!("{value:?}")
}

fn range(range: Range) -> String {
    if range.min == range.max {
        range.min.to_string()
    } else {
        format!("{{ min = {}, max = {} }}", range.min, range.max)
    }
}

fn keys(distribution: Distribution) -> String {
    let fields = match distribution {
        Distribution::Uniform | Distribution::Sequential => String::new(),
        Distribution::Zipfian { theta, scrambled } => {
            format!(", theta = {}, scrambled = {scrambled}", float(theta))
        }
        Distribution::Latest { theta } => format!(", theta = {}", float(theta)),
        Distribution::Hotspot {
            hot_fraction,
            hot_probability,
        } => {
            format!(
                ", hot-fraction = {}, hot-probability = {}",
                float(hot_fraction),
                float(hot_probability)
            )
        }
    };
    format!("{{ distribution = \"{}\"{fields} }}", distribution.name())
}
