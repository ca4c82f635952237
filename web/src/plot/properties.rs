//! What holds for every plot whatever it is given: it ends, stays inside its frame, and its axes work.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::band::Band;
use super::cdf::{CdfPlot, CdfSeries};
use super::gantt::{GanttPlot, GanttRow, PassBlock, PassKind, SpanKind};
use super::histogram::{HistogramPlot, HistogramSeries};
use super::palette::BarLook;
use super::split::{SplitPlot, SplitRow, TTFT_PARTS};
use super::ticks::Unit;
use super::time_series::{BandPoint, Limit, TimeSeries, TimeSeriesPlot};
use super::{Drawing, Frame, SeriesStyle, Slo, Theme};

/// Latencies, and what arithmetic makes of them at its worst.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 1e-4..10.0,
        2 => (-9.0..9.0).prop_map(|exponent: f64| 10f64.powf(exponent)),
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 1e-300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![prop::collection::vec(value(), 0..40), (value(), 1usize..5).prop_map(|(v, n)| vec![v; n])]
}

fn frame() -> impl Strategy<Value = Frame> {
    let theme = prop::sample::select(vec![Theme::Light, Theme::Dark]);
    (300u32..1600, 120u32..600, theme).prop_map(|(width, height, theme)| Frame { width, height, theme })
}

fn range() -> impl Strategy<Value = Option<(f64, f64)>> {
    prop::option::of((value(), value()))
}

const STYLES: [SeriesStyle; 3] = [SeriesStyle::Current, SeriesStyle::Pinned, SeriesStyle::Measured];

/// Every number in the SVG that places something, with the largest that it may be.
#[track_caller]
fn check(frame: Frame, drawing: &Drawing) {
    let (width, height) = frame.size();
    let svg = &drawing.svg;
    assert!(svg.starts_with("<svg width=\"") && svg.trim_end().ends_with("</svg>"), "not a whole SVG");
    let numbers = |name: &str| -> Vec<f64> {
        let start = format!(" {name}=\"");
        svg.split(&start)
            .skip(1)
            .map(|rest| rest.split('"').next().and_then(|text| text.parse().ok()).expect("a number"))
            .collect()
    };
    for (name, most) in [("x", width), ("cx", width), ("y", height), ("cy", height)] {
        for number in numbers(name) {
            assert!((0.0..=most * 10.0).contains(&number), "{name} is {number} in a frame of {width} x {height}");
        }
    }
    for points in svg.split(" points=\"").skip(1) {
        for point in points.split('"').next().unwrap_or("").split_whitespace() {
            let (x, y) = point.split_once(',').expect("two coordinates");
            let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
            assert!((0.0..=width * 10.0).contains(&x) && (0.0..=height * 10.0).contains(&y), "point {point}");
        }
    }
    let area = drawing.area;
    assert!(0.0 <= area.left && area.left < area.right && area.right <= width, "area {area:?}");
    assert!(0.0 <= area.top && area.top < area.bottom && area.bottom <= height, "area {area:?}");
    for axis in [drawing.x, drawing.y] {
        let (low, high) = axis.range();
        let (from, to) = axis.pixels();
        assert!(low < high && low.is_finite() && high.is_finite(), "range {low} to {high}");
        let middle = axis.to_value(f64::midpoint(from, to));
        assert!(axis.contains(middle), "{middle} is not within {low} to {high}");
        assert!((axis.to_pixel(middle) - f64::midpoint(from, to)).abs() < 0.5, "{middle} is not in the middle");
    }
    check_labels(frame, svg);
}

/// Labels have no empty decimals and, by the widths that layout assumes, none is cut off at a border.
#[track_caller]
fn check_labels(frame: Frame, svg: &str) {
    for text in svg.split("<text ").skip(1) {
        let attribute = |name: &str| {
            let start = format!("{name}=\"");
            text.split(&start).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("")
        };
        let label = text.split('>').nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("").trim();
        let label = &label.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        assert!(!label.contains(".0 ") && !label.ends_with(".0") && !label.contains("NaN"), "label {label:?}");
        let x: f64 = attribute("x").parse().expect("a number");
        let length = super::canvas::text_width(label);
        let left = match attribute("text-anchor") {
            "start" => x / 10.0,
            "middle" => x / 10.0 - length / 2.0,
            _ => x / 10.0 - length,
        };
        let (width, _) = frame.size();
        assert!(left >= -0.1 && left + length <= width + 0.1, "{label:?} from {left} is {length} long in {width}");
    }
}

fn cdf_series(mut xs: Vec<f64>, style: SeriesStyle) -> CdfSeries {
    xs.sort_by(f64::total_cmp);
    let n = f64::from(u32::try_from(xs.len()).expect("few"));
    let mut rank = 0.0;
    let points = xs.into_iter().map(|x| {
        rank += 1.0;
        (x, rank / n)
    });
    let points: Vec<(f64, f64)> = points.collect();
    let percentile =
        |percent: f64| points.iter().find(|point| point.1 >= percent / 100.0 - 1e-12).map(|point| (percent, point.0));
    let percentiles = [50.0, 90.0, 99.0].into_iter().filter_map(percentile).collect();
    CdfSeries { name: format!("{style:?}"), style, points, percentiles }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(20_261_130), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cdfs_stay_inside(frame in frame(), runs in prop::collection::vec(values(), 0..4), slo in prop::option::of(value()),
                        log_x in any::<bool>(), tail in any::<bool>(), x_range in range(), band in prop::option::of(values())) {
        let series = runs.into_iter().zip(STYLES).map(|(xs, style)| cdf_series(xs, style)).collect();
        let slo = slo.map(|limit| Slo { limit, label: "SLO 500 ms".to_owned() });
        let band = band.map(|xs| Band {
            name: "how far this may be off".to_owned(),
            style: SeriesStyle::Current,
            points: cdf_series(xs, SeriesStyle::Current).points.into_iter().map(|(x, share)| (x, share / 2.0, share)).collect(),
        });
        let plot = CdfPlot { series, band, x_unit: Unit::Seconds, x_title: "TTFT".to_owned(), noun: "requests".to_owned(), log_x, tail, slo, x_range };
        check(frame, &plot.draw(frame));
    }

    #[test]
    fn histograms_stay_inside(frame in frame(), runs in prop::collection::vec((values(), values()), 0..4),
                              slo in prop::option::of(value()), log_x in any::<bool>(), as_share in any::<bool>(),
                              x_range in range()) {
        let series = runs.into_iter().zip(STYLES).map(|((edges, counts), style)| {
            HistogramSeries { name: "a run <with> a rather long name & more".to_owned(), style, edges, counts }
        });
        let plot = HistogramPlot {
            series: series.collect(),
            x_unit: Unit::Seconds,
            x_title: "TTFT".to_owned(),
            noun: "requests".to_owned(),
            log_x,
            as_share,
            slo: slo.map(|limit| Slo { limit, label: "SLO 500 ms".to_owned() }),
            x_range,
        };
        check(frame, &plot.draw(frame));
    }

    #[test]
    fn splits_stay_inside(frame in frame(), rows in prop::collection::vec(values(), 0..6)) {
        let row = |parts_s| SplitRow { label: "P99".to_owned(), parts_s };
        let plot = SplitPlot::ttft(rows.into_iter().map(row).collect());
        check(frame, &plot.draw(frame));
    }

    #[test]
    fn time_series_stay_inside(frame in frame(), runs in prop::collection::vec((values(), values()), 0..4),
                               limit in prop::option::of(value()), x_range in range(),
                               y_unit in prop::sample::select(vec![Unit::Seconds, Unit::Share, Unit::Count])) {
        let series = runs.into_iter().zip(STYLES).map(|((times, values), style)| {
            let points = times.into_iter().zip(values);
            let points = points.map(|(time_s, mean)| BandPoint { time_s, min: mean / 2.0, mean, max: mean * 2.0 });
            TimeSeries { name: format!("{style:?}"), look: style.look(), points: points.collect() }
        });
        let plot = TimeSeriesPlot {
            series: series.collect(),
            y_unit,
            y_title: "requests".to_owned(),
            limit: limit.map(|value| Limit { value, label: "max_num_seqs 256".to_owned() }),
            x_range,
        };
        check(frame, &plot.draw(frame));
    }

    #[test]
    fn gantts_stay_inside(frame in frame(), rows in prop::collection::vec(values(), 0..30), passes in values(),
                          x_range in range()) {
        let rows = rows.into_iter().map(|times| {
            let kinds = SpanKind::ALL.into_iter().cycle();
            let spans = times.windows(2).zip(kinds).map(|(span, (kind, _))| (kind, span[0], span[1]));
            GanttRow { label: "request 123456".to_owned(), spans: spans.collect() }
        });
        let kinds = PassKind::ALL.into_iter().cycle();
        let passes = passes.windows(2).zip(kinds).map(|(span, (kind, _))| {
            PassBlock { start_s: span[0], end_s: span[1], kind }
        });
        let plot = GanttPlot { rows: rows.collect(), passes: passes.collect(), x_range };
        let frame = Frame { height: if frame.height < 300 { plot.height() } else { frame.height }, ..frame };
        check(frame, &plot.draw(frame));
    }
}

#[test]
fn nothing_to_draw_says_so() {
    let frame = Frame { width: 360, height: 240, theme: Theme::Light };
    let cdf = CdfPlot {
        series: vec![cdf_series(vec![f64::NAN], SeriesStyle::Current)],
        band: None,
        x_unit: Unit::Seconds,
        x_title: String::new(),
        noun: String::new(),
        log_x: true,
        tail: false,
        slo: None,
        x_range: None,
    };
    let gantt = GanttPlot { rows: Vec::new(), passes: Vec::new(), x_range: None };
    for drawing in [cdf.draw(frame), SplitPlot::ttft(Vec::new()).draw(frame), gantt.draw(frame)] {
        assert!(drawing.svg.contains("no data"), "{}", drawing.svg);
    }
}

#[test]
fn styles_and_parts_differ_without_colour() {
    let dashes = STYLES.map(|style| style.look().dash);
    assert!(dashes[0] != dashes[1] && dashes[1] != dashes[2] && dashes[0] != dashes[2], "{dashes:?}");
    let fills = TTFT_PARTS.map(|(_, BarLook { fill, .. })| fill);
    assert!(fills.windows(2).all(|pair| pair[0] != pair[1]), "neighbours have the same pattern: {fills:?}");
}

#[test]
fn names_cannot_become_markup() {
    let frame = Frame { width: 760, height: 360, theme: Theme::Light };
    let name =
        |style| HistogramSeries { name: "<script>&\"".to_owned(), style, edges: vec![1.0, 2.0], counts: vec![1.0] };
    let plot = HistogramPlot {
        series: vec![name(SeriesStyle::Current), name(SeriesStyle::Pinned)],
        x_unit: Unit::Seconds,
        x_title: "<b>".to_owned(),
        noun: "<i>".to_owned(),
        log_x: false,
        as_share: false,
        slo: Some(Slo { limit: 1.5, label: "<u>".to_owned() }),
        x_range: None,
    };
    let svg = plot.draw(frame).svg;
    assert!(svg.contains("&lt;script&gt;&amp;&quot;"), "the name is there");
    for tag in ["<script", "<b>", "<i>", "<u>"] {
        assert!(!svg.contains(tag), "{tag} is markup");
    }
}

#[test]
fn a_file_has_the_surface_that_its_colours_are_for() {
    let frame = Frame { width: 760, height: 360, theme: Theme::Dark };
    let drawing = SplitPlot::ttft(Vec::new()).draw(frame);
    let file = drawing.svg_on_surface(frame.theme);
    let start = "<svg width=\"760\" height=\"360\" viewBox=\"0 0 7600 3600\" xmlns=\"http://www.w3.org/2000/svg\">";
    assert!(drawing.svg.starts_with(start), "{}", drawing.svg);
    assert!(file.starts_with(&format!("{start}<rect width=\"100%\" height=\"100%\" fill=\"#15191F\"/>")), "{file}");
}
