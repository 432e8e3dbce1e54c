//! The units: what reading and printing have in common.

/// A unit of bytes, of time or of a count.
pub(crate) struct Unit {
    /// The name that is printed.
    pub(crate) name: &'static str,
    /// Other names that are read.
    also: &'static [&'static str],
    /// What it is of the smallest.
    pub(crate) factor: u64,
    /// Rounded figures are printed in it from here on; none are where that is `None`.
    pub(crate) from: Option<u64>,
}

impl Unit {
    const fn new(name: &'static str, factor: u64, from: Option<u64>) -> Self {
        Self {
            name,
            also: &[],
            factor,
            from,
        }
    }

    const fn also(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }

    /// A binary unit is printed from 999.5 of the one below on: three digits would say 1000.
    const fn binary(name: &'static str, power: u32) -> Self {
        let from = if power == 10 { 1024 } else { 1999 << (power - 11) };
        Self::new(name, 1 << power, Some(from))
    }

    /// All its names, the printed one first.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.also.iter().copied())
    }
}

/// Of bytes; an exact figure is printed in the first that divides it.
pub(crate) const SIZES: &[Unit] = &[
    Unit::binary("EiB", 60),
    Unit::binary("PiB", 50),
    Unit::binary("TiB", 40),
    Unit::binary("GiB", 30),
    Unit::binary("MiB", 20),
    Unit::binary("KiB", 10),
    Unit::new("TB", 1_000_000_000_000, None),
    Unit::new("GB", 1_000_000_000, None),
    Unit::new("MB", 1_000_000, None),
    Unit::new("kB", 1_000, None),
    Unit::new("B", 1, Some(0)).also(&[""]),
];

/// Of nanoseconds, largest first.
pub(crate) const DURATIONS: &[Unit] = &[
    Unit::new("h", 3_600_000_000_000, None),
    Unit::new("min", 60_000_000_000, Some(600_000_000_000)).also(&["m"]),
    Unit::new("s", 1_000_000_000, Some(999_500_000)),
    Unit::new("ms", 1_000_000, Some(999_500)),
    // The micro sign, the letter mu, and what keyboards have.
    Unit::new("µs", 1_000, Some(1_000)).also(&["μs", "us"]),
    Unit::new("ns", 1, Some(0)),
];

/// Of counts in thousandths, so that `1.25k` is one and `1.5` is none.
pub(crate) const THOUSANDTHS: &[Unit] = &[
    Unit::new("G", 1_000_000_000_000, None),
    Unit::new("M", 1_000_000_000, None),
    Unit::new("k", 1_000_000, None),
    Unit::new("", 1_000, None),
];

/// The unit of a name, else one that differs from it in upper and lower case only.
pub(crate) fn find<'a>(units: &'a [Unit], name: &str) -> Option<&'a Unit> {
    let by = |same: fn(&str, &str) -> bool| {
        units
            .iter()
            .find(move |unit| unit.names().any(|other| same(other, name)))
    };
    by(|a, b| a == b).or_else(|| by(|a, b| !b.is_empty() && a.eq_ignore_ascii_case(b)))
}
