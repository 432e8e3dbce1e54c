//! `docs/format.md` says what the code does: offsets, widths and numbers in its tables are the constants here.

use super::*;
use crate::store::extent::{self, ExtentKind};
use crate::store::map_format::{self, entry_field, root_field};
use crate::store::page_map::CHUNK_ENTRIES;
use crate::store::page_numbers::PAGE_NUMBER_MAX;
use crate::store::superblock;

/// The section below a heading.
fn section(title: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text
        .split_once(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("docs/format.md has a section `{title}`"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The first table of a section: cells without back quotes.
fn table(title: &str) -> Vec<Vec<String>> {
    section(title)
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

/// The table lists exactly these fields; each is as wide as the way to the next one, the last as given.
fn assert_layout(title: &str, fields: &[(usize, &str)], end: usize) {
    let ends = fields.iter().skip(1).map(|&(offset, _)| offset).chain([end]);
    let expected: Vec<[String; 3]> = fields
        .iter()
        .zip(ends)
        .map(|(&(offset, name), end)| [offset.to_string(), (end - offset).to_string(), name.to_owned()])
        .collect();
    let documented: Vec<[String; 3]> = table(title)
        .iter()
        .filter(|row| row[0].parse::<usize>().is_ok() && row[1].parse::<usize>().is_ok())
        .filter(|row| row[2] != "CRC")
        .map(|row| [row[0].clone(), row[1].clone(), row[2].clone()])
        .collect();
    assert_eq!(documented, expected, "section `{title}`");
}

#[test]
fn the_superblock_is_as_documented() {
    use superblock::field;
    let fields = [
        (field::MAGIC, "magic"),
        (field::VERSION, "version"),
        (field::PAGE_SIZE, "page size"),
        (field::GENERATION, "generation"),
        (field::DATABASE_ID, "database ID"),
        (field::REDO_POSITION, "redo position"),
        (field::MUST_REACH, "must reach"),
        (field::LAST_COMMIT, "last commit"),
        (field::ROOT_OFFSET, "root offset"),
        (field::ROOT_LENGTH, "root length"),
        (field::PAGE_COUNT, "page count"),
        (field::PAGE_HIGH, "page high"),
        (field::CODEC, "codec"),
        (field::LEVEL, "level"),
        (field::RESERVED, "reserved"),
        (field::WAL_SEGMENT_SIZE, "segment size"),
        (field::WALL_CLOCK_MS, "wall clock"),
        (field::TIME_LINE, "time line"),
        (field::ROOT_GENERATION, "root generation"),
    ];
    assert_layout("Superblock", &fields, field::END);
    let rows = table("Superblock");
    let crc = rows.last().unwrap();
    assert_eq!((&*crc[0], &*crc[1], &*crc[2]), ("4092", "4", "CRC"));
    assert_eq!(field::CRC, 4092);
    assert_eq!(rows[1][3], superblock::FORMAT_VERSION.to_string());
    assert_eq!(rows[0][3], "Palimpsest data and a line feed");
    assert_eq!(superblock::FILE_MAGIC, *b"Palimpsest data\n");
    assert!(section("Superblock").starts_with("\n4096 bytes at offset 0 and again at 4096."));
    assert_eq!(superblock::SUPERBLOCK_BYTES, 4096);
}

#[test]
fn the_extent_is_as_documented() {
    use extent::field;
    let fields = [
        (field::MAGIC, "magic"),
        (field::NUMBER, "number"),
        (field::STAMP, "stamp"),
        (field::RAW_BYTES, "raw size"),
        (field::STORED_BYTES, "stored size"),
        (field::KIND, "kind"),
        (field::CODEC, "codec"),
        (field::RESERVED, "reserved"),
    ];
    assert_layout("Extent", &fields, extent::HEADER_BYTES);
    let rows = table("Extent");
    assert_eq!(rows[0][3].as_bytes(), extent::EXTENT_MAGIC.to_le_bytes());
    assert_eq!(rows[8][0], extent::HEADER_BYTES.to_string());
    assert_eq!(
        rows[9][..2],
        [
            format!("{} + n", extent::HEADER_BYTES),
            extent::CRC_BYTES.to_string()
        ]
    );
    assert!(section("Extent").contains(&format!("next multiple of {}", extent::UNIT_BYTES)));

    let kinds: Vec<String> = table("Extent kinds")
        .iter()
        .map(|row| row[..2].join(" "))
        .collect();
    let expected = [
        (ExtentKind::Page, "page"),
        (ExtentKind::MapChunk, "map chunk"),
        (ExtentKind::MapRoot, "map root"),
    ]
    .map(|(kind, name)| format!("{} {name}", kind as u8));
    assert_eq!(kinds, expected);
}

#[test]
fn the_codecs_are_as_documented() {
    let rows = table("Codecs");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let codec = Codec::from_byte(row[0].parse().unwrap()).unwrap();
        assert_eq!(row[1], codec.name());
        assert_eq!(row[2] == "reserved", !Codec::AVAILABLE.contains(&codec));
    }
}

#[test]
fn the_page_map_is_as_documented() {
    let fields = [
        (entry_field::OFFSET, "offset"),
        (entry_field::COMMIT, "commit ID"),
        (entry_field::LENGTH, "length"),
        (entry_field::RAW_LENGTH, "raw length"),
    ];
    assert_layout("Page map chunk", &fields, map_format::ENTRY_BYTES);
    let text = section("Page map chunk");
    assert!(text.contains(&format!("pages {CHUNK_ENTRIES} *c* to")));
    assert!(text.contains(&format!("from 1 to {PAGE_NUMBER_MAX}.")));
    let fields = [
        (root_field::CHUNK, "chunk"),
        (root_field::PAGES, "pages"),
        (root_field::OFFSET, "offset"),
        (root_field::GENERATION, "generation"),
        (root_field::LENGTH, "length"),
        (root_field::RAW_LENGTH, "raw length"),
    ];
    assert_layout("Page map root", &fields, map_format::ROOT_ENTRY_BYTES);
}
