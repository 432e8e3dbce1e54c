//! Rows copied out of a scan, in one flat buffer that is reused.
//!
//! Layout: keys and values back to back in one byte vector, `key 0 | value 0 | key 1 | value 1 | ...`, and one pair of
//! end offsets for each row. A push is two copies and no allocation once the buffer has grown to its working size, so
//! every engine pays the same for handing a row out.

/// Rows (key and value) copied out by [`Session::scan`](super::Session::scan).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowBuffer {
    bytes: Vec<u8>,
    /// For each row where its key ends and where its value ends, as offsets into `bytes`.
    ends: Vec<(usize, usize)>,
}

impl RowBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `rows` rows of together `bytes` bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        RowBuffer {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
        }
    }

    /// Copies one row to the end.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// Forgets all rows and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all keys and values together.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Key and value of row `index`, counted in the order of pushing; `None` past the last.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let &(key_end, end) = self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some((&self.bytes[start..key_end], &self.bytes[key_end..end]))
    }

    /// The last row pushed.
    pub fn last(&self) -> Option<(&[u8], &[u8])> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All rows, in the order of pushing.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_pushed_also_empty_ones_and_after_clear() {
        let rows: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"", b""), (b"bb", b""), (b"", b"22")];
        let mut buffer = RowBuffer::with_capacity(1, 1);
        for _ in 0..2 {
            assert!(buffer.is_empty() && buffer.last().is_none());
            for (key, value) in rows {
                buffer.push(key, value);
            }
            assert_eq!(buffer.iter().collect::<Vec<_>>(), rows);
            assert_eq!((buffer.len(), buffer.bytes_len()), (4, 6));
            assert_eq!(buffer.last(), Some((&b""[..], &b"22"[..])));
            assert_eq!(buffer.get(4), None);
            buffer.clear();
        }
    }
}
