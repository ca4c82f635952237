//! The comparison as a picture: for each metric the requests' simulated over their measured times, and their errors
//! over their forward passes.

use anyhow::Result;
use plotters::prelude::{BitMapBackend, DrawingBackend, IntoDrawingArea as _, RGBColor, SVGBackend, WHITE};
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, VPos};

use super::errors::{MetricErrors, median, relative_percent};
use super::per_request::Metric;
use super::plot_font;
use super::plot_panel::{Area, Axis, INK, Panel, QUIET, failed, text};
use super::report::{MetricReport, Report};
use super::table::signed;

const METRICS: [Metric; 3] = [Metric::Ttft, Metric::Tpot, Metric::E2el];
const SIZE_PX: (u32, u32) = (1200, 800);
const HEADER_PX: u32 = 64;
const DOT: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const FIT: RGBColor = RGBColor(0xc2, 0x4a, 0x10);

/// A request in the picture.
#[derive(Debug, Clone, Copy)]
struct Dot {
    measured_s: f64,
    simulated_s: f64,
    num_passes: f64,
    error_percent: f64,
}

/// The picture as SVG.
///
/// # Errors
/// If it cannot be drawn.
pub(crate) fn svg(report: &Report) -> Result<String> {
    plot_font::register()?;
    let mut svg = String::new();
    draw(report, &SVGBackend::with_string(&mut svg, SIZE_PX).into_drawing_area())?;
    Ok(svg)
}

/// The picture as PNG.
///
/// # Errors
/// If it cannot be drawn.
pub(crate) fn png(report: &Report) -> Result<Vec<u8>> {
    plot_font::register()?;
    let (width, height) = SIZE_PX;
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    draw(report, &BitMapBackend::with_buffer(&mut pixels, SIZE_PX).into_drawing_area())?;
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

fn draw<D: DrawingBackend>(report: &Report, root: &Area<D>) -> Result<()> {
    root.fill(&WHITE).map_err(failed)?;
    let (header, rest) = root.split_vertically(HEADER_PX);
    write_header(report, &header)?;
    let cells = rest.split_evenly((2, METRICS.len()));
    for (column, metric) in METRICS.into_iter().enumerate() {
        let dots = dots(report, metric);
        let Some(summary) = report.metrics.iter().find(|summary| summary.metric == metric) else { continue };
        if dots.is_empty() {
            text(&cells[column], (72, 40), "No request has it.", (HPos::Left, VPos::Top), QUIET, 13.0)?;
            continue;
        }
        draw_times(&cells[column], metric, &dots)?;
        draw_errors(&cells[METRICS.len() + column], summary, &dots)?;
    }
    root.present().map_err(failed)
}

fn dots(report: &Report, metric: Metric) -> Vec<Dot> {
    let requests = report.workloads.iter().flat_map(|workload| &workload.requests);
    let dot = |request: &super::report::RequestResult| {
        let measured: Option<Vec<f64>> = request.measured.iter().map(|times| times.get(metric)).collect();
        let (measured_s, simulated_s) = (median(&mut measured?), request.simulated.get(metric)?);
        let error_percent = relative_percent(simulated_s, measured_s);
        let num_passes = f64::from(request.num_passes);
        (measured_s > 0.0).then_some(Dot { measured_s, simulated_s, num_passes, error_percent })
    };
    requests.filter_map(dot).collect()
}

fn write_header<D: DrawingBackend>(report: &Report, area: &Area<D>) -> Result<()> {
    let setup = &report.setup;
    let heading = format!("Simulated against measured: {} on {}", setup.model, setup.hardware);
    text(area, (16, 12), &heading, (HPos::Left, VPos::Top), INK, 17.0)?;
    let compared = report.workloads.iter().filter(|workload| workload.duration_s.is_some()).count();
    let words = format!(
        "A dot is a request, measured as the median of {} runs, from {compared} of {} workloads. \
         Line and band: least squares with 95 % confidence. Dashes: the limit on the mean |error|.",
        setup.repeats,
        report.workloads.len()
    );
    text(area, (16, 38), &words, (HPos::Left, VPos::Top), QUIET, 12.0)
}

/// Simulated over measured times, with the diagonal on which they are equal.
fn draw_times<D: DrawingBackend>(area: &Area<D>, metric: Metric, dots: &[Dot]) -> Result<()> {
    let times = || dots.iter().flat_map(|dot| [dot.measured_s, dot.simulated_s]);
    let (low, high) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let (one, unit) = if high >= 1.0 { (1.0, "s") } else { (1e-3, "ms") };
    let axis = |word: &str| Axis::positive(format!("{word} {}, {unit}", metric.name()), low / one, high / one);
    let heading = format!("{}, {} requests", metric.name(), dots.len());
    let panel = Panel::new(area, &heading, &[], axis("measured"), axis("simulated"))?;
    let (start, end) = panel.x_range();
    panel.line(&[(start, start), (end, end)], QUIET.stroke_width(1))?;
    dots.iter().try_for_each(|dot| panel.dot(dot.measured_s / one, dot.simulated_s / one, DOT))
}

/// Errors over forward passes, with the fitted line.
fn draw_errors<D: DrawingBackend>(area: &Area<D>, summary: &MetricReport, dots: &[Dot]) -> Result<()> {
    let Some(errors) = &summary.errors else { return Ok(()) };
    let name = summary.metric.name();
    let limit = summary.limit_percent.unwrap_or(0.0);
    let largest = dots.iter().map(|dot| dot.error_percent.abs()).fold(limit, f64::max) * 1.25;
    let most = dots.iter().map(|dot| dot.num_passes).fold(1.0, f64::max);
    let x = Axis::linear("forward passes of the request".to_owned(), 0.0, most * 1.03);
    let y = Axis::linear(format!("error of {name}, %"), -largest, largest);
    let panel = Panel::new(area, &format!("{name}: error over forward passes"), &remarks(errors), x, y)?;
    let (start, end) = panel.x_range();
    panel.line(&[(start, 0.0), (end, 0.0)], QUIET.stroke_width(1))?;
    for bound in [limit, -limit] {
        draw_dashes(&panel, bound)?;
    }
    dots.iter().try_for_each(|dot| panel.dot(dot.num_passes, dot.error_percent, DOT))?;
    let low = errors.fit.iter().map(|point| (point.num_passes, point.error_percent.low));
    let high = errors.fit.iter().rev().map(|point| (point.num_passes, point.error_percent.high));
    let band: Vec<_> = low.chain(high).collect();
    if !band.is_empty() {
        panel.filled(&band, FIT)?;
    }
    // A line needs no points between its ends.
    let ends: Vec<_> = errors.fit.first().into_iter().chain(errors.fit.last()).collect();
    let fit: Vec<_> = ends.iter().map(|point| (point.num_passes, point.error_percent.value)).collect();
    panel.line(&fit, FIT.stroke_width(2))
}

fn remarks(errors: &MetricErrors) -> Vec<String> {
    let error = errors.mean_absolute_error_percent.value;
    let noise = errors.noise_percent.map_or_else(String::new, |noise| format!(", noise {:.2} %", noise.value));
    let slope = errors.slope_percent_per_1000_passes.map_or_else(String::new, |slope| {
        let [value, low, high] = [slope.value, slope.low, slope.high].map(signed);
        format!("slope {value} [{low}, {high}] % per 1000 passes")
    });
    vec![format!("mean |error| {error:.2} %{noise}"), slope]
}

fn draw_dashes<D: DrawingBackend>(panel: &Panel<'_, D>, y: f64) -> Result<()> {
    const NUM_DASHES: u32 = 40;
    let (start, end) = panel.x_range();
    let step = (end - start) / f64::from(NUM_DASHES);
    for i in 0..NUM_DASHES {
        let x = start + step * f64::from(i);
        panel.line(&[(x, y), (x + step / 2.0, y)], QUIET.stroke_width(1))?;
    }
    Ok(())
}
