//! A page against a `BTreeMap`: random changes, with compaction, images and deltas in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::builder::{NodeBuilder, NodeHeader};
use super::delta::{self, Operation};
use super::edit::{NodeMut, Refused};
use super::image;
use super::layout::GHOST;
use super::node::{Node, Payload};
use super::words::{Words, private_page};
use crate::ids::{CommitId, PageNumber, TableId};

const SIZE: usize = 4096;

fn header() -> NodeHeader {
    NodeHeader {
        page: PageNumber(7),
        table: TableId(1),
        commit: CommitId(1),
        level: 0,
        low: b"key/".to_vec(),
        high: Some(b"key/~".to_vec()),
        first_child: PageNumber::NONE,
    }
}

fn rows(node: Node<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    (0..node.count())
        .filter(|&i| node.slot(i).flags & GHOST == 0)
        .map(|i| {
            let mut value = Vec::new();
            if let Payload::Inline { offset, len } = node.payload(node.slot(i)) {
                node.words.append_to(offset, len, &mut value);
            }
            (node.key(i), value)
        })
        .collect()
}

/// Keys of the page, and others that share some of its prefix, or nothing.
fn foreign_key() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![
        Just(b'k'),
        Just(b'e'),
        Just(b'y'),
        Just(b'/'),
        Just(b'~'),
        Just(0),
        Just(0xFF),
        b'a'..b'd'
    ];
    prop_oneof![
        key(),
        (0usize..=5, prop::collection::vec(bytes, 0..5))
            .prop_map(|(len, tail)| [&b"key/~"[..len], &tail].concat()),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Compact,
    Image,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(b'a'..b'd', 0..6).prop_map(|mut tail| {
        let mut key = b"key/".to_vec();
        key.append(&mut tail);
        key
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(k, v)| Step::Put(k, v)),
        3 => key().prop_map(Step::Delete),
        1 => Just(Step::Compact),
        1 => Just(Step::Image),
    ]
}

proptest! {
    #[test]
    fn a_page_behaves_as_a_sorted_map(steps in prop::collection::vec(step(), 1..300)) {
        let memory = private_page(SIZE);
        let twin = private_page(SIZE);
        let mut node = NodeMut::new(Words::new(&memory));
        let mut redone = NodeMut::new(Words::new(&twin));
        let empty = NodeBuilder::new(SIZE, &header()).finish();
        node.replace(&empty);
        redone.replace(&empty);
        let mut model = BTreeMap::new();
        for (n, step) in steps.into_iter().enumerate() {
            let commit = CommitId(n as u64 + 2);
            let horizon = CommitId(n as u64 / 2);
            let mut log = Vec::new();
            match step {
                Step::Put(key, value) => {
                    if node.put(&key, &value, 0, horizon).is_ok() {
                        Operation::Put { key: &key, value: &value }.encode(&mut log);
                        model.insert(key, value);
                    }
                }
                Step::Delete(key) => {
                    if let Ok(existed) = node.delete(&key, commit, horizon) {
                        Operation::Delete { key: &key }.encode(&mut log);
                        prop_assert_eq!(existed, model.remove(&key).is_some());
                    }
                }
                Step::Compact => node.compact(horizon),
                Step::Image => {
                    let mut bytes = Vec::new();
                    image::encode(*node, &mut bytes);
                    let other = private_page(SIZE);
                    prop_assert_eq!(image::decode(&bytes, PageNumber(7), Words::new(&other)), Ok(()));
                    prop_assert_eq!(rows(Node::new(Words::new(&other))), model.clone());
                }
            }
            prop_assert_eq!(node.check(), Ok(()));
            prop_assert_eq!(rows(*node), model.clone());
            // Redo by key gives the same rows, whatever the layout of the page is.
            prop_assert_eq!(delta::redo(&mut redone, &log), Ok(()));
            prop_assert_eq!(rows(*redone), model.clone());
        }
    }

    #[test]
    fn any_key_is_searched_as_in_a_sorted_list(keys in prop::collection::btree_set(key(), 0..40), asked in prop::collection::vec(foreign_key(), 1..40)) {
        let memory = private_page(SIZE);
        let mut node = NodeMut::new(Words::new(&memory));
        node.replace(&NodeBuilder::new(SIZE, &header()).finish());
        for key in &keys {
            node.put(key, b"v", 0, CommitId(0)).unwrap();
        }
        let sorted: Vec<_> = keys.into_iter().collect();
        for key in asked {
            let expected = match sorted.binary_search(&key) {
                Ok(at) => (at, true),
                Err(at) => (at, false),
            };
            prop_assert_eq!(node.search(&key), expected, "{:?}", key.escape_ascii().to_string());
            if !node.covers(&key) {
                prop_assert_eq!(node.put(&key, b"w", 0, CommitId(0)), Err(Refused::NotCovered));
                prop_assert_eq!(node.delete(&key, CommitId(2), CommitId(0)), Ok(false));
            }
        }
        prop_assert_eq!(node.count(), sorted.len());
    }

    #[test]
    fn a_damaged_image_is_refused_or_sound(flips in prop::collection::vec((0usize..4096, 0u8..8), 1..4), cut in 0usize..4096) {
        let memory = private_page(SIZE);
        let mut node = NodeMut::new(Words::new(&memory));
        node.replace(&NodeBuilder::new(SIZE, &header()).finish());
        for n in 0..30 {
            node.put(format!("key/{n}").as_bytes(), &[n; 40], 0, CommitId(0)).unwrap();
        }
        let mut bytes = Vec::new();
        image::encode(*node, &mut bytes);
        bytes.truncate(bytes.len().max(1).min(cut + bytes.len() / 2));
        for (at, bit) in flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        let other = private_page(SIZE);
        if image::decode(&bytes, PageNumber(7), Words::new(&other)).is_ok() {
            prop_assert_eq!(Node::new(Words::new(&other)).check(), Ok(()));
        }
    }
}

#[test]
fn a_page_without_room_says_so_and_is_unchanged() {
    let memory = private_page(SIZE);
    let mut node = NodeMut::new(Words::new(&memory));
    node.replace(&NodeBuilder::new(SIZE, &header()).finish());
    let mut n = 0u32;
    while node
        .put(format!("key/{n:05}").as_bytes(), &[1; 100], 0, CommitId(0))
        .is_ok()
    {
        n += 1;
    }
    let before = rows(*node);
    assert!(
        before.len() >= 30,
        "only {} rows of 109 bytes in 4096",
        before.len()
    );
    assert!(node.put(b"key/00000", &[2; 600], 0, CommitId(0)).is_err());
    assert_eq!(rows(*node), before);
    assert_eq!(node.check(), Ok(()));
}

#[test]
fn ghosts_leave_only_when_no_snapshot_needs_them() {
    let memory = private_page(SIZE);
    let mut node = NodeMut::new(Words::new(&memory));
    node.replace(&NodeBuilder::new(SIZE, &header()).finish());
    node.put(b"key/a", b"value of a", 0, CommitId(0)).unwrap();
    assert_eq!(node.delete(b"key/a", CommitId(5), CommitId(4)), Ok(true));
    assert_eq!((node.count(), node.ghosts()), (1, 1));
    assert_eq!(node.purge_ghosts(CommitId(4)), 0);
    assert_eq!(
        node.delete(b"key/a", CommitId(6), CommitId(4)),
        Ok(false),
        "a ghost is no row"
    );
    assert_eq!(node.purge_ghosts(CommitId(5)), 1);
    assert_eq!((node.count(), node.ghosts()), (0, 0));
}

#[test]
fn a_cut_keeps_the_rows_below_and_moves_the_fence() {
    let memory = private_page(SIZE);
    let mut node = NodeMut::new(Words::new(&memory));
    node.replace(&NodeBuilder::new(SIZE, &header()).finish());
    for n in 0..20 {
        node.put(format!("key/{n:02}").as_bytes(), b"v", 0, CommitId(0))
            .unwrap();
    }
    node.cut(b"key/07");
    assert_eq!(node.count(), 7);
    assert_eq!(node.high_fence().as_deref(), Some(&b"key/07"[..]));
    assert!(node.covers(b"key/06") && !node.covers(b"key/07"));
    assert_eq!(node.key(6), b"key/06");
}
