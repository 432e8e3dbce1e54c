//! `docs/format.md` says what the code does.

use super::super::segment::{self, offset};
use super::super::{frame, guard};
use super::*;

/// The rows of the first table below the heading `title`, cells trimmed of blanks and back quotes.
fn table(text: &str, title: &str) -> Vec<Vec<String>> {
    let section = text
        .split_once(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("docs/format.md has a section `{title}`"))
        .1;
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect()
        })
        .collect()
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    std::fs::read_to_string(path).unwrap()
}

/// (offset, field) pairs must be exactly these, and each field must end where the next begins.
fn assert_layout(rows: &[Vec<String>], expected: &[(usize, usize, &str)]) {
    let documented: Vec<_> = rows
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str()))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(offset, bytes, field)| (offset.to_string(), bytes.to_string(), *field))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(offset, bytes, field)| (offset.as_str(), bytes.as_str(), *field))
        .collect();
    assert_eq!(documented[..expected.len()], expected);
}

#[test]
fn the_frame_is_as_documented() {
    let document = document();
    let rows = table(&document, "WAL frame");
    assert_layout(
        &rows,
        &[
            (0, 4, "magic"),
            (frame::SIZE_OFFSET, 4, "frame size"),
            (frame::PAGE_OFFSET, 4, "page number"),
            (frame::COMMIT_OFFSET, 8, "commit ID"),
        ],
    );
    assert_eq!(rows[4][0], frame::DATA_OFFSET.to_string());
    assert!(rows[0][3].contains("0x377F0682"), "{:?}", rows[0]);
    assert_eq!(frame::FRAME_MAGIC, 0x377F_0682);
    assert_eq!(rows[5][1], frame::CRC_BYTES.to_string());

    let kinds = table(&document, "WAL frame kinds");
    let kinds: Vec<_> = kinds
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str()))
        .collect();
    let expected = [
        FrameKind::Delta,
        FrameKind::Image,
        FrameKind::Freed,
        FrameKind::Commit,
    ]
    .map(|kind| (kind.code().to_string(), format!("{kind:?}").to_lowercase()));
    let expected: Vec<_> = expected
        .iter()
        .map(|(code, name)| (code.as_str(), name.as_str()))
        .collect();
    assert_eq!(kinds, expected);
}

#[test]
fn the_segment_header_is_as_documented() {
    let document = document();
    assert_layout(
        &table(&document, "WAL segment"),
        &[
            (offset::MAGIC, 8, "magic"),
            (offset::VERSION, 4, "version"),
            (offset::SALT, 4, "salt"),
            (offset::SEQUENCE, 8, "sequence"),
            (offset::SEGMENT_SIZE, 8, "segment size"),
            (offset::WALL_CLOCK, 8, "wall clock"),
            (offset::PREVIOUS_END, 8, "previous end"),
            (offset::DURABLE, 8, "durable"),
            (offset::DATABASE_ID, 8, "database ID"),
            (offset::TIME_LINE, 8, "time line"),
            (offset::PREVIOUS_TIME_LINE, 8, "previous time line"),
            (offset::START, 8, "start"),
            (offset::END, offset::CRC - offset::END, "reserved"),
            (offset::CRC, 4, "CRC"),
        ],
    );
    let section = document.split_once("\n## WAL segment\n").unwrap().1;
    let magic = std::str::from_utf8(&segment::SEGMENT_MAGIC).unwrap();
    assert!(section.contains(magic), "the magic");
    assert!(
        section.contains(&format!("{} bytes", segment::HEADER_BYTES)),
        "the header blocks"
    );
    let rows = table(&document, "WAL segment");
    assert_eq!(rows[1][3], segment::SEGMENT_VERSION.to_string());
}

#[test]
fn the_guard_is_as_documented() {
    let document = document();
    let rows = table(&document, "WAL guard");
    assert_layout(
        &rows,
        &[
            (guard::offset::MAGIC, 4, "magic"),
            (guard::offset::CRC, 4, "CRC"),
            (guard::offset::DATABASE_ID, 8, "database ID"),
            (guard::offset::SEQUENCE, 8, "sequence"),
            (
                guard::offset::DURABLE,
                guard::GUARD_BYTES - guard::offset::DURABLE,
                "durable",
            ),
        ],
    );
    assert_eq!(rows[0][3].as_bytes(), guard::GUARD_MAGIC);
}
