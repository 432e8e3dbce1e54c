//! A page as it goes to a file: dense, and without the free room in its middle.
//!
//! The image is the bytes from the start of the page to the end of its slots, then the heap. The page size and
//! the heap start in the header say how long the gap was. Overflow pages end behind their part of the value.

use super::builder::{NodeBuilder, NodeHeader};
use super::layout::{HEADER, KIND_OVERFLOW};
use super::node::Node;
use super::words::Words;
use crate::ids::PageNumber;

/// Appends the image of a well-formed page.
pub(crate) fn encode(node: Node<'_>, out: &mut Vec<u8>) {
    let size = node.words.size();
    if node.kind() == KIND_OVERFLOW {
        node.words.append_to(0, HEADER + node.overflow_len(), out);
    } else if node.garbage() == 0 {
        node.words.append_to(0, HEADER + 8 * node.count(), out);
        node.words
            .append_to(node.heap_start(), size - node.heap_start(), out);
    } else {
        let mut builder = NodeBuilder::new(size, &NodeHeader::of(node));
        builder.push_slots(node, 0..node.count(), |_| true);
        encode_bytes(&builder.finish(), out);
    }
}

/// Appends the image of a dense page given as bytes.
pub(crate) fn encode_bytes(page: &[u8], out: &mut Vec<u8>) {
    if page[16] == KIND_OVERFLOW {
        let len = u32::from_le_bytes([page[44], page[45], page[46], page[47]]) as usize;
        out.extend_from_slice(&page[..HEADER + len]);
        return;
    }
    let count = usize::from(u16::from_le_bytes([page[20], page[21]]));
    let heap = u32::from_le_bytes([page[24], page[25], page[26], page[27]]) as usize;
    out.extend_from_slice(&page[..HEADER + 8 * count]);
    out.extend_from_slice(&page[heap..]);
}

/// Puts an image back into page memory and checks it; says what is wrong with it otherwise.
pub(crate) fn decode(image: &[u8], page: PageNumber, words: Words<'_>) -> Result<(), String> {
    let size = words.size();
    if image.len() < HEADER || image.len() > size {
        return Err(format!("page image of {} bytes", image.len()));
    }
    let gap_start = if image[16] == KIND_OVERFLOW {
        image.len()
    } else {
        HEADER + 8 * usize::from(u16::from_le_bytes([image[20], image[21]]))
    };
    if gap_start > image.len() {
        return Err(format!(
            "page image of {} bytes ends inside its slots",
            image.len()
        ));
    }
    words.write(0, &image[..gap_start]);
    let heap = size - (image.len() - gap_start);
    if image[16] == KIND_OVERFLOW {
        words.write(gap_start, &vec![0; size - gap_start]);
    } else {
        words.write(heap, &image[gap_start..]);
    }
    let node = Node::new(words);
    if node.kind() == KIND_OVERFLOW && HEADER + node.overflow_len() != image.len() {
        return Err(format!(
            "image of {} bytes of an overflow page with {} of its value",
            image.len(),
            node.overflow_len()
        ));
    }
    if node.kind() != KIND_OVERFLOW && node.heap_start() != heap {
        return Err(format!(
            "heap at {} in an image whose heap starts at {heap}",
            node.heap_start()
        ));
    }
    if node.page_number() != page {
        return Err(format!(
            "image of page {} where page {page} was expected",
            node.page_number()
        ));
    }
    node.check()
}
