//! Colours by role. Drawing uses the light values; vector pictures then get each value replaced by its style
//! variable, so the values must differ from each other.

use crate::palette::COLOURS;
use plotters::style::RGBColor;

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Behind everything.
    Surface,
    /// Text and axes.
    Ink,
    /// Secondary text.
    Muted,
    /// Grid lines.
    Grid,
    /// The warm-up's shade.
    Warmup,
    /// A checkpoint's shade.
    Checkpoint,
    /// Met targets.
    Pass,
    /// Missed targets.
    Fail,
    /// One of several series.
    Series(usize),
}

/// Name of the style variable, light value, dark value. Series colours are told apart with the common forms of
/// colour blindness and keep a contrast of 3:1 or more against their surface.
type Entry = (&'static str, u32, u32);

const ENTRIES: [Entry; SERIES_START + COLOURS] = [
    ("plot-surface", 0xff_ff_ff, 0x16_1b_22),
    ("plot-ink", 0x1c_21_28, 0xe6_ed_f3),
    ("plot-muted", 0x57_60_6a, 0x9d_a7_b3),
    ("plot-grid", 0xd9_de_e4, 0x30_36_3d),
    ("plot-warmup", 0xe9_ed_f2, 0x21_28_31),
    ("plot-checkpoint", 0xf3_d9_a4, 0x5c_46_14),
    ("plot-pass", 0x1a_7f_37, 0x4a_c2_6b),
    ("plot-fail", 0xb4_23_18, 0xff_7b_72),
    ("plot-series-1", 0x0b_62_a8, 0x6c_b6_ff),
    ("plot-series-2", 0xc2_50_0a, 0xff_a6_57),
    ("plot-series-3", 0x10_78_4b, 0x56_d3_9b),
    ("plot-series-4", 0x7a_3f_a8, 0xd2_a8_ff),
    ("plot-series-5", 0x00_76_7d, 0x4f_d1_d9),
    ("plot-series-6", 0x8a_5a_00, 0xe3_c0_4f),
    ("plot-series-7", 0xb0_1e_6b, 0xff_8f_c8),
    ("plot-series-8", 0x52_60_00, 0xb9_cb_4c),
];

const SERIES_START: usize = 8;

/// A colour scheme of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Role {
    fn entry(self) -> Entry {
        ENTRIES[match self {
            Self::Surface => 0,
            Self::Ink => 1,
            Self::Muted => 2,
            Self::Grid => 3,
            Self::Warmup => 4,
            Self::Checkpoint => 5,
            Self::Pass => 6,
            Self::Fail => 7,
            Self::Series(index) => SERIES_START + index % COLOURS,
        }]
    }

    /// The light colour.
    pub(crate) fn color(self) -> RGBColor {
        let [_, red, green, blue] = self.entry().1.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

/// Declarations of all style variables for one scheme.
pub(crate) fn css_variables(scheme: Scheme) -> String {
    let mut css = String::new();
    for (name, light_value, dark_value) in ENTRIES {
        let value = if scheme == Scheme::Dark {
            dark_value
        } else {
            light_value
        };
        css.push_str(&format!("--{name}:#{value:06x};"));
    }
    css
}

/// Replaces every role's light value in a vector picture by its style variable.
pub(crate) fn with_variables(svg: &str) -> String {
    let mut themed = svg.to_owned();
    for (name, light_value, _) in ENTRIES {
        themed = themed.replace(&format!("\"#{light_value:06X}\""), &format!("\"var(--{name})\""));
    }
    themed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as in WCAG 2.
    fn luminance(value: u32) -> f64 {
        let [_, channels @ ..] = value.to_be_bytes();
        let linear = channels.map(|channel| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(one: u32, other: u32) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn values_differ_so_that_each_can_be_replaced() {
        for (index, entry) in ENTRIES.iter().enumerate() {
            assert!(
                ENTRIES[..index].iter().all(|other| other.1 != entry.1),
                "{}",
                entry.0
            );
        }
    }

    #[test]
    fn text_and_series_stand_out_in_both_schemes() {
        let (_, light_surface, dark_surface) = ENTRIES[0];
        for (name, light, dark) in ENTRIES {
            let least = match name {
                "plot-ink" | "plot-muted" | "plot-pass" | "plot-fail" => 4.5,
                _ if name.starts_with("plot-series") => 3.0,
                _ => continue,
            };
            assert!(contrast(light, light_surface) >= least, "{name} light");
            assert!(contrast(dark, dark_surface) >= least, "{name} dark");
        }
    }

    #[test]
    fn pictures_follow_the_style_variables() {
        let svg = r##"<text fill="#1C2128"/><rect fill="#0B62A8" stroke="#123456"/>"##;
        let themed = with_variables(svg);
        assert_eq!(
            themed,
            r##"<text fill="var(--plot-ink)"/><rect fill="var(--plot-series-1)" stroke="#123456"/>"##
        );
    }
}
