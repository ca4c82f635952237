//! A latency's distribution as plots take it: the run's, the pinned run's, the measurement's.

use super::distribution_band::{Curves, RANGE, curve};
use super::how_sure::least_to_most;
use super::sentences::percentile;
use crate::answer::{Bins, Metric};
use crate::components::plot_view::{Reading, Table};
use crate::format::{duration, percent};
use crate::plot::cdf::{CdfPlot, CdfSeries};
use crate::plot::histogram::{HistogramPlot, HistogramSeries};
use crate::plot::ticks::Unit;
use crate::plot::{Drawing, Frame, SeriesStyle, Slo};

/// How a distribution is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Share of the samples at most x.
    Cdf,
    /// Samples per bin.
    Histogram,
    /// Share of the samples above x, on a logarithmic axis.
    Tail,
}

/// One distribution among those that are compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    /// For the legend.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) style: SeriesStyle,
    /// The latency.
    pub(crate) metric: Metric,
}

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    /// The run on the page first.
    pub(crate) sources: Vec<Source>,
    /// The same latency of the run on the page at the ends of its range, with the factor of each.
    pub(crate) ends: Vec<(f64, Metric)>,
    /// How.
    pub(crate) kind: Kind,
    /// Logarithmic x axis.
    pub(crate) log_x: bool,
    /// What is visible, in seconds.
    pub(crate) x_range: Option<(f64, f64)>,
}

/// Bins of a histogram of several runs.
const COMMON_BINS: u32 = 60;

impl Picture {
    fn first(&self) -> Option<&Metric> {
        self.sources.first().map(|source| &source.metric)
    }

    fn slo(&self) -> Option<Slo> {
        let limit = self.first()?.objective?;
        Some(Slo { limit, label: format!("SLO {}", duration(limit)) })
    }

    fn x_title(&self) -> String {
        self.first().map(|metric| metric.name.clone()).unwrap_or_default()
    }

    /// What is counted.
    fn noun(&self) -> &'static str {
        match self.first() {
            Some(metric) if metric.key == "itl" => "gaps",
            _ => "requests",
        }
    }

    /// The plot.
    pub(crate) fn draw(&self, frame: Frame) -> Drawing {
        match self.kind {
            Kind::Cdf | Kind::Tail => self.cdf().draw(frame),
            Kind::Histogram => self.histogram().draw(frame),
        }
    }

    fn curves(&self) -> Vec<CdfSeries> {
        self.sources.iter().map(|source| curve(&source.name, source.style, &source.metric)).collect()
    }

    /// The curves between which the run's own may lie, itself among them; none where no range is known.
    fn range(&self) -> Curves {
        let ends = self.ends.iter().map(|(_, metric)| metric);
        let all = self.first().filter(|_| !self.ends.is_empty()).into_iter().chain(ends);
        Curves(all.map(|metric| curve(RANGE, SeriesStyle::Current, metric)).collect())
    }

    fn cdf(&self) -> CdfPlot {
        CdfPlot {
            series: self.curves(),
            band: self.range().band(),
            x_unit: Unit::Seconds,
            x_title: self.x_title(),
            noun: self.noun().to_owned(),
            log_x: self.log_x,
            tail: self.kind == Kind::Tail,
            slo: self.slo(),
            x_range: self.x_range,
        }
    }

    fn histogram(&self) -> HistogramPlot {
        HistogramPlot {
            series: self.bins(),
            x_unit: Unit::Seconds,
            x_title: self.x_title(),
            noun: self.noun().to_owned(),
            log_x: self.log_x,
            as_share: self.sources.len() > 1,
            slo: self.slo(),
            x_range: self.x_range,
        }
    }

    /// A single run's own bins; the same edges for all if several are compared.
    fn bins(&self) -> Vec<HistogramSeries> {
        let series = |source: &Source, edges: Vec<f64>, counts: Vec<f64>| HistogramSeries {
            name: source.name.clone(),
            style: source.style,
            edges,
            counts,
        };
        if let [source] = &self.sources[..] {
            let Bins { edges, counts } =
                if self.log_x { &source.metric.log_histogram } else { &source.metric.linear_histogram };
            let counts = counts.iter().map(|&count| sim_core::math::u64_to_f64(count)).collect();
            return vec![series(source, edges.clone(), counts)];
        }
        let Some(edges) = self.common_edges() else { return Vec::new() };
        let counted = self.curves().into_iter().zip(&self.sources).map(|(curve, source)| {
            let below = |edge: f64| curve.share_at(edge).unwrap_or(0.0);
            let count = sim_core::math::u64_to_f64(source.metric.count);
            let mut counts: Vec<f64> =
                edges.windows(2).map(|edge| ((below(edge[1]) - below(edge[0])) * count).max(0.0)).collect();
            // The smallest sample may lie on the lowest edge.
            if let (Some(first), Some(edge)) = (counts.first_mut(), edges.first()) {
                *first += below(*edge) * count;
            }
            series(source, edges.clone(), counts)
        });
        counted.collect()
    }

    fn common_edges(&self) -> Option<Vec<f64>> {
        let xs = || self.sources.iter().flat_map(|source| &source.metric.ecdf).map(|point| point.0);
        let xs = || xs().filter(|x| x.is_finite() && (!self.log_x || *x > 0.0));
        let (low, high) = (xs().reduce(f64::min)?, xs().reduce(f64::max)?);
        if low >= high {
            return None;
        }
        let edge = |place: u32| {
            let share = f64::from(place) / f64::from(COMMON_BINS);
            if self.log_x { low * (high / low).powf(share) } else { low + (high - low) * share }
        };
        Some((0..=COMMON_BINS).map(edge).collect())
    }

    /// What each curve says at `x`.
    pub(crate) fn readings(&self, x: f64) -> Vec<Reading> {
        if self.kind == Kind::Histogram {
            let bins = self.bins();
            let said = bins.iter().filter_map(|series| {
                let (low, high, count) = series.bin_at(x)?;
                let total: f64 = series.counts.iter().sum();
                let share = if total > 0.0 { count / total } else { 0.0 };
                let text = format!("{} – {}: {}", duration(low), duration(high), percent(share));
                Some(Reading { name: series.name.clone(), text, look: Some(series.style.look()) })
            });
            return said.collect();
        }
        let written = |share: f64| match self.kind {
            Kind::Tail => percent(1.0 - share),
            _ => format!("P{}", rank(share)),
        };
        let text = |share: &str| match self.kind {
            Kind::Tail => format!("{share} above"),
            _ => format!("{share} = {}", duration(x)),
        };
        let said = self.curves().into_iter().filter_map(|curve| {
            let text = text(&written(curve.share_at(x)?));
            Some(Reading { name: curve.name, text, look: Some(curve.style.look()) })
        });
        let range = self.range().shares_at(x).map(|(least, most)| {
            let text = text(&format!("{} – {}", written(least), written(most)));
            Reading { name: RANGE.to_owned(), text, look: None }
        });
        let said = said.chain(range);
        said.collect()
    }

    /// Percentiles of every curve.
    pub(crate) fn table(&self) -> Table {
        let has_range = !self.ends.is_empty();
        let mut columns = vec![String::new()];
        columns.extend(self.sources.iter().map(|source| source.name.clone()));
        columns.extend(has_range.then(|| RANGE.to_owned()));
        let row = |label: &str, value: &dyn Fn(&Metric) -> Option<f64>| {
            let mut cells = vec![label.to_owned()];
            cells.extend(self.sources.iter().map(|s| value(&s.metric).map_or_else(|| "–".to_owned(), duration)));
            if has_range {
                let all = self.first().into_iter().chain(self.ends.iter().map(|(_, metric)| metric));
                cells.push(least_to_most(all.filter_map(value), duration).unwrap_or_else(|| "–".to_owned()));
            }
            cells
        };
        let mut rows = vec![row("Mean", &|metric| Some(metric.mean))];
        for percent in [50.0, 75.0, 90.0, 95.0, 99.0, 99.9] {
            rows.push(row(&format!("P{percent}"), &|metric| percentile(metric, percent)));
        }
        rows.push(row("Largest", &|metric| (metric.max > 0.0).then_some(metric.max)));
        Table { columns, rows }
    }

    /// What is drawn, with all digits.
    pub(crate) fn csv(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        if self.kind == Kind::Histogram {
            let mut text = String::from("series,from_s,to_s,count\n");
            for series in self.bins() {
                for (edge, count) in series.edges.windows(2).zip(&series.counts) {
                    text.push_str(&format!("{},{},{},{count}\n", quoted(&series.name), edge[0], edge[1]));
                }
            }
            return text;
        }
        let mut text = String::from("series,seconds,share_at_most\n");
        for source in &self.sources {
            for (x, share) in &source.metric.ecdf {
                text.push_str(&format!("{},{x},{share}\n", quoted(&source.name)));
            }
        }
        for (factor, metric) in &self.ends {
            for (x, share) in &metric.ecdf {
                text.push_str(&format!("\"passes × {factor}\",{x},{share}\n"));
            }
        }
        text
    }

    /// What a person would see.
    pub(crate) fn summary(&self) -> String {
        let kind = match self.kind {
            Kind::Cdf => "Cumulative distribution",
            Kind::Histogram => "Histogram",
            Kind::Tail => "Tail of the distribution",
        };
        let said = self.sources.iter().map(|source| {
            let at = |percent| percentile(&source.metric, percent).map_or_else(|| "–".to_owned(), duration);
            format!("{}: P50 {}, P90 {}, P99 {}", source.name, at(50.0), at(90.0), at(99.0))
        });
        let slo = self.first().and_then(|metric| metric.objective);
        let slo = slo.map_or_else(String::new, |limit| format!(". Objective {}", duration(limit)));
        format!("{kind} of {}. {}{slo}. Arrow keys read values.", self.x_title(), said.collect::<Vec<_>>().join("; "))
    }
}

/// A share as a percentile's number: `95`, `99.9`.
fn rank(share: f64) -> String {
    let percent = share * 100.0;
    let text = if percent > 99.0 && percent < 100.0 { format!("{percent:.2}") } else { format!("{percent:.1}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::results::sample::answer;

    fn picture(num_sources: usize, kind: Kind) -> Picture {
        let styles = [SeriesStyle::Current, SeriesStyle::Pinned];
        let source =
            |style: SeriesStyle| Source { name: format!("{style:?}"), style, metric: answer().metrics.swap_remove(0) };
        Picture {
            sources: styles.into_iter().take(num_sources).map(source).collect(),
            ends: Vec::new(),
            kind,
            log_x: true,
            x_range: None,
        }
    }

    #[test]
    fn runs_are_compared_over_the_same_bins_and_no_sample_is_lost() {
        let bins = picture(2, Kind::Histogram).bins();
        assert_eq!(bins[0].edges, bins[1].edges, "edges");
        for series in bins {
            let total: f64 = series.counts.iter().sum();
            assert!((total - 1_000.0).abs() < 1e-6, "{total} samples");
        }
    }

    #[test]
    fn the_crosshair_reads_a_percentile() {
        let text = |kind| picture(1, kind).readings(0.2).remove(0).text;
        assert_eq!(text(Kind::Cdf), "P50 = 200 ms");
        assert_eq!(text(Kind::Tail), "50.0 % above");
    }

    #[test]
    fn the_range_is_read_tabled_and_saved() {
        let mut picture = picture(1, Kind::Cdf);
        assert_eq!(picture.range().band(), None, "no range is known");
        let end = |factor: f64| {
            let mut metric = picture.sources[0].metric.clone();
            metric.ecdf.iter_mut().for_each(|point| point.0 *= factor);
            (factor, metric)
        };
        picture.ends = vec![end(0.8), end(1.5)];
        assert_eq!(picture.range().band().map(|band| band.points.len()), Some(12), "every step of the three curves");
        let said = picture.readings(0.2).pop().expect("the band's reading");
        assert_eq!((said.name.as_str(), said.text.as_str()), (RANGE, "P0.1 – P50 = 200 ms"));
        let Table { columns, rows } = picture.table();
        assert_eq!(columns.last().map(String::as_str), Some(RANGE));
        assert_eq!(rows[0].last().map(String::as_str), Some("–"), "means were left alike");
        assert!(picture.csv().contains("\"passes × 1.5\","), "both ends are in the file");
    }

    #[test]
    fn a_rank_has_the_digits_that_tell() {
        for (share, text) in [(0.5, "50"), (0.955, "95.5"), (0.999, "99.9"), (0.9995, "99.95"), (1.0, "100")] {
            assert_eq!(rank(share), text, "{share}");
        }
    }
}
