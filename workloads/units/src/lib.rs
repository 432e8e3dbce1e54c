//! Sizes, durations and numbers as people write and read them: in specifications, on command lines, in tables and on pages.
//!
//! There is one grammar. Whatever is printed here is read here (up to 15 EiB and 500 years), to the last digit that was printed:
//!
//! ```text
//! size     = number [space] [EiB PiB TiB GiB MiB KiB TB GB MB kB B]            64MiB   1.25 KiB   4096
//! duration = part { [space] part }, part = number [space] unit                 1m30s   12.3 µs    0
//!            unit = h  min (or m)  s  ms  µs (or us)  ns
//! count    = number [space] [G M k]                                            100k    1.2 M      12,345
//! number   = digits, `_` between them, `,` before groups of three; one point
//! ```
//!
//! Binary units are powers of 1024, decimal units powers of 1000; a bare number is bytes. Durations need a unit, because `10`
//! could be seconds or milliseconds; only 0 has none. Units are read in either case, so far as that leaves one meaning.
//!
//! There are two ways to print. For people figures are *rounded* to three significant digits, with a space before the unit
//! ([`duration`], [`bytes`], [`number`], [`count`], [`short`]). What is to be read back unchanged is *exact* and one word of a
//! command line ([`exact_size`], [`exact_duration`]).
//!
//! This crate depends on nothing, so that what runs workloads and what reports on them can share it and know nothing of each other.
//! Nothing here turns "missing" into zero.

mod print;
mod quotient;
mod read;
mod unit;

pub use print::{
    MISSING, bytes, count, duration, exact_duration, exact_size, number, or_missing, short, trim,
};
pub use quotient::{per_second, quotient};
pub use read::{parse_count, parse_duration, parse_number, parse_size};
