//! Page deltas: the changes of one commit to one page, as operations by key.
//!
//! ```text
//! put            1  key length varint | key | value length varint | value
//! put overflow   2  key length varint | key | overflow reference (16 bytes)
//! delete         3  key length varint | key
//! cut from key   4  key length varint | key               rows from key on moved away; key is the new high fence
//! separator      5  key length varint | key | child u32   inner page: a new child from key on
//! join           6  key length varint | key               inner page: the child from key on was merged away
//! ```
//! By key means that they hold whatever the physical layout of the page is, so compaction and ghost removal need
//! no logging. Redo has no snapshots to serve: it removes deleted rows at once, which leaves at least as much room
//! as the page had when the change was made.

use super::edit::NodeMut;
use super::layout::OVERFLOW;
use super::node::OverflowRef;
use crate::ids::{CommitId, PageNumber};

const PUT: u8 = 1;
const PUT_OVERFLOW: u8 = 2;
const DELETE: u8 = 3;
const CUT: u8 = 4;
const SEPARATOR: u8 = 5;
const JOIN: u8 = 6;

/// One change of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    PutOverflow { key: &'a [u8], reference: OverflowRef },
    Delete { key: &'a [u8] },
    Cut { key: &'a [u8] },
    Separator { key: &'a [u8], child: PageNumber },
    Join { key: &'a [u8] },
}

impl<'a> Operation<'a> {
    /// Appends the operation.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Put { key, value } => {
                put_bytes(out, PUT, key);
                put_varint(out, value.len());
                out.extend_from_slice(value);
            }
            Self::PutOverflow { key, reference } => {
                put_bytes(out, PUT_OVERFLOW, key);
                out.extend_from_slice(&reference.encode());
            }
            Self::Delete { key } => put_bytes(out, DELETE, key),
            Self::Cut { key } => put_bytes(out, CUT, key),
            Self::Separator { key, child } => {
                put_bytes(out, SEPARATOR, key);
                out.extend_from_slice(&child.0.to_le_bytes());
            }
            Self::Join { key } => put_bytes(out, JOIN, key),
        }
    }

    /// Takes the first operation off `input`; `None` if it is malformed.
    pub(crate) fn decode(input: &mut &'a [u8]) -> Option<Self> {
        let (&kind, rest) = input.split_first()?;
        *input = rest;
        let key = take_bytes(input)?;
        Some(match kind {
            PUT => Self::Put {
                key,
                value: take_bytes(input)?,
            },
            PUT_OVERFLOW => {
                let (reference, rest) = input.split_at_checked(OverflowRef::BYTES)?;
                *input = rest;
                Self::PutOverflow {
                    key,
                    reference: OverflowRef::decode(reference)?,
                }
            }
            DELETE => Self::Delete { key },
            CUT => Self::Cut { key },
            SEPARATOR => {
                let (child, rest) = input.split_first_chunk::<4>()?;
                *input = rest;
                Self::Separator {
                    key,
                    child: PageNumber(u32::from_le_bytes(*child)),
                }
            }
            JOIN => Self::Join { key },
            _ => return None,
        })
    }
}

/// Redoes a delta on a page; says what is wrong if it cannot be.
pub(crate) fn redo(node: &mut NodeMut<'_>, mut body: &[u8]) -> Result<(), String> {
    while !body.is_empty() {
        let operation = Operation::decode(&mut body).ok_or("malformed page delta")?;
        let (Operation::Put { key, .. }
        | Operation::PutOverflow { key, .. }
        | Operation::Delete { key }
        | Operation::Cut { key }
        | Operation::Separator { key, .. }
        | Operation::Join { key }) = operation;
        let belongs = match operation {
            Operation::Cut { .. } => true,
            Operation::Separator { .. } | Operation::Join { .. } => !node.is_leaf(),
            _ => node.is_leaf(),
        };
        if !belongs {
            return Err("page delta of another kind of page".into());
        }
        if !node.covers(key) || key.len() > super::layout::max_key(node.words.size()) {
            return Err("page delta with a key outside the page's fences".into());
        }
        let no_room = |_| "page delta that does not fit in its page".to_owned();
        match operation {
            Operation::Put { key, value } => {
                if value.len() > super::layout::max_inline_value(node.words.size()) {
                    return Err("page delta with a value that is too long for its page".into());
                }
                node.put(key, value, 0, CommitId(u64::MAX)).map_err(no_room)?;
            }
            Operation::PutOverflow { key, reference } => {
                node.put(key, &reference.encode(), OVERFLOW, CommitId(u64::MAX))
                    .map_err(no_room)?;
            }
            Operation::Delete { key } => {
                node.delete(key, CommitId(0), CommitId(u64::MAX))
                    .map_err(no_room)?;
            }
            Operation::Cut { key } if node.is_low_fence(key) => {
                return Err("page delta that cuts a page at its low fence".into());
            }
            Operation::Cut { key } => node.cut(key),
            Operation::Separator { key, child } => node.put_child(key, child).map_err(no_room)?,
            Operation::Join { key } => {
                let (index, found) = node.search(key);
                if !found {
                    return Err("page delta that joins an unknown child".into());
                }
                node.remove(index);
            }
        }
    }
    Ok(())
}

fn put_bytes(out: &mut Vec<u8>, kind: u8, key: &[u8]) {
    out.push(kind);
    put_varint(out, key.len());
    out.extend_from_slice(key);
}

/// LEB128.
fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut len = 0usize;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        len |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            let (bytes, rest) = input.split_at_checked(len)?;
            *input = rest;
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TableId;
    use crate::page::builder::{NodeBuilder, NodeHeader};
    use crate::page::words::{Words, private_page};
    use proptest::prelude::*;

    fn header(level: u8) -> NodeHeader {
        NodeHeader {
            page: PageNumber(9),
            table: TableId(3),
            commit: CommitId(1),
            level,
            low: b"b".to_vec(),
            high: Some(b"x".to_vec()),
            first_child: PageNumber(5),
        }
    }

    #[test]
    fn every_operation_survives_encoding() {
        let reference = OverflowRef {
            len: 70_000,
            first: PageNumber(8),
            commit: CommitId(77),
        };
        let long = vec![7u8; 300];
        let operations = [
            Operation::Put {
                key: b"k",
                value: &long,
            },
            Operation::PutOverflow {
                key: &long,
                reference,
            },
            Operation::Delete { key: b"" },
            Operation::Cut { key: b"m" },
            Operation::Separator {
                key: b"s",
                child: PageNumber(u32::MAX),
            },
            Operation::Join { key: b"j" },
        ];
        let mut bytes = Vec::new();
        operations.iter().for_each(|o| o.encode(&mut bytes));
        let mut input = &bytes[..];
        for operation in operations {
            assert_eq!(Operation::decode(&mut input), Some(operation));
        }
        assert!(input.is_empty());
        for cut in 1..bytes.len() {
            let mut input = &bytes[..cut];
            while !input.is_empty() && Operation::decode(&mut input).is_some() {}
        }
    }

    #[test]
    fn redo_refuses_what_does_not_belong_to_the_page() {
        let memory = private_page(4096);
        let mut node = NodeMut::new(Words::new(&memory));
        node.replace(&NodeBuilder::new(4096, &header(0)).finish());
        let reject = |node: &mut NodeMut<'_>, operation: Operation<'_>| {
            let mut body = Vec::new();
            operation.encode(&mut body);
            redo(node, &body).unwrap_err()
        };
        assert!(reject(&mut node, Operation::Delete { key: b"a" }).contains("fences"));
        assert!(reject(&mut node, Operation::Delete { key: b"x" }).contains("fences"));
        assert!(reject(&mut node, Operation::Join { key: b"c" }).contains("kind"));
        assert!(reject(&mut node, Operation::Cut { key: b"b" }).contains("low fence"));
        assert!(
            reject(
                &mut node,
                Operation::Put {
                    key: b"c",
                    value: &[0; 2000]
                }
            )
            .contains("too long")
        );
        assert!(redo(&mut node, &[99, 0]).is_err());
        node.replace(&NodeBuilder::new(4096, &header(1)).finish());
        assert!(
            reject(
                &mut node,
                Operation::Put {
                    key: b"c",
                    value: b""
                }
            )
            .contains("kind")
        );
        assert!(reject(&mut node, Operation::Join { key: b"c" }).contains("unknown child"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_redone_or_refused_and_leave_a_sound_page(body in prop::collection::vec(any::<u8>(), 0..200), level in 0u8..2) {
            let memory = private_page(4096);
            let mut node = NodeMut::new(Words::new(&memory));
            node.replace(&NodeBuilder::new(4096, &header(level)).finish());
            let _ = redo(&mut node, &body);
            prop_assert_eq!(node.check(), Ok(()));
        }
    }
}
