//! Plots: drawn for every record, themed, and with something on them.

use crate::{crash_test, strange, synthetic};
use reports::RunRecord;
use reports::plot::{Shape, plots};
use reports::record::{Measurement, Status, Varied};
use std::collections::BTreeSet;

#[test]
fn every_plot_of_every_record_is_drawn_in_both_kinds() {
    let directory = tempfile::tempdir().unwrap();
    for (name, record) in strange::all() {
        for plot in plots(&record) {
            for shape in [Shape::Wide, Shape::Narrow] {
                let svg = plot
                    .to_svg(shape)
                    .unwrap_or_else(|error| panic!("{name}, {}: {error}", plot.id));
                assert!(
                    svg.contains("<text") && svg.trim_end().ends_with("</svg>"),
                    "{name}, {}",
                    plot.id
                );
            }
            let path = directory.path().join("plot.png");
            plot.write_png(&path)
                .unwrap_or_else(|error| panic!("{name}, {}: {error}", plot.id));
        }
    }
}

#[test]
fn vector_pictures_take_all_colours_from_style_variables() {
    for plot in plots(&synthetic::record(1))
        .iter()
        .chain(&plots(&synthetic::ratios(1)))
        .chain(&plots(&crash_test::failed(1)))
    {
        let svg = plot.to_svg(Shape::Wide).unwrap();
        assert!(!svg.contains("=\"#"), "{}: a colour is fixed", plot.id);
        assert!(svg.contains("var(--plot-ink)"), "{}", plot.id);
        let head = &svg[..svg.find('>').unwrap()];
        assert!(
            head.contains("viewBox=\"0 0 ") && !head.contains(" width="),
            "{head}"
        );
        assert!(head.contains("role=\"img\" aria-label="), "{head}");
    }
}

#[test]
fn identifiers_are_unique_file_names_and_words_are_there() {
    for (name, record) in strange::all() {
        let plots = plots(&record);
        let mut ids = BTreeSet::new();
        for plot in &plots {
            assert!(ids.insert(plot.id.clone()), "{name}: {} twice", plot.id);
            assert!(
                plot.id
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                plot.id
            );
            assert!(
                !plot.title.is_empty() && !plot.caption.is_empty() && !plot.alt.is_empty(),
                "{}",
                plot.id
            );
        }
    }
}

#[test]
fn a_record_without_figures_has_no_plots() {
    assert!(plots(&reports::RunRecord::new("empty", "2026-01-02T03:04:05Z")).is_empty());
}

#[test]
fn png_files_hold_more_than_paper() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plot.png");
    for plot in plots(&synthetic::record(1)) {
        plot.write_png(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "{}", plot.id);
        let (width, pixels) = pixels(&bytes);
        assert_eq!(width, 1760, "{}", plot.id);
        let ink = pixels
            .chunks_exact(3)
            .filter(|pixel| pixel != &[255, 255, 255])
            .count();
        let share = ink as f64 / (pixels.len() / 3) as f64;
        assert!(
            (0.005..0.9).contains(&share),
            "{}: {share} of the picture is drawn",
            plot.id
        );
        let colours: BTreeSet<&[u8]> = pixels.chunks_exact(3).collect();
        assert!(
            colours.len() > 20,
            "{}: text is not drawn smoothly, or not at all",
            plot.id
        );
    }
}

/// Width and pixels (three bytes each) of a PNG file as the plots write them.
fn pixels(png: &[u8]) -> (u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut pixels).expect("PNG pixels");
    assert_eq!(frame.color_type, png::ColorType::Rgb);
    (frame.width, pixels)
}

/// The lines of a plot's picture that are on its vertical axis: labels in order of drawing, before those of the other axis.
fn labels(svg: &str) -> Vec<String> {
    let texts = svg.split("<text").skip(1);
    let words = texts.filter_map(|text| Some(text.split_once('>')?.1.split_once('<')?.0.trim().to_owned()));
    words.collect()
}

#[test]
fn plots_of_engines_that_are_compared_share_their_axes() {
    let record = synthetic::record(1);
    let plots = plots(&record);
    for kind in ["throughput-over-time", "latency-over-time"] {
        let of = |engine: &str| {
            let id = format!("{kind}-{engine}");
            let plot = plots.iter().find(|plot| plot.id == id).unwrap();
            let mut labels = labels(&plot.to_svg(Shape::Wide).unwrap());
            // What stands in the legend is the engine's own.
            labels.retain(|label| label.starts_with(|c: char| c.is_ascii_digit()));
            labels
        };
        assert_eq!(of("palimpsest"), of("memory"), "{kind}");
        assert!(of("memory").len() > 6, "{kind}");
    }
}

#[test]
fn pictures_name_run_workload_and_engines() {
    for plot in plots(&synthetic::record(1)) {
        assert_eq!(plot.subject, "oltp · palimpsest, memory · demo", "{}", plot.id);
    }
    for plot in reports::plot::comparison_plots(&[synthetic::record(1), synthetic::ratios(1)]) {
        assert_eq!(plot.subject, "runs demo, demo-ratios", "{}", plot.id);
    }
}

#[test]
fn values_can_be_read_off_at_places_inside_the_plane() {
    for (name, record) in strange::all() {
        let page = reports::render_report(&record).unwrap();
        for part in page.split("data-stops=\"").skip(1) {
            let json = part.split_once('"').unwrap().0;
            let json = json
                .replace("&quot;", "\"")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&#x27;", "'");
            let json = json.replace("&#x2f;", "/").replace("&amp;", "&");
            let stops: serde_json::Value =
                serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}: {json}"));
            for stop in stops["stops"].as_array().unwrap() {
                let places = stop[1].as_array().unwrap().iter().chain([&stop[0]]);
                for place in places {
                    assert!((0.0..=1.0).contains(&place.as_f64().unwrap()), "{name}: {stop}");
                }
                assert!(!stop[2].as_str().unwrap().is_empty(), "{name}");
            }
        }
    }
    let page = reports::render_report(&synthetic::record(1)).unwrap();
    assert!(page.matches("data-stops=").count() >= 8);
    assert!(page.matches("data-plane=").count() >= 16);
    assert!(page.contains("repetitions: "), "bars tell their repetitions");
}

#[test]
fn a_directory_that_is_missing_is_an_error_with_the_file_in_it() {
    let plot = &plots(&synthetic::record(1))[0];
    let error = plot
        .write_png(std::path::Path::new("no/such/directory/plot.png"))
        .unwrap_err();
    assert!(
        error.to_string().contains("no/such/directory/plot.png"),
        "{error}"
    );
}

#[test]
fn a_run_over_several_values_has_curves_and_a_row_for_each_case() {
    let mut record = RunRecord::new("r", "now");
    for (threads, rate) in [("1", 100.0), ("8", 700.0)] {
        for engine in ["a", "b"] {
            record.measurements.push(Measurement {
                engine: engine.into(),
                repetition: 1,
                status: Status::Ok,
                transactions_per_second: Some(rate),
                varied: vec![Varied::new("threads", threads)],
                ..Default::default()
            });
        }
    }
    let ids: Vec<String> = plots(&record).into_iter().map(|plot| plot.id).collect();
    assert_eq!(ids, ["throughput-by-threads", "throughput"]);
    let text = reports::text_table(&record);
    let page = reports::render_report(&record).unwrap();
    for case in ["a, threads 1", "a, threads 8", "b, threads 1", "b, threads 8"] {
        assert!(text.contains(case), "{text}");
        assert!(page.contains(case), "{case}");
    }
    assert_eq!(record.engines(), ["a", "b"], "the record itself has engines");
}
