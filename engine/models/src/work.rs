//! A stand-in for the counters of work, which are no part of a protocol.

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Slots,
    Queued,
    Bytes,
}

pub(crate) fn done(_: Kind, _: usize) {}
