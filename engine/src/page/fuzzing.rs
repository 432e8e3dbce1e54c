//! Properties of pages and their deltas, for [`crate::fuzzing`].

use std::collections::BTreeMap;

use super::builder::{NodeBuilder, NodeHeader};
use super::delta::{self, Operation};
use super::edit::NodeMut;
use super::image;
use super::layout::{GHOST, HEADER, KIND_INNER, KIND_LEAF, KIND_OVERFLOW, NO_BOUND, OVERFLOW};
use super::leaf_copy::{CopiedPayload, LeafCopy};
use super::node::{Node, OverflowRef, Payload};
use super::words::{Words, private_page};
use crate::fuzzing::Input;
use crate::ids::{CommitId, PageNumber, TableId};

const PAGE: PageNumber = PageNumber(9);
const SIZE: usize = 4096;

/// What a page says: by key the flags and payload of a row, or the child.
type Contents = BTreeMap<Vec<u8>, (u8, Vec<u8>)>;

/// Input: length of the delta (2 bytes), flags, delta, page image. Without an image the delta meets an empty page, whose
/// level is the lowest bit of the flags; a flag says whether to make the image's header fit its slots.
///
/// # Panics
/// If a property does not hold.
pub fn page_delta(input: &[u8]) {
    let mut input = Input(input);
    let len = usize::from(input.u16());
    let flags = input.u8();
    let delta = input.bytes(len);
    let memory = private_page(SIZE);
    let mut node = NodeMut::new(Words::new(&memory));
    if input.0.is_empty() {
        node.replace(&NodeBuilder::new(SIZE, &header(flags & 1)).finish());
    } else {
        let mut bytes = input.0.to_vec();
        if flags & 2 != 0 {
            repair_image(&mut bytes, PAGE, SIZE);
        }
        if image::decode(&bytes, PAGE, Words::new(&memory)).is_err() || node.kind() == KIND_OVERFLOW {
            return;
        }
    }
    let mut expected = contents(*node);
    let is_leaf = node.is_leaf();
    let answer = delta::redo(&mut node, delta);
    assert_eq!(node.check(), Ok(()), "redo leaves a sound page");
    let found = contents(*node);
    if answer.is_ok() {
        apply(&mut expected, delta, is_leaf);
        assert_eq!(found, expected, "redo did what the delta says");
    }
    image_round_trip(*node);
}

fn header(level: u8) -> NodeHeader {
    NodeHeader {
        page: PAGE,
        table: TableId(3),
        commit: CommitId(1),
        level,
        low: b"key/".to_vec(),
        high: Some(b"key/x".to_vec()),
        first_child: PageNumber(5),
    }
}

/// What a delta means, on rows by key.
fn apply(rows: &mut Contents, mut delta: &[u8], is_leaf: bool) {
    // Redo serves no snapshots: it removes ghosts when it needs the room, so they do not count.
    while let Some(operation) = Operation::decode(&mut delta) {
        match operation {
            Operation::Put { key, value } => {
                rows.insert(key.to_vec(), (0, value.to_vec()));
            }
            Operation::PutOverflow { key, reference } => {
                rows.insert(key.to_vec(), (OVERFLOW, reference.encode().to_vec()));
            }
            Operation::Delete { key } | Operation::Join { key } => {
                rows.remove(key);
            }
            Operation::Cut { key } => drop(rows.split_off(key)),
            Operation::Separator { key, child } => {
                assert!(!is_leaf);
                rows.insert(key.to_vec(), (0, child.0.to_le_bytes().to_vec()));
            }
        }
    }
}

/// Reads a page by every way there is and returns what it holds.
fn contents(node: Node<'_>) -> Contents {
    let mut copy = LeafCopy::default();
    copy.fill(node, 0..node.count());
    let mut rows = Contents::new();
    let mut last = None;
    for index in 0..node.count() {
        let slot = node.slot(index);
        let key = node.key(index);
        assert!(node.covers(&key), "slot {index} is between the fences");
        assert_eq!(node.search(&key), (index, true), "slot {index} is found");
        assert!(
            last.replace(key.clone()).is_none_or(|last| last < key),
            "in order"
        );
        if !node.is_leaf() {
            let child = node.child(index + 1);
            assert_eq!(node.child_index(&key), index + 1);
            rows.insert(key, (0, child.0.to_le_bytes().to_vec()));
            continue;
        }
        let (offset, len) = node.payload_position(slot);
        let mut bytes = Vec::new();
        assert!(node.words.append_to(offset, len, &mut bytes), "inside the page");
        let mut copied = Vec::new();
        node.append_prefix(&mut copied);
        copied.extend_from_slice(copy.suffix(slot));
        assert_eq!(copied, key);
        match (node.payload(slot), copy.payload(copy.slot(index))) {
            (Payload::Inline { .. }, CopiedPayload::Inline { start, end }) => {
                assert_eq!(copy.slice(start, end), bytes);
            }
            (Payload::Overflow(one), CopiedPayload::Overflow(other)) => {
                assert_eq!(one, other);
                assert_eq!(OverflowRef::decode(&bytes), Some(one));
            }
            (Payload::Ghost(_), CopiedPayload::Ghost) => continue,
            (one, other) => panic!("slot {index} is {one:?} in the page and {other:?} in its copy"),
        }
        rows.insert(key, (slot.flags, bytes));
    }
    rows
}

/// The image of a sound page decodes to the same.
fn image_round_trip(node: Node<'_>) {
    let size = node.words.size();
    let mut bytes = Vec::new();
    image::encode(node, &mut bytes);
    let memory = private_page(size);
    let other = Words::new(&memory);
    assert_eq!(image::decode(&bytes, node.page_number(), other), Ok(()));
    if node.kind() != KIND_OVERFLOW {
        assert_eq!(contents(Node::new(other)), contents(node));
    }
    let mut again = Vec::new();
    image::encode(Node::new(other), &mut again);
    assert_eq!(again, bytes, "images are canonical");
}

/// A page image from a file: refused, or sound for everything that the engine does with a page.
pub(crate) fn page_image(bytes: &[u8], page: PageNumber, size: usize) {
    let memory = private_page(size);
    let words = Words::new(&memory);
    if image::decode(bytes, page, words).is_err() {
        return;
    }
    let mut node = NodeMut::new(words);
    assert_eq!((node.check(), node.page_number()), (Ok(()), page));
    image_round_trip(*node);
    if node.kind() == KIND_OVERFLOW {
        return;
    }
    let before = contents(*node);
    node.purge_ghosts(CommitId(u64::MAX / 2));
    assert_eq!((node.check(), contents(*node)), (Ok(()), before.clone()));
    node.compact(CommitId(u64::MAX));
    assert_eq!((node.check(), contents(*node)), (Ok(()), before.clone()));
    let middle = before.keys().nth(before.len() / 2);
    if let Some(middle) = middle.filter(|middle| !node.is_low_fence(middle)) {
        node.cut(middle);
        assert_eq!(node.check(), Ok(()));
        assert!(contents(*node).iter().eq(before.range::<Vec<u8>, _>(..middle)));
    }
}

/// Makes the derived fields of an image's header fit its slots: what a fuzzer would not guess.
pub(crate) fn repair_image(image: &mut Vec<u8>, page: PageNumber, size: usize) {
    image.resize(image.len().clamp(HEADER, size), 0);
    image[..4].copy_from_slice(&page.0.to_le_bytes());
    if image[16] == KIND_OVERFLOW {
        let len = (image.len() - HEADER) as u32;
        image[44..48].copy_from_slice(&len.to_le_bytes());
        return;
    }
    image[16] = if image[17] == 0 { KIND_LEAF } else { KIND_INNER };
    let count = usize::from(u16::from_le_bytes([image[20], image[21]])).min((image.len() - HEADER) / 8);
    image[20..22].copy_from_slice(&(count as u16).to_le_bytes());
    let heap = size - (image.len() - HEADER - 8 * count);
    image[24..28].copy_from_slice(&(heap as u32).to_le_bytes());
    // The page as it will be, to add up its cells.
    let memory = private_page(size);
    let words = Words::new(&memory);
    words.write(0, &image[..HEADER + 8 * count]);
    words.write(heap, &image[HEADER + 8 * count..]);
    let node = Node::new(words);
    let high = usize::from(u16::from_le_bytes([image[38], image[39]]));
    let fences = usize::from(u16::from_le_bytes([image[34], image[35]]))
        + if high == usize::from(NO_BOUND) { 0 } else { high };
    let cells: usize = (0..count).map(|index| node.cell_len(node.slot(index))).sum();
    let ghosts = (0..count)
        .filter(|&i| node.is_leaf() && node.slot(i).flags == GHOST)
        .count();
    image[22..24].copy_from_slice(&(ghosts as u16).to_le_bytes());
    let garbage = (size - heap).saturating_sub(fences + cells) as u32;
    image[28..32].copy_from_slice(&garbage.to_le_bytes());
}

/// Inputs from real pages.
#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::page::builder::overflow_page;

    /// Images of pages of every kind, filled and worn.
    pub(crate) fn images() -> Vec<Vec<u8>> {
        let memory = private_page(SIZE);
        let mut node = NodeMut::new(Words::new(&memory));
        let mut images = Vec::new();
        let mut keep = |node: Node<'_>| {
            let mut image = Vec::new();
            image::encode(node, &mut image);
            images.push(image);
        };
        let unbounded = NodeHeader {
            low: Vec::new(),
            high: None,
            ..header(0)
        };
        for header in [header(0), unbounded] {
            node.replace(&NodeBuilder::new(SIZE, &header).finish());
            keep(*node);
            for n in 0..12_u8 {
                let key = [&b"key/"[..], &[b'a' + n]].concat();
                node.put(&key, &vec![n; usize::from(n) * 3], 0, CommitId(0))
                    .unwrap();
            }
            let reference = OverflowRef {
                len: 9000,
                first: PageNumber(77),
                commit: CommitId(5),
            };
            node.put(b"key/over", &reference.encode(), OVERFLOW, CommitId(0))
                .unwrap();
            keep(*node);
            node.delete(b"key/c", CommitId(8), CommitId(0)).unwrap();
            node.delete(b"key/d", CommitId(1), CommitId(2)).unwrap();
            keep(*node);
        }
        node.replace(&NodeBuilder::new(SIZE, &header(1)).finish());
        for n in 0..9_u8 {
            node.put_child(
                &[b'k', b'e', b'y', b'/', b'b' + 2 * n],
                PageNumber(50 + u32::from(n)),
            )
            .unwrap();
        }
        keep(*node);
        node.remove(3);
        keep(*node);
        let part = overflow_page(
            SIZE,
            PAGE,
            TableId(3),
            CommitId(5),
            PageNumber(10),
            b"part of a value",
        );
        node.replace(&part);
        keep(*node);
        images
    }

    /// Each operation, alone and together, on each of these pages.
    pub(crate) fn deltas() -> Vec<Vec<u8>> {
        let reference = OverflowRef {
            len: 70_000,
            first: PageNumber(8),
            commit: CommitId(77),
        };
        let long = [3; 900];
        let leaf = [
            Operation::Put {
                key: b"key/c",
                value: b"a value",
            },
            Operation::Put {
                key: b"key/bb",
                value: &long,
            },
            Operation::PutOverflow {
                key: b"key/e",
                reference,
            },
            Operation::Delete { key: b"key/f" },
            Operation::Cut { key: b"key/k" },
        ];
        let inner = [
            Operation::Separator {
                key: b"key/ca",
                child: PageNumber(99),
            },
            Operation::Join { key: b"key/f" },
            Operation::Cut { key: b"key/h" },
        ];
        let mut seeds = Vec::new();
        let mut keep = |flags: u8, operations: &[Operation<'_>], image: &[u8]| {
            let mut delta = Vec::new();
            operations
                .iter()
                .for_each(|operation| operation.encode(&mut delta));
            let len = (delta.len() as u16).to_le_bytes();
            seeds.push([&len[..], &[flags], &delta, image].concat());
        };
        for operations in leaf.iter().map(std::slice::from_ref).chain([&leaf[..]]) {
            keep(0, operations, &[]);
        }
        for operations in inner.iter().map(std::slice::from_ref).chain([&inner[..]]) {
            keep(1, operations, &[]);
        }
        for image in images() {
            keep(0, &leaf, &image);
            keep(2, &inner, &image);
        }
        seeds
    }
}
