//! From values to positions: linear, logarithmic and percentile axes, their ticks and labels.

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Evenly.
    Linear,
    /// By their logarithm; values below one count as one.
    Log,
    /// By their logarithm, with powers of two as round values: threads, sizes of memory.
    Doubling,
    /// Quantiles (0 to below 1) by the logarithm of their distance to 1, as HdrHistogram's plots have it.
    Tail,
}

/// How values along an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nanoseconds.
    Duration,
    /// Bytes, with binary units.
    Bytes,
    /// Seconds, plain.
    Seconds,
    /// A rate or count with a metric prefix.
    Short,
    /// A share of 1, as a percentage.
    Percent,
}

impl Format {
    /// A value in words, for an axis.
    pub(crate) fn label(self, value: f64) -> String {
        match self {
            Self::Duration => units::trim(&units::duration(value.max(0.0) as u64)),
            Self::Bytes => units::trim(&units::bytes(value.max(0.0) as u64)),
            Self::Seconds => units::trim(&format!("{value:.2}")),
            Self::Short => units::short(value),
            Self::Percent => {
                let percent = format!("{:.6}", value * 100.0);
                format!("{} %", units::trim(&percent))
            }
        }
    }

    /// A value in words, as exact as tables have it.
    pub(crate) fn value(self, value: f64) -> String {
        match self {
            Self::Duration => units::duration(value.max(0.0) as u64),
            Self::Bytes => units::bytes(value.max(0.0) as u64),
            Self::Seconds => format!("{value:.2} s"),
            Self::Short => units::number(value),
            Self::Percent => format!("{} %", units::trim(&format!("{:.4}", value * 100.0))),
        }
    }

    /// The unit in which round tick values are sought.
    fn base(self, high: f64) -> f64 {
        let mut base = 1.0;
        if self == Self::Bytes {
            while high / base >= 1024.0 {
                base *= 1024.0;
            }
        }
        base
    }
}

/// One axis: a span of values and how they lie on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
}

impl Scale {
    /// A scale that holds all values: from zero when linear, in whole decades when logarithmic, in whole nines for a tail.
    pub(crate) fn over(kind: Kind, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        match kind {
            Kind::Linear => {
                let high = if high > 0.0 { high } else { 1.0 };
                Self {
                    kind,
                    low: low.min(0.0),
                    high,
                }
            }
            Kind::Log => {
                let low = 10f64.powf(low.max(1.0).log10().floor());
                let high = 10f64.powf(high.max(1.0).log10().ceil()).max(low * 10.0);
                Self { kind, low, high }
            }
            Kind::Doubling => {
                let low = 2f64.powf(low.max(1.0).log2().floor());
                let high = 2f64.powf(high.max(1.0).log2().ceil()).max(low * 2.0);
                Self { kind, low, high }
            }
            Kind::Tail => {
                let nines = (1.0 / (1.0 - high.clamp(0.0, 1.0 - 1e-12)))
                    .log10()
                    .ceil()
                    .max(2.0);
                Self {
                    kind,
                    low: 0.0,
                    high: 1.0 - 10f64.powf(-nines),
                }
            }
        }
    }

    /// A linear scale with headroom above its largest value.
    pub(crate) fn with_headroom(values: impl IntoIterator<Item = f64>) -> Self {
        let mut scale = Self::over(Kind::Linear, values);
        scale.high *= 1.08;
        scale
    }

    /// A linear scale over exactly this span.
    pub(crate) fn exact(low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            kind: Kind::Linear,
            low,
            high,
        }
    }

    /// A logarithmic scale over exactly this span of positive values.
    pub(crate) fn exact_log(low: f64, high: f64) -> Self {
        Self {
            kind: Kind::Log,
            low,
            high,
        }
    }

    /// Where a value lies, 0 at the low end to 1 at the high end; values outside stay at the ends.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let place = |value: f64| match self.kind {
            Kind::Linear => value,
            Kind::Log | Kind::Doubling => value.max(f64::MIN_POSITIVE).log10(),
            Kind::Tail => -(1.0 - value.clamp(0.0, 1.0 - 1e-12)).log10(),
        };
        let (low, high) = (place(self.low), place(self.high));
        ((place(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// About as many round values as asked for.
    pub(crate) fn ticks(&self, wanted: usize, format: Format) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.linear_ticks(wanted.max(2), format),
            Kind::Log => self.log_ticks(wanted.max(2)),
            Kind::Doubling => {
                let (first, last) = (self.low.log2().round() as i32, self.high.log2().round() as i32);
                let every = ((last - first) as usize).div_ceil(wanted.max(2)).max(1);
                (first..=last)
                    .step_by(every)
                    .map(|power| 2f64.powi(power))
                    .collect()
            }
            Kind::Tail => {
                let nines = -(1.0 - self.high).log10().round() as i32;
                let mut ticks = vec![0.0, 0.5];
                ticks.extend((1..=nines.min(12)).map(|nines| 1.0 - 10f64.powi(-nines)));
                ticks
            }
        }
    }

    /// Values that have a line whether or not there is room for their labels: of a logarithmic axis every power of ten, of a tail
    /// every nine.
    pub(crate) fn decades(&self) -> Vec<f64> {
        match self.kind {
            Kind::Linear | Kind::Doubling => Vec::new(),
            Kind::Log => {
                let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
                (first..=last).map(|power| 10f64.powi(power)).collect()
            }
            Kind::Tail => self
                .ticks(0, Format::Percent)
                .into_iter()
                .filter(|tick| *tick >= 0.9)
                .collect(),
        }
    }

    fn linear_ticks(&self, wanted: usize, format: Format) -> Vec<f64> {
        let base = format.base(self.high);
        let rough = (self.high - self.low) / base / wanted as f64;
        let magnitude = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * magnitude)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * magnitude)
            * base;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades <= wanted as f64 / 3.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let every = (decades / wanted as f64).ceil().max(1.0) as i32;
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let mut ticks = Vec::new();
        for power in (first..=last).step_by(every as usize) {
            for factor in factors {
                let tick = factor * 10f64.powi(power);
                if tick >= self.low * 0.999 && tick <= self.high * 1.001 {
                    ticks.push(tick);
                }
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_scales_tick_at_powers_of_two() {
        let scale = Scale::over(Kind::Doubling, [1.0, 8.0]);
        assert_eq!(scale.ticks(10, Format::Short), [1.0, 2.0, 4.0, 8.0]);
        assert!((scale.position(2.0) - 1.0 / 3.0).abs() < 1e-9);
        let scale = Scale::over(Kind::Doubling, [4096.0, 65536.0]);
        assert_eq!(scale.ticks(2, Format::Bytes), [4096.0, 16384.0, 65536.0]);
    }

    #[test]
    fn linear_scales_start_at_zero_and_tick_at_round_values() {
        let scale = Scale::over(Kind::Linear, [12.0, 97.0]);
        assert_eq!(scale.position(0.0), 0.0);
        assert_eq!(scale.position(97.0), 1.0);
        assert_eq!(scale.ticks(5, Format::Short), vec![0.0, 20.0, 40.0, 60.0, 80.0]);
    }

    #[test]
    fn byte_ticks_are_round_in_their_unit() {
        let scale = Scale::over(Kind::Linear, [7.5 * 1024.0 * 1024.0]);
        let labels: Vec<String> = scale
            .ticks(4, Format::Bytes)
            .iter()
            .map(|tick| Format::Bytes.label(*tick))
            .collect();
        assert_eq!(labels, ["0 B", "2 MiB", "4 MiB", "6 MiB"]);
    }

    #[test]
    fn log_scales_hold_whole_decades() {
        let scale = Scale::over(Kind::Log, [3_000.0, 40_000.0]);
        assert_eq!(scale.position(1_000.0), 0.0);
        assert_eq!(scale.position(100_000.0), 1.0);
        assert_eq!(scale.position(0.0), 0.0);
        assert!(scale.ticks(6, Format::Duration).contains(&10_000.0));
        assert_eq!(
            Scale::over(Kind::Log, [5.0, 5.0]).ticks(3, Format::Duration),
            vec![1.0, 2.0, 5.0, 10.0]
        );
    }

    #[test]
    fn every_decade_has_a_line_also_where_there_is_no_room_for_its_label() {
        let scale = Scale::over(Kind::Log, [1.0, 1e9]);
        assert!(
            scale.ticks(3, Format::Short).len() < 10,
            "some decades have no label"
        );
        let decades: Vec<f64> = (0..=9).map(|power| 10f64.powi(power)).collect();
        assert_eq!(scale.decades(), decades);
        assert_eq!(Scale::exact_log(0.5, 20.0).decades(), [1.0, 10.0]);
        assert_eq!(
            Scale::over(Kind::Tail, [0.0, 0.995]).decades(),
            [0.9, 0.99, 0.999]
        );
        assert!(Scale::over(Kind::Linear, [0.0, 5.0]).decades().is_empty());
    }

    #[test]
    fn tails_tick_at_nines() {
        let scale = Scale::over(Kind::Tail, [0.0, 0.9995]);
        let labels: Vec<String> = scale
            .ticks(5, Format::Percent)
            .iter()
            .map(|tick| Format::Percent.label(*tick))
            .collect();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert!((scale.position(0.99) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn strange_values_do_not_break_a_scale() {
        for kind in [Kind::Linear, Kind::Log, Kind::Doubling, Kind::Tail] {
            for values in [
                vec![],
                vec![0.0],
                vec![f64::NAN, f64::INFINITY],
                vec![u64::MAX as f64],
                vec![1.0],
            ] {
                let scale = Scale::over(kind, values.clone());
                let position = scale.position(1.0);
                assert!((0.0..=1.0).contains(&position), "{kind:?} {values:?} {position}");
                let ticks = scale.ticks(5, Format::Short);
                assert!(
                    !ticks.is_empty() && ticks.len() < 40,
                    "{kind:?} {values:?} {ticks:?}"
                );
            }
        }
    }
}
