//! Which part of the harness uses which: no arrow points back.

use std::collections::BTreeSet;
use std::path::Path;

/// Each part, and the parts that it may use beside itself.
const ARROWS: [(&str, &[&str]); 8] = [
    (
        "cli",
        &["request", "scenarios", "child", "drivers", "error", "console"],
    ),
    (
        "scenarios",
        &["request", "child", "drivers", "probe", "error", "console"],
    ),
    ("child", &["request", "error", "console"]),
    ("drivers", &["error"]),
    ("probe", &["error"]),
    ("request", &["drivers", "error"]),
    ("console", &[]),
    ("error", &[]),
];

/// The parts that a source names behind `crate::`.
fn used(text: &str) -> BTreeSet<&str> {
    let names = text.split("crate::").skip(1).flat_map(|rest| {
        let group = rest.strip_prefix('{').and_then(|list| list.split('}').next());
        group
            .unwrap_or(rest)
            .split(", ")
            .take(if group.is_some() { usize::MAX } else { 1 })
    });
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    names
        .map(|name| &name[..name.find(|c| !is_part(c)).unwrap_or(name.len())])
        .collect()
}

fn check(path: &Path, part: &str, allowed: &[&str], files: &mut usize) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            check(&entry.unwrap().path(), part, allowed, files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        *files += 1;
        for name in used(&std::fs::read_to_string(path).unwrap()) {
            assert!(
                name == part || allowed.contains(&name),
                "{} uses crate::{name}",
                path.display()
            );
        }
    }
}

#[test]
fn no_arrow_points_back() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = BTreeSet::from(["main".to_owned()]);
    let mut files = 0;
    for (part, allowed) in ARROWS {
        let folder = source.join(part);
        let path = if folder.is_dir() {
            folder
        } else {
            source.join(format!("{part}.rs"))
        };
        check(&path, part, allowed, &mut files);
        checked.insert(part.to_owned());
    }
    let parts = std::fs::read_dir(&source).unwrap();
    for part in parts.map(|entry| entry.unwrap().path()) {
        let name = part.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(checked.contains(&name), "{} is in no rule", part.display());
    }
    assert!(files > 90, "{files} files were read");
}

#[test]
fn uses_are_seen_alone_and_in_groups() {
    assert_eq!(
        used("use crate::{child::process, cli};\nuse crate::error::Result;\n x: &crate::probe::Meter"),
        BTreeSet::from(["child", "cli", "error", "probe"])
    );
}
