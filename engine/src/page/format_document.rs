//! `docs/format.md` says what the code does: the tables about pages are compared with the constants and the encoders here.

use std::path::Path;

use super::builder::{NodeBuilder, NodeHeader, overflow_page};
use super::delta::Operation;
use super::image;
use super::layout::{
    GHOST, HEADER, HEADER_WORDS, INNER_CELL_HEADER, KIND_INNER, KIND_LEAF, KIND_OVERFLOW, LEAF_CELL_HEADER,
    MAX_VALUE, NO_BOUND, OVERFLOW, PAGE_SIZE_MAX, PAGE_SIZE_MIN, Slot, key_head, max_inline_value, max_key,
};
use super::node::{Node, OverflowRef};
use super::words::{Words, private_page};
use crate::ids::{CommitId, PageNumber, TableId};

const SIZE: usize = 4096;

/// The section below a heading.
fn section(title: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text
        .split_once(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("docs/format.md has a section `{title}`"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// All table rows of a section without the heads, cells without back quotes.
fn tables(title: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = Vec::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in section(title).lines().chain([""]) {
        if line.starts_with('|') {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().replace('`', "")).collect());
        } else if !rows.is_empty() {
            tables.push(rows.split_off(2));
            rows.clear();
        }
    }
    tables
}

fn table(title: &str) -> Vec<Vec<String>> {
    tables(title)
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("section `{title}` has a table"))
}

/// The documented offset and width of a field, both in the unit of its table.
fn place(title: &str, field: &str) -> (usize, usize) {
    let rows = table(title);
    let row = rows
        .iter()
        .find(|row| row[2] == field)
        .unwrap_or_else(|| panic!("section `{title}` has a field `{field}`"));
    (row[0].parse().unwrap(), row[1].parse().unwrap())
}

/// The little-endian number at the documented place of a field.
fn documented(bytes: &[u8], title: &str, field: &str) -> u64 {
    let (offset, width) = place(title, field);
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[offset..offset + width]);
    u64::from_le_bytes(word)
}

fn header(level: u8, high: Option<&[u8]>) -> NodeHeader {
    NodeHeader {
        page: PageNumber(0x0102_0304),
        table: TableId(0x0506_0708),
        commit: CommitId(0x1112_1314_1516_1718),
        level,
        low: b"abc".to_vec(),
        high: high.map(<[u8]>::to_vec),
        first_child: PageNumber(0x2122_2324),
    }
}

fn bytes_of(words: Words<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(words.append_to(0, words.size(), &mut bytes));
    bytes
}

#[test]
fn the_header_has_no_holes_and_the_slots_follow_it() {
    let rows = table("Page");
    let mut end = 0;
    for row in &rows[..rows.len() - 1] {
        assert_eq!(row[0], end.to_string(), "field `{}`", row[2]);
        end += row[1].parse::<usize>().unwrap();
    }
    assert_eq!(end, HEADER);
    let slots = rows.last().unwrap();
    assert_eq!(slots[..3], [HEADER.to_string(), "8 each".into(), "slots".into()]);
    assert_eq!(HEADER, HEADER_WORDS * 8);
}

#[test]
fn the_fields_of_a_leaf_are_where_the_document_says() {
    let memory = private_page(SIZE);
    let mut builder = NodeBuilder::new(SIZE, &header(0, Some(b"abq")));
    builder.push_row(b"abca", b"value", 0);
    builder.push_row(b"abdefg", &77u64.to_le_bytes(), GHOST);
    let words = Words::new(&memory);
    words.write(0, &builder.finish());
    let mut node = super::edit::NodeMut::new(words);
    node.put(b"abca", b"v", 0, CommitId(0)).unwrap();
    let bytes = bytes_of(words);
    let field = |name: &str| documented(&bytes, "Page", name);
    assert_eq!(field("page number"), 0x0102_0304);
    assert_eq!(field("table"), 0x0506_0708);
    assert_eq!(field("commit ID"), 0x1112_1314_1516_1718);
    assert_eq!(field("kind"), u64::from(KIND_LEAF));
    assert_eq!(field("level"), 0);
    assert_eq!(field("prefix length"), 2);
    let (at, _) = place("Page", "ghosts");
    assert_eq!(u16::from_le_bytes([bytes[at - 2], bytes[at - 1]]), 2, "slots");
    assert_eq!(field("ghosts"), 1);
    assert_eq!(field("garbage"), 4, "the shorter value left four bytes");
    let low = field("low fence offset") as usize;
    assert_eq!(&bytes[low..low + field("low fence length") as usize], b"abc");
    let high = field("high fence offset") as usize;
    assert_eq!(&bytes[high..high + field("high fence length") as usize], b"abq");
    assert!(section("Page").contains(&format!("{NO_BOUND}: no upper bound")));

    let rows = table("Slot");
    let row_of = |name: &str| rows.iter().find(|row| row[2] == name).unwrap();
    let slot_word = |index: usize| {
        let at = HEADER + 8 * index;
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    };
    let slot_field = |index: usize, name: &str| {
        let row = row_of(name);
        let (bit, bits) = (row[0].parse::<u32>().unwrap(), row[1].parse::<u32>().unwrap());
        slot_word(index) >> bit & ((1u64 << bits) - 1)
    };
    for (index, suffix, flags) in [(0, &b"ca"[..], 0u8), (1, b"defg", GHOST)] {
        assert_eq!(slot_field(index, "flags"), u64::from(flags));
        assert_eq!(slot_field(index, "suffix length"), suffix.len() as u64);
        assert_eq!(slot_field(index, "key head"), u64::from(key_head(suffix)));
        let cell = slot_field(index, "cell offset") as usize;
        assert_eq!(cell, Slot::decode(slot_word(index)).offset);
        assert_eq!(place_of_suffix("Leaf cell"), LEAF_CELL_HEADER);
        let start = cell + LEAF_CELL_HEADER;
        assert_eq!(&bytes[start..start + suffix.len()], suffix);
        let payload = u16::from_le_bytes([bytes[cell], bytes[cell + 1]]);
        assert_eq!(payload, if flags == GHOST { 8 } else { 1 });
    }
    assert!(row_of("flags")[3].contains(&format!("{GHOST} a ghost")));
    assert!(row_of("flags")[3].contains(&format!("{OVERFLOW} a row whose value is in overflow pages")));
}

fn place_of_suffix(title: &str) -> usize {
    let rows = table(title);
    let row = rows.iter().find(|row| row[2] == "suffix").unwrap();
    row[0].parse().unwrap()
}

#[test]
fn inner_and_overflow_pages_are_as_documented() {
    let mut builder = NodeBuilder::new(SIZE, &header(3, None));
    builder.push_child(b"abd", PageNumber(0x3132_3334));
    let bytes = builder.finish();
    let field = |name: &str| documented(&bytes, "Page", name);
    assert_eq!(field("kind"), u64::from(KIND_INNER));
    assert_eq!(field("level"), 3);
    assert_eq!(field("child"), 0x2122_2324);
    assert_eq!(field("high fence length"), u64::from(NO_BOUND));
    assert_eq!(field("prefix length"), 0);
    let cell = field("heap start") as usize;
    assert_eq!(documented(&bytes[cell..], "Inner cell", "child"), 0x3132_3334);
    assert_eq!(place_of_suffix("Inner cell"), INNER_CELL_HEADER);
    assert_eq!(
        &bytes[cell + INNER_CELL_HEADER..cell + INNER_CELL_HEADER + 3],
        b"abd"
    );

    let (page, next) = (PageNumber(5), PageNumber(9));
    let bytes = overflow_page(SIZE, page, TableId(1), CommitId(7), next, b"a part");
    assert_eq!(documented(&bytes, "Page", "kind"), u64::from(KIND_OVERFLOW));
    assert_eq!(documented(&bytes, "Page", "child"), 9);
    assert_eq!(documented(&bytes, "Page", "part length"), 6);
    assert!(section("Page").contains(&format!("from offset {HEADER}.")));
    assert_eq!(&bytes[HEADER..HEADER + 6], b"a part");

    let kinds: Vec<String> = table("Page kinds").iter().map(|row| row[..2].join(" ")).collect();
    let expected = [
        (KIND_LEAF, "leaf"),
        (KIND_INNER, "inner"),
        (KIND_OVERFLOW, "overflow"),
    ];
    assert_eq!(kinds, expected.map(|(kind, name)| format!("{kind} {name}")));

    let reference = OverflowRef {
        len: 0x4142_4344,
        first: PageNumber(0x5152_5354),
        commit: CommitId(0x6162_6364_6566_6768),
    };
    let bytes = reference.encode();
    let field = |name: &str| documented(&bytes, "Overflow reference", name);
    assert_eq!(field("length"), 0x4142_4344);
    assert_eq!(field("first page"), 0x5152_5354);
    assert_eq!(field("commit ID"), 0x6162_6364_6566_6768);
    let (last, width) = place("Overflow reference", "commit ID");
    assert_eq!(last + width, OverflowRef::BYTES);
}

#[test]
fn the_limits_are_as_documented() {
    let limits = &tables("Page")[1];
    let limit = |name: &str| &limits.iter().find(|row| row[0] == name).unwrap()[1];
    assert_eq!(
        *limit("page size"),
        format!("{PAGE_SIZE_MIN} to {PAGE_SIZE_MAX}, a power of two")
    );
    assert_eq!(limit("key"), "page size / 8");
    assert_eq!(limit("value inside a leaf"), "page size / 4 - 64");
    for size in [PAGE_SIZE_MIN, PAGE_SIZE_MAX] {
        assert_eq!(max_key(size), size / 8);
        assert_eq!(max_inline_value(size), size / 4 - 64);
    }
    assert_eq!(*limit("value in overflow pages"), MAX_VALUE.to_string());
}

#[test]
fn an_image_leaves_out_the_gap_and_nothing_else() {
    let memory = private_page(SIZE);
    let words = Words::new(&memory);
    let mut builder = NodeBuilder::new(SIZE, &header(0, None));
    builder.push_row(b"abca", b"value", 0);
    let page = builder.finish();
    words.write(0, &page);
    let mut bytes = Vec::new();
    image::encode(Node::new(words), &mut bytes);
    let heap = documented(&page, "Page", "heap start") as usize;
    assert_eq!(bytes, [&page[..HEADER + 8], &page[heap..]].concat());
    let part = overflow_page(
        SIZE,
        PageNumber(5),
        TableId(1),
        CommitId(7),
        PageNumber(0),
        b"a part",
    );
    let mut bytes = Vec::new();
    image::encode_bytes(&part, &mut bytes);
    assert_eq!(bytes, part[..HEADER + 6]);
    assert_eq!(crate::compress::Codec::None as u8, 0);
}

#[test]
fn the_delta_operations_are_as_documented() {
    let (key, long) = (&b"k"[..], [7u8; 200]);
    let reference = OverflowRef {
        len: 1,
        first: PageNumber(2),
        commit: CommitId(3),
    };
    let child = PageNumber(0x0102_0304);
    let value = [&[200, 1][..], &long].concat();
    let expected: [(&str, Operation<'_>, Vec<u8>); 6] = [
        ("put", Operation::Put { key, value: &long }, value),
        (
            "put overflow",
            Operation::PutOverflow { key, reference },
            reference.encode().to_vec(),
        ),
        ("delete", Operation::Delete { key }, vec![]),
        ("cut", Operation::Cut { key }, vec![]),
        ("separator", Operation::Separator { key, child }, vec![4, 3, 2, 1]),
        ("join", Operation::Join { key }, vec![]),
    ];
    let rows = table("Page delta");
    assert_eq!(rows.len(), expected.len());
    for (row, (name, operation, behind_the_key)) in rows.iter().zip(expected) {
        assert_eq!(row[1], name);
        let mut bytes = Vec::new();
        operation.encode(&mut bytes);
        let kind: u8 = row[0].parse().unwrap();
        assert_eq!(bytes, [&[kind, 1, b'k'][..], &behind_the_key].concat(), "{name}");
    }
}
